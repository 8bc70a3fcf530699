"""Fusing keeps what a program computes, and leaves nothing that could be taken into its users."""

import dataclasses
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.lowering.columns.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    Product,
    Sum,
    loads,
)
from ailand_gt4py.lowering.columns.fuse import fuse, may_be_beside, side_by_side
from ailand_gt4py.lowering.columns.interpret import Interpreter

#: Integers modulo 2^64 form a ring, so that values stay the same, bit by bit, in whatever order a sum is taken.
#: Operations that have no meaning there stand for some other function, which rearranging would change.
RING = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "neg": operator.neg,
    ">": lambda a, b: np.asarray(a > b, np.int64),
    "select": lambda condition, a, b: np.where(condition != 0, a, b),
    "max": np.maximum,
    "min": np.minimum,
    "/": lambda a, b: 5 * a + 3 * b * b + 1,
    "sqrt": lambda a: 7 * a * a + a + 3,
    "exp": lambda a: 11 * a * a + 2,
}
ARGUMENTS = {"+": 2, "-": 2, "*": 2, "/": 2, "max": 2, "min": 2, ">": 2, "neg": 1, "sqrt": 1, "exp": 1, "select": 3}
N_COLUMNS, N_FEATURES, N_MOMENTS = 3, 4, 2
#: What is used several times is written out as often up to so many operations.
MOST_OPERATIONS = 64


def given_values() -> dict[str, np.ndarray]:
    """The caller's arrays."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {f"x{k}": (N_COLUMNS, N_FEATURES) for k in range(2)}
    shapes |= {f"v{k}": (N_FEATURES,) for k in range(2)}
    shapes |= {f"w{k}": (N_FEATURES, N_FEATURES) for k in range(3)} | {"averaging": (N_MOMENTS, N_FEATURES)}
    return {name: random.integers(-9, 9, shape) for name, shape in shapes.items()}


@st.composite
def programs(draw: st.DrawFn) -> ColumnProgram:
    """Element-wise definitions, layers, sums of layers, statistics of rows, copies, in any order."""
    rows, narrow, layers = ["x0", "x1"], [], []
    definitions: list[Definition] = []

    def leaf() -> Expression:
        kinds = ["row", "row", "feature", "number", "position"]
        kinds += ["statistic"] * 2 * bool(narrow) + ["layer"] * 2 * bool(layers)
        match draw(st.sampled_from(kinds)):
            case "row":
                return Load(draw(st.sampled_from(rows)), ROW)
            case "feature":
                return Load(draw(st.sampled_from(["v0", "v1"])), draw(st.sampled_from([("feature",), (0,), (3,)])))
            case "position":
                position = draw(st.sampled_from([0, 0, N_FEATURES - 1]))
                return Load(draw(st.sampled_from(rows)), ("column", position))
            case "statistic":
                return Load(draw(st.sampled_from(narrow)), ("column", draw(st.sampled_from([0, 0, 0, 1]))))
            case "layer":
                return Load(draw(st.sampled_from(layers)), ROW)
        return Number(draw(st.integers(-3, 3)))

    def expression(depth: int) -> Expression:
        if depth == 0 or draw(st.integers(0, 3)) == 0:
            return leaf()
        name = draw(st.sampled_from([*ARGUMENTS, "+", "+", "*"]))
        return Operation(name, tuple(expression(depth - 1) for _ in range(ARGUMENTS[name])))

    for k in range(draw(st.integers(1, 10))):
        name = f"d{k}"
        match draw(st.sampled_from(["value", "value", "value", "layer", "layer", "statistic", "copy"])):
            case "value":
                definitions.append(Definition(name, N_FEATURES, expression(3)))
                rows.append(name)
            case "layer":
                product = Product(Load(draw(st.sampled_from(rows)), ROW), f"w{draw(st.integers(0, 2))}", N_FEATURES)
                definitions.append(Definition(name, N_FEATURES, Sum(), (product,)))
                layers.append(name)
                rows.append(name)
            case "statistic":
                product = Product(Load(draw(st.sampled_from(rows)), ROW), "averaging", N_FEATURES)
                definitions.append(Definition(name, N_MOMENTS, Sum(), (product,)))
                narrow.append(name)
            case "copy":
                definitions.append(Definition(name, N_FEATURES, Load(draw(st.sampled_from(rows)), ROW)))
                rows.append(name)
    outputs = {"out", *draw(st.sets(st.sampled_from(rows)))}
    definitions.append(Definition("out", N_FEATURES, expression(3)))
    inner = {d.result for d in definitions} - outputs
    return ColumnProgram("random", definitions, inner, N_COLUMNS)


def run(program: ColumnProgram) -> dict[str, np.ndarray]:
    return Interpreter(N_COLUMNS, given_values(), operations=RING).run(program)


@settings(max_examples=400, deadline=None)
@given(program=programs())
def test_values_stay_what_they_were(program: ColumnProgram) -> None:
    fused = fuse(program)
    before, after = run(program), run(fused)
    assert before.keys() == after.keys()
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected, err_msg=name)


@settings(max_examples=200, deadline=None)
@given(program=programs())
def test_nothing_is_left_that_could_be_taken_into_its_only_user(program: ColumnProgram) -> None:
    fused = fuse(program)
    assert len(fused.definitions) <= len(program.definitions)
    assert fused.results == program.results
    for definition in fused.definitions:
        if definition.by_row or not definition.products:
            continue
        assert all(isinstance(product.x, Load) for product in definition.products), "a layer reads rows in memory"
    for definition in fused.definitions:
        if definition.result not in fused.inner:
            continue
        users = [d for d in fused.definitions if any(load.array == definition.result for load in d_loads(d))]
        assert users, f"{definition.result} is read by nobody"
        by_layers = any(
            load.array == definition.result
            for d in users
            if not d.by_row
            for product in d.products
            for load in loads(product.x)
        )
        if definition.products or by_layers or len(users) > 1:
            continue
        (user,) = users
        sums = {d.result for d in fused.definitions if d.value == Sum()}
        own, others = (sums.intersection(load.array for load in d_loads(d)) for d in (definition, user))
        if own and (user.products or others):
            continue  # each adds up products of its own, or would if each product were read once
        indices = [load.index for load in d_loads(user) if load.array == definition.result]
        is_large = len(indices) > 1 and len(indices) * n_operations(definition) > MOST_OPERATIONS
        assert is_large or set(indices) != {ROW}, f"{definition.result} has one user, {user.result}"


def d_loads(definition: Definition) -> list[Load]:
    return [load for expression in definition.expressions() for load in loads(expression)]


def n_operations(definition: Definition) -> int:
    """How many operations a definition is written with."""

    def count(expression: Expression) -> int:
        return 1 + sum(map(count, expression.arguments)) if isinstance(expression, Operation) else 0

    return sum(map(count, definition.expressions()))


@settings(max_examples=200, deadline=None)
@given(program=programs())
def test_a_definition_reads_what_was_written_before(program: ColumnProgram) -> None:
    fused = fuse(program)
    computed = {definition.result for definition in program.definitions}
    known: set[str] = set()
    for definition in fused.definitions:
        assert {name for name in definition.arrays() if name in computed} <= known
        known.add(definition.result)


def load(name: str) -> Load:
    return Load(name, ROW)


def plus(*terms: Expression) -> Expression:
    first, *others = terms
    for other in others:
        first = Operation("+", (first, other))
    return first


def layer(name: str, x: str, weight: str) -> Definition:
    return Definition(name, N_FEATURES, Sum(), (Product(load(x), weight, N_FEATURES),))


def program_of(*definitions: Definition, outputs: tuple[str, ...] = ("out",)) -> ColumnProgram:
    inner = {definition.result for definition in definitions} - set(outputs)
    return ColumnProgram("program", list(definitions), inner, N_COLUMNS)


def test_the_products_of_a_sum_become_one_definition() -> None:
    bias = Load("v0", ("feature",))
    value = Operation("max", (Number(0), plus(load("a"), load("b"), bias, load("c"))))
    parts = [layer("a", "x0", "w0"), layer("b", "x1", "w1"), layer("c", "x0", "w2")]
    fused = fuse(program_of(*parts, Definition("out", N_FEATURES, value)))
    (only,) = fused.definitions
    assert only.products == tuple(part.products[0] for part in parts)
    assert only.value == Operation("max", (Number(0), plus(Sum(), bias)))


def test_a_layer_by_weights_that_another_has_alone_is_made_beside_it() -> None:
    """As the tangent of a static part, which is kept, and of what is added to it."""
    kept = Definition("kept", N_FEATURES, plus(load("a"), Load("v0", ("feature",))))
    out = Definition("out", N_FEATURES, Operation("max", (Number(0), plus(load("b"), load("kept")))))
    tangent = Definition("tangent", N_FEATURES, Operation("*", (load("out"), plus(load("da"), load("db")))))
    parts = [
        layer("a", "x0", "w0"),
        kept,
        layer("b", "x1", "w1"),
        out,
        layer("da", "x1", "w0"),
        layer("db", "x0", "w1"),
    ]
    program = program_of(*parts, tangent, outputs=("out", "tangent"))
    fused = fuse(program)
    weights = [[product.weight for product in definition.products] for definition in fused.definitions]
    assert sorted(weights) == [["w0"], ["w0"], ["w1"], ["w1"]]
    for name in ("out", "tangent"):
        np.testing.assert_array_equal(run(fused)[name], run(program)[name])


@pytest.mark.parametrize(
    "value",
    [
        Operation("*", (load("a"), load("b"))),
        Operation("-", (load("a"), load("b"))),
        plus(load("a"), load("a")),
        Operation("*", (plus(load("a"), load("b")), load("a"))),
        plus(Load("a", ("column", 0)), load("x0"), load("a")),
    ],
)
def test_products_that_are_not_one_sum_are_not_added_up(value: Expression) -> None:
    program = program_of(layer("a", "x0", "w0"), layer("b", "x1", "w1"), Definition("out", N_FEATURES, value))
    fused = fuse(program)
    assert not any(len(definition.products) > 1 for definition in fused.definitions)
    np.testing.assert_array_equal(run(fused)["out"], run(program)["out"])


def test_a_product_with_two_users_is_computed_once() -> None:
    fused = fuse(
        program_of(
            layer("a", "x0", "w0"),
            Definition("out", N_FEATURES, plus(load("a"), Number(1))),
            Definition("other", N_FEATURES, plus(load("a"), Number(2))),
            outputs=("out", "other"),
        )
    )
    assert [len(definition.products) for definition in fused.definitions] == [1, 0, 0]


def test_a_value_with_two_users_is_computed_once() -> None:
    value = Definition("value", N_FEATURES, Operation("exp", (load("x0"),)))
    users = [Definition(name, N_FEATURES, plus(load("value"), load("x1"))) for name in ("out", "other")]
    program = program_of(value, *users, outputs=("out", "other"))
    assert fuse(program).definitions == program.definitions


@pytest.mark.parametrize("uses", [2, 3])
def test_what_is_used_again_and_again_does_not_grow_with_the_power_of_its_depth(uses: int) -> None:
    """Each level uses the one before so many times: written out it would be uses^depth operations."""
    depth = 12
    levels = [Definition("d0", N_FEATURES, plus(load("x0"), load("x1")))]
    for k in range(1, depth):
        name = "out" if k == depth - 1 else f"d{k}"
        levels.append(Definition(name, N_FEATURES, Operation("exp", (plus(*[load(f"d{k - 1}")] * uses),))))
    program = program_of(*levels)
    fused = fuse(program)
    before, after = (sum(map(n_operations, p.definitions)) for p in (program, fused))
    assert before < after <= depth * MOST_OPERATIONS
    assert max(map(n_operations, fused.definitions)) <= MOST_OPERATIONS + uses
    assert len(fused.definitions) < depth, "none was taken into its user"
    np.testing.assert_array_equal(run(fused)["out"], run(program)["out"])


@pytest.mark.parametrize(("n_terms", "is_taken"), [(32, True), (33, False)])
def test_what_is_used_twice_is_written_out_up_to_a_number_of_operations(n_terms: int, is_taken: bool) -> None:
    value = Definition("value", N_FEATURES, plus(*[load("x0")] * (n_terms + 1)))
    program = program_of(value, Definition("out", N_FEATURES, Operation("*", (load("value"), load("value")))))
    fused = fuse(program)
    assert [definition.result for definition in fused.definitions] == (["out"] if is_taken else ["value", "out"])
    np.testing.assert_array_equal(run(fused)["out"], run(program)["out"])


def test_what_is_used_once_is_taken_however_large_it_is() -> None:
    value = Definition("value", N_FEATURES, plus(*[load("x0")] * 200))
    fused = fuse(program_of(value, Definition("out", N_FEATURES, plus(load("value"), load("x1")))))
    assert [definition.result for definition in fused.definitions] == ["out"]


def statistic(name: str, x: str) -> Definition:
    return Definition(name, N_MOMENTS, Sum(), (Product(load(x), "averaging", N_FEATURES),))


def test_a_statistic_of_a_row_is_one_reduction_with_its_square_inside() -> None:
    """As in layer normalisation: computed once for the row, not for each feature, and without the squares in memory."""
    square = Definition("square", N_FEATURES, Operation("*", (load("x0"), load("x0"))))
    spread = Definition("spread", N_FEATURES, Operation("sqrt", (plus(Load("variance", ("column", 0)), Number(1)),)))
    out = Definition("out", N_FEATURES, Operation("*", (load("x0"), Load("spread", ("column", 0)))))
    fused = fuse(program_of(square, statistic("variance", "square"), spread, out))
    reduction, scaled = fused.definitions
    assert reduction.by_row
    assert reduction.products[0].x == square.value
    assert reduction.value == Operation("sqrt", (plus(Sum(), Number(1)),))
    assert scaled == out


def test_two_statistics_stay_two_reductions() -> None:
    """A reduction by row is one sum; two in one definition would be taken for matrix products."""
    both = Definition("both", N_FEATURES, plus(Load("a", ("column", 0)), Load("b", ("column", 0))))
    out = Definition("out", N_FEATURES, Operation("*", (load("x0"), Load("both", ("column", 0)))))
    program = program_of(statistic("a", "x0"), statistic("b", "x1"), both, out)
    fused = fuse(program)
    assert [(definition.result, definition.by_row) for definition in fused.definitions][:2] == [
        ("a", True),
        ("b", True),
    ]
    np.testing.assert_array_equal(run(fused)["out"], run(program)["out"])


@pytest.mark.parametrize("position", [0, 3])
def test_a_value_that_is_read_at_one_feature_is_computed_at_that(position: int) -> None:
    """Also where that reader has one feature itself, and where it is summed over a row."""
    value = Definition("value", N_FEATURES, Operation("*", (load("x0"), Load("v0", ("feature",)))))
    at_position = Load("value", ("column", position))
    narrow = Definition("narrow", N_FEATURES, plus(at_position, Number(2)))
    out = Definition("out", N_FEATURES, Operation("*", (load("x1"), Load("narrow", ("column", 0)))))
    for program in (
        program_of(value, narrow, out),
        program_of(
            value,
            Definition("weighted", N_FEATURES, Operation("*", (load("value"), at_position))),
            statistic("sum", "weighted"),
            Definition("out", N_FEATURES, Load("sum", ("column", 0))),
        ),
    ):
        np.testing.assert_array_equal(run(fuse(program))["out"], run(program)["out"])


def test_what_nobody_reads_is_dropped_and_what_the_caller_reads_is_not() -> None:
    unread: Any = [layer("unread", "x0", "w0"), Definition("twice_unread", N_FEATURES, load("unread"))]
    kept = Definition("kept", N_FEATURES, load("x0"))
    out = Definition("out", N_FEATURES, plus(load("kept"), Number(1)))
    fused = fuse(program_of(*unread, kept, out, outputs=("out", "kept")))
    assert fused.definitions == [kept, out]


@settings(max_examples=200, deadline=None)
@given(program=programs())
def test_layers_put_side_by_side_give_what_they_gave(program: ColumnProgram) -> None:
    moved = dataclasses.replace(program, definitions=side_by_side(program.definitions))
    assert sorted(d.result for d in moved.definitions) == sorted(d.result for d in program.definitions)
    for name, values in run(program).items():
        np.testing.assert_array_equal(run(moved)[name], values)


def test_layers_of_the_same_weights_come_side_by_side() -> None:
    value, change, other = layer("value", "x0", "w0"), layer("change", "x1", "w0"), layer("other", "x1", "w1")
    between = Definition("between", N_FEATURES, load("value"))
    assert side_by_side([value, other, between, change]) == [value, change, other, between]
    # Not where the second one reads what is between, or whole rows of the first one.
    after_between, after_value = layer("change", "between", "w0"), layer("change", "value", "w0")
    assert side_by_side([value, between, after_between]) == [value, between, after_between]
    assert not may_be_beside(after_value, [value])
    assert not may_be_beside(other, [value])
    # A single element of the first one's row need not be there yet; its own element is.
    for index, is_there in ((ROW, True), (("column", 0), False)):
        reads = dataclasses.replace(change, value=plus(Sum(), Load("value", index)))
        assert may_be_beside(reads, [value]) == is_there
    narrow = [dataclasses.replace(statistic(name, x), extent=1) for name, x in (("sum", "x1"), ("mean", "x0"))]
    assert not may_be_beside(narrow[0], narrow[1:])
