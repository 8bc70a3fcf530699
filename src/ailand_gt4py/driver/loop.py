"""The loop of a run over blocks of rows, and who is told how far it is and says when it has to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

from ailand_gt4py.driver.interruption import Interrupted, stop_signals
from ailand_gt4py.driver.progress import Advance, progress
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.writers import Writer, WriterBehind


@dataclasses.dataclass(frozen=True)
class Watch:
    """Is told how far a run is.

    Attributes:
        advance: is called after each step. received: numbers of the signals because of which it has to stop.
    """

    advance: Advance
    received: list[int]


#: Watches a loop over so many steps, of which the second number were done before.
Watching = Callable[[int, int], contextlib.AbstractContextManager[Watch]]


def watching(n_columns: int, quiet: bool, calendar: str) -> Watching:
    """Progress of a run of this process on standard error; signals to it stop the run."""

    @contextlib.contextmanager
    def watch(n_steps: int, n_done: int) -> Iterator[Watch]:
        with (
            stop_signals() as received,
            progress(n_steps, n_columns, sys.stderr, n_done, quiet, calendar=calendar) as advance,
        ):
            yield Watch(advance, received)

    return watch


def make_steps(
    layout: OutputLayout,
    stepper: Stepper,
    writer: Writer,
    watch: Watch,
    first: int,
    seconds: float,
    save: Callable[[int], None],
) -> None:
    """Make and write all steps from one on. Blocks begin at multiples of their length also after a resume.

    Args:
        seconds: least time between checkpoints. save: writes the one of the state before a step.

    Raises:
        Interrupted: a signal came; a checkpoint has been written.
    """
    n_steps, n_columns = layout.shape
    received = watch.received

    def after_step(done: int) -> bool:
        watch.advance(done, layout.times[0] + done * layout.step)
        return bool(received)

    with WriterBehind(writer, (layout.block_steps, len(layout.variables), n_columns), layout.dtype) as behind:
        row, last = first, time.monotonic()
        while row < n_steps:
            stop = min((row // layout.block_steps + 1) * layout.block_steps, n_steps)
            made = stepper.fill(row, *behind.block(stop - row), after_step)
            behind.write(row, made)
            row += made
            is_due = row < n_steps and time.monotonic() - last >= seconds
            if received or is_due:
                behind.flush()  # all rows before are on the disk, only then does the checkpoint say so
                save(row)
                last = time.monotonic()
            if received:
                raise Interrupted(received[0])
