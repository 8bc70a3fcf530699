"""Covariances through a linear network are what its response to every single source of error says, exactly."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pytest
from linear_models import linear_model, linear_period

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import Amount
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.io.period import Period
from ailand_gt4py.uncertainty import linearity
from ailand_gt4py.uncertainty import report as uncertainty_report
from ailand_gt4py.uncertainty.monte_carlo import CONDITIONS, MonteCarlo, run_members
from ailand_gt4py.uncertainty.propagation import SOURCES, Errors, ErrorSizes, propagate
from ailand_gt4py.weights.model import Model

ERRORS = Errors(
    state={"swvl1": Amount(0.3), "stl1": Amount(0.2, is_relative=True)},
    forcing={"met_tair": Amount(0.4), "met_rainf": Amount(0.3, is_relative=True)},
    parameters={"clim_theta_pwp": Amount(0.1), "clim_theta_cap": Amount(0.2, is_relative=True)},
    model={"stl1": Amount(0.05)},
    correlation_seconds=40_000.0,
)


@functools.cache
def emulator_for(n_columns: int, bound: float = -np.inf) -> Emulator:
    return Emulator(linear_model(bound=bound), n_columns, "embedded", "float64")


def embedded(model: Model) -> Callable[[int], Emulator]:
    return lambda n_columns: Emulator(model, n_columns, "embedded", "float64")


def trajectory(period: Period, noise: np.ndarray) -> np.ndarray:
    """(n_steps, n_columns, n_state + n_diagnostics); noise: (n_steps, n_columns, n_state), added after each step."""
    emulator = emulator_for(period.n_columns)
    state, rows = period.initial_state, []
    for step in range(period.n_steps):
        state, diagnostics = emulator.step(period.static, period.forcing[step], state)
        state = state + noise[step]
        rows.append(np.concatenate([state, diagnostics], axis=1))
    return np.array(rows)


def single_sources(period: Period, errors: Errors) -> list[tuple[str, Period, np.ndarray]]:
    """The period and the noise with each independent source of error alone at its standard deviation."""
    quiet = np.zeros((period.n_steps, *period.initial_state.shape))
    found = []
    for position, amount in ((0, 0.3), (1, None)):
        state = period.initial_state.copy()
        state[:, position] += 0.2 * state[:, position] if amount is None else amount
        found.append(("initial state", dataclasses.replace(period, initial_state=state), quiet))
    for position, amount in ((1, 0.1), (0, None)):
        static = period.static.copy()
        static[:, position] += 0.2 * static[:, position] if amount is None else amount
        found.append(("parameters", dataclasses.replace(period, static=static), quiet))
    phi = np.exp(-21_600.0 / errors.correlation_seconds)
    for position in (0, 1):
        # The error of the window preceding the first, then what is new in each window.
        for new in range(-1, period.n_steps):
            size = np.zeros(period.n_steps + 1)  # of window k at k + 1
            size[new + 1 :] = (1.0 if new < 0 else np.sqrt(1.0 - phi**2)) * phi ** np.arange(period.n_steps - new)
            forcing = period.forcing.copy()
            if position == 0:
                forcing[:, :, 0] += 0.4 * size[1:, None]
                forcing[:, :, 2] += 0.4 * size[:-1, None]
            else:
                forcing[:, :, 1] += 0.3 * period.forcing[:, :, 1] * size[1:, None]
            found.append(("forcing", dataclasses.replace(period, forcing=forcing), quiet))
    for step in range(period.n_steps):
        noise = quiet.copy()
        noise[step, :, 1] = 0.05
        found.append(("model error", period, noise))
    return found


def responses(period: Period, errors: Errors) -> dict[str, np.ndarray]:
    """(n, n_steps, n_columns, n_outputs) by source: how the run moves. All runs are made at once, as columns."""
    cases = [("", period, np.zeros((period.n_steps, *period.initial_state.shape))), *single_sources(period, errors)]
    many = dataclasses.replace(
        period,
        x=np.arange(len(cases) * period.n_columns),
        static=np.concatenate([one.static for _, one, _ in cases]),
        forcing=np.concatenate([one.forcing for _, one, _ in cases], axis=1),
        initial_state=np.concatenate([one.initial_state for _, one, _ in cases]),
    )
    runs = trajectory(many, np.concatenate([noise for _, _, noise in cases], axis=1))
    split = np.moveaxis(runs.reshape(period.n_steps, len(cases), period.n_columns, -1), 1, 0)
    names = np.array([name for name, _, _ in cases])
    return {name: (split - split[0])[names == name] for name in SOURCES}


@pytest.fixture(scope="module")
def case():
    model = linear_model()
    period = linear_period(model, n_steps=4)
    sizes = ErrorSizes(ERRORS, model, period)
    return model, period, sizes, propagate(emulator_for(period.n_columns), period, sizes)


def test_variances_and_covariance_are_what_the_responses_to_single_sources_say(case):
    model, period, _, found = case
    expected = responses(period, ERRORS)
    n_state = len(model.state)
    for position, source in enumerate(SOURCES):
        variance = np.square(expected[source]).sum(axis=0)
        assert variance.max() > 1e-3
        np.testing.assert_allclose(
            found.variances[position, ..., :n_state], variance[..., :n_state], rtol=1e-9, atol=1e-14
        )
        np.testing.assert_allclose(
            found.variances[position, ..., n_state:], variance[..., n_state:], rtol=1e-9, atol=1e-14
        )
    last = np.concatenate(list(expected.values()))[:, -1, :, :n_state]
    np.testing.assert_allclose(found.covariance, np.einsum("sci,scj->cij", last, last), rtol=1e-9)
    correlation = uncertainty_report.correlations(found.covariance)
    np.testing.assert_allclose(np.diagonal(correlation, axis1=1, axis2=2), 1.0)
    assert 0.01 < np.abs(correlation[:, 0, 1]).max() < 1.0


def test_run_is_the_emulators_own(case):
    _, period, _, found = case
    run = trajectory(period, np.zeros((period.n_steps, *period.initial_state.shape)))
    np.testing.assert_array_equal(found.results, run)


def test_members_have_the_same_standard_deviations_within_sampling(case):
    model, period, sizes, found = case
    n_members = 4000
    members = run_members(embedded(model), period, sizes, n_members, seed=3)
    sampling = 1.0 / np.sqrt(2.0 * (n_members - 1))
    assert np.abs(members.deviation / found.deviations - 1.0).max() < 4.5 * sampling
    run = found.results
    assert (np.abs(members.mean - run) / found.deviations).max() < 4.5 / np.sqrt(n_members)
    assert not members.conditions.any()
    again = run_members(embedded(model), period, sizes, 50, seed=3)
    same = run_members(embedded(model), period, sizes, 50, seed=3)
    np.testing.assert_array_equal(again.deviation, same.deviation)


def test_half_the_errors_are_half_the_standard_deviations(case):
    model, period, _, found = case
    half = ErrorSizes(dataclasses.replace(ERRORS, scale=0.5), model, period)
    np.testing.assert_allclose(
        propagate(emulator_for(period.n_columns), period, half).deviations, 0.5 * found.deviations, rtol=1e-9
    )


def test_bound_is_where_first_order_fails():
    """Soil water that a bound holds from below: members are spread less than to first order, and it is told."""
    model = linear_model(bound=0.3)
    period = linear_period(model)
    sizes = ErrorSizes(ERRORS, model, period)
    linear = propagate(emulator_for(period.n_columns, 0.3), period, sizes)
    members = run_members(embedded(model), period, sizes, 500)
    at_bound = members.conditions[CONDITIONS.index("bounds")]
    assert at_bound.any()
    assert not at_bound.all()
    rows = {(row.name, row.of_class): row for row in linearity.agreements(model, linear, members)}
    assert rows["swvl1", "bounds"].count == at_bound.sum()
    assert rows["swvl1", "bounds"].same < 0.5 < rows["swvl1", "none"].same


def test_classes_say_what_is_now_what_was_and_what_never():
    conditions = np.zeros((3, 4, 3), dtype=bool)
    conditions[CONDITIONS.index("freezing"), 1, 0] = True
    conditions[CONDITIONS.index("snow line"), 1, 1] = conditions[CONDITIONS.index("freezing"), 1, 1] = True
    found = MonteCarlo(10, np.zeros((4, 3, 1)), np.ones((4, 3, 1)), conditions)
    names = np.array(linearity.CLASSES)[linearity.classes(found)]
    assert names[:, 0].tolist() == ["none", "freezing", "earlier", "earlier"]
    assert names[:, 1].tolist() == ["none", "snow line", "earlier", "earlier"]
    assert names[:, 2].tolist() == ["none"] * 4


@pytest.mark.parametrize("n_members", [1, 2_000_000])
def test_members_that_cannot_be_run(case, n_members):
    model, period, sizes, _ = case
    with pytest.raises(InputError, match=f"{n_members} members of 3 columns, expected at least 2"):
        run_members(embedded(model), period, sizes, n_members)
