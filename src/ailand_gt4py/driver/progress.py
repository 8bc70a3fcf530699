"""How far a run is: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np
from tqdm import tqdm

from ailand_gt4py.core.times import time_text

#: A plain line is written when this part of the run has gone by since the last one ...
LINE_FRACTION = 0.1
#: ... or this many seconds.
LINE_SECONDS = 600.0

DEFAULT_WIDTH = 100
BAR_FORMAT = "{percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt} steps, {rate_fmt}, {remaining} left{postfix}"


class Progress:
    """Reports steps of a run as they are done; `n_done` of them were done before. The clock gives seconds."""

    def __init__(
        self,
        n_steps: int,
        n_columns: int,
        stream: TextIO,
        *,
        n_done: int = 0,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_steps, self._n_columns, self._stream, self._quiet = n_steps, n_columns, stream, quiet
        self._first = self._done = self._last_line = n_done
        self._clock, self._start, self._bar = clock, clock(), None
        self._last_time = self._start
        if not quiet and stream.isatty():
            knows_width = _width(stream) > 0
            self._bar = tqdm(
                total=n_steps, initial=n_done, file=stream, unit=" steps", dynamic_ncols=knows_width,
                ncols=None if knows_width else DEFAULT_WIDTH,
                nrows=None if knows_width else 20,  # tqdm hides bars below the last line of the screen
                mininterval=0.2,
                bar_format=BAR_FORMAT,
            )  # fmt: skip

    def advance(self, done: int, simulated: np.datetime64) -> None:
        """`done` steps of the run are done; the run has reached the time `simulated`."""
        new, self._done = done - self._done, done
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.set_postfix_str(f"at {time_text(simulated)}", refresh=False)
            self._bar.update(new)
            return
        now = self._clock()
        is_due = done - self._last_line >= LINE_FRACTION * self._n_steps or now - self._last_time >= LINE_SECONDS
        if is_due or done == self._n_steps:
            self._last_line, self._last_time = done, now
            seconds = now - self._start
            rate = (done - self._first) / seconds if seconds > 0 else float("inf")
            line = (
                f"{100.0 * done / self._n_steps:5.1f} %  {done}/{self._n_steps} steps, at {time_text(simulated)}, "
                f"{_short(rate * self._n_columns)} column-steps/s, {duration((self._n_steps - done) / rate)} left"
            )
            print(line, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _width(stream: TextIO) -> int:
    """Characters in a line of a terminal; 0 where it does not say (some containers)."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return 0


def _short(number: float) -> str:
    """A number with three digits: 950, 12 300, 1.23e+06."""
    return f"{number:.3g}" if number >= 1e6 or number < 100 else f"{float(f'{number:.3g}'):.0f}"


def duration(seconds: float) -> str:
    """Seconds as 0:07, 3:20 or 2:03:00."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
