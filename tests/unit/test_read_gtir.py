"""Programs over columns are read for what they compute; whatever else a program may hold is refused in one line."""

from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from gt4py import eve
from gt4py.next.iterator import ir
from hypothesis import given, settings
from hypothesis import strategies as st
from small_programs import COMPLETE, Feature, SmallProgram

from ailand_gt4py.dimensions import Column
from ailand_gt4py.lowering.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Product,
    Sum,
)
from ailand_gt4py.lowering.fuse import fuse
from ailand_gt4py.lowering.read_gtir import RefusedError

X, Y = Load("x", ROW), Load("y", ROW)
#: Text of the sum over all features.
SUM = "neighbor_sum({}, axis=Feature_to_Unit_local)"
LAYER = SUM.format("weight * x(Feature_to_Unit)")


def of_expression(text: str, arguments: str, out: str = "out") -> SmallProgram:
    """The program of one operator that gives one expression."""
    return SmallProgram(f"def apply({arguments}):\n    return {text}", f"apply({arguments}, out={out})")


def of(name: str, *arguments: Expression) -> Operation:
    return Operation(name, arguments)


def test_an_element_wise_operator_is_one_definition() -> None:
    program = of_expression("x * gain", "x, gain").read()
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
    assert of_expression(text, "x, y").read().definitions == [Definition("out", 3, expected)]


def test_a_layer_is_a_product_and_what_is_used_twice_is_a_definition() -> None:
    text = f"def apply(x, weight):\n    units = {LAYER} - 1.0\n    return units * units"
    product = Definition("value_0", 4, Sum(), (Product(X, "weight", 3),))
    units = Definition("value_1", 4, of("-", Load("value_0", ROW), Number(1.0)))
    squared = Definition("out_units", 4, of("*", Load("value_1", ROW), Load("value_1", ROW)))
    program = SmallProgram(text, "apply(x, weight, out=out_units)").read()
    assert program.definitions == [product, units, squared]
    assert program.inner == {"value_0", "value_1"}


def test_a_field_over_columns_alone_is_one_feature_of_each() -> None:
    program = of_expression("row * gain", "row, gain").read()
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


#: Operators and statements.
PROGRAMS = {
    "functions": (
        """
def apply(x, y, gain):
    positive = abs(x) + 0.5
    return (sqrt(positive) + log(positive) - exp(-x) / tanh(y), maximum(x, minimum(gain, arctan(y))) + positive ** 1.5)
""",
        "apply(x, y, gain, out=(out, out_other))",
    ),
    "a condition is used twice": (
        """
def apply(x, y):
    larger = x > y
    return where(larger, x, y) * where(larger, 2.0, 3.0) + astype(larger, float64)
""",
        "apply(x, y, out=out)",
    ),
    "conditions are chosen by a condition": (
        """
def apply(x, y):
    chosen = where(x > 0.0, x > y, y > x)
    return where(chosen, x, y) + astype(where(y > 0.0, x <= y, y <= x), float64)
""",
        "apply(x, y, out=out)",
    ),
    "tuples and operators in operators": (
        """
def twice(x):
    return x + x
def pair(x, y):
    return twice(x * y), twice(twice(x))
def apply(value):
    parts = pair(value[1], value[0])
    return parts[0] - parts[1], where(parts[0] > parts[1], parts, (value[0], 1.0 + value[1]))[1]
""",
        "apply(value, out=(out, out_other))",
    ),
    "layers": (
        """
def dense(x, weight):
    return neighbor_sum(weight * x(Feature_to_Unit), axis=Feature_to_Unit_local)
def back(units, back_weight):
    return neighbor_sum(units(Unit_to_Feature) * back_weight, axis=Unit_to_Feature_local)
def residual(x, y, weight, back_weight, unit_gain, row):
    units = maximum(0.0, dense(x, weight) + dense(y * 2.0, weight) + unit_gain)
    return x + back(units * row, back_weight), units
""",
        """
        residual(x, y, weight, back_weight, unit_gain, row, out=(out, out_units))
        back(out_units, back_weight, out=out_other)
        """,
    ),
    "statistics of a row": (
        """
def average(x, averaging):
    return neighbor_sum(averaging * x(Feature_to_Moment), axis=Feature_to_Moment_local)
def normalise(x, averaging, gain):
    deviation = sqrt(average(x * x, averaging) * average(x * x, averaging) + 0.1)
    return x / deviation(Moment_to_Feature[0]) * gain
def apply(x, averaging, gain, statistic):
    return normalise(x, averaging, gain) + statistic(Moment_to_Feature[0])
""",
        "apply(x, averaging, gain, statistic, out=out)",
    ),
    "a layer of what is alike in a row": (
        """
def apply(statistic, row, gain, weight):
    alike = statistic(Moment_to_Feature[0])
    of_column = neighbor_sum(weight * (row * gain)(Feature_to_Unit), axis=Feature_to_Unit_local)
    return neighbor_sum(weight * alike(Feature_to_Unit), axis=Feature_to_Unit_local) + of_column
""",
        "apply(statistic, row, gain, weight, out=out_units)",
    ),
    "columns alone": (
        """
def apply(row):
    t = exp(0.0 - row * row)
    return t / (1.0 + t)
""",
        "apply(row, out=work_row)\n apply(work_row, out=out_row)",
    ),
    "scratch fields set anew": (
        """
def step(x, y):
    return (x + y) * 0.5
def swap(x, y):
    return y, x
""",
        """
        step(x, y, out=work_a)
        step(work_a, y, out=work_b)
        swap(work_a, work_b, out=(work_a, work_b))
        step(work_a, x, out=work_a)
        step(work_a, work_b, out=out)
        """,
    ),
}


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


@settings(max_examples=60, deadline=None)
@given(text=operators())
def test_random_programs_are_read_for_what_they_compute(text: str) -> None:
    agree(SmallProgram(text, "apply(x, y, row, gain, weight, back_weight, averaging, out=out)"), rtol=1e-10)


def test_extents_that_the_program_takes_for_equal_are_known() -> None:
    """They are checked when it runs: results are as large as the first field along a dimension."""
    small = of_expression(f"{LAYER} * unit_gain", "x, weight, unit_gain", "out_units")
    assert small.read().equal_extents == []
    small.sizes = {"x": (5, 7), "out_units": (6, 4), "unit_gain": (8,)}
    assert small.read().equal_extents == [(4, 8), (5, 6), (7, 3)]


def refused(small: SmallProgram, **of_tables: Any) -> str:
    """The reason; one line of moderate length."""
    with pytest.raises(RefusedError) as caught:
        small.read(**of_tables)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 120
    return message


@pytest.mark.parametrize(
    ("text", "arguments", "out", "reason"),
    [
        # reductions
        (LAYER.replace("neighbor_sum", "max_over"), "x, weight", "out_units", "it reduces a list by 'maximum' from '-1.7976931348623157e+308'"),
        (LAYER.replace("neighbor_sum", "min_over"), "x, weight", "out_units", "it reduces a list by 'minimum' from '1.7976931348623157e+308'"),
        (SUM.format("x(Feature_to_Unit)"), "x", "out_units", "it sums a list that is not weights times all elements of a row"),
        (SUM.format("2.0 * x(Feature_to_Unit)"), "x", "out_units", "it calls 'make_const_list'"),
        (SUM.format("-x(Feature_to_Unit)"), "x", "out_units", "it has 'map_list(neg)(·__arg0)'"),
        (SUM.format("weight + x(Feature_to_Unit)"), "x, weight", "out_units", "it maps 'plus' over a list"),
        (SUM.format("weight / x(Feature_to_Unit)"), "x, weight", "out_units", "it maps 'divides' over a list"),
        (SUM.format("weight * x(Feature_to_Unit) * x(Feature_to_Unit)"), "x, weight", "out_units", "it multiplies lists that are not weights and all elements of a row"),
        (SUM.format("weight * weight * x(Feature_to_Unit)"), "x, weight", "out_units", "it multiplies lists that are not weights and all elements of a row"),
        (f"units + {SUM.format('weight * gain(Feature_to_Unit)')}", "units, gain, weight", "out_units", "it multiplies weights with what is no row of a column"),
        # tables
        ("neighbor_sum(ring_weight * x(Ring), axis=Ring_local)", "x, ring_weight", "out_units", "it reads through the table 'Ring', which is not complete"),
        ("x(Feature_to_Unit[0])", "x", "out_units", "it gathers through the table 'Feature_to_Unit', which is not one that broadcasts"),
        ("x(Feature_to_Unit[1])", "x", "out_units", "it reads neighbour 1 of the table 'Feature_to_Unit'"),
        ("statistic(Moment_to_Feature[1])", "statistic", "out", "it reads neighbour 1 of the table 'Moment_to_Feature'"),
        ("x(Feature + 1)", "x", "out", "it has '⟪Featureₕ→Featureₕ, 1ₒ⟫(__it)'"),
        # other columns
        ("row(Sides[0])", "row", "out_row", "it gathers through the table 'Sides', which is not one that broadcasts"),
        ("neighbor_sum(row(Sides), axis=Sides_local)", "row", "out_row", "it reads through the table 'Sides', which is not complete"),
        ("neighbor_sum(side_weight * row(Sides), axis=Sides_local)", "row, side_weight", "out_row", "'side_weight' is over Column, Sides"),
        # functions and literals
        ("x + cbrt(x * x * x + y * y * y + x * y * (x + y) * (x + 2.0 * y) * (2.0 * x + y))", "x, y", "out", "it calls 'cbrt'"),
        ("where((x > 0.0) & (y > 0.0), x, y)", "x, y", "out", "it calls 'and_'"),
        ("broadcast(1.0, (Column, Feature))", "x", "out", "it calls 'broadcast'"),
        ("astype(astype(x, float32), float64)", "x", "out", "it casts to 'float32'"),
        ("x if True else y", "x, y", "out", "it has the literal 'True' of type bool"),
        ("minimum(x, float64('inf'))", "x", "out", "it has the literal 'inf' of type float64"),
        # dimensions
        ("x + number", "x, number", "out", "'number' is over no dimension"),
        ("gain + 1.0", "gain", "gain", "'gain' is not over columns"),
    ],
)  # fmt: skip
def test_whatever_else_an_operator_does_is_refused_in_one_line(
    text: str, arguments: str, out: str, reason: str
) -> None:
    assert refused(of_expression(text, arguments, out)) == reason


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
        ("with_unused(x, unit_gain, out=out)", "'multiplies' has arguments over Column, Feature, Unit"),
    ],
)
def test_whatever_else_a_program_does_is_refused_in_one_line(statements: str, reason: str) -> None:
    operators = """
def apply(x):
    return x + 1.0
def apply_to_both(x):
    return x + 1.0, x
def with_unused(x, unit_gain):
    unused = x * unit_gain
    return x + 1.0
"""
    assert refused(SmallProgram(operators, statements)) == reason


K = gtx.Dimension("K", kind=gtx.DimensionKind.VERTICAL)


@pytest.mark.parametrize(
    ("text", "types", "reason"),
    [
        ("x * astype(gain, float64)", {"gain": gtx.Field[[Feature], gtx.float32]}, "'gain' is of type float32, others of float64"),
        ("where(gain, x, 2.0 * x)", {"gain": gtx.Field[[Feature], bool]}, "'gain' is of type bool"),
        ("x * gain", {"gain": gtx.float64}, "'gain' is no field"),
        ("x + astype(gain, float64)", {"gain": gtx.Field[[Column, K], gtx.int32]}, "'gain' is of type int32"),
    ],
)  # fmt: skip
def test_other_arguments_are_refused(text: str, types: dict[str, Any], reason: str) -> None:
    operator = f"def apply(x, gain):\n    return {text}"
    assert refused(SmallProgram(operator, "apply(x, gain, out=out)", types)) == reason


def test_vertical_levels_are_refused() -> None:
    types = dict.fromkeys(("x", "out"), gtx.Field[[Column, K], gtx.float64])
    small = SmallProgram("def apply(x):\n    return x + 1.0", "apply(x, out=out)", types)
    assert refused(small) == "'x' is over Column, K"


def test_tables_count_as_what_they_are_said_to_be() -> None:
    layer = of_expression(LAYER, "x, weight", "out_units")
    assert (
        refused(layer, complete=COMPLETE[1:]) == "it reads through the table 'Feature_to_Unit', which is not complete"
    )
    statistic = of_expression("statistic(Moment_to_Feature[0])", "statistic")
    reason = "it gathers through the table 'Moment_to_Feature', which is not one that broadcasts"
    assert refused(statistic, broadcast=()) == reason
    sides = of_expression("row(Sides[0])", "row", "out_row")
    reason = "it gathers through the table 'Sides' from what is no row of a column"
    assert refused(sides, broadcast=("Sides",)) == reason


class _Change(eve.NodeTranslator):
    """Changes the name, number, offset or axis at one place, counted in the order of the visit."""

    def __init__(self, place: int) -> None:
        self.left = place

    def _changed(self, node: Any, value: Any) -> Any:
        self.left -= 1
        field = "id" if isinstance(node, ir.SymRef) else "value"
        return node.__class__(**{field: value}, type=node.type) if self.left == -1 else node

    def visit_SymRef(self, node: ir.SymRef) -> ir.SymRef:
        return self._changed(node, "sin")

    def visit_Literal(self, node: ir.Literal) -> ir.Literal:
        return self._changed(node, "1" if float(node.value) == 0.0 else "0")

    def visit_OffsetLiteral(self, node: ir.OffsetLiteral) -> ir.OffsetLiteral:
        return self._changed(node, node.value + 1 if isinstance(node.value, int) else COMPLETE[1])

    def visit_AxisLiteral(self, node: ir.AxisLiteral) -> ir.AxisLiteral:
        return self._changed(node, "another")


@pytest.mark.parametrize("what", PROGRAMS)
def test_nothing_in_a_program_is_passed_over(what: str) -> None:
    """Whatever name, number, offset or axis of it is another one, it is refused or read as another program."""
    small = SmallProgram(*PROGRAMS[what])
    shapes = {name: array.shape for name, array in leaves(small.arguments()).items()}

    def read(program: ir.Program) -> ColumnProgram:
        return read_program(program, shapes, Column.value, tables(), SCRATCH_PREFIXES)

    original, place = read(small.program.gtir), 0
    while True:
        change = _Change(place)
        changed = change.visit(small.program.gtir)
        if change.left >= 0:
            break
        try:
            assert read(changed) != original, f"place {place} of\n{changed}"
        except RefusedError:
            pass
        place += 1
    assert place > 60
