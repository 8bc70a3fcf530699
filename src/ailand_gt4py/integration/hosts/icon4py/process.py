"""Coupling the land to an ICON4Py driver, as one more process of its physics."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl
from icon4py.model.common import dimension as dims
from icon4py.model.driver.driver import Icon4pyDriver
from icon4py.model.driver.driver_states import DriverStates

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import parse_time, step_of, time_text
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import GIVEN, FluxExchange
from ailand_gt4py.integration.coupling.mixed_layer import MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.description import HostClock, group_of
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.host import IconHost, device_of
from ailand_gt4py.integration.hosts.icon4py.provider import IdealisedPlanet
from ailand_gt4py.integration.outputs import catalogued
from ailand_gt4py.integration.restart import next_time
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """How the land takes part in ICON4Py's physics.

    Attributes:
        provider: of what ICON4Py lacks; None: `IdealisedPlanet`.
        state_time: when the land's first state is valid and its first window begins; None: with the run. It may lie
            before the run's start by less than a window, or after it: the process then begins late.
        interval: of the component's calls; None: the emulator's step. It must divide that.
        enable: False: the process is there but off.
        moisture, implicit: see `FluxExchange`.
        mixing_height: m above the ground, up to which heat and vapour are mixed; 0: the lowest layer takes them.
        backend: of the land; None: ``dace_cpu`` or ``dace_gpu``, where the driver's fields are.
    """

    provider: IdealisedPlanet | None = None
    state_time: np.datetime64 | None = None
    interval: np.timedelta64 | None = None
    enable: bool = True
    moisture: bool = True
    implicit: bool = True
    mixing_height: float = 0.0
    backend: Any = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.mixing_height < np.inf:
            raise InputError(f"mixing height: found {self.mixing_height} m, expected 0 m or more")

    def interval_within(self, window: np.timedelta64) -> datetime.timedelta:
        """Of the component's calls, which must divide the emulator's window."""
        interval = window if self.interval is None else self.interval.astype("timedelta64[ns]")
        if not interval > np.timedelta64(0) or window % interval != np.timedelta64(0):
            raise InputError(
                f"land interval: found {_timedelta(interval)}, expected one that divides the emulator's step of "
                f"{_timedelta(window)}"
            )
        return _timedelta(interval)


class Coupling:
    """The land as a process of ICON4Py's physics: its ``Component`` and its ``PhysicsState``.

    The physics driver gathers in every step of the dycore: the lowest layer is diagnosed and the step's forcing added
    to the land's window. At the process's interval it calls the component, which lets the emulator make its step if it
    is due. It then scatters, in every step: the fluxes of the last outputs go into the lowest layers, as heat at
    constant volume, and as vapour where the host has ``qv``.

    The outputs are buffers of the land component and of the exchange, the same objects in every call: the driver holds
    on to them between calls. The land's are those that hold from now on; what the air was given, as fluxes and as
    tendencies of its lowest layer, is written when it is given.

    The driver does not say when gathering which step it is in, so the steps are counted from the first one's ``start``;
    a component call at another time than that is an error, and so is a step of another length. The dycore swaps two
    time levels. What the last step added to the other level only is made up for when gathering, so that the land sees
    it. Outside the time control's window, or where the process is off, nothing is accumulated.

    Attributes:
        land: the land component. host: ICON4Py as it sees it. exchange: gives the fluxes to the air.
        process: as it stands in the physics driver.
        inputs_properties, outputs_properties: name -> standard_name, units, dims.
        time: start of the step that comes next.
        fields: name -> the forcing of the last step, as it went to the land.
        seconds: name -> wall-clock seconds of every step, or of every call of the component with and without the
            emulator's step.
    """

    def __init__(
        self,
        land: LandComponent,
        host: IconHost,
        exchange: FluxExchange,
        start: np.datetime64,
        time_control: ProcessTimeControl,
    ) -> None:
        self.land, self.host, self.exchange, self.time = land, host, exchange, start
        self.process = PhysicsProcess(name="ailand", component=self, state=self, time_control=time_control)
        self.inputs_properties = land.inputs_properties
        self.outputs_properties = land.outputs_properties | {
            name: catalogued(name, "host") | {"dims": (dims.CellDim,)} for name in GIVEN
        }
        self._outputs = land.outputs | {
            name: arrays.wrap(values, (dims.CellDim,), name) for name, values in exchange.given.items()
        }
        self.fields: dict[str, Any] = {}
        self.seconds = collections.defaultdict[str, list[float]](list)

    def gather_from_prognostic(self, prognostic: Any, tracers: Any) -> None:
        """Diagnose the lowest layer and add the step's forcing to the land's window."""
        self.host.see(prognostic, tracers)
        control = self.process.time_control
        if control.enable_process and control.is_in_window(_datetime(self.time)):
            with self._timed("diagnosis_and_radiation"):
                self.exchange.catch_up(self.host.air())
                forcing = self.host.forcing(self.time)
                self.fields = {name: forcing[name] for name in self.inputs_properties}
            with self._timed("accumulation"):
                self.land.accumulate(self.fields, self.time)
        else:
            self.exchange.catch_up(self.host.air())
        self.time = self.time + self.host.clock.host_step

    def as_component_input(self) -> dict[str, Any]:
        """The forcing of the last step by name; it has been added to the land's window."""
        if not self.fields:
            raise RuntimeError("as_component_input called before gather_from_prognostic")
        return self.fields

    def __call__(self, state: dict[str, Any], time_step: datetime.datetime) -> dict[str, Any]:
        """Give what `outputs_properties` lists; `as_component_input` is added up already, and not read here."""
        with self._timed("emulator_step" if self.land.is_due else "other_calls"):
            self.land.advance(parse_time(time_step))
        return self._outputs

    def scatter_to_prognostic(self, prognostic: Any, outputs: dict[str, Any], dtime: datetime.timedelta) -> None:
        """Put the fluxes of the component's last call, perhaps of an earlier step, into the time level at hand."""
        step = _timedelta(self.host.clock.host_step)
        if dtime != step:
            raise InputError(f"step: found {dtime}, expected {step}, that of the land component")
        with self._timed("fluxes_into_the_air"):
            self.host.see(prognostic, self.host.air().tracers)
            self.exchange.give(outputs, self.host.air(), dtime.total_seconds())

    def write_restart(self, path: str | os.PathLike[str]) -> None:
        """Write all that land and adapter remember, bit for bit, between two steps of the host; netCDF-4.

        ICON4Py's own state is not in it. `couple` takes the file for a run that starts where this one stands.
        """
        self.land.write_restart(path, self.exchange.memory)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue where a restart file's run stopped.

        Raises:
            InputError: as `LandComponent.restore`, or a run that stopped at another time than this one starts.
        """
        found = next_time(path)
        if found != self.time:
            raise InputError(
                f"{path}: found the land at {time_text(found)}, expected {time_text(self.time)}, the run's start"
            )
        self.land.restore(path, self.exchange.memory)

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Note the seconds of the block's work; the device is waited for, so that they are those of the work."""
        begin = time.perf_counter()
        yield
        if self.host.cells.device == "cuda":
            arrays.array_module("cuda").cuda.get_current_stream().synchronize()
        self.seconds[name].append(time.perf_counter() - begin)


def couple(
    icon: Icon4pyDriver,
    states: DriverStates,
    *,
    model: Model | None = None,
    restart: str | os.PathLike[str] | None = None,
    **keywords: Any,
) -> Coupling:
    """Add the land to a driver's physics, after the processes that are there.

    Call it when the driver's states are there and before ``time_integration``.

    Args:
        icon: the driver. states: its states, with the initial condition in them.
        model: what to run; None: the default model.
        restart: file of `Coupling.write_restart` to continue from, at the run's start; with the same ``state_time``.
        keywords: attributes of `ProcessSettings`, and further arguments of `LandComponent`: ``precision``, ``between``,
            ``derivatives``, ``not_finite``.

    Raises:
        InputError: an interval that does not divide the emulator's step, a model without surface fluxes, or what
            `LandComponent` finds.
        RunError: see `LandComponent`.
    """
    settings = group_of(ProcessSettings, "settings", None, keywords)
    model = read_model() if model is None else model
    run_start = parse_time(icon.config.driver.start_of_timestepping)
    state_time = run_start if settings.state_time is None else settings.state_time.astype("datetime64[ns]")
    control = ProcessTimeControl(
        interval=settings.interval_within(step_of(model.step_seconds)),
        start_date=_datetime(state_time),
        end_date=icon.model_time_variables.simulation_end_datetime,
        enable_process=settings.enable,
    )
    device = device_of(icon)
    backend = settings.backend or ("dace_gpu" if device == "cuda" else "dace_cpu")
    provider = settings.provider or IdealisedPlanet(device, backends.for_columns(backend))
    # A restart file brings the clock; without one the land's first window must hold the start.
    first_window = state_time if restart is None else run_start
    clock = HostClock(
        start=max(run_start, first_window),
        host_step=np.timedelta64(icon.config.driver.dtime, "ns"),
        state_time=first_window,
    )
    host = IconHost(icon, provider, clock)
    host.see(states.prognostics.current, states.tracers.current)
    keywords = {"derivatives": settings.implicit} | keywords
    land = LandComponent(model, grid=host.grid, ground=host.ground(model), clock=clock, backend=backend, **keywords)
    for name in (SENSIBLE, LATENT, WATER):
        if name not in land.outputs_properties:
            raise InputError(
                f"model: it does not give {name} ({land.missing_outputs.get(name, 'unknown')}), expected one that does"
            )
    exchange = FluxExchange(
        host.cells,
        MixedLayer(host.thickness, settings.mixing_height, device),
        implicit=settings.implicit,
        moisture=settings.moisture,
        vapour_alternates=icon.granules.tracer_advection is None,
        state_alternates=icon.granules.solve_nonhydro is None,
    )
    coupling = Coupling(land, host, exchange, run_start, control)
    if restart is not None:
        coupling.restore(restart)
    icon.granules.physics = PhysicsDriver([*internals.processes(icon), coupling.process])
    return coupling


def _datetime(moment: np.datetime64) -> datetime.datetime:
    """A date as ICON4Py has it, without a time zone."""
    return moment.astype("datetime64[us]").item()


def _timedelta(duration: np.timedelta64) -> datetime.timedelta:
    """A duration as ICON4Py has it."""
    return duration.astype("timedelta64[us]").item()
