"""How far a score would differ for other columns, and comparisons of two groups of columns.

All take mean squared errors by column, (n_columns,): columns and not pairs are drawn, since the errors of one column
hang together through its seasons and years.
"""

from __future__ import annotations

import math

import numpy as np

from ailand_gt4py.core.types import Values

#: Samples of columns that an interval is made from, and its coverage.
BOOTSTRAP_SAMPLES, COVERAGE = 1000, 0.95
#: Of the draws: the same for all variables, so that reports can be repeated.
SEED = 0
#: Where there is no interval.
NO_INTERVAL = (math.nan, math.nan)


def rmse_interval(squares: Values) -> tuple[float, float]:
    """Of the RMSE, by drawing columns with replacement (bootstrap, Efron 1979); NaN for fewer than two columns."""
    if squares.size < 2:
        return NO_INTERVAL
    return _central(np.sqrt(_redrawn_means(squares, np.random.default_rng(SEED))))


def ratio_interval(squares: Values, reference: Values) -> tuple[float, float]:
    """As `rmse_interval`, of the RMSE of some columns over that of others, which may be more or fewer; both resampled.

    NaN for fewer than two columns of either, or where a draw of the reference has no error at all.
    """
    if min(squares.size, reference.size) < 2:
        return NO_INTERVAL
    generator = np.random.default_rng(SEED)
    drawn, drawn_reference = (_redrawn_means(values, generator) for values in (squares, reference))
    return _central(np.sqrt(drawn / drawn_reference)) if drawn_reference.all() else NO_INTERVAL


def rmse_ratio(squares: Values, reference: Values) -> float:
    """RMSE of some columns over that of others; NaN without any of either, or where the others do not err."""
    if not squares.size or not reference.size or not reference.any():
        return math.nan
    return float(np.sqrt(squares.mean() / reference.mean()))


def alike_ratio(squares: Values, inside: Values, classes: Values) -> float:
    """RMSE of the columns inside over that of those outside, as if these had the same shares of classes.

    The direct standardisation of epidemiology (Rothman, Greenland and Lash 2008, Modern Epidemiology, chapter 4):
    outside, each class counts as often as it is there inside. Columns of a class that is on one side only are left out;
    NaN where no class is on both sides or those outside err nowhere.

    Args:
        inside: (n_columns,) booleans. classes: (n_columns,) labels.
    """
    of_inside = of_outside = 0.0
    for name in np.intersect1d(classes[inside], classes[~inside]):
        members = classes == name
        of_inside += float(squares[inside & members].sum())
        of_outside += float(squares[~inside & members].mean()) * int((inside & members).sum())
    return math.sqrt(of_inside / of_outside) if of_outside > 0.0 else math.nan


def _redrawn_means(values: Values, generator: np.random.Generator) -> Values:
    """(`BOOTSTRAP_SAMPLES`,) means of as many values, drawn with replacement."""
    return values[generator.integers(0, values.size, (BOOTSTRAP_SAMPLES, values.size))].mean(axis=1)


def _central(samples: Values) -> tuple[float, float]:
    """Percentiles between which `COVERAGE` of the samples lie."""
    low, high = np.quantile(samples, (0.5 - COVERAGE / 2.0, 0.5 + COVERAGE / 2.0))
    return float(low), float(high)
