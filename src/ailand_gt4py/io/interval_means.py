"""Means over intervals of any length and beginning, such as local days, of what a run has every step.

Fluxes are means over the run's windows, and taken as constant in each: an interval that ends within a window has its
part of it, so that no energy is lost. What is instantaneous follows straight lines between its labels, as in `windows`.
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values

_SECOND = np.timedelta64(1, "s")
#: Part of an interval that may be missing though all of it is wanted: rounding of sums.
_ROUNDING = 1e-9


def of_means(
    labels: Values, step: np.timedelta64, values: Values, starts: Values, length: np.timedelta64, least: float = 1.0
) -> Values:
    """Means over [start, start + length) of means over [label, label + step).

    Args:
        labels: (n,) datetime64, a step apart. values: (n, n_columns), NaN where unknown. starts: (n_starts,).
        least: share of an interval that has to be known, of which the mean is then.

    Returns:
        (n_starts, n_columns), NaN where less is known.
    """
    knots = _seconds(np.append(labels, labels[-1:] + step), labels[0])
    begin = _seconds(starts, labels[0])
    return _means(knots, np.asarray(values, dtype=np.float64), begin, begin + float(length / _SECOND), least)


def of_instants(labels: Values, values: Values, starts: Values, length: np.timedelta64, least: float = 1.0) -> Values:
    """The same of values at labels, with straight lines between them; labels need not be equally far apart."""
    own, begin = _seconds(labels, labels[0]), _seconds(starts, labels[0])
    end = begin + float(length / _SECOND)
    knots = np.unique(np.concatenate([own, begin, end]))
    knots = knots[(knots >= own[0]) & (knots <= own[-1])]
    values = np.asarray(values, dtype=np.float64)
    if len(knots) < 2:
        return np.full((len(starts), values.shape[1]), np.nan)
    is_known = np.isfinite(values)
    between = np.searchsorted(own, knots[:-1], side="right") - 1
    lines = np.stack([np.interp(knots, own, column) for column in np.where(is_known, values, 0.0).T], axis=1)
    is_line = is_known[between] & is_known[between + 1]
    return _means(knots, np.where(is_line, 0.5 * (lines[:-1] + lines[1:]), np.nan), begin, end, least)


def _seconds(times: Values, since: np.datetime64) -> Values:
    return np.asarray((np.asarray(times) - since) / _SECOND, dtype=np.float64)


def _means(knots: Values, values: Values, begin: Values, end: Values, least: float) -> Values:
    """Means from `begin` to `end` (n_starts,) of what is constant between knots: (n,) and (n - 1, n_columns)."""
    is_known, lengths = np.isfinite(values), np.diff(knots)[:, None]

    def integral(parts: Values) -> Values:
        sums = np.concatenate([np.zeros((1, parts.shape[1])), np.cumsum(parts * lengths, axis=0)])
        return np.stack([np.interp(end, knots, one) - np.interp(begin, knots, one) for one in sums.T], axis=1)

    total, known = integral(np.where(is_known, values, 0.0)), integral(is_known.astype(np.float64))
    is_enough = known >= (least - _ROUNDING) * (end - begin)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(is_enough, total / known, np.nan))
