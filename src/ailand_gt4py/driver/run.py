"""A run of the emulator over the columns of a forcing file, from the options to the finished files."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ailand_gt4py
from ailand_gt4py.core.errors import AilandError, InputError
from ailand_gt4py.core.files import Paths, expanded, remove
from ailand_gt4py.core.times import GivenTime, index_of, named_time, step_text, time_text, to_be_read
from ailand_gt4py.driver.interruption import Interrupted, stop_signals
from ailand_gt4py.driver.options import PeriodOptions, RunOptions
from ailand_gt4py.driver.progress import Advance, duration, progress
from ailand_gt4py.driver.spin_up import Kept, spun_up
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.scores.verify import check_reference, score_table
from ailand_gt4py.io import before_start
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.fields import contradictions
from ailand_gt4py.io.output import OutputLayout, RunOutput
from ailand_gt4py.io.preparation import labels_of
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource, Inputs, named_inputs, open_source
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.writers import Writer, WriterBehind, move_into_place, open_writer
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


def run_with(options: RunOptions) -> None:
    """Do all that the options ask for, their files `claimed`: scores to standard output, progress to standard error."""
    is_resumed = options.check_targets()
    options.check_device()
    model = read_model(options.model)
    model.require_physical(str(options.model))
    with opened(options.forcing, options, model) as (source, started):
        variables = model.state + model.diagnostics
        reference, reading = options.reference_paths, options.reference_reading
        notes = check_reference(reference, variables, source, reading) if reference else []
        maps = _maps(options, variables, source)
        _announce(options, model, source, notes)
        emulator = options.emulator(model, source.n_columns)
        emulator.compile()
        _integrate(options, emulator, source, started, is_resumed)
    with RunOutput(options.output_path, source) as output:
        if reference:
            print(score_table(output, reference, variables, reading), flush=True)
        if options.plot is not None:
            from ailand_gt4py.evaluation.figures.series import draw_run  # matplotlib takes its time

            draw_run(options.plot, output, variables, reference or None, options.at, reading)
        for path, variable, shown in maps:
            from ailand_gt4py.evaluation.figures.maps import draw_field

            draw_field(path, output, variable, shown)


@contextlib.contextmanager
def opened(inputs: Inputs, options: PeriodOptions, model: Model) -> Iterator[tuple[ColumnSource, Restart | None]]:
    """The input of a run, checked, and what it starts from if not from the state in it."""
    started = _starting_point(inputs, options, model)
    with open_source(
        inputs,
        model,
        start=to_be_read(options.start) if started is None or options.restart_as_start else started.valid_time,
        end=to_be_read(options.end),
        initial_state=options.initial_state if started is None else "none",
        reading=options.reading,
    ) as source:
        if started is not None and options.restart is not None:
            restarts.check_columns(options.restart, started, source.x, source.latitude, source.longitude)
            started = before_start.begun_again(started, source) if options.restart_as_start else started
        yield source, started


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
            f"expected --start {valid} if the run is to begin there"
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
        "what is told of the site": f"{options.of_site}",
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
    options: RunOptions, emulator: Emulator, source: ColumnSource, started: Restart | None, is_resumed: bool
) -> None:
    """Make all steps and leave the finished output and restart file."""
    layout, output = layout_of(options, emulator, source), options.output_path
    identity = _identity(options, layout, started)
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
    if point is not None and is_resumed:
        for group, counter in stepper.counters.items():
            counter.restore(point.extra["outside"][group])
    else:
        stepper.counters["static"].add(source.static)
    begin = time.perf_counter()
    try:
        writer = open_writer(output, options.partial_path, layout, create=not is_resumed)
        with (
            contextlib.closing(writer),
            stepper,
            progress(
                len(source.times), source.n_columns, sys.stderr, first, options.quiet, calendar=source.calendar
            ) as advance,
        ):
            _steps(options, layout, stepper, writer, advance, identity, first)
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
    n_made, seconds = len(layout.times) - first, time.perf_counter() - begin
    logger.info(
        "done: %d steps of %d columns in %s (%.3g column-steps/s)",
        n_made, source.n_columns, duration(seconds), n_made * source.n_columns / max(seconds, 1e-9),
    )  # fmt: skip
    outside = [sentence for counter in stepper.counters.values() for sentence in counter.sentences()]
    logger.info("inputs outside the training range: %s", "see below, and quality_flag" if outside else "none")
    for sentence in outside:
        logger.info("  %s", sentence)
    decided = contradictions(source.history)
    if decided:
        logger.info("contradictions in the input, which were decided:")
    for sentence in decided:
        logger.info("  %s", sentence)
    logger.info("output: %s, restart file: %s", output, options.restart_out_path)


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


def _steps(
    options: RunOptions,
    layout: OutputLayout,
    stepper: Stepper,
    writer: Writer,
    advance: Advance,
    identity: dict[str, str],
    first: int,
) -> None:
    """The loop over blocks of rows. Blocks begin at multiples of their length also after a resume."""
    n_steps, n_columns = layout.shape
    shape = layout.block_steps, len(layout.variables), n_columns
    with stop_signals() as received, WriterBehind(writer, shape, layout.dtype) as behind:

        def after_step(done: int) -> bool:
            advance(done, layout.times[0] + done * layout.step)
            return bool(received)

        row, last = first, time.monotonic()
        while row < n_steps:
            stop = min((row // layout.block_steps + 1) * layout.block_steps, n_steps)
            made = stepper.fill(row, *behind.block(stop - row), after_step)
            behind.write(row, made)
            row += made
            is_due = row < n_steps and time.monotonic() - last >= options.checkpoint_seconds
            if received or is_due:
                behind.flush()  # all rows before are on the disk, only then does the checkpoint say so
                outside = {group: counter.as_json() for group, counter in stepper.counters.items()}
                extra = {"next_step": row, "identity": identity, "outside": outside}
                _save(options, options.checkpoint_path, layout, stepper, row, extra)
                last = time.monotonic()
            if received:
                raise Interrupted(received[0])


def _save(
    options: RunOptions, path: Path, layout: OutputLayout, stepper: Stepper, next_step: int, extra: dict[str, Any]
) -> None:
    """Write the state before step `next_step`."""
    content = stepper.restart(layout, next_step, options.forcing[0].name, extra=extra)
    restarts.write_restart(path, content, stepper.model, f"ailand_gt4py {ailand_gt4py.__version__}")
