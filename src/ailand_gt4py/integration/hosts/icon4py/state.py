"""ICON4Py's ``PhysicsState`` protocol for the land: the host's state in, its fluxes back into the lowest layers."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import FluxExchange
from ailand_gt4py.integration.hosts.icon4py.host import IconHost
from ailand_gt4py.integration.hosts.icon4py.times import as_datetime, as_timedelta


class AilandState:
    """The bridge between ICON4Py's prognostic state and the land component.

    Called by the physics driver in every step of the dycore: `gather_from_prognostic` diagnoses the lowest layer and
    adds the step's forcing to the land's window; `scatter_to_prognostic` has the fluxes of the last outputs put into
    the lowest layers, as heat at constant volume and as vapour where the host has ``qv``.

    Time. The driver does not say in `gather_from_prognostic` which step it is in, so the steps are counted from
    ``start``; a component call at another time than that is an error, and so is a step of another length.

    Time levels. The dycore swaps two of them. What the last step added to the other level only is made up for when
    gathering, so that the land sees it.

    Args:
        land: the land component. host: ICON4Py as it sees it. exchange: gives the fluxes to the air.
        start: of the host's first step.
        time_control: of the process. Outside its window, or where it is off, nothing is accumulated.

    Attributes:
        land, host, exchange, time_control: as given.
        time: start of the step that comes next.
        fields: name -> the forcing of the last step, as it went to the land.
        seconds: name -> wall-clock seconds of every step.
    """

    def __init__(
        self,
        land: LandComponent,
        host: IconHost,
        exchange: FluxExchange,
        start: np.datetime64,
        time_control: ProcessTimeControl,
    ) -> None:
        self.land, self.host, self.exchange, self.time_control = land, host, exchange, time_control
        self.time, self._step = start, host.clock.host_step
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
        self._tracers = tracers
        self.host.see(prognostic, tracers)
        if self.process_is_on:
            with self._timed("diagnose"):
                self.exchange.catch_up(self.host.air())
                forcing = self.host.forcing(self.time)
                self.fields = {name: forcing[name] for name in self.land.inputs_properties}
            with self._timed("accumulate"):
                self.land.accumulate(self.fields, self.time)
        else:
            self.exchange.catch_up(self.host.air())
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
        with self._timed("scatter"):
            self.host.see(prognostic, self._tracers)
            self.exchange.give(outputs, self.host.air(), dtime.total_seconds())

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Note the seconds of the block's work; the device is waited for, so that they are those of the work."""
        begin = time.perf_counter()
        yield
        if self.host.cells.device == "cuda":
            arrays.array_module("cuda").cuda.get_current_stream().synchronize()
        self.seconds[name].append(time.perf_counter() - begin)
