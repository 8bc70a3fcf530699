"""Means over parts of a year: the seasons of each column, and those of each hemisphere."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values

SEASONS = ("DJF", "MAM", "JJA", "SON")
HEMISPHERES = ("northern", "southern")


def season_of(times: Values) -> Values:
    """(n_times,) position in `SEASONS` of each time, by its month."""
    month = np.asarray(times, dtype="datetime64[M]").astype(np.int64) % 12
    return (month + 1) % 12 // 3


def hemisphere_of(latitude: Values) -> Values:
    """(n_columns,) position in `HEMISPHERES`; the equator counts as northern."""
    return np.where(np.asarray(latitude) >= 0.0, 0, 1)


def mean(values: Values, axis: int | tuple[int, ...]) -> Values:
    """Mean of what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def by_season(values: Values, times: Values) -> Values:
    """Means by season of (n_times, n_columns): (n_seasons, n_columns), NaN for seasons without a value."""
    position = season_of(times)
    return np.stack([mean(values[position == season], axis=0) for season in range(len(SEASONS))])


def by_hemisphere(values: Values, times: Values, latitude: Values) -> Values:
    """Means by hemisphere and season of (n_times, n_columns): (n_hemispheres, n_seasons), every value counting once."""
    position, half = season_of(times), hemisphere_of(latitude)
    rows = [
        [mean(values[np.ix_(position == season, half == side)], axis=(0, 1)) for season in range(len(SEASONS))]
        for side in range(len(HEMISPHERES))
    ]
    return np.array(rows)
