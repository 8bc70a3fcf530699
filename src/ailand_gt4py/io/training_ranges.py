"""Values that the model has not been trained on: which these are, and their count over a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.snow import LEAST_WATER
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import specification_of

#: Part of the training range's width by which a value may be out of it and still count as inside. The ranges are those
#: of samples, rounded at that: a network does not know the last of them from its neighbours, and its own state, free
#: for years, is not held within them.
TOLERANCE = 0.1


def room_above(variable: Variable) -> float:
    """How far above its training range a value still counts as inside, in the variable's units.

    `TOLERANCE` of the width of the range, but for what has a long tail (the catalogue's ``has_long_tail``): its largest
    sample is no limit, and that of another sample differs from it by a factor. The factor is exp(s / z) for a
    log-normal quantity: s the standard deviation of its logarithm, as mean and standard deviation of the training data
    give it, z how many of these the largest value is above the mean of the logarithm; 1 / z is the scale by which the
    largest of many normal samples vary (Gumbel 1958, Statistics of Extremes).
    """
    largest, plain = variable.training_maximum, TOLERANCE * (variable.training_maximum - variable.training_minimum)
    entry, known = specification_of(variable), variable.normalisation
    if entry is None or not entry.has_long_tail or known.method == "log" or not (known.mean > 0.0 and known.std > 0.0):
        return plain
    deviation = math.sqrt(math.log1p((known.std / known.mean) ** 2))
    z = (math.log(largest / known.mean) + 0.5 * deviation**2) / deviation
    return max(plain, largest * math.expm1(deviation / z)) if z > 1.0 else plain


class TrainingRanges:
    """Training ranges beside values, NumPy's or CuPy's (``xp``); one that is unknown (NaN) has all finite values in it.

    A missing value (NaN) of a variable that is imputed is in its range: training had such. Where there is no snow, its
    properties mean nothing, and are not looked at.

    Attributes:
        lower, upper: (n_variables,), the ranges and their tolerance. width: (n_variables,), NaN where there is none.
    """

    def __init__(self, variables: Sequence[Variable], xp: Any = np) -> None:
        lower = np.array([variable.training_minimum for variable in variables], dtype=np.float64)
        upper = np.array([variable.training_maximum for variable in variables], dtype=np.float64)
        tolerance, self.width = TOLERANCE * (upper - lower), np.where(upper > lower, upper - lower, np.nan)
        room = np.array([room_above(variable) for variable in variables], dtype=np.float64)
        largest, self._xp = np.finfo(np.float64).max, xp
        self.lower = xp.asarray(np.where(np.isnan(lower), -largest, lower - tolerance))
        self.upper = xp.asarray(np.where(np.isnan(upper), largest, upper + room))
        self._far_lower, self._far_upper = xp.asarray(lower - self.width), xp.asarray(upper + self.width)
        is_imputed = [variable.is_imputed for variable in variables]
        self._may_be_missing = xp.asarray(is_imputed, dtype=bool) if any(is_imputed) else None
        names = [variable.name for variable in variables]
        entries = [specification_of(variable) for variable in variables]
        self._of_snow = [k for k, entry in enumerate(entries) if entry is not None and entry.of_snow]
        self._snow = names.index("sd") if "sd" in names and self._of_snow else None

    def outside(self, values: Any, at: Any = slice(None)) -> Any:
        """Whether values (n_columns, n_variables) are below, above their ranges, or not finite: (3, ...).

        At most one of the three is true. ``at``: indices of some variables.
        """
        some = values[:, at]
        outside = self._xp.empty((3, *some.shape), dtype=bool)
        self._xp.less(some, self.lower[at], out=outside[0])
        self._xp.greater(some, self.upper[at], out=outside[1])
        self._xp.logical_not(self._xp.isfinite(some), out=outside[2])
        outside[:2] &= ~outside[2]
        if self._may_be_missing is not None:
            outside[2] &= ~(self._may_be_missing[at] & self._xp.isnan(some))
        if self._snow is not None:
            of_snow = [k for k, position in enumerate(np.arange(len(self.lower))[at]) if position in self._of_snow]
            if of_snow:
                is_bare = values[:, self._snow] <= LEAST_WATER
                outside[:2, :, of_snow] &= ~is_bare[:, None]
        return outside

    def far_outside(self, values: Any) -> Any:
        """Whether values (n_columns, n_variables) are finite and out of their ranges by more than these are wide."""
        return ((values < self._far_lower) | (values > self._far_upper)) & self._xp.isfinite(values)

    def extremes(self, values: Any, outside: Any, at: Any = slice(None)) -> Any:
        """Of values that are `outside`, the smallest below and the largest above: (2, n_variables), else infinite."""
        xp, some = self._xp, values[:, at]
        return xp.stack(
            [
                xp.where(outside[0], some, xp.inf).min(axis=0, initial=xp.inf),
                xp.where(outside[1], some, -xp.inf).max(axis=0, initial=-xp.inf),
            ]
        )


def outside_training_range(values: Values, variables: Sequence[Variable]) -> Values:
    """`TrainingRanges.outside` of NumPy's arrays."""
    outside: Values = TrainingRanges(variables).outside(values)
    return outside


#: Rows that are put side by side, so that a reduction over rows of a few variables runs over long vectors.
_ROWS_TOGETHER = 64


def _extremes(values: Values) -> tuple[Values, Values]:
    """Smallest and largest value (n_variables,) of an array (n_rows, n_variables); NaN where there is any."""
    n_rows, n_variables = values.shape
    if not values.flags.c_contiguous or n_rows < _ROWS_TOGETHER:
        return values.min(axis=0), values.max(axis=0)
    whole = n_rows - n_rows % _ROWS_TOGETHER
    block, rest = values[:whole].reshape(-1, _ROWS_TOGETHER * n_variables), values[whole - _ROWS_TOGETHER :]
    shape = (_ROWS_TOGETHER, n_variables)
    low = np.minimum(block.min(axis=0).reshape(shape).min(axis=0), rest.min(axis=0))
    high = np.maximum(block.max(axis=0).reshape(shape).max(axis=0), rest.max(axis=0))
    return low, high


class Found(NamedTuple):
    """What is out of the training ranges among so many values of each variable, as of `RangeCounter`, flags by row.

    ``is_finite``: whether all values are.
    """

    counts: Values
    n_values: int
    extremes: Values
    flags: Values
    is_finite: bool


class RangeCounter:
    """Adds up what is out of ``ranges`` over a run: ``counts`` (3, n_variables) of ``n_values`` of each variable.

    ``extremes`` (2, n_variables): smallest value below and largest above, infinite where there is none.
    """

    def __init__(self, variables: Sequence[Variable], xp: Any = np) -> None:
        self._variables, self.ranges = tuple(variables), TrainingRanges(variables, xp)
        self.counts, self.n_values = np.zeros((3, len(self._variables)), dtype=np.int64), 0
        self.extremes = np.repeat([[np.inf], [-np.inf]], len(self._variables), axis=1)

    def add(self, values: Values) -> Values:
        """Count values, (n_rows, n_variables); returns a flag per row."""
        found = self.look(values)
        self.count(found.counts, found.n_values, found.extremes)
        return found.flags

    def look(self, values: Values) -> Found:
        """What `add` would count."""
        ranges, n_rows = self.ranges, len(values)
        flags, counts = np.zeros(n_rows, dtype=bool), np.zeros_like(self.counts)
        extremes, is_finite = np.repeat([[np.inf], [-np.inf]], len(self._variables), axis=1), True
        if values.size:
            low, high = _extremes(values)
            is_finite = bool(np.isfinite(low).all() and np.isfinite(high).all())  # a NaN is both
            # Most blocks have nothing outside. A variable that may have is looked at value by value.
            at = np.flatnonzero(~((low >= ranges.lower) & (high <= ranges.upper)))
            if at.size:
                outside = ranges.outside(values, at)
                counts[:, at], flags = outside.sum(axis=1), outside.any(axis=(0, 2))
                extremes[:, at] = ranges.extremes(values, outside, at)
        return Found(counts, n_rows, extremes, flags, is_finite)

    def count(self, counts: Values, n_values: int, extremes: Values) -> None:
        """Count what was found elsewhere, as of `counts` and `extremes`, in so many values."""
        self.counts += counts
        self.n_values += n_values
        self.extremes[0] = np.minimum(self.extremes[0], extremes[0])
        self.extremes[1] = np.maximum(self.extremes[1], extremes[1])

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts.tolist(), "n_values": self.n_values, "extremes": self.extremes.tolist()}

    def restore(self, found: Mapping[str, Any]) -> None:
        self.counts, self.n_values = np.array(found["counts"], dtype=np.int64), int(found["n_values"])
        self.extremes = np.array(found["extremes"], dtype=np.float64)

    def sentences(self) -> list[str]:
        """One sentence for each variable that was ever out of its training range, the worst first."""
        return [sentence for _, _, sentence in self.told()]

    def told(self) -> list[tuple[float, str, str]]:
        """Of each variable that was ever out: how far in widths of its range, its name, a sentence; the worst first."""
        found = []
        for index, variable in enumerate(self._variables):
            counts = self.counts[:, index]
            if counts.any():
                excess = self._excess(index)
                sentence = self._sentence(variable, counts, self.extremes[:, index], excess)
                found.append((excess, variable.name, sentence))
        return sorted(found, key=lambda one: -one[0])

    def _excess(self, index: int) -> float:
        """How far the worst value of a variable is out of its range, in widths of that."""
        if self.counts[2, index]:
            return math.inf
        variable, (lowest, highest) = self._variables[index], self.extremes[:, index]
        distance = max(variable.training_minimum - lowest, highest - variable.training_maximum)
        width = self.ranges.width[index]
        return float(distance / width) if width > 0.0 else math.inf

    def _sentence(self, variable: Variable, counts: Values, extremes: Values, excess: float) -> str:
        low, high = variable.training_minimum, variable.training_maximum
        units = "" if variable.units == "1" else f" {variable.units}"
        kinds = (f"below {low:.6g}{units}", f"above {high:.6g}{units}", "not finite")
        parts = [f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True) if count]
        share = 100.0 * float(counts.sum()) / self.n_values
        severity = "far outside" if excess > 1.0 else "outside"
        worst = [f"{end} {value:.6g}{units}" for end, value in zip(("down to", "up to"), extremes, strict=True)]
        worst = [text for text, count in zip(worst, counts, strict=False) if count]
        return (
            f"{variable.name}: {', '.join(parts)} of {self.n_values} values "
            f"({f'{share:.2g}' if share < 99.5 else 100} %) {severity} the training range"
            f"{''.join(f', {text}' for text in worst)}."
        )
