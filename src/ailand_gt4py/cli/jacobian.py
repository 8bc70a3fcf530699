"""``ailand jacobian FILE``: how a step's results change with its inputs, along a trajectory."""

from __future__ import annotations

import functools
from typing import ClassVar, Literal

from ailand_gt4py.cli.period import PeriodOptions
from ailand_gt4py.core.option_types import FileTime, Interval, Names
from ailand_gt4py.core.settings import option
from ailand_gt4py.core.times import parse_interval, step_of, whole_steps

#: What states at all times are wanted for, and how to do without.
STATES_FOR = "along which the derivatives are taken, or --trajectory run"


class Options(PeriodOptions):
    """
    Derivatives of a step's results (final state, diagnostics) with respect to its inputs (initial state, weather, soil
    and vegetation), exact to rounding, along the states in the files or along the emulator's own run. Meaningless
    derivatives, such as those with respect to the density of snow where there is none, are missing. Definitions:
    docs/jacobian.md.
    """

    program: ClassVar[str] = "ailand jacobian"

    end: FileTime | None = option(None, "end of the last window (default: end of the files)", metavar="TIME")
    every: Interval = option(
        parse_interval("30h"),
        "interval between steps, such as 6h (default: 30h, covers all times of day)",
        metavar="TIME",
    )
    outputs: Names | None = option(None, "names, 'state' or 'diagnostics' (default: both)", metavar="NAME,...")
    inputs: Names | None = option(
        None,
        "names, 'state', 'forcing' or 'static' (default: state, forcing, field capacity, wilting point)",
        metavar="NAME,...",
    )
    trajectory: Literal["file", "run"] = option(
        "file", "states along which derivatives are taken: in the files, or of the emulator's run"
    )


def run(options: Options) -> None:
    """Compute derivatives, print the table, write what is asked for."""
    # Only now: `--help` must not wait for GT4Py.
    import numpy as np

    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.sensitivity import derivatives, figure, quantities, report

    model = options.read_model()
    outputs = quantities.choose_outputs(model, options.outputs, "--outputs")
    inputs = quantities.choose_inputs(model, options.inputs, "--inputs")
    every = whole_steps(options.every, step_of(model.step_seconds), "--every")
    is_of_file = options.trajectory == "file"
    period = options.read(model, options.end, states_for=STATES_FOR if is_of_file else "")
    steps = np.arange(0, period.n_steps, every)
    make_emulator = functools.partial(options.emulator, model)
    more = f"; {len(outputs)} outputs by {len(inputs)} inputs"
    options.describe(period, period.times[steps], more)
    if period.states is not None:
        states = period.states[steps]
    else:
        with options.progress(period.ends[: steps[-1] + 1], period.n_columns, period.calendar) as after_step:
            states = derivatives.states_of_run(make_emulator(period.n_columns), period, steps, after_step)
    with options.progress(period.times[steps], period.n_columns, period.calendar) as after_step:
        found = derivatives.derivatives(make_emulator, period, steps, states, outputs, inputs, after_step)
    print(report.table(report.strongest(found)))
    if options.output is not None:
        notes = (*period.history, f"States: of the {options.trajectory}.")
        report.write(options.output, found, period, options.attributes(model, report.TITLE, notes))
    if options.plot is not None:
        write_figure(options.plot, lambda: figure.draw(found, options.at))
