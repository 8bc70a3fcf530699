"""An estimation of parameters on a column file: what is observed, what is sought, from where and within what.

Observations are those in the file (of ecLand, or measured), or, in an identical twin, the emulator's own with the
file's parameters: then the truth is known and the model perfect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.calibration.misfit import Background, Misfit, Observations
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amount
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.runs import label_offset
from ailand_gt4py.io.period import Period, read_observations, read_static
from ailand_gt4py.observations.operators import model_variables
from ailand_gt4py.weights.meaning import meaningful_static
from ailand_gt4py.weights.model import Model, Variable

#: Field capacity and wilting point are not above porosity.
POROSITY = "clim_theta_sat"
BELOW_POROSITY = ("clim_theta_cap", "clim_theta_pwp")

#: Standard deviations of observations by their units, unless others are given: this project's assumption.
USUAL_ERRORS = {"m3 m-3": 0.01, "K": 1.0, "W m-2": 20.0}


@dataclasses.dataclass(frozen=True)
class Case:
    """What an estimation starts from; (n_columns, n_parameters); the first guess is the scale of all changes."""

    period: Period
    parameters: tuple[Variable, ...]
    misfit: Misfit
    file_values: Values
    first_guess: Values
    lower: Values
    upper: Values

    def clip(self, values: Values) -> Values:
        return np.clip(values, self.lower, self.upper)


def observe(
    emulator: Emulator,
    period: Period,
    observed: Mapping[str, float],
    every: int = 1,
    noise: float | None = None,
    seed: int = 0,
) -> Observations:
    """Observations, by name of a result their errors, of one in so many steps: the file's, or a twin's with noise."""
    model = emulator.model
    variables = [one for one in (*model.state, *model.diagnostics) if one.name in observed]
    operator = model_variables(model, [one.name for one in variables])
    sizes = np.array([observed[one.name] for one in variables], dtype=np.float64)
    used = np.full((period.n_steps, period.n_columns, len(variables)), np.nan)
    if noise is None:
        # The results of a step, at the labels that a file keeps them with.
        labels = [period.times if label_offset(one) else period.ends for one in variables]
        fields = (read_observations([one], times, period) for one, times in zip(variables, labels, strict=True))
        values = np.concatenate(list(fields), axis=2)
    else:
        misfit = Misfit(emulator, period, [], Observations(operator, used, sizes))
        values = misfit.run(np.empty((period.n_columns, 0)))
        values += noise * sizes * np.random.default_rng(seed).standard_normal(values.shape)
    used[every - 1 :: every] = values[every - 1 :: every]
    return Observations(operator, used, sizes)


def make_case(
    emulator: Emulator,
    period: Period,
    parameters: Sequence[str],
    observations: Observations,
    guess: Values,
    search: float,
    background: float | None = None,
) -> Case:
    """Set up an estimation; reach of the search and standard deviation of the background are parts of the guess."""
    model = emulator.model
    static = [variable.name for variable in model.static]
    positions = [static.index(name) for name in parameters]
    known = None if background is None else Background(guess, background * guess)
    sought = meaningful_static(model, period.static, parameters)
    lower, upper = guess - search * guess, guess + search * guess
    below = [k for k, name in enumerate(parameters) if name in BELOW_POROSITY]
    if POROSITY in static:
        porosity = period.static[:, [static.index(POROSITY)]].astype(np.float64)
        upper[:, below], lower[:, below] = (np.minimum(one[:, below], porosity) for one in (upper, lower))
    return Case(
        period=period,
        parameters=tuple(model.static[position] for position in positions),
        misfit=Misfit(emulator, period, positions, observations, known, sought),
        file_values=period.static[:, positions].astype(np.float64),
        first_guess=guess,
        lower=lower,
        upper=upper,
    )


def first_guess_of_file(period: Period, model: Model, parameters: Sequence[str], names: dict[str, str]) -> Values:
    """(n_columns, n_parameters) from a file: a parameter's own values, or those of the variable named for it."""
    static = [variable.name for variable in model.static]
    columns = []
    for name in parameters:
        position = static.index(name)
        values = period.static[:, position].astype(np.float64)
        if name in names:
            values = read_static(model.static[position], names[name], period)
        if not (values > 0.0).all():
            raise InputError(f"{period.name}: first guess of '{name}' is {values.min():g}, expected above 0")
        columns.append(values)
    return np.stack(columns, axis=1)


def observation_errors(observed: Sequence[Variable], given: Mapping[str, Amount]) -> dict[str, float]:
    """Standard deviations of observations by name: those given, otherwise `USUAL_ERRORS`; not relative, above 0."""
    result = {}
    for variable in observed:
        amount = given.get(variable.name)
        size = USUAL_ERRORS.get(variable.units) if amount is None else amount.value
        if size is None or not size > 0.0 or (amount is not None and amount.is_relative):
            raise InputError(
                f"errors of observations: found no standard deviation above 0 of '{variable.name}' in "
                f"{variable.units}, expected one such as {variable.name}=0.01"
            )
        result[variable.name] = size
    return result
