"""Coupling the land to an ICON4Py driver, as one more process of its physics."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl
from icon4py.model.driver.driver import Icon4pyDriver
from icon4py.model.driver.driver_states import DriverStates

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of, time_text
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import ExchangeSettings, FluxExchange
from ailand_gt4py.integration.coupling.mixed_layer import MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.description import HostClock, with_keywords
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.component import AilandComponent
from ailand_gt4py.integration.hosts.icon4py.host import IconHost, device_of
from ailand_gt4py.integration.hosts.icon4py.provider import IdealisedPlanet, Provider
from ailand_gt4py.integration.hosts.icon4py.state import AilandState
from ailand_gt4py.integration.hosts.icon4py.times import as_datetime, as_datetime64, as_timedelta
from ailand_gt4py.integration.restart import next_time
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model

#: Name of the process in the physics driver.
PROCESS_NAME = "ailand"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """How the land takes part in ICON4Py's physics.

    Attributes:
        provider: of what ICON4Py lacks; None: `IdealisedPlanet`.
        state_time: when the land's first state is valid and its first window begins; None: with the run. It may lie
            before the run's start by less than a window, or after it: the process then begins late.
        interval: of the component's calls; None: the emulator's step. It must divide that.
        enable: False: the process is there but off.
        moisture, implicit: see `ExchangeSettings`.
        mixing_height: m above the ground, up to which heat and vapour are mixed; 0: the lowest layer takes them.
        backend: of the land; None: ``dace_cpu`` or ``dace_gpu``, where the driver's fields are.
    """

    provider: Provider | None = None
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


@dataclasses.dataclass(frozen=True)
class Coupling:
    """What `couple` made.

    Attributes:
        land: the land component. component, state: its ICON4Py faces. process: as it stands in the physics driver.
        land_mask: (n_cells,) bool, owned cells only.
        latitude, longitude: (n_cells,) degrees.
    """

    land: LandComponent
    component: AilandComponent
    state: AilandState
    process: PhysicsProcess
    land_mask: arrays.Array
    latitude: arrays.Array
    longitude: arrays.Array

    def write_restart(self, path: str | os.PathLike[str]) -> None:
        """Write all that land and adapter remember, bit for bit, between two steps of the host; netCDF-4.

        ICON4Py's own state is not in it. `couple` takes the file for a run that starts where this one stands.

        Raises:
            RunError: writing failed; an older file of that name is then still there.
        """
        self.land.write_restart(path, self.state.exchange.memory())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue where a restart file's run stopped.

        Raises:
            InputError: a file that cannot be read, of another model, grid or step, or that ends at another time than
                this run starts.
        """
        memory = self.state.exchange.memory()
        time = next_time(path)
        if time != self.state.time:
            raise InputError(
                f"{path}: found the land at {time_text(time)}, expected {time_text(self.state.time)}, the run's start"
            )
        self.land.restore(path, memory)
        self.state.exchange.remember(memory)


def couple(
    icon: Icon4pyDriver,
    states: DriverStates,
    *,
    model: Model | None = None,
    settings: ProcessSettings | None = None,
    restart: str | os.PathLike[str] | None = None,
    **keywords: Any,
) -> Coupling:
    """Add the land to a driver's physics, after the processes that are there.

    Call it when the driver's states are there and before ``time_integration``.

    Args:
        icon: the driver. states: its states, with the initial condition in them.
        model: what to run; None: the default model.
        settings: how the land stands in the physics; None: the defaults.
        restart: file of `Coupling.write_restart` to continue from, at the run's start; with the same ``state_time``.
        keywords: attributes of `ProcessSettings`, which replace those of ``settings``, and further arguments of
            `LandComponent`: ``precision``, ``between``, ``derivatives``, ``not_finite``.

    Raises:
        InputError: an interval that does not divide the emulator's step, a model without surface fluxes, or what
            `LandComponent` finds.
        RunError: see `LandComponent`.
    """
    settings = with_keywords(ProcessSettings, settings, keywords)
    model = read_model() if model is None else model
    run_start = as_datetime64(icon.config.driver.start_of_timestepping)
    state_time = run_start if settings.state_time is None else settings.state_time.astype("datetime64[ns]")
    control = ProcessTimeControl(
        interval=as_timedelta(_interval(settings, model)),
        start_date=as_datetime(state_time),
        end_date=icon.model_time_variables.simulation_end_datetime,
        enable_process=settings.enable,
    )
    device = device_of(icon)
    backend = settings.backend or ("dace_gpu" if device == "cuda" else "dace_cpu")
    provider = settings.provider or IdealisedPlanet(device=device, backend=backends.make_backend(backend))
    # A restart file brings the clock; without one the land's first window must hold the start.
    first_window = state_time if restart is None else run_start
    clock = HostClock(
        start=max(run_start, first_window),
        host_step=np.timedelta64(icon.config.driver.dtime, "ns"),
        state_time=first_window,
    )
    host = IconHost(icon, provider, clock, prescribed_at=max(run_start, state_time))
    host.see(states.prognostics.current, states.tracers.current)
    land = LandComponent(
        model,
        grid=host.grid,
        ground=host.ground(model),
        clock=clock,
        backend=backend,
        **({"derivatives": settings.implicit} | keywords),
    )
    for name in (SENSIBLE, LATENT, WATER):
        if name not in land.outputs_properties:
            raise InputError(
                f"model: it does not give {name} ({land.missing_outputs.get(name, 'unknown')}), expected one that does"
            )
    exchange = FluxExchange(
        host.cells,
        MixedLayer(host.thickness, settings.mixing_height, device),
        ExchangeSettings(
            implicit=settings.implicit,
            moisture=settings.moisture,
            vapour_alternates=icon.granules.tracer_advection is None,
            state_alternates=icon.granules.solve_nonhydro is None,
        ),
    )
    state = AilandState(land, host, exchange, run_start, control)
    component = AilandComponent(land, exchange, state_time)
    process = PhysicsProcess(name=PROCESS_NAME, component=component, state=state, time_control=control)
    coupling = Coupling(land, component, state, process, host.grid.land_mask, host.latitude, host.longitude)
    if restart is not None:
        coupling.restore(restart)
    icon.granules.physics = PhysicsDriver([*internals.processes(icon), process])
    return coupling


def _interval(settings: ProcessSettings, model: Model) -> np.timedelta64:
    """Of the component's calls.

    Raises:
        InputError: it does not divide the emulator's step.
    """
    window = step_of(model.step_seconds)
    interval = window if settings.interval is None else settings.interval.astype("timedelta64[ns]")
    if not interval > np.timedelta64(0) or window % interval != np.timedelta64(0):
        raise InputError(
            f"land interval: found {as_timedelta(interval)}, expected one that divides the emulator's step of "
            f"{as_timedelta(window)}"
        )
    return interval
