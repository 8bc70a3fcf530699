"""Statistics of the training columns, and the variables and yardsticks that follow from them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.scores.climatology import day_of_year_climatology
from ailand_gt4py.training.windows import Values, WindowData
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.processing import Variability
from ailand_gt4py.weights.schema import GROUPS
from ailand_gt4py.weights.variables import Specification, VariableSet


class Statistics(NamedTuple):
    """Number, mean, sum of squared deviations from it (Chan et al. 1983) of the values that count; range of all.

    Each (n_variables,), in double precision.
    """

    n: Values
    mean: Values
    squares: Values
    minimum: Values
    maximum: Values

    @classmethod
    def of(cls, values: Values, counted: Values, there: Values | bool = True) -> Self:
        """Of (..., n_variables) values: those that count and those that are there, by booleans broadcast to them."""
        values = values.reshape(-1, values.shape[-1]).astype(np.float64)
        counted = np.broadcast_to(counted.reshape(-1, values.shape[-1]), values.shape)
        there = np.broadcast_to(np.reshape(there, (-1, np.shape(there)[-1] if np.ndim(there) else 1)), values.shape)
        n = counted.sum(axis=0)
        mean = values.sum(axis=0, where=counted) / np.maximum(n, 1)
        squares = np.square(values - mean).sum(axis=0, where=counted)
        lowest, highest = (
            function(values, axis=0, where=there, initial=end)
            for function, end in ((np.min, np.inf), (np.max, -np.inf))
        )
        return cls(n, mean, squares, lowest, highest)

    @classmethod
    def pooled(cls, parts: Sequence[Self]) -> Self:
        """Of the values of all parts together."""
        counts, means, squares, lowest, highest = map(np.stack, zip(*parts, strict=True))
        n = counts.sum(axis=0)
        mean = means[0] + (counts * (means - means[0])).sum(axis=0) / np.maximum(n, 1)
        squares = (squares + counts * np.square(means - mean)).sum(axis=0)
        return cls(n, mean, squares, lowest.min(axis=0), highest.max(axis=0))

    @property
    def std(self) -> Values:
        """Standard deviation (divided by the count); NaN where nothing counts."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.squares / self.n)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """The model's variables with statistics and ranges; (n_state,) deviations of one step's changes, model units."""

    static: tuple[Variable, ...]
    forcing: tuple[Variable, ...]
    state: tuple[Variable, ...]
    diagnostics: tuple[Variable, ...]
    increment_std: Values

    @property
    def increment_scale(self) -> Values:
        """(n_state,) the increments' standard deviation in normalised space."""
        return self.increment_std / scale(self.state)

    def same_at_all_times(self) -> Self:
        """With the normalisation of a window's forcing for that of earlier windows, too, as anemoi's networks have."""
        known = {variable.name: variable for variable in self.forcing}

        def newest(variable: Variable) -> Variable:
            return newest(known[variable.previous_of]) if variable.is_previous else variable

        same = (dataclasses.replace(one, normalisation=newest(one).normalisation) for one in self.forcing)
        return dataclasses.replace(self, forcing=tuple(same))

    def bounds_by_static(self) -> tuple[Values, Values]:
        """Normalised upper bounds of the state by static inputs: weight (n_state, n_static) @ static + constant."""
        weight, constant = np.zeros((len(self.state), len(self.static))), np.full(len(self.state), np.inf)
        names = [variable.name for variable in self.static]
        for position, variable in enumerate(self.state):
            if variable.bounded_by in names:
                source = names.index(variable.bounded_by)
                bound = self.static[source].normalisation
                weight[position, source] = bound.scale / variable.normalisation.scale
                constant[position] = (bound.shift - variable.normalisation.shift) / variable.normalisation.scale
        return weight, constant


def shift(variables: Sequence[Variable]) -> Values:
    """What the normalisation of each variable subtracts."""
    return np.array([variable.normalisation.shift for variable in variables])


def scale(variables: Sequence[Variable]) -> Values:
    """What the normalisation of each variable divides by."""
    return np.array([variable.normalisation.scale for variable in variables])


def bounds(variables: Sequence[Variable]) -> tuple[Values, Values]:
    """Lower and upper bounds in normalised space, each (n_variables,)."""
    limits = ([getattr(one, name) for one in variables] for name in ("lower_bound", "upper_bound"))
    lower, upper = ((np.array(limit) - shift(variables)) / scale(variables) for limit in limits)
    return lower, upper


def measure(
    data: WindowData, variables: VariableSet, columns: Values | None = None, beginning: Model | None = None
) -> Scaling:
    """Statistics, in model units, of columns (None: all). What is constant there has the scale 1.

    What no source tells is as in the model that training begins with.

    Raises:
        InputError: a variable has values that are not finite, or none that count, and there is no such model.
    """
    known = {} if beginning is None else {one.name: one for group in GROUPS for one in getattr(beginning, group)}
    parts: dict[str, list[Statistics]] = {group: [] for group in (*variables.groups, "increments")}
    for block in data.blocks(columns):
        for group, members in variables.groups.items():
            values = getattr(block, group).astype(np.float64)
            for position, member in enumerate(members):
                if member.method == "log":
                    values[..., position] = np.log(np.maximum(values[..., position], member.floor))
            counted = (values > 0.0) | ~np.array([member.wet_only for member in members])
            if group == "diagnostics":
                # What was observed has gaps.
                there = np.isfinite(values)
                parts[group].append(Statistics.of(values, counted & there, there))
                continue
            parts[group].append(Statistics.of(values, counted & block.state_known if group == "state" else counted))
        changes = np.diff(block.state.astype(np.float64), axis=1)
        parts["increments"].append(Statistics.of(changes, block.state_known))
    pooled = {group: Statistics.pooled(of_group) for group, of_group in parts.items()}
    finished = {
        group: tuple(
            _variable(member, pooled[group], position, known.get(member.name))
            for position, member in enumerate(members)
        )
        for group, members in variables.groups.items()
    }
    increment_std = pooled["increments"].std
    return Scaling(**finished, increment_std=np.where(increment_std > 0.0, increment_std, scale(finished["state"])))


def constants(data: WindowData, variables: VariableSet, columns: Values | None = None) -> list[str]:
    """Names of the inputs and outputs that are the same in all windows of these columns."""
    found = []
    for group, members in variables.groups.items():
        ends = [
            (values.min(axis=0), values.max(axis=0))
            for block in data.blocks(columns)
            for values in [getattr(block, group).reshape(-1, len(members))]
        ]
        lowest, highest = (f(one, axis=0) for f, one in zip((np.min, np.max), zip(*ends, strict=True), strict=True))
        found += [member.name for member, is_constant in zip(members, lowest == highest, strict=True) if is_constant]
    return found


def _variable(
    specification: Specification, statistics: Statistics, position: int, known: Variable | None = None
) -> Variable:
    values = statistics.mean, statistics.std, statistics.minimum, statistics.maximum
    mean, std, minimum, maximum = (float(value[position]) for value in values)
    if specification.wet_only and statistics.n[position] == 0:
        mean, std = 0.0, 0.0
    if not (math.isfinite(mean) and math.isfinite(std) and minimum <= maximum):
        if known is not None and statistics.n[position] == 0:
            return specification.variable(known.normalisation, known.training_minimum, known.training_maximum)
        raise InputError(
            f"variable '{specification.name}' has the standard deviation {std} over the training columns "
            f"({minimum} to {maximum}), expected numbers"
        )
    lowest = minimum
    if specification.method == "log":
        minimum, maximum, lowest = math.exp(minimum), math.exp(maximum), specification.floor
    normalisation = Normalisation(specification.method, mean=mean, std=std or 1.0, minimum=lowest, maximum=maximum)
    return specification.variable(normalisation, minimum, maximum)


def measured_variability(data: WindowData, scaling: Scaling, columns: Values | None = None) -> Variability:
    """How much the state of columns (None: all) varies, in model units, as far as it is known.

    Over lags of up to half of the longest column's windows. What never changes counts by its scale.

    Raises:
        InputError: no state is known.
    """
    if not data.state_known[slice(None) if columns is None else columns].any():
        raise InputError(
            "option 'data.only_observed': no state is known to learn from, and the initial model does not "
            "contain the variability of the states; expected a source whose states are learnt, or a newer model file"
        )
    longest = int(data.n_windows[slice(None) if columns is None else columns].max())
    lags = 2 ** np.arange(int(math.log2(max(longest // 2, 1))) + 1)
    n_state = data.state.shape[1]
    squares, counts = np.zeros((2, lags.size, n_state))
    anomalies, n_values = np.zeros((2, n_state))
    for block in data.blocks(columns):
        known = block.state_known
        # What is only guessed does not count: nothing in squares and counts.
        state = np.where(known, block.state.astype(np.float64), 0.0)
        for index, lag in enumerate(lags):
            if lag < state.shape[1]:
                squares[index] += ((state[:, lag:] - state[:, :-lag]) ** 2).sum(axis=(0, 1))
                counts[index] += state.shape[0] * (state.shape[1] - lag) * known
        by_time = state.transpose(1, 0, 2)
        usual = day_of_year_climatology(by_time, block.times, window_days=1)
        anomalies += ((by_time - usual) ** 2).sum(axis=(0, 1))
        n_values += state.shape[0] * state.shape[1] * known
    # A state may be known in short columns only: for longer leads its anomalies alone count.
    change = np.divide(squares, counts, out=np.full_like(squares, np.inf), where=counts > 0.0)
    change = np.where(change > 0.0, change, scale(scaling.state) ** 2)
    return Variability(np.sqrt(change), np.sqrt(anomalies / n_values))


def error_scales(variability: Variability, state: Sequence[Variable], anomaly_factor: float) -> Values:
    """What is a usual error of the state, by lead: the yardstick of the loss.

    With D(k) the root mean square of the change over k steps (persistence's error) and A the standard deviation about
    the column's day-of-year climatology, it is 1 / sqrt(1 / D(k)^2 + 1 / (anomaly_factor A)^2): the standard
    deviation of the increments at first, and nearly the climatology's error for runs that are weeks old. So the loss
    weighs each lead against what a forecast has to beat there. The larger the factor, the less old runs count and the
    more their large errors do.

    Returns:
        (n_leads, n_state) in normalised space, rows for 1, 2, ... steps up to the last one that differs by more than
        rounding.
    """
    lags = 2 ** np.arange(len(variability.changes))
    change, anomaly = variability.changes**2, (anomaly_factor * variability.anomalies) ** 2
    # A variable may follow its climatology exactly in tiny data; then only the change counts.
    inverse = 1.0 / change + np.divide(1.0, anomaly, out=np.zeros_like(anomaly), where=anomaly > 0.0)
    leads = np.arange(1, lags[-1] + 1)
    by_lead = np.stack([np.interp(np.log(leads), np.log(lags), row) for row in np.log(inverse).T], axis=1)
    return np.exp(-0.5 * by_lead) / scale(state)


def clip_targets(
    data: WindowData, variables: VariableSet, limits: Mapping[str, tuple[float, float]], columns: Values
) -> dict[str, int]:
    """Clip outputs of some columns in place to the limits given; returns how many values of each were out of range."""
    n_clipped: Counter[str] = Counter()
    for block in data.blocks(columns):
        for group in ("state", "diagnostics"):
            for position, member in enumerate(variables.groups[group]):
                if member.name in limits:
                    values = getattr(block, group)[..., position]
                    clipped = np.clip(values, *limits[member.name])
                    n_clipped[member.name] += int((clipped != values).sum())
                    values[...] = clipped
    return n_clipped
