"""Parameters of a linear network are found exactly; gradients and information are those of finite differences."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from linear_models import linear_model, linear_period
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.calibration import report as parameter_report
from ailand_gt4py.calibration.case import Case, make_case, observe
from ailand_gt4py.calibration.estimation import Estimate, by_gauss_newton, by_lbfgs
from ailand_gt4py.calibration.misfit import Background, Misfit, Observations
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.observations.operators import ObservationOperator, model_variables
from ailand_gt4py.weights.model import Model
from helpers import small_model

PARAMETERS = ("clim_theta_cap", "clim_theta_pwp")


def emulator_for(model, period) -> Emulator:
    return Emulator(model, period.n_columns, "embedded", "float64")


def twin(factor: float = 0.8, n_columns: int = 3, **options: object) -> Case:
    """Of a linear network, observed in its states and one diagnostic, without noise."""
    model = linear_model()
    period = linear_period(model, n_steps=4, n_columns=n_columns)
    guess = factor * period.static[:, :2]
    given = {"search": 0.5, "background": None, "twin_noise": 0.0, "seed": 0} | options
    observed = {"stl1": 0.1, "slhf": 0.2, "swvl1": 0.3}
    emulator = emulator_for(model, period)
    observations = observe(emulator, period, observed, noise=given["twin_noise"], seed=given["seed"])
    return make_case(emulator, period, PARAMETERS, observations, guess, given["search"], given["background"])


def results(model: Model, *positions: int) -> ObservationOperator:
    """The operator of some states and diagnostics."""
    return model_variables(model, [(*model.state, *model.diagnostics)[position].name for position in positions])


def random_misfit(architecture: str, with_background: bool) -> tuple[Misfit, np.ndarray]:
    """Of a random network over a few steps, with gaps in the observations, and a position to differentiate at."""
    model = random_model(architecture, (4, 3, 3, 2), seed=5, width=12, depth=2)
    random = np.random.default_rng(9)
    n_steps, n_columns = 4, 6
    period = Period(
        paths=Path("random.nc"),
        x=np.arange(n_columns),
        latitude=np.zeros(n_columns),
        longitude=np.zeros(n_columns),
        times=np.datetime64("2021-01-01", "ns") + np.arange(n_steps) * np.timedelta64(6, "h"),
        step=np.timedelta64(6, "h").astype("timedelta64[ns]"),
        static=random.normal(size=(n_columns, 4)),
        forcing=random.normal(size=(n_steps, n_columns, 3)),
        initial_state=random.normal(size=(n_columns, 3)),
        history=(),
    )
    values = random.normal(size=(n_steps, n_columns, 3))
    values[1, :, 0] = values[3, 2:4] = np.nan
    # Positions 1 and 2 are states, 3 is the first diagnostic.
    observations = Observations(results(model, 1, 2, 3), values, np.array([0.5, 0.8, 0.3]))
    at = period.static[:, [2, 0]] + 0.1
    background = Background(at + 0.3, np.full_like(at, 0.7)) if with_background else None
    return Misfit(Emulator(model, n_columns, "embedded", "float64"), period, (2, 0), observations, background), at


@pytest.mark.parametrize(("architecture", "with_background"), [(name, name == "simple") for name in ARCHITECTURES])
def test_gradient_is_that_of_finite_differences(architecture: str, with_background: bool) -> None:
    misfit, at = random_misfit(architecture, with_background)
    value, gradient = misfit.gradient(at)
    np.testing.assert_allclose(value, misfit.value(at), rtol=1e-13)
    other_value, other_gradient, _ = misfit.curvature(at)
    np.testing.assert_allclose(other_value, value, rtol=1e-13)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-9, atol=1e-12)
    size = 1e-6
    for k in range(at.shape[1]):
        move = np.zeros_like(at)
        move[:, k] = size
        difference = (misfit.value(at + move) - misfit.value(at - move)) / (2.0 * size)
        np.testing.assert_allclose(gradient[:, k], difference, rtol=1e-6, atol=1e-7)


def test_information_is_that_of_finite_differences() -> None:
    misfit, at = random_misfit("layer_norm", True)
    _, _, information = misfit.curvature(at)
    size, known = 1e-6, np.isfinite(misfit.observations.values)
    slopes = []
    for k in range(at.shape[1]):
        move = np.zeros_like(at)
        move[:, k] = size
        slope = (misfit.run(at + move) - misfit.run(at - move)) / (2.0 * size)
        slopes.append(np.where(known, slope / misfit.observations.errors, 0.0))
    expected = np.einsum("jtco,ktco->cjk", slopes, slopes)
    np.testing.assert_allclose(information, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("search", [by_gauss_newton, by_lbfgs])
def test_parameters_of_a_linear_network_are_found_exactly(search) -> None:
    case = twin()
    found = search(case)
    np.testing.assert_allclose(found.values, case.file_values, rtol=1e-4 if search is by_lbfgs else 1e-9)
    assert found.converged.all()
    assert (found.misfit < 1e-6 * found.first_misfit).all()


def test_gauss_newton_needs_few_iterations_where_all_is_linear() -> None:
    said: list[tuple[int, str]] = []
    found = by_gauss_newton(twin(), 1, lambda *now: said.append(now))
    part = found.misfit.sum() / found.first_misfit.sum()
    assert part < 1e-4
    assert said == [(1, f"misfit {part:.3g} of the first guess's, 0 of 3 columns converged")]


def test_estimate_scatters_as_the_information_says() -> None:
    """Noise in the observations: errors of the estimates over their standard deviations have a variance of one."""
    case = twin(n_columns=400, twin_noise=1.0, seed=4)
    found = by_gauss_newton(dataclasses.replace(case, lower=case.lower - 1e3, upper=case.upper + 1e3), 5)
    known = parameter_report.quality(case, found, 0.02)
    scores = (found.values - case.file_values) / known.deviations
    # The standard deviation of 400 numbers has an error of 3.5 %.
    np.testing.assert_allclose(scores.std(axis=0), 1.0, atol=0.15)
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=0.2)


def test_background_holds_the_estimate_with_its_weight() -> None:
    """Of a linear network, the minimum is that of the normal equations."""
    case = twin(background=0.1, search=0.9)
    assert case.misfit.background is not None
    found = by_gauss_newton(case)
    inverse = np.zeros_like(found.information)
    own = np.arange(2)
    inverse[:, own, own] = case.misfit.background.errors**-2.0
    expected = np.linalg.solve(
        found.information + inverse,
        np.einsum("cjk,ck->cj", found.information, case.file_values)[:, :, None]
        + np.einsum("cjk,ck->cj", inverse, case.first_guess)[:, :, None],
    )[:, :, 0]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert (np.abs(found.values - case.file_values) > 1e-4).any()


@pytest.mark.parametrize("search", [by_gauss_newton, by_lbfgs])
def test_search_stays_within_its_bounds_and_says_where_it_is_held(search) -> None:
    case = twin(search=0.1)
    found = search(case)
    assert (found.values <= case.upper * (1.0 + 1e-12)).all()
    assert (found.values >= case.lower * (1.0 - 1e-12)).all()
    assert parameter_report.quality(case, found, 0.02).at_bound.any()
    assert (found.misfit < found.first_misfit).all()


def test_parameter_without_effect_is_not_determined_and_does_not_move() -> None:
    """The third static input is cut off from the network: the observations say nothing of it."""
    model = linear_model()
    for block in ("prognostic", "diagnostic"):
        model.parameters[f"{block}.0.weight"][:, 2] = 0.0
        model.parameters[f"{block}.0.bias"][:] = -1000.0 * model.parameters[f"{block}.0.weight"].sum(axis=1)
    period = linear_period(model, n_steps=4)
    names = ("clim_theta_cap", "clim_veg_rsminl")
    guess = 0.8 * period.static[:, [0, 2]]
    emulator = emulator_for(model, period)
    case = make_case(
        emulator, period, names, observe(emulator, period, {"swvl1": 0.1, "stl1": 0.1}, noise=0.0), guess, 0.5
    )
    found = by_gauss_newton(case)
    known = parameter_report.quality(case, found, 0.02)
    assert np.isinf(known.deviations[:, 1]).all()
    assert not known.determined[:, 1].any()
    assert np.isfinite(known.deviations[:, 0]).all()
    np.testing.assert_allclose(found.values[:, 0], case.file_values[:, 0], rtol=1e-9)
    np.testing.assert_array_equal(found.values[:, 1], guess[:, 1])
    text = parameter_report.table(case, found, known, 0.02)
    assert "clim_veg_rsminl" in text
    assert "inf" in text


def test_parameter_of_vegetation_that_is_not_there_is_not_sought() -> None:
    """A network answers to the resistance of trees where there are none: that is no information."""
    model = small_model()
    names = [variable.name for variable in model.static]
    cover, resistance = names.index("clim_cvh"), names.index("clim_veg_rsminh")
    random = np.random.default_rng(3)

    def values(group: str) -> np.ndarray:
        means = [variable.normalisation for variable in getattr(model, group)]
        rows = [
            np.exp(one.mean) * np.ones(4) if one.is_logarithmic else one.mean + 0.3 * one.std * random.normal(size=4)
            for one in means
        ]
        return np.stack(rows, axis=1)

    period = dataclasses.replace(
        linear_period(linear_model(), n_steps=2, n_columns=4),
        static=np.abs(values("static")),
        forcing=np.stack([values("forcing"), values("forcing")]),
        initial_state=values("state"),
    )
    period.static[1:3, cover] = 0.0
    guess = 0.9 * period.static[:, [resistance]]
    emulator = emulator_for(model, period)
    observations = observe(emulator, period, {"skt": 0.1, "slhf": 0.1}, noise=0.0)
    case = make_case(emulator, period, ("clim_veg_rsminh",), observations, guess, 0.5)
    found = by_gauss_newton(case, 3)
    known = parameter_report.quality(case, found, 1e9)
    assert known.determined[:, 0].tolist() == [True, False, False, True]
    assert (found.values == guess)[:, 0].tolist() == [False, True, True, False]
    assert (case.misfit.gradient(guess)[1] != 0.0)[:, 0].tolist() == [True, False, False, True]


def test_deviations_are_those_of_the_inverse() -> None:
    random = np.random.default_rng(2)
    factor = random.normal(size=(5, 3, 3))
    information = factor @ np.swapaxes(factor, 1, 2)
    scale = np.array([[1.0, 100.0, 0.01]]).repeat(5, axis=0)
    expected = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))
    np.testing.assert_allclose(parameter_report.deviations(information, scale), expected, rtol=1e-8)
    # Two parameters that have the same effect cannot be told apart; the third one can be.
    same = np.array([[[4.0, 4.0, 0.0], [4.0, 4.0, 0.0], [0.0, 0.0, 9.0]]])
    found = parameter_report.deviations(same, np.ones((1, 3)))
    assert np.isinf(found[0, :2]).all()
    assert found[0, 2] == pytest.approx(1.0 / 3.0)


def test_estimates_out_of_the_training_range_are_flagged() -> None:
    case = twin()
    values = case.file_values.copy()
    values[1, 0], values[2, 1] = 121.0, -121.0
    nothing = np.zeros(3)
    estimate = Estimate(values, nothing, nothing, np.tile(np.eye(2), (3, 1, 1)), nothing > 0, 1)
    outside = parameter_report.quality(case, estimate, 0.02).outside
    assert outside.tolist() == [[False, False], [True, False], [False, True]]
