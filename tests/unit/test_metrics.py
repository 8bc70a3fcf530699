"""Scores of reports against values worked out by hand, NumPy and xarray."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.evaluation.scores import metrics

pytest.importorskip("scores", reason="reports take their scores from the package 'scores'")

# Two columns and three labels of anomalies.
RUN = np.array([[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]])
TRUTH = np.array([[1.0, 30.0], [3.0, 10.0], [5.0, 20.0]])


def test_centred_acc_by_hand():
    # Means 11.5 of both; deviations of the run (-10.5, -1.5, -9.5, 18.5, -5.5, 8.5) and of the truth
    # (-10.5, 18.5, -8.5, -1.5, -6.5, 8.5).
    products = 110.25 - 27.75 + 80.75 - 27.75 + 35.75 + 72.25
    run, truth = 110.25 + 2.25 + 90.25 + 342.25 + 30.25 + 72.25, 110.25 + 342.25 + 72.25 + 2.25 + 42.25 + 72.25
    assert metrics.acc_centred(RUN, TRUTH) == pytest.approx(products / math.sqrt(run * truth), rel=1e-12)


def test_uncentred_acc_by_hand():
    # Products 1 + 300 + 6 + 300 + 30 + 400, squares 1 + 100 + 4 + 900 + 36 + 400 and 1 + 900 + 9 + 100 + 25 + 400.
    assert metrics.acc_uncentred(RUN, TRUTH) == pytest.approx(1037.0 / math.sqrt(1441.0 * 1435.0), rel=1e-12)


def test_temporal_acc_by_hand():
    # Column 1: deviations (-2, -1, 3) and (-2, 0, 2): 10 / sqrt(14 * 8). Column 2: (-10, 10, 0) and (10, -10, 0): -1.
    assert metrics.acc_by_column(RUN, TRUTH) == pytest.approx([10.0 / math.sqrt(112.0), -1.0], rel=1e-12)
    assert metrics.acc_temporal(RUN, TRUTH) == pytest.approx((10.0 / math.sqrt(112.0) - 1.0) / 2.0, rel=1e-12)


def test_the_three_definitions_differ_as_they_should():
    """A constant bias shows in the uncentred ACC only; a column's amplitude does not count in the temporal one."""
    before = [f(RUN, TRUTH) for f in (metrics.acc_centred, metrics.acc_uncentred, metrics.acc_temporal)]
    shifted = [f(RUN + 50.0, TRUTH) for f in (metrics.acc_centred, metrics.acc_uncentred, metrics.acc_temporal)]
    assert shifted[0] == pytest.approx(before[0])
    assert shifted[1] != pytest.approx(before[1], abs=1e-3)
    assert shifted[2] == pytest.approx(before[2])
    grown = np.array([1.0, 100.0])
    assert metrics.acc_temporal(RUN * grown, TRUTH * grown) == pytest.approx(before[2])
    assert metrics.acc_centred(RUN * grown, TRUTH * grown) != pytest.approx(before[0], abs=1e-3)


def test_summary_against_direct_formulas():
    random = np.random.default_rng(5)
    truth = 280.0 + random.normal(size=(200, 7))
    run, climatology = truth + random.normal(0.3, 0.5, truth.shape), 280.0 + random.normal(0.0, 0.3, truth.shape)
    found = metrics.summary(run, truth, climatology)
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
    coefficients = metrics.acc_by_column(run, truth)
    assert np.isnan(coefficients[1])
    assert metrics.acc_temporal(run, truth) == pytest.approx(expected)
    nothing = np.zeros((3, 2))
    definitions = (metrics.acc_centred, metrics.acc_uncentred, metrics.acc_temporal)
    assert all(math.isnan(definition(RUN, nothing)) for definition in definitions)


def test_no_acc_without_a_climatology():
    found = metrics.summary(RUN, TRUTH, np.full(RUN.shape, np.nan))
    assert found.rmse == pytest.approx(np.sqrt(np.mean((RUN - TRUTH) ** 2)))
    assert math.isnan(found.acc_centred)
    assert math.isnan(found.acc_uncentred)
    assert math.isnan(found.acc_temporal)


def test_interval_comes_from_columns():
    assert metrics.rmse_interval(np.full(5, 4.0)) == (2.0, 2.0)
    assert all(math.isnan(edge) for edge in metrics.rmse_interval(np.array([4.0])))
    low, high = metrics.rmse_interval(np.array([0.0] * 50 + [4.0] * 50))
    # Half of the columns err by 2: the standard error of the mean square is 2 / sqrt(100).
    assert low == pytest.approx(math.sqrt(2.0 - 1.96 * 0.2), abs=0.05)
    assert high == pytest.approx(math.sqrt(2.0 + 1.96 * 0.2), abs=0.05)


def test_interval_of_a_ratio_comes_from_both_groups():
    """Alike columns give the ratio itself; one that differs, on either side, makes it uncertain."""
    alike, one_differs = np.full(5, 4.0), np.array([1.0, 1.0, 1.0, 1.0, 9.0])
    assert metrics.ratio_interval(alike, np.full(3, 1.0)) == (2.0, 2.0)
    for low, high in (metrics.ratio_interval(one_differs, alike), metrics.ratio_interval(alike, one_differs)):
        assert low < high
    low, high = metrics.ratio_interval(np.array([0.0] * 50 + [4.0] * 50), np.full(4, 2.0))
    assert (low, high) == pytest.approx((0.9, 1.1), abs=0.03)
    some_perfect = metrics.ratio_interval(alike, np.array([0.0] * 10 + [4.0] * 20))
    assert some_perfect[0] < np.sqrt(1.5) < some_perfect[1]
    for few in (alike[:1], np.array([]), np.array([1.0, 0.0])):
        assert all(math.isnan(edge) for edge in metrics.ratio_interval(alike, few))


def test_without_the_package_a_report_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scores.continuous", None)
    with pytest.raises(RunError, match=r"needs the package 'scores'.*ailand_gt4py\[evaluation\]"):
        metrics.require_scores()


def test_ratio_of_rmse():
    assert metrics.rmse_ratio(np.array([4.0, 12.0]), np.array([2.0])) == pytest.approx(2.0)
    for squares, reference in (([], [1.0]), ([1.0], []), ([1.0], [0.0, 0.0])):
        assert np.isnan(metrics.rmse_ratio(np.array(squares), np.array(reference)))


def test_ratio_with_classes_alike():
    """Inside three columns of a to one of b, outside one to two, and one of a class that is not inside."""
    classes = np.array(["a", "a", "a", "b", "a", "b", "b", "c"])
    inside = np.array([True] * 4 + [False] * 4)
    squares = np.array([1.0, 2.0, 3.0, 10.0, 4.0, 5.0, 15.0, 1e6])
    expected = math.sqrt((3 * 2.0 + 10.0) / (3 * 4.0 + 10.0))
    assert metrics.alike_ratio(squares, inside, classes) == pytest.approx(expected)
    # The same in each class: 1, however the classes are shared out.
    alike = np.where(classes == "a", 3.0, 7.0)
    assert metrics.alike_ratio(alike, inside, classes) == pytest.approx(1.0)
    assert np.isnan(metrics.alike_ratio(squares, inside, np.where(inside, "a", "b")))
    assert np.isnan(metrics.alike_ratio(np.where(inside, 1.0, 0.0), inside, classes))
