"""Consistency diagnostics on departures whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from ailand_gt4py.assimilation.consistency import chi_square, consistency
from ailand_gt4py.assimilation.cycle import Departures
from ailand_gt4py.assimilation.sekf import analyse
from ailand_gt4py.assimilation.window import REASONS, Trajectory, WindowResult

JACOBIAN = np.array([[1.0, 0.5], [0.2, 1.0]])
COVARIANCE = np.array([[0.5, 0.2], [0.2, 0.4]])
ERRORS = np.array([0.6, 0.9])
NAMES = ("ssm", "t2m")


def window(seed: int, believed: np.ndarray = ERRORS, n_columns: int = 20_000) -> WindowResult:
    """An analysis of simulated departures, with the observation errors that the filter believes."""
    random = np.random.default_rng(seed)
    truth = random.multivariate_normal(np.zeros(2), COVARIANCE, n_columns)
    departures = truth @ JACOBIAN.T + ERRORS * random.normal(size=(n_columns, 2))
    used = np.ones((n_columns, 2), dtype=bool)
    used[: n_columns // 10, 1] = False
    covariance, jacobian = (np.tile(matrix, (n_columns, 1, 1)) for matrix in (COVARIANCE, JACOBIAN))
    increment, _, chi_square = analyse(covariance, jacobian, departures, believed, used)
    residuals = departures - increment @ JACOBIAN.T
    expected = np.sqrt(np.diag(JACOBIAN @ COVARIANCE @ JACOBIAN.T) + believed**2)
    nothing = np.zeros((1, n_columns, 2))
    run = Trajectory(nothing, nothing, nothing)
    return WindowResult(
        run, run, increment, nothing[0], nothing[0], departures, residuals,
        np.tile(expected, (n_columns, 1)), (~used).astype(np.uint8), chi_square,
    )  # fmt: skip


def observed(windows: list[WindowResult], name: str) -> Departures:
    """One observable of all windows, which an experiment gathers; what was observed itself does not matter."""
    parts = (
        np.stack([getattr(one, part)[:, NAMES.index(name)] for one in windows])
        for part in ("departures", "departures", "residuals", "expected", "reasons")
    )
    return Departures(*parts)


def test_right_errors_are_found_right() -> None:
    windows = [window(seed) for seed in range(3)]
    assert chi_square(windows) == pytest.approx(1.0, abs=0.02)
    for number, name in enumerate(NAMES):
        found = consistency(name, observed(windows, name), float(ERRORS[number]))
        in_observations = float(np.sqrt((JACOBIAN @ COVARIANCE @ JACOBIAN.T)[number, number]))
        assert found.bias == pytest.approx(0.0, abs=0.02)
        assert found.departure == pytest.approx(found.believed, rel=0.02)
        assert found.believed_background_error == pytest.approx(in_observations, rel=1e-9)
        assert found.background_error == pytest.approx(in_observations, rel=0.04)
        assert found.observation_error == pytest.approx(ERRORS[number], rel=0.04)
        assert (found.count, found.screened) == ((60_000, 0) if name == "ssm" else (54_000, 6_000))


def test_an_observation_error_that_is_believed_too_large_is_found_smaller() -> None:
    believed = 2.0 * ERRORS
    windows = [window(5, believed)]
    assert chi_square(windows) < 0.7
    found = consistency("ssm", observed(windows, "ssm"), float(believed[0]))
    assert found.departure < 0.85 * found.believed
    assert ERRORS[0] < found.observation_error < 0.8 * found.believed_observation_error


def test_an_observable_that_never_took_part_has_no_diagnostics() -> None:
    nothing = np.full((4, 3, 5), np.nan)
    found = consistency("tbh", Departures(*nothing, np.full((3, 5), REASONS["missing"], np.uint8)), 4.0)
    assert (found.count, found.screened) == (0, 0)
    assert np.isnan(found.departure)
    assert np.isnan(found.observation_error)
    one = window(1)
    assert np.isnan(chi_square([one._replace(reasons=np.full_like(one.reasons, REASONS["snow"]))]))
