"""The ensemble transform Kalman filter against Kalman's update with the sample's covariance and with the exact one."""

from __future__ import annotations

import numpy as np
import pytest
from linear_land import LinearLand, land_model, make_land

from ailand_gt4py.assimilation.control import Bounds, make_control
from ailand_gt4py.assimilation.ensemble_filter import EnsembleFilter, analyse_ensemble
from ailand_gt4py.assimilation.sekf import SimplifiedExtendedKalmanFilter, analyse
from ailand_gt4py.assimilation.settings import AssimilationSettings, Errors, Limits, Screening
from ailand_gt4py.assimilation.window import Observation, Schedule, Setup
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.observations.screen import ScreenTemperature
from ailand_gt4py.observations.soil_moisture import SurfaceSoilMoisture

JACOBIAN = np.array([[1.0, 0.3, 0.0], [0.2, 0.5, 0.4]])
ERRORS = np.array([0.4, 0.7])


def ensemble(n_members: int, n_columns: int, seed: int = 0) -> np.ndarray:
    """(n_members, n_columns, 3), correlated, with columns of unlike means."""
    random = np.random.default_rng(seed)
    root = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.3, 0.4, 0.7]])
    return random.normal(size=(1, n_columns, 3)) + random.normal(size=(n_members, n_columns, 3)) @ root.T


def covariance_of(members: np.ndarray) -> np.ndarray:
    """(n_columns, 3, 3) of the sample."""
    perturbations = members - members.mean(axis=0)
    return np.einsum("mcj,mck->cjk", perturbations, perturbations) / (len(members) - 1)


def test_mean_and_covariance_are_kalmans_with_the_covariance_of_the_sample() -> None:
    """Exactly, for any number of members: the filter is that update, written in the space of members."""
    members, n_columns = ensemble(7, 20), 20
    random = np.random.default_rng(4)
    observations, used = random.normal(size=(n_columns, 2)), random.random((n_columns, 2)) < 0.8
    analysed, chi_square = analyse_ensemble(members, members @ JACOBIAN.T, observations, ERRORS, used)
    departures = observations - members.mean(axis=0) @ JACOBIAN.T
    jacobian = np.tile(JACOBIAN, (n_columns, 1, 1))
    increment, covariance, exact_chi_square = analyse(covariance_of(members), jacobian, departures, ERRORS, used)
    np.testing.assert_allclose(analysed.mean(axis=0) - members.mean(axis=0), increment, atol=1e-12)
    np.testing.assert_allclose(covariance_of(analysed), covariance, atol=1e-12)
    np.testing.assert_allclose(chi_square, exact_chi_square, rtol=1e-9, atol=1e-12)


def test_many_members_come_to_the_exact_update() -> None:
    """80 members in each of 150 columns, which are averaged."""
    n_columns = 150
    members = ensemble(80, n_columns)
    root = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.3, 0.4, 0.7]])
    observations, used = np.tile([1.5, -0.5], (n_columns, 1)), np.ones((n_columns, 2), dtype=bool)
    analysed, _ = analyse_ensemble(members, members @ JACOBIAN.T, observations, ERRORS, used)
    mean = np.random.default_rng(0).normal(size=(1, n_columns, 3))[0]
    covariance, jacobian = (np.tile(matrix, (n_columns, 1, 1)) for matrix in (root @ root.T, JACOBIAN))
    increment, exact, _ = analyse(covariance, jacobian, observations - mean @ JACOBIAN.T, ERRORS, used)
    shift = analysed.mean(axis=0) - mean
    np.testing.assert_allclose(shift.mean(axis=0), increment.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(covariance_of(analysed).mean(axis=0), exact[0], atol=0.02)


def test_what_is_not_used_changes_nothing() -> None:
    members = ensemble(6, 3)
    observations = np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, 2.0]])
    used = np.isfinite(observations)
    found, _ = analyse_ensemble(members, members @ JACOBIAN.T, observations, ERRORS, used)
    np.testing.assert_allclose(found[:, 0], members[:, 0], rtol=1e-12)
    other = np.where(used, observations, 99.0)
    again, _ = analyse_ensemble(members, members @ JACOBIAN.T, other, ERRORS, used)
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("relaxation", [0.0, 0.5, 1.0])
def test_relaxation_gives_spread_back_and_leaves_the_mean(relaxation: float) -> None:
    members, used = ensemble(9, 5), np.ones((5, 2), dtype=bool)
    arguments = (members, members @ JACOBIAN.T, np.ones((5, 2)), ERRORS, used)
    (plain, _), (found, _) = analyse_ensemble(*arguments), analyse_ensemble(*arguments, relaxation)
    np.testing.assert_allclose(found.mean(axis=0), plain.mean(axis=0), atol=1e-12)
    expected = (1.0 - relaxation) * plain.std(axis=0) + relaxation * members.std(axis=0)
    np.testing.assert_allclose(found.std(axis=0), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 1}, "option 'members': found 1, expected at least 2"),
        ({"relaxation": 1.5}, "option 'relaxation': found 1.5, expected at most 1"),
        ({"relaxation": -0.5}, "option 'relaxation': found -0.5, expected at least 0"),
    ],
)
def test_settings_that_make_no_ensemble_are_named(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AssimilationSettings(method="etkf", **change)


def make_filter(n_members: int, n_columns: int, weather: np.ndarray, model_error: float = 0.0) -> EnsembleFilter:
    model, land = land_model(), make_land(n_columns, 4)
    control = make_control(model)
    random = np.random.default_rng(11)
    members = np.tile(land.state, (n_members, 1, 1))
    members[..., :3] += 0.02 * random.normal(size=(n_members, n_columns, 3))
    errors = Errors(
        emulator=dict.fromkeys(("t2m", "ssm"), 0.0), model=dict.fromkeys(("swvl1", "swvl2", "swvl3"), model_error)
    )
    bounds = Bounds(model, land.static, control, Limits(plant_range_from=4.0))
    return EnsembleFilter(
        LinearLand(model, n_members * n_columns), land.static, members,
        Setup(control, errors, Screening(largest_departure=np.inf), bounds), weather, random, relaxation=0.0,
    )  # fmt: skip


def test_a_window_of_the_ensemble_is_one_of_the_extended_filter_with_the_samples_covariance() -> None:
    """On a linear land, exactly: means of background and analysis, spread, departures, chi-square."""
    n_members, n_columns = 8, 3
    land, model = make_land(n_columns, 4), land_model()
    run = make_filter(n_members, n_columns, np.zeros(3))
    members = run._state.copy()
    control = make_control(model)
    errors = Errors(emulator=dict.fromkeys(("t2m", "ssm"), 0.0))
    bounds = Bounds(model, land.static, control, Limits(plant_range_from=4.0))
    extended = SimplifiedExtendedKalmanFilter(
        LinearLand(model, n_columns), land.static, members.mean(axis=0),
        Setup(control, errors, Screening(largest_departure=np.inf), bounds), covariance_of(members[..., :3]),
    )  # fmt: skip
    operators = (ScreenTemperature(model), SurfaceSoilMoisture(model))
    schedule = Schedule(tuple(Observation(step, operator) for step in (2, 4) for operator in operators))
    result = run.run(land.forcing, schedule, np.tile([288.0, 0.3, 288.0, 0.3], (n_columns, 1)))
    expected = extended.run(land.forcing, schedule, np.tile([288.0, 0.3, 288.0, 0.3], (n_columns, 1)))
    assert np.abs(expected.increment).max() > 1e-3
    runs = ((getattr(result, name), getattr(expected, name)) for name in ("background", "analysis"))
    for found, exact in runs:
        np.testing.assert_allclose(found.states, exact.states, rtol=1e-8, atol=1e-9)
    for name, found, exact in zip(expected._fields[2:], result[2:], expected[2:], strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(run._state.mean(axis=0), result.analysis.states[-1], rtol=1e-9)


def test_the_models_error_widens_the_ensemble_and_leaves_its_mean() -> None:
    land = make_land(3, 4)
    nothing = Schedule(())
    results = []
    for size in (0.0, 0.01):
        run = make_filter(40, 3, np.zeros(3), size)
        run.run(land.forcing, nothing, np.empty((3, 0)))
        results.append(run._state[..., :3])
    np.testing.assert_allclose(results[0].mean(axis=0), results[1].mean(axis=0), atol=1e-9)
    added = results[1].var(axis=0) - results[0].var(axis=0)
    np.testing.assert_allclose(added.mean(), 1e-4, rtol=0.3)
