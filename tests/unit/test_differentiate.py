"""Differentiation of programs over columns: rules, kinks, any program, and activations that are defined here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from captured_programs import captured_step
from hypothesis import given, settings
from hypothesis import strategies as st
from small_programs import ARGUMENTS, PROGRAMS, SIZES, Feature, SmallProgram, Unit, leaves

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Definition,
    Load,
    Number,
    Operation,
    RefusedError,
)
from ailand_gt4py.lowering.columns.constants import evaluate
from ailand_gt4py.lowering.columns.derivative_code import gradient
from ailand_gt4py.lowering.columns.derivative_rules import RULES
from ailand_gt4py.lowering.columns.differentiate import Derivative, Sweep, differentiate
from ailand_gt4py.lowering.columns.fields import FUNCTIONS
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import OPERATIONS, Interpreter

N_COLUMNS, N_DIRECTIONS = SIZES[Column], 3


def arrays_of(small: SmallProgram, seed: int = 0) -> dict[str, np.ndarray]:
    """The arguments that are read; a field over columns alone as one feature of each."""
    values = {
        name: array for name, array in leaves(small.arguments(seed)).items() if not name.startswith(("out", "work_"))
    }
    return {name: array[:, np.newaxis] if ARGUMENTS.get(name) == (Column,) else array for name, array in values.items()}


def over_columns(program: ColumnProgram, values: dict[str, np.ndarray]) -> list[str]:
    """The inputs that a derivative is taken by."""
    return [name for name in values if name in program.arguments and program.arguments[name][0][0] == "column"]


def run(program: ColumnProgram, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return Interpreter(N_COLUMNS, values).run(program)


def with_arguments(program: ColumnProgram, added: dict[str, tuple]) -> ColumnProgram:
    return dataclasses.replace(program, arguments=program.arguments | added)


def tangents(
    program: ColumnProgram, values: dict[str, np.ndarray], changes: dict[str, np.ndarray], fused: bool = False
) -> dict[str, np.ndarray]:
    """Tangents of all results for those of inputs, in one direction (columns, features) or in several."""
    index = ROW if next(iter(changes.values())).ndim == 2 else DIRECTED_ROW
    added = {f"{name}_tangent": (index, change.shape) for name, change in changes.items()}
    derivative = Derivative(
        "forward",
        tuple((name, f"{name}_tangent") for name in changes),
        tuple((name, f"{name}_tangent") for name in program.results),
    )
    found = differentiate(with_arguments(program, added), derivative)
    found = fuse(found) if fused else found
    given_changes = {f"{name}_tangent": change for name, change in changes.items()}
    constants = evaluate(found.constants, values, {})
    results = run(found, values | given_changes | constants)
    return {name.removesuffix("_tangent"): array for name, array in results.items()}


def adjoints(
    program: ColumnProgram, values: dict[str, np.ndarray], given_adjoints: dict[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    added = {f"{name}_adjoint": (ROW, array.shape) for name, array in given_adjoints.items()}
    added |= {f"{name}_adjoint": (ROW, values[name].shape) for name in names}
    derivative = Derivative(
        "reverse",
        tuple((name, f"{name}_adjoint") for name in names),
        sweeps=tuple(Sweep(name, f"{name}_adjoint") for name in given_adjoints),
    )
    found = fuse(differentiate(with_arguments(program, added), derivative))
    constants = evaluate(found.constants, values, {})
    results = run(found, values | {f"{name}_adjoint": array for name, array in given_adjoints.items()} | constants)
    return {name.removesuffix("_adjoint"): array for name, array in results.items()}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "scratch fields set anew"])
def test_tangents_are_slopes_and_adjoints_their_transpose(name: str) -> None:
    small = SmallProgram(*PROGRAMS[name])
    program, values = small.read(), arrays_of(small)
    random = np.random.default_rng(1)
    names = [one for one in over_columns(program, values) if one != "statistic"]
    changes = {name: random.normal(size=values[name].shape) for name in names}
    found = tangents(program, values, changes)
    size = 1e-6
    sides = [
        run(program, values | {name: values[name] + sign * size * change for name, change in changes.items()})
        for sign in (1.0, -1.0)
    ]
    for result, tangent in found.items():
        slope = (sides[0][result] - sides[1][result]) / (2.0 * size)
        np.testing.assert_allclose(tangent, slope, rtol=2e-5, atol=2e-7, err_msg=result)
        assert np.abs(tangent).max() > 0.0
    fused = tangents(program, values, changes, fused=True)
    for result, tangent in found.items():
        np.testing.assert_allclose(fused[result], tangent, rtol=1e-12, atol=1e-13)
    given_adjoints = {result: random.normal(size=tangent.shape) for result, tangent in found.items()}
    back = adjoints(program, values, given_adjoints, names)
    forward = sum((given_adjoints[result] * tangent).sum() for result, tangent in found.items())
    backward = sum((back[name] * change).sum() for name, change in changes.items())
    assert forward == pytest.approx(backward, rel=1e-12)


@pytest.mark.parametrize("name", ["functions", "layers", "statistics of a row"])
def test_several_directions_are_one_each(name: str) -> None:
    small = SmallProgram(*PROGRAMS[name])
    program, values = small.read(), arrays_of(small)
    random = np.random.default_rng(2)
    names = [one for one in over_columns(program, values) if values[one].shape[1] > 1]
    changes = {one: random.normal(size=(N_COLUMNS, N_DIRECTIONS, values[one].shape[1])) for one in names}
    together = tangents(program, values, changes, fused=True)
    for direction in range(N_DIRECTIONS):
        one = tangents(program, values, {name: change[:, direction] for name, change in changes.items()})
        for result, tangent in one.items():
            np.testing.assert_allclose(together[result][:, direction], tangent, rtol=1e-12, atol=1e-13)


JACOBIANS = {
    "numbers of the column": "tanh(dense(log(x * x + 1.0), weight) + dense(y * 2.0, weight))",
    "one input in two ways": "tanh(dense(log(x * x + 1.0), weight) + dense(x, weight) + dense(y * 2.0, weight))",
    "linear": "dense(x - 3.0 * y, weight) + unit_gain",
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians_of_inputs_one_by_one(name: str, mode: str) -> None:
    """By selections of inputs and results, against tangents of each input."""
    operators = f"""
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
def apply(x, y, weight, unit_gain):
    return {JACOBIANS[name]} + 0.0 * unit_gain
"""
    small = SmallProgram(operators, "apply(x, y, weight, unit_gain, out=out_units)")
    program, values = small.read(), arrays_of(small)
    n_features, n_units = SIZES[Feature], SIZES[Unit]
    n_inputs = 2 * n_features
    selected_x, selected_y = np.split(np.eye(n_inputs), 2, axis=1)
    rows = np.eye(n_units)[[2, 0, 3]]
    given_arrays = {"selected_x": selected_x, "selected_y": selected_y, "rows": rows}
    added = {one: (("direction", "feature"), array.shape) for one, array in given_arrays.items()}
    inputs = (("x", "selected_x"), ("y", "selected_y"))
    if mode == "forward":
        derivative = Derivative("forward", inputs, (("out_units", "jacobian"),))
    else:
        derivative = Derivative("reverse", inputs, sweeps=(Sweep("out_units", "rows", "jacobian"),))
    found = fuse(differentiate(with_arguments(program, added), derivative))
    constants = evaluate(found.constants, values | given_arrays, {})
    jacobian = run(found, values | given_arrays | constants)["jacobian"]
    expected = np.empty((N_COLUMNS, n_units, n_inputs))
    for k in range(n_inputs):
        change = {"x": np.tile(selected_x[k], (N_COLUMNS, 1)), "y": np.tile(selected_y[k], (N_COLUMNS, 1))}
        expected[:, :, k] = tangents(program, values, change)["out_units"]
    wanted = expected.transpose(0, 2, 1) if mode == "forward" else expected[:, [2, 0, 3]]
    np.testing.assert_allclose(jacobian, wanted, rtol=1e-12, atol=1e-13)


# --- activations that are defined here alone ---

ACTIVATIONS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": ("tanh(x)", np.tanh),
    "sigmoid": ("1.0 / (1.0 + exp(-x))", lambda x: 1.0 / (1.0 + np.exp(-x))),
    "SiLU": ("x / (1.0 + exp(-x))", lambda x: x / (1.0 + np.exp(-x))),
    "hyperbolic": (
        "sinh(0.5 * x) + cosh(0.3 * x) + arcsinh(2.0 * x) + arctanh(0.5 * tanh(x))",
        lambda x: np.sinh(0.5 * x) + np.cosh(0.3 * x) + np.arcsinh(2.0 * x) + np.arctanh(0.5 * np.tanh(x)),
    ),
    "softplus": ("log(1.0 + exp(x))", lambda x: np.log(1.0 + np.exp(x))),
    # Hendrycks and Gimpel (2016), arXiv:1606.08415, its form with tanh.
    "GELU": (
        "0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
        lambda x: 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
    ),
    "LeakyReLU": ("maximum(0.1 * x, x)", lambda x: np.where(x.real > 0.0, x, 0.1 * x)),
    "ELU": ("where(x > 0.0, x, exp(x) - 1.0)", lambda x: np.where(x.real > 0.0, x, np.exp(x) - 1.0)),
}


def test_a_derivative_makes_nothing_twice() -> None:
    """All sweeps of a Jacobian need the same factors of a layer normalisation."""
    program = captured_step("layer_norm", 2, what="jacobian in reverse mode").read()
    made = [(one.value, one.products, one.directions) for one in program.definitions if one.result in program.inner]
    assert len(made) == len(set(made))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_needs_no_more_than_its_operator(name: str) -> None:
    """In a layer with a residual, after a layer normalisation; against complex steps."""
    text, function = ACTIVATIONS[name]
    operators = f"""
def average(x, averaging):
    return neighbor_sum(averaging * x(Feature_to_Moment), axis=Feature_to_Moment_local)
def normalise(x, averaging, gain):
    inverse = 1.0 / sqrt(average(x * x, averaging) + 0.1)
    return x * inverse(Moment_to_Feature[0]) * gain
def activated(x):
    return {text}
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
def back(units, back_weight):
    return neighbor_sum(back_weight * units(Unit_to_Feature), axis=Unit_to_Feature_local)
def layer(x, averaging, gain, weight, back_weight):
    return x + activated(back(dense(activated(normalise(x, averaging, gain)), weight), back_weight))
"""
    small = SmallProgram(operators, "layer(x, averaging, gain, weight, back_weight, out=out)")
    program, values = small.read(), arrays_of(small)
    values["averaging"] = np.full_like(values["averaging"], 1.0 / SIZES[Feature])

    def layer(x: np.ndarray) -> np.ndarray:
        inverse = 1.0 / np.sqrt((x * x) @ values["averaging"][:1].T + 0.1)
        hidden = function(x * inverse * values["gain"]) @ values["weight"].T
        return x + function(hidden @ values["back_weight"].T)

    change = np.random.default_rng(3).normal(size=values["x"].shape)
    expected = layer(values["x"] + 1e-30j * change).imag / 1e-30
    found = tangents(program, values, {"x": change})
    np.testing.assert_allclose(found["out"], expected, rtol=1e-12, atol=1e-14)
    adjoint = np.random.default_rng(4).normal(size=expected.shape)
    back = adjoints(program, values, {"out": adjoint}, ["x"])
    assert (back["x"] * change).sum() == pytest.approx((adjoint * expected).sum(), rel=1e-12)


# --- rules ---

X, Y = Load("x", ROW), Load("y", ROW)


def slopes(operation: Operation, x: float, y: float) -> tuple[float, float]:
    """The derivative of an operation of x and y by each, at a point."""
    values = {"x": np.array([[x]]), "y": np.array([[y]])}
    found = gradient(operation, operation)
    return tuple(
        float(Interpreter(1, values)._definition(Definition("d", 1, found.get(load, Number(0.0))))[0, 0])
        for load in (X, Y)
    )


def test_every_function_that_is_read_has_a_rule() -> None:
    assert set(FUNCTIONS.values()) == set(RULES)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(set(OPERATIONS) - {"select", ">", ">=", "<", "<=", "==", "!="})),
    x=st.floats(0.2, 3.0),
    y=st.floats(0.2, 3.0),
)
def test_rules_are_slopes(name: str, x: float, y: float) -> None:
    arguments = (X, Y) if name in ("+", "-", "*", "/", "max", "min", "pow") else (X,)
    operation = Operation(name, arguments)
    if name in ("max", "min") and abs(x - y) < 1e-3:
        return
    if name in ("acos", "atanh"):
        x /= 4.0
    if name == "floor" and abs(x - round(x)) < 1e-3:
        return
    size = 1e-6

    def value(x: float, y: float) -> float:
        return float(OPERATIONS[name](*(x, y)[: len(arguments)]))

    expected = (
        (value(x + size, y) - value(x - size, y)) / (2.0 * size),
        (value(x, y + size) - value(x, y - size)) / (2.0 * size) if len(arguments) > 1 else 0.0,
    )
    np.testing.assert_allclose(slopes(operation, x, y), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("operation", "x", "y", "expected"),
    [
        (Operation("max", (X, Y)), 1.0, 1.0, (1.0, 0.0)),
        (Operation("min", (X, Y)), 1.0, 1.0, (1.0, 0.0)),
        (Operation("max", (Number(0.0), X)), 0.0, 0.0, (0.0, 0.0)),
        (Operation("max", (Operation("*", (Number(0.01), X)), X)), 0.0, 0.0, (0.01, 0.0)),
        (Operation("max", (Operation("*", (Number(0.01), X)), X)), -2.0, 0.0, (0.01, 0.0)),
        (Operation("max", (Operation("*", (Number(0.01), X)), X)), 2.0, 0.0, (1.0, 0.0)),
        (Operation("abs", (X,)), 0.0, 0.0, (1.0, 0.0)),
        (Operation("abs", (X,)), -1.0, 0.0, (-1.0, 0.0)),
    ],
)
def test_at_kinks_the_first_argument_decides(
    operation: Operation, x: float, y: float, expected: tuple[float, float]
) -> None:
    assert slopes(operation, x, y) == expected


def test_an_operation_without_a_rule_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "tanh")
    small = SmallProgram("def apply(x):\n    return tanh(x)", "apply(x, out=out)")
    program, values = small.read(), arrays_of(small)
    with pytest.raises(RefusedError, match="the operation 'tanh' has no derivative"):
        tangents(program, values, {"x": values["x"]})


def test_the_adjoint_of_a_row_of_which_one_feature_is_read_is_refused() -> None:
    """Its features are all alike: whose adjoint it would be cannot be said."""
    small = SmallProgram(*PROGRAMS["statistics of a row"])
    program, values = small.read(), arrays_of(small)
    with pytest.raises(RefusedError, match="reads one of the features of 'statistic'"):
        adjoints(program, values, {"out": values["x"]}, ["x", "statistic"])
