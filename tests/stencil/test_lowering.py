"""Dense layers become GEMM, exactly those, and what looks like one and is none stays right or is refused."""

import copy
import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

import dace
import gt4py.next as gtx
import numpy as np
import pytest
from dace import subsets
from dace.sdfg import nodes
from gt4py.next import config, max_over, min_over, neighbor_sum
from gt4py.next.otf import arguments, runners
from gt4py.next.program_processors.runners.dace.transformations import GT4PyAutoOptHook
from random_models import random_model

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import Column, ForcingFeature, StateFeature, StaticFeature, contraction, unit_dimension
from ailand_gt4py.emulator import Emulator
from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import backends, compilation
from ailand_gt4py.lowering.contraction_node import DenseContraction
from ailand_gt4py.lowering.lift import LiftContractions
from ailand_gt4py.parameters import network_shape, step_operands
from ailand_gt4py.stencils import layers
from ailand_gt4py.stencils.instances import named_field_operator
from ailand_gt4py.stencils.step import CALLER_FIELDS

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


#: What NumPy makes of gathered (column, unit, neighbour) and weight (unit, neighbour).
EXPECTED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "dense": lambda gathered, weight: (weight * gathered).sum(axis=-1),
    "largest": lambda gathered, weight: (weight * gathered).max(axis=-1),
    "smallest": lambda gathered, weight: (weight * gathered).min(axis=-1),
    "unweighted": lambda gathered, weight: gathered.sum(axis=-1),
    "added": lambda gathered, weight: (weight + gathered).sum(axis=-1),
    "divided": lambda gathered, weight: (weight / gathered).sum(axis=-1),
    "squared": lambda gathered, weight: (weight * gathered**2).sum(axis=-1),
}


def zeros(n_columns: int = 5, n_features: int = 3, n_units: int = 4) -> tuple[gtx.Field, gtx.Field, gtx.Field]:
    """x, weight and result of the operators over the complete table."""
    return (
        arrays.wrap(np.zeros((n_columns, n_features)), (Column, Feature)),
        arrays.wrap(np.zeros((n_units, n_features)), (Unit, DENSE.local)),
        arrays.wrap(np.zeros((n_columns, n_units)), (Column, Unit)),
    )


PROVIDER = {DENSE.name: DENSE.connectivity(3, 4)}


class _Captured(Exception):  # noqa: N818  # no error: it carries the SDFG out of the optimiser
    """Holds an SDFG."""


def generated_sdfg(
    entry: Any, operands: Any, provider: Any, tables: tuple[str, ...], hooks: dict[GT4PyAutoOptHook, Any] | None = None
) -> dace.SDFG:
    """The optimised SDFG of a program or an operator, by the backend's own steps up to the C++ compiler."""
    backend = backends.dace_backend(False, tables)
    translation = backend.executor.translation.step
    if hooks is not None:
        changed = {**translation.auto_optimize_args, "optimization_hooks": hooks}
        translation = dataclasses.replace(translation, auto_optimize_args=changed)

    def translate(program: Any) -> None:
        raise _Captured(translation.generate_sdfg(program.data, program.args.offset_provider, None))

    described = arguments.CompileTimeArgs.from_concrete(*operands, offset_provider=provider)
    with pytest.raises(_Captured) as captured:
        dataclasses.replace(backend, executor=translate).compile(entry.definition_stage, described)
    return captured.value.args[0]


def contractions_and_reductions(sdfg: dace.SDFG) -> tuple[list[str], int]:
    """Names of the GEMMs, and the number of reductions that are none."""
    found = [node for node, _ in sdfg.all_nodes_recursive()]
    gemms = sorted(node.label for node in found if isinstance(node, DenseContraction))
    return gemms, sum(isinstance(node, dace.libraries.standard.Reduce) for node in found)


def test_a_dense_layer_becomes_one_gemm() -> None:
    sdfg = generated_sdfg(reductions(DENSE.offset, DENSE.local)["dense"], zeros(), PROVIDER, (DENSE.name,))
    assert contractions_and_reductions(sdfg) == ([DENSE.name], 0)


def test_a_table_that_was_not_declared_complete_is_left_alone() -> None:
    sdfg = generated_sdfg(reductions(DENSE.offset, DENSE.local)["dense"], zeros(), PROVIDER, ("another",))
    assert contractions_and_reductions(sdfg) == ([], 1)


def test_a_normalised_layer_on_three_inputs_becomes_four_gemms() -> None:
    model = random_model("layer_norm", depth=1)
    operands = step_operands(model, np.dtype("float32"), "cpu")
    units = unit_dimension("trunk0")
    fields = [
        arrays.wrap(np.zeros((6, size), dtype=np.float32), (Column, feature))
        for feature, size in ((StaticFeature, 4), (ForcingFeature, 3), (StateFeature, 2), (units, 5))
    ]
    sdfg = generated_sdfg(
        layers.input_layer(units, "layer_norm_relu", np.float32),
        (*fields[:3], operands.by_name["operands_trunk_0"], fields[3]),
        operands.offset_provider,
        operands.complete_tables,
    )
    names = [f"{source}_to_Units_trunk0" for source in ("ForcingFeature", "StateFeature", "StaticFeature")]
    assert contractions_and_reductions(sdfg) == ([*names, "Units_trunk0_to_Moment"], 0)


@pytest.mark.slow
def test_every_contraction_of_a_step_becomes_a_gemm() -> None:
    model = random_model("layer_norm", depth=1)
    emulator = Emulator(model, 6, "dace_cpu")
    fields = [
        arrays.wrap(np.zeros(shape, dtype=np.float32), (Column, feature))
        for shape, feature in zip(emulator._shapes.values(), CALLER_FIELDS.values(), strict=True)
    ]
    operands = emulator._operands
    sdfg = generated_sdfg(
        emulator._program, (*fields, *emulator._fixed_arguments), operands.offset_provider, operands.complete_tables
    )
    expected = [dense.name for _, _, inputs in network_shape(model).contractions for dense in inputs]
    normalised = [name.removesuffix(".gain").replace(".", "") for name in model.parameters if name.endswith(".gain")]
    assert contractions_and_reductions(sdfg) == (
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
dense_Feature_to_Unit_float64, dense_Ring_float64 = _DENSE["dense"], _RING["dense"]  # noqa: N816
largest_Ring_float64, unweighted_Ring_float64 = _RING["largest"], _RING["unweighted"]  # noqa: N816
added_Ring_float64, squared_Ring_float64 = _RING["added"], _RING["squared"]  # noqa: N816


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
def unlifted_sdfg() -> dace.SDFG:
    """The dense operator's SDFG as `LiftContractions` gets it."""

    def capture(sdfg: dace.SDFG) -> None:
        raise _Captured(copy.deepcopy(sdfg))

    hooks = {GT4PyAutoOptHook.TopLevelDataFlowPre: capture}
    return generated_sdfg(reductions(DENSE.offset, DENSE.local)["dense"], zeros(), PROVIDER, (DENSE.name,), hooks)


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
    sdfg = copy.deepcopy(unlifted_sdfg())
    LiftContractions((DENSE.name,), "cblas")(sdfg)
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
    sdfg = copy.deepcopy(unlifted_sdfg())
    before = sdfg.to_json()
    change(sdfg)
    assert sdfg.to_json() != before
    with pytest.raises(RunError, match=f"the contractions {DENSE.name} cannot be lifted to GEMM"):
        LiftContractions((DENSE.name,), "cblas")(sdfg)


@gtx.program
def mixture(
    x: ColumnFeature,
    weight: WeightType,
    ring_weight: RingWeight,
    all_units: ColumnUnit,
    some_units: ColumnUnit,
    of_derived: ColumnUnit,
    ring_dense: ColumnUnit,
    ring_largest: ColumnUnit,
    ring_unweighted: ColumnUnit,
    ring_added: ColumnUnit,
    ring_squared: ColumnUnit,
):
    dense_Feature_to_Unit_float64(x, weight, out=all_units)
    dense_Feature_to_Unit_float64(x, weight, out=some_units, domain={Column: (2, 5), Unit: (1, 3)})
    dense_of_derived(x, weight, out=of_derived)
    dense_Ring_float64(x, ring_weight, out=ring_dense)
    largest_Ring_float64(x, ring_weight, out=ring_largest)
    unweighted_Ring_float64(x, ring_weight, out=ring_unweighted)
    added_Ring_float64(x, ring_weight, out=ring_added)
    squared_Ring_float64(x, ring_weight, out=ring_squared)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_columns", [7, 300])
def test_contractions_and_other_reductions_in_one_program(order: str, n_columns: int) -> None:
    """Also for columns-first memory, and without a write behind the last column, which are in larger arrays."""
    random = np.random.default_rng(n_columns)
    x = random.uniform(0.5, 1.5, (n_columns, 5))
    weight, ring_weight = random.normal(size=(4, 5)), random.normal(size=(4, 2))
    names = ("all_units", "some_units", "of_derived", "ring_dense", "ring_largest", "ring_unweighted", "ring_added")
    memory = {name: np.full((n_columns + 300, 4), -9.0, order=order) for name in (*names, "ring_squared")}
    results = {name: array[:n_columns] for name, array in memory.items()}
    program = mixture.with_backend(backends.dace_backend(False, (DENSE.name,)))
    provider = {
        DENSE.name: DENSE.connectivity(5, 4),
        "Ring": gtx.as_connectivity([Unit, RingLocal], Feature, RING_TABLE),
    }
    with compilation.in_this_process():
        program(
            arrays.wrap(np.asarray(x, order=order), (Column, Feature)),
            arrays.wrap(np.asarray(weight, order=order), (Unit, DENSE.local)),
            arrays.wrap(ring_weight, (Unit, RingLocal)),
            *(arrays.wrap(result, (Column, Unit)) for result in results.values()),
            offset_provider=provider,
        )
    product = x @ weight.T
    expected = {
        "all_units": product,
        "some_units": np.full((n_columns, 4), -9.0),
        "of_derived": (x + 1.0) @ (weight**2).T,
    }
    expected["some_units"][2:5, 1:3] = product[2:5, 1:3]
    gathered = x[:, RING_TABLE]
    for name, result in results.items():
        wanted = expected[name] if name in expected else EXPECTED[name.removeprefix("ring_")](gathered, ring_weight)
        np.testing.assert_allclose(result, wanted, rtol=1e-13, atol=1e-13, err_msg=name)
        assert (memory[name][n_columns:] == -9.0).all(), name


@pytest.fixture
def gt4py_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """GT4Py's settings as in a new process without any in its environment; restored afterwards."""
    monkeypatch.setattr(config, "BUILD_CACHE_LIFETIME", config.BuildCacheLifetime.SESSION)
    monkeypatch.setattr(config, "BUILD_CACHE_DIR", pathlib.Path("working_directory"))
    for name in ("GT4PY_BUILD_CACHE_LIFETIME", "GT4PY_BUILD_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_programs_are_kept_in_the_users_cache(
    gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path, variable: str
) -> None:
    gt4py_settings.setenv(variable, str(tmp_path))
    expected = tmp_path / ("ailand_gt4py" if variable == "XDG_CACHE_HOME" else ".cache/ailand_gt4py")
    assert compilation.keep_programs() == config.BUILD_CACHE_DIR == expected
    assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.PERSISTENT


def test_programs_are_kept_where_the_caller_wants(gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    gt4py_settings.setenv("XDG_CACHE_HOME", str(tmp_path / "not_this"))
    assert compilation.keep_programs(tmp_path) == config.BUILD_CACHE_DIR == tmp_path


def test_gt4pys_own_settings_come_first(gt4py_settings: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    gt4py_settings.setenv("GT4PY_BUILD_CACHE_DIR", "read by GT4Py at its import")
    assert compilation.keep_programs(tmp_path) == config.BUILD_CACHE_DIR == pathlib.Path("working_directory")
    assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.PERSISTENT
    config.BUILD_CACHE_LIFETIME = config.BuildCacheLifetime.SESSION
    gt4py_settings.setenv("GT4PY_BUILD_CACHE_LIFETIME", "session")
    compilation.keep_programs(tmp_path)
    assert config.BUILD_CACHE_LIFETIME is config.BuildCacheLifetime.SESSION


@pytest.mark.parametrize("fails", [False, True])
def test_compilation_in_this_process_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    monkeypatch.setattr(config, "BUILD_JOBS_MODE", config.BuildJobsMode.PROCESS)

    def body() -> None:
        with compilation.in_this_process():
            assert config.BUILD_JOBS_MODE is config.BuildJobsMode.SERIAL
            assert isinstance(runners.get_default_runner(), runners.SerialRunner)
            warnings.warn("a remark of GT4Py", UserWarning, stacklevel=1)
            warnings.warn("something else", RuntimeWarning, stacklevel=1)
            if fails:
                raise ZeroDivisionError

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if fails:
            with pytest.raises(ZeroDivisionError):
                body()
        else:
            body()
        warnings.warn("afterwards", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else", "afterwards"]
    assert config.BUILD_JOBS_MODE is config.BuildJobsMode.PROCESS
    assert runners._default_runner is None, "the serial runner would have served later compilations of the host"


OTHER_PROCESS = textwrap.dedent("""
    import numpy as np
    from random_models import random_model
    from ailand_gt4py.emulator import Emulator
    from ailand_gt4py.errors import RunError
    from ailand_gt4py.lowering.compilation import keep_programs

    keep_programs()
    emulator = Emulator(random_model("simple", depth=1), 3, "dace_cpu")
    inputs = [np.ones((3, size), dtype=np.float32) for size in emulator.model.sizes[:3]]
    try:
        state, _ = emulator.step(*inputs)
    except RunError as error:
        print("refused:", error)
    else:
        print("result:", state.tobytes().hex())
""")


@pytest.mark.slow
def test_another_process_finds_the_compiled_program(tmp_path: pathlib.Path) -> None:
    """Once compiled, the same network runs where there is no compiler; another one is refused there, in one line."""

    def run(cache: str, with_compiler: bool) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("GT4PY_", "DACE_"))}
        # The directory does not exist yet, nor does the one above it.
        environment["XDG_CACHE_HOME"] = str(tmp_path / cache / "cache")
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if not with_compiler:
            environment |= {"PATH": str(tmp_path / "nothing"), "CXX": "/bin/false", "CMAKE": "/bin/false"}
        process = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return process.stdout.strip()

    first = run("kept", with_compiler=True)
    assert first.startswith("result: ")
    assert run("kept", with_compiler=False) == first
    without = run("empty", with_compiler=False)
    assert without.startswith("refused: the simple network cannot be compiled: ")
    assert "\n" not in without
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "kept"], "nothing else may be left behind"
