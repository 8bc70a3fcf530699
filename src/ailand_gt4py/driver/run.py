"""A run of the emulator over the columns of a forcing file, from the options to the finished files."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ailand_gt4py
from ailand_gt4py.core.errors import AilandError, InputError
from ailand_gt4py.core.files import Paths, expanded, remove
from ailand_gt4py.core.times import GivenTime, index_of, named_time, step_text, time_text, to_be_read
from ailand_gt4py.driver import dask_workers
from ailand_gt4py.driver.dask_workers import require_distributed
from ailand_gt4py.driver.loop import make_steps, watching
from ailand_gt4py.driver.options import PeriodOptions, RunOptions
from ailand_gt4py.driver.progress import duration
from ailand_gt4py.driver.ranks import Ranks
from ailand_gt4py.driver.shared_run import Alone, SharedRun, Team
from ailand_gt4py.driver.spin_up import Kept, spun_up
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.scores.verify import check_reference, compared, score_table
from ailand_gt4py.io import before_start
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.fields import contradictions
from ailand_gt4py.io.output import OutputLayout, RunOutput
from ailand_gt4py.io.preparation import labels_of
from ailand_gt4py.io.request import Request, Time
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource, Inputs, named_inputs, open_source
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.io.writers import move_into_place, open_writer
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.schema import checksum

logger = logging.getLogger(__name__)

#: Memory for the rows that are written at once, of which there are two, and their greatest number.
BLOCK_BYTES, BLOCK_STEPS = 64 << 20, 512


def run(forcing: Paths, **options: Any) -> Path:
    """Run the emulator over the land of forcing files and write its output, as ``ailand-column-run`` does.

    Args:
        forcing: forcing, static fields and initial state: a file, or several that belong together.
        options: fields of `driver.options.RunOptions`, such as ``start``, ``end``, ``output`` and ``backend``; each
            means what it does on the command line.

    Returns:
        The output file. Progress goes to standard error, the score table of ``reference`` to standard output.

    Raises:
        InputError: something given is not usable; nothing was computed.
        RunError: something failed during the run; what was computed can be resumed if a checkpoint had been written.
        Interrupted: a signal came; what was computed can be resumed.
    """
    files = (forcing,) if isinstance(forcing, str | Path) else tuple(forcing)
    checked = RunOptions(forcing=tuple(map(Path, files)), **options)
    with checked.claimed():
        run_with(checked)
    return checked.output_path


def run_with(options: RunOptions, ranks: Ranks | None = None) -> None:
    """Do all that the options ask for, their files `claimed`: scores to standard output, progress to standard error.

    ``ranks``: of MPI, that make the run; None: there are no others than this process.
    """
    is_resumed = options.check_targets()
    _check_team(options, ranks, is_resumed)
    options.check_device()
    model = read_model(options.model)
    model.require_physical(str(options.model))
    with opened(options.forcing, options, model) as (source, started):
        variables = model.state + model.diagnostics
        reference, reading = options.reference_paths, options.reference_reading
        notes = check_reference(reference, compared(model), source, reading) if reference else []
        maps = _maps(options, variables, source)
        _announce(options, model, source, notes)
        emulator = options.emulator(model, source.n_columns)
        emulator.compile()
        with _team(options, ranks) as team:
            _integrate(options, emulator, source, started, is_resumed, team)
    with RunOutput(options.output_path, source) as output:
        if reference:
            print(score_table(output, reference, compared(model), reading), flush=True)
        if options.plot is not None:
            from ailand_gt4py.evaluation.figures.series import draw_run  # matplotlib takes its time

            draw_run(options.plot, output, variables, reference or None, options.at, reading)
        for path, variable, shown in maps:
            from ailand_gt4py.evaluation.figures.maps import draw_field

            draw_field(path, output, variable, shown)


def _check_team(options: RunOptions, ranks: Ranks | None, is_resumed: bool) -> None:
    """Check that who is to make the run can, before input is read."""
    is_dask = options.workers is not None or options.scheduler is not None
    if ranks is not None:
        if is_dask:
            raise InputError(
                f"options --workers and --scheduler: found {ranks.size} ranks of MPI, expected one process"
            )
        options.check_shared(f"a run on {ranks.size} ranks")
    if is_dask:
        require_distributed()
    if (ranks is not None or is_dask) and is_resumed and not options.parts_path.exists():
        raise InputError(
            f"{options.checkpoint_path}: belongs to a run of one process; expected --resume without other "
            "processes, or --overwrite to start over"
        )


@contextlib.contextmanager
def _team(options: RunOptions, ranks: Ranks | None) -> Iterator[Team | None]:
    """Who makes the run; None: this process, all columns together."""
    if ranks is not None:
        yield ranks
    elif options.scheduler is not None:
        with dask_workers.of_cluster(options.scheduler) as team:
            yield team
    elif options.workers is not None:
        with dask_workers.of_this_machine(options.workers) as team:
            yield team
    else:
        yield Alone() if options.resume and options.parts_path.exists() else None


@contextlib.contextmanager
def opened(inputs: Inputs, options: PeriodOptions, model: Model) -> Iterator[tuple[ColumnSource, Restart | None]]:
    """The input of a run, checked, and what it starts from if not from the state in it."""
    started = _starting_point(inputs, options, model)
    start, end = _period(options, started)
    with open_source(
        inputs,
        model,
        start=start,
        end=end,
        initial_state=options.initial_state if started is None else "none",
        reading=options.reading,
    ) as source:
        if started is not None and options.restart is not None:
            restarts.check_columns(options.restart, started, source.x, source.latitude, source.longitude)
            started = before_start.begun_again(started, source) if options.restart_as_start else started
        yield source, started


def _period(options: PeriodOptions, started: Restart | None) -> tuple[Time | None, Time | None]:
    """Start and end of what is read of the input."""
    start = to_be_read(options.start) if started is None or options.restart_as_start else started.valid_time
    return start, to_be_read(options.end)


def _maps(
    options: RunOptions, variables: Sequence[Variable], source: ColumnSource
) -> list[tuple[Path, Variable, np.datetime64]]:
    """Figure, variable and time of each map that is asked for."""
    known, result, times = {variable.name: variable for variable in variables}, [], source.times
    for path, (name, time_given) in zip(options.map_paths, options.plot_map, strict=True):
        if name not in known:
            raise InputError(f"option --plot-map: found '{name}', expected one of {', '.join(known)}")
        wanted = _in_calendar(time_given, source.calendar, "option --plot-map")
        shown = times[-1] if wanted is None else times[index_of(wanted, times, "--plot-map", source.calendar)]
        result.append((path, known[name], shown))
    return result


def _in_calendar(given: GivenTime | None, calendar: str, option: str) -> np.datetime64 | None:
    return None if given is None else named_time(to_be_read(given), calendar, option)


def _starting_point(inputs: Inputs, options: PeriodOptions, model: Model) -> Restart | None:
    """The restart file, checked against all but the columns."""
    path = options.restart
    if path is None:
        return None
    restart = restarts.read_restart(path, model)
    start = None if options.restart_as_start else _in_calendar(options.start, restart.calendar, "start")
    restarts.check_run(path, restart, checksum(model), options.precision, start)
    if options.restart_as_start:
        return restart
    request = Request(model, restart.valid_time, initial_state="none", reading=options.reading)
    paths, given = named_inputs(inputs)
    names = ", ".join(map(str, paths))
    times, calendar = labels_of(paths, request, given)
    if restart.calendar != calendar:
        raise InputError(f"{path}: has the calendar '{restart.calendar}', expected that of {names}, '{calendar}'")
    valid, first, last = (time_text(one, calendar) for one in (restart.valid_time, times[0], times[-1]))
    if restart.valid_time not in times:
        raise InputError(f"{path}: is valid at {valid}; {names} has the times {first} to {last}, expected one of them")
    if options.start is None and restart.valid_time != times[0] and restart.forcing != paths[0].name:
        raise InputError(
            f"{path}: is of a run on '{restart.forcing}', and {names} begins at {first}; "
            f"expected --start {valid} if the run should begin there"
        )
    return restart


def _announce(options: RunOptions, model: Model, source: ColumnSource, reference_notes: list[str]) -> None:
    """Say what will be done."""
    logger.info(
        "model: %s (%s, %d parameters, step %s), checksum %s",
        options.model or "the default model", model.architecture, model.parameter_count, step_text(source.step),
        checksum(model)[:12],
    )  # fmt: skip
    logger.info(
        "input: %s, %d columns, %d steps from %s to %s",
        ", ".join(map(str, options.forcing)), source.n_columns, len(source.times),
        time_text(source.times[0], source.calendar), time_text(source.times[-1] + source.step, source.calendar),
    )  # fmt: skip
    for sentence in source.history:
        logger.info("  %s", sentence)
    if options.reference_paths:
        logger.info("reference: %s", ", ".join(map(str, options.reference_paths)))
        for sentence in reference_notes:
            logger.info("  %s", sentence)
    state = "state in the input file" if options.initial_state == "file" else "first guess"
    logger.info("start: %s", f"restart file {options.restart}" if options.restart else state)
    logger.info("backend: %s, %s", options.backend, options.precision)
    logger.info("output: %s, restart file: %s", options.output_path, options.restart_out_path)


def layout_of(options: PeriodOptions, emulator: Emulator, source: ColumnSource) -> OutputLayout:
    """The output, with its history."""
    model, itemsize = emulator.model, emulator.dtype.itemsize
    notes = list(source.history)
    remembered = "in the restart file" if options.restart else None
    if options.spin_up:
        remembered = "at the end of the spin-up"
    notes += before_start.sentences(model.forcing, len(source.earlier_forcing()), remembered)
    if options.restart is not None:
        taken = ", its state taken as that at the start, whatever its time" if options.restart_as_start else ""
        notes.append(f"Started from the restart file {options.restart}{taken}.")
    row_bytes = source.n_columns * (len(model.state) + len(model.diagnostics)) * itemsize
    fitting = max(1, min(BLOCK_BYTES // row_bytes, BLOCK_STEPS))
    block_steps = min(options.block_steps or fitting, len(source.times))
    return OutputLayout.of(source, emulator.dtype, block_steps, options.attributes(model, None, notes))


def _identity(options: RunOptions, layout: OutputLayout, started: Restart | None) -> dict[str, str]:
    """What must be the same for a run to be resumed, in words."""
    return {
        "the model's checksum": layout.attributes["model_checksum"],
        "the version of ailand_gt4py": ailand_gt4py.__version__,
        "the forcing file": "; ".join(map(restarts.file_identity, expanded(options.forcing))),
        "--convention": str(options.convention),
        "the part of the grid": f"{options.box} {options.points}",
        "the options that describe the site": f"{options.of_site}",
        "--initial-state": options.initial_state,
        "the restart file's content": "none" if started is None else started.digest(),
        "--precision": options.precision,
        "--backend": options.backend,
        "the first label": time_text(layout.times[0], layout.calendar),
        "the last label": time_text(layout.times[-1], layout.calendar),
        "the number of columns": str(layout.shape[1]),
        "--block-steps": str(layout.block_steps),
        "--spin-up": str(options.spin_up),
    }


def _integrate(
    options: RunOptions,
    emulator: Emulator,
    source: ColumnSource,
    started: Restart | None,
    is_resumed: bool,
    team: Team | None,
) -> None:
    """Make all steps and leave the finished output and restart file."""
    layout = layout_of(options, emulator, source)
    identity = _identity(options, layout, started)
    begin = time.perf_counter()
    if team is None:
        n_made, counters = _integrate_here(options, emulator, source, started, is_resumed, layout, identity)
    else:
        if not is_resumed:
            _remove_partial(options, with_spin_up=True)
        shared = SharedRun(options, emulator, source, _period(options, started), layout, identity, team)
        n_made, counters = shared.make(started)
    seconds = time.perf_counter() - begin
    logger.info(
        "done: %d steps of %d columns in %s (%.3g column-steps/s)",
        n_made // source.n_columns, source.n_columns, duration(seconds), n_made / max(seconds, 1e-9),
    )  # fmt: skip
    outside = [sentence for counter in counters for sentence in counter.sentences()]
    logger.info("inputs outside the training range: %s", "see below, and quality_flag" if outside else "none")
    for sentence in outside:
        logger.info("  %s", sentence)
    decided = contradictions(source.history)
    if decided:
        logger.info("contradictions in the input, which were decided:")
    for sentence in decided:
        logger.info("  %s", sentence)
    logger.info("output: %s, restart file: %s", options.output_path, options.restart_out_path)


def _integrate_here(
    options: RunOptions,
    emulator: Emulator,
    source: ColumnSource,
    started: Restart | None,
    is_resumed: bool,
    layout: OutputLayout,
    identity: dict[str, str],
) -> tuple[int, list[RangeCounter]]:
    """Make all steps in this process, all columns together.

    Returns:
        Number of column-steps that were made, and what was out of the training ranges.
    """
    output = options.output_path
    point: Restart | None
    if is_resumed:
        point, first = _checkpoint(options, source, identity)
    else:
        if options.resume and not options.spin_up_path.exists():
            logger.info("nothing to resume: starting at the first step")
        _remove_partial(options, with_spin_up=not options.resume)
        kept = Kept(options.spin_up_path, options.checkpoint_seconds, identity)
        point, sentences = spun_up(options, emulator, source, layout, started, kept)
        layout, first = layout.with_history(sentences), 0
    stepper = Stepper(emulator, source, point)
    stepper.count_on(point.extra["outside"] if point is not None and is_resumed else None)
    try:
        writer = open_writer(output, options.partial_path, layout, create=not is_resumed)

        def save(next_step: int) -> None:
            extra = {"next_step": next_step, "identity": identity, "outside": stepper.counted()}
            _save(options, options.checkpoint_path, layout, stepper, next_step, extra)

        watch = watching(source.n_columns, options.quiet, source.calendar)
        with contextlib.closing(writer), stepper, watch(len(source.times), first) as watched:
            make_steps(layout, stepper, writer, watched, first, options.checkpoint_seconds, save)
        _save(options, options.restart_out_path, layout, stepper, len(layout.times), {})
        move_into_place(options.partial_path, output)
        remove(options.checkpoint_path)
        remove(options.spin_up_path)
    except BaseException as error:
        if not options.checkpoint_path.is_file():
            _remove_partial(options)
        if isinstance(error, AilandError) and (options.checkpoint_path.is_file() or options.spin_up_path.is_file()):
            logger.error("what was computed is kept: the same command with --resume continues there")
        raise
    return (len(layout.times) - first) * source.n_columns, list(stepper.counters.values())


def _checkpoint(options: RunOptions, source: ColumnSource, identity: dict[str, str]) -> tuple[Restart, int]:
    """Where an interrupted run stands, checked, and the step that it continues with."""
    path = options.checkpoint_path
    point = restarts.read_restart(path, source.model)
    restarts.check_identity(path, point.extra.get("identity", {}), identity)
    restarts.check_columns(path, point, source.x, source.latitude, source.longitude)
    first = restarts.next_step(path, point, source.times)
    there = time_text(point.valid_time, point.calendar)
    logger.info("resuming at step %d of %d, %s", first, len(source.times), there)
    return point, first


def _remove_partial(options: RunOptions, *, with_spin_up: bool = False) -> None:
    """Remove what an unfinished run has left."""
    if with_spin_up:
        remove(options.spin_up_path)
    remove(options.checkpoint_path)
    remove(options.partial_path)
    remove(options.parts_path)


def _save(
    options: RunOptions, path: Path, layout: OutputLayout, stepper: Stepper, next_step: int, extra: dict[str, Any]
) -> None:
    """Write the state before step `next_step`."""
    content = stepper.restart(layout, next_step, options.forcing[0].name, extra=extra)
    restarts.write_restart(path, content, stepper.model)
