"""Runs from Python, from files or data sets to a file or a data set."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver import run as files
from ailand_gt4py.driver.options import PeriodOptions, RunOptions
from ailand_gt4py.driver.progress import progress
from ailand_gt4py.driver.spin_up import spun_up
from ailand_gt4py.io.sources import Inputs
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.writers import MemoryWriter
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model

#: What part of the memory that is free a result may take.
FREE_PART = 0.5


class DatasetOptions(PeriodOptions):
    """Options of a run whose result is a data set; see `driver.options.PeriodOptions`."""

    program: ClassVar[str] = "ailand_gt4py.run"


def run(
    forcing: Inputs, model: Model | str | Path | None = None, *, output: str | Path | None = None, **options: Any
) -> Path | xr.Dataset:
    """Run the emulator over the land of files or data sets, with the conventions and checks of ``ailand-column-run``.

    Args:
        forcing: forcing, static fields and initial state: a file or a data set (in memory or lazy, decoded or not), or
            several that belong together.
        model: a model or its file; None: the model in the package.
        output: file (.nc, .zarr) for the results; requires files as ``forcing`` and ``model``. All options of
            `driver.options.RunOptions` are then available, as on the command line; ``workers`` runs in several
            processes (in a script, put the call under ``if __name__ == "__main__":``). None: the results stay in
            memory, and the options are those of `driver.options.PeriodOptions`.
        options: such as ``start``, ``end``, ``backend``, ``precision``, ``convention``, ``box``, ``points``,
            ``restart``, ``initial_state``, ``spin_up``, ``quiet``.

    Returns:
        Without ``output``, the results as `xarray.open_dataset` would read them from the file that the command writes:
        on the grid of the input, with CF attributes and the processing of the input in ``history``. Otherwise the path
        of the output file. Progress goes to standard error.

    Raises:
        InputError: unusable input, or results larger than half of the free memory; nothing was computed.
        RunError: a failure during the run.
        Interrupted: a signal; the run can be resumed from what was written.
    """
    inputs = [forcing] if isinstance(forcing, str | Path | xr.Dataset) else list(forcing)
    of_files = [Path(one) for one in inputs if not isinstance(one, xr.Dataset)]
    if output is not None:
        if len(of_files) < len(inputs) or isinstance(model, Model):
            raise InputError(
                "output: given with a data set or model in memory, expected files; without output the result is a "
                "data set, which has methods that write it"
            )
        return files.run(of_files, model=model, output=output, **options)
    for_files = sorted(set(options) & (set(RunOptions.model_fields) - set(DatasetOptions.model_fields)))
    if for_files:
        raise InputError(f"option '{for_files[0]}' is for a run that writes a file, expected output= as well")
    in_memory = model if isinstance(model, Model) else None
    checked = DatasetOptions(model=None if model is None or isinstance(model, Model) else Path(model), **options)
    return _in_memory(inputs, checked, in_memory or read_model(checked.model))


def _in_memory(inputs: Sequence[str | Path | xr.Dataset], options: DatasetOptions, model: Model) -> xr.Dataset:
    options.check_device()
    model.require_physical(str(options.model or "the model"))
    with files.opened(inputs, options, model) as (source, started):
        emulator = options.emulator(model, source.n_columns)
        layout = files.layout_of(options, emulator, source)
        _require_room(layout.n_bytes)
        emulator.compile()
        point, sentences = spun_up(options, emulator, source, layout, started, None)
        writer = MemoryWriter(layout.with_history(sentences))
        n_steps = len(source.times)
        values = np.empty((layout.block_steps, len(layout.variables), source.n_columns), dtype=layout.dtype)
        flags = np.empty((layout.block_steps, source.n_columns), dtype=np.uint8)
        with (
            Stepper(emulator, source, point) as stepper,
            progress(n_steps, source.n_columns, sys.stderr, quiet=options.quiet, calendar=source.calendar) as advance,
        ):

            def after_step(done: int) -> bool:
                advance(done, layout.times[0] + done * layout.step)
                return False

            for first in range(0, n_steps, layout.block_steps):
                n_rows = min(layout.block_steps, n_steps - first)
                stepper.fill(first, values[:n_rows], flags[:n_rows], after_step)
                writer.write(first, values[:n_rows], flags[:n_rows])
        return writer.dataset()


def _require_room(n_bytes: int) -> None:
    """Check that results of this size can be held; on systems that do not tell what memory is free, they can."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    if n_bytes > FREE_PART * free:
        raise InputError(
            f"the results take {n_bytes / 2**30:.3g} GiB, expected at most half of the {free / 2**30:.3g} GiB that are "
            "free; output='NAME.zarr' writes them to a store, which xarray.open_dataset reads lazily"
        )
