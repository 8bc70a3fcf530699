"""Time labels of a file: decoded from any epoch, unit, time zone and calendar, and checked.

Labels are datetime64[ns]; in calendars that UTC does not follow they count what has passed (see `core.times`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import CALENDARS, STANDARD, microseconds_of, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import CONTRADICTION

#: Unit of time labels -> nanoseconds.
_UNITS = {
    **dict.fromkeys(("nanosecond", "nanoseconds", "nsec", "ns"), 1),
    **dict.fromkeys(("microsecond", "microseconds", "usec", "us"), 10**3),
    **dict.fromkeys(("millisecond", "milliseconds", "msec", "msecs", "ms"), 10**6),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 10**9),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), 60 * 10**9),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3600 * 10**9),
    **dict.fromkeys(("day", "days", "d"), 86_400 * 10**9),
    **dict.fromkeys(("week", "weeks"), 7 * 86_400 * 10**9),
}
_SINCE = re.compile(r"\s*([A-Za-z]+)\s+since\s+(.+?)\s*", re.IGNORECASE)
#: Seconds: labels whose rounding allows it are whole multiples of the largest that fits.
_WHOLE = (3600, 1800, 900, 600, 300, 60, 1)
#: Attributes that name the time zone of labels, and UTC in them.
_ZONES = ("time_zone", "timezone", "tz", "utc_offset")
_UTC = re.compile(r"(?:etc/)?(?:utc|gmt|ut|z|zulu|universal)?(?: ?\(?[+-]?0?0(?::?00)?(?:\.0)?\)?)?", re.IGNORECASE)
#: Those that may say in words that labels are in local time.
_DESCRIPTIONS = ("long_name", "description", "comment")
_LOCAL = re.compile(r"\blocal\b(?:[\w -]*\b)?time\b|\bLST\b", re.IGNORECASE)
#: Nanoseconds since 1970.
_LARGEST = 2**63 - 1


def decoded(variable: xr.DataArray, what: str) -> Values:
    """Time labels as datetime64[ns], strictly increasing; ``what`` names file and variable."""
    if variable.dims != (variable.name,):
        raise InputError(
            f"{what} has the dimensions ({', '.join(map(str, variable.dims)) or 'none'}), expected ({variable.name})"
        )
    return _checked(instants(variable.values, variable.attrs, what), what)


def calendar_of(attributes: Mapping[str, Any], what: str) -> str:
    """The calendar of time labels by the first of its names in CF, ``standard`` for all that UTC follows."""
    found = _calendar(attributes)
    if found not in CALENDARS:
        raise InputError(f"{what} has the calendar '{found}'; expected {' or '.join(CALENDARS)}")
    return CALENDARS[found]


def _calendar(attributes: Mapping[str, Any]) -> str:
    return str(attributes.get("calendar", "")).strip().lower() or STANDARD


def instants(values: Values, attributes: Mapping[str, Any], what: str) -> Values:
    """Numbers with the attributes ``units`` and ``calendar`` as datetime64[ns], of any shape; NaT where missing."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]")
    calendar_of(attributes, what)
    # Standard and proleptic Gregorian differ before 1582, where epochs may be.
    calendar = _calendar(attributes)
    unit = str(attributes.get("units", ""))
    found = _SINCE.fullmatch(unit)
    length = _UNITS.get(found[1].lower()) if found else None
    if found is None or length is None or values.dtype.kind not in "iuf":
        raise InputError(f"{what} has the unit '{unit}'; expected one such as 'hours since 2020-01-01'")
    try:
        epoch = 1000 * microseconds_of(found[2], calendar)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{what} cannot be decoded ({reason(error)}); expected times in '{unit}'") from error
    is_known = np.isfinite(values)
    known = values[is_known]
    whole = np.floor(known)
    # In whole numbers of any size: nanoseconds since year 1 are more than 64 bits hold.
    counts = np.array([int(one) for one in whole.tolist()], dtype=object) * length + epoch
    if known.dtype.kind == "f":
        counts = counts + np.rint((known - whole).astype(np.float64) * length).astype(np.int64)
    if counts.size and max(abs(counts.min()), abs(counts.max())) > _LARGEST:
        raise InputError(f"{what} has times that are not from 1678 to 2262, expected such in '{unit}'")
    result = np.full(values.shape, np.datetime64("NaT"), "datetime64[ns]")
    exact = counts.astype(np.int64)
    if known.dtype.kind == "f" and exact.size:
        exact = _whole(exact, np.spacing(np.abs(known)).astype(np.float64) * length)
    result[is_known] = exact.astype("datetime64[ns]")
    return result


def _whole(counts: Values, rounding: Values) -> Values:
    """Nanoseconds as multiples of hours, minutes or seconds where they are such within the rounding of the numbers."""
    for seconds in _WHOLE:
        unit = seconds * 10**9
        nearest: Values = np.rint(counts / unit).astype(np.int64) * unit
        if rounding.max() < unit / 4 and (np.abs(nearest - counts) <= rounding + 1.0).all():
            return nearest
    return counts


def require_utc(attributes: Mapping[str, Any], what: str) -> None:
    """Check that no attribute of time labels names another time zone than UTC; an offset in ``units`` is heeded."""
    for name in _ZONES:
        found = str(attributes.get(name, "")).strip()
        if found and not _UTC.fullmatch(found):
            raise InputError(
                f"{what} has the attribute {name} '{found}', expected UTC, or 'units' with an offset such as 'hours "
                "since 2020-01-01 00:00 +01:00'"
            )


def sentences(variable: xr.DataArray, times: Values, what: str, *, is_utc: bool = True) -> list[str]:
    """What was done to the labels of a file: rounding to whole hours, minutes or seconds, and another calendar.

    ``is_utc``: whether they are taken as UTC, which their descriptions may contradict.
    """
    lines = []
    if "climatology" in variable.attrs:
        lines.append(
            f"{CONTRADICTION}, labels are taken as times: '{variable.name}' is one of a climatology, by its attribute "
            f"climatology '{variable.attrs['climatology']}'."
        )
    for name in _DESCRIPTIONS if is_utc else ():
        text = str(variable.attrs.get(name, ""))
        if _LOCAL.search(text):
            lines.append(f"{CONTRADICTION}, UTC is taken: {name} of '{variable.name}' says '{text[:80]}'.")
    if variable.dtype == np.float32:
        unit = str(variable.attrs.get("units", ""))
        found = _SINCE.fullmatch(unit)
        length = _UNITS.get(found[1].lower(), 0) if found else 0
        digits = float(np.spacing(np.abs(variable.values)).max()) * length / 1e9
        seconds = times.astype(np.int64) % (3600 * 10**9) / 1e9
        if digits > 1e-3:
            whole = next((one for one in _WHOLE if not (seconds % one).any()), None)
            taken = f"taken as multiples of {whole} s" if whole else "taken as they are"
            lines.append(f"Time labels are float32 in '{unit}', which resolves them to {digits:.2g} s; {taken}.")
    calendar = calendar_of(variable.attrs, what)
    if calendar != STANDARD:
        lines.append(
            f"Time labels are in the calendar '{calendar}', which is kept; the sun follows the day of its year."
        )
    return lines


def _checked(times: Values, what: str) -> Values:
    if np.isnat(times).any():
        raise InputError(f"{what} has no value at index {int(np.isnat(times).argmax())}, expected a time")
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if wrong.size:
        before, after = times[wrong[0] : wrong[0] + 2]
        raise InputError(
            f"{what} at index {wrong[0] + 1} ({time_text(after)}) {'repeats' if after == before else 'is before'} the "
            f"one at index {wrong[0]} ({time_text(before)}); expected strictly increasing times"
        )
    return times
