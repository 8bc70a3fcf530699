"""``ailand estimate FILE``: soil and vegetation parameters that bring runs nearest to observations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ailand_gt4py.cli import period as period_command
from ailand_gt4py.core.errors import InputError

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from ailand_gt4py.calibration.case import Case
    from ailand_gt4py.io.period import Period
    from ailand_gt4py.weights.model import Model, Variable

DESCRIPTION = """\
Find static inputs (field capacity, wilting point, stomatal resistances, roughness lengths) of every column with which
a run of the emulator is nearest to observations in a file, or, as an identical twin, to a run with the file's own. Says
by the Fisher information where the observations determine them and where not. docs/parameter_estimation.md says how."""

METHODS = ("gauss-newton", "lbfgs")

#: Standard deviations of observations by their units, unless others are given: this project's assumption.
USUAL_ERRORS = {"m3 m-3": 0.01, "K": 1.0, "W m-2": 20.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    period_command.add_arguments(parser, DESCRIPTION)
    add = parser.add_argument
    add("--parameters", required=True, metavar="NAME,...", help="static inputs to estimate")
    add("--observe", default="swvl1,swvl2,swvl3", metavar="NAME,...", help="observed (default: %(default)s)")
    add("--observe-errors", default="", metavar="SIZES", help="their standard deviations, NAME=SIZE,... in units")
    add("--observations", default="file", choices=("file", "twin"), help="of the file, or of a run with its parameters")
    add("--noise", type=float, default=0.0, help="of a twin, in standard deviations of the observations (default: 0)")
    add("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    add("--every", default="1d", metavar="TIME", help="time between observations (default: %(default)s)")
    add("--days", type=float, default=180.0, help="length of the run (default: %(default)s)")
    add("--first-guess-factor", type=float, default=1.0, help="factor on the first guess (default: %(default)s)")
    add(
        "--first-guess", default="", metavar="NAME=VARIABLE,...", help="variables of the file (default: the parameters)"
    )
    add("--search", type=float, default=0.5, help="part of the first guess to search below and above (default: 0.5)")
    add(
        "--background",
        type=float,
        metavar="PART",
        help="hold the estimate by the first guess, known to this part of it",
    )
    add("--method", default="gauss-newton", choices=METHODS, help="(default: %(default)s)")
    add("--iterations", type=int, default=30, help="most of them (default: %(default)s)")
    add(
        "--tolerance", type=float, default=0.02, help="part of a value that counts as determined (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Estimate parameters, print the table, write what is asked for; returns the exit status.

    Raises:
        InputError: options, model or file are not usable.
        RunError: the network cannot be compiled, or writing fails.
    """
    import numpy as np

    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.calibration import figure as parameter_figure
    from ailand_gt4py.calibration import report as parameter_report
    from ailand_gt4py.calibration.estimation import by_gauss_newton, by_lbfgs
    from ailand_gt4py.core.times import time_text
    from ailand_gt4py.io.period import end_after, read_period
    from ailand_gt4py.io.provenance import attributes
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.weights.model_file import read_model

    at = period_command.check(arguments)
    _check(arguments)
    model = read_model(arguments.model)
    end = end_after(arguments.file, arguments.days, arguments.start, model)
    period = read_period(arguments.file, model, np.dtype(arguments.precision), arguments.start, end)
    case = _case(arguments, model, period)
    period_command.say(
        arguments,
        f"{arguments.file}: {period.n_columns} columns, {period.n_steps} steps from {time_text(period.times[0])} to "
        f"{time_text(period.ends[-1])}; {case.misfit.counts.sum()} observed values",
    )

    search = by_gauss_newton if arguments.method == "gauss-newton" else by_lbfgs
    found = search(
        case.misfit,
        case.first_guess,
        case.bounds,
        arguments.iterations,
        lambda now: period_command.say(arguments, str(now)),
    )
    known = parameter_report.quality(case, found, arguments.tolerance)
    print(parameter_report.table(case, found, known, arguments.tolerance))
    for grouping in parameter_report.groupings_of(arguments.file):
        print()
        print(parameter_report.group_table(case, known, grouping))
    if arguments.output is not None:
        header = attributes(
            model,
            parameter_report.TITLE,
            arguments.command_line,
            period.history,
            arguments.backend,
            arguments.precision,
        )
        parameter_report.write(arguments.output, case, found, known, header)
    if arguments.plot is not None:
        write_figure(arguments.plot, parameter_figure.draw(case, found, known, at, arguments.tolerance))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    limits = {
        "first-guess-factor": (0.0, float("inf")),
        "search": (0.0, 1.0),
        "tolerance": (0.0, float("inf")),
        "background": (0.0, float("inf")),
    }
    for name, (low, high) in limits.items():
        value = getattr(arguments, name.replace("-", "_"))
        if value is not None and not low < value < high:
            expected = f"a number above {low:g}" + (f" and below {high:g}" if high < float("inf") else "")
            raise InputError(f"option --{name} is {value:g}, expected {expected}")
    if not 0.0 <= arguments.noise < float("inf"):
        raise InputError(f"option --noise is {arguments.noise:g}, expected a number of at least 0")
    if arguments.noise and arguments.observations != "twin":
        raise InputError("option --noise is for a twin, expected --observations twin")
    for name, least in (("iterations", 1), ("seed", 0)):
        value = getattr(arguments, name)
        if value < least:
            raise InputError(f"option --{name} is {value}, expected a number of at least {least}")


def _case(arguments: argparse.Namespace, model: Model, period: Period) -> Case:
    from ailand_gt4py.calibration.case import first_guess_of_file, make_case
    from ailand_gt4py.cli.option_texts import interval
    from ailand_gt4py.core.names import listed_names
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.sensitivity.quantities import TYPES

    results = {variable.name: variable for variable in (*model.state, *model.diagnostics)}
    parameters = listed_names(
        arguments.parameters, [one.name for one in model.static if one.name not in TYPES], "--parameters"
    )
    observed = listed_names(arguments.observe, results, "--observe")
    guess = first_guess_of_file(period, model, parameters, _pairs(arguments.first_guess, parameters))
    return make_case(
        Emulator(model, period.n_columns, arguments.backend, arguments.precision),
        period,
        parameters,
        observed,
        _errors(arguments.observe_errors, [results[name] for name in observed]),
        guess * arguments.first_guess_factor,
        arguments.search,
        interval(arguments.every, period.step, "--every"),
        arguments.background,
        arguments.noise if arguments.observations == "twin" else None,
        arguments.seed,
    )


def _errors(text: str, observed: list[Variable]) -> list[float]:
    from ailand_gt4py.cli.option_texts import amounts

    given = amounts(text, [variable.name for variable in observed], "--observe-errors")
    result = []
    for variable in observed:
        amount = given.get(variable.name)
        size = USUAL_ERRORS.get(variable.units) if amount is None else amount.value
        if size is None or not size > 0.0 or (amount is not None and amount.is_relative):
            raise InputError(
                f"option --observe-errors: found no standard deviation above 0 of '{variable.name}' in "
                f"{variable.units}, expected one such as {variable.name}=0.01"
            )
        result.append(size)
    return result


def _pairs(text: str, parameters: list[str]) -> dict[str, str]:
    from ailand_gt4py.core.names import listed_names

    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not pairs:
        return {}
    order = listed_names(",".join(name for name, _, _ in pairs), parameters, "--first-guess")
    for name, (_, _, variable) in zip(order, pairs, strict=True):
        if not variable.strip():
            raise InputError(f"option --first-guess: found '{name}', expected {name}=VARIABLE, a variable of the file")
    return {name: variable.strip() for name, (_, _, variable) in zip(order, pairs, strict=True)}
