"""Statistics of the training columns and what follows from them: normalised tensors, variables with statistics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ailand_gt4py.errors import InputError
from ailand_gt4py.evaluation import baselines
from ailand_gt4py.training.dataset import WindowData
from ailand_gt4py.training.rollout import Tensors
from ailand_gt4py.training.statistics import RunningStatistics
from ailand_gt4py.training.variables import DIAGNOSTICS, FORCING, STATE, STATIC, Specification
from ailand_gt4py.weights.model import Normalisation, Variable

#: Columns that statistics take at a time.
COLUMN_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class Scaling:
    """The model's variables with statistics and ranges, and the scale of one step's increments.

    Attributes:
        static, forcing, state, diagnostics: in the model's order.
        increment_std: (n_state,) standard deviation of the change over one step, model units.
    """

    static: tuple[Variable, ...]
    forcing: tuple[Variable, ...]
    state: tuple[Variable, ...]
    diagnostics: tuple[Variable, ...]
    increment_std: np.ndarray

    @property
    def increment_scale(self) -> np.ndarray:
        """(n_state,) the increments' standard deviation in normalised space."""
        return self.increment_std / scale(self.state)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the state in normalised space, each (n_state,)."""
        lower = np.array([variable.lower_bound for variable in self.state])
        upper = np.array([variable.upper_bound for variable in self.state])
        return (lower - shift(self.state)) / scale(self.state), (upper - shift(self.state)) / scale(self.state)


def shift(variables: Sequence[Variable]) -> np.ndarray:
    """What the normalisation of each variable subtracts."""
    return np.array([variable.normalisation.shift for variable in variables])


def scale(variables: Sequence[Variable]) -> np.ndarray:
    """What the normalisation of each variable divides by."""
    return np.array([variable.normalisation.scale for variable in variables])


def measure(data: WindowData) -> Scaling:
    """Statistics of training columns in one pass over them.

    Raises:
        InputError: an input that does not vary, so that it cannot be normalised and could not be learnt.
    """
    groups = {"static": STATIC, "forcing": FORCING, "state": STATE, "diagnostics": DIAGNOSTICS}
    statistics = {group: RunningStatistics(len(members)) for group, members in groups.items()}
    increments = RunningStatistics(len(STATE))
    for start in range(0, data.n_columns, COLUMN_BLOCK):
        block = slice(start, start + COLUMN_BLOCK)
        for group, members in groups.items():
            values = getattr(data, group)[block]
            wet_only = np.array([variable.wet_only for variable in members])
            selected = ~wet_only | (values > 0.0) if wet_only.any() else None
            statistics[group].update(values, selected)
        increments.update(np.diff(data.state[block].astype(np.float64), axis=1))
    finished = {
        group: tuple(_variable(member, statistics[group], index) for index, member in enumerate(members))
        for group, members in groups.items()
    }
    return Scaling(**finished, increment_std=increments.std)


def _variable(specification: Specification, statistics: RunningStatistics, index: int) -> Variable:
    std = float(statistics.std[index])
    minimum, maximum = float(statistics.minimum[index]), float(statistics.maximum[index])
    if not (math.isfinite(std) and std > 0.0):
        raise InputError(
            f"variable '{specification.name}' has the standard deviation {std} over the training columns "
            f"({minimum} to {maximum}), expected one that varies"
        )
    return Variable(
        name=specification.name,
        units=specification.units,
        long_name=specification.long_name,
        standard_name=specification.standard_name,
        time_meaning=specification.time_meaning,
        normalisation=Normalisation(
            method=specification.method,
            mean=float(statistics.mean[index]),
            std=std,
            minimum=minimum,
            maximum=maximum,
        ),
        training_minimum=minimum,
        training_maximum=maximum,
        lower_bound=specification.lower_bound,
        upper_bound=specification.upper_bound,
        derived=specification.derived,
    )


def error_scales(data: WindowData, scaling: Scaling, anomaly_factor: float) -> np.ndarray:
    """What is a usual error of the state, by lead: the yardstick of the loss.

    With D(k) the standard deviation of the change over k steps (persistence's error) and A the standard deviation about
    the column's day-of-year climatology, it is 1 / sqrt(1 / D(k)^2 + 1 / (anomaly_factor A)^2): the standard
    deviation of the increments at first, and nearly the climatology's error for runs that are weeks old. So the loss
    weighs each lead against what a forecast has to beat there.

    Args:
        data: training columns, model units.
        scaling: of the same columns.
        anomaly_factor: above 0; the larger, the less old runs count and the more their large errors do.

    Returns:
        (n_leads, n_state) in normalised space, rows for 1, 2, ... steps up to the last one that differs by more than
        rounding: 2^k steps with 2^k <= half of the windows.
    """
    lags = 2 ** np.arange(int(math.log2(max(data.n_windows // 2, 1))) + 1)
    squares, anomalies, counts = np.zeros((lags.size, len(STATE))), np.zeros(len(STATE)), np.zeros(lags.size)
    for start in range(0, data.n_columns, COLUMN_BLOCK):
        state = data.state[start : start + COLUMN_BLOCK].astype(np.float64)
        for index, lag in enumerate(lags):
            squares[index] += ((state[:, lag:] - state[:, :-lag]) ** 2).sum(axis=(0, 1))
            counts[index] += state.shape[0] * (state.shape[1] - lag)
        by_time = state.transpose(1, 0, 2)
        climatology = baselines.day_of_year_climatology(by_time, data.times, window_days=1)
        anomalies += ((by_time - climatology) ** 2).sum(axis=(0, 1))
    change = squares / counts[:, None]
    anomaly = anomaly_factor**2 * anomalies / (data.n_columns * data.state.shape[1])
    # A variable may follow its climatology exactly in tiny data; then only the change counts.
    inverse = 1.0 / change + np.divide(1.0, anomaly, out=np.zeros_like(anomaly), where=anomaly > 0.0)
    leads = np.arange(1, lags[-1] + 1)
    by_lead = np.stack([np.interp(np.log(leads), np.log(lags), row) for row in np.log(inverse).T], axis=1)
    return np.exp(-0.5 * by_lead) / scale(scaling.state)


def normalised_tensors(data: WindowData, scaling: Scaling) -> Tensors:
    """Normalise data in place (to keep one copy in memory) and hand it over as tensors."""
    for group in ("static", "forcing", "state", "diagnostics"):
        values: np.ndarray = getattr(data, group)
        variables = getattr(scaling, group)
        for start in range(0, data.n_columns, COLUMN_BLOCK):
            block = values[start : start + COLUMN_BLOCK]
            block[...] = (block.astype(np.float64) - shift(variables)) / scale(variables)
    return Tensors(*(torch.from_numpy(getattr(data, group)) for group in ("static", "forcing", "state", "diagnostics")))


def clip_targets(data: WindowData, limits: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """Clip outputs in place to the limits given; returns how many values of each were outside."""
    changed = {}
    for group, members in (("state", STATE), ("diagnostics", DIAGNOSTICS)):
        for index, member in enumerate(members):
            if member.name in limits:
                values = getattr(data, group)[..., index]
                low, high = limits[member.name]
                changed[member.name] = int(((values < low) | (values > high)).sum())
                np.clip(values, low, high, out=values)
    return changed
