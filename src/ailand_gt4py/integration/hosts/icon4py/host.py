"""ICON4Py as a host of the land: its grid, what the land is made of, and the lowest layer's weather."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from icon4py.model.common import dimension as dims
from icon4py.model.common import model_backends
from icon4py.model.common.grid import geometry_attributes
from icon4py.model.common.grid import horizontal as h_grid
from icon4py.model.common.interpolation import interpolation_attributes
from icon4py.model.common.metrics import metrics_attributes
from icon4py.model.driver.driver import Icon4pyDriver

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.land_cells import LandCells
from ailand_gt4py.integration.description import Ground, HostClock, HostGrid
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.air import IconAir, LowestLayer
from ailand_gt4py.integration.hosts.icon4py.provider import Provider
from ailand_gt4py.weights.model import Model, Variable


def device_of(icon: Icon4pyDriver) -> arrays.Device:
    """Where a driver's fields are."""
    return "cuda" if icon.backend is not None and model_backends.is_gpu_backend(icon.backend) else "cpu"


class IconHost:
    """A driver of ICON4Py: an `ailand_gt4py.integration.hosts.host.Host`.

    The dycore swaps two time levels, so no field of its state is used beyond the step in which it was given to `see`.
    Vapour is read where it is. All else that the land needs is diagnosed into buffers of this object; they are NaN at
    cells that are not land.

    Args:
        icon: the driver. provider: of what ICON4Py lacks.
        clock: of the land component. prescribed_at: time for which the provider prescribes.

    Attributes:
        grid: of the land component. clock: as given.
        cells: owned land cells. layer: the lowest layer over them. thickness: (n_land, n_levels) of all layers, m.
        latitude, longitude: (n_cells,) degrees.
    """

    def __init__(self, icon: Icon4pyDriver, provider: Provider, clock: HostClock, prescribed_at: np.datetime64) -> None:
        device = device_of(icon)
        self._xp = xp = arrays.array_module(device)
        self._provider, self.clock, self._prescribed_at = provider, clock, prescribed_at
        fields = icon.static_field_factories
        self.latitude, self.longitude = (
            xp.rad2deg(fields.geometry.get(name).ndarray)
            for name in (geometry_attributes.CELL_LAT, geometry_attributes.CELL_LON)
        )
        land_mask = provider.land_mask(self.latitude, self.longitude) & _owned_cells(icon, xp)
        positions = xp.flatnonzero(land_mask)
        area = fields.geometry.get(geometry_attributes.CELL_AREA).ndarray[positions]
        self.cells = LandCells(positions, area, len(land_mask), device)
        self.thickness = fields.metrics.get(metrics_attributes.DDQZ_Z_FULL).ndarray[positions]
        height = fields.metrics.get(metrics_attributes.CELL_HEIGHT_ON_HALF_LEVEL).ndarray[:, -1]
        self._height = height[positions]
        self._coordinates = self.latitude[positions], self.longitude[positions]
        level = int(icon.grid.num_levels) - 1
        self.layer = LowestLayer(
            self.cells,
            level,
            self.thickness[:, level],
            xp.asarray(icon.grid.get_connectivity("C2E2C2E").ndarray)[positions],
            *(
                fields.interpolation.get(name).ndarray[positions]
                for name in (interpolation_attributes.RBF_VEC_COEFF_C1, interpolation_attributes.RBF_VEC_COEFF_C2)
            ),
        )
        self.grid = HostGrid(
            land_mask=land_mask,
            latitude=self.latitude,
            longitude=self.longitude,
            horizontal=dims.CellDim,
            levels={dims.KDim: level},
        )
        self._precipitation = _microphysics(icon)
        self._buffers: dict[str, arrays.Array] = {}
        self._prognostic: Any = None
        self._tracers: Any = None

    def see(self, prognostic: Any, tracers: Any) -> None:
        """Take a time level of ICON4Py's state as the one at hand."""
        self._prognostic, self._tracers = prognostic, tracers

    def air(self) -> IconAir:
        """At land, of the time level at hand."""
        return IconAir(self.cells.positions, self._prognostic, self._tracers)

    def ground(self, model: Model) -> Ground:
        """What the provider says of the land, with a first state for the time level at hand."""
        latitude, longitude = self._coordinates
        static = self._provider.static(latitude, longitude, self._height)
        temperature = self.layer.air(self._prognostic, self._tracers).temperature
        state = self._provider.initial_state(latitude, longitude, temperature, static)
        prescribed = self._provider.prescribed(latitude, longitude, self._prescribed_at)
        return Ground(
            static=self._on_cells(static, model.static),
            initial_state=self._on_cells(state, model.state),
            prescribed=self._on_cells(prescribed, model.forcing),
        )

    def _on_cells(self, values: Mapping[str, Any], variables: Sequence[Variable]) -> dict[str, Any]:
        """Fields over all cells from those over land cells; names the model does not have are left out."""
        result = {variable.name: self.cells.filled(np.nan) for variable in variables if variable.name in values}
        for name, field in result.items():
            field[self.cells.positions] = values[name]
        return result

    def forcing(self, time: np.datetime64) -> dict[str, Any]:
        """The weather of the step that begins at a time, from the time level at hand."""
        air, provider = self.layer.air(self._prognostic, self._tracers), self._provider
        humidity = provider.humidity(air.temperature, air.pressure) if air.humidity is None else air.humidity
        eastward, northward = self.layer.wind(self._prognostic)
        rain, snow = self._rain_and_snow(time)
        shortwave, longwave = provider.radiation(
            *self._coordinates, time, self.clock.host_step, air.temperature, humidity, air.pressure
        )
        values = {
            "met_tair": air.temperature,
            "met_psurf": air.surface_pressure,
            "met_wind_e": eastward,
            "met_wind_n": northward,
            "met_swdown": shortwave,
            "met_lwdown": longwave,
            "met_rainf": rain,
            "met_snowf": snow,
        }
        if air.humidity is None:
            values["met_qair"] = humidity
        for name, field in values.items():
            if name not in self._buffers:
                self._buffers[name] = self.cells.filled(np.nan)
            self._buffers[name][self.cells.positions] = field
        return self._buffers if air.humidity is None else {**self._buffers, "met_qair": self._tracers.qv}

    def _rain_and_snow(self, time: np.datetime64) -> tuple[Any, Any]:
        if self._precipitation is None:
            return self._provider.precipitation(*self._coordinates, time)
        rates = {name: self.layer.at_land(field) for name, field in self._precipitation().items() if name != "pre"}
        return rates["pr"], rates["ps"] + rates["pi"] + rates["pg"]


def _microphysics(icon: Icon4pyDriver) -> Callable[[], Mapping[str, Any]] | None:
    """What gives muphys' ``precip_diagnostics``; None without it."""
    for process in internals.processes(icon):
        if process.name == "muphys" and process.time_control.enable_process:
            state: Any = process.state
            return lambda: state.precip_diagnostics
    return None


def _owned_cells(icon: Icon4pyDriver, xp: Any) -> arrays.Array:
    """Where ICON applies physics: owned cells from the nudging zone's start to the last local one."""
    domain = h_grid.domain(dims.CellDim)
    owned = xp.asarray(icon.decomposition_info.owner_mask(dims.CellDim)).astype(bool)
    first, end = icon.grid.start_index(domain(h_grid.Zone.NUDGING)), icon.grid.end_index(domain(h_grid.Zone.LOCAL))
    inner = xp.zeros(len(owned), dtype=bool)
    inner[int(first) : int(end)] = True
    return owned & inner
