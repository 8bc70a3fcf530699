"""What the commands on files of forcing and states have in common, and those on a period of them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.files import names_of
from ailand_gt4py.core.option_types import File, Files, FileTime, suffixed
from ailand_gt4py.core.settings import option
from ailand_gt4py.core.times import STANDARD, GivenTime, step_of, time_text, to_be_read, whole_steps
from ailand_gt4py.driver.options import EmulatorOptions, FigureOptions, InputOptions
from ailand_gt4py.driver.progress import progress

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    import numpy as np

    from ailand_gt4py.core.types import Values
    from ailand_gt4py.io.period import Period
    from ailand_gt4py.io.sources import ColumnSource
    from ailand_gt4py.weights.model import Model

logger = logging.getLogger(__name__)


class FilesOptions(EmulatorOptions, InputOptions):
    """Options of a command on files that ailand-column-run takes, of any convention and grid."""

    files: Files = option(..., "files as for ailand-column-run", positional=True, metavar="FILE", min_length=1)
    start: FileTime | None = option(
        None, "start of the first window, UTC (default: start of the files)", metavar="TIME"
    )

    def read_model(self) -> Model:
        from ailand_gt4py.weights.model_file import read_model

        return read_model(self.model)

    def opened(self, model: Model, end: GivenTime | None = None) -> ColumnSource:
        """The truth in the columns, from the start to an end; close it, or use it as a context manager."""
        from ailand_gt4py.io.period import may_lack
        from ailand_gt4py.io.sources import open_source

        start, stop = to_be_read(self.start), to_be_read(end)
        return open_source(self.files, model, start=start, end=stop, may_lack=may_lack(model), reading=self.reading)

    def describe(self, period: Period | ColumnSource, steps: Values, more: str = "") -> None:
        """Say what is computed from, and what was done to get it; ``steps``: ends of the windows, or starts of some."""
        first, last = (time_text(steps[end], period.calendar) for end in (0, -1))
        logger.info(
            "%s: %d columns, %d steps from %s to %s%s",
            names_of(self.files), len(period.latitude), len(steps), first, last, more,
        )  # fmt: skip
        for sentence in period.history:
            logger.info("  %s", sentence)

    @contextlib.contextmanager
    def progress(self, times: Values, n_columns: int, calendar: str = STANDARD) -> Iterator[Callable[[int], None]]:
        """A bar, unless ``--quiet``; gives what is called with the number of steps done; `times`: after each."""
        with progress(len(times), n_columns, sys.stderr, quiet=self.quiet, calendar=calendar) as advance:
            yield lambda done: advance(done, times[done - 1])


class PeriodOptions(FilesOptions, FigureOptions):
    """Options of a command on a period of files."""

    output: Annotated[File, suffixed(".nc")] | None = option(None, "file of all results", "-o", metavar="OUT.nc")
    backend: Literal["embedded", "dace_cpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64"] = option("float32", "precision of the computation")

    def read(
        self, model: Model, end: GivenTime | None = None, days: float | None = None, states_for: str = ""
    ) -> Period:
        """The period from the start to an end, or of a length; see `read_period`."""
        import numpy as np

        from ailand_gt4py.io.period import read_period

        stop: GivenTime | np.timedelta64 | None = to_be_read(end)
        if days is not None:
            step = step_of(model.step_seconds)
            stop = whole_steps(step_of(SECONDS_PER_DAY * days), step, "--days") * step
        start = to_be_read(self.start)
        return read_period(self.files, model, np.dtype(self.precision), start, stop, self.reading, states_for)
