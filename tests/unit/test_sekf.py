"""The simplified extended Kalman filter: against Kalman's own formulas, its Jacobians, cycling, and its consistency."""

from __future__ import annotations

import numpy as np
import pytest
from linear_land import SEEN, STEP, LinearLand, land_model, make_land

import ailand_gt4py
from ailand_gt4py.assimilation.control import Bounds, make_control, root_zone
from ailand_gt4py.assimilation.jacobians import MODES, by_finite_differences, by_tangent_linear
from ailand_gt4py.assimilation.sekf import SimplifiedExtendedKalmanFilter, analyse, forecast_covariance
from ailand_gt4py.assimilation.settings import Errors, Limits, Screening
from ailand_gt4py.assimilation.window import Observation, Schedule, Setup, equivalents, run_window
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.observations.screen import ScreenHumidity, ScreenTemperature
from ailand_gt4py.observations.soil_moisture import SurfaceSoilMoisture

MODEL = land_model()
CONTROL = make_control(MODEL)
#: No limit is reached.
FREE = Limits(largest_increment=10.0, driest=-10.0, plant_range_from=4.0)


def covariances(n_columns: int, n_control: int, random: np.random.Generator) -> np.ndarray:
    roots = random.normal(size=(n_columns, n_control, n_control))
    return roots @ roots.swapaxes(1, 2)


def kalman(covariance, jacobian, departures, errors):
    """Kalman's update of one column, by its textbook formulas."""
    innovation = jacobian @ covariance @ jacobian.T + np.diag(errors**2)
    gain = covariance @ jacobian.T @ np.linalg.inv(innovation)
    analysed = (np.eye(len(covariance)) - gain @ jacobian) @ covariance
    return gain @ departures, analysed, departures @ np.linalg.inv(innovation) @ departures


@pytest.mark.parametrize(("n_observations", "n_control"), [(1, 3), (5, 3), (12, 4), (2, 1)])
def test_analysis_is_kalmans(n_observations: int, n_control: int) -> None:
    random = np.random.default_rng(n_observations)
    covariance = covariances(30, n_control, random)
    jacobian = random.normal(size=(30, n_observations, n_control))
    departures, errors = random.normal(size=(30, n_observations)), random.uniform(0.3, 2.0, n_observations)
    used = random.random((30, n_observations)) < 0.7
    departures[~used] = np.nan
    increment, analysed, chi_square = analyse(covariance, jacobian, departures, errors, used)
    for column in range(30):
        own = used[column]
        expected = kalman(covariance[column], jacobian[column][own], departures[column][own], errors[own])
        np.testing.assert_allclose(increment[column], expected[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(analysed[column], expected[1], rtol=1e-9, atol=1e-11)
        assert chi_square[column] == pytest.approx(expected[2], rel=1e-9, abs=1e-11)


def test_without_observations_the_background_stays_to_the_bit() -> None:
    covariance = covariances(4, 3, np.random.default_rng(0))
    covariance = 0.5 * (covariance + covariance.swapaxes(1, 2))
    nothing = np.zeros((4, 2), dtype=bool)
    found = analyse(covariance, np.ones((4, 2, 3)), np.full((4, 2), np.nan), np.ones(2), nothing)
    for values, expected in zip(found, (0.0, covariance, 0.0), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_a_variable_that_is_certain_is_not_changed() -> None:
    """B need not be invertible."""
    covariance = np.diag([0.04, 0.0, 0.09])[None]
    used = np.ones((1, 1), dtype=bool)
    increment, _, _ = analyse(covariance, np.ones((1, 1, 3)), np.ones((1, 1)), np.array([0.1]), used)
    assert increment[0, 1] == pytest.approx(0.0, abs=1e-14)
    assert increment[0, 2] == pytest.approx(0.09 / (0.04 + 0.09 + 0.01))


def test_an_observation_without_error_is_refused_by_name() -> None:
    errors = Errors(observation={"t2m": 0.0}, emulator={"t2m": 0.0})
    with pytest.raises(InputError, match="observation error of 't2m': found 0, expected more than 0"):
        errors.of_observations(["ssm", "t2m"])


@pytest.mark.parametrize("believed", [1.0, 2.0, 0.7])
def test_chi_square_is_one_where_the_errors_are_right_and_only_there(believed: float) -> None:
    """Its mean is the trace of the departures' covariance times the inverse of the believed one."""
    random = np.random.default_rng(1)
    n_columns, jacobian = 20_000, np.array([[1.0, 0.2, 0.1], [0.5, 0.5, 0.0], [0.0, 0.3, 0.6]])
    covariance = np.diag([0.5, 0.3, 0.2])
    truth = random.multivariate_normal(np.zeros(3), covariance, n_columns)
    departures = truth @ jacobian.T + 0.8 * random.normal(size=(n_columns, 3))
    _, _, chi_square = analyse(
        np.tile(covariance, (n_columns, 1, 1)),
        np.tile(jacobian, (n_columns, 1, 1)),
        departures,
        np.full(3, 0.8 * believed),
        np.ones((n_columns, 3), dtype=bool),
    )
    in_observations = jacobian @ covariance @ jacobian.T
    real, taken = (in_observations + 0.64 * share**2 * np.eye(3) for share in (1.0, believed))
    expected = np.trace(np.linalg.solve(taken, real)) / 3.0
    assert chi_square.mean() / 3.0 == pytest.approx(expected, rel=0.02)
    assert (abs(expected - 1.0) < 1e-12) == (believed == 1.0)


def schedule_of(steps: tuple[int, ...]) -> Schedule:
    operators = (ScreenTemperature(MODEL), ScreenHumidity(MODEL), SurfaceSoilMoisture(MODEL))
    return Schedule(tuple(Observation(step, operator) for step in steps for operator in operators))


@pytest.mark.parametrize("names", [("swvl1", "swvl2", "swvl3"), ("swvl3", "stl1")])
def test_all_ways_give_one_jacobian(names: tuple[str, ...]) -> None:
    land, control = make_land(6, 4), make_control(MODEL, names)
    emulator, schedule = LinearLand(MODEL, 6), schedule_of((1, 3, 4))
    trajectory = run_window(emulator, land.static, land.forcing, land.state)
    found = {name: way(emulator, land.static, trajectory, schedule, control) for name, way in MODES.items()}
    by_hand = np.linalg.matrix_power(STEP, 4)[np.ix_(control.positions, control.positions)]
    for result in found.values():
        np.testing.assert_allclose(result.end, np.tile(by_hand, (6, 1, 1)), rtol=1e-9, atol=1e-12)
    t2m = SEEN[0] @ np.linalg.matrix_power(STEP, 3)[:, list(control.positions)]
    np.testing.assert_allclose(found["adjoint"].observations[:, 3], np.tile(t2m, (6, 1)), rtol=1e-9)
    np.testing.assert_allclose(
        found["adjoint"].observations, found["tangent-linear"].observations, rtol=1e-9, atol=1e-12
    )
    # Relative humidity is curved: a finite perturbation sees that.
    np.testing.assert_allclose(
        found["finite-differences"].observations, found["tangent-linear"].observations, rtol=0.05, atol=1e-9
    )


def real_case(steps: int = 2):
    """The model that ships on a few columns, in double precision, without compilation."""
    model = ailand_gt4py.read_model()
    random = np.random.default_rng(3)

    def ordinary(variables) -> np.ndarray:
        low = np.array([variable.training_minimum for variable in variables])
        high = np.array([variable.training_maximum for variable in variables])
        return low + (0.45 + 0.1 * random.random((5, len(variables)))) * (high - low)

    static, state = ordinary(model.static), ordinary(model.state)
    forcing = np.stack([ordinary(model.forcing) for _ in range(steps)])
    emulator = ailand_gt4py.Emulator(model, 5, "embedded", "float64")
    operators = (ScreenTemperature(model), ScreenHumidity(model), SurfaceSoilMoisture(model))
    schedule = Schedule(tuple(Observation(step, operator) for step in (1, steps) for operator in operators))
    return emulator, static, run_window(emulator, static, forcing, state), schedule, make_control(model)


def test_tangent_linear_of_the_shipped_model_is_the_limit_of_finite_differences() -> None:
    case = real_case()
    exact = by_tangent_linear(*case)
    assert np.abs(exact.observations).max() > 0.1
    sizes = dict.fromkeys(case[-1].names, 1e-6)
    close = by_finite_differences(*case, sizes)
    np.testing.assert_allclose(close.observations, exact.observations, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(close.end, exact.end, rtol=1e-4, atol=1e-5)


def test_adjoint_of_the_shipped_model_gives_the_tangent_linears_jacobian() -> None:
    case = real_case()
    exact, found = by_tangent_linear(*case), MODES["adjoint"](*case)
    np.testing.assert_allclose(found.observations, exact.observations, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.end, exact.end, rtol=1e-9, atol=1e-12)


def make_filter(land, errors: Errors, covariance: np.ndarray, jacobian: str = "tangent-linear", limits: Limits = FREE):
    bounds = Bounds(MODEL, land.static, CONTROL, limits)
    return SimplifiedExtendedKalmanFilter(
        LinearLand(MODEL, len(land.state)), land.static, land.state,
        Setup(CONTROL, errors, Screening(largest_departure=np.inf), bounds), covariance, jacobian,
    )  # fmt: skip


@pytest.mark.parametrize("covariance", ["cycled", "constant"])
@pytest.mark.parametrize("jacobian", ["tangent-linear", "adjoint"])
def test_cycling_is_kalmans_filter(jacobian: str, covariance: str) -> None:
    """Temperature and soil moisture are linear in the state: the filter written out for one column, four windows."""
    n_columns, n_windows, n_steps = 3, 4, 4
    land = make_land(n_columns, n_windows * n_steps)
    operators = (ScreenTemperature(MODEL), SurfaceSoilMoisture(MODEL))
    schedule = Schedule(tuple(Observation(step, operator) for step in (1, 4) for operator in operators))
    errors = Errors(emulator=dict.fromkeys(("t2m", "rh2m", "ssm"), 0.0), covariance=covariance)
    first = np.tile(0.0025 * np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 1.0]]), (n_columns, 1, 1))
    run = make_filter(land, errors, first, jacobian)
    observations = np.random.default_rng(7).normal(size=(n_windows, n_columns, 4)) * [1.0, 0.05, 1.0, 0.05]
    observations += equivalents(run_window(LinearLand(MODEL, 3), land.static, land.forcing[:4], land.state), schedule)
    results = [
        run.run(land.forcing[number * n_steps : (number + 1) * n_steps], schedule, observations[number])
        for number in range(n_windows)
    ]
    believed = errors.of_observations(["t2m", "ssm", "t2m", "ssm"])
    reads = {1: np.vstack([SEEN[0], np.eye(5)[0]]) @ STEP, 4: np.vstack([SEEN[0], np.eye(5)[0]])}
    reads[4] = reads[4] @ np.linalg.matrix_power(STEP, 4)
    jacobian_by_hand = np.vstack([reads[1], reads[4]])[:, :3]
    through = np.linalg.matrix_power(STEP, 4)[:3, :3]
    emulator = LinearLand(MODEL, 1)
    for column in range(n_columns):
        state, matrix = land.state[[column]].copy(), first[column]
        if covariance == "constant":
            matrix = np.eye(3) * 1e-4
        for number, result in enumerate(results):
            rain = land.forcing[number * n_steps : (number + 1) * n_steps, [column]]
            seen = equivalents(run_window(emulator, land.static, rain, state), schedule)[0]
            increment, analysed, chi = kalman(matrix, jacobian_by_hand, observations[number][column] - seen, believed)
            np.testing.assert_allclose(result.increment[column], increment, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(result.background_spread[column], np.sqrt(np.diag(matrix)), rtol=1e-8)
            np.testing.assert_allclose(result.analysis_spread[column], np.sqrt(np.diag(analysed)), rtol=1e-8)
            assert result.chi_square[column] == pytest.approx(chi, rel=1e-8)
            state[:, :3] += increment
            state = run_window(emulator, land.static, rain, state).states[-1]
            np.testing.assert_allclose(result.analysis.states[-1, column], state[0], rtol=1e-10)
            if covariance == "cycled":
                model_error = np.diag([errors.model[name] ** 2 for name in CONTROL.names])
                matrix = through @ analysed @ through.T + model_error


def test_increments_that_are_made_are_the_limited_ones() -> None:
    land = make_land(3, 4)
    schedule = Schedule((Observation(1, SurfaceSoilMoisture(MODEL)),))
    covariance = np.tile(0.01 * np.eye(3), (3, 1, 1))
    run = make_filter(land, Errors(), covariance, limits=Limits(largest_increment=0.02))
    result = run.run(land.forcing, schedule, np.full((3, 1), 0.6))
    np.testing.assert_allclose(result.increment[:, 0], 0.02)
    np.testing.assert_allclose(
        result.analysis.states[0] - result.background.states[0], np.pad(result.increment, ((0, 0), (0, 2)))
    )


def test_covariance_of_a_forecast_adds_the_models_error() -> None:
    covariance, end = covariances(4, 3, np.random.default_rng(2)), np.random.default_rng(3).normal(size=(4, 3, 3))
    found = forecast_covariance(covariance, end, np.diag([0.1, 0.2, 0.3]))
    for column in range(4):
        expected = end[column] @ covariance[column] @ end[column].T + np.diag([0.1, 0.2, 0.3])
        np.testing.assert_allclose(found[column], expected, rtol=1e-12)


def test_the_root_zone_is_weighted_by_thickness() -> None:
    assert root_zone(np.array([0.1, 0.2, 0.3])) == pytest.approx((7 * 0.1 + 21 * 0.2 + 72 * 0.3) / 100)
