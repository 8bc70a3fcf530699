"""Linking the land into an ICON4Py driver."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl
from icon4py.model.common import dimension as dims
from icon4py.model.common import model_backends
from icon4py.model.common.grid import geometry_attributes
from icon4py.model.common.grid import horizontal as h_grid
from icon4py.model.common.interpolation import interpolation_attributes
from icon4py.model.common.metrics import metrics_attributes
from icon4py.model.driver.driver import Icon4pyDriver
from icon4py.model.driver.driver_states import DriverStates

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.clock import time_text
from ailand_gt4py.integration.component import LandComponent
from ailand_gt4py.integration.coupling.exchange import GIVEN, FluxExchange
from ailand_gt4py.integration.coupling.mixed_layer import MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.hosts.icon4py.component import AilandComponent, as_datetime, as_datetime64, as_timedelta
from ailand_gt4py.integration.hosts.icon4py.lowest_layer import LowestLayer
from ailand_gt4py.integration.hosts.icon4py.provider import IdealisedPlanet, Provider
from ailand_gt4py.integration.hosts.icon4py.state import AilandState
from ailand_gt4py.integration.restart import next_time
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

#: Name of the process in the physics driver.
PROCESS_NAME = "ailand"


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
        """Write all that land and adapter remember, to the bit, between two steps of the host; netCDF-4.

        ICON4Py's own state is not in it. `couple` takes the file for a run that starts where this one stands.

        Raises:
            RunError: writing failed; an older file of that name is then still there.
        """
        self.land.write_restart(path, self.state.exchange.memory())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Go on where a restart file's run stood.

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
    provider: Provider | None = None,
    state_time: np.datetime64 | None = None,
    interval: np.timedelta64 | None = None,
    enable: bool = True,
    moisture: bool = True,
    implicit: bool = True,
    mixing_height: float = 0.0,
    restart: str | os.PathLike[str] | None = None,
    backend: Any = None,
    **options: Any,
) -> Coupling:
    """Add the land to a driver's physics, after the processes that are there.

    Call it when the driver's states are there and before ``time_integration``.

    Args:
        icon: the driver. states: its states, with the initial condition in them.
        model: what to run; None: the default model.
        provider: of what ICON4Py lacks; None: `IdealisedPlanet`.
        state_time: when the land's first state is valid and its first window begins; None: with the run. It may lie
            before the run's start by less than a window, or after it: the process then begins late.
        interval: of the component's calls; None: the emulator's step. It must divide that.
        enable: False: the process is there but off.
        moisture: give evaporation to the host's vapour, if it has any.
        implicit: take the fluxes for the air at each step's end, by the network's derivatives
            (`surface_fluxes.for_air_at_end_of_step`); False: as they are held between the emulator's steps.
        mixing_height: m above the ground, up to which heat and vapour are mixed; 0: the lowest layer takes them.
        restart: file of `Coupling.write_restart` to go on from, at the run's start; with the same ``state_time``.
        backend: of the land; None: ``dace_cpu`` or ``dace_gpu``, where the driver's fields are.
        options: further arguments of `LandComponent`: ``precision``, ``between``, ``derivatives``, ``not_finite``.

    Raises:
        InputError: an interval that does not divide the emulator's step, a model without surface fluxes, or what
            `LandComponent` finds.
        RunError: see `LandComponent`.
    """
    model = read_model() if model is None else model
    device: arrays.Device = (
        "cuda" if icon.backend is not None and model_backends.is_gpu_backend(icon.backend) else "cpu"
    )
    xp = arrays.array_module(device)
    if backend is None:
        backend = "dace_gpu" if device == "cuda" else "dace_cpu"
    if provider is None:
        provider = IdealisedPlanet(device=device, backend=backends.make_backend(backend))
    driver_config = icon.config.driver
    step = np.timedelta64(driver_config.dtime, "ns")
    run_start = as_datetime64(driver_config.start_of_timestepping)
    state_time = run_start if state_time is None else state_time.astype("datetime64[ns]")
    window = np.timedelta64(round(model.step_seconds * 1e9), "ns")
    interval = window if interval is None else interval.astype("timedelta64[ns]")
    if not interval > np.timedelta64(0) or window % interval != np.timedelta64(0):
        raise InputError(
            f"land interval: found {as_timedelta(interval)}, expected one that divides the emulator's step of "
            f"{as_timedelta(window)}"
        )

    geometry, metrics = icon.static_field_factories.geometry, icon.static_field_factories.metrics
    latitude, longitude = (
        xp.rad2deg(geometry.get(name).ndarray) for name in (geometry_attributes.CELL_LAT, geometry_attributes.CELL_LON)
    )
    if not 0.0 <= mixing_height < np.inf:
        raise InputError(f"mixing height: found {mixing_height} m, expected 0 m or more")
    land_mask = provider.land_mask(latitude, longitude) & _owned_cells(icon, xp)
    layer = lowest_layer(icon, land_mask, device)
    cells = layer.cells
    height = metrics.get(metrics_attributes.CELL_HEIGHT_ON_HALF_LEVEL).ndarray[:, -1]
    air = layer.air(states.prognostics.current, states.tracers.current)

    static = provider.static(latitude[cells], longitude[cells], height[cells])
    first = provider.initial_state(latitude[cells], longitude[cells], air.temperature, static)
    prescribed = provider.prescribed(latitude[cells], longitude[cells], max(run_start, state_time))

    def on_cells(values: dict[str, Any], names: list[str]) -> dict[str, Any]:
        """Fields over all cells from those over land cells; names the model does not have are left out."""
        result = {}
        for name in names:
            if name in values:
                result[name] = xp.full(len(latitude), np.nan, dtype=np.float64)
                result[name][cells] = values[name]
        return result

    # A restart file brings the clock; without one the land's first window must hold the start.
    first_window = state_time if restart is None else run_start
    land = LandComponent(
        model,
        land_mask=land_mask,
        latitude=latitude,
        longitude=longitude,
        static=on_cells(static, [variable.name for variable in model.static]),
        initial_state=on_cells(first, [variable.name for variable in model.state]),
        prescribed=on_cells(prescribed, [variable.name for variable in model.forcing]),
        start=max(run_start, first_window),
        host_step=step,
        state_time=first_window,
        horizontal=dims.CellDim,
        levels={dims.KDim: layer.level},
        backend=backend,
        **({"derivatives": implicit} | options),
    )
    missing = [name for name in (SENSIBLE, LATENT, WATER) if name not in land.outputs_properties]
    if missing:
        raise InputError(
            f"model: it does not give {missing[0]} ({land.missing_outputs.get(missing[0], 'unknown')}), expected one "
            "that does"
        )
    control = ProcessTimeControl(
        interval=as_timedelta(interval),
        start_date=as_datetime(state_time),
        end_date=icon.model_time_variables.simulation_end_datetime,
        enable_process=enable,
    )
    exchange = FluxExchange(
        layer,
        MixedLayer(cells, metrics.get(metrics_attributes.DDQZ_Z_FULL).ndarray[cells], mixing_height, device),
        len(latitude),
        implicit=implicit,
        moisture=moisture,
        tracers_alternate=icon.granules.tracer_advection is None,
        state_alternates=icon.granules.solve_nonhydro is None,
        device=device,
    )
    existing = [] if icon.granules.physics is None else list(icon.granules.physics._processes)
    microphysics = next((one for one in existing if one.name == "muphys" and one.time_control.enable_process), None)
    state = AilandState(
        land,
        layer,
        exchange,
        provider,
        latitude=latitude[cells],
        longitude=longitude[cells],
        n_cells=len(latitude),
        start=run_start,
        step=step,
        time_control=control,
        precipitation=None if microphysics is None else lambda: microphysics.state.precip_diagnostics,
        device=device,
    )
    component = AilandComponent(
        land,
        {name: arrays.wrap(values, (dims.CellDim,), name) for name, values in exchange.given.items()},
        {
            name: {"standard_name": name, **cf_attributes(CATALOGUE[name]), "dims": (dims.CellDim,), "origin": "host"}
            for name in GIVEN
        },
        state_time,
    )
    process = PhysicsProcess(name=PROCESS_NAME, component=component, state=state, time_control=control)
    coupling = Coupling(land, component, state, process, land_mask, latitude, longitude)
    if restart is not None:
        coupling.restore(restart)
    icon.granules.physics = PhysicsDriver([*existing, process])
    return coupling


def lowest_layer(icon: Icon4pyDriver, land_mask: arrays.Array, device: arrays.Device = "cpu") -> LowestLayer:
    """The lowest layer of a driver's atmosphere over its land cells.

    Args:
        land_mask: (n_cells,) bool.
    """
    xp = arrays.array_module(device)
    factories = icon.static_field_factories
    cells = xp.flatnonzero(land_mask)
    level = int(icon.grid.num_levels) - 1
    edges = xp.asarray(icon.grid.get_connectivity("C2E2C2E").ndarray)[cells]
    eastward, northward = (
        factories.interpolation.get(name).ndarray[cells]
        for name in (interpolation_attributes.RBF_VEC_COEFF_C1, interpolation_attributes.RBF_VEC_COEFF_C2)
    )
    return LowestLayer(
        cells,
        level,
        factories.metrics.get(metrics_attributes.DDQZ_Z_FULL).ndarray[:, level][cells],
        factories.geometry.get(geometry_attributes.CELL_AREA).ndarray[cells],
        edges,
        eastward,
        northward,
        device,
    )


def _owned_cells(icon: Icon4pyDriver, xp: Any) -> arrays.Array:
    """Where ICON applies physics: owned cells from the nudging zone's start to the last local one."""
    domain = h_grid.domain(dims.CellDim)
    owned = xp.asarray(icon.decomposition_info.owner_mask(dims.CellDim)).astype(bool)
    inner = xp.zeros(len(owned), dtype=bool)
    inner[
        int(icon.grid.start_index(domain(h_grid.Zone.NUDGING))) : int(icon.grid.end_index(domain(h_grid.Zone.LOCAL)))
    ] = True
    return owned & inner
