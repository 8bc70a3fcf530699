"""Scores of pairs of a run and the truth, the three anomaly correlations by name, and their uncertainty over columns.

RMSE, bias and Pearson's correlation are those of the package ``scores`` (Leeuwenburg et al. 2024, JOSS 9(99), 6889,
doi:10.21105/joss.06889; Bureau of Meteorology, Apache-2.0), which has no anomaly correlation. That one is here, in the
three definitions that this literature calls ACC. With f the run, o the truth, c the climatology of the truth at the
same column and label, f' = f - c, o' = o - c, sums and means over all pairs that have a climatology:

``centred``     sum (f' - <f'>)(o' - <o'>) / sqrt(sum (f' - <f'>)^2 sum (o' - <o'>)^2)
                WMO, Manual on the GDPFS (WMO-No. 485), "correlation coefficient between forecast and analysis
                anomalies", with the means M_f,c and M_v,c taken off; Wilks 2011, Statistical Methods in the Atmospheric
                Sciences, 3rd ed., section 8.6.4. WMO takes the means over the area at one date, weighted with the
                cosine of latitude, and averages over dates; here all columns and labels are one sample with equal
                weights, since scattered columns make no area. A constant bias of the run does not show.
``uncentred``   sum f'o' / sqrt(sum f'^2 sum o'^2)
                the "most simple form" of ECMWF's user guide to forecast products; Wilks 2011, same section. A bias of
                the run lowers it. The public code of Wesselkamp et al. 2025 (doi:10.5194/gmd-18-921-2025;
                MWesselkamp/land-surface-emulation, ``anomaly_correlation``) uses this form, for all columns at one
                time and for all times at one column.
``temporal``    the mean over columns of Pearson's coefficient of f' and o' over the labels of the column
                how maps of ACC are made and averaged: each column counts the same, however little it varies, and only
                the course in time counts. Columns without variation have none and are left out.

The climatology is that of the calendar years other than the label's own; without a second year there is no ACC.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import RunError

#: Names of the three definitions of ACC, in the order of `Summary`.
ACC_NAMES = ("centred", "uncentred", "temporal")

#: Samples of columns that an interval is made from, and its coverage.
BOOTSTRAP_SAMPLES, COVERAGE = 1000, 0.95

SAMPLE, COLUMN = "sample", "column"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Scores of one variable over columns and labels, in its units; NaN where they cannot be had.

    Attributes:
        n_columns, n_pairs: that were compared.
        rmse, bias: bias is run minus truth. interval: of the RMSE, see `rmse_interval`.
        correlation: Pearson's, of the values themselves, seasons included.
        acc_centred, acc_uncentred, acc_temporal: see the module.
    """

    n_columns: int
    n_pairs: int
    rmse: float
    bias: float
    interval: tuple[float, float]
    correlation: float
    acc_centred: float
    acc_uncentred: float
    acc_temporal: float


def require_scores() -> None:
    """Find out before a run that the package ``scores`` is there.

    Raises:
        RunError: it is not.
    """
    try:
        import scores.continuous  # noqa: F401  (takes a second: only where a report is made)
    except ImportError as error:
        raise RunError(
            "a report needs the package 'scores', which is not installed; "
            "expected it to be (pip install 'ailand_gt4py[evaluation]')"
        ) from error


def _pairs(run: np.ndarray, truth: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    return xr.DataArray(run, dims=(SAMPLE, COLUMN)), xr.DataArray(truth, dims=(SAMPLE, COLUMN))


def rmse(run: np.ndarray, truth: np.ndarray) -> float:
    """Root-mean-square error over all pairs of (n_samples, n_columns)."""
    from scores.continuous import rmse as of_pairs

    return float(of_pairs(*_pairs(run, truth)))


def bias(run: np.ndarray, truth: np.ndarray) -> float:
    """Mean of run minus truth over all pairs of (n_samples, n_columns)."""
    from scores.continuous import additive_bias

    return float(additive_bias(*_pairs(run, truth)))


def correlation(run: np.ndarray, truth: np.ndarray, by_column: bool = False) -> np.ndarray:
    """Pearson's coefficient of (n_samples, n_columns): of all pairs, or (n_columns,); NaN without variation."""
    from scores.continuous.correlation import pearsonr

    dims = SAMPLE if by_column else (SAMPLE, COLUMN)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = pearsonr(*_pairs(run, truth), reduce_dims=dims).values
    axis = 0 if by_column else None
    # Rounding leaves a constant a spread of its own: below that there is no variation to correlate.
    flat = (_is_flat(run, axis)) | (_is_flat(truth, axis))
    return np.where(flat, np.nan, np.clip(found, -1.0, 1.0))


def _is_flat(values: np.ndarray, axis: int | None) -> np.ndarray:
    if values.size == 0:
        return np.array(True)
    return np.asarray(np.std(values, axis=axis) <= 1e-7 * np.max(np.abs(values), axis=axis))


def acc_centred(run_anomaly: np.ndarray, truth_anomaly: np.ndarray) -> float:
    """Pooled anomaly correlation with the mean anomalies taken off; (n_samples, n_columns) each."""
    return float(correlation(run_anomaly, truth_anomaly))


def acc_uncentred(run_anomaly: np.ndarray, truth_anomaly: np.ndarray) -> float:
    """Pooled anomaly correlation with the mean anomalies left in; (n_samples, n_columns) each."""
    both = math.sqrt(float(np.sum(np.square(run_anomaly))) * float(np.sum(np.square(truth_anomaly))))
    return float(np.sum(run_anomaly * truth_anomaly)) / both if both > 0.0 else math.nan


def acc_by_column(run_anomaly: np.ndarray, truth_anomaly: np.ndarray) -> np.ndarray:
    """(n_columns,) anomaly correlation over the samples of each column, NaN where it does not vary."""
    return correlation(run_anomaly, truth_anomaly, by_column=True)


def acc_temporal(run_anomaly: np.ndarray, truth_anomaly: np.ndarray) -> float:
    """Mean of `acc_by_column` over the columns that vary."""
    coefficients = acc_by_column(run_anomaly, truth_anomaly)
    varying = np.isfinite(coefficients)
    return float(coefficients[varying].mean()) if varying.any() else math.nan


def rmse_interval(squares: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Interval of the RMSE by drawing columns with replacement (bootstrap, Efron 1979).

    Columns and not pairs are drawn, since errors of one column hang together through its seasons and years.

    Args:
        squares: (n_columns,) mean squared error of each column.
        seed: of the draws: the same for all variables, so that reports can be repeated.

    Returns:
        2.5th and 97.5th percentile; NaN for fewer than two columns.
    """
    if squares.size < 2:
        return math.nan, math.nan
    return _central(np.sqrt(_redrawn_means(squares, np.random.default_rng(seed))))


def ratio_interval(squares: np.ndarray, reference: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """As `rmse_interval`, of the RMSE of some columns over that of others, both drawn anew.

    Args:
        squares, reference: (n_columns,) each, mean squared error of each column; the numbers of columns may differ.
        seed: of the draws.

    Returns:
        2.5th and 97.5th percentile; NaN for fewer than two columns of either, or where a draw of the reference has no
        error at all.
    """
    if min(squares.size, reference.size) < 2:
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    drawn, drawn_reference = (_redrawn_means(values, generator) for values in (squares, reference))
    return _central(np.sqrt(drawn / drawn_reference)) if drawn_reference.all() else (math.nan, math.nan)


def rmse_ratio(squares: np.ndarray, reference: np.ndarray) -> float:
    """RMSE of some columns over that of others, of (n_columns,) mean squared errors each; NaN without any of either."""
    if not squares.size or not reference.size or not reference.any():
        return math.nan
    return float(np.sqrt(squares.mean() / reference.mean()))


def alike_ratio(squares: np.ndarray, inside: np.ndarray, classes: np.ndarray) -> float:
    """RMSE of the columns inside over that of those outside, as if these had the same shares of classes.

    The direct standardisation of epidemiology (Rothman, Greenland and Lash 2008, Modern Epidemiology, chapter 4):
    outside, each class counts as often as it is there inside. Columns of a class that is on one side only are left out.

    Args:
        squares: (n_columns,) mean squared errors. inside: (n_columns,) booleans. classes: (n_columns,) labels.

    Returns:
        the ratio; NaN where no class is on both sides or those outside err nowhere.
    """
    shared = np.intersect1d(classes[inside], classes[~inside])
    weights = np.array([(classes[inside] == name).sum() for name in shared], dtype=np.float64)
    of_inside, of_outside = (
        float(weights @ np.array([squares[side & (classes == name)].mean() for name in shared]))
        for side in (inside, ~inside)
    )
    return math.sqrt(of_inside / of_outside) if of_outside > 0.0 else math.nan


def _redrawn_means(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(`BOOTSTRAP_SAMPLES`,) means of as many values, drawn with replacement."""
    return values[generator.integers(0, values.size, (BOOTSTRAP_SAMPLES, values.size))].mean(axis=1)


def _central(samples: np.ndarray) -> tuple[float, float]:
    """Percentiles between which `COVERAGE` of the samples lie."""
    low, high = np.quantile(samples, (0.5 - COVERAGE / 2.0, 0.5 + COVERAGE / 2.0))
    return float(low), float(high)


def summary(run: np.ndarray, truth: np.ndarray, climatology: np.ndarray) -> Summary:
    """All scores of (n_samples, n_columns) each; a climatology with NaN gives no ACC."""
    has_climatology = bool(np.isfinite(climatology).all()) and climatology.size > 0
    run_anomaly, truth_anomaly = (run - climatology, truth - climatology) if has_climatology else (run, truth)
    return Summary(
        n_columns=run.shape[1],
        n_pairs=run.size,
        rmse=rmse(run, truth),
        bias=bias(run, truth),
        interval=rmse_interval(np.square(run - truth).mean(axis=0)),
        correlation=float(correlation(run, truth)),
        acc_centred=acc_centred(run_anomaly, truth_anomaly) if has_climatology else math.nan,
        acc_uncentred=acc_uncentred(run_anomaly, truth_anomaly) if has_climatology else math.nan,
        acc_temporal=acc_temporal(run_anomaly, truth_anomaly) if has_climatology else math.nan,
    )
