"""``ailand estimate FILE``: soil and vegetation parameters that bring runs nearest to observations."""

from __future__ import annotations

import sys
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, model_validator

from ailand_gt4py.cli.period import PeriodOptions
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amounts, Interval, Names, listed_names, named_values
from ailand_gt4py.core.settings import option
from ailand_gt4py.core.times import parse_interval, whole_steps
from ailand_gt4py.driver.progress import counted


class Options(PeriodOptions):
    """
    Estimate static inputs (field capacity, wilting point, stomatal resistances, roughness lengths) of every column from
    observations: those in the files or, in an identical twin, those of a run with the files' own parameters. The Fisher
    information shows where the observations determine them. Method: docs/parameter_estimation.md.
    """

    program: ClassVar[str] = "ailand estimate"

    parameters: Names = option(..., "static inputs to estimate", metavar="NAME,...")
    observe: Names = option("swvl1,swvl2,swvl3", "states and diagnostics that are observed", metavar="NAME,...")
    observe_errors: Amounts = option({}, "standard deviations of observations, NAME=SIZE,... in units", metavar="SIZES")
    observations: Literal["file", "twin"] = option(
        "file", "observations in the files, or of a run with their parameters"
    )
    noise: float = option(0.0, "noise on a twin's observations, in standard deviations", ge=0.0)
    seed: int = option(0, "seed of the noise", ge=0)
    every: Interval = option(parse_interval("1d"), "interval between observations (default: 1d)", metavar="TIME")
    days: float = option(180.0, "length of the run, days", gt=0.0)
    first_guess_factor: float = option(1.0, "factor on the first guess", gt=0.0)
    first_guess: Annotated[dict[str, str], BeforeValidator(named_values)] = option(
        {}, "variables of the files with the first guesses (default: the parameters)", metavar="NAME=VARIABLE,..."
    )
    search: float = option(0.5, "search range below and above the first guess, as a fraction of it", gt=0.0, lt=1.0)
    background: float | None = option(
        None, "include the first guess, with this fraction of it as standard deviation", metavar="PART", gt=0.0
    )
    method: Literal["gauss-newton", "lbfgs"] = option("gauss-newton", "minimisation method")
    iterations: int = option(30, "largest number of iterations", ge=1)
    tolerance: float = option(0.02, "largest relative standard deviation of a determined parameter", gt=0.0)

    @model_validator(mode="after")
    def _check_noise(self) -> Self:
        if self.noise and self.observations != "twin":
            raise InputError("option --noise is for a twin, expected --observations twin")
        return self


def run(options: Options) -> None:
    """Estimate parameters, print the table, write what is asked for."""
    # Only now: `--help` must not wait for GT4Py.
    from ailand_gt4py.calibration import case as cases
    from ailand_gt4py.calibration import figure, report
    from ailand_gt4py.calibration.estimation import by_gauss_newton, by_lbfgs
    from ailand_gt4py.evaluation.scores.groups import texts
    from ailand_gt4py.io.whole_files import write_figure
    from ailand_gt4py.sensitivity.quantities import TYPES

    model = options.read_model()
    results = {variable.name: variable for variable in (*model.state, *model.diagnostics)}
    static = [variable.name for variable in model.static if variable.name not in TYPES]
    parameters = listed_names(options.parameters, static, "--parameters")
    observed = listed_names(options.observe, results, "--observe")
    if options.first_guess:
        listed_names(",".join(options.first_guess), parameters, "--first-guess")
    if options.observe_errors:
        listed_names(",".join(options.observe_errors), observed, "--observe-errors")
    period = options.read(model, days=options.days)
    guess = cases.first_guess_of_file(period, model, parameters, options.first_guess) * options.first_guess_factor
    emulator, every = options.emulator(model, period.n_columns), whole_steps(options.every, period.step, "--every")
    errors = cases.observation_errors([results[name] for name in observed], options.observe_errors)
    noise = options.noise if options.observations == "twin" else None
    observations = cases.observe(emulator, period, errors, every, noise, options.seed)
    case = cases.make_case(emulator, period, parameters, observations, guess, options.search, options.background)
    more = f"; {case.misfit.counts.sum()} observed values"
    options.describe(period, period.ends, more)
    search = by_gauss_newton if options.method == "gauss-newton" else by_lbfgs
    with counted(options.iterations, "iterations", sys.stderr, quiet=options.quiet) as count:
        found = search(case, options.iterations, lambda done, text: count(done, lambda: text))
    known = report.quality(case, found, options.tolerance)
    print(report.table(case, found, known, options.tolerance))
    if period.climate is not None:
        print(f"\n{report.group_table(case, known, texts('climate', period.climate))}")
    if options.output is not None:
        report.write(options.output, case, found, known, options.attributes(model, report.TITLE, period.history))
    if options.plot is not None:
        write_figure(options.plot, lambda: figure.draw(case, found, known, options.at, options.tolerance))
