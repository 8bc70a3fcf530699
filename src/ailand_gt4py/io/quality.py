"""Values that cannot be, and the count of those that the model has not been trained on."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.snow import LEAST_WATER
from ailand_gt4py.io.derive import WHOLE
from ailand_gt4py.io.sunlight import SunLimit
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE, Specification

logger = logging.getLogger(__name__)

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
    entry, known = _entry(variable), variable.normalisation
    if entry is None or not entry.has_long_tail or known.method == "log" or not (known.mean > 0.0 and known.std > 0.0):
        return plain
    deviation = math.sqrt(math.log1p((known.std / known.mean) ** 2))
    z = (math.log(largest / known.mean) + 0.5 * deviation**2) / deviation
    return max(plain, largest * math.expm1(deviation / z)) if z > 1.0 else plain


#: Part of a variable's valid range by which a value may be out of it and still be possible: packing, interpolation and
#: advection leave the range a little, another unit leaves it far. At limits that are physical (0; 1 of a fraction) it
#: is less.
VALID_SLACK, HARD_SLACK = 0.1, 0.01
#: No variable has a larger value in any unit; netCDF's fill value for floating-point numbers is 9.97e36.
LARGEST = 1e15

#: Part of short-wave values that may be more than the sun gives: gaps of measurements are filled by day and by night.
#: More than these tell of a unit or of times that are wrong.
SINGLE = 0.01

#: Unit -> those in which files and hosts often have such a quantity.
OTHER_UNITS = {
    "K": ("degC", "degF"),
    "Pa": ("hPa", "kPa"),
    "kg kg-1": ("g kg-1",),
    "kg m-2 s-1": ("mm h-1", "mm d-1", "g m-2 s-1"),
    "kg m-3": ("g cm-3",),
    "m": ("cm", "mm"),
    "m3 m-3": ("%",),
    "1": ("%",),
}
#: Unit of a rate -> that of what is accumulated over a time.
AMOUNTS = {"W m-2": "J m-2", "kg m-2 s-1": "kg m-2"}
#: Digits of which codes for missing values are made that no attribute names: -9999, -99.9, 9999.
_CODES = {"99", "999", "9999", "99999", "999999", "1e+06", "32767", "32768"}


def _entry(variable: Variable) -> Specification | None:
    """The variable's entry of the catalogue, where that is in the same units."""
    entry = CATALOGUE.get(variable.name)
    return entry if entry is not None and entry.units == variable.units else None


def possible_range(variable: Variable) -> tuple[float, float]:
    """Smallest and largest value that may be, in the variable's units: the catalogue's valid range and a slack."""
    entry = _entry(variable)
    if entry is None:
        return -LARGEST, LARGEST
    low, high = entry.valid_range
    if entry.is_class:
        return low - WHOLE, high + WHOLE
    if entry.units == "m3 m-3":
        high = 1.0  # there may be soils with more pores than ecLand's
    width = high - low if math.isfinite(high - low) else variable.training_maximum - variable.training_minimum
    soft, hard = (part * width if math.isfinite(width) else LARGEST for part in (VALID_SLACK, HARD_SLACK))
    below = min(hard, entry.noise) if low == 0.0 else soft
    above = hard if high == 1.0 and variable.units in ("1", "m3 m-3") else soft
    return max(low - below, -LARGEST), min(high + above, LARGEST)


def impossible(variable: Variable, values: Any, xp: Any = np) -> Any:
    """Whether values, NumPy's or CuPy's (``xp``), cannot be; missing ones (NaN) can where they are imputed."""
    low, high = possible_range(variable)
    entry, is_right = _entry(variable), (values >= low) & (values <= high)
    if entry is not None and entry.is_class:
        with np.errstate(invalid="ignore"):  # of infinite ones
            is_right &= xp.abs(values - xp.rint(values)) <= WHOLE
    if variable.is_imputed:
        is_right |= xp.isnan(values)
    return ~is_right


def first_impossible(variable: Variable, values: Values) -> tuple[int, ...] | None:
    """Index of the first value that is `impossible`; None: there is none.

    Of blocks without any, which all but one are, it takes their extremes alone.
    """
    entry, (low, high) = _entry(variable), possible_range(variable)
    is_class = entry is not None and entry.is_class
    if not values.size or (not is_class and values.min() >= low and values.max() <= high):
        return None
    wrong = impossible(variable, values)
    return tuple(int(index) for index in np.unravel_index(wrong.argmax(), wrong.shape)) if wrong.any() else None


def shown(value: float, variable: Variable, found: Conversion | None = None) -> str:
    """A value with its unit, and as it stands in a file whose unit was converted."""
    if math.isnan(value):
        return "missing"
    text = f"{value:g}" if variable.units == "1" else f"{value:g} {variable.units}"
    if found is None or found.is_identity:
        return text
    return f"{text} ({_written(value, found):g} in '{found.found}')"


def expectation(
    variable: Variable, value: float, seconds: Sequence[float] = (), found: Conversion | None = None
) -> str:
    """What was expected instead of a value that cannot be, and what it may have been meant to be.

    Args:
        seconds: lengths over which a rate may have been accumulated by mistake.
        found: the conversion that made the value.
    """
    if not math.isfinite(value):
        return "expected a finite number"
    low, high = possible_range(variable)
    units = "" if variable.units == "1" else f" {variable.units}"
    entry = _entry(variable)
    if entry is not None and entry.is_class:
        among = f" from {entry.valid_range[0]:g} to {entry.valid_range[1]:g}" if math.isfinite(high) else ""
        return f"expected a type, a whole number{among}"
    text = f"expected {low:.6g} to {high:.6g}{units}" if high < LARGEST else f"expected less than {LARGEST:g}"
    fitting = _fitting_units(variable, value, seconds)
    if fitting:
        return f"{text} (the unit may be {' or '.join(fitting)})"
    digits = f"{abs(value if found is None else _written(value, found)):g}".replace(".", "")
    is_code = abs(value) >= LARGEST or digits in _CODES
    return f"{text} (it may stand for a missing value)" if is_code else text


def _written(value: float, found: Conversion) -> float:
    """A converted value as it stands in its file."""
    return (value - found.offset) / found.scale


def _fitting_units(variable: Variable, value: float, seconds: Sequence[float]) -> list[str]:
    """Units in which a value would be usual: in the training range, or in the valid one where that is not known."""
    low, high = variable.training_minimum, variable.training_maximum
    entry = _entry(variable)
    if not math.isfinite(high - low):
        low, high = entry.valid_range if entry is not None else (math.nan, math.nan)
    straight = {unit: conversion(unit, variable.units, variable.name) for unit in OTHER_UNITS.get(variable.units, ())}
    fitting = [unit for unit, one in straight.items() if low <= one.scale * value + one.offset <= high]
    if variable.units in AMOUNTS:
        amount = AMOUNTS[variable.units]
        fitting += [f"{amount} over {length:g} s" for length in seconds if low <= value / length <= high]
    return fitting


@dataclasses.dataclass(frozen=True)
class Inspector:
    """Looks at whether values of a file can be, and says where one cannot.

    Attributes:
        labels: (n_columns,) of the columns. step_seconds: over which rates may have been accumulated by mistake.
        sunlight: the most short-wave radiation that can be; None: that is not looked at. calendar: of times.
        problems: gathers what cannot be, instead of the error; None: the first is an error.
        remarks: what is told of values that are used all the same.
        first, n_all: number of the first column among the run's, and of these; None: the columns are all of them.
    """

    labels: Values
    step_seconds: float
    sunlight: SunLimit | None = None
    calendar: str = STANDARD
    problems: list[str] | None = None
    remarks: list[str] = dataclasses.field(default_factory=list)
    first: int = 0
    n_all: int | None = None

    def require_possible(
        self,
        what: str,
        variable: Variable,
        values: Values,
        times: Values | None = None,
        found: Conversion | None = None,
    ) -> None:
        """Check values (n_columns,), or (n_times, n_columns) at times; ``what`` names file and variable.

        Args:
            found: the conversion that was applied.

        Raises:
            InputError: one cannot be, or is missing and not imputed.
        """
        index, is_single = first_impossible(variable, values), False
        if index is not None:
            count = int(impossible(variable, values).sum())
            expected = expectation(variable, float(values[index]), (3600.0, self.step_seconds), found)
        elif times is not None and (beyond := self._beyond_the_sun(variable, values, times)) is not None:
            index, count, expected = beyond
            is_single = count < SINGLE * len(values) * (self.n_all or values.shape[-1])
        else:
            return
        at = "" if times is None else f" at {time_text(times[index[0]], self.calendar)}"
        others = "" if count == 1 else f" and {count - 1} more of {values.size} values"
        where = f"{at} in column {self.first + index[-1]} (x = {self.labels[index[-1]]}){others}"
        text = f"{what} is {shown(float(values[index]), variable, found)}{where}, {expected}"
        if is_single:
            self._remark(text)
        elif self.problems is None:
            raise InputError(text)
        else:
            self.problems.append(text)

    def _remark(self, text: str) -> None:
        """Tell once of values of a kind that are used all the same."""
        if not self.remarks:
            logger.warning("%s; used as they are, and no more is told of such values", text)
        self.remarks.append(text)

    def _beyond_the_sun(
        self, variable: Variable, values: Values, times: Values
    ) -> tuple[tuple[int, ...], int, str] | None:
        """The first of values (n_times, n_columns) that is more than the sun gives, their number, what is expected."""
        is_radiation = variable.name == "met_swdown" and variable.time_meaning == "window mean"
        if self.sunlight is None or not is_radiation or not values.size:
            return None
        found = self.sunlight.exceeding(times, values)
        if not found:
            return None
        row, column = found[0]
        limit = float(self.sunlight.at(times[row], np.array([column]))[0])
        expected = (
            f"expected at most {limit:.3g} W m-2, which the sun gives above the atmosphere then (times may not be UTC, "
            "or labels of other windows)"
        )
        return found[0], len(found), expected


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
        entries = [_entry(variable) for variable in variables]
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
    """What is out of the training ranges among so many values of each variable, as of `RangeCounter`, flags by row."""

    counts: Values
    n_values: int
    extremes: Values
    flags: Values


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
        extremes = np.repeat([[np.inf], [-np.inf]], len(self._variables), axis=1)
        if values.size:
            low, high = _extremes(values)
            # Most blocks have nothing outside. A variable that may have is looked at value by value.
            at = np.flatnonzero(~((low >= ranges.lower) & (high <= ranges.upper)))
            if at.size:
                outside = ranges.outside(values, at)
                counts[:, at], flags = outside.sum(axis=1), outside.any(axis=(0, 2))
                extremes[:, at] = ranges.extremes(values, outside, at)
        return Found(counts, n_rows, extremes, flags)

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
        found = []
        for index, variable in enumerate(self._variables):
            counts = self.counts[:, index]
            if counts.any():
                excess = self._excess(index)
                found.append((-excess, self._sentence(variable, counts, self.extremes[:, index], excess)))
        return [sentence for _, sentence in sorted(found, key=lambda one: one[0])]

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
        severity = "far outside" if excess > 1.0 else "outside"
        worst = [f"{end} {value:.6g}{units}" for end, value in zip(("down to", "up to"), extremes, strict=True)]
        worst = [text for text, count in zip(worst, counts, strict=False) if count]
        return (
            f"{variable.name}: {', '.join(parts)} of {self.n_values} values "
            f"({100.0 * float(counts.sum()) / self.n_values:.2g} %) {severity} the training range"
            f"{''.join(f', {text}' for text in worst)}."
        )
