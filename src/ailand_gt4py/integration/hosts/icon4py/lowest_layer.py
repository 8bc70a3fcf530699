"""What the land sees of ICON4Py's atmosphere: the air of the lowest layer over land.

Only land cells are computed. Fields are (Cell, K); the layer is the last level. Constants and formulas are ICON4Py's
(`icon4py.model.common.constants`), so that the thermodynamics are those of the host:

    Tv = theta_v exner,  T = Tv / (1 + (Rv/Rd - 1) qv - qc - qi - qr - qs - qg),  p = p0 exner^(cpd/Rd)
"""

from __future__ import annotations

import dataclasses
from typing import Any

from icon4py.model.common import constants

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.moist_air import virtual_factor


@dataclasses.dataclass(frozen=True)
class Air:
    """The lowest layer's air at the land cells, all (n_land,).

    Attributes:
        temperature, virtual_temperature: K.
        humidity: specific humidity, kg kg-1; None where the host has no vapour.
        pressure, surface_pressure: in the middle of the layer and at the ground, Pa.
    """

    temperature: arrays.Array
    virtual_temperature: arrays.Array
    humidity: arrays.Array | None
    pressure: arrays.Array
    surface_pressure: arrays.Array


class LowestLayer:
    """The lowest layer over the land cells.

    No field of the host's state is kept: the dycore swaps its time levels, so each call is given the level at hand.

    Args:
        cells: (n_land,) positions of the land cells.
        level: index of the lowest full level.
        thickness: (n_land,) of the layer, m. area: (n_land,) of the cells, m2.
        edges: (n_land, 9) edges from which the wind at a cell is interpolated.
        eastward, northward: (n_land, 9) their coefficients.

    Attributes:
        cells, level, thickness, area: as given. n_land: number of cells.
    """

    def __init__(
        self,
        cells: arrays.Array,
        level: int,
        thickness: arrays.Array,
        area: arrays.Array,
        edges: arrays.Array,
        eastward: arrays.Array,
        northward: arrays.Array,
        device: arrays.Device = "cpu",
    ) -> None:
        self._xp = arrays.array_module(device)
        self.cells, self.level = cells, level
        self.thickness, self.area = thickness, area
        self._edges, self._eastward, self._northward = edges, eastward, northward
        self.n_land = len(cells)

    def at_land(self, field: Any) -> arrays.Array:
        """The lowest level of a (Cell, K) field at the land cells: (n_land,), a copy."""
        return field.ndarray[:, self.level][self.cells]

    def temperature(self, prognostic: Any, tracers: Any) -> arrays.Array:
        """Of the layer's air, K, (n_land,)."""
        virtual_temperature = self.at_land(prognostic.theta_v) * self.at_land(prognostic.exner)
        return virtual_temperature / virtual_factor(tracers, self.at_land)

    def air(self, prognostic: Any, tracers: Any) -> Air:
        """Diagnose the layer's air."""
        exner = self.at_land(prognostic.exner)
        virtual_temperature = self.at_land(prognostic.theta_v) * exner
        pressure = constants.P0REF * exner**constants.CPD_O_RD
        half_layer = constants.GRAV_O_RD * 0.5 * self.thickness / virtual_temperature
        return Air(
            virtual_temperature / virtual_factor(tracers, self.at_land),
            virtual_temperature,
            None if tracers is None or tracers.qv is None else self.at_land(tracers.qv),
            pressure,
            pressure * self._xp.exp(half_layer),
        )

    def wind(self, prognostic: Any) -> tuple[arrays.Array, arrays.Array]:
        """Eastward and northward wind, m s-1, (n_land,): ICON4Py's radial-basis-function interpolation of vn.

        The same sum as its program ``edge_2_cell_vector_rbf_interpolation``, at land cells of one level.
        """
        normal = prognostic.vn.ndarray[:, self.level][self._edges]
        return (normal * self._eastward).sum(axis=1), (normal * self._northward).sum(axis=1)
