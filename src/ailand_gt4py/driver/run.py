"""A run of the emulator over the columns of a forcing file, from the options to the finished files."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import ailand_gt4py
from ailand_gt4py.core.errors import AilandError, InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.driver.interruption import Interrupted, stop_signals
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.progress import Progress, duration
from ailand_gt4py.driver.stepping import Stepper
from ailand_gt4py.driver.targets import Targets
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.scores.verify import check_reference, score_table
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.output import OutputLayout
from ailand_gt4py.io.provenance import attributes
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.time_axis import read_times
from ailand_gt4py.io.writers import Writer, move_into_place, open_writer, remove
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.schema import checksum

logger = logging.getLogger(__name__)

#: Memory for the rows that are written at once, and their greatest number.
BLOCK_BYTES, BLOCK_STEPS = 64 << 20, 512


def run(forcing: str | Path, **options: Any) -> Path:
    """Run the emulator over the columns of a forcing file and write its output, as ``ailand-column-run`` does.

    Args:
        forcing: forcing, static fields and initial state: netCDF file or zarr store.
        options: fields of `driver.options.RunOptions`, such as ``start``, ``end``, ``output`` and ``backend``; each
            means what it does on the command line.

    Returns:
        The output file. Progress goes to standard error, the score table of ``reference`` to standard output.

    Raises:
        InputError: something given is not usable; nothing was computed.
        RunError: something failed during the run; what was computed can be resumed if a checkpoint had been written.
        Interrupted: a signal came; what was computed can be resumed.
    """
    checked = RunOptions(forcing=Path(forcing), **options)
    run_with(checked, sys.stdout, sys.stderr)
    return checked.output_path


def run_with(options: RunOptions, stdout: TextIO, stderr: TextIO) -> None:
    """Do all that the options ask for; the score table goes to `stdout`, progress to `stderr`.

    Raises:
        InputError, RunError, Interrupted: as `run`.
    """
    targets = Targets.of(options)
    is_resumed = targets.check(options)
    model = read_model(options.model)
    if model.normalised_space or not model.step_seconds > 0.0:
        raise InputError(
            f"{options.model}: the model has no {'statistics' if model.normalised_space else 'step'}, "
            "expected one that runs in physical units with a known step"
        )
    started = _starting_point(options, model)
    with open_source(
        options.forcing,
        model,
        start=options.start if started is None else started.valid_time,
        end=options.end,
        initial_state="file" if started is None else "none",
    ) as source:
        if started is not None and options.restart is not None:
            restarts.check_columns(options.restart, started, source.x, source.latitude, source.longitude)
        variables = model.state + model.diagnostics
        where = (source.latitude, source.longitude)
        reference = options.reference_path
        notes = [] if reference is None else check_reference(reference, variables, source.times, *where)
        _announce(options, model, source, targets, notes)
        emulator = Emulator(model, source.n_columns, options.backend, options.precision)
        emulator.compile()
        _integrate(options, targets, emulator, source, started, is_resumed, stderr)
        times, step = source.times, source.step
    if reference is not None:
        print(score_table(targets.output, reference, variables, step), file=stdout, flush=True)
    if targets.plot is not None:
        from ailand_gt4py.evaluation.figures.series import draw_run  # matplotlib takes its time

        draw_run(targets.plot, targets.output, variables, times, reference, options.at)
        logger.info("figure: %s", targets.plot)


def _starting_point(options: RunOptions, model: Model) -> Restart | None:
    """The restart file, checked against all but the columns."""
    path = options.restart
    if path is None:
        return None
    restart = restarts.read_restart(path, model)
    restarts.check_model(path, restart, checksum(model), options.precision)
    restarts.check_start(path, restart, options.start)
    with ColumnFile(options.forcing) as file:
        times = read_times(file)
    if restart.valid_time not in times:
        raise InputError(
            f"{path}: is valid at {time_text(restart.valid_time)}; {options.forcing} has the times "
            f"{time_text(times[0])} to {time_text(times[-1])}, expected one of them"
        )
    return restart


def _announce(
    options: RunOptions, model: Model, source: ColumnSource, targets: Targets, reference_notes: list[str]
) -> None:
    """Say what will be done."""
    logger.info(
        "model: %s (%s, %d parameters, step %s), checksum %s",
        options.model or "the default model", model.architecture, model.parameter_count, step_text(source.step),
        checksum(model)[:12],
    )  # fmt: skip
    logger.info(
        "input: %s, %d columns, %d steps from %s to %s",
        options.forcing, source.n_columns, len(source.times),
        time_text(source.times[0]), time_text(source.times[-1] + source.step),
    )  # fmt: skip
    for sentence in source.history:
        logger.info("  %s", sentence)
    if options.reference_path is not None:
        logger.info("reference: %s", options.reference_path)
        for sentence in reference_notes:
            logger.info("  %s", sentence)
    logger.info("start: %s", f"restart file {options.restart}" if options.restart else "state in the input file")
    logger.info("backend: %s, %s", options.backend, options.precision)
    logger.info("output: %s, restart file: %s", targets.output, targets.restart)


def _layout(options: RunOptions, emulator: Emulator, source: ColumnSource) -> OutputLayout:
    """The output, with its history."""
    model, itemsize = emulator.model, emulator.dtype.itemsize
    notes = list(source.history)
    for what, names in (
        ("Computed from time and location", [v.name for v in model.forcing if v.derived and not v.is_previous]),
        ("Of the previous window, of the first window its own", [v.name for v in model.forcing if v.is_previous]),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names)}.")
    if options.restart is not None:
        notes.append(f"Started from the restart file {options.restart}.")
    row_bytes = source.n_columns * (len(model.state) + len(model.diagnostics)) * itemsize
    fitting = max(1, min(BLOCK_BYTES // row_bytes, BLOCK_STEPS))
    return OutputLayout(
        state=model.state,
        diagnostics=model.diagnostics,
        times=source.times,
        step=source.step,
        latitude=source.latitude,
        longitude=source.longitude,
        x=source.x.astype(source.x.dtype.newbyteorder("=")),
        dtype=emulator.dtype,
        block_steps=min(options.block_steps or fitting, len(source.times)),
        attributes=attributes(model, None, options.command_line(), notes, options.backend, options.precision),
    )


def _identity(options: RunOptions, layout: OutputLayout, started: Restart | None) -> dict[str, str]:
    """What must be the same for a run to be resumed, in words."""
    return {
        "the model's checksum": layout.attributes["model_checksum"],
        "the version of ailand_gt4py": ailand_gt4py.__version__,
        "the forcing file": restarts.file_identity(options.forcing),
        "the restart file's content": "none" if started is None else started.digest(),
        "--precision": options.precision,
        "--backend": options.backend,
        "the first label": time_text(layout.times[0]),
        "the last label": time_text(layout.times[-1]),
        "the number of columns": str(layout.shape[1]),
        "--block-steps": str(layout.block_steps),
    }


def _resumed(
    targets: Targets, emulator: Emulator, source: ColumnSource, identity: dict[str, str]
) -> tuple[Stepper, int]:
    """A run as its checkpoint left it, and its next step.

    Raises:
        InputError: the checkpoint is of another run.
    """
    point = restarts.read_restart(targets.checkpoint, emulator.model)
    restarts.check_identity(targets.checkpoint, point.extra["identity"], identity)
    first = int(point.extra["next_step"])
    logger.info("resuming at step %d of %d, %s", first, len(source.times), time_text(point.valid_time))
    stepper = Stepper(emulator, source, point.state, point.diagnostics, point.before)
    for group, counter in stepper.counters.items():
        counter.restore(point.extra["outside"][group])
    return stepper, first


def _begun(emulator: Emulator, source: ColumnSource, started: Restart | None) -> Stepper:
    """A run at its first step."""
    if started is not None:
        stepper = Stepper(emulator, source, started.state, started.diagnostics, started.before)
    else:
        assert source.initial_state is not None  # it was asked for
        nothing = np.full((source.n_columns, len(emulator.model.diagnostics)), np.nan)
        stepper = Stepper(emulator, source, source.initial_state, nothing, None)
    stepper.count_static()
    return stepper


def _integrate(
    options: RunOptions,
    targets: Targets,
    emulator: Emulator,
    source: ColumnSource,
    started: Restart | None,
    is_resumed: bool,
    stderr: TextIO,
) -> None:
    """Make all steps and leave the finished output and restart file."""
    layout, first = _layout(options, emulator, source), 0
    identity = _identity(options, layout, started)
    if is_resumed:
        stepper, first = _resumed(targets, emulator, source, identity)
    else:
        if options.resume:
            logger.info("nothing to resume: starting at the first step")
        targets.remove_partial()
        stepper = _begun(emulator, source, started)
    recorder = _Recorder(targets, layout, identity, stepper, emulator.model, options.checkpoint_seconds)
    begin = time.perf_counter()
    try:
        writer = open_writer(targets.partial, targets.output.suffix, layout, create=not is_resumed)
        with (
            contextlib.closing(writer),
            Progress(len(source.times), source.n_columns, stderr, n_done=first, quiet=options.quiet) as progress,
        ):
            _steps(layout, stepper, writer, recorder, progress, first)
        recorder.save(targets.restart, len(layout.times))
        move_into_place(targets.partial, targets.output)
        remove(targets.checkpoint)
    except BaseException as error:
        if not targets.checkpoint.is_file():
            targets.remove_partial()
        elif isinstance(error, AilandError):
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
    logger.info("output: %s, restart file: %s", targets.output, targets.restart)


@dataclasses.dataclass
class _Recorder:
    """Writes where the run stands: checkpoints during the run, the restart file at the end."""

    targets: Targets
    layout: OutputLayout
    identity: dict[str, str]
    stepper: Stepper
    model: Model
    seconds: float
    last: float = dataclasses.field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """Whether enough time has gone by since the last checkpoint."""
        return time.monotonic() - self.last >= self.seconds

    def checkpoint(self, writer: Writer, next_step: int) -> None:
        """Make sure that all rows before `next_step` are on the disk, and only then say so in the checkpoint."""
        writer.flush()
        outside = {group: counter.as_json() for group, counter in self.stepper.counters.items()}
        extra = {"next_step": next_step, "identity": self.identity, "outside": outside}
        self.save(self.targets.checkpoint, next_step, extra)
        self.last = time.monotonic()

    def save(self, path: Path, next_step: int, extra: dict[str, Any] | None = None) -> None:
        """Write the state before step `next_step`."""
        layout, stepper = self.layout, self.stepper
        content = Restart(
            state=stepper.state,
            diagnostics=stepper.diagnostics,
            before=stepper.before,
            valid_time=layout.times[0] + next_step * layout.step,
            latitude=layout.latitude,
            longitude=layout.longitude,
            x=layout.x,
            model_checksum=layout.attributes["model_checksum"],
            precision=layout.attributes["precision"],
            extra=extra or {},
        )
        restarts.write_restart(path, content, self.model, f"ailand_gt4py {ailand_gt4py.__version__}")


def _steps(
    layout: OutputLayout, stepper: Stepper, writer: Writer, recorder: _Recorder, progress: Progress, first: int
) -> None:
    """The loop over blocks of rows. Blocks begin at multiples of their length also after a resume."""
    n_steps, n_columns = layout.shape
    values = np.empty((layout.block_steps, len(layout.variables), n_columns), dtype=layout.dtype)
    flags = np.empty((layout.block_steps, n_columns), dtype=np.uint8)
    with stop_signals() as received:

        def after_step(done: int) -> bool:
            progress.advance(done, layout.times[0] + done * layout.step)
            return bool(received)

        row = first
        while row < n_steps:
            stop = min((row // layout.block_steps + 1) * layout.block_steps, n_steps)
            made = stepper.fill(row, values[: stop - row], flags[: stop - row], after_step)
            writer.write(row, values[:made], flags[:made])
            row += made
            if received or (recorder.is_due() and row < n_steps):
                recorder.checkpoint(writer, row)
            if received:
                raise Interrupted(received[0])
