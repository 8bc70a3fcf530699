"""ICON4Py's air over land: all its layers for the coupling, and what the land sees of the lowest one.

Only land cells are computed. Fields are (Cell, K) and the lowest layer is the last level. Constants and formulas are
ICON4Py's (`icon4py.model.common.constants`), so that the thermodynamics are those of the host:

    Tv = theta_v exner,  T = Tv / (1 + (Rv/Rd - 1) qv - qc - qi - qr - qs - qg)
    p = p0 exner^(cpd/Rd),  exner = (Rd rho Tv / p0)^(Rd/cpd)
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from icon4py.model.common import constants

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.land_cells import LandCells
from ailand_gt4py.integration.coupling.moist_air import MoistAir

MOIST_AIR = MoistAir(
    vapour="qv",
    virtual=constants.RV_O_RD_MINUS_1,
    dry_heat=constants.CVD,
    water_heats={
        "qv": constants.CVV,
        "qc": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
        "qr": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
        "qi": constants.SPECIFIC_HEAT_CAPACITY_ICE,
        "qs": constants.SPECIFIC_HEAT_CAPACITY_ICE,
        "qg": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    },
)


@dataclasses.dataclass(frozen=True)
class IconAir:
    """The air over the land cells at one time level: an `ailand_gt4py.integration.coupling.mixed_layer.Air`.

    Attributes:
        positions: (n_land,) of the land cells. prognostic, tracers: ICON4Py's states; tracers None: no water.
    """

    positions: arrays.Array
    prognostic: Any
    tracers: Any

    @property
    def has_vapour(self) -> bool:
        return getattr(self.tracers, "qv", None) is not None

    def _at(self, field: Any, levels: slice) -> arrays.Array:
        return field.ndarray[:, levels][self.positions]

    def _put(self, field: Any, levels: slice, values: arrays.Array) -> None:
        field.ndarray[:, levels][self.positions] = values

    def _water(self, levels: slice) -> dict[str, arrays.Array]:
        """Species that the host has, in one order."""
        fields = {name: getattr(self.tracers, name, None) for name in MOIST_AIR.water_heats}
        return {name: self._at(field, levels) for name, field in fields.items() if field is not None}

    def density(self, levels: slice) -> arrays.Array:
        return self._at(self.prognostic.rho, levels)

    def exner(self, levels: slice) -> arrays.Array:
        """Exner function of the pressure."""
        return self._at(self.prognostic.exner, levels)

    def virtual_temperature(self, levels: slice) -> arrays.Array:
        """K."""
        return self._at(self.prognostic.theta_v, levels) * self.exner(levels)

    def temperature(self, levels: slice) -> arrays.Array:
        return self.virtual_temperature(levels) / MOIST_AIR.virtual_factor(self._water(levels))

    def specific_heat(self, levels: slice) -> arrays.Array | float:
        return MOIST_AIR.specific_heat(self._water(levels))

    def vapour(self, levels: slice) -> arrays.Array:
        return self._at(self.tracers.qv, levels)

    def set_temperature(self, levels: slice, temperature: arrays.Array) -> None:
        virtual_temperature = temperature * MOIST_AIR.virtual_factor(self._water(levels))
        exner = (constants.RD_O_P0REF * self.density(levels) * virtual_temperature) ** constants.RD_O_CPD
        self._put(self.prognostic.exner, levels, exner)
        self._put(self.prognostic.theta_v, levels, virtual_temperature / exner)

    def set_vapour(self, levels: slice, vapour: arrays.Array) -> None:
        self._put(self.tracers.qv, levels, vapour)


class LowestAir(NamedTuple):
    """The lowest layer's air at the land cells, all (n_land,).

    Attributes:
        temperature: K. humidity: specific humidity, kg kg-1; None where the host has no vapour.
        pressure, surface_pressure: in the middle of the layer and at the ground, Pa.
    """

    temperature: arrays.Array
    humidity: arrays.Array | None
    pressure: arrays.Array
    surface_pressure: arrays.Array


@dataclasses.dataclass(frozen=True)
class LowestLayer:
    """The lowest layer over the land cells.

    Attributes:
        cells: where land is. level: index of the lowest full level. thickness: (n_land,) of the layer, m.
        edges: (n_land, 9) edges from which the wind at a cell is interpolated. eastward, northward: their coefficients.
    """

    cells: LandCells
    level: int
    thickness: arrays.Array
    edges: arrays.Array
    eastward: arrays.Array
    northward: arrays.Array

    def at_land(self, field: Any) -> arrays.Array:
        """The lowest level of a (Cell, K) field at the land cells: (n_land,), a copy."""
        return field.ndarray[:, self.level][self.cells.positions]

    def air(self, prognostic: Any, tracers: Any) -> LowestAir:
        """Diagnose the layer's air."""
        air, lowest = IconAir(self.cells.positions, prognostic, tracers), slice(self.level, self.level + 1)
        pressure = constants.P0REF * air.exner(lowest)[:, 0] ** constants.CPD_O_RD
        half_layer = constants.GRAV_O_RD * 0.5 * self.thickness / air.virtual_temperature(lowest)[:, 0]
        return LowestAir(
            air.temperature(lowest)[:, 0],
            air.vapour(lowest)[:, 0] if air.has_vapour else None,
            pressure,
            pressure * arrays.array_module(self.cells.device).exp(half_layer),
        )

    def wind(self, prognostic: Any) -> tuple[arrays.Array, arrays.Array]:
        """Eastward and northward wind, m s-1, (n_land,): ICON4Py's radial-basis-function interpolation of vn.

        The same sum as its program ``edge_2_cell_vector_rbf_interpolation``, at land cells of one level.
        """
        normal = prognostic.vn.ndarray[:, self.level][self.edges]
        return (normal * self.eastward).sum(axis=1), (normal * self.northward).sum(axis=1)
