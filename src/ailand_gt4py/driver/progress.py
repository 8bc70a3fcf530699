"""How far a command is: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import numpy as np
from tqdm import tqdm

from ailand_gt4py.core.times import STANDARD, time_text

#: A plain line is written when this part of the run has gone by since the last one ...
LINE_FRACTION = 0.1
#: ... or this many seconds.
LINE_SECONDS = 600.0

DEFAULT_WIDTH = 100
BAR_FORMAT = "{percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt}{unit}, {rate_fmt}, {remaining} left{postfix}"


#: To be called with the number of steps that are done and the time that a run has reached.
Advance = Callable[[int, np.datetime64], None]
#: To be called with the number of whatever is counted that is done, and what gives a word on where it stands.
Count = Callable[[int, Callable[[], str]], None]


@contextlib.contextmanager
def progress(
    n_steps: int,
    n_columns: int,
    stream: TextIO,
    n_done: int = 0,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
    calendar: str = STANDARD,
) -> Iterator[Advance]:
    """Reports steps of a run as they are done; `n_done` of them were done before. The clock gives seconds."""
    with counted(n_steps, "steps", stream, n_done, quiet, clock, rate=(n_columns, "column-steps")) as count:
        yield lambda done, simulated: count(done, lambda: f"at {time_text(simulated, calendar)}")


@contextlib.contextmanager
def counted(
    total: int,
    what: str,
    stream: TextIO,
    n_done: int = 0,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
    rate: tuple[int, str] | None = None,
) -> Iterator[Count]:
    """Reports how many of so many are done, `n_done` of them before; `what` they are, such as "iterations".

    Args:
        rate: plain lines tell this many of something else a second for each one that is done.
    """
    if quiet:
        yield lambda done, where: None
    elif not stream.isatty():
        yield _lines(total, what, stream, n_done, clock, rate or (1, what))
    else:
        knows_width = _width(stream) > 0
        with tqdm(
            total=total, initial=n_done, file=stream, unit=f" {what}", dynamic_ncols=knows_width,
            ncols=None if knows_width else DEFAULT_WIDTH,
            nrows=None if knows_width else 20,  # tqdm hides bars below the last line of the screen
            mininterval=0.2,
            bar_format=BAR_FORMAT,
        ) as bar:  # fmt: skip

            def count(done: int, where: Callable[[], str]) -> None:
                bar.set_postfix_str(where(), refresh=False)
                bar.update(done - bar.n)

            yield count


def _lines(
    total: int, what: str, stream: TextIO, n_done: int, clock: Callable[[], float], rate: tuple[int, str]
) -> Count:
    """Writes a line now and then."""
    start = last_time = clock()
    last = n_done

    def count(done: int, where: Callable[[], str]) -> None:
        nonlocal last, last_time
        now = clock()
        if done - last >= LINE_FRACTION * total or now - last_time >= LINE_SECONDS or done == total:
            last, last_time = done, now
            each = (done - n_done) / (now - start) if now > start else float("inf")
            line = (
                f"{100.0 * done / total:5.1f} %  {done}/{total} {what}, {where()}, "
                f"{_short(each * rate[0])} {rate[1]}/s, {duration((total - done) / each)} left"
            )
            print(line, file=stream, flush=True)

    return count


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
