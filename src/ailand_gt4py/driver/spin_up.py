"""Spin-up: the period of a run is gone through several times before it, so that the state forgets how it began.

A loop begins where the one before ended, as a run does from a restart file whose state is taken as that at the start
(`io.before_start.begun_again`), and writes nothing but, now and then, where it stands.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.arrays import to_host
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.loop import Watching, watching
from ailand_gt4py.driver.options import PeriodOptions
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.before_start import begun_again
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.weights.model import ModelVariables, Variable

logger = logging.getLogger(__name__)

#: Begins the names of the state at the beginning of a loop in a checkpoint.
_AT_BEGINNING = "at the beginning of the loop "


@dataclasses.dataclass(frozen=True)
class Kept:
    """Where loops stand, on disk, to be continued: in what file, written how often (s), of what run."""

    path: Path
    seconds: float
    identity: dict[str, str]


def spun_up(
    options: PeriodOptions,
    emulator: Emulator,
    source: ColumnSource,
    layout: OutputLayout,
    started: Restart | None,
    kept: Kept | None,
    watch: Watching | None = None,
) -> tuple[Restart | None, list[str]]:
    """Make the loops that are asked for, or those of them that an interrupted run has not made.

    Args:
        layout: of the run's output, which tells the rows that are computed together.
        started: where the first loop begins; None: at the source's state.
        kept: where loops that a signal ends are to be continued, and are, if the file is there; None: nowhere.
        watch: is told how far they are, and says when to stop; None: on standard error, signals to this process.

    Returns:
        Where the run begins (``started`` if there is no loop), and sentences for its history.

    Raises:
        InputError: the file is of another run. Interrupted, KeyboardInterrupt: a signal came.
    """
    watch = watch or watching(source.n_columns, options.quiet, source.calendar)
    loops = _Loops(options, emulator, source, layout, kept, watch)
    point, loop, first = started, 0, 0
    if kept is not None and kept.path.is_file():
        path = kept.path
        point = restarts.read_restart(path, source.model)
        restarts.check_identity(path, point.extra.get("identity", {}), kept.identity)
        restarts.check_columns(path, point, source.x, source.latitude, source.longitude)
        loop, first = point.extra["loop"], restarts.next_step(path, point, source.times)
        loops.beginning = beginning_of(point, source.model)
        point = dataclasses.replace(point, host={}, extra={})
        logger.info("spin-up: resuming after %d of %d loops, at step %d", loop, options.spin_up, first)
    if not options.spin_up:
        return point, []
    ended = loops.make(point, loop, first)
    return ended, [told(options.spin_up, source, loops.beginning, ended.state)]


def beginning_of(point: Restart, model: ModelVariables) -> Values:
    """The state (n_columns, n_state) at the beginning of the loop that a checkpoint of a spin-up is of."""
    return np.stack([point.host[_AT_BEGINNING + one.name] for one in model.state], axis=1)


def told(n_loops: int, source: ColumnSource, beginning: Values, ended: Values) -> str:
    """Tell how far the state, (n_columns, n_state), changed in the last loop; the sentence for the history."""
    count = f"{n_loops} times" if n_loops > 1 else "once"
    end = time_text(source.times[-1] + source.step, source.calendar)
    sentence = (
        f"Spin-up: {time_text(source.times[0], source.calendar)} to {end} was run {count} before; the state changed in "
        f"the last of these loops by {drift(source.model.state, beginning, ended, source.x)}."
    )
    logger.info("%s", sentence)
    return sentence


def drift(variables: Sequence[Variable], first: Values, last: Values, x: Values) -> str:
    """How far a state is from another, both (n_columns, n_state): of each variable the mean and the largest change."""
    parts = []
    for index, variable in enumerate(variables):
        change = last[:, index].astype(np.float64) - first[:, index]
        known = np.flatnonzero(np.isfinite(change))
        if not known.size:
            continue
        largest = known[np.argmax(np.abs(change[known]))]
        unit = "" if variable.units == "1" else f" {variable.units}"
        parts.append(
            f"{variable.name} {change[known].mean():+.3g}{unit} in the mean, at most {change[largest]:+.3g}{unit} "
            f"(x = {x[largest]})"
        )
    return "; ".join(parts)


class _Loops:
    """The loops of one spin-up; ``beginning``: (n_columns, n_state), where the last of them that was begun began."""

    def __init__(
        self,
        options: PeriodOptions,
        emulator: Emulator,
        source: ColumnSource,
        layout: OutputLayout,
        kept: Kept | None,
        watch: Watching,
    ) -> None:
        self._options, self._emulator, self._source, self._watch = options, emulator, source, watch
        self._layout, self._kept = layout, kept
        self.beginning: Values = np.empty((0, 0))
        self._saved = time.monotonic()

    def make(self, point: Restart | None, loop: int, first: int) -> Restart:
        """Go on at a step of a loop; where the last one ends, as the beginning of the next."""
        n_loops, n_steps, layout = self._options.spin_up, len(self._source.times), self._layout
        ended = point
        with self._watch(n_loops * n_steps, loop * n_steps + first) as watch:
            received = watch.received
            for current in range(loop, n_loops):

                def after_step(done: int, made: int = current * n_steps) -> bool:
                    watch.advance(made + done, layout.times[0] + done * layout.step)
                    return bool(received)

                with Stepper(self._emulator, self._source, ended) as stepper:
                    if first == 0:
                        self.beginning = to_host(stepper.state).copy()
                    try:
                        self._steps(stepper, current, first, after_step, received)
                    except RunError as error:
                        raise RunError(f"spin-up, loop {current + 1} of {n_loops}: {error}") from error
                ended, first = begun_again(stepper.restart(layout, n_steps, self._source.path.name), self._source), 0
                changes = drift(self._source.model.state, self.beginning, ended.state, self._source.x)
                logger.info("spin-up: loop %d of %d changed %s", current + 1, n_loops, changes)
                self._save(ended, current + 1, 0, received, is_last=current + 1 == n_loops)
        assert ended is not None  # a loop was made, here or before
        return ended

    def _steps(
        self, stepper: Stepper, loop: int, first: int, after_step: Callable[[int], bool], received: list[int]
    ) -> None:
        """The steps of a loop from one on; what they would write is computed and checked, and goes."""
        layout, row = self._layout, first
        n_steps, n_columns = layout.shape
        values = np.empty((layout.block_steps, len(layout.variables), n_columns), dtype=layout.dtype)
        flags = np.empty((layout.block_steps, n_columns), dtype=np.uint8)
        while row < n_steps:
            n_rows = min(layout.block_steps, n_steps - row)
            row += stepper.fill(row, values[:n_rows], flags[:n_rows], after_step)
            if row < n_steps:
                self._save(stepper.restart(layout, row, self._source.path.name), loop, row, received)

    def _save(self, point: Restart, loop: int, next_step: int, received: list[int], *, is_last: bool = False) -> None:
        """Write where the loops stand if it is time to, and stop here after a signal."""
        kept, elapsed = self._kept, time.monotonic() - self._saved
        if kept is not None and (received or is_last or elapsed >= kept.seconds):
            extra: dict[str, Any] = {"loop": loop, "next_step": next_step, "identity": kept.identity}
            state = self._source.model.state
            host = {_AT_BEGINNING + one.name: self.beginning[:, k] for k, one in enumerate(state)}
            content = dataclasses.replace(point, extra=extra, host=host)
            restarts.write_restart(kept.path, content, self._source.model)
            self._saved = time.monotonic()
        if received and kept is None:
            raise KeyboardInterrupt
        if received:
            raise Interrupted(received[0])
