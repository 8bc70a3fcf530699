"""The same errors carried by many runs of the emulator itself, and where runs show that the first order is not enough.

Every member starts from a state, has parameters and weather with errors drawn from the normal distribution, and is a
column of its own. What cannot be is cut off: a state beyond its bounds, a forcing below zero that never is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.uncertainty.propagation import ErrorSizes
from ailand_gt4py.weights.meaning import snow_of_state
from ailand_gt4py.weights.model import Model, Variable

#: ecLand's freezing point (``RTT``), K.
FREEZING = 273.16

#: Most columns that are run at once.
LARGEST = 4_000_000

#: Members differ in something where at least this part of them has it, and at most one minus this.
FEW = 0.01

#: Conditions under which a step is far from a straight line, in the order in which a class is given.
CONDITIONS = ("snow line", "freezing", "bounds")


@dataclasses.dataclass(frozen=True)
class MonteCarlo:
    """Statistics of many runs.

    Attributes:
        n_members: of each column.
        mean, deviation: (n_steps, n_columns, n_state + n_diagnostics) over the members, after each step.
        conditions: (n_conditions, n_steps, n_columns), whether members after the step differ in having snow; in being
            frozen (uppermost layer of soil); and whether some have soil water at a bound.
    """

    n_members: int
    mean: Values
    deviation: Values
    conditions: Values


def run_members(
    make_emulator: Callable[[int], Emulator],
    period: Period,
    sizes: ErrorSizes,
    n_members: int,
    seed: int = 0,
    after_step: Callable[[int], None] = lambda done: None,
) -> MonteCarlo:
    """Run members through a period.

    Args:
        make_emulator: for a number of columns.
        n_members: of each column, at least 2. seed: of the random numbers.
        after_step: called with the number of steps that are done.

    Raises:
        InputError: too few members, or too many columns with them.
        RunError: the network cannot be compiled.
    """
    n_columns, n_steps = period.n_columns, period.n_steps
    if n_members < 2 or n_members * n_columns > LARGEST:
        raise InputError(
            f"{n_members} members of {n_columns} columns, expected at least 2 members and at most {LARGEST} "
            "columns in all"
        )
    random = np.random.default_rng(seed)
    emulator = make_emulator(n_columns * n_members)
    model = emulator.model
    draws = _Draws(random, n_columns, n_members)
    static = draws.repeated(period.static)
    static[..., sizes.parameter_positions] += draws.normal(sizes.parameters)
    state = draws.repeated(period.initial_state) + draws.normal(sizes.state)
    _cut(state, static, model)
    weather = _Weather(draws, sizes, period, model)
    prepared = emulator.prepare_static(_flat(static, emulator.dtype))
    n_outputs = len(model.state) + len(model.diagnostics)
    mean = np.empty((n_steps, n_columns, n_outputs))
    deviation = np.empty_like(mean)
    conditions = np.empty((len(CONDITIONS), n_steps, n_columns), dtype=bool)
    flat = _flat(state, emulator.dtype)
    for step in range(n_steps):
        flat, diagnostics = emulator.step(prepared, _flat(weather.of(step), emulator.dtype), flat)
        state = flat.reshape(n_columns, n_members, -1)
        noise = sizes.model_error(state.mean(axis=1))
        if noise.any():
            state = state + draws.normal(noise)
            _cut(state, static, model)
            flat = _flat(state, emulator.dtype)
        results = np.concatenate([state, diagnostics.reshape(n_columns, n_members, -1)], axis=2, dtype=np.float64)
        mean[step], deviation[step] = results.mean(axis=1), results.std(axis=1, ddof=1)
        conditions[:, step] = _conditions(model, static, state)
        after_step(step + 1)
    return MonteCarlo(n_members, mean, deviation, conditions)


class _Draws:
    """Values of all members, (n_columns, n_members, ...)."""

    def __init__(self, random: np.random.Generator, n_columns: int, n_members: int) -> None:
        self._random, self._shape = random, (n_columns, n_members)

    def repeated(self, values: Values) -> Values:
        """(n_columns, n_features) for every member, float64, a copy."""
        return np.repeat(values[:, None].astype(np.float64), self._shape[1], axis=1)

    def normal(self, deviations: Values) -> Values:
        """Errors of these standard deviations (n_columns, n_features)."""
        return self._random.standard_normal((*self._shape, deviations.shape[1])) * deviations[:, None]

    def standard(self, count: int) -> Values:
        """(n_columns, n_members, count) of standard deviation 1."""
        return self._random.standard_normal((*self._shape, count))


class _Weather:
    """Forcing of all members: errors of successive windows are an autoregressive process (see `uncertainty`)."""

    def __init__(self, draws: _Draws, sizes: ErrorSizes, period: Period, model: Model) -> None:
        self._draws, self._sizes, self._period = draws, sizes, period
        self._before = draws.standard(sizes.n_forcing)
        self._now = self._next(self._before)
        self._positions = np.array(sizes.forcing_positions, dtype=np.int64)
        self._positions_before = np.array(sizes.before_positions, dtype=np.int64)
        self._never_below = np.array([variable.training_minimum >= 0.0 for variable in model.forcing])

    def _next(self, errors: Values) -> Values:
        phi = self._sizes.phi
        return phi * errors + np.sqrt(1.0 - phi**2) * self._draws.standard(self._sizes.n_forcing)

    def of(self, step: int) -> Values:
        """(n_columns, n_members, n_forcing) of a window; to be asked for in their order."""
        forcing = self._draws.repeated(self._period.forcing[step])
        if not self._sizes.n_forcing:
            return forcing
        forcing[..., self._positions] += self._sizes.forcing(step)[:, None] * self._now
        has_before = self._positions_before >= 0
        before = self._sizes.forcing(step - 1)[:, None] * self._before
        forcing[..., self._positions_before[has_before]] += before[..., has_before]
        forcing[..., self._never_below] = np.maximum(forcing[..., self._never_below], 0.0)
        self._before, self._now = self._now, self._next(self._now)
        return forcing


def _flat(values: Values, dtype: np.dtype) -> Values:
    return np.ascontiguousarray(values.reshape(-1, values.shape[2]), dtype=dtype)


def _bounds(model: Model, static: Values) -> Iterator[tuple[Variable, float, Values]]:
    """State variables with their bounds; an upper one that is a static input is that of the column."""
    names = [variable.name for variable in model.static]
    for variable in model.state:
        other = static[..., names.index(variable.bounded_by)] if variable.bounded_by in names else np.inf
        yield variable, variable.lower_bound, np.minimum(variable.upper_bound, other)


def _cut(state: Values, static: Values, model: Model) -> None:
    """Bring states within their bounds."""
    for position, (_, lower, upper) in enumerate(_bounds(model, static)):
        np.clip(state[..., position], lower, upper, out=state[..., position])


def _conditions(model: Model, static: Values, state: Values) -> Values:
    """(n_conditions, n_columns) of members (n_columns, n_members, n_state)."""
    names = [one.name for one in model.state]
    nowhere = np.zeros(state.shape[:2], dtype=bool)
    snow, at_bound = snow_of_state(model, state), nowhere.copy()
    for position, (variable, lower, upper) in enumerate(_bounds(model, static)):
        if variable.name.startswith("swvl"):
            at_bound |= (state[..., position] <= lower) | (state[..., position] >= upper)
    frozen = state[..., names.index("stl1")] < FREEZING if "stl1" in names else nowhere
    return np.stack([_differ(nowhere if snow is None else snow), _differ(frozen), at_bound.mean(axis=1) >= FEW])


def _differ(has_it: Values) -> Values:
    part = has_it.mean(axis=1)
    return np.asarray((part >= FEW) & (part <= 1.0 - FEW))
