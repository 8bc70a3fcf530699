"""ICON4Py's ``PhysicsState`` protocol for the land: the host's state in, its fluxes back into the lowest layers."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import FluxExchange
from ailand_gt4py.integration.hosts.icon4py.component import as_datetime, as_timedelta
from ailand_gt4py.integration.hosts.icon4py.lowest_layer import LowestLayer
from ailand_gt4py.integration.hosts.icon4py.provider import Provider


class AilandState:
    """The bridge between ICON4Py's prognostic state and the land component.

    Called by the physics driver in every step of the dycore: `gather_from_prognostic` diagnoses the lowest layer and
    adds the step's forcing to the land's window; `scatter_to_prognostic` has the fluxes of the last outputs put into
    the lowest layers, as heat at constant volume and as vapour where the host has ``qv``.

    Time. The driver does not say in `gather_from_prognostic` which step it is in, so the steps are counted from
    ``start``; a component call at another time than that is an error, and so is a step of another length.

    Time levels. The dycore swaps two of them, so no field of the host's state is used beyond the step in which it was
    given. What the last step added to the other level only is made up for when gathering, so that the land sees it.

    Memory. Vapour is read where it is. All else the land needs is diagnosed into buffers of this object; they are NaN
    at cells that are not land.

    Args:
        land: the land component. layer: the host's lowest layer over its land cells. exchange: gives the fluxes to it.
        provider: of what the host lacks.
        latitude, longitude: (n_land,) of these cells, degrees.
        n_cells: of the host's fields.
        start: of the host's first step. step: its length.
        time_control: of the process. Outside its window, or where it is off, nothing is accumulated.
        precipitation: gives muphys' ``precip_diagnostics``; None: the provider's rain and snow.

    Attributes:
        land, layer, exchange, time_control: as given.
        time: start of the step that comes next.
        fields: name -> the forcing of the last step, as it went to the land.
        seconds: name -> wall-clock seconds of every step.
    """

    def __init__(
        self,
        land: LandComponent,
        layer: LowestLayer,
        exchange: FluxExchange,
        provider: Provider,
        *,
        latitude: Any,
        longitude: Any,
        n_cells: int,
        start: np.datetime64,
        step: np.timedelta64,
        time_control: ProcessTimeControl,
        precipitation: Callable[[], Mapping[str, Any]] | None = None,
        device: arrays.Device = "cpu",
    ) -> None:
        self.land, self.layer, self.exchange, self.time_control = land, layer, exchange, time_control
        self._provider, self._latitude, self._longitude = provider, latitude, longitude
        self.time, self._step = start, step
        self._precipitation = precipitation
        self._device = device
        self._xp = arrays.array_module(device)
        # Those that the land takes and that are not read from the host where they are.
        self._buffers = {name: self._xp.full(n_cells, np.nan, dtype=np.float64) for name in land.inputs_properties}
        self.fields: dict[str, Any] = {}
        self._tracers: Any = None
        self.seconds: dict[str, list[float]] = {"diagnose": [], "accumulate": [], "scatter": []}

    @property
    def process_is_on(self) -> bool:
        """Whether the driver runs the process in the step that begins at `time`."""
        control = self.time_control
        return control.enable_process and control.is_in_window(as_datetime(self.time))

    def gather_from_prognostic(self, prognostic: Any, tracers: Any) -> None:
        """Diagnose the lowest layer and add the step's forcing to the land's window.

        Raises:
            InputError: a number that is not finite, or a window that is full and was not advanced.
        """
        begin = time.perf_counter()
        self._tracers = tracers
        self.exchange.catch_up(prognostic, tracers)
        if self.process_is_on:
            self._diagnose(prognostic, tracers)
            self._synchronise()
            middle = time.perf_counter()
            self.land.accumulate(self.fields, self.time)
            self._synchronise()
            self.seconds["diagnose"].append(middle - begin)
            self.seconds["accumulate"].append(time.perf_counter() - middle)
        self.time = self.time + self._step

    def as_component_input(self) -> dict[str, Any]:
        """The forcing of the last step by name; it has been added to the land's window.

        Raises:
            RuntimeError: `gather_from_prognostic` was not called.
        """
        if not self.fields:
            raise RuntimeError("as_component_input called before gather_from_prognostic")
        return self.fields

    def scatter_to_prognostic(self, prognostic: Any, outputs: dict[str, Any], dtime: datetime.timedelta) -> None:
        """Put the fluxes into the lowest layers of the time level at hand.

        Args:
            outputs: of the component's last call, perhaps of an earlier step.
            dtime: the host's step.

        Raises:
            InputError: another step than the land component was made for.
        """
        if dtime != as_timedelta(self._step):
            raise InputError(f"step: found {dtime}, expected {as_timedelta(self._step)}, that of the land component")
        begin = time.perf_counter()
        self.exchange.give(outputs, prognostic, self._tracers, dtime.total_seconds())
        self._synchronise()
        self.seconds["scatter"].append(time.perf_counter() - begin)

    def _diagnose(self, prognostic: Any, tracers: Any) -> None:
        """Fill `fields` for the step that begins at `time`."""
        air = self.layer.air(prognostic, tracers)
        eastward, northward = self.layer.wind(prognostic)
        humidity = self._provider.humidity(air.temperature, air.pressure) if air.humidity is None else air.humidity
        rain, snow = self._rain_and_snow()
        shortwave, longwave = self._provider.radiation(
            self._latitude, self._longitude, self.time, self._step, air.temperature, humidity, air.pressure
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
        else:
            self.fields["met_qair"] = tracers.qv
        for name, buffer in self._buffers.items():
            if name in values:
                buffer[self.layer.cells] = values[name]
                self.fields[name] = buffer

    def _rain_and_snow(self) -> tuple[Any, Any]:
        if self._precipitation is None:
            return self._provider.precipitation(self._latitude, self._longitude, self.time)
        rates = {name: self.layer.at_land(field) for name, field in self._precipitation().items() if name != "pre"}
        return rates["pr"], rates["ps"] + rates["pi"] + rates["pg"]

    def _synchronise(self) -> None:
        """Wait for the device, so that the seconds are those of the work."""
        if self._device == "cuda":
            self._xp.cuda.get_current_stream().synchronize()
