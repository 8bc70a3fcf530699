"""Jacobians of the step: against references, PyTorch and the tangent-linear, in both modes, whole and in blocks."""

import dataclasses
import functools
import pathlib
import tracemalloc
from typing import Any, get_args

import numpy as np
import pytest
from captured_programs import N_COLUMNS, captured_step
from derivative_cases import PUBLISHED, inputs_of, model_named
from random_models import ARCHITECTURES, random_model
from tangent_reference import jacobian, torch_jacobian
from test_networks import relative_norm
from test_tangent_linear import kinked_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.derivatives import calls
from ailand_gt4py.emulator.derivatives.calls import JacobianOneByOne, Mode, cheaper_mode
from ailand_gt4py.emulator.derivatives.jacobian import Block, block_of, labelled
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import Interpreter
from ailand_gt4py.weights.model import Model, Normalisation

SIZES = (5, 4, 3, 3)
MODES: tuple[Mode, ...] = get_args(Mode)
#: Bars of relative norms.
TOLERANCES = {"float32": 2e-5, "float64": 1e-10}


@functools.cache
def small_model(architecture: str) -> Model:
    """With every kind of bound, and a logarithm, that the architecture may have."""
    model = random_model(architecture, SIZES, seed=7, width=24, depth=2, bounded_by_others=architecture != "two_branch")
    if architecture != "layer_norm":
        return model
    logarithm = Normalisation("log", mean=0.0, std=0.7, minimum=0.5)  # some values are below
    forcing = list(model.forcing)
    forcing[2] = dataclasses.replace(forcing[2], normalisation=logarithm, training_minimum=0.1, training_maximum=9.0)
    return dataclasses.replace(model, forcing=tuple(forcing))


@functools.cache
def emulator_of(architecture: str, n_columns: int, backend: str, precision: str) -> Emulator:
    return Emulator(small_model(architecture), n_columns, backend, precision)


def made(emulator: Emulator, inputs: list[np.ndarray], mode: Mode, block: Block | None = None) -> np.ndarray:
    """In one mode, whichever takes less arithmetic."""
    block = block or block_of(emulator.model)
    found = np.full((emulator.n_columns, len(block.outputs), len(block.inputs)), np.nan, dtype=emulator.dtype)
    emulator._derivatives.jacobian(block, mode)(inputs, found)
    return found


def in_own_units(model: Model, values: np.ndarray, block: Block | None = None) -> np.ndarray:
    """A Jacobian per unit of the network's space: no variable of large numbers hides the others."""
    block = block or block_of(model)
    results, inputs = (*model.state, *model.diagnostics), (*model.static, *model.forcing, *model.state)
    rows = np.array([results[position].normalisation.scale for position in block.outputs])
    columns = [1.0 if inputs[k].normalisation.is_logarithmic else inputs[k].normalisation.scale for k in block.inputs]
    return values.astype(np.float64) * np.array(columns) / rows[:, np.newaxis]


# --- against other ways to the same ---


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(shared: pathlib.Path, name: str, mode: Mode) -> None:
    model = model_named(name, shared)
    reference = np.load(shared / "reference" / f"{name}.npz")
    expected = reference["jacobian_f64"]
    n_columns, _, n_inputs = expected.shape
    sizes = model.sizes
    if model.architecture != "layer_norm":  # the references of the prototypes hold the increment
        expected = expected.copy()
        expected[:, : sizes.state, n_inputs - sizes.state :] += np.eye(sizes.state)
    given = (reference["static"], reference["forcing"][0], reference["state0"])
    inputs = [values[:n_columns].astype(np.float64) for values in given]
    found = made(Emulator(model, n_columns, "embedded", "float64"), inputs, mode)
    for column in range(n_columns):
        assert relative_norm(found[column], expected[column]) <= 1e-10


@pytest.mark.parametrize("mode", MODES)
def test_the_default_model_against_pytorch(mode: Mode) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it serves as a reference here")
    model = model_named("default")
    inputs = inputs_of(model, 16)
    expected = torch_jacobian(torch, model, inputs)
    found = made(Emulator(model, 16, "embedded", "float64"), inputs, mode)
    assert relative_norm(in_own_units(model, found), in_own_units(model, expected)) <= 1e-10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_complex_steps(architecture: str, mode: Mode) -> None:
    """Some columns are on bounds of their own, of others, and below the floor of the logarithm."""
    emulator = emulator_of(architecture, 40, "embedded", "float64")
    inputs = inputs_of(emulator.model, 40)
    expected = jacobian(emulator.model, inputs)
    assert (expected == 0.0).all(axis=2).any()
    if architecture != "two_branch":
        assert ((expected == 0.0) | (expected == 1.0)).all(axis=2).any(axis=0).sum() > 2
    assert relative_norm(made(emulator, inputs, mode), expected) <= 1e-12


#: What is compiled here, beside both modes for the default model.
COMPILED = [
    ("simple", "float32", "reverse"),
    ("two_branch", "float64", "forward"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "precision", "mode"), COMPILED)
def test_compiled(architecture: str, precision: str, mode: Mode) -> None:
    """More columns than a call of the program has, the last call with some of the one before; one with a NaN."""
    emulator = emulator_of(architecture, 1500, "dace_cpu", precision)
    inputs = inputs_of(emulator.model, 1500, precision)
    expected = jacobian(emulator.model, inputs)
    for _ in range(2):  # the first call goes through GT4Py, the second one does not
        clean = made(emulator, inputs, mode)
        assert clean.dtype == emulator.dtype
        assert relative_norm(clean, expected) <= TOLERANCES[precision]
    inputs[1][3, 1] = np.nan
    found = made(emulator, inputs, mode)
    assert np.isnan(found[3]).all()
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(clean, 3, axis=0))


@pytest.mark.study
@pytest.mark.parametrize("mode", MODES)
def test_compiled_blocks_of_the_default_model(mode: Mode) -> None:
    """Of some rows and columns of both groups of results; all by one program.

    In few columns a unit lies so near its kink that rounding decides on which side; these do not count.
    """
    model = model_named("default")
    emulator = Emulator(model, 300, "dace_cpu", "float32")
    inputs = inputs_of(model, 300, "float32")
    whole = jacobian(model, inputs)
    water = ["swvl1", "swvl2", "swvl3"]
    for outputs, names in (
        (None, None),
        (["t2m", *water], None),
        (None, water),
        (["ssr", "sd", "d2m"], ["met_swdown"]),
    ):
        block = block_of(model, outputs, names)
        expected = in_own_units(model, whole[:, block.outputs][:, :, block.inputs], block)
        found = in_own_units(model, made(emulator, inputs, mode, block), block)
        errors = np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
        assert np.mean(errors <= TOLERANCES["float32"]) > 0.97, np.sort(errors)[-12:]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_as_it_is_read_and_fused(architecture: str, mode: Mode) -> None:
    captured = captured_step(architecture, 2, what=f"jacobian in {mode} mode")
    model = captured.model
    inputs = inputs_of(model, N_COLUMNS)
    arguments = dict(zip(captured.description.caller_fields, inputs, strict=False))
    found = Interpreter(N_COLUMNS, captured.values | arguments).run(fuse(captured.read()))
    expected = jacobian(model, inputs)
    n_state = len(model.state)
    if mode == "forward":
        assert relative_norm(found["jacobian"].transpose(0, 2, 1), expected) <= 1e-12
        return
    of_diagnostics = found["jacobian_diagnostics"]
    if architecture == "layer_norm":
        of_diagnostics = of_diagnostics + found["diagnostics_by_state"] @ found["new_state_by_inputs"]
    assert relative_norm(found["jacobian_new_state"], expected[:, :n_state]) <= 1e-12
    assert relative_norm(of_diagnostics, expected[:, n_state:]) <= 1e-12


@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_one_by_one_as_on_a_gpu(architecture: str) -> None:
    emulator = emulator_of(architecture, 12, "embedded", "float64")
    inputs = inputs_of(emulator.model, 12)
    block = block_of(emulator.model, ["diagnostic_1", "state_0"], ["state_2", "static_1", "forcing_0"])
    derivatives = emulator._derivatives
    expected = jacobian(emulator.model, inputs)[:, block.outputs][:, :, block.inputs]
    for mode, call in (("forward", derivatives.tangent_linear), ("reverse", derivatives.adjoint)):
        found = np.full(expected.shape, np.nan)
        JacobianOneByOne(derivatives._programs, block, call, mode)(inputs, found)
        assert relative_norm(found, expected) <= 1e-12


# --- blocks, names, units ---


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (["state_1"], None),
        (["diagnostic_0"], ["forcing_2", "static_1"]),
        (None, ["state_1"]),
        # Rows of both groups, mixed; the bound of `diagnostic_0`, which is `diagnostic_1`, is not among them.
        (["diagnostic_2", "state_2", "diagnostic_0", "state_0"], ["state_2", "forcing_0", "static_1", "state_0"]),
    ],
)
@pytest.mark.parametrize("architecture", ["simple", "layer_norm"])
def test_a_block_is_part_of_the_whole(architecture: str, outputs: Any, names: Any, mode: Mode) -> None:
    emulator = emulator_of(architecture, 40, "embedded", "float64")
    inputs = inputs_of(emulator.model, 40)
    block = block_of(emulator.model, outputs, names)
    expected = jacobian(emulator.model, inputs)[:, block.outputs][:, :, block.inputs]
    np.testing.assert_allclose(made(emulator, inputs, mode, block), expected, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(emulator.jacobian(*inputs, outputs, names), expected, rtol=0.0, atol=1e-12)


def test_the_mode_follows_from_the_shape_of_the_block() -> None:
    model = model_named("default")
    state = [variable.name for variable in model.state]
    assert cheaper_mode(model, block_of(model, state[:3], None)) == "reverse"
    assert cheaper_mode(model, block_of(model, None, state[:3])) == "forward"


def test_names_and_units() -> None:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    model, inputs = emulator.model, inputs_of(emulator.model, 6)
    water = dataclasses.replace(model.state[2], units="m3 m-3", bounded_by="")
    renamed = dataclasses.replace(model, state=(*model.state[:2], water))
    outputs, names = ["diagnostic_1", "state_2"], ["forcing_1", "state_0"]
    values = emulator.jacobian(*inputs, outputs, names)
    found = labelled(renamed, values, outputs, names)
    assert found.dims == ("column", "output", "input")
    assert np.shares_memory(found.values, values)
    np.testing.assert_array_equal(found.sel(output="state_2", input="forcing_1"), values[:, 1, 0])
    assert found.units.sel(output="state_2", input="forcing_1").item() == "(m3 m-3) / (K)"
    whole = labelled(model, emulator.jacobian(*inputs))
    assert list(whole.output.values) == [v.name for v in (*model.state, *model.diagnostics)]
    assert list(whole.input.values) == [v.name for v in (*model.static, *model.forcing, *model.state)]
    with pytest.raises(InputError, match=r"Jacobian: found the shape \(6, 2, 2\), expected \(n_columns, 6, 12\)"):
        labelled(model, values)


@pytest.mark.parametrize(
    ("outputs", "names", "message"),
    [
        (["swvl9"], None, "output 'swvl9' of the Jacobian is unknown, expected one of state_0, state_1"),
        (None, ["diagnostic_0"], "input 'diagnostic_0' of the Jacobian is unknown, expected one of static_0"),
        (["state_0", "state_0"], None, "output 'state_0' of the Jacobian is named more than once"),
        ("state_0", None, "outputs of the Jacobian: found the text 'state_0', expected a list of names"),
        ([], None, "outputs of the Jacobian: found no name, expected at least one"),
    ],
)
def test_unusable_names(outputs: Any, names: Any, message: str) -> None:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    with pytest.raises(InputError, match=message):
        emulator.jacobian(*inputs_of(emulator.model, 6), outputs, names)


def test_unusable_arrays_and_the_callers_own() -> None:
    emulator = emulator_of("simple", 6, "embedded", "float64")
    inputs = inputs_of(emulator.model, 6)
    expected = emulator.jacobian(*inputs)
    for order in "CF":
        out = np.full(expected.shape, np.nan, order=order)
        assert emulator.jacobian(emulator.prepare_static(inputs[0]), *inputs[1:], out=out) is out
        np.testing.assert_array_equal(out, expected)
    with pytest.raises(InputError, match=r"forcing: found the shape \(5, 4\), expected \(6, 4\)"):
        emulator.jacobian(inputs[0], inputs[1][:5], inputs[2])
    with pytest.raises(InputError, match=r"jacobian: found the shape \(6, 2, 2\), expected \(6, 6, 12\)"):
        emulator.jacobian(*inputs, out=np.empty((6, 2, 2)))


@pytest.mark.parametrize("mode", [*MODES, "one by one"])
def test_a_call_into_an_array_of_the_caller_allocates_none(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Beside its program, and NumPy's buffers of 8192 numbers: a host model calls it in every step."""
    n_columns = 100_000
    monkeypatch.setattr(calls, "_EMBEDDED_COLUMNS_AT_ONCE", n_columns)
    emulator = Emulator(small_model("layer_norm"), n_columns, "embedded", "float64")
    inputs, derivatives = inputs_of(emulator.model, n_columns), emulator._derivatives
    block = block_of(emulator.model, ["diagnostic_0", "state_1", "diagnostic_2"], ["forcing_0", "forcing_2"])
    if mode == "one by one":
        call: Any = JacobianOneByOne(derivatives._programs, block, derivatives.tangent_linear, "forward")
    else:
        call = derivatives.jacobian(block, mode)
    call._call = lambda *_: None
    out = np.zeros((n_columns, 3, 2))
    tracemalloc.start()
    call(inputs, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n_columns / 2  # half a number for each column


# --- kinks and missing values ---


@pytest.mark.parametrize("mode", MODES)
def test_kinks_and_bounds_that_are_touched(mode: Mode) -> None:
    """As of the tangent-linear: ReLU 0 at 0, LeakyReLU 0.01, a bound that is touched 0, and the other variable's 1."""
    model = kinked_model()
    weights = model.parameters["trunk.0.weight"].astype(np.float64)
    first, second = model.state
    for bound, own, of_bound in (
        ({}, 1.0, 0.0),
        ({"upper_bound": 0.0}, 0.0, 0.0),
        ({"bounded_by": "static_1"}, 0.0, 1.0),
    ):
        changed = dataclasses.replace(model, state=(dataclasses.replace(first, **bound), second))
        found = made(Emulator(changed, 4, "embedded", "float64"), [np.zeros((4, 2)) for _ in range(3)], mode)
        expected = np.zeros((4, 6))
        expected[0] = own * 0.01 * (weights[1] - weights[2])  # what hangs on the other unit is 0
        expected[0, 4] += own
        expected[0, 1] += of_bound
        expected[1, 5] = 1.0
        for column in found:
            np.testing.assert_allclose(column, expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("architecture", ["two_branch", "layer_norm"])
def test_a_missing_value_stays_in_its_column(architecture: str) -> None:
    emulator = emulator_of(architecture, 64, "embedded", "float64")
    inputs = inputs_of(emulator.model, 64)
    clean = [made(emulator, inputs, mode) for mode in MODES]
    inputs[1][3, 1] = np.nan
    for mode, before in zip(MODES, clean, strict=True):
        found = made(emulator, inputs, mode)
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(before, 3, axis=0))
