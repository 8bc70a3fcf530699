"""Dense layers are lifted, exactly those, and a program with anything that looks like one and is none is refused."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
import pytest
from captured_programs import captured_step, contractions_and_reductions, generated_sdfg, unlifted_sdfg
from dace import subsets
from dace.sdfg import nodes
from gt4py.next import max_over, min_over, neighbor_sum

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import Column, contraction
from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import backends, compilation
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.parameters import network_shape
from ailand_gt4py.stencils.instances import named_field_operator

Feature, Unit = gtx.Dimension("Feature"), gtx.Dimension("Unit")
DENSE = contraction(Feature, Unit)
RingLocal = gtx.Dimension("Ring", kind=gtx.DimensionKind.LOCAL)
Ring = gtx.FieldOffset("Ring", source=Feature, target=(Unit, RingLocal))
#: Two neighbours of every unit, in no order: a table that is not complete.
RING_TABLE = np.array([[4, 0], [1, 1], [2, 0], [3, 4]], dtype=np.int32)

Real = gtx.float64
ColumnFeature, ColumnUnit = gtx.Field[[Column, Feature], Real], gtx.Field[[Column, Unit], Real]
WeightType, RingWeight = gtx.Field[[Unit, DENSE.local], Real], gtx.Field[[Unit, RingLocal], Real]


@functools.cache
def reductions(offset: gtx.FieldOffset, local: gtx.Dimension) -> dict[str, Any]:
    """Operators (x, weight) -> (Column, Unit) over one table, by name: a dense layer first, then what is none."""
    weight_type = gtx.Field[[Unit, local], Real]
    tag = offset.value

    @named_field_operator(f"dense_{tag}", Real)
    def dense(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return neighbor_sum(weight * x(offset), axis=local)

    @named_field_operator(f"largest_{tag}", Real)
    def largest(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return max_over(weight * x(offset), axis=local)

    @named_field_operator(f"smallest_{tag}", Real)
    def smallest(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return min_over(weight * x(offset), axis=local)

    @named_field_operator(f"unweighted_{tag}", Real)
    def unweighted(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return neighbor_sum(x(offset), axis=local)

    @named_field_operator(f"added_{tag}", Real)
    def added(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return neighbor_sum(weight + x(offset), axis=local)

    @named_field_operator(f"divided_{tag}", Real)
    def divided(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return neighbor_sum(weight / x(offset), axis=local)

    @named_field_operator(f"squared_{tag}", Real)
    def squared(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return neighbor_sum(weight * x(offset) * x(offset), axis=local)

    @named_field_operator(f"unreduced_{tag}", Real)
    def unreduced(x: ColumnFeature, weight: weight_type) -> ColumnUnit:
        return x(offset[1])

    return {
        "dense": dense,
        "largest": largest,
        "smallest": smallest,
        "unweighted": unweighted,
        "added": added,
        "divided": divided,
        "squared": squared,
        "unreduced": unreduced,
    }


def zeros(n_columns: int = 5, n_features: int = 3, n_units: int = 4) -> tuple[gtx.Field, gtx.Field, gtx.Field]:
    """x, weight and result of the operators over the complete table."""
    return (
        arrays.wrap(np.zeros((n_columns, n_features)), (Column, Feature)),
        arrays.wrap(np.zeros((n_units, n_features)), (Unit, DENSE.local)),
        arrays.wrap(np.zeros((n_columns, n_units)), (Column, Unit)),
    )


PROVIDER = {DENSE.name: DENSE.connectivity(3, 4)}


def lifted(sdfg: dace.SDFG, *tables: str) -> tuple[list[str], int]:
    """Names of the lifted layers, and the number of reductions that are none."""
    sdfg = copy.deepcopy(sdfg)
    LiftContractions(tables)(sdfg)
    return contractions_and_reductions(sdfg)


def test_a_dense_layer_is_lifted() -> None:
    assert contractions_and_reductions(unlifted()) == ([], 1)
    assert lifted(unlifted(), DENSE.name) == ([DENSE.name], 0)


def test_a_table_that_was_not_declared_complete_is_left_alone() -> None:
    assert lifted(unlifted(), "another") == ([], 1)


def test_a_reduction_that_is_no_dense_layer_cannot_be_run_in_blocks() -> None:
    """Over a table that is not complete, so that it is not lifted."""
    with pytest.raises(RunError) as caught:
        generated_sdfg(reductions(DENSE.offset, DENSE.local)["dense"], zeros(), PROVIDER, ("another",))
    message = str(caught.value)
    assert "\n" not in message
    program = f"__field_operator_dense_{DENSE.name}_float64"
    assert message.startswith(f"program '{program}' cannot be run in blocks of columns: ")


def test_every_contraction_of_a_static_part_is_lifted() -> None:
    captured = captured_step("two_branch", 1, static_part=True)
    names, others = lifted(captured.sdfg, *captured.operands.complete_tables)
    assert (names, others) == (["StaticFeature_to_Units_static0", "Units_static0_to_Units_combine0"], 0)


@pytest.mark.slow
def test_every_contraction_of_a_step_is_lifted() -> None:
    captured = captured_step("layer_norm", 1)
    model = captured.model
    expected = [dense.name for _, _, inputs in network_shape(model).contractions for dense in inputs]
    normalised = [name.removesuffix(".gain").replace(".", "") for name in model.parameters if name.endswith(".gain")]
    assert lifted(captured.sdfg, *captured.operands.complete_tables) == (
        sorted([*expected, *(f"Units_{layer}_to_Moment" for layer in normalised)]),
        0,
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("largest", "it reduces with lambda x, y: max"),
        ("smallest", "it reduces with lambda x, y: min"),
        ("unweighted", "is no product"),
        ("added", "is no product"),
        ("divided", "is no product"),
        ("squared", "the factors are not a matrix and a gathered field"),
        ("unreduced", "no reduction was found"),
    ],
)
def test_anything_else_over_a_complete_table_is_refused(name: str, reason: str) -> None:
    with pytest.raises(RunError) as caught:
        generated_sdfg(reductions(DENSE.offset, DENSE.local)[name], zeros(), PROVIDER, (DENSE.name,))
    message = str(caught.value)
    assert "\n" not in message
    assert f"program '__field_operator_{name}_{DENSE.name}_float64'" in message
    assert f"the contractions {DENSE.name} cannot be lifted to GEMM" in message
    assert reason in message


def test_the_refusal_reaches_the_caller_of_the_program() -> None:
    largest = reductions(DENSE.offset, DENSE.local)["largest"]
    operator = largest.with_backend(backends.dace_backend(False, (DENSE.name,)))
    x, weight, result = zeros()
    with compilation.in_this_process(), pytest.raises(RunError, match=f"contractions {DENSE.name} cannot be lifted"):
        operator(x, weight, out=result, offset_provider=PROVIDER)


_DENSE, _RING = reductions(DENSE.offset, DENSE.local), reductions(Ring, RingLocal)
# GT4Py knows an operator in a program by its function's name.
dense_Feature_to_Unit_float64, largest_Ring_float64 = _DENSE["dense"], _RING["largest"]  # noqa: N816


@gtx.field_operator
def dense_of_derived(x: ColumnFeature, weight: WeightType) -> ColumnUnit:
    """A dense layer whose operands are both computed in the program."""
    shifted = x + 1.0
    return dense_Feature_to_Unit_float64(shifted, weight * weight)


@gtx.program
def uncovered(x: ColumnFeature, weight: WeightType, ring_weight: RingWeight, result: ColumnUnit, largest: ColumnUnit):
    dense_of_derived(x, weight, out=result)
    largest_Ring_float64(x, ring_weight, out=largest)


def test_the_refusal_gives_the_reason_of_the_contraction_and_no_other() -> None:
    """The table covers three of five features; the reduction over the other table is rightly none."""
    x, weight, result = zeros(n_features=5)[0], *zeros()[1:]
    ring_weight = arrays.wrap(np.zeros((4, 2)), (Unit, RingLocal))
    provider = PROVIDER | {"Ring": gtx.as_connectivity([Unit, RingLocal], Feature, RING_TABLE)}
    with pytest.raises(RunError) as caught:
        generated_sdfg(uncovered, (x, weight, ring_weight, result, result), provider, (DENSE.name,))
    assert str(caught.value) == (
        f"program 'uncovered': the contractions {DENSE.name} cannot be lifted to GEMM, expected "
        "neighbor_sum(weight * x(offset)) over a complete table: the table does not cover the field's features"
    )


@functools.cache
def unlifted() -> dace.SDFG:
    """The dense operator's SDFG as `LiftContractions` gets it."""
    return unlifted_sdfg(reductions(DENSE.offset, DENSE.local)["dense"], zeros(), PROVIDER)


def the_only(sdfg: dace.SDFG, kind: type, condition: Callable[[Any], bool] = lambda node: True) -> tuple[Any, Any]:
    """(node, state) of the one node of a kind that meets a condition."""
    found = [
        (node, state) for state in sdfg.states() for node in state.nodes() if isinstance(node, kind) and condition(node)
    ]
    assert len(found) == 1
    return found[0]


def tasklet(sdfg: dace.SDFG, code: str) -> tuple[Any, Any]:
    return the_only(sdfg, nodes.Tasklet, lambda node: code in node.code.as_string)


def change_index(edge: Any, axis: int, change: Callable[[Any], Any]) -> None:
    """Replace (first, last, step) of one axis of an edge's memlet."""
    ranges = list(edge.data.subset.ndrange())
    ranges[axis] = change(ranges[axis])
    edge.data.subset = subsets.Range(ranges)


def reduce_by_product(sdfg: dace.SDFG) -> None:
    the_only(sdfg, dace.libraries.standard.Reduce)[0].wcr = "lambda x, y: x * y"


def reduce_one_axis(sdfg: dace.SDFG) -> None:
    the_only(sdfg, dace.libraries.standard.Reduce)[0].axes = (0,)


def gather_from_one(sdfg: dace.SDFG) -> None:
    node, _ = tasklet(sdfg, "__tlet_field[")
    node.code.as_string = node.code.as_string.replace("- 0", "- 1").replace("-0", "-1")


def gather_backwards(sdfg: dace.SDFG) -> None:
    node, _ = tasklet(sdfg, "__tlet_field[")
    node.code.as_string = "__tlet_val = __tlet_field[2 - __tlet_index]"


def swap_table_and_unit(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "__tlet_field[")
    (edge,) = (edge for edge in state.in_edges(node) if edge.data.data.startswith("gt_conn_"))
    change_index(edge, 0, lambda _: (0, 0, 1))


def one_weight_for_all_units(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "*")
    (edge,) = (edge for edge in state.in_edges(node) if len(edge.data.subset.ndrange()) == 2)
    change_index(edge, 0, lambda _: (0, 0, 1))


def one_weight_for_all_neighbours(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "*")
    (edge,) = (edge for edge in state.in_edges(node) if len(edge.data.subset.ndrange()) == 2)
    change_index(edge, 1, lambda _: (0, 0, 1))


def multiply_the_next_neighbour(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "*")
    (edge,) = (edge for edge in state.in_edges(node) if len(edge.data.subset.ndrange()) == 3)
    change_index(edge, 2, lambda index: (index[0] + 1, index[1] + 1, 1))


def multiply_the_next_column(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "*")
    (edge,) = (edge for edge in state.in_edges(node) if len(edge.data.subset.ndrange()) == 3)
    change_index(edge, 0, lambda index: (index[0] + 1, index[1] + 1, 1))


def sum_without_the_last(sdfg: dace.SDFG) -> None:
    node, state = the_only(sdfg, dace.libraries.standard.Reduce)
    (edge,) = state.in_edges(node)
    change_index(edge, 2, lambda index: (index[0], index[1] - 1, 1))


def sum_of_the_next_column(sdfg: dace.SDFG) -> None:
    node, state = the_only(sdfg, dace.libraries.standard.Reduce)
    (edge,) = state.in_edges(node)
    change_index(edge, 0, lambda index: (index[0] + 1, index[1] + 1, 1))


def neighbours_without_the_first(sdfg: dace.SDFG) -> None:
    for state in sdfg.states():
        for node in state.nodes():
            if isinstance(node, nodes.MapEntry) and len(node.map.params) == 1:
                node.map.range = subsets.Range([(1, 2, 1)])
        for edge in state.edges():
            if len(edge.data.subset.ndrange()) == 3 and edge.data.subset.ndrange()[2] == (0, 2, 1):
                change_index(edge, 2, lambda _: (1, 2, 1))


def fewer_units_in_the_sum(sdfg: dace.SDFG) -> None:
    node, state = the_only(sdfg, dace.libraries.standard.Reduce)
    entry = state.entry_node(node)
    column, unit = entry.map.range.ndrange()
    entry.map.range = subsets.Range([column, (unit[0], unit[1] - 1, 1)])


def fewer_units_in_the_product(sdfg: dace.SDFG) -> None:
    node, state = tasklet(sdfg, "*")
    entry = state.entry_node(state.entry_node(node))
    column, unit = entry.map.range.ndrange()
    entry.map.range = subsets.Range([column, (unit[0], unit[1] - 1, 1)])


def read_the_products_twice(sdfg: dace.SDFG) -> None:
    node, state = the_only(sdfg, dace.libraries.standard.Reduce)
    products = state.memlet_path(state.in_edges(node)[0])[0].src
    descriptor = sdfg.arrays[products.data]
    copied, _ = sdfg.add_temp_transient_like(descriptor)
    state.add_nedge(products, state.add_access(copied), dace.Memlet.from_array(products.data, descriptor))


def test_the_captured_chain_is_lifted_when_nothing_is_changed() -> None:
    """Without this the test below would pass for a capture that is no chain at all."""
    sdfg = copy.deepcopy(unlifted())
    LiftContractions((DENSE.name,))(sdfg)
    assert contractions_and_reductions(sdfg) == ([DENSE.name], 0)


@pytest.mark.parametrize(
    "change",
    [
        reduce_by_product,
        reduce_one_axis,
        gather_from_one,
        gather_backwards,
        swap_table_and_unit,
        one_weight_for_all_units,
        one_weight_for_all_neighbours,
        multiply_the_next_neighbour,
        multiply_the_next_column,
        sum_without_the_last,
        sum_of_the_next_column,
        neighbours_without_the_first,
        fewer_units_in_the_sum,
        fewer_units_in_the_product,
        read_the_products_twice,
    ],
)
def test_a_chain_that_computes_something_else_is_not_lifted(change: Callable[[dace.SDFG], None]) -> None:
    sdfg = copy.deepcopy(unlifted())
    before = sdfg.to_json()
    change(sdfg)
    assert sdfg.to_json() != before
    with pytest.raises(RunError, match=f"the contractions {DENSE.name} cannot be lifted to GEMM"):
        LiftContractions((DENSE.name,))(sdfg)


@gtx.program
def covered(x: ColumnFeature, weight: WeightType, ring_weight: RingWeight, result: ColumnUnit, largest: ColumnUnit):
    dense_Feature_to_Unit_float64(x, weight, out=result)
    largest_Ring_float64(x, ring_weight, out=largest)


def test_another_reduction_beside_a_dense_layer_is_refused() -> None:
    """The layer is lifted; what the other reduction does is not known to depend on its own column alone."""
    ring_weight = arrays.wrap(np.zeros((4, 2)), (Unit, RingLocal))
    provider = PROVIDER | {"Ring": gtx.as_connectivity([Unit, RingLocal], Feature, RING_TABLE % 3)}
    x, weight, result = zeros()
    with pytest.raises(RunError) as caught:
        generated_sdfg(covered, (x, weight, ring_weight, result, result), provider, (DENSE.name,))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("program 'covered' cannot be run in blocks of columns: ")


@gtx.program
def some_columns(x: ColumnFeature, weight: WeightType, result: ColumnUnit):
    dense_Feature_to_Unit_float64(x, weight, out=result, domain={Column: (2, 5), Unit: (1, 3)})


def test_a_part_of_the_domain_is_refused() -> None:
    with pytest.raises(RunError, match="program 'some_columns' cannot be run in blocks of columns: "):
        generated_sdfg(some_columns, zeros(), PROVIDER, (DENSE.name,))


@gtx.field_operator
def shift_of_features(x: ColumnFeature) -> ColumnFeature:
    return x + 1.0


@gtx.field_operator
def dense_of_shifted(x: ColumnFeature, weight: WeightType) -> ColumnUnit:
    return dense_Feature_to_Unit_float64(x + 1.0, weight)


@gtx.program
def layers_of_the_callers_arrays(
    x: ColumnFeature, weight: WeightType, of_x: ColumnUnit, of_derived: ColumnUnit, shifted: ColumnFeature
):
    dense_Feature_to_Unit_float64(x, weight, out=of_x)
    dense_of_shifted(x, weight, out=of_derived)
    shift_of_features(x, out=shifted)


@pytest.mark.parametrize(("n_columns", "n_features", "n_units"), [(1, 2, 37), (7, 37, 2), (300, 13, 13)])
def test_layers_on_the_callers_arrays(n_columns: int, n_features: int, n_units: int) -> None:
    """With fewer and with more inputs than outputs; nothing behind an array's own elements is read or written."""
    random = np.random.default_rng(n_columns)
    memory = np.full((n_columns + 50, n_features + 60), np.nan)
    x, weight = memory[:n_columns, :n_features], random.normal(size=(n_units, n_features))
    x[...] = random.normal(size=x.shape)
    results = [np.full((n_columns + 50, size + 60), -9.0) for size in (n_units, n_units, n_features)]
    own = [result[:n_columns, :size] for result, size in zip(results, (n_units, n_units, n_features), strict=True)]
    program = layers_of_the_callers_arrays.with_backend(backends.dace_backend(False, (DENSE.name,)))
    with compilation.in_this_process():
        program(
            arrays.wrap(x, (Column, Feature)),
            arrays.wrap(weight, (Unit, DENSE.local)),
            *(arrays.wrap(a, (Column, d)) for a, d in zip(own, (Unit, Unit, Feature), strict=True)),
            offset_provider={DENSE.name: DENSE.connectivity(n_features, n_units)},
        )
    expected = (x @ weight.T, (x + 1.0) @ weight.T, x + 1.0)
    for found, wanted, result in zip(own, expected, results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        outside = result.copy()
        outside[:n_columns, : found.shape[1]] = -9.0
        assert (outside == -9.0).all(), "written outside of the result"
