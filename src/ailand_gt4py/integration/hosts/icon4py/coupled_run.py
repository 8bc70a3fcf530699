"""A coupled run: ICON4Py with aiLand as its land surface, from nothing to a file and a figure."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import xarray as xr

from ailand_gt4py import __version__
from ailand_gt4py.integration.hosts.icon4py.experiment import grid_file, initial_states, make_driver
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions
from ailand_gt4py.integration.hosts.icon4py.process import Coupling, couple
from ailand_gt4py.integration.hosts.icon4py.recorder import Recorder
from ailand_gt4py.io.whole_files import write_netcdf
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model


def run(options: RunOptions, out: TextIO | None = None, model: Model | None = None) -> xr.Dataset:
    """Make the run.

    Args:
        options: what to do. out: for progress and the closing figures; None: nothing is printed.
        model: to run; None: that of the options.

    Returns:
        The records.

    Raises:
        InputError: an option that cannot be used.
        RunError: a state that is not finite, or a file that cannot be written.
    """

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

            draw(options.plot, data, grid)
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
        f"residual {data.attrs['energy_residual']:.1e} of what was exchanged",
        f"of it {float(data['energy_adjusted'].sum()):.3e} J because fluxes follow the air meanwhile",
        f"time of a host step{1e3 * step:27.3f} ms",
        of_step("dynamics", "dynamics"),
        of_step("diagnosis_and_radiation", "lowest layer and radiation"),
        of_step("accumulation", "land: accumulation"),
        of_step("fluxes_into_the_air", "fluxes into the air"),
        of_step("emulator_step", "land: emulator, where it is due"),
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
