"""Scores of a run against a reference, pooled over columns and times, and the table that shows them.

With f the run, o the reference, c the climatology of the reference, all at the same column and label, and < > the mean
over all columns and labels where they are known, every one with the same weight:

RMSE          sqrt(<(f - o)^2>)
bias          <f - o>
correlation   Pearson's coefficient of f and o: (<f o> - <f><o>) / (s_f s_o)
ACC           anomaly correlation coefficient, centred: Pearson's coefficient of the anomalies f - c and o - c
              (Wilks 2011, Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.6.4; here over columns
              and times together). Other papers use the uncentred one, or the mean of one per label or column.
persistence   RMSE of the reference's own value at the first label, held.
climatology   RMSE of c.

The climatology c of a label is the mean of the reference's values in the OTHER calendar years at the same time of day
within 15 days of the same day of the year: a forecaster would not know the verified year. So it needs two years at
least. The first label never counts: there the run has the reference's own state.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.baselines import day_of_year_climatology

#: Name of the ACC that is printed; see the module.
ACC_DEFINITION = (
    "centred anomaly correlation against the day-of-year climatology of the reference, pooled over columns and times"
)
CLIMATOLOGY_DEFINITION = (
    "mean of the reference's other calendar years at the same time of day within 15 days of the day of the year"
)
PERSISTENCE_DEFINITION = "the reference at the first label, held"

#: Days centred on the day of the year that the climatology averages over.
WINDOW_DAYS = 31

#: Shortest reference that a climatology is made from: with less, most days have no second year.
MINIMUM_SPAN = np.timedelta64(2 * 365, "D")


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one variable in its units; NaN where they cannot be had.

    Attributes:
        n: number of pairs. For `acc` and `climatology_rmse` those count that have a climatology.
    """

    rmse: float
    bias: float
    correlation: float
    acc: float
    persistence_rmse: float
    climatology_rmse: float
    n: int


class _Moments:
    """Running means, variances and covariance of pairs, merged block by block (Chan et al. 1983): no cancellation."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = np.zeros(2)
        self.products = np.zeros((2, 2))  # sums of products of deviations from the mean

    def add(self, first: Values, second: Values) -> None:
        """Add pairs, 1-D without NaN."""
        n = first.size
        if n == 0:
            return
        pairs = np.stack([first, second]).astype(np.float64)
        mean = pairs.mean(axis=1)
        deviations = pairs - mean[:, None]
        shift = mean - self.mean
        total = self.n + n
        self.products += deviations @ deviations.T + np.outer(shift, shift) * (self.n * n / total)
        self.mean += shift * (n / total)
        self.n = total

    @property
    def correlation(self) -> float:
        """Pearson's coefficient, NaN where one of the two does not vary."""
        spread = math.sqrt(self.products[0, 0]) * math.sqrt(self.products[1, 1])
        # Below rounding of the mean there is no variation, only noise.
        smallest = np.finfo(np.float64).eps * self.n * np.abs(self.mean).prod()
        return float(self.products[0, 1] / spread) if spread > smallest else math.nan


class ScoreAccumulator:
    """Scores of one variable from any number of blocks of columns and labels."""

    def __init__(self) -> None:
        self._pairs, self._anomalies = _Moments(), _Moments()
        self._squares = dict.fromkeys(("run", "persistence", "climatology"), 0.0)
        self._counts = dict.fromkeys(("run", "persistence", "climatology"), 0)
        self._error = 0.0

    def add(self, run: Values, reference: Values, persistence: Values, climatology: Values | None = None) -> None:
        """Add a block.

        Args:
            run, reference: (n_labels, n_columns); pairs with a NaN are left out.
            persistence: (n_columns,) the reference at the first label.
            climatology: (n_labels, n_columns), NaN where there is none; None: none at all.
        """
        run, reference = np.asarray(run, np.float64), np.asarray(reference, np.float64)
        if run.shape != reference.shape:
            raise InputError(f"scores: run has the shape {run.shape}, expected the reference's {reference.shape}")
        valid = np.isfinite(run) & np.isfinite(reference)
        error = (run - reference)[valid]
        self._error += float(error.sum())
        self._add_square("run", error)
        self._pairs.add(run[valid], reference[valid])
        held = np.broadcast_to(np.asarray(persistence, np.float64), reference.shape)
        self._add_square("persistence", (held - reference)[valid & np.isfinite(held)])
        if climatology is not None:
            known = valid & np.isfinite(climatology)
            self._add_square("climatology", (climatology - reference)[known])
            self._anomalies.add((run - climatology)[known], (reference - climatology)[known])

    def _add_square(self, name: str, error: Values) -> None:
        self._squares[name] += float(np.square(error).sum())
        self._counts[name] += error.size

    def _rmse(self, name: str) -> float:
        return math.sqrt(self._squares[name] / self._counts[name]) if self._counts[name] else math.nan

    def result(self) -> Scores:
        """The scores of all that was added."""
        n = self._counts["run"]
        return Scores(
            rmse=self._rmse("run"),
            bias=self._error / n if n else math.nan,
            correlation=self._pairs.correlation,
            acc=self._anomalies.correlation,
            persistence_rmse=self._rmse("persistence"),
            climatology_rmse=self._rmse("climatology"),
            n=n,
        )


def climatology_is_possible(times: Values, step: np.timedelta64) -> bool:
    """Whether a reference with these labels is long enough for a climatology: two years."""
    return bool(times[-1] - times[0] + step >= MINIMUM_SPAN)


def climatology(values: Values, times: Values) -> Values:
    """The climatology of each label, from the other calendar years (see the module).

    Args:
        values: (n_labels, n_columns) of the reference; a column with a NaN has no climatology.
        times: (n_labels,) datetime64.

    Returns:
        (n_labels, n_columns) float64, NaN where no other year has the day.
    """
    times = np.asarray(times, dtype="datetime64[ns]")
    time_of_day = times - times.astype("datetime64[D]").astype("datetime64[ns]")
    result = np.full(values.shape, np.nan)
    complete = np.isfinite(values).all(axis=0)
    for hour in np.unique(time_of_day):
        rows = np.flatnonzero(time_of_day == hour)
        if np.unique(times[rows].astype("datetime64[Y]")).size > 1:
            part = day_of_year_climatology(
                values[np.ix_(rows, complete)], times[rows], WINDOW_DAYS, leave_year_out=True
            )
            result[np.ix_(rows, complete)] = part
    return result


def table(names: Sequence[str], units: Sequence[str], scores: Sequence[Scores], without_climatology: str = "") -> str:
    """Scores as a table for people, followed by what the columns mean.

    Args:
        names, units: of the variables.
        scores: of the variables.
        without_climatology: why there is none; empty where there is one.
    """
    titles = ("variable", "units", "RMSE", "bias", "corr", "ACC", "persist.", "climat.", "n")
    rows = [
        (
            name,
            unit,
            _number(score.rmse),
            _number(score.bias),
            _coefficient(score.correlation),
            _coefficient(score.acc),
            _number(score.persistence_rmse),
            _number(score.climatology_rmse),
            str(score.n),
        )
        for name, unit, score in zip(names, units, scores, strict=True)
    ]
    widths = [max(len(row[k]) for row in (titles, *rows)) for k in range(len(titles))]

    def line(cells: Sequence[str]) -> str:
        words = [
            cell.ljust(width) if k < 2 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(words).rstrip()

    notes = [
        f"ACC: {ACC_DEFINITION}.",
        f"persist.: RMSE of persistence, {PERSISTENCE_DEFINITION}.",
        f"climat.: RMSE of the climatology, the {CLIMATOLOGY_DEFINITION}.",
        "The first label is left out: the run has the reference's own state there.",
    ]
    if without_climatology:
        notes[2] = f"climat., ACC: none, because {without_climatology}."
        del notes[0]
    return "\n".join([line(titles), line(["-" * width for width in widths]), *map(line, rows), *notes])


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _coefficient(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
