"""What the commands on a period of a column file have in common."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import model_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import check_target
from ailand_gt4py.core.option_types import FigureFile, File, Location, Time, suffixed
from ailand_gt4py.core.settings import CommandOptions, option

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    import numpy as np

    from ailand_gt4py.core.types import Values
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.io.period import Period
    from ailand_gt4py.weights.model import Model


class PeriodOptions(CommandOptions):
    """Options of a command on a period of a column file."""

    file: File = option(..., "netCDF file or zarr store that ailand-column-run reads", positional=True, metavar="FILE")
    model: File | None = option(None, "model file (default: the model in the package)", metavar="MODEL.nc")
    start: Time | None = option(None, "start of the first window, UTC (default: the file's first)", metavar="TIME")
    output: Annotated[File, suffixed(".nc")] | None = option(
        None, "write all results to this file", "-o", metavar="OUT.nc"
    )
    plot: FigureFile | None = option(None, "write a figure (.png, .pdf or .svg)", metavar="FIGURE")
    at: Location | None = option(None, "location whose column the figure shows (default: the first)", metavar="LAT,LON")
    backend: Literal["embedded", "dace_cpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64"] = option("float32", "precision of the computation")
    quiet: bool = option(False, "no progress on standard error")

    @model_validator(mode="after")
    def _check_figure(self) -> Self:
        if self.at is not None and self.plot is None:
            raise InputError("option --at is given without --plot, which it belongs to")
        return self

    def read_model(self) -> Model:
        """The model, once the files to write are checked.

        Raises:
            InputError: one of them cannot be written, or the model cannot be read.
        """
        from ailand_gt4py.weights.model_file import read_model

        for path in (self.output, self.plot):
            if path is not None:
                check_target(path, (self.file, self.model))
        return read_model(self.model)

    def read(self, model: Model, end: np.datetime64 | None = None, days: float | None = None) -> Period:
        """The period from the start to an end, or of a length.

        Raises:
            InputError: the file does not fit.
        """
        import numpy as np

        from ailand_gt4py.io.period import end_after, read_period

        if days is not None:
            end = end_after(self.file, days, self.start, model)
        return read_period(self.file, model, np.dtype(self.precision), self.start, end)

    def emulator(self, model: Model, n_columns: int) -> Emulator:
        """Of the model on the backend, in the precision."""
        from ailand_gt4py.emulator.emulator import Emulator

        return Emulator(model, n_columns, self.backend, self.precision)

    def describe(self, period: Period, more: str = "") -> None:
        """Say what is computed from, on standard error, unless ``--quiet``."""
        from ailand_gt4py.core.times import time_text

        self.say(
            f"{self.file}: {period.n_columns} columns, {period.n_steps} steps from {time_text(period.times[0])} to "
            f"{time_text(period.ends[-1])}{more}"
        )

    def say(self, text: str) -> None:
        """A line on standard error, unless ``--quiet``."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, times: Values, n_columns: int) -> Iterator[Callable[[int], None]]:
        """A bar on standard error, unless ``--quiet``; gives what is called with the number of steps that are done.

        Args:
            times: (n_steps,) at which the run stands after each step.
        """
        from ailand_gt4py.driver.progress import Progress

        with Progress(len(times), n_columns, sys.stderr, quiet=self.quiet) as bar:
            yield lambda done: bar.advance(done, times[done - 1])

    def attributes(self, model: Model, title: str, notes: tuple[str, ...]) -> dict[str, str]:
        """Global attributes of the file of results."""
        from ailand_gt4py.io.provenance import attributes

        return attributes(model, title, self.command_line(), notes, self.backend, self.precision)
