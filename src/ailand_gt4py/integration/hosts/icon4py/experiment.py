"""A Jablonowski-Williamson run of ICON4Py on a generated grid: configuration, driver and initial states.

ICON4Py's command reads only exported Fortran name lists, so this uses its Python functions.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from grid_generator import generate_grid
from icon4py.model.common import initial_condition, model_backends, model_options
from icon4py.model.common.config import config_io
from icon4py.model.common.decomposition import definitions as decomposition
from icon4py.model.common.states import diagnostic_state, nonhydro_states, prognostic_state, tracer_states
from icon4py.model.driver import config as driver_config
from icon4py.model.driver import driver, driver_states, driver_utils

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions


def grid_file(grid: str, directory: Path) -> Path:
    """Path of a grid's file; a grid that is a name is generated, once.

    Raises:
        InputError: neither a file nor a name that the generator knows.
    """
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
    """The driver, everything compiled.

    Raises:
        InputError: an unknown backend.
        RunError: ICON4Py cannot set it up.
    """
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
