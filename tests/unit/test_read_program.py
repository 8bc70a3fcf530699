"""Programs over columns are read for what they compute; whatever else a graph may hold is refused in one line."""

from collections.abc import Callable
from typing import Any

import dace
import numpy as np
import pytest
from captured_programs import CapturedStep, captured_step
from interpreted_programs import Interpreter
from network_reference import forward, leaky_relu, linear, relu

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering.blocks import ColumnBlocks
from ailand_gt4py.lowering.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Load,
    Number,
    Operation,
    Product,
    Sum,
)
from ailand_gt4py.lowering.contraction_node import add_contraction
from ailand_gt4py.lowering.fuse import fuse
from ailand_gt4py.lowering.read_program import RefusedError, read_program

N_COLUMNS = dace.symbol("n_columns", dtype=dace.int64)
COLUMN, FEATURE, OTHER = "i_Column_horizontal", "i_Feature_horizontal", "i_Unit_horizontal"


def whole(extent: Any = 4) -> dict[str, str]:
    return {COLUMN: "0:n_columns", FEATURE: f"0:{extent}"}


class Small:
    """A graph over columns: ``y = x * gain``, then what a test adds."""

    def __init__(self, dtype: Any = dace.float64) -> None:
        self.sdfg = dace.SDFG("small")
        for name in ("x", "y", "z", "other"):
            self.sdfg.add_array(name, (N_COLUMNS, 4), dtype)
        self.sdfg.add_array("gain", (4,), dtype)
        self.sdfg.add_array("weight", (4, 4), dtype)
        self.sdfg.add_array("row", (N_COLUMNS,), dtype)
        self.sdfg.add_array("gt_conn_known", (4, 1), dace.int32)
        self.sdfg.add_array("gt_conn_unknown", (4, 1), dace.int32)
        for name in ("inner", "square"):
            self.sdfg.add_transient(name, (N_COLUMNS, 4), dtype)
        self.sdfg.add_transient("literal", (1,), dtype)
        self.state = self.sdfg.add_state("state")
        self.nodes: dict[str, Any] = {}
        self.add("y", "x_in * gain_in", {"x": ROW_INDEX, "gain": FEATURE})

    def add(
        self,
        result: str,
        code: str,
        reads: dict[str, str],
        ranges: dict[str, str] | None = None,
        written: str | None = None,
        **options: Any,
    ) -> Any:
        """A map with one tasklet; each array is read once and called ``<array>_in`` in the code."""
        tasklet, _, _ = self.state.add_mapped_tasklet(
            f"compute_{result}",
            ranges or whole(),
            {f"{name}_in": dace.Memlet(f"{name}[{index}]") for name, index in reads.items()},
            options.pop("body", f"value = {code}"),
            {"value": dace.Memlet(f"{result}[{written or ROW_INDEX}]", **options.pop("memlet", {}))},
            external_edges=True,
            input_nodes={name: self.nodes[name] for name in reads if name in self.nodes},
            **options,
        )
        self.nodes[result] = next(n for n in self.state.data_nodes() if n.data == result and self.state.in_degree(n))
        return tasklet

    def read(self) -> ColumnProgram:
        return read_program(self.sdfg, "Column", ("units_",), ("known",))


ROW_INDEX = f"{COLUMN}, {FEATURE}"
X_TIMES_GAIN = Definition("y", 4, Operation("*", (Load("x", ROW), Load("gain", ("feature",)))))


def test_an_element_wise_map_is_one_definition() -> None:
    program = Small().read()
    assert program.definitions == [X_TIMES_GAIN]
    assert (program.inner, program.results) == (set(), ["y"])
    assert [str(extent) for extent in program.column_extents] == ["n_columns"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x_in + 1", Operation("+", (Load("x", ROW), Number(1)))),
        ("-x_in", Operation("neg", (Load("x", ROW),))),
        ("max(dace.float64(0.0), x_in)", Operation("max", (Number(0.0), Load("x", ROW)))),
        ("math.sqrt(x_in)", Operation("sqrt", (Load("x", ROW),))),
        ("tanh(exp(x_in))", Operation("tanh", (Operation("exp", (Load("x", ROW),)),))),
        (
            "x_in if x_in > 0.5 else 2.0",
            Operation("select", (Operation(">", (Load("x", ROW), Number(0.5))), Load("x", ROW), Number(2.0))),
        ),
    ],
)
def test_expressions_are_read_as_they_are_written(code: str, expected: Any) -> None:
    small = Small()
    small.add("z", code, {"x": ROW_INDEX})
    assert small.read().definitions[-1] == Definition("z", 4, expected)


def test_literals_copies_places_gathers_and_layers_are_read() -> None:
    small = Small()
    literal = small.state.add_tasklet("literal", {}, {"value"}, "value = 0.25")
    access = small.state.add_access("literal")
    small.state.add_edge(literal, "value", access, None, dace.Memlet("literal[0]"))
    small.nodes["literal"] = access
    inner = small.state.add_access("inner")
    small.nodes["inner"] = inner
    y = small.nodes["y"]
    small.state.add_edge(y, None, inner, None, dace.Memlet("y[0:n_columns, 0:4] -> [0:n_columns, 0:4]"))
    square, weight = small.state.add_access("square"), small.state.add_read("weight")
    memlets = [dace.Memlet(f"{name}[0:n_columns, 0:4]") for name in ("inner", "square")]
    add_contraction(small.state, "dense", ((inner, memlets[0]), (weight, dace.Memlet("weight[0:4, 0:4]"))), (square, memlets[1]))  # fmt: skip  # noqa: E501
    small.nodes["square"] = square
    small.add("z", "literal_in * gain_in + inner_in", {"literal": "0", "gain": "2", "inner": f"{COLUMN}, 1"})
    small.add(
        "other", "square_in[" + COLUMN + ", gt_conn_known_in]",
        {"square": "0:n_columns, 0:4", "gt_conn_known": f"{FEATURE}, 0"},
    )  # fmt: skip
    program = small.read()
    by_name = {definition.result: definition for definition in program.definitions}
    assert by_name["literal"] == Definition("literal", 1, Number(0.25))
    assert by_name["inner"] == Definition("inner", 4, Load("y", ROW))
    assert by_name["square"] == Definition("square", 4, Sum(), (Product(Load("inner", ROW), "weight", 4),))
    scaled = Operation("*", (Load("literal", (0,)), Load("gain", (2,))))
    assert by_name["z"].value == Operation("+", (scaled, Load("inner", ("column", 1))))
    assert by_name["other"].value == Load("square", ("column", 0))
    assert program.inner == {"literal", "inner", "square"}
    assert set(program.results) == {"y", "z", "other"}


def column_offset(small: Small) -> None:
    small.add("z", "x_in", {"x": f"{COLUMN} + 1, {FEATURE}"})


def feature_offset(small: Small) -> None:
    small.add("z", "x_in", {"x": f"{COLUMN}, {FEATURE} + 1"})


def another_column(small: Small) -> None:
    small.add("z", "x_in", {"x": f"0, {FEATURE}"})


def transposed(small: Small) -> None:
    small.add("z", "weight_in", {"weight": f"{FEATURE}, {COLUMN}"})


def one_number_for_each_column(small: Small) -> None:
    small.add("z", "row_in", {"row": COLUMN})


def an_element_of_a_matrix(small: Small) -> None:
    small.add("z", "weight_in", {"weight": f"{FEATURE}, 0"})


def not_over_columns(small: Small) -> None:
    index = f"{OTHER}, {FEATURE}"
    small.add("z", "weight_in", {"weight": index}, {OTHER: "0:4", FEATURE: "0:4"}, index)


def not_over_columns_first(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX}, {FEATURE: "0:4", COLUMN: "0:n_columns"})


def over_columns_alone(small: Small) -> None:
    small.add("z", "x_in", {"x": f"{COLUMN}, 0"}, {COLUMN: "0:n_columns"}, f"{COLUMN}, 0")


def not_from_the_first_column(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX}, {COLUMN: "1:n_columns", FEATURE: "0:4"})


def every_second_feature(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX}, {COLUMN: "0:n_columns", FEATURE: "0:4:2"})


def written_elsewhere(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX}, written=f"{COLUMN}, 3 - {FEATURE}")


def accumulated(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX}, memlet={"wcr": "lambda a, b: a + b"})


def written_twice(small: Small) -> None:
    small.add("z", "x_in", {"x": ROW_INDEX})
    del small.nodes["z"]
    small.add("z", "x_in + 1.0", {"x": ROW_INDEX})


def read_and_written(small: Small) -> None:
    small.add("x", "other_in", {"other": ROW_INDEX})


def sine(small: Small) -> None:
    small.add("z", "math.sin(x_in)", {"x": ROW_INDEX})


def power(small: Small) -> None:
    small.add("z", "x_in ** 2", {"x": ROW_INDEX})


def a_cast_to_integers(small: Small) -> None:
    small.add("z", "dace.int32(x_in)", {"x": ROW_INDEX})


def a_truth_value(small: Small) -> None:
    small.add("z", "x_in if True else 0.0", {"x": ROW_INDEX})


def two_assignments(small: Small) -> None:
    small.add("z", "", {"x": ROW_INDEX}, body="part = x_in\nvalue = part * part")


def cplusplus(small: Small) -> None:
    small.add("z", "", {"x": ROW_INDEX}, body="value = std::sin(x_in);", language=dace.Language.CPP)


def a_table_as_numbers(small: Small) -> None:
    small.add("z", "gt_conn_known_in * 1.0", {"gt_conn_known": f"{FEATURE}, 0"})


def gather(small: Small, table: str, index: str = COLUMN) -> None:
    code = f"x_in[{index}, gt_conn_{table}_in]"
    small.add("z", code, {"x": "0:n_columns, 0:4", f"gt_conn_{table}": f"{FEATURE}, 0"})


def gather_through_an_unknown_table(small: Small) -> None:
    gather(small, "unknown")


def gather_from_another_column(small: Small) -> None:
    gather(small, "known", "0")


def two_states(small: Small) -> None:
    after = small.sdfg.add_state_after(small.state, "after")
    after.add_nedge(after.add_read("x"), after.add_write("z"), dace.Memlet("x[0:n_columns, 0:4]"))


def a_copy_of_some_features(small: Small) -> None:
    small.state.add_nedge(small.state.add_read("x"), small.state.add_write("z"), dace.Memlet("x[0:n_columns, 1:4]"))


def a_copy_to_somewhere(small: Small) -> None:
    small.state.add_nedge(small.nodes["y"], small.state.add_write("z"), dace.Memlet("y[0:n_columns, 0:4]"))


def a_nested_graph(small: Small) -> None:
    nested = Small()
    nested.sdfg.name = "nested"
    node = small.state.add_nested_sdfg(nested.sdfg, {"x", "gain"}, {"y"}, {"n_columns": N_COLUMNS})
    small.state.add_edge(small.state.add_read("x"), None, node, "x", dace.Memlet("x[0:n_columns, 0:4]"))
    small.state.add_edge(small.state.add_read("gain"), None, node, "gain", dace.Memlet("gain[0:4]"))
    small.state.add_edge(node, "y", small.state.add_write("z"), None, dace.Memlet("z[0:n_columns, 0:4]"))


def a_computed_scalar(small: Small) -> None:
    tasklet = small.state.add_tasklet("root", {}, {"value"}, "value = sqrt(2.0)")
    access = small.state.add_access("literal")
    small.state.add_edge(tasklet, "value", access, None, dace.Memlet("literal[0]"))


def a_number_for_one_column(small: Small) -> None:
    tasklet = small.state.add_tasklet("set", {}, {"value"}, "value = 2.0")
    small.state.add_edge(tasklet, "value", small.state.add_write("z"), None, dace.Memlet("z[0, 0]"))


def a_reduction(small: Small) -> None:
    node = small.state.add_reduce("lambda a, b: a + b", (1,), 0)
    small.state.add_edge(small.nodes["y"], None, node, None, dace.Memlet("y[0:n_columns, 0:4]"))
    small.state.add_edge(node, None, small.state.add_write("row"), None, dace.Memlet("row[0:n_columns]"))


def contraction(small: Small, x: str, weight: str) -> None:
    result = (small.state.add_write("z"), dace.Memlet("z[0:n_columns, 0:4]"))
    operands = (
        (small.state.add_read("x"), dace.Memlet(f"x[{x}]")),
        (
            small.state.add_read("weight"),
            dace.Memlet(f"weight[{weight}]"),
        ),
    )
    add_contraction(small.state, "dense", operands, result)


def a_layer_of_other_columns(small: Small) -> None:
    contraction(small, "1:n_columns + 1, 0:4", "0:4, 0:4")


def a_layer_with_other_weights(small: Small) -> None:
    contraction(small, "0:n_columns, 0:3", "0:4, 1:4")


REFUSED = [
    (column_offset, f"'x[{COLUMN} + 1, {FEATURE}]' is indexed by"),
    (feature_offset, f"is indexed by '{FEATURE} + 1'"),
    (another_column, f"'x[0, {FEATURE}]' is neither of a column nor the same for all columns"),
    (transposed, "is neither of a column nor the same for all columns"),
    (one_number_for_each_column, f"'row[{COLUMN}]' is neither of a column"),
    (an_element_of_a_matrix, f"'weight[{FEATURE}, 0]' is neither of a column"),
    (not_over_columns, "map 'compute_z_map' is not over columns and features"),
    (not_over_columns_first, "map 'compute_z_map' is not over columns and features"),
    (over_columns_alone, "map 'compute_z_map' is not over columns and features"),
    (not_from_the_first_column, "map 'compute_z_map' does not start at 0"),
    (every_second_feature, "map 'compute_z_map' does not start at 0"),
    (written_elsewhere, "is indexed by"),
    (accumulated, "'z' is accumulated"),
    (written_twice, "'z' is written more than once"),
    (read_and_written, "'x' is read and written"),
    (sine, "tasklet 'compute_z' has 'math.sin(x_in)'"),
    (power, "tasklet 'compute_z' has 'x_in ** 2'"),
    (a_cast_to_integers, "tasklet 'compute_z' has 'dace.int32(x_in)'"),
    (a_truth_value, "tasklet 'compute_z' has 'True'"),
    (two_assignments, "tasklet 'compute_z' is not one assignment"),
    (cplusplus, "tasklet 'compute_z' is not Python"),
    (a_table_as_numbers, "the table 'gt_conn_known' is read as numbers"),
    (gather_through_an_unknown_table, "through the table 'gt_conn_unknown', which is not one that broadcasts"),
    (gather_from_another_column, "tasklet 'compute_z' gathers by '(0, gt_conn_known_in)'"),
    (two_states, "it has 2 states, expected 1"),
    (a_copy_of_some_features, "the copy to 'z' does not cover whole rows of features"),
    (a_copy_to_somewhere, "the copy to 'z' does not say what it covers"),
    (a_nested_graph, "'z' is written by 'nested'"),
    (a_computed_scalar, "'literal' is computed outside of a loop over columns"),
    (a_number_for_one_column, "'z' is set outside of a loop over columns"),
    (a_reduction, "'row' is written by"),
    (a_layer_of_other_columns, "contraction 'dense' does not cover whole rows of features"),
    (a_layer_with_other_weights, "contraction 'dense' reads its weights from weight[0:4, 1:4]"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_whatever_else_a_graph_does_is_refused_in_one_line(change: Callable[[Small], None], reason: str) -> None:
    small = Small()
    change(small)
    with pytest.raises(RefusedError) as refused:
        small.read()
    assert reason in str(refused.value)
    with pytest.raises(RunError) as caught:
        ColumnBlocks((), ("known",), "Column", ())(small.sdfg)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("program 'small' cannot be run in blocks of columns: ")
    assert reason in message
    assert message.endswith("operations in which each column depends on itself alone")


def test_a_program_that_computes_nothing_is_refused() -> None:
    sdfg = dace.SDFG("nothing")
    sdfg.add_array("x", (N_COLUMNS, 4), dace.float64)
    sdfg.add_state("state").add_read("x")
    with pytest.raises(RunError, match="program 'nothing' cannot be run in blocks of columns: it computes nothing;"):
        ColumnBlocks((), (), "Column", ())(sdfg)


@pytest.mark.parametrize(("which", "dtype"), [("gain", dace.float32), ("x", dace.float32), ("gain", dace.int32)])
def test_mixed_types_are_refused(which: str, dtype: Any) -> None:
    small = Small()
    small.sdfg.arrays[which].dtype = dtype
    with pytest.raises(RunError) as caught:
        ColumnBlocks((), (), "Column", ())(small.sdfg)
    assert f"'{which}' is of type {dtype}, the result 'y' of type double;" in str(caught.value)


def test_a_type_without_vectors_is_refused() -> None:
    with pytest.raises(RunError, match="'x' is of type dace::float16, the result 'y' of type dace::float16;"):
        ColumnBlocks((), (), "Column", ())(Small(dace.float16).sdfg)


def test_a_form_without_a_cplusplus_form_is_refused() -> None:
    small = Small()
    small.add("z", "pow(x_in, gain_in)", {"x": ROW_INDEX, "gain": FEATURE})
    with pytest.raises(RunError, match="program 'small' cannot be run in blocks of columns: it has .*'pow'"):
        ColumnBlocks((), (), "Column", ())(small.sdfg)


def test_what_is_not_refused_becomes_one_tasklet() -> None:
    """Without this the tests above would pass for a hook that refuses everything."""
    small = Small()
    small.add("inner", "y_in + 1.0", {"y": ROW_INDEX})
    small.add("z", "max(inner_in, 0.0)", {"inner": ROW_INDEX})
    ColumnBlocks((), (), "Column", ())(small.sdfg)
    (tasklet,) = (node for node in small.state.nodes() if isinstance(node, dace.nodes.Tasklet))
    assert tasklet.language == dace.Language.CPP
    assert {node.data for node in small.state.data_nodes()} == {"x", "gain", "y", "z"}
    assert "inner" not in small.sdfg.arrays
    small.sdfg.validate()


def size_of(captured: CapturedStep) -> Callable[[Any], int]:
    """The number of features behind an extent of a captured program."""
    sizes, model = captured.model.sizes, captured.model

    def of_symbol(name: str) -> int:
        if name.endswith("_range_0"):
            return 0
        for feature, size in zip(("Static", "Forcing", "State", "Diagnostic"), sizes, strict=True):
            if f"_{feature}Feature_range_1" in name:
                return size
        layer = name.rsplit("_Units_", 1)[1].removesuffix("_range_1")
        block = layer.rstrip("0123456789")
        return len(model.parameters[f"{block}.{layer.removeprefix(block)}.bias"])

    def size(extent: Any) -> int:
        symbols = getattr(extent, "free_symbols", ())
        return int(dace.symbolic.evaluate(extent, {s: of_symbol(str(s)) for s in symbols}) if symbols else extent)

    return size


def inputs(captured: CapturedStep) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.normal(size=(5, size)) for size in captured.model.sizes[:3]]


def scaling(variables: Any) -> tuple[np.ndarray, np.ndarray]:
    shift, scale = (np.array([getattr(v.normalisation, what) for v in variables]) for what in ("shift", "scale"))
    return shift, scale


@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_the_step_of_layer_norm_is_read_for_what_it_computes(fused: bool) -> None:
    captured = captured_step("layer_norm", 1)
    model, given = captured.model, inputs(captured)
    program = fuse(captured.read()) if fused else captured.read()
    arguments = dict(zip(("static_input", "forcing_input", "state_input"), given, strict=True))
    found = Interpreter(5, captured.values | arguments, size_of(captured)).run(program)
    groups = (model.static, model.forcing, model.state)
    normalised = [(x - scaling(group)[0]) / scaling(group)[1] for x, group in zip(given, groups, strict=True)]
    step = forward(model, *normalised)
    for name, expected, group in (
        ("new_state", step.state, model.state),
        ("diagnostics", step.diagnostics, model.diagnostics),
    ):
        shift, scale = scaling(group)
        np.testing.assert_allclose(found[name], expected * scale + shift, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
def test_the_static_part_of_two_branch_is_read_for_what_it_computes(fused: bool) -> None:
    captured = captured_step("two_branch", 1, static_part=True)
    model, static = captured.model, inputs(captured)[0]
    program = fuse(captured.read()) if fused else captured.read()
    found = Interpreter(5, captured.values | {"static_input": static}, size_of(captured)).run(program)
    shift, scale = scaling(model.static)
    branch = relu(linear(model, "static.0", (static - shift) / scale))
    weight = model.parameters["combine.0.weight"][:, : branch.shape[1]]
    np.testing.assert_allclose(found["static_part"], branch @ weight.T + model.parameters["combine.0.bias"], rtol=1e-12)
    assert leaky_relu(found["static_part"]).shape == (5, len(model.parameters["combine.0.bias"]))


@pytest.mark.slow
def test_the_fused_step_of_layer_norm_has_twelve_definitions() -> None:
    captured = captured_step("layer_norm", 1)
    program = fuse(captured.read())
    forms = [
        (definition.result, [product.weight for product in definition.products], definition.by_row)
        for definition in program.definitions
    ]
    trunk = [f"operands_trunk_0_0_0_{k}" for k in range(3)]
    diagnostic = [f"operands_diagnostic_0_0_0_{k}" for k in range(3)]
    inner = [name for name, _, _ in forms if name.startswith("gtir_tmp")]
    assert len(inner) == 4
    assert forms == [
        ("normalised_static", [], False),
        ("normalised_forcing", [], False),
        ("normalised_state", [], False),
        (inner[0], trunk, False),
        (inner[1], ["operands_trunk_0_3"], True),
        ("units_trunk_0", [], False),
        ("normalised_new_state", ["operands_prognostic_0_0"], False),
        ("new_state", [], False),
        (inner[2], diagnostic, False),
        (inner[3], ["operands_diagnostic_0_3"], True),
        ("units_diagnostic_0", [], False),
        ("diagnostics", ["operands_diagnostic_1_0"], False),
    ]
    for place in (4, 9):
        units = Load(program.definitions[place - 1].result, ROW)
        (product,) = program.definitions[place].products
        assert product.x == Operation("*", (units, units)), "the square belongs inside the reduction"
        value = program.definitions[place].value
        assert isinstance(value, Operation)
        assert (value.name, value.arguments[0], value.arguments[1].name) == ("/", Number(1.0), "sqrt")
    assert program.results == ["new_state", "diagnostics"]


def test_the_fused_static_part_of_two_branch_has_three_definitions() -> None:
    program = fuse(captured_step("two_branch", 1, static_part=True).read())
    assert [(definition.result, len(definition.products)) for definition in program.definitions] == [
        ("normalised_static", 0),
        ("units_static_0", 1),
        ("static_part", 1),
    ]
