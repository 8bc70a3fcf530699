"""The tangent-linear of the step: the exact derivative, for every shape, precision and backend, and at kinks."""

import dataclasses
import functools
import pathlib

import numpy as np
import pytest
from captured_programs import N_COLUMNS, captured_step
from random_models import ARCHITECTURES, random_model
from tangent_reference import tangent_linear, torch_tangent_linear
from test_networks import PUBLISHED, published_model, random_inputs, relative_norm

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.calls import operator_call
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.weights.model import Model, Normalisation

SIZES = (5, 4, 3, 2)
#: Bars of relative norms to the float64 reference.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def changes_for(model: Model, n_columns: int, precision: str, seed: int = 100) -> list[np.ndarray]:
    return random_inputs(model, n_columns, precision, seed)


def two_by_depth(architecture: str) -> Model:
    """The network that the compiled tests share."""
    return random_model(architecture, SIZES, seed=7, width=24, depth=2)


@functools.cache
def emulator_of(architecture: str, n_columns: int, backend: str, precision: str) -> Emulator:
    return Emulator(two_by_depth(architecture), n_columns, backend, precision)


def agree_with_reference(emulator: Emulator, inputs: list[np.ndarray], changes: list) -> None:
    found = emulator.tangent_linear(*inputs, *changes)
    assert all(result.dtype == emulator.dtype for result in found)
    # Together: the terms of a single number may cancel.
    expected = np.concatenate(tangent_linear(emulator.model, inputs, changes), axis=1)
    assert relative_norm(np.concatenate(found, axis=1), expected) <= TOLERANCES[emulator.precision]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_width_and_depth_embedded(architecture: str, depth: int, precision: str) -> None:
    model = random_model(architecture, SIZES, seed=depth, width=11, depth=depth)
    inputs = random_inputs(model, 40, precision)
    agree_with_reference(Emulator(model, 40, "embedded", precision), inputs, changes_for(model, 40, precision))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_as_it_is_read_and_fused(architecture: str) -> None:
    """Comparisons, which no other program has, become 1 and 0; forward and tangent layers stay side by side."""
    captured = captured_step(architecture, 2, what="tangent-linear")
    model, fused = captured.model, fuse(captured.read())
    inputs, changes = random_inputs(model, N_COLUMNS, "float64"), changes_for(model, N_COLUMNS, "float64")
    arguments = dict(zip(captured.description.caller_fields, (*inputs, *changes), strict=False))
    found = Interpreter(N_COLUMNS, captured.values | arguments).run(fused)
    expected = tangent_linear(model, inputs, changes)
    for name, wanted in zip(("new_state_tangent", "diagnostics_tangent"), expected, strict=True):
        assert relative_norm(found[name], wanted) <= 1e-12
    if architecture == "simple":
        layers = [definition.result for definition in fused.definitions if definition.result.startswith("units_trunk")]
        assert layers == ["units_trunk_0", "units_trunk_0_tangent", "units_trunk_1", "units_trunk_1_tangent"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "precision"), [("simple", "float64"), ("two_branch", "float32"), ("layer_norm", "float64")]
)
def test_compiled_agrees_with_reference_and_embedded(architecture: str, precision: str) -> None:
    for n_columns in (1, 7, 64, 1000):
        emulator = emulator_of(architecture, n_columns, "dace_cpu", precision)
        inputs = random_inputs(emulator.model, n_columns, precision)
        changes = changes_for(emulator.model, n_columns, precision)
        for _ in range(2):  # the first call goes through GT4Py, the second one does not
            agree_with_reference(emulator, inputs, changes)
        embedded = emulator_of(architecture, n_columns, "embedded", precision).tangent_linear(*inputs, *changes)
        found = emulator.tangent_linear(*inputs, *changes)
        assert relative_norm(np.concatenate(found, axis=1), np.concatenate(embedded, axis=1)) <= TOLERANCES[precision]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_against_pytorch(architecture: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it serves as a second reference here")
    model = random_model(architecture, SIZES, seed=11, width=20, depth=3)
    inputs, changes = random_inputs(model, 60, "float64"), changes_for(model, 60, "float64")
    found = Emulator(model, 60, "embedded", "float64").tangent_linear(*inputs, *changes)
    for one, expected in zip(found, torch_tangent_linear(torch, model, inputs, changes), strict=True):
        assert relative_norm(one, expected) <= 1e-12


@pytest.mark.parametrize("name", PUBLISHED)
def test_jacobian_of_published_networks(shared: pathlib.Path, name: str) -> None:
    """Every input of a column changed by one, all at once: a column for each."""
    model = published_model(shared, name)
    reference = np.load(shared / "reference" / f"{name}.npz")
    expected = reference["jacobian_f64"]
    n_columns, _, n_inputs = expected.shape
    sizes = model.sizes
    if model.architecture != "layer_norm":  # the references of the prototypes hold the increment
        expected = expected.copy()
        expected[:, : sizes.state, n_inputs - sizes.state :] += np.eye(sizes.state)
    emulator = Emulator(model, n_inputs, "embedded", "float64")
    changes = np.split(np.eye(n_inputs), np.cumsum([sizes.static, sizes.forcing]), axis=1)
    for column in range(n_columns):
        given = (reference["static"], reference["forcing"][0], reference["state0"])
        inputs = [np.repeat(values[column : column + 1].astype(np.float64), n_inputs, axis=0) for values in given]
        results = np.concatenate(emulator.tangent_linear(*inputs, *changes), axis=1)
        assert relative_norm(results.T, expected[column]) <= 1e-10


def test_bounds_are_active_in_some_columns_of_these_tests() -> None:
    """Else nothing here would say that bounds have a derivative of their own."""
    model = two_by_depth("simple")
    new_state, diagnostics = emulator_of("simple", 1000, "embedded", "float64").step(
        *random_inputs(model, 1000, "float64")
    )
    for values in (new_state[:, 0], diagnostics[:, -1]):
        assert 50 < (values == -0.5).sum() < 950


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_taylor_remainder_is_of_second_order(architecture: str) -> None:
    """Between its kinks `simple` and `two_branch` are linear: there nothing remains."""
    emulator = emulator_of(architecture, 200, "embedded", "float64")
    inputs, changes = random_inputs(emulator.model, 200, "float64"), changes_for(emulator.model, 200, "float64")
    base = np.concatenate(emulator.step(*inputs), axis=1)
    slope = np.concatenate(emulator.tangent_linear(*inputs, *changes), axis=1)
    sizes = np.array([1e-3, 1e-4, 1e-5])
    remainders = []
    for size in sizes:
        moved = [values + size * change for values, change in zip(inputs, changes, strict=True)]
        difference = np.concatenate(emulator.step(*moved), axis=1) - base
        assert np.linalg.norm(difference) > 0.1 * size * np.linalg.norm(slope)
        remainders.append(np.linalg.norm(difference - size * slope, axis=1))
    # A change that crosses a kink has a remainder of first order.
    if architecture == "layer_norm":
        orders = np.diff(np.log(remainders), axis=0) / np.diff(np.log(sizes))[:, np.newaxis]
        assert (np.abs(orders - 2.0) < 0.05).mean(axis=1).min() > 0.8
    else:
        assert (remainders[-1] < 1e-13).mean() > 0.9


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_linear_in_the_changes(architecture: str, backend: str) -> None:
    emulator = emulator_of(architecture, 64, backend, "float64")
    inputs = random_inputs(emulator.model, 64, "float64")
    first, second = (changes_for(emulator.model, 64, "float64", seed) for seed in (1, 2))
    both = [2.0 * a - 3.0 * b for a, b in zip(first, second, strict=True)]
    doubled = [2.0 * a for a in first]
    of_first, of_second, of_both, of_doubled = (
        emulator.tangent_linear(*inputs, *changes) for changes in (first, second, both, doubled)
    )
    for a, b, together, twice in zip(of_first, of_second, of_both, of_doubled, strict=True):
        np.testing.assert_allclose(together, 2.0 * a - 3.0 * b, rtol=0.0, atol=1e-12 * np.abs(together).max())
        np.testing.assert_array_equal(twice, 2.0 * a)


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_change_is_zero_of_that_input(architecture: str, backend: str) -> None:
    emulator = emulator_of(architecture, 64, backend, "float32")
    inputs, changes = random_inputs(emulator.model, 64, "float32"), changes_for(emulator.model, 64, "float32")
    for given in ([True, False, False], [False, True, False], [False, False, True], [True, False, True]):
        some = [change if is_given else None for change, is_given in zip(changes, given, strict=True)]
        zeros = [change * is_given for change, is_given in zip(changes, given, strict=True)]
        results = emulator.tangent_linear(*inputs, *some)
        for found, expected in zip(results, emulator.tangent_linear(*inputs, *zeros), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert np.abs(found).max() > 1e-3
    for result in emulator.tangent_linear(*inputs):
        np.testing.assert_array_equal(result, 0.0)


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_missing_value_stays_visible_in_its_column(architecture: str, backend: str) -> None:
    emulator = emulator_of(architecture, 64, backend, "float32")
    inputs, changes = random_inputs(emulator.model, 64, "float32"), changes_for(emulator.model, 64, "float32")
    clean = emulator.tangent_linear(*inputs, *changes)
    inputs[1][3, 0] = np.nan
    for found, before in zip(emulator.tangent_linear(*inputs, *changes), clean, strict=True):
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(before, 3, axis=0))


def identity(model: Model) -> Model:
    """The model in normalised space: no scaling and no bounds."""

    def plain(variables: tuple) -> tuple:
        return tuple(
            dataclasses.replace(v, normalisation=Normalisation("none"), lower_bound=-np.inf, upper_bound=np.inf)
            for v in variables
        )

    groups = {name: plain(getattr(model, name)) for name in ("static", "forcing", "state", "diagnostics")}
    return dataclasses.replace(model, **groups)


def kinked_model() -> Model:
    """Its first layer has a unit at 0 and two at 1, its second (LeakyReLU) the difference of these: 0.

    Inputs are 0; the state's first element is the result of that unit of the second layer, the others are themselves.
    """
    model = identity(random_model("simple", (2, 2, 2, 2), width=3, depth=2))
    zeros = {name: np.zeros_like(array) for name, array in model.parameters.items()}
    zeros["trunk.0.weight"] = model.parameters["trunk.0.weight"]
    zeros["trunk.0.bias"] = np.array([0.0, 1.0, 1.0], np.float32)
    zeros["trunk.1.weight"][0] = [1.0, 0.0, 0.0]
    zeros["trunk.1.weight"][1] = [0.0, 1.0, -1.0]
    zeros["prognostic.0.weight"][0, :2] = 1.0
    zeros["diagnostic.0.weight"][1, 0] = 1.0
    return dataclasses.replace(model, parameters=zeros)


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
def test_kinks_of_activations(backend: str) -> None:
    """ReLU has the derivative 0 at 0, LeakyReLU 0.01, as in PyTorch."""
    model = kinked_model()
    inputs = [np.zeros((4, 2)) for _ in range(3)]
    changes = [np.random.default_rng(k).normal(size=(4, 2)) for k in range(3)]
    found = Emulator(model, 4, backend, "float64").tangent_linear(*inputs, *changes)
    of_units = np.concatenate(changes, axis=1) @ model.parameters["trunk.0.weight"].astype(np.float64).T
    expected = changes[2].copy()
    expected[:, 0] += 0.01 * (of_units[:, 1] - of_units[:, 2])
    np.testing.assert_allclose(found[0], expected, rtol=1e-14)
    np.testing.assert_array_equal(found[1], 0.0)  # both hang on the unit at the kink of the ReLU
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it serves as a second reference here")
    for one, wanted in zip(found, torch_tangent_linear(torch, model, inputs, changes), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-14)


@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
def test_a_bound_that_is_reached_has_no_derivative(backend: str) -> None:
    model = kinked_model()
    parameters = {name: np.zeros_like(array) for name, array in model.parameters.items()}
    bounded = tuple(dataclasses.replace(v, lower_bound=0.0, upper_bound=1.0) for v in model.state)
    model = dataclasses.replace(model, parameters=parameters, state=bounded)  # the new state is the state
    state = np.repeat(np.array([-0.5, 0.0, 5e-324, 0.25, 1.0 - 2.0**-53, 1.0, 1.5])[:, np.newaxis], 2, axis=1)
    rest = [np.zeros((7, 2)) for _ in range(2)]
    d_state = np.ones((7, 2))
    found, _ = Emulator(model, 7, backend, "float64").tangent_linear(*rest, state, None, None, d_state)
    np.testing.assert_array_equal(found, np.repeat(np.array([0, 0, 1, 1, 1, 0, 0.0])[:, np.newaxis], 2, axis=1))


def small(architecture: str = "simple") -> tuple[Emulator, list[np.ndarray], list[np.ndarray]]:
    emulator = Emulator(random_model(architecture, SIZES), 6, "embedded", "float32")
    return emulator, random_inputs(emulator.model, 6, "float32"), changes_for(emulator.model, 6, "float32")


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, lambda a: a[:5], r"static: found the shape \(5, 5\), expected \(6, 5\)"),
        (3, lambda a: a[:5], r"d_static: found the shape \(5, 5\), expected \(6, 5\)"),
        (4, lambda a: a.astype("float64"), "d_forcing: found the type float64, expected float32"),
        (5, lambda a: a[0], r"d_state: found the shape \(3,\)"),
        (5, lambda a: a.tolist(), "d_state: found list"),
    ],
)
def test_unusable_arrays_are_named(which: int, change, message: str) -> None:
    emulator, inputs, changes = small()
    given = [*inputs, *changes]
    given[which] = change(given[which])
    with pytest.raises(InputError, match=message):
        emulator.tangent_linear(*given)


def test_results_go_to_the_callers_arrays() -> None:
    emulator, inputs, changes = small()
    expected = emulator.tangent_linear(*inputs, *changes)
    out = tuple(np.full_like(result, np.nan, order="F") for result in expected)
    for result, given, wanted in zip(emulator.tangent_linear(*inputs, *changes, out=out), out, expected, strict=True):
        assert result is given
        np.testing.assert_array_equal(given, wanted)
    with pytest.raises(InputError, match="d_new_state: found memory shared with the input 'd_state'"):
        emulator.tangent_linear(*inputs, *changes, out=(changes[2], out[1]))
    with pytest.raises(InputError, match=r"d_diagnostics: found the shape \(6, 3\), expected \(6, 2\)"):
        emulator.tangent_linear(*inputs, *changes, out=(out[0], out[0]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_prepared_static_inputs_and_steps_in_between(architecture: str) -> None:
    emulator, inputs, changes = small(architecture)
    expected = emulator.tangent_linear(*inputs, *changes)
    of_step = emulator.step(*inputs)
    prepared = emulator.prepare_static(inputs[0])
    before = [array.copy() for array in (*inputs, *changes)]
    for found, wanted in zip(emulator.tangent_linear(prepared, *inputs[1:], *changes), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(emulator.step(*inputs), of_step, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for array, same in zip((*inputs, *changes), before, strict=True):
        np.testing.assert_array_equal(array, same)
    other = Emulator(emulator.model, 6, "embedded", "float32")
    with pytest.raises(InputError, match="static: found inputs that another emulator prepared"):
        other.tangent_linear(prepared, *inputs[1:], *changes)


def test_it_is_compiled_when_asked_for(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_call, "_SHARED", {})  # another test may have compiled it
    emulator = Emulator(two_by_depth("simple"), 3, "dace_cpu", "float32")
    with caplog.at_level("INFO"):
        emulator.compile()
        assert not any("tangent-linear" in record.message for record in caplog.records)
        emulator.compile(tangent_linear=True)
    prepared = [record.message for record in caplog.records if record.message.startswith("preparing ")]
    assert [message.split(" for ")[0] for message in prepared] == [
        "preparing the simple network",
        "preparing the tangent-linear of the simple network",
    ]
    caplog.clear()
    with caplog.at_level("INFO"):
        emulator.compile(tangent_linear=True)
        emulator.tangent_linear(*random_inputs(emulator.model, 3, "float32"))
    assert caplog.records == []
