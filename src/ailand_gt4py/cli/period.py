"""What the commands on a period of a column file have in common."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from ailand_gt4py.core.option_types import File, Time, suffixed
from ailand_gt4py.core.settings import option
from ailand_gt4py.core.times import time_text
from ailand_gt4py.driver.options import EmulatorOptions, FigureOptions
from ailand_gt4py.driver.progress import progress

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    import numpy as np

    from ailand_gt4py.core.types import Values
    from ailand_gt4py.io.period import Period
    from ailand_gt4py.weights.model import Model

logger = logging.getLogger(__name__)


class PeriodOptions(EmulatorOptions, FigureOptions):
    """Options of a command on a period of a column file."""

    file: File = option(..., "netCDF file or zarr store that ailand-column-run reads", positional=True, metavar="FILE")
    start: Time | None = option(None, "start of the first window, UTC (default: the file's first)", metavar="TIME")
    output: Annotated[File, suffixed(".nc")] | None = option(None, "file for all results", "-o", metavar="OUT.nc")
    backend: Literal["embedded", "dace_cpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64"] = option("float32", "precision of the computation")

    def read_model(self) -> Model:
        from ailand_gt4py.weights.model_file import read_model

        return read_model(self.model)

    def read(self, model: Model, end: np.datetime64 | None = None, days: float | None = None) -> Period:
        """The period from the start to an end, or of a length."""
        import numpy as np

        from ailand_gt4py.io.period import end_after, read_period

        if days is not None:
            end = end_after(self.file, days, self.start, model)
        return read_period(self.file, model, np.dtype(self.precision), self.start, end)

    def describe(self, n_columns: int, n_steps: int, first: np.datetime64, last: np.datetime64, more: str = "") -> None:
        """Say what is computed from."""
        period = f"{n_steps} steps from {time_text(first)} to {time_text(last)}"
        logger.info("%s: %d columns, %s%s", self.file, n_columns, period, more)

    @contextlib.contextmanager
    def progress(self, times: Values, n_columns: int) -> Iterator[Callable[[int], None]]:
        """A bar, unless ``--quiet``; gives what is called with the number of steps done; `times`: after each."""
        with progress(len(times), n_columns, sys.stderr, quiet=self.quiet) as advance:
            yield lambda done: advance(done, times[done - 1])
