"""The files that a run writes: checked before anything is computed."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import check_target
from ailand_gt4py.driver.options import RunOptions


def check_targets(options: RunOptions) -> bool:
    """Check that all files of a run can be written; returns whether it continues an interrupted one.

    Raises:
        InputError: naming the file, what is wrong with it and what was expected.
    """
    output, partial = options.output_path, options.partial_path
    inputs = [options.forcing, options.model, options.restart, options.reference_path]
    written = [path for path in (output, options.restart_out_path, options.plot) if path is not None]
    if len({os.path.realpath(path) for path in written}) < len(written):
        raise InputError(
            f"{written[-1]}: is to be written twice, expected different names for output, restart and plot"
        )
    for path in written:
        check_target(path, inputs)
    is_resumed = options.resume and options.checkpoint_path.is_file() and partial.exists()
    _check_store(output)
    if options.resume and output.exists() and not partial.exists() and not options.overwrite:
        raise InputError(f"{output}: is complete, nothing to resume; expected --overwrite to run again")
    if partial.exists() and not (options.resume or options.overwrite):
        raise InputError(
            f"{partial}: an unfinished run; expected --resume to continue it, or --overwrite to start anew"
        )
    # The restart file and the figure of a run that is resumed at its very end may be its own.
    for path in written[:1] if is_resumed else written:
        if path.exists() and not options.overwrite:
            raise InputError(f"{path}: exists; expected a new name, or --overwrite")
    return is_resumed


def _check_store(output: Path) -> None:
    """Never replace a directory that is no zarr store; and write a store only if we can."""
    if output.suffix.lower() != ".zarr":
        return
    # anemoi-datasets holds zarr at version 2: stores are read with it, not written.
    found = importlib.metadata.version("zarr")
    if int(found.partition(".")[0]) < 3:
        raise InputError(f"{output}: found zarr {found}, expected zarr 3 to write a store, or a name ending in .nc")
    if output.exists() and not any((output / name).exists() for name in (".zgroup", "zarr.json")):
        raise InputError(f"{output}: exists and is no zarr store, expected a new name")
