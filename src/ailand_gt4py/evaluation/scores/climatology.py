"""Day-of-year climatology, of each column and variable: what a forecast must beat, and what anomalies are against."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

#: Days of the climatological year; 31 December of a leap year shares the entry of the day before.
DAYS = 365

#: Fewest different years of which a climatology may be made.
MINIMUM_YEARS = 2


def day_of_year(times: Values) -> Values:
    """Day of the year, 0 to 364, of datetime64 times."""
    times = np.asarray(times, dtype="datetime64[ns]")
    days = times.astype("datetime64[D]") - times.astype("datetime64[Y]").astype("datetime64[D]")
    return np.minimum(days.astype(np.int64), DAYS - 1)


def calendar_year(times: Values) -> Values:
    """Calendar year of datetime64 times."""
    return np.asarray(times, dtype="datetime64[Y]").astype(np.int64) + 1970


def day_of_year_climatology(
    values: Values,
    times: Values,
    window_days: int = 31,
    leave_year_out: bool = False,
    by_time_of_day: bool = False,
) -> Values:
    """Mean of all values within a window of days around the same day of the year.

    Args:
        values: (n_times, ...) without NaN.
        times: (n_times,) datetime64.
        window_days: odd width of the running mean through the (periodic) year; 1 for none.
        leave_year_out: for each time use the other calendar years only, as a forecaster who does not know the year
            would have to; False: all years, the one verified included, which flatters the climatology.
        by_time_of_day: a climatology of its own for every time of day, as is fair where there is a daily cycle.

    Returns:
        (n_times, ...) the climatology at each time, float64. Where no other year covers a day, NaN.

    Raises:
        InputError: fewer than two calendar years with ``leave_year_out``, or a window that is not odd or not in 1..365.
    """
    if not (1 <= window_days <= DAYS and window_days % 2 == 1):
        raise InputError(f"climatology window is {window_days} days, expected an odd number from 1 to {DAYS}")
    if by_time_of_day:
        result = np.empty(np.shape(values))
        for rows in _rows_by_time_of_day(times):
            result[rows] = day_of_year_climatology(values[rows], times[rows], window_days, leave_year_out)
        return result
    days, years = day_of_year(times), calendar_year(times)
    present, position = np.unique(years, return_inverse=True)
    if leave_year_out and present.size < MINIMUM_YEARS:
        raise InputError(
            f"climatology without the verified year: {present.size} year found, expected at least {MINIMUM_YEARS}"
        )
    flat = np.asarray(values, dtype=np.float64).reshape(len(days), -1)
    sums, counts = np.zeros((present.size, DAYS, flat.shape[1])), np.zeros((present.size, DAYS, 1))
    np.add.at(sums, (position, days), flat)
    np.add.at(counts, (position, days), 1.0)
    result = np.empty_like(flat)
    for index in range(present.size if leave_year_out else 1):
        used = np.arange(present.size) != index if leave_year_out else slice(None)
        verified = position == index if leave_year_out else slice(None)
        total, count = (_running_sum(parts[used].sum(axis=0), window_days) for parts in (sums, counts))
        with np.errstate(invalid="ignore", divide="ignore"):
            result[verified] = (total / count)[days[verified]]
    return result.reshape(np.shape(values))


def other_years_climatology(values: Values, times: Values, window_days: int = 31) -> Values:
    """Climatology of each label from the other calendar years, at the same time of day, of (n_times, n_columns).

    Returns:
        (n_times, n_columns) float64, NaN where no other year has the day, and for a column with a NaN.
    """
    result = np.full(values.shape, np.nan)
    complete = np.isfinite(values).all(axis=0)
    for rows in _rows_by_time_of_day(times):
        if np.unique(calendar_year(times[rows])).size >= MINIMUM_YEARS:
            chosen = np.ix_(rows, complete)
            result[chosen] = day_of_year_climatology(values[chosen], times[rows], window_days, leave_year_out=True)
    return result


def _rows_by_time_of_day(times: Values) -> list[Values]:
    """Indices of the times of each time of day."""
    times = np.asarray(times, dtype="datetime64[ns]")
    _, group = np.unique(times - times.astype("datetime64[D]"), return_inverse=True)
    return [np.flatnonzero(group == number) for number in range(group.max() + 1)]


def _running_sum(by_day: Values, window_days: int) -> Values:
    """Sum over a centred window of days, periodic in the year."""
    half = window_days // 2
    padded = np.concatenate([by_day[DAYS - half :], by_day, by_day[:half]])
    cumulated = np.concatenate([np.zeros((1, by_day.shape[1])), np.cumsum(padded, axis=0)])
    return cumulated[window_days:] - cumulated[:-window_days]
