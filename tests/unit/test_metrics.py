"""Scores of reports against values worked out by hand, NumPy and xarray."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.evaluation.scores import definitions, uncertainty
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.scores.verify import table
from ailand_gt4py.evaluation.study import summary

# Two columns and three labels of anomalies.
RUN = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]])
TRUTH = np.array([[1.0, 30.0], [3.0, 10.0], [5.0, 20.0]])


def of(name: str, run: np.ndarray, truth: np.ndarray) -> float:
    """A score of anomalies, the climatology being 0."""
    return SCORES[name].of(Sample.of(run, truth, np.zeros(truth.shape)))


def accs(run: np.ndarray, truth: np.ndarray) -> list[float]:
    return [of(name, run, truth) for name in ("acc_centred", "acc_uncentred", "acc_temporal")]


def acc_by_column(run: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return SCORES["acc_temporal"].formula(Sample.of(run, truth, np.zeros(truth.shape)))


def test_centred_acc_by_hand():
    # Means 11.5 of both; deviations of the run (-10.5, -1.5, -9.5, 18.5, -5.5, 8.5) and of the truth
    # (-10.5, 18.5, -8.5, -1.5, -6.5, 8.5).
    products = 110.25 - 27.75 + 80.75 - 27.75 + 35.75 + 72.25
    run, truth = 110.25 + 2.25 + 90.25 + 342.25 + 30.25 + 72.25, 110.25 + 342.25 + 72.25 + 2.25 + 42.25 + 72.25
    assert of("acc_centred", RUN, TRUTH) == pytest.approx(products / math.sqrt(run * truth), rel=1e-12)


def test_uncentred_acc_by_hand():
    # Products 1 + 300 + 6 + 300 + 30 + 400, squares 1 + 100 + 4 + 900 + 36 + 400 and 1 + 900 + 9 + 100 + 25 + 400.
    assert of("acc_uncentred", RUN, TRUTH) == pytest.approx(1037.0 / math.sqrt(1441.0 * 1435.0), rel=1e-12)


def test_temporal_acc_by_hand():
    # Column 1: deviations (-2, -1, 3) and (-2, 0, 2): 10 / sqrt(14 * 8). Column 2: (-10, 10, 0) and (10, -10, 0): -1.
    assert acc_by_column(RUN, TRUTH) == pytest.approx([10.0 / math.sqrt(112.0), -1.0], rel=1e-12)
    assert of("acc_temporal", RUN, TRUTH) == pytest.approx((10.0 / math.sqrt(112.0) - 1.0) / 2.0, rel=1e-12)


def test_the_three_definitions_differ_as_they_should():
    """A constant bias shows in the uncentred ACC only; a column's amplitude does not count in the temporal one."""
    before = accs(RUN, TRUTH)
    shifted = accs(RUN + 50.0, TRUTH)
    assert shifted[0] == pytest.approx(before[0])
    assert shifted[1] != pytest.approx(before[1], abs=1e-3)
    assert shifted[2] == pytest.approx(before[2])
    grown = np.array([1.0, 100.0])
    assert of("acc_temporal", RUN * grown, TRUTH * grown) == pytest.approx(before[2])
    assert of("acc_centred", RUN * grown, TRUTH * grown) != pytest.approx(before[0], abs=1e-3)


def test_summary_against_direct_formulas():
    random = np.random.default_rng(5)
    truth = 280.0 + random.normal(size=(200, 7))
    run, climatology = truth + random.normal(0.3, 0.5, truth.shape), 280.0 + random.normal(0.0, 0.3, truth.shape)
    found = SimpleNamespace(**summary(Sample.of(run, truth, climatology)))
    f, o = run - climatology, truth - climatology
    assert (found.n_columns, found.n_pairs) == (7, 1400)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((run - truth) ** 2)))
    assert found.bias == pytest.approx(np.mean(run - truth))
    assert found.correlation == pytest.approx(np.corrcoef(run.ravel(), truth.ravel())[0, 1])
    assert found.acc_centred == pytest.approx(np.corrcoef(f.ravel(), o.ravel())[0, 1])
    assert found.acc_uncentred == pytest.approx(np.mean(f * o) / np.sqrt(np.mean(f**2) * np.mean(o**2)))
    by_column = xr.corr(xr.DataArray(f, dims=("t", "x")), xr.DataArray(o, dims=("t", "x")), "t")
    assert found.acc_temporal == pytest.approx(float(by_column.mean()))
    assert found.interval[0] < found.rmse < found.interval[1]


def test_columns_that_do_not_vary_have_no_acc_and_spoil_none():
    random = np.random.default_rng(3)
    run = random.normal(size=(1000, 2))
    truth = run + random.normal(size=(1000, 2))
    expected = np.corrcoef(run[:, 0], truth[:, 0])[0, 1]
    truth[:, 1] = 0.1  # in the sum of a thousand of them the last bits differ: a spread of rounding
    assert truth[:, 1].std() > 0.0
    coefficients = acc_by_column(run, truth)
    assert np.isnan(coefficients[1])
    assert of("acc_temporal", run, truth) == pytest.approx(expected)
    nothing = np.zeros((3, 2))
    assert all(map(math.isnan, accs(RUN, nothing)))


def test_no_acc_without_a_climatology():
    found = SimpleNamespace(**summary(Sample.of(RUN, TRUTH)))
    assert found.rmse == pytest.approx(np.sqrt(np.mean((RUN - TRUTH) ** 2)))
    assert math.isnan(found.acc_centred)
    assert math.isnan(found.acc_uncentred)
    assert math.isnan(found.acc_temporal)


def test_interval_comes_from_columns():
    assert uncertainty.rmse_interval(np.full(5, 4.0)) == (2.0, 2.0)
    assert all(math.isnan(edge) for edge in uncertainty.rmse_interval(np.array([4.0])))
    low, high = uncertainty.rmse_interval(np.array([0.0] * 50 + [4.0] * 50))
    # Half of the columns err by 2: the standard error of the mean square is 2 / sqrt(100).
    assert low == pytest.approx(math.sqrt(2.0 - 1.96 * 0.2), abs=0.05)
    assert high == pytest.approx(math.sqrt(2.0 + 1.96 * 0.2), abs=0.05)


def test_interval_of_a_ratio_comes_from_both_groups():
    """Alike columns give the ratio itself; one that differs, on either side, makes it uncertain."""
    alike, one_differs = np.full(5, 4.0), np.array([1.0, 1.0, 1.0, 1.0, 9.0])
    assert uncertainty.ratio_interval(alike, np.full(3, 1.0)) == (2.0, 2.0)
    for low, high in (uncertainty.ratio_interval(one_differs, alike), uncertainty.ratio_interval(alike, one_differs)):
        assert low < high
    low, high = uncertainty.ratio_interval(np.array([0.0] * 50 + [4.0] * 50), np.full(4, 2.0))
    assert (low, high) == pytest.approx((0.9, 1.1), abs=0.03)
    some_perfect = uncertainty.ratio_interval(alike, np.array([0.0] * 10 + [4.0] * 20))
    assert some_perfect[0] < np.sqrt(1.5) < some_perfect[1]
    for few in (alike[:1], np.array([]), np.array([1.0, 0.0])):
        assert all(math.isnan(edge) for edge in uncertainty.ratio_interval(alike, few))


@pytest.mark.parametrize("n_gaps", [0, 30])
def test_the_package_scores_has_the_same(n_gaps):
    """The same pairs through another implementation (Leeuwenburg et al. 2024), gaps in run and truth included."""
    continuous = pytest.importorskip("scores.continuous", reason="compares with the package 'scores'")
    from scores.continuous.correlation import pearsonr

    random = np.random.default_rng(7)
    truth = 280.0 + random.normal(size=(60, 5))
    run = truth + random.normal(0.3, 0.5, truth.shape)
    for values in (run, truth):
        values.ravel()[random.choice(values.size, n_gaps, replace=False)] = np.nan
    pairs = [xr.DataArray(values, dims=("sample", "column")) for values in (run, truth)]
    sample = Sample.of(run, truth)
    for name, of_pairs in (("rmse", continuous.rmse), ("bias", continuous.additive_bias), ("correlation", pearsonr)):
        assert SCORES[name].of(sample) == pytest.approx(float(of_pairs(*pairs)), rel=1e-9), name
        by_column = of_pairs(*pairs, preserve_dims="column").values
        np.testing.assert_allclose(SCORES[name].formula(sample), by_column, rtol=1e-9, err_msg=name)


def test_a_score_is_one_function():
    """Registered, it is in the summary, the table of a run, and (by the same dictionary) in the report."""

    @definitions.score("NSE", "1 - <(f - o)²> / <(o - <o>)²>", "NSE")
    def nse(sample: Sample) -> np.ndarray:
        return 1.0 - sample.pairs.squares / sample.pairs.products[1, 1]

    try:
        nowhere = np.full(TRUTH.shape, np.nan)
        sample = Sample.of(RUN, TRUTH, nowhere, persistence=TRUTH[0], climatology=nowhere)
        expected = 1.0 - np.sum((RUN - TRUTH) ** 2) / np.sum((TRUTH - TRUTH.mean()) ** 2)
        assert summary(sample)["nse"] == pytest.approx(expected)
        header, _, row, *_ = table({"stl1": sample}, {"stl1": "K"}).splitlines()
        assert row.split()[header.split().index("NSE")] == f"{expected:.3f}"
    finally:
        del SCORES["nse"]


def test_ratio_of_rmse():
    assert uncertainty.rmse_ratio(np.array([4.0, 12.0]), np.array([2.0])) == pytest.approx(2.0)
    for squares, reference in (([], [1.0]), ([1.0], []), ([1.0], [0.0, 0.0])):
        assert np.isnan(uncertainty.rmse_ratio(np.array(squares), np.array(reference)))


def test_ratio_with_classes_alike():
    """Inside three columns of a to one of b, outside one to two, and one of a class that is not inside."""
    classes = np.array(["a", "a", "a", "b", "a", "b", "b", "c"])
    inside = np.array([True] * 4 + [False] * 4)
    squares = np.array([1.0, 2.0, 3.0, 10.0, 4.0, 5.0, 15.0, 1e6])
    expected = math.sqrt((3 * 2.0 + 10.0) / (3 * 4.0 + 10.0))
    assert uncertainty.alike_ratio(squares, inside, classes) == pytest.approx(expected)
    # The same in each class: 1, however the classes are shared out.
    alike = np.where(classes == "a", 3.0, 7.0)
    assert uncertainty.alike_ratio(alike, inside, classes) == pytest.approx(1.0)
    assert np.isnan(uncertainty.alike_ratio(squares, inside, np.where(inside, "a", "b")))
    assert np.isnan(uncertainty.alike_ratio(np.where(inside, 1.0, 0.0), inside, classes))
