"""The adjoint of the step: the exact transpose of its tangent-linear, column by column, and at kinks."""

import dataclasses
import functools
import pathlib

import numpy as np
import pytest
from captured_programs import N_COLUMNS, captured_step
from derivative_cases import OTHERS, PUBLISHED, changes_of, dot_product_error, gradients_of, inputs_of, model_named
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import ARCHITECTURES, random_model
from tangent_reference import torch_adjoint
from test_networks import relative_norm
from test_tangent_linear import kinked_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.weights.model import Model

SIZES = (5, 4, 3, 3)
#: Bars of the dot-product test in each column.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
BACKENDS = ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)]


def small_model(architecture: str) -> Model:
    """With every kind of bound that the architecture may have."""
    bounded = architecture != "two_branch"
    return random_model(architecture, SIZES, seed=7, width=24, depth=2, bounded_by_others=bounded)


@functools.cache
def emulator_of(architecture: str, n_columns: int, backend: str, precision: str) -> Emulator:
    return Emulator(small_model(architecture), n_columns, backend, precision)


def given_to(emulator: Emulator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs and gradients; the latter of the size of the results, which embedded execution gives."""
    model, n_columns, precision = emulator.model, emulator.n_columns, emulator.precision
    inputs = inputs_of(model, n_columns, precision)
    return inputs, gradients_of(Emulator(model, n_columns, "embedded", precision).step(*inputs))


def dot_products_agree(emulator: Emulator, other: Emulator | None = None) -> None:
    """The adjoint is the transpose of the tangent-linear, or of that of another emulator of the same model."""
    inputs, gradients = given_to(emulator)
    changes = changes_of(inputs)
    forward = (other or emulator).tangent_linear(*inputs, *changes)
    backward = emulator.adjoint(*inputs, *gradients)
    assert all(array.dtype == emulator.dtype for array in backward)
    assert all(np.abs(array).max() > 0.0 for array in (*forward, *backward))
    error = dot_product_error(changes, forward, gradients, backward)
    assert error.max() <= TOLERANCES[emulator.precision], f"column {error.argmax()}"


# --- the transpose of the tangent-linear ---


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_dot_products_of_published_networks(shared: pathlib.Path, name: str, precision: str) -> None:
    dot_products_agree(Emulator(model_named(name, shared), 16, "embedded", precision))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OTHERS)
def test_dot_products_of_other_networks(name: str, precision: str) -> None:
    dot_products_agree(Emulator(model_named(name), 16, "embedded", precision))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_compiled(architecture: str) -> None:
    """Of `simple`, the tests of kinks compile the adjoint."""
    for n_columns in (1, 7, 64, 1000):
        emulators = [emulator_of(architecture, n_columns, backend, "float64") for backend in ("dace_cpu", "embedded")]
        for _ in range(2):  # the first call goes through GT4Py, the second one does not
            dot_products_agree(*emulators)
        inputs, gradients = given_to(emulators[0])
        found, exact = (np.concatenate(emulator.adjoint(*inputs, *gradients), axis=1) for emulator in emulators)
        assert relative_norm(found, exact) <= 1e-12


@pytest.mark.slow
def test_compiled_default_model() -> None:
    """Adjoint and tangent-linear both compiled."""
    dot_products_agree(Emulator(model_named("default"), 500, "dace_cpu", "float32"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_as_it_is_read_and_fused(architecture: str) -> None:
    captured = captured_step(architecture, 2, what="adjoint")
    model = captured.model
    inputs = inputs_of(model, N_COLUMNS)
    emulator = Emulator(model, N_COLUMNS, "embedded", "float64")
    gradients = gradients_of(emulator.step(*inputs))
    arguments = dict(zip(captured.description.caller_fields, (*inputs, *gradients), strict=False))
    found = Interpreter(N_COLUMNS, captured.values | arguments).run(fuse(captured.read()))
    expected = emulator.adjoint(*inputs, *gradients)
    names = ("static_adjoint", "forcing_adjoint", "state_adjoint")
    assert set(found) == set(names)
    for name, wanted in zip(names, expected, strict=True):
        assert relative_norm(found[name], wanted) <= 1e-12


# --- against other ways to the same ---


@pytest.mark.parametrize("name", [*ARCHITECTURES, "default"])
def test_against_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it serves as a second reference here")
    model = small_model(name) if name in ARCHITECTURES else model_named(name)
    inputs = inputs_of(model, 60)
    emulator = Emulator(model, 60, "embedded", "float64")
    gradients = gradients_of(emulator.step(*inputs))
    found = emulator.adjoint(*inputs, *gradients)
    for one, expected in zip(found, torch_adjoint(torch, model, inputs, gradients), strict=True):
        assert relative_norm(one, expected) <= 1e-10


def remainders(emulator: Emulator, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Magnitude of g F(x + size d) - g F(x) - size <adjoint g, d>, (sizes, columns); the rounding of g F(x)."""
    inputs = inputs_of(emulator.model, emulator.n_columns)
    base = emulator.step(*inputs)
    changes, gradients = changes_of(inputs), gradients_of(base)
    slope = sum(
        np.einsum("cf,cf->c", of, d) for of, d in zip(emulator.adjoint(*inputs, *gradients), changes, strict=True)
    )
    found = []
    for size in sizes:
        moved = emulator.step(*(a + size * d for a, d in zip(inputs, changes, strict=True)))
        rise = sum(np.einsum("cf,cf->c", g, m - b) for g, m, b in zip(gradients, moved, base, strict=True))
        found.append(np.abs(rise - size * slope))
    terms = sum(np.abs(g * b).sum(axis=1) for g, b in zip(gradients, base, strict=True))
    return np.array(found), np.finfo(np.float64).eps * terms


@pytest.mark.parametrize("architecture", ["layer_norm", "default"])
def test_taylor_remainder_falls_with_slope_two_to_the_rounding(architecture: str) -> None:
    """In the columns whose path crosses no kink and whose remainder is above the rounding, that is nearly all."""
    model = small_model(architecture) if architecture in ARCHITECTURES else model_named(architecture)
    sizes = 10.0 ** np.arange(-3.0, -9.0, -0.5)
    found, rounding = remainders(Emulator(model, 100, "embedded", "float64"), sizes)
    slopes = np.log10(found[:-1] / found[1:]) / 0.5
    clear = found[1:] > 300.0 * rounding
    few = sizes[1:] < 1e-4  # of larger changes many paths cross a kink
    assert clear[few].sum() > 100
    assert np.mean(np.abs(slopes[few][clear[few]] - 2.0) < 0.05) > 0.9
    assert np.median(found[-1] / rounding) < 30.0  # it ends at the rounding


@pytest.mark.parametrize("architecture", ["simple", "two_branch"])
def test_no_taylor_remainder_where_the_network_is_linear_between_kinks(architecture: str) -> None:
    found, rounding = remainders(Emulator(small_model(architecture), 200, "embedded", "float64"), np.array([1e-6]))
    assert np.mean(found[0] < 30.0 * rounding) > 0.98


# --- kinks, bounds and missing values ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_transpose_at_kinks(backend: str) -> None:
    """ReLU has the derivative 0 at 0, LeakyReLU 0.01, whichever way one goes."""
    model = kinked_model()
    emulator = Emulator(model, 4, backend, "float64")
    inputs = [np.zeros((4, 2)) for _ in range(3)]
    gradients = [np.random.default_rng(k).normal(size=(4, 2)) for k in range(2)]
    found = emulator.adjoint(*inputs, *gradients)
    weights = model.parameters["trunk.0.weight"].astype(np.float64)
    expected = np.outer(gradients[0][:, 0], 0.01 * (weights[1] - weights[2]))  # what hangs on the other unit is 0
    expected[:, 4:] += gradients[0]
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_gradient_comes_through_a_bound_that_is_reached_or_touched(backend: str) -> None:
    model = kinked_model()
    parameters = {name: np.zeros_like(array) for name, array in model.parameters.items()}
    bounded = tuple(dataclasses.replace(v, lower_bound=0.0, upper_bound=1.0) for v in model.state)
    model = dataclasses.replace(model, parameters=parameters, state=bounded)  # the new state is the state
    state = np.repeat(np.array([-0.5, 0.0, 5e-324, 0.25, 1.0 - 2.0**-53, 1.0, 1.5])[:, np.newaxis], 2, axis=1)
    rest = [np.zeros((7, 2)) for _ in range(2)]
    _, _, found = Emulator(model, 7, backend, "float64").adjoint(*rest, state, np.ones((7, 2)))
    np.testing.assert_array_equal(found, np.repeat(np.array([0, 0, 1, 1, 1, 0, 0.0])[:, np.newaxis], 2, axis=1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_variable_that_is_the_bound_takes_the_gradient(backend: str) -> None:
    """Below, at and above the bound that a static input is: at it, the gradient is the bound's."""
    model = kinked_model()
    parameters = {name: np.zeros_like(array) for name, array in model.parameters.items()}
    first, second = model.state
    state = (dataclasses.replace(first, bounded_by=model.static[1].name), second)
    model = dataclasses.replace(model, parameters=parameters, state=state)
    values = np.array([[0.2, 0.0], [0.5, 0.0], [0.8, 0.0]])
    static = np.full((3, 2), 0.5)
    g_static, g_forcing, g_state = Emulator(model, 3, backend, "float64").adjoint(
        static, np.zeros((3, 2)), values, np.array([[3.0, 2.0]] * 3)
    )
    np.testing.assert_array_equal(g_static, [[0.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    np.testing.assert_array_equal(g_state, [[3.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    np.testing.assert_array_equal(g_forcing, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_a_missing_value_stays_in_its_column(architecture: str, backend: str) -> None:
    emulator = emulator_of(architecture, 64, backend, "float64")
    inputs, gradients = given_to(emulator)
    clean = emulator.adjoint(*inputs, *gradients)
    inputs[1][3, 1] = np.nan
    gradients[1][40, 0] = np.nan
    for found, before in zip(emulator.adjoint(*inputs, *gradients), clean, strict=True):
        assert np.isnan(found[3]).all()
        assert np.isnan(found[40]).any()
        np.testing.assert_array_equal(np.delete(found, [3, 40], axis=0), np.delete(before, [3, 40], axis=0))


# --- what linear means ---


@settings(max_examples=20, deadline=None)
@given(
    architecture=st.sampled_from(ARCHITECTURES),
    seed=st.integers(0, 10_000),
    factors=st.tuples(st.floats(-100.0, 100.0), st.floats(-100.0, 100.0)),
)
def test_linear_in_what_it_is_given(architecture: str, seed: int, factors: tuple[float, float]) -> None:
    emulator = emulator_of(architecture, 6, "embedded", "float64")
    inputs = inputs_of(emulator.model, 6, seed=seed)
    results = emulator.step(*inputs)
    for call, one, other in (
        (emulator.tangent_linear, changes_of(inputs, seed), changes_of(inputs, seed + 1)),
        (emulator.adjoint, gradients_of(results, seed), gradients_of(results, seed + 1)),
    ):
        together = call(*inputs, *(factors[0] * a + factors[1] * b for a, b in zip(one, other, strict=True)))
        for found, of_one, of_other in zip(together, call(*inputs, *one), call(*inputs, *other), strict=True):
            terms = np.abs(factors[0] * of_one).max() + np.abs(factors[1] * of_other).max()
            wanted = factors[0] * of_one + factors[1] * of_other
            np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-12 * terms + 1e-300)
        for found in call(*inputs, *(0.0 * array for array in one)):
            np.testing.assert_array_equal(found, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_no_gradient_is_zero(architecture: str, backend: str) -> None:
    emulator = emulator_of(architecture, 64, backend, "float64")
    inputs, gradients = given_to(emulator)
    for given_ones in ([True, False], [False, True], [False, False]):
        some = [gradient if is_given else None for gradient, is_given in zip(gradients, given_ones, strict=True)]
        zeros = [gradient * is_given for gradient, is_given in zip(gradients, given_ones, strict=True)]
        for found, expected in zip(emulator.adjoint(*inputs, *some), emulator.adjoint(*inputs, *zeros), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert (np.abs(found).max() > 0.0) == any(given_ones)


# --- how it is called ---


def small() -> tuple[Emulator, list[np.ndarray], list[np.ndarray]]:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    inputs = inputs_of(emulator.model, 6)
    return emulator, inputs, gradients_of(emulator.step(*inputs))


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (2, lambda a: a[:5], r"state: found the shape \(5, 3\), expected \(6, 3\)"),
        (3, lambda a: a[:, :2], r"g_new_state: found the shape \(6, 2\), expected \(6, 3\)"),
        (4, lambda a: a.astype("float32"), "g_diagnostics: found the type float32, expected float64"),
        (4, lambda a: a.tolist(), "g_diagnostics: found list"),
    ],
)
def test_unusable_arrays_are_named(which: int, change, message: str) -> None:
    emulator, inputs, gradients = small()
    arguments = [*inputs, *gradients]
    arguments[which] = change(arguments[which])
    with pytest.raises(InputError, match=message):
        emulator.adjoint(*arguments)


def test_results_go_to_the_callers_arrays_and_inputs_stay() -> None:
    emulator, inputs, gradients = small()
    before = [array.copy() for array in (*inputs, *gradients)]
    expected = emulator.adjoint(*inputs, *gradients)
    out = tuple(np.full_like(result, np.nan, order="F") for result in expected)
    prepared = emulator.prepare_static(inputs[0])
    found = emulator.adjoint(prepared, *inputs[1:], *gradients, out=out)
    for result, array, wanted in zip(found, out, expected, strict=True):
        assert result is array
        np.testing.assert_array_equal(array, wanted)
    for array, same in zip((*inputs, *gradients), before, strict=True):
        np.testing.assert_array_equal(array, same)
    with pytest.raises(InputError, match="g_state: found memory shared with the input 'g_new_state'"):
        emulator.adjoint(*inputs, *gradients, out=(out[0], out[1], gradients[0]))
