"""The tangent-linear in many directions of the state at once, against one direction after another."""

import numpy as np
import pytest
from captured_programs import N_COLUMNS, N_DIRECTIONS, captured_step
from derivative_cases import inputs_of, model_named
from random_models import ARCHITECTURES
from tangent_reference import tangent_linear
from test_jacobian import emulator_of, small_model
from test_networks import relative_norm
from test_tangent_linear import kinked_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.derivatives.calls import StateTangentsOneByOne
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.weights.model import Model

#: Bars of relative norms.
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}


def directions_of(model: Model, n_columns: int, n_directions: int, precision: str = "float64") -> np.ndarray:
    """Random, in units of the state's own spread."""
    scales = np.array([variable.normalisation.scale for variable in model.state])
    shape = (n_columns, n_directions, len(model.state))
    return (np.random.default_rng(9).normal(size=shape) * scales).astype(precision)


def one_by_one(emulator: Emulator, inputs: list[np.ndarray], d_states: np.ndarray) -> list[np.ndarray]:
    """By the emulator's tangent-linear."""
    results = [emulator.tangent_linear(*inputs, d_state=d_states[:, k]) for k in range(d_states.shape[1])]
    return [np.stack(parts, axis=1) for parts in zip(*results, strict=True)]


def require_close(found: tuple, expected: list, tolerance: float) -> None:
    for one, wanted in zip(found, expected, strict=True):
        assert one.shape == wanted.shape
        assert one.dtype == wanted.dtype
        assert relative_norm(one, wanted) <= tolerance


@pytest.mark.parametrize("n_directions", [1, 7])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_direction_by_direction(architecture: str, n_directions: int) -> None:
    """Some columns are on bounds of their own and of others; more columns than a call has."""
    emulator = emulator_of(architecture, 30, "embedded", "float64")
    inputs = inputs_of(emulator.model, 30)
    d_states = directions_of(emulator.model, 30, n_directions)
    expected = one_by_one(emulator, inputs, d_states)
    assert any((changes == 0.0).any() for changes in expected)
    require_close(emulator.tangent_linear_of_states(*inputs, d_states), expected, 1e-12)


def test_the_jacobian_of_the_default_model() -> None:
    """It is what comes of the state variables themselves as directions."""
    model = model_named("default")
    emulator = Emulator(model, 4, "embedded", "float64")
    inputs = inputs_of(model, 4)
    found = emulator.tangent_linear_of_states(*inputs, np.tile(np.eye(len(model.state)), (4, 1, 1)))
    expected = emulator.jacobian(*inputs, None, [variable.name for variable in model.state])
    assert relative_norm(np.concatenate(found, axis=2).swapaxes(1, 2), expected) <= 1e-12


@pytest.mark.slow
def test_compiled() -> None:
    """Several numbers of directions, by one program; more columns than a call has; one with a NaN."""
    precision = "float64"
    emulator = emulator_of("layer_norm", 1500, "dace_cpu", precision)
    model = emulator.model
    inputs = inputs_of(model, 1500, precision)
    for n_directions in (3, 1, 13):
        d_states = directions_of(model, 1500, n_directions, precision)
        changes = [
            tangent_linear(model, inputs, [np.zeros_like(one) for one in inputs[:2]] + [d_states[:, k]])
            for k in range(n_directions)
        ]
        expected = [np.stack(parts, axis=1).astype(precision) for parts in zip(*changes, strict=True)]
        for _ in range(2):  # the first call goes through GT4Py, the second one does not
            clean = emulator.tangent_linear_of_states(*inputs, d_states)
            require_close(clean, expected, TOLERANCES[precision])
        # Of any memory layout.
        turned = np.asfortranarray(d_states)
        out = tuple(np.full(one.shape, np.nan, one.dtype, order="F") for one in clean)
        emulator.tangent_linear_of_states(*inputs, turned, out=out)
        for one, wanted in zip(out, clean, strict=True):
            np.testing.assert_array_equal(one, wanted)
    inputs[1][3, 1] = np.nan
    for one, before in zip(emulator.tangent_linear_of_states(*inputs, d_states), clean, strict=True):
        assert np.isnan(one[3]).all()
        np.testing.assert_array_equal(np.delete(one, 3, axis=0), np.delete(before, 3, axis=0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_as_it_is_read_and_fused(architecture: str) -> None:
    captured = captured_step(architecture, 2, what="tangent-linear of states")
    model = captured.model
    inputs = inputs_of(model, N_COLUMNS)
    d_states = directions_of(model, N_COLUMNS, N_DIRECTIONS)
    arguments = dict(zip(captured.description.caller_fields, (*inputs, d_states), strict=False))
    found = Interpreter(N_COLUMNS, captured.values | arguments).run(fuse(captured.read()))
    expected = one_by_one(Emulator(model, N_COLUMNS, "embedded", "float64"), inputs, d_states)
    for group, wanted in zip(("new_state", "diagnostics"), expected, strict=True):
        assert relative_norm(found[f"{group}_tangent"], wanted) <= 1e-12


@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_one_by_one_as_on_a_gpu(architecture: str) -> None:
    emulator = emulator_of(architecture, 12, "embedded", "float64")
    inputs = inputs_of(emulator.model, 12)
    d_states = directions_of(emulator.model, 12, 4)
    expected = one_by_one(emulator, inputs, d_states)
    found = [np.full(one.shape, np.nan) for one in expected]
    StateTangentsOneByOne(emulator._derivatives.tangent_linear)(inputs, d_states, *found)
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_kinks() -> None:
    """As of the tangent-linear: 0 of ReLU at 0, 0.01 of LeakyReLU at 0."""
    emulator = Emulator(kinked_model(), 4, "embedded", "float64")
    zeros = [np.zeros((4, 2)) for _ in range(3)]
    d_states = directions_of(emulator.model, 4, 3)
    found = emulator.tangent_linear_of_states(*zeros, d_states)
    for one, wanted in zip(found, one_by_one(emulator, zeros, d_states), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_a_missing_value_stays_in_its_column_and_direction(architecture: str) -> None:
    emulator = emulator_of(architecture, 12, "embedded", "float64")
    inputs = inputs_of(emulator.model, 12)
    d_states = directions_of(emulator.model, 12, 3)
    clean = emulator.tangent_linear_of_states(*inputs, d_states)
    inputs[1][3, 1] = np.nan
    d_states[5, 1, 0] = np.nan
    for one, before in zip(emulator.tangent_linear_of_states(*inputs, d_states), clean, strict=True):
        assert np.isnan(one[3]).all()
        assert np.isnan(one[5, 1]).any()
        one[5, 1] = before[5, 1]
        np.testing.assert_array_equal(np.delete(one, 3, axis=0), np.delete(before, 3, axis=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((6, 3), r"d_states: found the shape \(6, 3\), expected \(n_columns, n_directions, n_features\) with at least"),
        ((6, 0, 3), r"d_states: found the shape \(6, 0, 3\), expected \(n_columns, n_directions"),
        ((6, 2, 4), r"d_states: found the shape \(6, 2, 4\), expected \(6, 2, 3\)"),
        ((5, 2, 3), r"d_states: found the shape \(5, 2, 3\), expected \(6, 2, 3\)"),
    ],
)
def test_wrong_shapes_are_named(change: tuple[int, ...], message: str) -> None:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    with pytest.raises(InputError, match=message):
        emulator.tangent_linear_of_states(*inputs_of(emulator.model, 6), np.zeros(change))


def test_unusable_arrays_and_the_callers_own() -> None:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    inputs, d_states = inputs_of(emulator.model, 6), directions_of(small_model("simple"), 6, 2)
    expected = emulator.tangent_linear_of_states(*inputs, d_states)
    out = tuple(np.full(one.shape, np.nan) for one in expected)
    given = emulator.tangent_linear_of_states(emulator.prepare_static(inputs[0]), *inputs[1:], d_states, out=out)
    for one, own, wanted in zip(given, out, expected, strict=True):
        assert one is own
        np.testing.assert_array_equal(one, wanted)
    with pytest.raises(InputError, match="d_states: found the type float32, expected float64"):
        emulator.tangent_linear_of_states(*inputs, d_states.astype("float32"))
    with pytest.raises(InputError, match=r"d_diagnostics: found the shape \(6, 1, 3\), expected \(6, 2, 3\)"):
        emulator.tangent_linear_of_states(*inputs, d_states, out=(out[0], out[1][:, :1]))
    with pytest.raises(InputError, match="d_new_states: found memory shared with the input 'd_states'"):
        emulator.tangent_linear_of_states(*inputs, d_states, out=(d_states, out[1]))
