"""A run whose parts several processes make: from the plan to the results of all of them put together.

Here, in the process that was asked for the run, its input is checked, its first state is made and its output is laid
out, as of a run of one process; the steps are made by a `Team`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ailand_gt4py.core.errors import AilandError, RunError
from ailand_gt4py.core.files import remove
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.driver.interruption import Interrupted, stop_signals
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.part_run import Outcome, Task, carried_out, standing
from ailand_gt4py.driver.parts import Part, PartsDirectory, cut
from ailand_gt4py.driver.progress import progress
from ailand_gt4py.driver.spin_up import beginning_of, told
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.before_start import previous_forcing
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.io.request import Columns, Time
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.stepping import assembler_of
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.io.writers import move_into_place, open_writer

logger = logging.getLogger(__name__)


class Team(Protocol):
    """Processes that carry out tasks.

    Attributes:
        size: how many they are.
    """

    size: int

    def carry_out(self, tasks: Sequence[Task], meanwhile: Callable[[], None]) -> Iterable[Outcome]:
        """Outcomes of all tasks, as they end; ``meanwhile`` is to be called about twice a second.

        Raises:
            RunError: the processes cannot go on.
        """
        ...


class Alone:
    """This process, one part after another."""

    size = 1

    def carry_out(self, tasks: Sequence[Task], meanwhile: Callable[[], None]) -> Iterable[Outcome]:
        return (carried_out(task, meanwhile) for task in tasks)


@dataclasses.dataclass
class SharedRun:
    """A run that a team makes.

    Attributes:
        options: of the run. emulator: of all columns. source: its input, opened with ``period`` as its start and end.
        layout: of its output. identity: what must be the same for it to be resumed. team: who makes it.
    """

    options: RunOptions
    emulator: Emulator
    source: ColumnSource
    period: tuple[Time | None, Time | None]
    layout: OutputLayout
    identity: Mapping[str, str]
    team: Team

    def __post_init__(self) -> None:
        self._directory = PartsDirectory(self.options.parts_path)
        self._parts: list[Part] = []

    def make(self, started: Restart | None) -> tuple[int, list[RangeCounter]]:
        """Make all steps that are still to be made and leave the finished output and restart file.

        Args:
            started: where the run begins; None: at the source's state.

        Returns:
            Number of column-steps that were made, and what was out of the training ranges.
        """
        options, directory = self.options, self._directory
        try:
            if directory.path.is_dir():
                self._take_up()
            else:
                self._plan(started)
            directory.go_on()
            sentences = []
            if options.spin_up and not options.partial_path.exists():
                sentences = self._spun_up()
            # Where it is there, what killed processes have left in it is removed.
            is_new = not options.partial_path.exists()
            layout = self.layout.with_history(sentences)
            open_writer(options.output_path, options.partial_path, layout, create=is_new).close()
            n_before = self._n_made()
            n_steps, n_columns = self.layout.shape
            self._carry_out("", n_steps, n_before)
            counters = self._put_together()
            open_writer(options.output_path, options.partial_path, layout, create=False).close()
            move_into_place(options.partial_path, options.output_path)
            remove(directory.path)
        except BaseException as error:
            if not directory.has_checkpoints:
                remove(options.partial_path)
                remove(directory.path)
            elif isinstance(error, AilandError):
                logger.error("what was computed is kept: the same command with --resume continues there")
            raise
        return n_steps * n_columns - n_before, counters

    def _plan(self, started: Restart | None) -> None:
        self.layout, self._parts = cut(self.layout, self.team.size)
        point = started or self._beginning()
        model, columns = self.source.model, [slice(*part.columns) for part in self._parts]

        def write_starts(directory: PartsDirectory) -> None:
            for part, own in zip(self._parts, columns, strict=True):
                of_part = dataclasses.replace(
                    point,
                    state=point.state[own],
                    diagnostics=point.diagnostics[own],
                    before=point.before[own],
                    latitude=self.layout.latitude[own],
                    longitude=self.layout.longitude[own],
                    x=self.layout.x[own],
                    extra={"next_step": 0},
                    host={},
                )
                restarts.write_restart(directory.start(part.number), of_part, model)

        self._directory.create(self.options.output_path, self.identity, self.layout.longest, self._parts, write_starts)
        logger.info("%d parts of about %d columns for %d processes", len(self._parts),
                    round(self.layout.shape[1] / len(self._parts)), self.team.size)  # fmt: skip

    def _beginning(self) -> Restart:
        """The source's state at the start, as one process would begin."""
        source, layout = self.source, self.layout
        assert source.initial_state is not None  # it was asked for
        return Restart.of_run(
            layout,
            0,
            state=source.initial_state.astype(layout.dtype),
            diagnostics=np.full((source.n_columns, len(source.model.diagnostics)), np.nan, layout.dtype),
            before=previous_forcing(source, assembler_of(self.emulator, source), layout.dtype),
            forcing=self.options.forcing[0].name,
        )

    def _take_up(self) -> None:
        """Go on with the parts of an interrupted run."""
        identity, longest, self._parts = self._directory.plan()
        restarts.check_identity(self._directory.path, identity, self.identity)
        self.layout = dataclasses.replace(self.layout, longest=longest)
        n_steps, n_columns = self.layout.shape
        logger.info("resuming %d parts, %.3g %% of their steps are done", len(self._parts),
                    100.0 * self._n_made() / (n_steps * n_columns))  # fmt: skip

    def _n_made(self) -> int:
        """Column-steps that checkpoints say are made."""
        model, directory = self.source.model, self._directory
        return sum(
            part.n_columns * standing(directory, part.number, model)[1]
            for part in self._parts
            if directory.checkpoint(part.number).is_file()
        )

    def _spun_up(self) -> list[str]:
        """Make the loops before the run; sentences for its history."""
        n_loops, model, directory = self.options.spin_up, self.source.model, self._directory
        self._carry_out("spin-up: ", n_loops * self.layout.shape[0], 0)
        ended = [restarts.read_restart(directory.spin_up(part.number), model) for part in self._parts]
        beginning = np.concatenate([beginning_of(point, model) for point in ended])
        state = np.concatenate([point.state for point in ended])
        return [told(n_loops, self.source, beginning, state)]

    def _carry_out(self, what: str, n_steps: int, n_before: int) -> None:
        """Have a phase of all parts made, of so many steps, of which column-steps were made before."""
        options, directory, source = self.options, self._directory, self.source
        n_columns = self.layout.shape[1]
        tasks = [self._task(part, spins_up=bool(what)) for part in self._parts]
        error: AilandError | None = None
        all_whole, heard = True, set[str]()
        with (
            stop_signals() as received,
            progress(
                n_steps, n_columns, sys.stderr, n_before // n_columns, options.quiet, calendar=source.calendar
            ) as advance,
        ):
            shown = n_before // n_columns

            def show(n_done: int) -> None:
                nonlocal shown
                if n_done > shown:
                    shown = n_done
                    advance(n_done, source.times[0] + (n_done % self.layout.shape[0] or n_done) * source.step)

            def meanwhile() -> None:
                if received:
                    directory.stop(received[0])
                done = sum(part.n_columns * directory.reported(part.number) for part in self._parts)
                show(min(done // n_columns, n_steps - 1))

            with contextlib.closing(iter(self.team.carry_out(tasks, meanwhile))) as outcomes:  # type: ignore[type-var]
                for outcome in outcomes:
                    for kind, text in outcome.messages:
                        if kind not in heard:
                            heard.add(kind)
                            logger.warning("%s%s", what, text)
                    all_whole &= outcome.is_whole
                    if outcome.error is not None and error is None:
                        error = outcome.error
                        directory.stop(0)
            if error is not None:
                raise error
            if not all_whole:
                raise Interrupted(directory.stopped() or 0)
            show(n_steps)

    def _task(self, part: Part, spins_up: bool) -> Task:
        source = self.source
        positions: Values = np.arange(source.n_columns) if source.kept is None else source.kept
        return Task(
            options=self.options.for_workers(),
            part=part,
            layout=part.layout(self.layout),
            columns=Columns(positions[slice(*part.columns)], part.columns[0], source.n_columns),
            period=self.period,
            identity=dict(self.identity),
            spins_up=spins_up,
        )

    def _put_together(self) -> list[RangeCounter]:
        """Write the restart file from the states of the parts; what was out of range in all of them."""
        model, layout, directory = self.source.model, self.layout, self._directory
        counters = {group: RangeCounter(getattr(model, group)) for group in ("static", "forcing", "state")}
        points = []
        for part in self._parts:
            point, n_done = standing(directory, part.number, model)
            if n_done != layout.shape[0]:
                end = time_text(point.valid_time, point.calendar)
                raise RunError(f"{directory.checkpoint(part.number)}: is at {end}, expected the end of the run")
            points.append(point)
            for group, found in point.extra["outside"].items():
                counter = RangeCounter(getattr(model, group))
                counter.restore(found)
                counters[group].count(counter.counts, counter.n_values, counter.extremes)
        whole = dataclasses.replace(
            points[0],
            state=np.concatenate([point.state for point in points]),
            diagnostics=np.concatenate([point.diagnostics for point in points]),
            before=np.concatenate([point.before for point in points]),
            latitude=layout.latitude,
            longitude=layout.longitude,
            x=layout.x,
            extra={},
        )
        restarts.write_restart(self.options.restart_out_path, whole, model)
        return list(counters.values())
