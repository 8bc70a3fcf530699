"""``ailand uncertainty FILE``: how errors of state, weather and parameters grow and shrink in a run."""

from __future__ import annotations

import functools
from typing import ClassVar, Self

from pydantic import model_validator

from ailand_gt4py.cli.period import PeriodOptions
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amounts, listed_names
from ailand_gt4py.core.settings import option

_SIZES = "NAME=SIZE,..., with SIZE in the variable's units or in percent of its value"


class Options(PeriodOptions):
    """
    Propagate the covariance of errors in the initial state, the weather, soil and vegetation parameters and the model
    through a run with the emulator's derivatives, for states and fluxes, and compare it with a Monte Carlo run of the
    emulator itself. Definitions: docs/uncertainty.md.
    """

    program: ClassVar[str] = "ailand uncertainty"

    days: float = option(30.0, "length of the run, days", gt=0.0)
    state_errors: Amounts | None = option(
        None,
        f"standard deviations of errors of the initial state: {_SIZES} (default: 0.01 m3 m-3 for soil water, 1 K for "
        "stl1 and stl2, 0.5 K for stl3 and stl4)",
        metavar="SIZES",
    )
    forcing_errors: Amounts = option({}, "likewise for the weather (default: none)", metavar="SIZES")
    forcing_hours: float = option(24.0, "correlation time of the errors of the weather", metavar="HOURS", ge=0.0)
    parameter_errors: Amounts = option({}, "likewise for static inputs (default: none)", metavar="SIZES")
    model_errors: Amounts = option({}, "likewise for what each step adds to the state (default: none)", metavar="SIZES")
    scale: float = option(1.0, "factor on all errors; the first order is better for smaller ones", gt=0.0)
    members: int = option(1000, "members of the Monte Carlo run; 0: no such run", ge=0)
    seed: int = option(0, "seed of the Monte Carlo run", ge=0)

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if self.members == 1:
            raise InputError("option --members: found 1, expected 0 for none, or at least 2")
        return self


def run(options: Options) -> None:
    """Carry errors through a run, print the tables, write what is asked for."""
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.sensitivity.quantities import TYPES
    from ailand_gt4py.uncertainty import figure, linearity, monte_carlo, propagation, report

    model = options.read_model()
    states = [variable.name for variable in model.state]
    weather = [variable.name for variable in model.forcing if not variable.derived]
    parameters = [variable.name for variable in model.static if variable.name not in TYPES]
    of_state = options.state_errors
    if of_state is None:
        of_state = {name: amount for name, amount in propagation.STATE_ERRORS.items() if name in states}
    given = (of_state, options.forcing_errors, options.parameter_errors, options.model_errors)
    names = ("--state-errors", "--forcing-errors", "--parameter-errors", "--model-errors")
    for name, amounts, known in zip(names, given, (states, weather, parameters, states), strict=True):
        if amounts:
            listed_names(",".join(amounts), known, name)
    if not any(given):
        raise InputError("found no errors to carry, expected some by --state-errors, --forcing-errors or others")
    state, forcing, parameter, of_model = map(dict, given)
    errors = propagation.Errors(state, forcing, parameter, of_model, 3600.0 * options.forcing_hours, options.scale)
    period = options.read(model, days=options.days)
    sizes = propagation.ErrorSizes(errors, model, period)
    options.describe(period, period.ends)
    make_emulator = functools.partial(options.emulator, model)
    emulator = make_emulator(period.n_columns)
    with options.progress(period.ends, period.n_columns, period.calendar) as after_step:
        linear = propagation.propagate(emulator, period, sizes, after_step)
    print(report.table(model, period, linear))
    members = None
    if options.members:
        with options.progress(period.ends, period.n_columns * options.members, period.calendar) as after_step:
            members = monte_carlo.run_members(make_emulator, period, sizes, options.members, options.seed, after_step)
        print(f"\n{linearity.table(linearity.agreements(model, linear, members), options.members)}")
    if options.output is not None:
        header = options.attributes(model, report.TITLE, period.history)
        report.write(options.output, model, period, linear, members, header)
    if options.plot is not None:
        write_figure(options.plot, lambda: figure.draw(model, period, linear, members, options.at))
