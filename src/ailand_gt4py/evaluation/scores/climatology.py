"""Day-of-year climatology, of each column and variable: what a forecast must beat, and what anomalies are against."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, year_of
from ailand_gt4py.core.types import Values

#: Days of the climatological year; 31 December of a leap year shares the entry of the day before.
DAYS = 365
#: Fewest different years of which a climatology may be made.
MINIMUM_YEARS = 2


def day_of_year(times: Values, calendar: str = STANDARD) -> Values:
    """0 to 364, of datetime64 times."""
    times = np.asarray(times, dtype="datetime64[us]")
    days = (times - year_of(times, calendar)[0]) // np.timedelta64(1, "D")
    return np.minimum(days.astype(np.int64), DAYS - 1)


def calendar_year(times: Values, calendar: str = STANDARD) -> Values:
    """Start of the calendar year of datetime64 times, datetime64[us]."""
    return year_of(np.asarray(times, dtype="datetime64[us]"), calendar)[0]


def day_of_year_climatology(
    values: Values,
    times: Values,
    window_days: int = 31,
    leave_year_out: bool = False,
    by_time_of_day: bool = False,
    calendar: str = STANDARD,
) -> Values:
    """Mean of all values, (n_times, ...) without NaN, within a window of days around the same day of the year.

    Args:
        window_days: odd width of the running mean through the (periodic) year; 1 for none.
        leave_year_out: for each time use the other calendar years only, as a forecaster who does not know the year
            would have to; False: all years, the one verified included, which flatters the climatology.
        by_time_of_day: a climatology of its own for every time of day, as is fair where there is a daily cycle.
        calendar: of the times.

    Returns:
        (n_times, ...) the climatology at each time, float64. Where no other year covers a day, NaN.

    Raises:
        InputError: fewer than two calendar years with ``leave_year_out``, or a window that is not odd or not in 1..365.
    """
    if not (1 <= window_days <= DAYS and window_days % 2 == 1):
        raise InputError(f"climatology window is {window_days} days, expected an odd number from 1 to {DAYS}")
    n_years = np.unique(calendar_year(times, calendar)).size
    if leave_year_out and n_years < MINIMUM_YEARS:
        raise InputError(
            f"climatology without the verified year: {n_years} year found, expected at least {MINIMUM_YEARS}"
        )
    times = np.asarray(times, dtype="datetime64[ns]")
    group = times - times.astype("datetime64[D]") if by_time_of_day else np.zeros(len(times))
    result = np.empty(np.shape(values))
    for one in np.unique(group):
        result[group == one] = _climatology(
            values[group == one], times[group == one], window_days, leave_year_out, calendar
        )
    return result


def other_years_climatology(values: Values, times: Values, window_days: int = 31, calendar: str = STANDARD) -> Values:
    """(n_times, n_columns) of the other years at the same time of day; NaN without one, and in a column with a NaN."""
    result = np.full(values.shape, np.nan)
    complete = np.isfinite(values).all(axis=0)
    if np.unique(calendar_year(times, calendar)).size >= MINIMUM_YEARS:
        result[:, complete] = day_of_year_climatology(
            values[:, complete], times, window_days, leave_year_out=True, by_time_of_day=True, calendar=calendar
        )
    return result


def _climatology(values: Values, times: Values, window_days: int, leave_year_out: bool, calendar: str) -> Values:
    days = day_of_year(times, calendar)
    years, position = np.unique(calendar_year(times, calendar), return_inverse=True)
    # The last column counts.
    counted = np.column_stack([np.asarray(values, dtype=np.float64).reshape(len(days), -1), np.ones(len(days))])
    sums = np.zeros((years.size, DAYS, counted.shape[1]))
    np.add.at(sums, (position, days), counted)
    all_years = sums.sum(axis=0, keepdims=True)
    by_day, half = all_years - sums if leave_year_out else all_years, window_days // 2
    # The window runs through the end of the year.
    padded = np.concatenate([by_day[:, DAYS - half :], by_day, by_day[:, :half]], axis=1)
    cumulated = np.pad(np.cumsum(padded, axis=1), ((0, 0), (1, 0), (0, 0)))
    total = cumulated[:, window_days:] - cumulated[:, :-window_days]
    means = total[..., :-1] / np.where(total[..., -1:] > 0.0, total[..., -1:], np.nan)
    return means[position if leave_year_out else 0, days].reshape(np.shape(values))
