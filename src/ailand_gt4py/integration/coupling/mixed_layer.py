"""Where the land's heat and vapour go: the lowest layer of ICON4Py's atmosphere, or all layers up to a height.

ICON4Py 0.4.1 has no turbulence, so nothing carries heat out of the lowest layer but the resolved flow. A mixing height
stands in for it: all layers below warm and moisten equally, as in a well-mixed boundary layer.

Heat is added at constant volume, as ICON's physics does: density stays, pressure follows, and the dynamics turns the
excess into work. So the heat capacity is cv, and the layers' internal energy grows by just the heat given. Vapour takes
the position of as much dry air and has the layer's temperature. Constants and formulas are ICON4Py's:

    Tv = theta_v exner,  exner = (Rd rho Tv / p0)^(Rd/cpd)
"""

from __future__ import annotations

import dataclasses
from typing import Any

from icon4py.model.common import constants

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.moist_air import specific_heat, virtual_factor


@dataclasses.dataclass(frozen=True)
class Gain:
    """What the layers were found to have gained, from their fields before and after; all (n_land,).

    Attributes:
        heat: J m-2. water: kg m-2.
        temperature, humidity: of the lowest layer, K and kg kg-1.
    """

    heat: arrays.Array
    water: arrays.Array
    temperature: arrays.Array
    humidity: arrays.Array


class MixedLayer:
    """The layers above the land cells that take what the land gives.

    No field of the host's state is kept: the dycore swaps its time levels, so each call is given the level at hand.

    Args:
        cells: (n_land,) positions of the land cells.
        thickness: (n_land, n_levels) of all layers, from the top of the model downward, m.
        height: up to which heat and vapour are mixed, m above the ground; a layer that it cuts takes its share of
            them. The lowest layer always takes its whole share.

    Attributes:
        cells: as given. n_layers: that take anything at any cell.
    """

    def __init__(
        self, cells: arrays.Array, thickness: arrays.Array, height: float, device: arrays.Device = "cpu"
    ) -> None:
        self._xp = arrays.array_module(device)
        self.cells = cells
        above_base = self._xp.flip(self._xp.cumsum(self._xp.flip(thickness, axis=1), axis=1), axis=1) - thickness
        share = self._xp.clip((height - above_base) / thickness, 0.0, 1.0)
        share[:, -1] = 1.0
        n_levels = int(thickness.shape[1])
        taking = arrays.to_host(self._xp.flatnonzero((share > 0.0).any(axis=0))) if len(cells) else [n_levels - 1]
        first = int(taking[0])
        self.n_layers = n_levels - first
        self._levels = slice(first, n_levels)
        self._share, self._thickness = share[:, first:], thickness[:, first:]

    def _at_land(self, field: Any) -> arrays.Array:
        """(n_land, n_layers), a copy."""
        return field.ndarray[:, self._levels][self.cells]

    def _put(self, field: Any, values: arrays.Array) -> None:
        field.ndarray[:, self._levels][self.cells] = values

    def air_mass(self, prognostic: Any) -> arrays.Array:
        """Of the air that takes the vapour, (n_land,), kg m-2: what raises the humidity by 1 kg kg-1."""
        return (self._share * self._mass(prognostic)).sum(axis=1)

    def heat_capacity(self, prognostic: Any, tracers: Any) -> arrays.Array:
        """Of the air that takes the heat, (n_land,), J m-2 K-1."""
        return (self._share * self._mass(prognostic) * specific_heat(tracers, self._at_land)).sum(axis=1)

    def add_water(self, prognostic: Any, tracers: Any, water: arrays.Array) -> None:
        """Add vapour (kg m-2, (n_land,)) at constant density; nothing else changes."""
        increase = self._share * (water / self.air_mass(prognostic))[:, None]
        self._put(tracers.qv, self._at_land(tracers.qv) + increase)

    def add(self, prognostic: Any, tracers: Any, heat: arrays.Array, water: arrays.Array | None) -> Gain:
        """Add heat (J m-2) and vapour (kg m-2; None: none), both (n_land,), to the time level at hand.

        Returns:
            What the layers then hold more than before, diagnosed from the state's own fields.
        """
        density = self._at_land(prognostic.rho)
        mass = density * self._thickness
        capacity = mass * specific_heat(tracers, self._at_land)
        before = self._temperature(prognostic, tracers)
        vapour_before = None if water is None else self._at_land(tracers.qv)
        if water is not None:
            self.add_water(prognostic, tracers, water)
        warming = self._share * (heat / (self._share * capacity).sum(axis=1))[:, None]
        virtual_temperature = (before + warming) * virtual_factor(tracers, self._at_land)
        exner = (constants.RD_O_P0REF * density * virtual_temperature) ** constants.RD_O_CPD
        self._put(prognostic.exner, exner)
        self._put(prognostic.theta_v, virtual_temperature / exner)
        warmed = self._temperature(prognostic, tracers) - before
        moistened = self._xp.zeros_like(warmed) if vapour_before is None else self._at_land(tracers.qv) - vapour_before
        return Gain((capacity * warmed).sum(axis=1), (mass * moistened).sum(axis=1), warmed[:, -1], moistened[:, -1])

    def _mass(self, prognostic: Any) -> arrays.Array:
        return self._at_land(prognostic.rho) * self._thickness

    def _temperature(self, prognostic: Any, tracers: Any) -> arrays.Array:
        virtual_temperature = self._at_land(prognostic.theta_v) * self._at_land(prognostic.exner)
        return virtual_temperature / virtual_factor(tracers, self._at_land)
