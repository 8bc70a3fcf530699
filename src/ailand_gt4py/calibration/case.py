"""An estimation of parameters on a column file: what is observed, what is sought, from where and within what.

Observations are those in the file (of ecLand, or measured), or, in an identical twin, the emulator's own with the
file's parameters: then the truth is known and the model perfect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.calibration.misfit import Background, Misfit, Observations
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amount
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.runs import label_offset
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.period import Period, read_values
from ailand_gt4py.observations.operators import model_variables
from ailand_gt4py.weights.meaning import meaningful_static
from ailand_gt4py.weights.model import Model, Variable

#: Field capacity and wilting point are not above porosity.
POROSITY = "clim_theta_sat"
BELOW_POROSITY = ("clim_theta_cap", "clim_theta_pwp")

#: Standard deviations of observations by their units, unless others are given: this project's assumption.
USUAL_ERRORS = {"m3 m-3": 0.01, "K": 1.0, "W m-2": 20.0}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Within which parameters are sought, and the scale of their changes, (n_columns, n_parameters) each."""

    lower: Values
    upper: Values
    scale: Values

    def clip(self, values: Values) -> Values:
        return np.clip(values, self.lower, self.upper)


@dataclasses.dataclass(frozen=True)
class Case:
    """What an estimation starts from; file_values and first_guess: (n_columns, n_parameters)."""

    period: Period
    parameters: tuple[Variable, ...]
    observed: tuple[Variable, ...]
    misfit: Misfit
    bounds: Bounds
    file_values: Values
    first_guess: Values


class FirstGuess(NamedTuple):
    """From where parameters are sought: values (n_columns, n_parameters), positive.

    Sought is within the part `search` of them; `background`: their standard deviation as a part of them, if they count.
    """

    values: Values
    search: float
    background: float | None = None


class Twin(NamedTuple):
    """Observations that are the emulator's own, with noise of this part of their errors from this seed."""

    noise: float
    seed: int = 0


def make_case(
    emulator: Emulator,
    period: Period,
    parameters: Sequence[str],
    observed: Mapping[str, float],
    first_guess: FirstGuess,
    every: int = 1,
    twin: Twin | None = None,
) -> Case:
    """Set up an estimation.

    Args:
        emulator: for the columns of the period, whose last window ends at a label of its file.
        parameters: names of static inputs. observed: standard deviations by name of a state or diagnostic.
        every: one in so many steps is observed. twin: None: observations of the file.
    """
    model, guess = emulator.model, first_guess.values
    static_names = [variable.name for variable in model.static]
    positions = [static_names.index(name) for name in parameters]
    variables = tuple(one for one in (*model.state, *model.diagnostics) if one.name in observed)
    operator = model_variables(model, [one.name for one in variables])
    sizes = np.array([observed[one.name] for one in variables], dtype=np.float64)
    file_values = period.static[:, positions].astype(np.float64)
    for k, name in enumerate(parameters):
        if not (guess[:, k] > 0.0).all():
            raise InputError(f"{period.path}: first guess of '{name}' is {guess[:, k].min():g}, expected above 0")
    used = np.full((period.n_steps, period.n_columns, len(variables)), np.nan)
    if twin is None:
        values = _of_file(period, variables)
    else:
        values = Misfit(emulator, period, positions, Observations(operator, used, sizes)).run(file_values)
        values += twin.noise * sizes * np.random.default_rng(twin.seed).standard_normal(values.shape)
    used[every - 1 :: every] = values[every - 1 :: every]
    scale = np.abs(guess)
    background = None if first_guess.background is None else Background(guess, first_guess.background * scale)
    sought = meaningful_static(model, period.static, parameters)
    return Case(
        period=period,
        parameters=tuple(model.static[position] for position in positions),
        observed=variables,
        misfit=Misfit(emulator, period, positions, Observations(operator, used, sizes), background, sought),
        bounds=_bounds(period, static_names, parameters, guess, first_guess.search * scale),
        file_values=file_values,
        first_guess=guess,
    )


def _bounds(period: Period, static: Sequence[str], parameters: Sequence[str], guess: Values, reach: Values) -> Bounds:
    """Within reach of the first guess, and not above porosity where a parameter cannot be."""
    lower, upper = guess - reach, guess + reach
    below = [k for k, name in enumerate(parameters) if name in BELOW_POROSITY]
    if POROSITY in static:
        porosity = period.static[:, [static.index(POROSITY)]].astype(np.float64)
        upper[:, below], lower[:, below] = (np.minimum(one[:, below], porosity) for one in (upper, lower))
    return Bounds(lower, upper, np.abs(guess))


def _of_file(period: Period, observed: Sequence[Variable]) -> Values:
    """(n_steps, n_columns, n_observed) of the results of the steps, at the labels that a file keeps them with."""
    labels = [period.times if label_offset(variable) else period.ends for variable in observed]
    fields = (
        read_values(period.path, [variable], times, period, np.dtype("f8"))
        for variable, times in zip(observed, labels, strict=True)
    )
    return np.concatenate(list(fields), axis=2)


def first_guess_of_file(period: Period, model: Model, parameters: Sequence[str], names: dict[str, str]) -> Values:
    """(n_columns, n_parameters) from a file: a parameter's own values, or those of the variable named for it."""
    static = [variable.name for variable in model.static]
    columns = []
    with ColumnFile(period.path) as file:
        for name in parameters:
            position = static.index(name)
            if name not in names:
                columns.append(period.static[:, position].astype(np.float64))
                continue
            own_name = file.find(names[name])
            if own_name is None:
                raise InputError(
                    f"{period.path}: variable '{names[name]}' is missing, expected a first guess of {name}"
                )
            straight = file.conversion(own_name, name, model.static[position].units)
            values = file.read(own_name, slice(0, 1)) if file.is_timed(own_name) else file.read(own_name)
            columns.append(straight.apply(values.reshape(-1).astype(np.float64)))
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
