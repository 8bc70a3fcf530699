"""``ailand uncertainty FILE``: how errors of state, weather and parameters grow and shrink in a run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ailand_gt4py.cli import period as period_command
from ailand_gt4py.core.errors import InputError

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from ailand_gt4py.uncertainty.propagation import Errors
    from ailand_gt4py.weights.model import Model

DESCRIPTION = """\
Carry the covariance of errors of the initial state, the weather, soil and vegetation parameters and the model through
the steps of a run by the emulator's derivatives, for states and fluxes, and compare it with many runs of the emulator
itself. docs/uncertainty.md says how everything is defined."""

#: Standard deviations of a land analysis: 0.01 m3 m-3 of soil water as in ECMWF's soil moisture analysis (de Rosnay et
#: al. 2013, doi:10.1002/qj.2023); those of temperature are this project's assumption.
STATE_ERRORS = "swvl1=0.01,swvl2=0.01,swvl3=0.01,swvl4=0.01,stl1=1,stl2=1,stl3=0.5,stl4=0.5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    period_command.add_arguments(parser, DESCRIPTION)
    parser.add_argument("--days", type=float, default=30.0, help="length of the run (default: %(default)s)")
    sizes = "NAME=SIZE,..., SIZE in units or percent of the value"
    parser.add_argument(
        "--state-errors",
        default=None,
        metavar="SIZES",
        help=f"standard deviations of the initial state: {sizes} (default: those of {STATE_ERRORS} that the model has)",
    )
    parser.add_argument("--forcing-errors", default="", metavar="SIZES", help="of the weather (default: none)")
    parser.add_argument(
        "--forcing-hours",
        type=float,
        default=24.0,
        help="correlation time of errors of the weather (default: %(default)s)",
    )
    parser.add_argument("--parameter-errors", default="", metavar="SIZES", help="of static inputs (default: none)")
    parser.add_argument(
        "--model-errors", default="", metavar="SIZES", help="that each step adds to the state (default: none)"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiply all errors: the smaller, the better first order is"
    )
    parser.add_argument(
        "--members", type=int, default=1000, help="members of the Monte Carlo run; 0: none (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of its random numbers (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Carry errors through a run, print the tables, write what is asked for; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    import sys

    import numpy as np

    from ailand_gt4py.core.times import time_text
    from ailand_gt4py.driver.progress import Progress
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.io.period import end_after, read_period
    from ailand_gt4py.io.provenance import attributes
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.uncertainty import figure as uncertainty_figure

    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.uncertainty import linearity, monte_carlo
    from ailand_gt4py.uncertainty import propagation as uncertainty
    from ailand_gt4py.uncertainty import report as uncertainty_report
    from ailand_gt4py.weights.model_file import read_model

    at = period_command.check(arguments)
    _check(arguments)
    model = read_model(arguments.model)
    errors = _errors(arguments, model)
    end = end_after(arguments.file, arguments.days, arguments.start, model)
    period = read_period(arguments.file, model, np.dtype(arguments.precision), arguments.start, end)
    sizes = uncertainty.ErrorSizes(errors, model, period)
    period_command.say(
        arguments,
        f"{arguments.file}: {period.n_columns} columns, {period.n_steps} steps from {time_text(period.times[0])} to "
        f"{time_text(period.ends[-1])}",
    )

    def progress(n_columns: int) -> Progress:
        return Progress(period.n_steps, n_columns, sys.stderr, quiet=arguments.quiet)

    emulator = Emulator(model, period.n_columns, arguments.backend, arguments.precision)
    with progress(period.n_columns) as bar:
        linear = uncertainty.propagate(emulator, period, sizes, lambda done: bar.advance(done, period.ends[done - 1]))
    print(uncertainty_report.table(model, period, linear))
    members = None
    if arguments.members:
        with progress(period.n_columns * arguments.members) as bar:
            members = monte_carlo.run_members(
                model, period, sizes, arguments.members, arguments.seed, arguments.backend, arguments.precision,
                lambda done: bar.advance(done, period.ends[done - 1]),
            )  # fmt: skip
        print()
        print(linearity.table(linearity.agreements(model, linear, members), arguments.members))
    if arguments.output is not None:
        header = attributes(
            model,
            uncertainty_report.TITLE,
            arguments.command_line,
            period.history,
            arguments.backend,
            arguments.precision,
        )
        uncertainty_report.write(arguments.output, model, period, linear, members, header)
    if arguments.plot is not None:
        write_figure(arguments.plot, uncertainty_figure.draw(model, period, linear, members, at))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.members == 1 or arguments.members < 0:
        raise InputError(f"option --members is {arguments.members}, expected 0 for none, or at least 2")
    if not 0.0 < arguments.scale < float("inf"):
        raise InputError(f"option --scale is {arguments.scale:g}, expected a positive number")
    if not 0.0 <= arguments.forcing_hours < float("inf"):
        raise InputError(f"option --forcing-hours is {arguments.forcing_hours:g}, expected a number of at least 0")
    if arguments.seed < 0:
        raise InputError(f"option --seed is {arguments.seed}, expected a number of at least 0")


def _errors(arguments: argparse.Namespace, model: Model) -> Errors:
    from ailand_gt4py.cli.option_texts import amounts
    from ailand_gt4py.sensitivity.quantities import TYPES
    from ailand_gt4py.uncertainty.propagation import Errors

    states = [variable.name for variable in model.state]
    weather = [variable.name for variable in model.forcing if not variable.derived]
    parameters = [variable.name for variable in model.static if variable.name not in TYPES]
    given = arguments.state_errors
    if given is None:
        known = [part for part in STATE_ERRORS.split(",") if part.partition("=")[0] in states]
        given = ",".join(known)
    errors = Errors(
        state=amounts(given, states, "--state-errors"),
        forcing=amounts(arguments.forcing_errors, weather, "--forcing-errors"),
        parameters=amounts(arguments.parameter_errors, parameters, "--parameter-errors"),
        model=amounts(arguments.model_errors, states, "--model-errors"),
        correlation_seconds=3600.0 * arguments.forcing_hours,
    ).scaled(arguments.scale)
    if not (errors.state or errors.forcing or errors.parameters or errors.model):
        raise InputError("found no errors to carry, expected some by --state-errors, --forcing-errors or others")
    return errors
