"""Times and steps as text and back: the one format of messages, options and attributes.

A time is a datetime64. In a calendar that UTC does not follow it counts what has passed since 1970-01-01 of that
calendar, so that arithmetic with steps is the same in all; only text and the sun need to know the calendar.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Final

import numpy as np

from ailand_gt4py.core.errors import InputError

#: Unit of a host's clock: years from -290 000 to 294 000 fit. Nanoseconds, which files are read in, hold 1678 to 2262.
HOST_UNIT: Final = "us"
_DTYPES = {(kind, unit): np.dtype(f"{kind}8[{unit}]") for kind in "mM" for unit in ("ns", HOST_UNIT)}

#: The calendar of UTC; files before 1678 do not matter, so that the Julian part of CF's 'standard' does not.
STANDARD: Final = "standard"
#: Calendars of CF -> the first of their names.
CALENDARS: Final = {
    **dict.fromkeys((STANDARD, "gregorian", "proleptic_gregorian"), STANDARD),
    **dict.fromkeys(("noleap", "365_day"), "noleap"),
    **dict.fromkeys(("all_leap", "366_day"), "all_leap"),
    "360_day": "360_day",
    "julian": "julian",
}
_SINCE_1970 = "microseconds since 1970-01-01"
_DATE = re.compile(
    r"(?P<year>[+-]?\d{1,6})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?)?"
    r"(?:[T ]\s*(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d{0,9}))?)?)?)?"
    r"\s*(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d{2})?)?",
    re.IGNORECASE,
)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(?!\d)")


def microseconds_of(text: str, calendar: str) -> int:
    """Microseconds from 1970-01-01 UTC to a date of a calendar, of any year; hours before or after UTC are heeded.

    Raises:
        ValueError: no date of the calendar.
    """
    import cftime

    found = _DATE.fullmatch(_COMPACT_DATE.sub(r"\1-\2-\3", text.strip(), count=1))
    if found is None:
        raise ValueError(f"'{text}' is no date")
    names, least = ("year", "month", "day", "hour", "minute", "second"), (0, 1, 1, 0, 0, 0)
    parts = [int(found[name] or low) for name, low in zip(names, least, strict=True)]
    date = cftime.datetime(*parts, calendar=calendar)
    ahead = int(found["hours"] or 0) * 3600 + int(found["minutes"] or 0) * 60
    fraction = int((found["fraction"] or "").ljust(6, "0")[:6])
    seconds = -ahead if found["sign"] == "+" else ahead
    return int(cftime.date2num(date, _SINCE_1970, calendar)) + seconds * 1_000_000 + fraction


def date_of(time: np.datetime64, calendar: str) -> Any:
    """The date (cftime.datetime) of a time in a calendar."""
    import cftime

    return cftime.num2date(int(time.astype("datetime64[us]").astype(np.int64)), _SINCE_1970, calendar)


def year_of(times: np.ndarray, calendar: str = STANDARD) -> tuple[np.ndarray, np.ndarray]:
    """Starts of the years that times, datetime64[us], are in, and how long those are, timedelta64[us]."""
    if calendar == STANDARD:
        year = times.astype("datetime64[Y]")
        start = year.astype("datetime64[us]")
        return start, (year + np.timedelta64(1, "Y")).astype("datetime64[us]") - start
    days = times.astype("datetime64[D]").astype(np.int64)
    lengths = {"noleap": 365, "all_leap": 366, "360_day": 360}
    if calendar in lengths:
        length = np.full_like(days, lengths[calendar])
        start = days // length * length
    else:  # Julian: every fourth year has a day more, as 1968 had
        four_years = 4 * 365 + 1
        since = days + 366 + 365
        within = since % four_years
        year = np.maximum((within - 1) // 365, 0)
        length = np.where(year == 0, 366, 365)
        start = days - within + year * 365 + (year > 0)
    return start.astype("datetime64[D]").astype("datetime64[us]"), length.astype("timedelta64[D]").astype(
        "timedelta64[us]"
    )


def on_axis(times: np.ndarray, calendar: str) -> np.ndarray:
    """Times of any calendar as dates of the standard one, the same part of the same year gone by: for figures."""
    if calendar == STANDARD:
        return times
    in_microseconds = times.astype("datetime64[us]")
    start, length = year_of(in_microseconds, calendar)
    years = np.array([date_of(one, calendar).year - 1970 for one in np.unique(start)])
    year = years[np.unique(start, return_inverse=True)[1]].astype("datetime64[Y]")
    own_start, own_length = year_of(year.astype("datetime64[us]"))
    return own_start + ((in_microseconds - start) / length * own_length.astype(np.int64)).astype("timedelta64[us]")


def time_text(time: np.datetime64, calendar: str = STANDARD) -> str:
    """A time in ISO form, without needless zeros."""
    if calendar != STANDARD:
        text = date_of(time, calendar).isoformat("T", "microseconds")
        seconds, _, fraction = text.partition(".")
        fraction = fraction.rstrip("0")
        return f"{seconds}.{fraction}" if fraction else seconds.removesuffix(":00")
    if np.datetime_data(time.dtype)[0] != "ns":
        time = time.astype("datetime64[us]")
    seconds, _, fraction = np.datetime_as_string(time).partition(".")
    if fraction := fraction.rstrip("0"):
        return f"{seconds}.{fraction}"
    return seconds[:-3] if seconds.endswith(":00") else seconds


def step_text(step: np.timedelta64) -> str:
    """A step in hours or seconds."""
    seconds = float(step / np.timedelta64(1, "s"))
    return f"{seconds / 3600:g} h" if seconds % 60 == 0 else f"{seconds:g} s"


def step_of(seconds: float) -> np.timedelta64:
    """Seconds as a timedelta64 in nanoseconds."""
    return np.timedelta64(round(seconds * 1e9), "ns")


def parse_time(value: object, unit: str = "ns", calendar: str = STANDARD) -> np.datetime64:
    """A time that the user gave, UTC unless it says otherwise.

    Args:
        value: ISO text or what YAML makes of it, a datetime of Python, pandas or NumPy, or cftime's where its calendar
            is the Gregorian one.
        unit: of the result, ``ns`` or `HOST_UNIT`.
        calendar: that the time is in; a datetime64 is as it is in any.

    Raises:
        InputError: something else, or a time that the unit cannot hold.
    """
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return in_unit(value, unit)
    found = getattr(value, "calendar", "")
    is_modern = found in ("standard", "gregorian") and getattr(value, "year", 0) > 1582
    if found and (calendar != CALENDARS.get(found) or not (calendar != STANDARD or is_modern)):
        raise InputError(f"found {value} in the calendar '{found}', expected a time in '{calendar}'")
    if calendar != STANDARD:
        try:
            return in_unit(np.datetime64(microseconds_of(str(value), calendar), "us"), unit)
        except (ValueError, OverflowError):
            raise InputError(
                f"found {value!r}, expected a time of the calendar '{calendar}' such as 2021-01-01T06:00"
            ) from None
    try:
        time = datetime.datetime.fromisoformat(str(value).strip())
        if time.tzinfo is not None:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise InputError(f"found {value!r}, expected a time (UTC) such as 2021-01-01 or 2021-01-01T06:00") from None
    return in_unit(np.datetime64(time, "us"), unit)


#: A time that the user gave, before the calendar is known that it is in: a text or cftime's where UTC does not have it.
GivenTime = np.datetime64 | str | Any
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")


def given_time(value: object) -> GivenTime:
    """`parse_time` of a time that may be in the calendar of a file: a date that UTC does not have stays as it is."""
    try:
        return parse_time(value)
    except InputError:
        text = str(value).strip()
        if _DAY.fullmatch(text) is None:
            raise
        own = getattr(value, "calendar", "")
        for calendar in (CALENDARS.get(own, STANDARD),) if own else set(CALENDARS.values()) - {STANDARD}:
            try:
                microseconds_of(text, calendar)
            except (ValueError, OverflowError):
                continue
            return value if own else text
        raise


def given_text(given: GivenTime) -> str:
    """A given time in ISO form."""
    return time_text(given) if isinstance(given, np.datetime64) else str(given).replace(" ", "T")


def to_be_read(given: GivenTime | None) -> GivenTime | None:
    """A given time as one that is read in the calendar of a file; one in parts of a second that text does not hold
    stays as it is in any."""
    if isinstance(given, np.datetime64) and given == given.astype("datetime64[us]"):
        return time_text(given)
    return given


def named_time(value: object, calendar: str, name: str) -> np.datetime64:
    """`parse_time` in a calendar, an error naming the option."""
    try:
        return parse_time(value, calendar=calendar)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def month_of(times: np.ndarray, calendar: str = STANDARD) -> np.ndarray:
    """(n_times,) month of the year of each, 0 to 11."""
    if calendar == STANDARD:
        return times.astype("datetime64[M]").astype(np.int64) % 12
    days, position = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    months: np.ndarray = np.array([date_of(day, calendar).month - 1 for day in days])[position]
    return months


def end_of(end: object, start: np.datetime64 | None, calendar: str = STANDARD) -> np.datetime64 | None:
    """When a period ends: at a time that was given, or a timedelta64 after its start; None where that is not known."""
    if end is None or (isinstance(end, np.timedelta64) and start is None):
        return None
    if isinstance(end, np.timedelta64):
        return start + end  # type: ignore[operator]
    return named_time(end, calendar, "end")


def parse_interval(value: object, unit: str = "ns") -> np.timedelta64:
    """A length of time: text such as ``6h``, ``0.5d`` or ``300s``, or a timedelta of Python, pandas or NumPy."""
    if isinstance(value, datetime.timedelta):
        value = np.timedelta64(value)
    # Months and years have no length; no unit may be any.
    if isinstance(value, np.timedelta64) and not (
        np.isnat(value) or np.datetime_data(value.dtype)[0] in ("generic", "M", "Y")
    ):
        return in_unit(value, unit)
    text = str(value)
    try:
        seconds = float(text[:-1]) * {"s": 1.0, "h": 3600.0, "d": 86_400.0}[text[-1:]]
        if 0.0 < seconds < 1e9:
            return in_unit(step_of(seconds), unit)
    except (ValueError, KeyError):
        pass
    raise InputError(f"found '{text}', expected a length of time such as 6h, 30h or 1d, or a timedelta")


def in_unit(value: Any, unit: str) -> Any:
    """A datetime64 or timedelta64 in another unit, exactly; `InputError` where that cannot be."""
    dtype = value.dtype
    wanted = _DTYPES[dtype.kind, unit]
    if dtype == wanted:
        return value
    result = value.astype(wanted)
    if result.astype(dtype) != value:
        limits = ", and years from 1678 to 2262" if unit == "ns" else ""
        raise InputError(f"found {value}, expected a time in whole {unit}{limits}")
    return result


def whole_steps(interval: np.timedelta64, step: np.timedelta64, option: str) -> int:
    """An interval, which must be a positive multiple of the model's step, in steps."""
    steps = interval / step if step else 0.0
    if not steps >= 1.0 or abs(steps - round(steps)) > 1e-6:
        raise InputError(
            f"option {option}: found {step_text(interval)}, expected a multiple of the model's step of "
            f"{step_text(step)}"
        )
    return round(steps)


def index_of(wanted: np.datetime64, times: np.ndarray, option: str, calendar: str = STANDARD) -> int:
    """Where a time is among labels; `InputError` where it is none of them."""
    found = np.flatnonzero(times == wanted)
    if not found.size:
        raise InputError(
            f"option {option}: found {time_text(wanted, calendar)}, expected one of the times of the file, "
            f"{time_text(times[0], calendar)} to {time_text(times[-1], calendar)}"
        )
    return int(found[0])
