"""The same errors carried by many runs of the emulator itself, and where runs show that the first order is not enough.

Every member starts from a state, has parameters and weather with errors drawn from the normal distribution, and is a
column of its own. What cannot be is cut off: a state beyond its bounds, a forcing below zero that never is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from ailand_gt4py.core.constants import MELTING_POINT
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.uncertainty.propagation import ErrorSizes
from ailand_gt4py.weights.meaning import snow_of_state
from ailand_gt4py.weights.model import Model

#: Most columns that are run at once.
LARGEST = 4_000_000
#: Members differ in something where at least this part of them has it, and at most one minus this.
FEW = 0.01
#: Conditions under which a step is far from a straight line, in the order in which a class is given.
CONDITIONS = ("snow line", "freezing", "bounds")


@dataclasses.dataclass(frozen=True)
class MonteCarlo:
    """Mean and deviation over members (n_steps, n_columns, n_state + n_diagnostics), conditions (n_conditions, ...).

    These are: members differ in having snow; in being frozen (uppermost layer of soil); some are at a bound.
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
    """Run so many members of each column through a period; ``after_step`` is given the number of steps done."""
    n_columns = period.n_columns
    if n_members < 2 or n_members * n_columns > LARGEST:
        raise InputError(
            f"{n_members} members of {n_columns} columns, expected at least 2 members and at most {LARGEST} "
            "columns in all"
        )
    emulator = make_emulator(n_columns * n_members)
    model, random = emulator.model, np.random.default_rng(seed)

    def draw(deviations: Values) -> Values:
        """Errors of these standard deviations (n_columns, n_features), of all members."""
        return random.standard_normal((n_columns, n_members, deviations.shape[1])) * deviations[:, None]

    def flat(values: Values) -> Values:
        return np.ascontiguousarray(values.reshape(len(values) * n_members, -1), dtype=emulator.dtype)

    static = _repeated(period.static, n_members)
    static[..., sizes.parameter_positions] += draw(sizes.parameters)
    state = _repeated(period.initial_state, n_members) + draw(sizes.state)
    bounds = _bounds(model, static)
    state = np.clip(state, *bounds)
    weather = _weather(random, n_members, sizes, period, model)
    prepared, columns = emulator.prepare_static(flat(static)), flat(state)
    rows = []
    for step, forcing in enumerate(weather):
        columns, diagnostics = emulator.step(prepared, flat(forcing), columns)
        state = columns.reshape(n_columns, n_members, -1)
        noise = sizes.model_error(state.mean(axis=1))
        if noise.any():
            state = np.clip(state + draw(noise), *bounds)
            columns = flat(state)
        results = np.concatenate([state, diagnostics.reshape(n_columns, n_members, -1)], axis=2, dtype=np.float64)
        rows.append((results.mean(axis=1), results.std(axis=1, ddof=1), _conditions(model, state, *bounds)))
        after_step(step + 1)
    mean, deviation, conditions = (np.stack(values) for values in zip(*rows, strict=True))
    return MonteCarlo(n_members, mean, deviation, np.moveaxis(conditions, 1, 0))


def _repeated(values: Values, n_members: int) -> Values:
    """(n_columns, n_members, n_features), float64, a copy of (n_columns, n_features) for every member."""
    return np.repeat(values[:, None].astype(np.float64), n_members, axis=1)


def _weather(
    random: np.random.Generator, n_members: int, sizes: ErrorSizes, period: Period, model: Model
) -> Iterator[Values]:
    """Forcing of all members by window: errors of successive windows are an autoregressive process (`propagation`)."""
    shape = (period.n_columns, n_members, len(sizes.forcing_positions))
    has_before = np.flatnonzero(np.array(sizes.before_positions, dtype=np.int64) >= 0)
    positions_before = [sizes.before_positions[k] for k in has_before]
    never_below = [variable.training_minimum >= 0.0 for variable in model.forcing]

    def following(errors: Values) -> Values:
        return sizes.phi * errors + np.sqrt(1.0 - sizes.phi**2) * random.standard_normal(shape)

    before = random.standard_normal(shape)
    now = following(before)
    for step in range(period.n_steps):
        forcing = _repeated(period.forcing[step], n_members)
        forcing[..., sizes.forcing_positions] += sizes.forcing(step)[:, None] * now
        forcing[..., positions_before] += (sizes.forcing(step - 1)[:, None] * before)[..., has_before]
        if sizes.forcing_positions:
            forcing[..., never_below] = np.maximum(forcing[..., never_below], 0.0)
        before, now = now, following(now)
        yield forcing


def _bounds(model: Model, static: Values) -> tuple[Values, Values]:
    """Lower and upper bounds of the state, broadcast to it; an upper one that is a static input is the column's."""
    names = [variable.name for variable in model.static]
    own = np.array([[variable.lower_bound, variable.upper_bound] for variable in model.state]).T
    upper = np.broadcast_to(own[1], (*static.shape[:-1], len(model.state))).copy()
    for position, variable in enumerate(model.state):
        if variable.bounded_by in names:
            upper[..., position] = np.minimum(upper[..., position], static[..., names.index(variable.bounded_by)])
    return own[0], upper


def _conditions(model: Model, state: Values, lower: Values, upper: Values) -> Values:
    """(n_conditions, n_columns) of members (n_columns, n_members, n_state)."""
    names = [variable.name for variable in model.state]
    water = [position for position, name in enumerate(names) if name.startswith("swvl")]
    snow, nowhere = snow_of_state(model, state), np.zeros(state.shape[:2], dtype=bool)
    frozen = state[..., names.index("stl1")] < MELTING_POINT if "stl1" in names else nowhere
    of_water = state[..., water]
    at_bound = ((of_water <= lower[water]) | (of_water >= upper[..., water])).any(axis=-1)
    return np.stack([_differ(nowhere if snow is None else snow), _differ(frozen), at_bound.mean(axis=1) >= FEW])


def _differ(has_it: Values) -> Values:
    part = has_it.mean(axis=1)
    return np.asarray((part >= FEW) & (part <= 1.0 - FEW))
