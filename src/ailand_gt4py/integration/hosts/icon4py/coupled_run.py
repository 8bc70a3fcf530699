"""A coupled run: ICON4Py with aiLand as its land surface, from nothing to a file and a figure.

It begins with a Jablonowski-Williamson state on a generated grid. ICON4Py's command reads only exported Fortran name
lists, so its Python functions are called.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import xarray as xr
from grid_generator import generate_grid
from icon4py.model.common import initial_condition, model_backends, model_options
from icon4py.model.common.config import config_io
from icon4py.model.common.decomposition import definitions as decomposition
from icon4py.model.common.states import diagnostic_state, nonhydro_states, prognostic_state, tracer_states
from icon4py.model.driver import config as driver_config
from icon4py.model.driver import driver, driver_states, driver_utils

from ailand_gt4py import __version__
from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions
from ailand_gt4py.integration.hosts.icon4py.process import Coupling, couple
from ailand_gt4py.integration.hosts.icon4py.recorder import Recorder
from ailand_gt4py.io.whole_files import write_figure, write_netcdf
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model


def grid_file(grid: str, directory: Path) -> Path:
    """Path of a grid's file; a grid that is a name is generated, once."""
    for path in (Path(grid), directory / f"icon_grid_{grid}.nc"):
        if path.is_file():
            return path
    try:
        generated = generate_grid(grid)
    except (ValueError, TypeError) as error:
        raise InputError(f"grid: found '{grid}', expected a grid file or a name such as R2B3: {error}") from error
    directory.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "writing the grid") as temporary:
        generated.to_netcdf(temporary)
    return path


def configuration(options: RunOptions, output: Path) -> driver_config.ExperimentConfig:
    """ICON4Py's configuration, its own defaults filled in; where ``output`` is there it chooses another directory."""
    text = f"""
geometry: {{}}
metrics: {{rayleigh_coeff: 0.1}}
interpolation: {{}}
vertical_grid:
  num_levels: {options.levels}
  model_top_height: 35000.0
  flat_height: 16000.0
  stretch_factor: 0.85
  rayleigh_damping_height: 22500.0
topography: {{config: {{type: jablonowski_williamson}}}}
initial_condition: {{config: {{type: jablonowski_williamson}}}}
prescribed_tendencies: {{}}
driver:
  experiment_name: ailand_jablonowski_williamson
  profiling_options: null
  dtime: {options.dtime}
  ndyn_substeps: {options.substeps}
  start_of_simulation: '{options.start_text}'
  start_of_timestepping: '{options.start_text}'
  end_of_simulation: {{type: numsteps, value: {options.n_steps}}}
  output_path: {output}
nonhydrostatic: {"{}" if options.dynamics else "null"}
diffusion: null
tracer_config: {"{qv: true}" if options.moisture else "null"}
"""
    return config_io.read_yaml_str(text, driver_config.ExperimentConfig)


def make_driver(options: RunOptions, grid: Path, output: Path) -> driver.Icon4pyDriver:
    """The driver, everything compiled."""
    if options.host_backend not in model_backends.BACKENDS:
        raise InputError(
            f"backend: found '{options.host_backend}', expected one of {', '.join(model_backends.BACKENDS)}"
        )
    backend = model_options.customize_backend(program=None, backend=model_backends.BACKENDS[options.host_backend])
    config = configuration(options, output)
    process = decomposition.get_process_properties(decomposition.get_runtype(with_mpi=False))
    manager = driver_utils.create_grid_manager(
        grid_file_path=grid,
        vertical_grid_config=config.vertical_grid,
        allocator=model_backends.get_allocator(backend),
        process_props=process,
    )
    with internals.short_cuts(options.substeps) if model_backends.is_cpu_backend(backend) else contextlib.nullcontext():
        try:
            return driver.initialize_driver(config=config, grid_manager=manager, process_props=process, backend=backend)
        except (ValueError, TypeError) as error:
            raise RunError(f"setting up ICON4Py: {error}") from error


def initial_states(icon: driver.Icon4pyDriver) -> driver_states.DriverStates:
    """States with the initial condition in them: what ICON4Py's ``run_driver`` does before the time loop."""
    allocator = model_backends.get_allocator(icon.backend)
    prognostic = prognostic_state.initialize_prognostic_state(grid=icon.grid, allocator=allocator)
    tracers = tracer_states.initialize_tracer_state(
        grid=icon.grid, allocator=allocator, tracer_config=icon.config.tracer_config
    )
    nonhydro = (
        nonhydro_states.initialize_solve_nonhydro_diagnostic_state(grid=icon.grid, allocator=allocator)
        if icon.config.nonhydrostatic is not None
        else None
    )
    of_both: dict[str, Any] = {
        "grid": icon.grid,
        "static_fields": icon.static_field_factories,
        "prognostic_state_now": prognostic,
        "tracer_state_now": tracers,
        "solve_nonhydro_diagnostic_state": nonhydro,
        "backend": icon.backend,
        "exchange": icon.exchange,
    }
    initial_condition.create(
        config=icon.config.initial_condition,
        vertical_config=icon.config.vertical_grid,
        global_reductions=icon.global_reductions,
        **of_both,
    )
    states = driver_states.assemble_driver_states(
        allocator=allocator,
        diagnostic_state=diagnostic_state.initialize_diagnostic_state(grid=icon.grid, allocator=allocator),
        experiment_config=icon.config,
        **of_both,
    )
    driver_utils.validate_granule_state_consistency(config=icon.config, granules=icon.granules, states=states)
    return states


def run(options: RunOptions, out: TextIO | None = None, model: Model | None = None) -> xr.Dataset:
    """Make the run and give its records; ``out``: for progress and closing figures; ``model``: not the options'."""

    def say(text: str) -> None:
        if out is not None:
            print(text, file=out, flush=True)

    def report(number: int) -> None:
        if number == 1 or number % max(options.n_steps // 10, 1) == 0:
            say(f"step {number} of {options.n_steps}: {recorder.step_seconds[-1]:.3f} s")

    with tempfile.TemporaryDirectory() as temporary:
        grid = grid_file(options.grid, options.grids or Path(temporary))
        say(f"ICON4Py on {grid.name}: setting up ({options.host_backend})")
        icon = make_driver(options, grid, Path(temporary) / "icon4py")
        states = initial_states(icon)
        interval = options.land_interval
        coupling = couple(
            icon,
            states,
            model=read_model(options.model) if model is None else model,
            interval=None if interval is None else np.timedelta64(round(interval * 3600), "s"),
            moisture=options.moisture,
            implicit=options.implicit,
            mixing_height=options.mixing_height,
            backend=options.land_backend,
        )
        say(f"{coupling.host.cells.n_cells} cells, {coupling.land.n_land} of them land; {options.n_steps} steps")
        recorder = Recorder(icon, coupling, options.record // options.dtime, report)
        icon.time_integration(states)
        data = recorder.dataset(_attributes(options, coupling))
        if options.output is not None:
            write_netcdf(options.output, data)
        if options.plot is not None:
            from ailand_gt4py.integration.hosts.icon4py.figure import draw  # Matplotlib takes its time

            write_figure(options.plot, lambda: draw(data, grid))
    for line in summary(data):
        say(line)
    return data


def summary(data: xr.Dataset) -> list[str]:
    """The closing lines: energy and shares of the step's time."""
    step = data.attrs["seconds_step"]

    def of_step(name: str, label: str) -> str:
        seconds = data.attrs[f"seconds_{name}"]
        return f"  {label:<34}{1e3 * seconds:10.3f} ms{100 * seconds / step:9.2f} % of a step"

    given, received = (
        float((data[f"energy_{kind}_sensible"] + data[f"energy_{kind}_latent"]).sum()) for kind in ("given", "received")
    )
    air = data["air_temperature_lowest_level"].values[:, data["land_mask"].values == 1]
    spread = np.ptp(air, axis=0)
    return [
        f"air of the lowest level over land {air.min():.1f} to {air.max():.1f} K; range at a cell through the run: "
        f"median {np.median(spread):.1f} K, largest {spread.max():.1f} K",
        f"energy given by land {given:.6e} J, received by the air {received:.6e} J, "
        f"residual {data.attrs['energy_residual']:.1e} of the energy exchanged",
        f"of it {float(data['energy_adjusted'].sum()):.3e} J because fluxes follow the air meanwhile",
        f"time of a host step{1e3 * step:27.3f} ms",
        of_step("dynamics", "dynamics"),
        of_step("diagnosis_and_radiation", "lowest layer and radiation"),
        of_step("accumulation", "land: accumulation"),
        of_step("fluxes_into_the_air", "fluxes into the air"),
        of_step("emulator_step", "land: emulator, when it is due"),
    ]


def _attributes(options: RunOptions, coupling: Coupling) -> dict[str, Any]:
    return {
        "Conventions": "CF-1.11",
        "title": "aiLand as the land surface of ICON4Py, Jablonowski-Williamson start, idealised continents",
        "source": f"ailand_gt4py {__version__}; model: {coupling.land.model.provenance.get('title', 'unnamed')}",
        "experiment_grid": options.grid,
        "experiment_n_steps": options.n_steps,
        "experiment_step_seconds": options.dtime,
        "experiment_substeps": options.substeps,
        "experiment_levels": options.levels,
        "experiment_dynamics": int(options.dynamics),
        "experiment_moisture": int(options.moisture),
        "experiment_backend": options.host_backend,
        "experiment_start": options.start_text,
        "implicit_fluxes": int(options.implicit),
        "mixing_height_m": options.mixing_height,
        "n_cells": coupling.host.cells.n_cells,
        "n_land": coupling.land.n_land,
    }
