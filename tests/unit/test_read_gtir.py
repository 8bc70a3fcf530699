"""Programs over columns are read for what they compute; whatever else a program may hold is refused in one line."""

import contextlib
import copy
import re
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from captured_programs import N_COLUMNS, CapturedStep, captured_step
from gt4py.next.iterator import ir
from hypothesis import given, settings
from hypothesis import strategies as st
from network_reference import forward, linear, relu
from random_models import ARCHITECTURES
from small_programs import ARGUMENTS, COMPLETE, PROGRAMS, Feature, SmallProgram

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Product,
    RefusedError,
    Sum,
)
from ailand_gt4py.lowering.columns.fuse import fuse
from ailand_gt4py.lowering.columns.interpret import Interpreter

X, Y = Load("x", ROW), Load("y", ROW)
#: Text of the sum over all features.
SUM = "neighbor_sum({}, axis=Feature_to_Unit_local)"
LAYER = SUM.format("weight * x(Feature_to_Unit)")


def of_expression(text: str, out: str = "out") -> SmallProgram:
    """The program of one operator that gives one expression of arguments."""
    arguments = ", ".join(name for name in dict.fromkeys(re.findall(r"\w+", text)) if name in ARGUMENTS)
    return SmallProgram(f"def apply({arguments}):\n    return {text}", f"apply({arguments}, out={out})")


def of(name: str, *arguments: Expression) -> Operation:
    return Operation(name, arguments)


def test_an_element_wise_operator_is_one_definition() -> None:
    program = of_expression("x * gain").read()
    assert program.definitions == [Definition("out", 3, of("*", X, Load("gain", ("feature",))))]
    assert (program.name, program.inner, program.results) == ("small", set(), ["out"])
    assert (program.columns, program.equal_extents) == (5, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + 1.0", of("+", X, Number(1.0))),
        ("-x", of("neg", X)),
        ("maximum(0.0, x)", of("max", Number(0.0), X)),
        ("tanh(exp(x))", of("tanh", of("exp", X))),
        ("where(x >= 0.5, x, y)", of("select", of(">=", X, Number(0.5)), X, Y)),
        ("astype(x != y, float64)", of("select", of("!=", X, Y), Number(1), Number(0))),
        ("astype(x, float64)", X),
        ("(x, y)[1]", Y),
    ],
)
def test_expressions_are_read_as_they_are_written(text: str, expected: Expression) -> None:
    assert of_expression(text).read().definitions == [Definition("out", 3, expected)]


def test_a_layer_is_a_product_and_what_is_used_twice_is_a_definition() -> None:
    text = f"def apply(x, weight):\n    units = {LAYER} - 1.0\n    return units * units"
    product = Definition("value_0", 4, Sum(), (Product(X, "weight", 3),))
    units = Definition("value_1", 4, of("-", Load("value_0", ROW), Number(1.0)))
    squared = Definition("out_units", 4, of("*", Load("value_1", ROW), Load("value_1", ROW)))
    program = SmallProgram(text, "apply(x, weight, out=out_units)").read()
    assert program.definitions == [product, units, squared]
    assert program.inner == {"value_0", "value_1"}


def test_a_field_over_columns_alone_is_one_feature_of_each() -> None:
    program = of_expression("row * gain").read()
    (definition,) = program.definitions
    assert definition == Definition("out", 3, of("*", Load("row", ("column", 0)), Load("gain", ("feature",))))
    text = "def apply(row):\n    t = row + 1.0\n    return t * t"
    program = SmallProgram(text, "apply(row, out=out_row)").read()
    assert [(definition.result, definition.extent) for definition in program.definitions] == [
        ("value_0", 1),
        ("out_row", 1),
    ]


def test_a_scratch_field_that_is_set_anew_is_another_one_from_then_on() -> None:
    """In a statement that sets and reads it, what is read is of before."""
    operators = "def add(x, y):\n    return x + y\ndef both(x, y):\n    return y, x"
    statements = """
        add(x, x, out=work_a)
        add(x, work_a, out=work_b)
        both(work_a, work_b, out=(work_a, work_b))
        add(work_a, y, out=out)
    """
    program = SmallProgram(operators, statements).read()
    assert program.definitions == [
        Definition("work_a", 3, of("+", X, X)),
        Definition("work_b", 3, of("+", X, Load("work_a", ROW))),
        Definition("value_0", 3, Load("work_b", ROW)),
        Definition("value_1", 3, Load("work_a", ROW)),
        Definition("out", 3, of("+", Load("value_0", ROW), Y)),
    ]
    assert program.results == ["out"]


def test_a_definition_of_the_readers_has_no_argument_s_name() -> None:
    """The leaves of a tuple ``value`` are ``value_0`` and ``value_1``."""
    text = "def apply(value):\n    total = value[0] + value[1]\n    return total * total"
    program = SmallProgram(text, "apply(value, out=out)").read()
    total = of("+", Load("value_0", ROW), Load("value_1", ROW))
    assert program.definitions[0] == Definition("value_2", 3, total)
    assert program.inner == {"value_2"}


def agree(small: SmallProgram, rtol: float = 1e-13) -> None:
    """As read and as fused, the program gives what embedded execution gives."""
    arguments = small.arguments()
    read = small.read()
    found = [small.interpreted(program, arguments) for program in (read, fuse(read))]
    expected = small.embedded(arguments)
    for results in found:
        assert results.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(results[name], values, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("what", PROGRAMS)
def test_programs_are_read_for_what_they_compute(what: str) -> None:
    agree(SmallProgram(*PROGRAMS[what]))


OPERATORS = """
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
def through_units(x, weight, back_weight):
    return neighbor_sum(back_weight * dense(x, weight)(Unit_to_Feature), axis=Unit_to_Feature_local)
def average(x, averaging):
    return neighbor_sum(averaging * x(Feature_to_Moment), axis=Feature_to_Moment_local)
def apply(x, y, row, gain, weight, back_weight, averaging):
"""


@st.composite
def operators(draw: st.DrawFn) -> str:
    """An operator with numbers and conditions that have names and are used several times."""
    numbers, conditions = ["x", "y", "row", "gain"], []

    def number(depth: int) -> str:
        kind = draw(
            st.sampled_from(["named"] if depth == 0 else ["named", *"++*", "max", "neg", "where", "cast", "layer"])
        )
        match kind:
            case "named":
                return draw(st.sampled_from([*numbers, "0.5"]))
            case "max":
                return f"maximum({number(depth - 1)}, x - {number(depth - 1)})"
            case "neg":
                return f"(-{number(depth - 1)})"
            case "where":
                return f"where({condition(depth - 1)}, {number(depth - 1)}, {number(depth - 1)})"
            case "cast":
                return f"astype({condition(depth - 1)}, float64)"
            case "layer":
                x = f"x + 0.25 * {number(depth - 1)}"
                layers = [f"through_units({x}, weight, back_weight)", f"average({x}, averaging)(Moment_to_Feature[0])"]
                return draw(st.sampled_from(layers))
        return f"({number(depth - 1)} {kind} {number(depth - 1)})"

    def condition(depth: int) -> str:
        if conditions and draw(st.booleans()):
            return draw(st.sampled_from(conditions))
        if depth > 0 and draw(st.integers(0, 3)) == 0:
            return f"where({condition(depth - 1)}, {condition(depth - 1)}, {condition(depth - 1)})"
        # Of a field at least, so that it is one.
        named = draw(st.sampled_from(numbers))
        return f"({named} {draw(st.sampled_from(['>', '<=']))} {number(max(depth - 1, 0))})"

    lines = []
    for k in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            lines.append(f"    t{k} = {draw(st.sampled_from(numbers))} - {number(2)}")
            numbers.append(f"t{k}")
        else:
            lines.append(f"    c{k} = {condition(2)}")
            conditions.append(f"c{k}")
    return "\n".join([OPERATORS.strip(), *lines, f"    return x + {number(3)}", ""])


@settings(max_examples=30, deadline=None)
@given(text=operators())
def test_random_programs_are_read_for_what_they_compute(text: str) -> None:
    agree(SmallProgram(text, "apply(x, y, row, gain, weight, back_weight, averaging, out=out)"), rtol=1e-10)


def test_extents_that_the_program_takes_for_equal_are_known() -> None:
    """They are checked when it runs: results are as large as the first field along a dimension."""
    small = of_expression(f"{LAYER} * unit_gain", "out_units")
    assert small.read().equal_extents == []
    shapes = {"x": (5, 7), "weight": (4, 3), "unit_gain": (8,), "out_units": (6, 4)}
    program = small.read(shapes=shapes)
    assert program.equal_extents == [(4, 8), (5, 6), (7, 3)]
    assert (program.columns, program.definitions[-1].extent) == (5, 4)


def refused(small: SmallProgram, **of_tables: Any) -> str:
    """The reason; one line of moderate length."""
    with pytest.raises(RefusedError) as caught:
        small.read(**of_tables)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 120
    return message


NO_WEIGHTS = "it multiplies lists that are not weights and all elements of a row"
NOT_ALIKE = "which is not one that broadcasts"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAYER.replace("neighbor_sum", "max_over"), "it reduces a list by 'maximum' from '-1.7976931348623157e+308'"),
        (LAYER.replace("neighbor_sum", "min_over"), "it reduces a list by 'minimum' from '1.7976931348623157e+308'"),
        (SUM.format("x(Feature_to_Unit)"), "it sums a list that is not weights times all elements of a row"),
        (SUM.format("2.0 * x(Feature_to_Unit)"), "it calls 'make_const_list'"),
        (SUM.format("-x(Feature_to_Unit)"), "it has 'map_list(neg)(·__arg0)'"),
        (SUM.format("weight + x(Feature_to_Unit)"), "it maps 'plus' over a list"),
        (SUM.format("weight / x(Feature_to_Unit)"), "it maps 'divides' over a list"),
        (SUM.format("weight * x(Feature_to_Unit) * x(Feature_to_Unit)"), NO_WEIGHTS),
        (SUM.format("weight * weight * x(Feature_to_Unit)"), NO_WEIGHTS),
        (
            f"units + {SUM.format('weight * gain(Feature_to_Unit)')}",
            "it multiplies weights with what is no row of a column",
        ),
        (
            "neighbor_sum(ring_weight * x(Ring), axis=Ring_local)",
            "it reads through the table 'Ring', which is not complete",
        ),
        ("x(Feature_to_Unit[0])", f"it gathers through the table 'Feature_to_Unit', {NOT_ALIKE}"),
        ("x(Feature_to_Unit[1])", "it reads neighbour 1 of the table 'Feature_to_Unit'"),
    ],
)
def test_what_is_no_layer_is_refused_in_one_line(text: str, reason: str) -> None:
    assert refused(of_expression(text, "out_units")) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("row(Sides[0])", f"it gathers through the table 'Sides', {NOT_ALIKE}"),
        ("neighbor_sum(row(Sides), axis=Sides_local)", "it reads through the table 'Sides', which is not complete"),
        ("neighbor_sum(side_weight * row(Sides), axis=Sides_local)", "'side_weight' is over Column, Sides"),
    ],
)
def test_other_columns_are_refused(text: str, reason: str) -> None:
    assert refused(of_expression(text, "out_row")) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x + cbrt(x * x * x + y * y * y + x * y * (x + y) * (x + 2.0 * y) * (2.0 * x + y))", "it calls 'cbrt'"),
        ("where((x > 0.0) & (y > 0.0), x, y)", "it calls 'and_'"),
        ("x + broadcast(1.0, (Column, Feature))", "it calls 'broadcast'"),
        ("astype(astype(x, float32), float64)", "it casts to 'float32'"),
        ("x if True else y", "it has the literal 'True' of type bool"),
        ("minimum(x, float64('inf'))", "it has the literal 'inf' of type float64"),
        ("x(Feature + 1)", "it has '⟪Featureₕ→Featureₕ, 1ₒ⟫(__it)'"),
        ("statistic(Moment_to_Feature[1])", "it reads neighbour 1 of the table 'Moment_to_Feature'"),
        ("x + number", "'number' is over no dimension"),
    ],
)
def test_whatever_else_an_operator_does_is_refused_in_one_line(text: str, reason: str) -> None:
    assert refused(of_expression(text)) == reason


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ("apply(x, out=out, domain={Column: (0, 5), Feature: (0, 3)})", "'out' is not set as a whole"),
        ("apply(x, out=out[1:, :])", "'out' is not set as a whole"),
        ("apply(x, out=out[:, :-1])", "'out' is not set as a whole"),
        ("apply_to_both(x, out=out_pair)", "it writes to 'out_pair[0]'"),
        ("apply(x, out=out)\n apply(out, out=out)", "'out' is written more than once"),
        ("apply_to_both(x, out=(out, out))", "'out' is written more than once"),
        ("apply(x, out=x)", "'x' is read and written"),
        ("apply(out, out=out_other)\n apply(x, out=out)", "'out' is read and written"),
        ("apply(work_a, out=out)", "'work_a' is read before it is set"),
        ("apply(work_a, out=out)\n apply(x, out=work_a)", "'work_a' is read before it is set"),
        ("apply(x, out=work_a)", "it computes nothing"),
        ("add(gain, out=gain)", "'gain' is not over columns"),
        ("with_unused(x, unit_gain, out=out)", "'multiplies' has arguments over Column, Feature, Unit"),
    ],
)
def test_whatever_else_a_program_does_is_refused_in_one_line(statements: str, reason: str) -> None:
    operators = """
def apply(x):
    return x + 1.0
def apply_to_both(x):
    return x + 1.0, x
def add(gain):
    return gain + 1.0
def with_unused(x, unit_gain):
    unused = x * unit_gain
    return x + 1.0
"""
    assert refused(SmallProgram(operators, statements)) == reason


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("x * astype(gain, float64)", gtx.Field[[Feature], gtx.float32], "is of type float32, others of float64"),
        ("where(gain, x, 2.0 * x)", gtx.Field[[Feature], bool], "is of type bool"),
        ("x + astype(gain, float64)", gtx.Field[[Column, Feature], gtx.int32], "is of type int32"),
        ("x * gain", gtx.float64, "is no field"),
    ],
)
def test_arguments_of_another_type_are_refused(text: str, kind: Any, reason: str) -> None:
    operator = f"def apply(x, gain):\n    return {text}"
    assert refused(SmallProgram(operator, "apply(x, gain, out=out)", {"gain": kind})) == f"'gain' {reason}"


def test_vertical_levels_are_refused() -> None:
    levels = gtx.Dimension("K", kind=gtx.DimensionKind.VERTICAL)
    types = dict.fromkeys(("x", "out"), gtx.Field[[Column, levels], gtx.float64])
    small = SmallProgram("def apply(x):\n    return x + 1.0", "apply(x, out=out)", types)
    assert refused(small) == "'x' is over Column, K"


def test_tables_count_as_what_they_are_said_to_be() -> None:
    layer = of_expression(LAYER, "out_units")
    assert (
        refused(layer, complete=COMPLETE[1:]) == "it reads through the table 'Feature_to_Unit', which is not complete"
    )
    statistic = of_expression("statistic(Moment_to_Feature[0])")
    reason = "it gathers through the table 'Moment_to_Feature', which is not one that broadcasts"
    assert refused(statistic, broadcast=()) == reason
    sides = of_expression("row(Sides[0])", "out_row")
    reason = "it gathers through the table 'Sides' from what is no row of a column"
    assert refused(sides, broadcast=("Sides",)) == reason


def another(node: ir.Node) -> tuple[str, Any]:
    """What of a leaf says what it stands for, and something else for that."""
    match node:
        case ir.SymRef():
            return "id", "gamma"  # which no column program has
        case ir.Literal(value=value):
            return "value", "1" if float(value) == 0.0 else "0"
        case ir.OffsetLiteral(value=int(value)):
            return "value", value + 1
        case ir.OffsetLiteral(value=value):
            return "value", next(name for name in COMPLETE if name != value)
    return "value", "Another"


@pytest.mark.parametrize("what", PROGRAMS)
def test_nothing_in_a_program_is_passed_over(what: str) -> None:
    """Whatever name, number, offset or axis of it is another one, it is refused or read as another program."""
    small = SmallProgram(*PROGRAMS[what])
    original, program = small.read(), copy.deepcopy(small.program.gtir)
    leaves = program.pre_walk_values().if_isinstance(ir.SymRef, ir.Literal, ir.OffsetLiteral, ir.AxisLiteral).to_list()
    assert len(leaves) > 60
    for leaf in leaves:
        field, value = another(leaf)
        before = getattr(leaf, field)
        setattr(leaf, field, value)
        with contextlib.suppress(RefusedError):
            assert small.read(program) != original, f"'{before}' is passed over: {program}"
        setattr(leaf, field, before)
    assert small.read(program) == original


def inputs(captured: CapturedStep) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.normal(size=(N_COLUMNS, size)) for size in captured.model.sizes[:3]]


def scaling(variables: Any) -> tuple[np.ndarray, np.ndarray]:
    shift, scale = (np.array([getattr(v.normalisation, what) for v in variables]) for what in ("shift", "scale"))
    return shift, scale


def static_part(captured: CapturedStep, static: np.ndarray) -> np.ndarray:
    """The static branch's share of the layer where the branches meet."""
    model, (shift, scale) = captured.model, scaling(captured.model.static)
    branch = relu(linear(model, "static.0", (static - shift) / scale))
    weight = model.parameters["combine.0.weight"][:, : branch.shape[1]]
    return branch @ weight.T + model.parameters["combine.0.bias"]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_step_of_a_network_is_read_for_what_it_computes(architecture: str, depth: int, fused: bool) -> None:
    captured = captured_step(architecture, depth)
    model, raw = captured.model, inputs(captured)
    program = fuse(captured.read()) if fused else captured.read()
    arguments = dict(zip(("static_input", "forcing_input", "state_input"), raw, strict=True))
    if architecture == "two_branch":
        arguments["static_part"] = static_part(captured, arguments.pop("static_input"))
    found = Interpreter(N_COLUMNS, captured.values | arguments).run(program)
    groups = (model.static, model.forcing, model.state)
    normalised = [(x - scaling(group)[0]) / scaling(group)[1] for x, group in zip(raw, groups, strict=True)]
    step = forward(model, *normalised)
    for name, expected, group in (
        ("new_state", step.state, model.state),
        ("diagnostics", step.diagnostics, model.diagnostics),
    ):
        shift, scale = scaling(group)
        np.testing.assert_allclose(found[name], expected * scale + shift, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
def test_the_static_part_of_two_branch_is_read_for_what_it_computes(fused: bool) -> None:
    captured = captured_step("two_branch", 1, what="static part")
    static = inputs(captured)[0]
    program = fuse(captured.read()) if fused else captured.read()
    found = Interpreter(N_COLUMNS, captured.values | {"static_input": static}).run(program)
    np.testing.assert_allclose(found["static_part"], static_part(captured, static), rtol=1e-12)


def test_the_fused_step_of_layer_norm_has_twelve_definitions() -> None:
    program = fuse(captured_step("layer_norm", 1).read())
    forms = [
        (definition.result, [product.weight for product in definition.products], definition.by_row)
        for definition in program.definitions
    ]
    trunk = [f"operands_trunk_0_0_0_{k}" for k in range(3)]
    diagnostic = [f"operands_diagnostic_0_0_0_{k}" for k in range(3)]
    own = [name for name, _, _ in forms if name.startswith("value_")]
    assert len(own) == 4
    assert forms == [
        ("normalised_static", [], False),
        ("normalised_forcing", [], False),
        ("normalised_state", [], False),
        (own[0], trunk, False),
        (own[1], ["operands_trunk_0_3"], True),
        ("units_trunk_0", [], False),
        ("normalised_new_state", ["operands_prognostic_0_0"], False),
        ("new_state", [], False),
        (own[2], diagnostic, False),
        (own[3], ["operands_diagnostic_0_3"], True),
        ("units_diagnostic_0", [], False),
        ("diagnostics", ["operands_diagnostic_1_0"], False),
    ]
    for position in (4, 9):
        units = Load(program.definitions[position - 1].result, ROW)
        (product,) = program.definitions[position].products
        assert product.x == of("*", units, units), "the square belongs inside the reduction"
        value = program.definitions[position].value
        assert isinstance(value, Operation)
        assert (value.name, value.arguments[0], value.arguments[1].name) == ("/", Number(1.0), "sqrt")
    assert program.results == ["new_state", "diagnostics"]


def test_the_fused_static_part_of_two_branch_has_three_definitions() -> None:
    program = fuse(captured_step("two_branch", 1, what="static part").read())
    assert [(definition.result, len(definition.products)) for definition in program.definitions] == [
        ("normalised_static", 0),
        ("units_static_0", 1),
        ("static_part", 1),
    ]
