"""Values that cannot be, and the count of those that the model has not been trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: Part of the training range by which a value may be out of it and still count as inside: the ranges were
#: stored in other precision than the values come in.
RELATIVE_SLACK = 1e-5

#: Part of a variable's valid range by which a value may be out of it and still be possible: packing, interpolation and
#: advection leave the range a little, another unit leaves it far.
VALID_SLACK = 0.1
#: No variable has a larger value in any unit; netCDF's fill value for floating-point numbers is 9.97e36.
LARGEST = 1e15

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


def possible_range(variable: Variable) -> tuple[float, float]:
    """Smallest and largest value that may be, in the variable's units: the catalogue's valid range and a slack."""
    entry = CATALOGUE.get(variable.name)
    if entry is None or entry.units != variable.units:
        return -LARGEST, LARGEST
    low, high = entry.valid_range
    width = high - low if math.isfinite(high - low) else variable.training_maximum - variable.training_minimum
    slack = VALID_SLACK * width if math.isfinite(width) else LARGEST
    return max(low - slack, -LARGEST), min(high + slack, LARGEST)


def expectation(variable: Variable, value: float, seconds: Sequence[float] = ()) -> str:
    """What was expected instead of a value, and in which units it would have been in the training range.

    Args:
        seconds: lengths over which a rate may have been accumulated by mistake.
    """
    low, high = possible_range(variable)
    units = "" if variable.units == "1" else f" {variable.units}"
    text = f"expected {low:.6g} to {high:.6g}{units}" if high < LARGEST else f"expected less than {LARGEST:g}"
    if math.isfinite(variable.training_maximum - variable.training_minimum):
        low, high = variable.training_minimum, variable.training_maximum
    straight = {unit: conversion(unit, variable.units, variable.name) for unit in OTHER_UNITS.get(variable.units, ())}
    fitting = [unit for unit, one in straight.items() if low <= one.scale * value + one.offset <= high]
    if variable.units in AMOUNTS:
        amount = AMOUNTS[variable.units]
        fitting += [f"{amount} over {length:g} s" for length in seconds if low <= value / length <= high]
    return f"{text} (the unit may be {' or '.join(fitting)})" if fitting else text


class TrainingRanges:
    """Training ranges beside values, NumPy's or CuPy's (``xp``); one that is unknown (NaN) has all finite values in it.

    A missing value (NaN) of a variable that is imputed is in its range: training had such.

    Attributes:
        lower, upper: (n_variables,), the ranges and their slack.
    """

    def __init__(self, variables: Sequence[Variable], xp: Any = np) -> None:
        lower = np.array([variable.training_minimum for variable in variables], dtype=np.float64)
        upper = np.array([variable.training_maximum for variable in variables], dtype=np.float64)
        slack, width = RELATIVE_SLACK * (upper - lower), np.where(upper > lower, upper - lower, np.nan)
        self._xp = xp
        self.lower, self.upper = xp.asarray(lower - slack), xp.asarray(upper + slack)
        is_imputed = [variable.is_imputed for variable in variables]
        self._may_be_missing = xp.asarray(is_imputed, dtype=bool) if any(is_imputed) else None
        self._far_lower, self._far_upper = xp.asarray(lower - width), xp.asarray(upper + width)

    def outside(self, values: Any) -> Any:
        """Whether values (n_columns, n_variables) are below, above their ranges, or not finite: (3, ...).

        At most one of the three is true.
        """
        outside = self._xp.empty((3, *values.shape), dtype=bool)
        self._xp.less(values, self.lower, out=outside[0])
        self._xp.greater(values, self.upper, out=outside[1])
        self._xp.logical_not(self._xp.isfinite(values), out=outside[2])
        outside[:2] &= ~outside[2]
        if self._may_be_missing is not None:
            outside[2] &= ~(self._may_be_missing & self._xp.isnan(values))
        return outside

    def far_outside(self, values: Any) -> Any:
        """Whether values (n_columns, n_variables) are finite and out of their ranges by more than these are wide."""
        return ((values < self._far_lower) | (values > self._far_upper)) & self._xp.isfinite(values)


def outside_training_range(values: Values, variables: Sequence[Variable]) -> Values:
    """`TrainingRanges.outside` of NumPy's arrays."""
    outside: Values = TrainingRanges(variables).outside(values)
    return outside


class RangeCounter:
    """Adds up what is out of ``ranges`` over a run: ``counts`` (3, n_variables) of ``n_values`` of each variable."""

    def __init__(self, variables: Sequence[Variable], xp: Any = np) -> None:
        self._variables, self.ranges = tuple(variables), TrainingRanges(variables, xp)
        self.counts, self.n_values = np.zeros((3, len(self._variables)), dtype=np.int64), 0

    def add(self, values: Values) -> Values:
        """Count values, (n_rows, n_variables); returns a flag per row."""
        outside = self.ranges.outside(values)
        self.count(outside.sum(axis=1), len(values))
        return np.asarray(outside.any(axis=(0, 2)))

    def count(self, counts: Values, n_values: int) -> None:
        """Count what was found elsewhere: ``counts`` (3, n_variables) of so many values."""
        self.counts += counts
        self.n_values += n_values

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts.tolist(), "n_values": self.n_values}

    def restore(self, found: Mapping[str, Any]) -> None:
        self.counts, self.n_values = np.array(found["counts"], dtype=np.int64), int(found["n_values"])

    def sentences(self) -> list[str]:
        """One sentence for each variable that was ever out of its training range."""
        lines = []
        for variable, counts in zip(self._variables, self.counts.T, strict=True):
            low, high = variable.training_minimum, variable.training_maximum
            units = "" if variable.units == "1" else f" {variable.units}"
            kinds = (f"below {low:.6g}{units}", f"above {high:.6g}{units}", "not finite")
            parts = [f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True) if count]
            if parts:
                percent = 100.0 * float(counts.sum()) / self.n_values
                lines.append(
                    f"{variable.name}: {', '.join(parts)} of {self.n_values} values ({percent:.2g} %) "
                    f"outside the training range."
                )
        return lines
