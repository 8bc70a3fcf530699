"""``ailand check FILE``: what a run would say of its input, without running."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ailand_gt4py.core.option_types import File, Files, FileTime
from ailand_gt4py.core.settings import option
from ailand_gt4py.driver.options import SAME_FILE, StateOptions


class Options(StateOptions):
    """
    Read forcing files to their end, as ailand-column-run does, and report how they are interpreted: names, units,
    derived and guessed variables, the meaning of times, values that are missing, impossible or out of the training
    range, and what can be compared with a reference.
    """

    program: ClassVar[str] = "ailand check"
    epilog: ClassVar[str] = "exit status: 0 a run would take the files; 2 it would refuse them.\n"

    forcing: Files = option(
        ..., "files with forcing, static fields and state", positional=True, metavar="FORCING", min_length=1
    )
    model: File | None = option(None, "model file (default: the model in the package)", metavar="MODEL.nc")
    start: FileTime | None = option(None, "label of the first step, UTC (default: the file's)", metavar="TIME")
    end: FileTime | None = option(None, "end of the last step (default: the end of the file)", metavar="TIME")
    reference: File | None = option(None, f"also check this file as a reference; '{SAME_FILE}': FORCING", metavar="REF")
    quiet: bool = option(False, "show no progress bar")


def run(options: Options) -> None:
    """Print what is found, as it is found."""
    from ailand_gt4py.driver.check import check  # only now: `--help` must not wait for GT4Py
    from ailand_gt4py.weights.model_file import read_model

    model = read_model(options.model)
    model.require_physical(str(options.model))
    reference = options.forcing
    if options.reference != Path(SAME_FILE):
        reference = () if options.reference is None else (options.reference,)
    files, reading = options.forcing, options.reading
    state, quiet = options.initial_state, options.quiet
    for line in check(files, model, options.start, options.end, reading, reference, state, quiet):
        print(line, flush=True)
