"""The lowest layer of ICON4Py's atmosphere over land: what the land sees of it, and what it gives to it.

Only land cells are computed. Fields are (Cell, K); the layer is the last level. Constants and formulas are ICON4Py's
(`icon4py.model.common.constants`), so that the thermodynamics are those of the host:

    Tv = theta_v exner,  T = Tv / (1 + (Rv/Rd - 1) qv - qc - qi - qr - qs - qg),  p = p0 exner^(cpd/Rd)
    exner = (Rd rho Tv / p0)^(Rd/cpd)

Heat is added at constant volume, as ICON's physics does: density stays, pressure follows, and the dynamics turns the
excess into work. So the heat capacity is cv, and the layer's internal energy grows by just the heat given. Vapour takes
the place of as much dry air and has the layer's temperature.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from icon4py.model.common import constants

from ailand_gt4py import arrays

#: Species that count as water in the layer's heat capacity, with their specific heats at constant volume, J kg-1 K-1.
SPECIFIC_HEATS: dict[str, float] = {
    "qv": constants.CVV,
    "qc": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qr": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qi": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qs": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qg": constants.SPECIFIC_HEAT_CAPACITY_ICE,
}


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


@dataclasses.dataclass(frozen=True)
class Gain:
    """What the layer was found to have gained, from its fields before and after.

    Attributes:
        heat: J m-2. water: kg m-2; both (n_land,).
    """

    heat: arrays.Array
    water: arrays.Array


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

    def air(self, prognostic: Any, tracers: Any) -> Air:
        """Diagnose the layer's air."""
        exner = self.at_land(prognostic.exner)
        virtual_temperature = self.at_land(prognostic.theta_v) * exner
        pressure = constants.P0REF * exner**constants.CPD_O_RD
        half_layer = constants.GRAV_O_RD * 0.5 * self.thickness / virtual_temperature
        return Air(
            virtual_temperature / self._virtual_factor(tracers),
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

    def add_water(self, prognostic: Any, tracers: Any, water: arrays.Array) -> None:
        """Add vapour (kg m-2, (n_land,)) at constant density; nothing else changes."""
        humidity = tracers.qv.ndarray[:, self.level]
        humidity[self.cells] += water / (self.at_land(prognostic.rho) * self.thickness)

    def add(self, prognostic: Any, tracers: Any, heat: arrays.Array, water: arrays.Array | None) -> Gain:
        """Add heat (J m-2) and vapour (kg m-2; None: none), both (n_land,), to the time level at hand.

        Returns:
            What the layer then holds more than before, diagnosed from the state's own fields.
        """
        density = self.at_land(prognostic.rho)
        mass = density * self.thickness
        capacity = mass * self._specific_heat(tracers)
        before = self._temperature(prognostic, tracers)
        vapour_before = None if water is None else self.at_land(tracers.qv)
        if water is not None:
            self.add_water(prognostic, tracers, water)
        virtual_temperature = (before + heat / capacity) * self._virtual_factor(tracers)
        exner = (constants.RD_O_P0REF * density * virtual_temperature) ** constants.RD_O_CPD
        prognostic.exner.ndarray[:, self.level][self.cells] = exner
        prognostic.theta_v.ndarray[:, self.level][self.cells] = virtual_temperature / exner
        gained_heat = capacity * (self._temperature(prognostic, tracers) - before)
        if vapour_before is None:
            return Gain(gained_heat, self._xp.zeros_like(gained_heat))
        return Gain(gained_heat, mass * (self.at_land(tracers.qv) - vapour_before))

    def _temperature(self, prognostic: Any, tracers: Any) -> arrays.Array:
        virtual_temperature = self.at_land(prognostic.theta_v) * self.at_land(prognostic.exner)
        return virtual_temperature / self._virtual_factor(tracers)

    def _virtual_factor(self, tracers: Any) -> Any:
        """Tv / T."""
        factor: Any = 1.0
        for name in SPECIFIC_HEATS:
            field = getattr(tracers, name, None)
            if field is not None:
                factor = factor + (constants.RV_O_RD_MINUS_1 if name == "qv" else -1.0) * self.at_land(field)
        return factor

    def _specific_heat(self, tracers: Any) -> Any:
        """At constant volume, J kg-1 K-1."""
        heat: Any = constants.CVD
        for name, of_species in SPECIFIC_HEATS.items():
            field = getattr(tracers, name, None)
            if field is not None:
                heat = heat + (of_species - constants.CVD) * self.at_land(field)
        return heat
