"""The scores, each one function; with `score` it appears in the tables, in reports and in their JSON.

With f the run, o the truth, c the climatology of the truth at the same column and label, f' = f - c, o' = o - c, < >
the mean over all columns and labels where both are known (and, for anomalies, have a climatology), every one with the
same weight. The climatology is that of the calendar years other than the label's own: a forecaster would not know the
verified year. Three definitions go by the name of ACC, anomaly correlation coefficient:

``centred``     after WMO, Manual on the GDPFS (WMO-No. 485), "correlation coefficient between forecast and analysis
                anomalies", with the means M_f,c and M_v,c taken off; Wilks 2011, Statistical Methods in the Atmospheric
                Sciences, 3rd ed., section 8.6.4. WMO takes the means over the area at one date, weighted with the
                cosine of latitude, and averages over dates; here all columns and labels are one sample with equal
                weights, since scattered columns make no area. A constant bias of the run does not show.
``uncentred``   the "most simple form" of ECMWF's user guide to forecast products; Wilks 2011, same section. A bias of
                the run lowers it. The public code of Wesselkamp et al. 2025 (doi:10.5194/gmd-18-921-2025;
                MWesselkamp/land-surface-emulation, ``anomaly_correlation``) uses this form, for all columns at one
                time and for all times at one column.
``temporal``    how maps of ACC are made and averaged: each column counts the same, however little it varies, and only
                the course in time counts. Columns without variation have none and are left out.

The package ``scores`` (Leeuwenburg et al. 2024, JOSS 9(99), 6889, doi:10.21105/joss.06889) has the same RMSE, bias and
correlation; the tests compare with it. It takes all pairs at once, which a run of many columns does not allow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.moments import Sample

Formula = Callable[[Sample], Values]


@dataclasses.dataclass(frozen=True)
class Score:
    """A score by its name in JSON and its title in tables; ``short`` in that of a run, where it is shown if it has one.

    It has the units of the variable, or is a coefficient; is of all pairs, or the mean of those of each column. Its
    formula gives (n_columns,) of a sample, () of a pooled one.
    """

    name: str
    title: str
    definition: str
    short: str
    has_units: bool
    by_column: bool
    formula: Formula

    def of(self, sample: Sample) -> float:
        """The score over all columns of a sample; NaN where it cannot be had."""
        if not self.by_column:
            return float(self.formula(sample.pooled()))
        values = self.formula(sample)
        known = np.isfinite(values)
        return float(values[known].mean()) if known.any() else float("nan")


#: All scores by name, in the order of tables.
SCORES: dict[str, Score] = {}


def score(
    title: str, definition: str, short: str = "", has_units: bool = False, by_column: bool = False
) -> Callable[[Formula], Formula]:
    """Register a function as a score; see `Score`."""

    def registered(formula: Formula) -> Formula:
        name = formula.__name__
        SCORES[name] = Score(name, title, definition, short, has_units, by_column, formula)
        return formula

    return registered


@score("RMSE", "sqrt(<(f - o)²>)", "RMSE", has_units=True)
def rmse(sample: Sample) -> Values:
    return np.sqrt(sample.pairs.mean_square)


@score("bias", "<f - o>", "bias", has_units=True)
def bias(sample: Sample) -> Values:
    run, truth = np.where(sample.pairs.n > 0.0, sample.pairs.means, np.nan)
    return np.asarray(run - truth)


@score("correlation", "Pearson's coefficient of f and o, seasons included", "corr")
def correlation(sample: Sample) -> Values:
    return sample.pairs.correlation


@score(
    "ACC centred",
    "<(f' - <f'>)(o' - <o'>)> / sqrt(<(f' - <f'>)²><(o' - <o'>)²>): a bias does not show (WMO-No. 485; Wilks 2011)",
    "ACC",
)
def acc_centred(sample: Sample) -> Values:
    return sample.anomalies.correlation


@score(
    "ACC uncentred",
    "<f'o'> / sqrt(<f'²><o'²>): a bias lowers it (ECMWF user guide; public code of Wesselkamp et al. 2025)",
)
def acc_uncentred(sample: Sample) -> Values:
    anomalies = sample.anomalies
    sums = anomalies.products + anomalies.n * anomalies.means * anomalies.means[:, None]
    scale = np.sqrt(sums[0, 0] * sums[1, 1])
    return np.asarray(sums[0, 1] / np.where(scale > 0.0, scale, np.nan))


@score(
    "ACC temporal", "correlation of f' and o' over the labels of each column, then mean over columns", by_column=True
)
def acc_temporal(sample: Sample) -> Values:
    return sample.anomalies.correlation
