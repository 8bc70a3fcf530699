"""ICON4Py as a host of the land: its grid, what the land is made of, its air and the lowest layer's weather.

Only land cells are computed. Fields are (Cell, K) and the lowest layer is the last level. Constants and formulas are
ICON4Py's (`icon4py.model.common.constants`), so that the thermodynamics are those of the host:

    Tv = theta_v exner,  T = Tv / (1 + (Rv/Rd - 1) qv - qc - qi - qr - qs - qg)
    p = p0 exner^(cpd/Rd),  exner = (Rd rho Tv / p0)^(Rd/cpd)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from icon4py.model.common import constants, model_backends
from icon4py.model.common import dimension as dims
from icon4py.model.common.grid import geometry_attributes
from icon4py.model.common.grid import horizontal as h_grid
from icon4py.model.common.interpolation import interpolation_attributes
from icon4py.model.common.metrics import metrics_attributes
from icon4py.model.driver.driver import Icon4pyDriver

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.surface_fluxes import LandCells
from ailand_gt4py.integration.description import Ground, HostClock, HostGrid
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.provider import IdealisedPlanet
from ailand_gt4py.weights.model import Model, Variable

#: Species of water in the air, and their specific heats at constant volume, J kg-1 K-1.
WATER_HEATS = {
    "qv": constants.CVV,
    "qc": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qr": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qi": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qs": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qg": constants.SPECIFIC_HEAT_CAPACITY_ICE,
}


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
        fields = {name: getattr(self.tracers, name, None) for name in WATER_HEATS}
        return {name: self._at(field, levels) for name, field in fields.items() if field is not None}

    def _virtual_factor(self, levels: slice) -> Any:
        """Virtual temperature over temperature."""
        water = self._water(levels).items()
        return sum(((constants.RV_O_RD_MINUS_1 if name == "qv" else -1.0) * content for name, content in water), 1.0)

    def density(self, levels: slice) -> arrays.Array:
        return self._at(self.prognostic.rho, levels)

    def pressure(self, levels: slice) -> arrays.Array:
        """Pa."""
        return constants.P0REF * self._at(self.prognostic.exner, levels) ** constants.CPD_O_RD

    def virtual_temperature(self, levels: slice) -> arrays.Array:
        """K."""
        return self._at(self.prognostic.theta_v, levels) * self._at(self.prognostic.exner, levels)

    def temperature(self, levels: slice) -> arrays.Array:
        return self.virtual_temperature(levels) / self._virtual_factor(levels)

    def specific_heat(self, levels: slice) -> arrays.Array | float:
        water = self._water(levels).items()
        return sum(((WATER_HEATS[name] - constants.CVD) * content for name, content in water), constants.CVD)

    def vapour(self, levels: slice) -> arrays.Array:
        return self._at(self.tracers.qv, levels)

    def set_temperature(self, levels: slice, temperature: arrays.Array) -> None:
        virtual_temperature = temperature * self._virtual_factor(levels)
        exner = (constants.RD_O_P0REF * self.density(levels) * virtual_temperature) ** constants.RD_O_CPD
        self._put(self.prognostic.exner, levels, exner)
        self._put(self.prognostic.theta_v, levels, virtual_temperature / exner)

    def set_vapour(self, levels: slice, vapour: arrays.Array) -> None:
        self._put(self.tracers.qv, levels, vapour)


def device_of(icon: Icon4pyDriver) -> arrays.Device:
    """Where a driver's fields are."""
    return "cuda" if icon.backend is not None and model_backends.is_gpu_backend(icon.backend) else "cpu"


class IconHost:
    """A driver of ICON4Py: an `ailand_gt4py.integration.hosts.host.Host`.

    The dycore swaps two time levels, so no field of its state is used beyond the step in which it was given to `see`.
    Vapour is read where it is. All else that the land needs is diagnosed, and NaN at cells that are not land.

    Attributes:
        grid, clock: of the land component.
        cells: owned land cells. thickness: (n_land, n_levels) of all layers, m. level: index of the lowest.
    """

    def __init__(self, icon: Icon4pyDriver, provider: IdealisedPlanet, clock: HostClock) -> None:
        device = device_of(icon)
        self._xp = xp = arrays.array_module(device)
        self._provider, self.clock = provider, clock
        fields = icon.static_field_factories
        latitude, longitude = (
            xp.rad2deg(fields.geometry.get(name).ndarray)
            for name in (geometry_attributes.CELL_LAT, geometry_attributes.CELL_LON)
        )
        land_mask = provider.land_mask(latitude, longitude) & _owned_cells(icon, xp)
        positions = xp.flatnonzero(land_mask)
        area = fields.geometry.get(geometry_attributes.CELL_AREA).ndarray[positions]
        self.cells = LandCells(positions, area, len(land_mask), device)
        self.thickness = fields.metrics.get(metrics_attributes.DDQZ_Z_FULL).ndarray[positions]
        self._height = fields.metrics.get(metrics_attributes.CELL_HEIGHT_ON_HALF_LEVEL).ndarray[positions, -1]
        self._coordinates = latitude[positions], longitude[positions]
        self._edges = xp.asarray(icon.grid.get_connectivity("C2E2C2E").ndarray)[positions]
        self._wind_coefficients = [
            fields.interpolation.get(name).ndarray[positions]
            for name in (interpolation_attributes.RBF_VEC_COEFF_C1, interpolation_attributes.RBF_VEC_COEFF_C2)
        ]
        self.level = int(icon.grid.num_levels) - 1
        self._lowest = slice(self.level, self.level + 1)
        self.grid = HostGrid(
            land_mask=land_mask,
            latitude=latitude,
            longitude=longitude,
            horizontal=dims.CellDim,
            levels={dims.KDim: self.level},
        )
        running = {one.name: one.state for one in internals.processes(icon) if one.time_control.enable_process}
        self._microphysics: Any = running.get("muphys")
        self._air = IconAir(positions, None, None)

    def see(self, prognostic: Any, tracers: Any) -> None:
        """Take a time level of ICON4Py's state as the one at hand."""
        self._air = IconAir(self.cells.positions, prognostic, tracers)

    def air(self) -> IconAir:
        """At land, of the time level at hand."""
        return self._air

    def wind(self) -> list[arrays.Array]:
        """Eastward and northward wind of the lowest layer, m s-1, (n_land,), interpolated from the edges' vn.

        The same sum as ICON4Py's program ``edge_2_cell_vector_rbf_interpolation``, at land cells of one level.
        """
        normal = self._air.prognostic.vn.ndarray[:, self.level][self._edges]
        return [(normal * coefficients).sum(axis=1) for coefficients in self._wind_coefficients]

    def ground(self, model: Model) -> Ground:
        """What the provider says of the land, with a first state for the time level at hand."""
        static = self._provider.static(*self._coordinates, self._height)
        temperature = self._air.temperature(self._lowest)[:, 0]
        state = self._provider.initial_state(*self._coordinates, temperature, static)
        prescribed = self._provider.prescribed(*self._coordinates, self.clock.start)
        return Ground(
            static=self._on_cells(static, model.static),
            initial_state=self._on_cells(state, model.state),
            prescribed=self._on_cells(prescribed, model.forcing),
        )

    def _on_cells(self, values: Mapping[str, Any], variables: Sequence[Variable]) -> dict[str, Any]:
        """Fields over all cells from those over land cells; names the model does not have are left out."""
        known = [variable.name for variable in variables if variable.name in values]
        return {name: self.cells.spread(values[name]) for name in known}

    def forcing(self, time: np.datetime64) -> dict[str, Any]:
        """The weather of the step that begins at a time, from the time level at hand."""
        air, provider = self._air, self._provider
        temperature, virtual_temperature, pressure = (
            diagnose(self._lowest)[:, 0] for diagnose in (air.temperature, air.virtual_temperature, air.pressure)
        )
        half_layer = constants.GRAV_O_RD * 0.5 * self.thickness[:, self.level] / virtual_temperature
        has_vapour = air.has_vapour
        humidity = air.vapour(self._lowest)[:, 0] if has_vapour else provider.humidity(temperature, pressure)
        eastward, northward = self.wind()
        rain, snow = self._rain_and_snow(time)
        shortwave, longwave = provider.radiation(
            *self._coordinates, time, self.clock.host_step, temperature, humidity, pressure
        )
        at_land = {
            "met_tair": temperature,
            "met_psurf": pressure * self._xp.exp(half_layer),
            "met_wind_e": eastward,
            "met_wind_n": northward,
            "met_swdown": shortwave,
            "met_lwdown": longwave,
            "met_rainf": rain,
            "met_snowf": snow,
        }
        fields = {name: self.cells.spread(values) for name, values in at_land.items()}
        return fields | {"met_qair": air.tracers.qv if has_vapour else self.cells.spread(humidity)}

    def _rain_and_snow(self, time: np.datetime64) -> tuple[Any, Any]:
        if self._microphysics is None:
            return self._provider.precipitation(*self._coordinates, time)
        fields = self._microphysics.precip_diagnostics
        rain, *frozen = (fields[name].ndarray[self.cells.positions, self.level] for name in ("pr", "ps", "pi", "pg"))
        return rain, sum(frozen)


def _owned_cells(icon: Icon4pyDriver, xp: Any) -> arrays.Array:
    """Where ICON applies physics: owned cells from the nudging zone's start to the last local one."""
    domain = h_grid.domain(dims.CellDim)
    owned = xp.array(icon.decomposition_info.owner_mask(dims.CellDim), dtype=bool)
    owned[: int(icon.grid.start_index(domain(h_grid.Zone.NUDGING)))] = False
    owned[int(icon.grid.end_index(domain(h_grid.Zone.LOCAL))) :] = False
    return owned
