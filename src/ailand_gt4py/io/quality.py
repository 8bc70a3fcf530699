"""Values that cannot be: in another unit, above what the sun gives, missing and not marked so."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.derive import WHOLE
from ailand_gt4py.io.sunlight import SunLimit
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import specification_of

logger = logging.getLogger(__name__)

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
#: Latitudes and longitudes that are as small as this may be radians.
_RADIANS = (1.6, 6.3)
#: Digits of which codes for missing values are made that no attribute names: -9999, -99.9, 9999.
_CODES = {"99", "999", "9999", "99999", "999999", "1e+06", "32767", "32768"}


def possible_range(variable: Variable) -> tuple[float, float]:
    """Smallest and largest value that may be, in the variable's units: the catalogue's valid range and a slack."""
    entry = specification_of(variable)
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
    entry, is_right = specification_of(variable), (values >= low) & (values <= high)
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
    entry, (low, high) = specification_of(variable), possible_range(variable)
    is_class = entry is not None and entry.is_class
    if not values.size or (not is_class and values.min() >= low and values.max() <= high):
        return None
    wrong = impossible(variable, values)
    return tuple(int(index) for index in np.unravel_index(wrong.argmax(), wrong.shape)) if wrong.any() else None


def perhaps_radians(latitude: Any, longitude: Any) -> tuple[float, float] | None:
    """Largest distances from the equator and from Greenwich, degrees, where both may be radians; else None.

    ``latitude``, ``longitude``: (n,), NumPy's or CuPy's, degrees as it is said; at least one.
    """
    largest = float(abs(latitude).max()), float(abs(longitude).max())
    are_small = all(found <= limit for found, limit in zip(largest, _RADIANS, strict=True))
    return largest if are_small and any(largest) else None


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
    entry = specification_of(variable)
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
    entry = specification_of(variable)
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
            logger.warning("%s; used as they are; further values of this kind are not reported", text)
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
            f"expected at most {limit:.3g} W m-2, which the sun gives at the top of the atmosphere then (times may "
            "not be UTC, or labels of other windows)"
        )
        return found[0], len(found), expected
