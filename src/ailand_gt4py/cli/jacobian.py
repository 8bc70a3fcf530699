"""``ailand jacobian FILE``: how a step's results change with its inputs, along a trajectory."""

from __future__ import annotations

import argparse

from ailand_gt4py.cli import period as period_command

DESCRIPTION = """\
Derivatives of a step's results (state after it, diagnostics) by its inputs (state before it, weather, soil and
vegetation), exact to rounding, along the states in a column file or along the emulator's own run. Derivatives without a
meaning, such as those by the density of snow where there is none, are missing. docs/jacobian.md says how everything
is defined."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    period_command.add_arguments(parser, DESCRIPTION)
    parser.add_argument("--end", metavar="TIME", help="end of the last window (default: as far as the file goes)")
    parser.add_argument(
        "--every",
        default="30h",
        metavar="TIME",
        help="time between the steps whose derivatives are taken, such as 6h or 1d (default: %(default)s, which goes "
        "through all times of day)",
    )
    parser.add_argument(
        "--outputs", metavar="NAME,...", help="results: names, or 'state', 'diagnostics' (default: all of both)"
    )
    parser.add_argument(
        "--inputs",
        metavar="NAME,...",
        help="inputs: names, or 'state', 'forcing', 'static' (default: state, forcing, field capacity, wilting point)",
    )
    parser.add_argument(
        "--trajectory",
        default="file",
        choices=("file", "run"),
        help="states: those in the file, or those of the emulator's run from the first of them (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compute derivatives, print the table, write what is asked for; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    import sys

    import numpy as np

    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.cli.option_texts import interval
    from ailand_gt4py.core.times import step_of, time_text
    from ailand_gt4py.driver.progress import Progress
    from ailand_gt4py.io.period import read_period
    from ailand_gt4py.io.provenance import attributes
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.sensitivity import derivatives, figure, output, quantities, summary
    from ailand_gt4py.weights.model_file import read_model

    at = period_command.check(arguments)
    model = read_model(arguments.model)
    outputs = quantities.choose_outputs(model, arguments.outputs)
    inputs = quantities.choose_inputs(model, arguments.inputs)
    every = interval(arguments.every, step_of(model.step_seconds), "--every")
    dtype = np.dtype(arguments.precision)
    period = read_period(arguments.file, model, dtype, arguments.start, arguments.end)
    steps = derivatives.sampled(period.n_steps, every)
    how = {"backend": arguments.backend, "precision": arguments.precision}
    period_command.say(
        arguments,
        f"{arguments.file}: {period.n_columns} columns, {len(steps)} steps from {time_text(period.times[steps[0]])} to "
        f"{time_text(period.times[steps[-1]])}; {len(outputs)} outputs by {len(inputs)} inputs",
    )
    if arguments.trajectory == "file":
        states = derivatives.states_of_file(period, model, steps)
    else:
        with Progress(int(steps[-1]) + 1, period.n_columns, sys.stderr, quiet=arguments.quiet) as bar:
            states = derivatives.states_of_run(
                period, model, steps, **how, after_step=lambda done: bar.advance(done, period.ends[done - 1])
            )
    with Progress(len(steps), period.n_columns, sys.stderr, quiet=arguments.quiet) as bar:
        found = derivatives.derivatives(
            period, model, steps, states, outputs, inputs, **how,
            after_points=lambda done: bar.advance(done, period.times[steps[done - 1]]),
        )  # fmt: skip
    print(summary.table(summary.strongest(found)))
    if arguments.output is not None:
        notes = (*period.history, f"States: {'of the file' if arguments.trajectory == 'file' else 'of the run'}.")
        header = attributes(model, output.TITLE, arguments.command_line, notes, arguments.backend, arguments.precision)
        output.write(arguments.output, found, period, header)
    if arguments.plot is not None:
        write_figure(arguments.plot, figure.draw(found, at))
    return 0
