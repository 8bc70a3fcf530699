"""What a process does of a run: all steps of one of its parts, from where that part stands."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np

import ailand_gt4py
from ailand_gt4py.core.errors import AilandError, InputError, RunError
from ailand_gt4py.core.files import claimed
from ailand_gt4py.driver.interruption import Interrupted
from ailand_gt4py.driver.loop import Watch, Watching, make_steps
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.parts import Part, PartsDirectory
from ailand_gt4py.driver.spin_up import Kept, spun_up
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.io.request import Columns, Time
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.writers import open_writer
from ailand_gt4py.weights.model import Model, ModelVariables
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.schema import checksum

#: Least time between reports of how far a part is, s; as often it looks whether it has to stop.
REPORT_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Task:
    """A part to be run, for a process that shares the run's files.

    Attributes:
        options: of the run, all paths absolute. part: which; layout: of its output. columns: which of the files'.
        period: start and end as the run's input was opened with. identity: of the run's checkpoints.
        spins_up: whether it is its spin-up. version: of this package.
    """

    options: RunOptions
    part: Part
    layout: OutputLayout
    columns: Columns
    period: tuple[Time | None, Time | None]
    identity: dict[str, str]
    spins_up: bool
    version: str = ailand_gt4py.__version__

    @property
    def directory(self) -> PartsDirectory:
        return PartsDirectory(self.options.parts_path)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        is_whole: whether the part is done; not, where it was told to stop, or failed with the ``error``.
        messages: kind and text of each warning.
    """

    is_whole: bool
    error: AilandError | None
    messages: list[tuple[str, str]]


#: Held while a part is run: a process makes one at a time, also where Dask gives it several threads.
_turn = threading.Lock()
#: The last emulator of this process and what it is for: the next part may have as many columns.
_emulators: dict[tuple[str, int, str, str], Emulator] = {}


def _emulator(options: RunOptions, model: Model, n_columns: int) -> Emulator:
    """The emulator of a part; to make one takes seconds, though it is compiled."""
    key = (checksum(model), n_columns, options.backend, options.precision)
    if key not in _emulators:
        _emulators.clear()
        _emulators[key] = options.emulator(model, n_columns)
    return _emulators[key]


class _Gathered(logging.Handler):
    """Warnings of this package, to be told by the process that asked for the work."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((str(record.msg), record.getMessage()))


def carried_out(task: Task, meanwhile: Callable[[], None] = lambda: None) -> Outcome:
    """Run a part to its end, or until the run is told to stop; what goes wrong is in the outcome.

    Args:
        meanwhile: is called now and then.
    """
    with _turn:
        return _carried_out(task, meanwhile)


def _n_threads() -> int:
    """Those of OMP_NUM_THREADS, which OpenMP does not heed either where it is no number; else the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) > 0 else len(os.sched_getaffinity(0))


def _carried_out(task: Task, meanwhile: Callable[[], None]) -> Outcome:
    gathered, logger = _Gathered(), logging.getLogger("ailand_gt4py")
    before = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [gathered], False
    error: AilandError | None = None
    is_whole = False
    # Within a task, what is read lazily would be asked of Dask's workers, which are all busy with such tasks.
    threads = _n_threads()
    try:
        with dask.config.set(scheduler="threads", num_workers=threads):
            _run(task, meanwhile)
        is_whole = True
    except Interrupted:
        pass
    except AilandError as found:
        error = found
    except Exception as found:
        error = RunError(f"{type(found).__name__}: {found}")
        error.add_note(traceback.format_exc())
    finally:
        logger.handlers[:], logger.propagate = before
    return Outcome(is_whole, error, gathered.messages)


def _run(task: Task, meanwhile: Callable[[], None]) -> None:
    directory, number = task.directory, task.part.number
    if task.version != ailand_gt4py.__version__:
        raise RunError(f"a worker has ailand_gt4py {ailand_gt4py.__version__}, expected the run's, {task.version}")
    if (signal_number := directory.stopped()) is not None:
        raise Interrupted(signal_number)
    if not directory.path.is_dir():
        raise RunError(f"{directory.path}: is not seen by a worker, expected a file system that all of them share")
    watch = _watching(directory, number, meanwhile)
    with claimed([directory.spin_up(number) if task.spins_up else directory.checkpoint(number)]):
        model = read_model(task.options.model)
        if task.spins_up:
            _spin_up(task, model, watch)
        else:
            _make_steps(task, model, watch)


def _watching(directory: PartsDirectory, number: int, meanwhile: Callable[[], None]) -> Watching:
    """Tells and asks the directory now and then."""

    @contextlib.contextmanager
    def watch(n_steps: int, n_done: int) -> Iterator[Watch]:
        received: list[int] = []
        last = -np.inf

        def advance(done: int, simulated: np.datetime64) -> None:
            nonlocal last
            if time.monotonic() - last < REPORT_SECONDS and done < n_steps:
                return
            last = time.monotonic()
            directory.report(number, done)
            meanwhile()
            signal_number = directory.stopped()
            if signal_number is not None and not received:
                received.append(signal_number)

        advance(n_done, np.datetime64("NaT"))
        yield Watch(advance, received)

    return watch


@contextlib.contextmanager
def _opened(task: Task, model: Model) -> Iterator[ColumnSource]:
    """The forcing and static fields of the part; what it starts from is in the directory."""
    options, layout = task.options, task.layout
    reading = dataclasses.replace(options.reading, columns=task.columns)
    start, end = task.period
    with open_source(options.forcing, model, start=start, end=end, initial_state="none", reading=reading) as source:
        if source.n_columns != layout.shape[1] or not np.array_equal(source.times, layout.times):
            raise InputError(
                f"{source.path}: found {source.n_columns} columns at {len(source.times)} times for part "
                f"{task.part.number}, expected {layout.shape[1]} at {layout.shape[0]} as before: did it change?"
            )
        yield source


def _spin_up(task: Task, model: Model, watch: Watching) -> None:
    """Make the loops, and the point where they end the part's start."""
    options, directory, number = task.options, task.directory, task.part.number
    with _opened(task, model) as source:
        started = restarts.read_restart(directory.start(number), model)
        emulator = _emulator(options, model, source.n_columns)
        kept = Kept(directory.spin_up(number), options.checkpoint_seconds, task.identity)
        ended, _ = spun_up(options, emulator, source, task.layout, started, kept, watch)
        assert ended is not None  # there was a start
        _write(directory.start(number), dataclasses.replace(ended, extra=started.extra, host={}), model)


def _make_steps(task: Task, model: Model, watch: Watching) -> None:
    options, layout, directory, number = task.options, task.layout, task.directory, task.part.number
    point, first = standing(directory, number, model)
    if first == layout.shape[0]:
        return
    with _opened(task, model) as source:
        restarts.check_columns(directory.checkpoint(number), point, source.x, source.latitude, source.longitude)
        stepper = Stepper(_emulator(options, model, source.n_columns), source, point)
        stepper.count_on(point.extra.get("outside"))

        def save(next_step: int) -> None:
            extra = {"next_step": next_step, "outside": stepper.counted()}
            content = stepper.restart(layout, next_step, options.forcing[0].name, extra=extra)
            _write(directory.checkpoint(number), content, model)

        writer = open_writer(options.output_path, options.partial_path, layout, create=False, region=task.part.slices)
        with contextlib.closing(writer), stepper, watch(layout.shape[0], first) as watched:
            make_steps(layout, stepper, writer, watched, first, options.checkpoint_seconds, save)
            writer.flush()
            save(layout.shape[0])


def standing(directory: PartsDirectory, number: int, model: ModelVariables) -> tuple[Restart, int]:
    """Where a part stands, and the step that comes next."""
    path = directory.checkpoint(number)
    point = restarts.read_restart(path if path.is_file() else directory.start(number), model)
    found: Any = point.extra.get("next_step")
    if not isinstance(found, int):
        raise InputError(f"{path}: found the next step '{found}', expected a number; --overwrite starts over")
    return point, found


def _write(path: Path, content: Restart, model: Model) -> None:
    restarts.write_restart(path, content, model)
