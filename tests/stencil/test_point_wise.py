"""The point-wise network: the step against a reference in NumPy, missing values, earlier states, derivatives."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from point_wise_models import (
    ACTIVATIONS,
    PROCESSINGS,
    point_wise_model,
    reference_step,
    some_inputs,
    with_missing,
)
from random_models import random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.derivatives.calls import groups_of
from ailand_gt4py.emulator.derivatives.jacobian import block_of
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.stages import merged_kinds, stage_numbers
from ailand_gt4py.weights.model import Model, previous_name
from ailand_gt4py.weights.processing import Bounding, PointWise, Step

N_COLUMNS = 40
NAMES = list(PROCESSINGS)
#: On results of either group, one after another on the same, and a fraction of a total of each group.
BOUNDINGS = (
    Bounding("clip", ("state_0", "diagnostic_1"), (-0.2, -0.3), (0.4, np.inf)),
    Bounding("clip", ("state_0",), (-np.inf,), (0.1,)),
    Bounding("clip", ("state_1", "diagnostic_2"), (-0.2, 0.0), (0.1, np.inf), slope=0.01),
    Bounding("fraction", ("diagnostic_0", "state_2"), (0.0, 0.0), (1.0, 1.0), total="diagnostic_1"),
    Bounding("fraction", ("diagnostic_2",), (-1.0,), (1.0,), slope=0.01, total="state_1"),
)
TOLERANCES = {"float32": 3e-6, "float64": 1e-13}
BACKENDS = ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)]


def agree(found: tuple, expected: tuple, tolerance: float) -> None:
    """Missing values alike, and others within a tolerance of what is of order one."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def turned(turn: int) -> list[str]:
    """Names of processings of which the first state variable, after four static ones and three of forcing, has one."""
    first = (turn - 7) % len(NAMES)
    return NAMES[first:] + NAMES[:first]


@functools.cache
def model_of(turn: int, n_times: int = 2) -> Model:
    """With all processings, those of the state from one on: all occur in the state of some model."""
    return point_wise_model(n_times=n_times, seed=turn, processings=turned(turn), boundings=BOUNDINGS)


@functools.cache
def emulator_of(turn: int, backend: str, precision: str) -> Emulator:
    return Emulator(model_of(turn), N_COLUMNS, backend, precision)


def inputs_of(model: Model, precision: str = "float64") -> list[np.ndarray]:
    return with_missing(model, some_inputs(model, N_COLUMNS, precision))


# --- the step ---


@settings(max_examples=20, deadline=None)
@given(
    turn=st.integers(0, len(NAMES) - 1),
    channels=st.integers(2, 9),
    depth=st.integers(1, 4),
    ratio=st.sampled_from([1.0, 1.4, 2.0, 3.5, 8.0]),
    n_times=st.integers(1, 3),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    latent_skip=st.booleans(),
    epsilon=st.sampled_from([1e-5, 1e-3]),
    boundings=st.permutations(BOUNDINGS).flatmap(lambda all_: st.integers(0, len(all_)).map(lambda n: tuple(all_[:n]))),
    precision=st.sampled_from(["float32", "float64"]),
)
def test_any_network_is_its_reference(
    turn, channels, depth, ratio, n_times, activation, latent_skip, epsilon, boundings, precision
) -> None:
    network = PointWise(activation, ACTIVATIONS[activation][0], latent_skip, epsilon)
    model = point_wise_model(
        n_times=n_times, seed=turn, channels=channels, depth=depth, ratio=ratio, network=network,
        processings=turned(turn), boundings=boundings,
    )  # fmt: skip
    inputs = inputs_of(model, precision)
    found = Emulator(model, N_COLUMNS, "embedded", precision).step(*inputs)
    # Narrow layers may have a variance near 0, and thus amplify rounding.
    agree(found, reference_step(model, *inputs), 30.0 * TOLERANCES[precision] / np.sqrt(epsilon / 1e-3))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("turn", range(0, len(NAMES), 3))
def test_every_processing_in_the_state(turn: int, precision: str) -> None:
    model = model_of(turn)
    inputs = inputs_of(model, precision)
    agree(emulator_of(turn, "embedded", precision).step(*inputs), reference_step(model, *inputs), TOLERANCES[precision])


def test_boundings_act_and_their_order_matters() -> None:
    """Else the tests above would not see them."""
    model = model_of(0)
    inputs = inputs_of(model)
    for k in range(len(BOUNDINGS)):
        less = dataclasses.replace(model, boundings=BOUNDINGS[:k] + BOUNDINGS[k + 1 :])
        results = zip(reference_step(less, *inputs), reference_step(model, *inputs), strict=True)
        assert any((one != other).mean() > 0.005 for one, other in results), BOUNDINGS[k]
    turned = dataclasses.replace(model, boundings=BOUNDINGS[::-1])
    assert (reference_step(turned, *inputs)[1] != reference_step(model, *inputs)[1]).mean() > 0.1


# --- what is kept of the state ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_earlier_state_is_what_the_newer_one_was(backend: str) -> None:
    """To the last bit, and missing where that was."""
    emulator = emulator_of(2, backend, "float32")
    static, forcing, state = inputs_of(emulator.model, "float32")
    n_new = emulator.model.n_prognostic
    state[5, 1] = np.nan
    state[6, n_new + 1] = np.nan
    new_state, _ = emulator.step(static, forcing, state)
    np.testing.assert_array_equal(new_state[:, n_new:], state[:, :n_new])
    assert 0 < np.isnan(new_state[:, n_new:]).sum() < 0.9 * new_state[:, n_new:].size


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_what_is_imputed_is_missing_again_where_the_oldest_is(n_times: int) -> None:
    model = point_wise_model(n_times=n_times, processings=("imputed", "affine"))
    static, forcing, state = inputs_of(model)
    imputed = [k for k, one in enumerate(model.state[: model.n_prognostic]) if one.processing[0].kind == "impute"]
    assert 0 < len(imputed) < model.n_prognostic
    new_state, diagnostics = Emulator(model, N_COLUMNS, "embedded", "float64").step(static, forcing, state)
    oldest = len(state[0]) - model.n_prognostic
    for k in range(model.n_prognostic):
        expected = np.isnan(state[:, oldest + k]) if k in imputed else np.zeros(N_COLUMNS, bool)
        np.testing.assert_array_equal(np.isnan(new_state[:, k]), expected)
    assert np.isfinite(diagnostics).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_value_that_is_not_imputed_stays_in_its_column(backend: str) -> None:
    emulator = emulator_of(2, backend, "float32")
    inputs = some_inputs(emulator.model, N_COLUMNS, "float32")
    n_new = emulator.model.n_prognostic
    clean = [result.copy() for result in emulator.step(*inputs)]
    not_imputed = next(
        k for k, one in enumerate(emulator.model.forcing) if all(step.kind != "impute" for step in one.processing)
    )
    inputs[1][3, not_imputed] = np.nan
    new_state, diagnostics = emulator.step(*inputs)
    assert np.isnan(new_state[3, :n_new]).all()
    assert np.isnan(diagnostics[3]).all()
    assert np.isfinite(new_state[3, n_new:]).all()
    for found, expected in zip((new_state, diagnostics), clean, strict=True):
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(expected, 3, axis=0))


@pytest.mark.parametrize(
    ("n_diagnostics", "backend"),
    [(0, "embedded"), (1, "embedded"), pytest.param(0, "dace_cpu", marks=pytest.mark.slow)],
)
def test_few_diagnostics_or_none(n_diagnostics: int, backend: str) -> None:
    of_diagnostic = Bounding("fraction", ("diagnostic_0",), (0.0,), (1.0,), total="state_0")
    of_state = Bounding("fraction", ("state_1",), (0.0,), (1.0,), total="diagnostic_0")
    model = point_wise_model(
        (4, 3, 3, n_diagnostics),
        n_times=2,
        depth=1,
        processings=NAMES[:3],
        boundings=(of_diagnostic, of_state)[: 2 * n_diagnostics],
    )
    inputs = inputs_of(model)
    emulator = Emulator(model, N_COLUMNS, backend, "float64")
    results = emulator.step(*inputs)
    agree(results, reference_step(model, *inputs), 1e-13)
    changes, given = changes_of(inputs, 1), changes_of(results, 2)
    tangents, adjoints = emulator.tangent_linear(*inputs, *changes), emulator.adjoint(*inputs, *given)
    forward, back = (
        sum((one * other).sum(axis=1) for one, other in zip(left, right, strict=True))
        for left, right in ((tangents, given), (adjoints, changes))
    )
    np.testing.assert_allclose(forward, back, rtol=1e-11, atol=1e-11)


def test_a_rollout_goes_on_with_earlier_states() -> None:
    model = model_of(4, n_times=3)
    static, forcing, state = some_inputs(model, N_COLUMNS)
    emulator = Emulator(model, N_COLUMNS, "embedded", "float64")
    expected = state
    for _ in range(4):
        state, diagnostics = emulator.step(static, forcing, state)
        expected, expected_diagnostics = reference_step(model, static, forcing, expected)
        agree((state, diagnostics), (expected, expected_diagnostics), 1e-11)


# --- derivatives ---


def differences(model: Model, inputs: list[np.ndarray], changes: list[np.ndarray], step: float) -> np.ndarray:
    """Central differences of fourth order of all results in one direction; 0 for what is missing."""

    def results(factor: float) -> np.ndarray:
        moved = [one + factor * step * change for one, change in zip(inputs, changes, strict=True)]
        return np.concatenate(reference_step(model, *moved), axis=1)

    difference = 8.0 * (results(1.0) - results(-1.0)) - (results(2.0) - results(-2.0))
    return np.nan_to_num(difference / (12.0 * step))


def changes_of(arrays: tuple | list, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=array.shape).astype(array.dtype) for array in arrays]


@pytest.mark.parametrize("turn", range(0, len(NAMES), 3))
def test_tangents_are_differences(turn: int) -> None:
    model = model_of(turn)
    inputs = inputs_of(model)
    changes = changes_of(inputs, 1)
    found = np.concatenate(emulator_of(turn, "embedded", "float64").tangent_linear(*inputs, *changes), axis=1)
    coarse, fine = (differences(model, inputs, changes, step) for step in (1e-3, 5e-4))
    # Elsewhere there is a kink between.
    smooth = np.abs(fine - coarse) < 1e-7
    assert smooth.mean() > 0.9
    np.testing.assert_allclose(found[smooth], fine[smooth], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("turn", "backend"), [(2, "embedded"), (5, "embedded"), pytest.param(2, "dace_cpu", marks=pytest.mark.slow)]
)
def test_all_derivatives_are_one(turn: int, backend: str) -> None:
    """Adjoint and Jacobians in either mode are those of the tangent-linear; finite whatever is missing."""
    model = model_of(turn)
    if backend == "dace_cpu":  # as much of each kind as code is made for; the rest takes the compiler a minute more
        model = point_wise_model(
            n_times=2, seed=turn, depth=1, processings=turned(turn), boundings=(BOUNDINGS[2], BOUNDINGS[3])
        )
    emulator, inputs = Emulator(model, N_COLUMNS, backend, "float64"), inputs_of(model)
    assert np.isnan(reference_step(model, *inputs)[0]).any()
    changes = changes_of(inputs, 1)
    tangents = emulator.tangent_linear(*inputs, *changes)
    given = changes_of(tangents, 2)
    adjoints = emulator.adjoint(*inputs, *given)
    products = [
        sum((one * other).sum(axis=1) for one, other in zip(left, right, strict=True))
        for left, right in ((tangents, given), (adjoints, changes))
    ]
    np.testing.assert_allclose(*products, rtol=1e-11, atol=1e-11)
    block = block_of(model)
    assert set(groups_of(model, block)) == {"new_state", "diagnostics"}
    shape = (N_COLUMNS, len(block.outputs), len(block.inputs))
    # Compiled, code of either mode is much of a minute's work; that of the other is made of the same parts.
    for mode in ("forward", "reverse") if backend == "embedded" else ("reverse",):
        jacobian = np.full(shape, np.nan)
        emulator._derivatives.jacobian(block, mode)(inputs, jacobian)
        product = np.einsum("coi,ci->co", jacobian, np.concatenate(changes, axis=1))
        np.testing.assert_allclose(product, np.concatenate(tangents, axis=1), rtol=1e-11, atol=1e-11)
        missing = np.concatenate([np.isnan(one) for one in inputs], axis=1)
        assert (jacobian.transpose(0, 2, 1)[missing] == 0.0).all()


def test_a_root_at_zero_makes_no_derivative_infinite() -> None:
    model = model_of(NAMES.index("sqrt"))
    assert [one.processing[-2].kind for one in model.state[:3]] == ["sqrt", "power", "power"]
    inputs = some_inputs(model, N_COLUMNS)
    inputs[2][:5] = 0.0
    emulator = Emulator(model, N_COLUMNS, "embedded", "float64")
    tangents = emulator.tangent_linear(*inputs, *changes_of(inputs, 1))
    adjoints = emulator.adjoint(*inputs, *changes_of(tangents, 2))
    assert all(np.isfinite(one).all() for one in (*tangents, *adjoints))


# --- compiled ---


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "turn"), [("float32", 2), ("float64", 5)])
def test_compiled_is_the_reference(precision: str, turn: int) -> None:
    emulator = emulator_of(turn, "dace_cpu", precision)
    inputs = inputs_of(emulator.model, precision)
    for _ in range(2):
        agree(emulator.step(*inputs), reference_step(emulator.model, *inputs), TOLERANCES[precision])


# --- what a model may be ---


def test_stages_of_all_variables_are_merged() -> None:
    model = model_of(NAMES.index("imputed"))
    kinds = merged_kinds(model.state)
    assert kinds == ("log1p", "impute", "affine", "impute")
    logarithm, first, affine, last = stage_numbers(kinds, model.state[:3])
    # imputed; normalised first, then imputed; log1p
    np.testing.assert_array_equal(first, [[0.4, np.nan, np.nan]])
    np.testing.assert_array_equal(logarithm, [[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(affine, [[0.5] * 3, [1.0 / 3.0] * 3])
    np.testing.assert_array_equal(last, [[np.nan, 0.4, np.nan]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"point_wise": None}, "architecture 'point_wise': found point_wise None, expected it for 'point_wise'"),
        ({"forcing": ()}, "architecture 'point_wise': found no forcing variable, expected some"),
        (
            {"boundings": (Bounding("clip", ("state_0_before",), (0.0,), (1.0,)),)},
            "bounding 'clip' is of 'state_0_before', expected a result of the network",
        ),
    ],
)
def test_networks_that_cannot_be_had(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(model_of(0), **changes)


def test_earlier_states_have_an_order() -> None:
    model = model_of(0)
    state = (*model.state[:3], model.state[4], model.state[3], model.state[5])
    with pytest.raises(
        InputError, match=f"'state_1_before' has the derivation .*expected '{previous_name('state_0')}'"
    ):
        dataclasses.replace(model, state=state)


def test_other_networks_have_no_processing() -> None:
    model = random_model("simple")
    forcing = (dataclasses.replace(model.forcing[0], processing=(Step("sqrt"),)), *model.forcing[1:])
    with pytest.raises(InputError, match="variable 'forcing_0' has a processing, expected none in the architecture"):
        dataclasses.replace(model, forcing=forcing)
