"""Time labels: any epoch, unit, zone, calendar and precision."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import CALENDARS, parse_time, time_text
from ailand_gt4py.io import time_labels


def labels(values, unit, calendar=None, dtype=None):
    attributes = {"units": unit, **({"calendar": calendar} if calendar else {})}
    return xr.DataArray(np.asarray(values, dtype), dims="time", name="time", attrs=attributes)


def decoded(*args, **more):
    return time_labels.decoded(labels(*args, **more), "in.nc: variable 'time'")


@pytest.mark.parametrize(
    ("values", "unit", "calendar"),
    [
        ([737574.0, 737574.25], "days since 0001-01-01 00:00:00", "proleptic_gregorian"),
        ([737576.0, 737576.25], "days since 0001-01-01", None),
        ([1590796800, 1590818400], "seconds since 1970-01-01", "gregorian"),
        ([1590796800000, 1590818400000], "milliseconds since 1970-01-01T00:00:00Z", None),
        ([1590796800 * 10**9, 1590818400 * 10**9], "nanoseconds since 1970-01-01", None),
        ([3600.0, 3606.0], "hours since 2020-01-01 00:00:00.0", "standard"),
        ([3601.0, 3607.0], "hours since 2020-01-01 00:00:00 +01:00", None),
        ([3594.5, 3600.5], "Hours since 2020-1-1 00:00 -0530", None),
        ([151, 151.25], "days since 20191231", None),
        ([216000, 216360], "minutes since 2020-01-01", "proleptic_gregorian"),
        ([0.0, 0.25], "days since 2020-05-30 0:0:0", None),
    ],
)
def test_epochs_and_units(values, unit, calendar):
    assert [time_text(time) for time in decoded(values, unit, calendar)] == ["2020-05-30T00:00", "2020-05-30T06:00"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["days", "hours", "seconds"]),
    st.sampled_from(["1900-01-01", "1970-01-01", "2000-01-01 12:00"]),
    st.sampled_from(sorted(CALENDARS)),
    st.datetimes(),
    st.sampled_from([600, 1800, 3600, 10800]),
)
def test_as_cftime(unit, epoch, calendar, first, step):
    """Of labels of half-hours and the like, whatever numbers they are stored as."""
    year = 1700 + first.year % 500
    date = cftime.datetime(year, first.month, min(first.day, 28), first.hour, 0, 0, calendar=calendar)
    begin = cftime.date2num(date, f"seconds since {epoch}", calendar)
    seconds = int(begin) + step * np.arange(20)
    factor = {"days": 86_400.0, "hours": 3_600.0, "seconds": 1.0}[unit]
    times = decoded(seconds / factor, f"{unit} since {epoch}", calendar)
    assert set(np.diff(times).astype(np.int64)) == {step * 10**9}
    kept = CALENDARS[calendar]
    for time, second in zip(times[[0, -1]], seconds[[0, -1]], strict=True):
        expected = cftime.num2date(int(second), f"seconds since {epoch}", calendar)
        assert time_text(time, kept) == expected.isoformat("T", "seconds").removesuffix(":00")
        assert parse_time(time_text(time, kept), calendar=kept) == time


@pytest.mark.parametrize(("epoch", "step"), [("2018-01-01", 1800), ("2020-01-01", 600), ("1990-01-01", 3600)])
def test_float32_days(epoch, step):
    first = (np.datetime64("2020-06-01") - np.datetime64(epoch)) / np.timedelta64(1, "D")
    exact = first + np.arange(500) * step / 86_400.0
    variable = labels(exact, f"days since {epoch}", dtype=np.float32)
    times = time_labels.decoded(variable, "in.nc")
    np.testing.assert_array_equal(times, np.datetime64("2020-06-01", "ns") + np.arange(500) * np.timedelta64(step, "s"))
    (sentence,) = time_labels.sentences(variable, times, "in.nc")
    assert "float32" in sentence
    assert f"multiples of {step} s" in sentence


def test_float32_days_that_are_exact_are_not_spoken_of():
    variable = labels([150.0, 150.25], "days since 2020-01-01", dtype=np.float32)
    assert time_labels.sentences(variable.astype(np.float64), time_labels.decoded(variable, ""), "") == []


def test_days_without_29_february():
    times = decoded([58, 59, 60], "days since 2020-01-01", "noleap")
    assert [time_text(time, "noleap") for time in times] == [f"2020-{day}T00:00" for day in ("02-28", "03-01", "03-02")]
    assert (np.diff(times) == np.timedelta64(1, "D")).all()
    with pytest.raises(InputError, match="expected a time of the calendar 'noleap'"):
        parse_time("2020-02-29", calendar="noleap")


@pytest.mark.parametrize(
    ("values", "unit", "calendar", "message"),
    [
        ([0, 1], "months since 2020-01-01", None, "has the unit 'months since 2020-01-01'; expected one such as"),
        ([0, 1], "days", None, "has the unit 'days'; expected one such as"),
        ([0, 1], "days since 2020-02-30", None, "cannot be decoded"),
        ([0, 1], "days since Monday", None, "'Monday' is no date"),
        ([0, 1], "days since 2020-01-01", "lunar", "has the calendar 'lunar'; expected standard or"),
        ([0, 1e9], "days since 2020-01-01", None, "not from 1678 to 2262"),
        ([0, np.nan], "days since 2020-01-01", None, "has no value at index 1"),
        ([1, 0], "days since 2020-01-01", None, "is before the one at index 0"),
        ([1, 1], "days since 2020-01-01", None, "repeats the one at index 0"),
    ],
)
def test_what_is_no_time(values, unit, calendar, message):
    with pytest.raises(InputError, match=message):
        decoded(values, unit, calendar)
