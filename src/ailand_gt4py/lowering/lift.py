"""The SDFG transformation that turns dense layers into GEMM.

GT4Py's DaCe lowering writes ``neighbor_sum(weight * x(offset), axis=local)`` as three maps over (column, unit):

1. gather: for every neighbour l, ``x[column, table[unit, l]]`` into a transient (column, unit, l);
2. multiply: that times ``weight[unit, l]`` into another transient of the same shape;
3. reduce: the sum over l.

Where the table is complete, that is 0 .. n-1 in every row, the gather is the identity and the chain is a matrix
product. `LiftContractions` replaces the chain by one `DenseContraction` node. It fires only for tables it was told are
complete, only on exactly this chain, and refuses a program in which such a table is left over.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import dace
from dace import subsets
from dace.sdfg import nodes

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import blas, contraction_node

_CONNECTIVITY_PREFIX = "gt_conn_"

#: Arguments of these names are the emulator's buffers, which have room for whole blocks of columns.
PADDED_PREFIXES = ("normalised_", "units_")


class _NoMatchError(Exception):
    """Why a reduction is not the chain that is looked for."""


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _NoMatchError(reason)


@dataclasses.dataclass
class _Chain:
    """A matched chain: what the GEMM reads and writes, and which nodes it replaces."""

    table: str
    x: tuple[nodes.AccessNode, dace.Memlet]
    weight: tuple[nodes.AccessNode, dace.Memlet]
    result: tuple[nodes.AccessNode, dace.Memlet]
    replaced: list[nodes.Node]


def _scope_nodes(state: dace.SDFGState, entry: nodes.MapEntry) -> list[nodes.Node]:
    return list(state.scope_subgraph(entry, include_entry=True, include_exit=True).nodes())


def _map_of(state: dace.SDFGState, node: nodes.Node, what: str) -> nodes.MapEntry:
    entry = state.entry_node(node)
    _require(isinstance(entry, nodes.MapEntry), f"the {what} is in no map")
    _require(len(entry.map.params) == 2, f"the {what} is in a map of {len(entry.map.params)} dimensions, expected 2")
    _require(state.entry_node(entry) is None, f"the {what} is in a nested map")
    return entry


def _single(items: list[Any], what: str) -> Any:
    _require(len(items) == 1, f"found {len(items)} {what}, expected 1")
    return items[0]


def _producer(state: dace.SDFGState, sdfg: dace.SDFG, access: nodes.AccessNode) -> nodes.MapExit:
    """The map that writes a transient which nothing else in the program reads or writes."""
    _require(sdfg.arrays[access.data].transient, f"'{access.data}' is no transient")
    uses = [
        node for other in sdfg.states() for node in other.data_nodes() if node.data == access.data and node is not access
    ]
    _require(not uses, f"'{access.data}' is used elsewhere")
    _require(state.out_degree(access) == 1, f"'{access.data}' is read more than once")
    source = _single(state.in_edges(access), f"writers of '{access.data}'").src
    _require(isinstance(source, nodes.MapExit), f"'{access.data}' is not written by a map")
    return source


def _index(memlet: dace.Memlet, dimension: int) -> Any:
    first, last, step = memlet.subset.ndrange()[dimension]
    _require(first == last and step == 1, f"'{memlet}' is no single index along its axis {dimension}")
    return first


def _offset_of(expression: Any, parameter: str) -> Any:
    """``expression - parameter``, which must not depend on the parameter."""
    offset = dace.symbolic.simplify(expression - dace.symbolic.pystr_to_symbolic(parameter))
    _require(parameter not in {str(symbol) for symbol in offset.free_symbols}, f"'{expression}' is not '{parameter}' + c")
    return offset


def _offsets(memlet: dace.Memlet, parameters: list[str]) -> list[Any]:
    """Of the first axes of a memlet that takes single elements along them, one parameter each."""
    return [_offset_of(_index(memlet, axis), parameter) for axis, parameter in enumerate(parameters)]


def _vector_offsets(memlet: dace.Memlet, parameters: list[str], neighbours: tuple[Any, Any, Any]) -> list[Any]:
    """`_offsets` of a memlet of the values of all neighbours of one (column, unit)."""
    _require(memlet.subset.ndrange()[2:] == [neighbours], f"'{memlet}' is not all neighbours of a unit")
    return _offsets(memlet, parameters)


def _match(sdfg: dace.SDFG, state: dace.SDFGState, reduction: nodes.LibraryNode) -> _Chain:
    # 3. The sum.
    wcr = re.sub(r"\s", "", str(reduction.wcr))
    _require(re.fullmatch(r"\(?lambda(\w+),(\w+):\(?\1\+\2\)?\)?", wcr) is not None, f"it reduces with {reduction.wcr}")
    _require(reduction.axes is None, "it reduces over some of the axes")
    sum_map = _map_of(state, reduction, "reduction")
    sum_edge = _single(state.in_edges(reduction), "inputs of the reduction")
    products = state.memlet_path(sum_edge)[0].src
    scalar = _single(state.out_edges(reduction), "outputs of the reduction").dst
    scalar_edge = _single(state.out_edges(scalar), "readers of the sum") if isinstance(scalar, nodes.AccessNode) else None
    _require(scalar_edge is not None and isinstance(scalar_edge.dst, nodes.MapExit), "the sum is not what the map writes")
    result_edge = _single(state.out_edges(state.exit_node(sum_map)), "results of the reduction's map")
    _require(isinstance(result_edge.dst, nodes.AccessNode), "the reduction's map does not write to an array")

    # 2. The product with the weight.
    multiply_exit = _producer(state, sdfg, products)
    multiply_map = state.entry_node(multiply_exit)
    _require(multiply_map.map.range == sum_map.map.range, "the maps of product and sum differ")
    multiply = _single([n for n in _scope_nodes(state, multiply_map) if isinstance(n, nodes.Tasklet)], "tasklets of the product")
    code = re.sub(r"[\s()]", "", multiply.code.as_string)
    operands = re.fullmatch(r"\w+=(\w+)\*(\w+)", code)
    _require(operands is not None and set(operands.groups()) == set(multiply.in_connectors), f"'{code}' is no product")
    local_map = state.entry_node(multiply)
    _require(state.entry_node(local_map) is multiply_map and len(local_map.map.params) == 1, "the product has no local map")
    local = local_map.map.params[0]
    (_, m_unit), neighbours = multiply_map.map.params, local_map.map.range.ndrange()[0]
    product_offsets = _vector_offsets(
        _single(state.in_edges(multiply_exit), "results of the product's map").data, multiply_map.map.params, neighbours
    )
    sum_offsets = _vector_offsets(sum_edge.data, sum_map.map.params, neighbours)
    _require(product_offsets == sum_offsets, "the products are summed at another place")

    weight_edge = gathered_edge = None
    for edge in state.in_edges(multiply):
        if len(edge.data.subset.ndrange()) == 2:
            weight_edge = edge
        else:
            gathered_edge = edge
    _require(weight_edge is not None and gathered_edge is not None, "the factors are not a matrix and a gathered field")
    _offset_of(_index(weight_edge.data, 0), m_unit)
    _require(_index(weight_edge.data, 1) == dace.symbolic.pystr_to_symbolic(local), "the weight's second index is not local")
    weight_outer = state.memlet_path(weight_edge)[0]
    gathered = state.memlet_path(gathered_edge)[0].src
    _require(isinstance(gathered, nodes.AccessNode) and len(gathered_edge.data.subset.ndrange()) == 3, "nothing is gathered")
    gathered_offsets = _offsets(gathered_edge.data, multiply_map.map.params)
    _require(_index(gathered_edge.data, 2) == dace.symbolic.pystr_to_symbolic(local), "the gathered field's last index is not local")

    # 1. The gather through the table.
    gather_exit = _producer(state, sdfg, gathered)
    gather_map = state.entry_node(gather_exit)
    _require(gather_map.map.range == sum_map.map.range, "the maps of gather and sum differ")
    g_column, g_unit = gather_map.map.params
    gather = _single([n for n in _scope_nodes(state, gather_map) if isinstance(n, nodes.Tasklet)], "tasklets of the gather")
    edges = state.in_edges(gather)
    table_edge = _single([e for e in edges if e.data.data.startswith(_CONNECTIVITY_PREFIX)], "tables in the gather")
    x_edge = _single([e for e in edges if e is not table_edge], "gathered fields")
    form = rf"\w+={x_edge.dst_conn}\[\(?{table_edge.dst_conn}(?:-(?P<origin>.+?))?\)?\]"
    gathers = re.fullmatch(form, re.sub(r"\s", "", gather.code.as_string))
    _require(gathers is not None, f"'{gather.code.as_string}' is no gather")
    origin = dace.symbolic.simplify(dace.symbolic.pystr_to_symbolic(gathers["origin"] or "0"))
    _require(origin == 0, f"the gathered field starts at {origin}, expected 0")
    _require(_index(table_edge.data, 0) == dace.symbolic.pystr_to_symbolic(g_unit), "the table's row is not the unit")
    gather_local = state.entry_node(gather)
    _require(gather_local.map.range == local_map.map.range, "gather and product differ in their neighbours")
    stored = _single(state.in_edges(gather_exit), "results of the gather's map").data
    stored_offsets = _vector_offsets(stored, gather_map.map.params, neighbours)
    _require(stored_offsets == gathered_offsets, "the gathered values are multiplied at another place")
    column_offset = _offset_of(_index(x_edge.data, 0), g_column)
    (first, _, step) = x_edge.data.subset.ndrange()[1]
    _require(first == 0 and step == 1, "the gathered field is not read from its first feature on")
    extent, n_neighbours = x_edge.data.subset.size()[1], gather_local.map.range.size()[0]
    # A field that the caller passes has symbolic extents; GT4Py's domain inference holds it to the table's.
    _require(not getattr(extent, "is_number", True) or extent == n_neighbours, "the table does not cover the field's features")
    _require(neighbours[0] == 0 and neighbours[2] == 1, "the table is not read from its first neighbour on")
    x_outer = state.memlet_path(x_edge)[0]

    first_column, last_column, _ = sum_map.map.range.ndrange()[0]
    x_subset = subsets.Range(
        [(first_column + column_offset, last_column + column_offset, 1), (0, n_neighbours - 1, 1)]
    )
    replaced = [*_scope_nodes(state, gather_map), gathered, *_scope_nodes(state, multiply_map), products, *_scope_nodes(state, sum_map)]
    return _Chain(
        table=table_edge.data.data.removeprefix(_CONNECTIVITY_PREFIX),
        x=(x_outer.src, dace.Memlet(data=x_outer.src.data, subset=x_subset)),
        weight=(weight_outer.src, weight_outer.data),
        result=(result_edge.dst, result_edge.data),
        replaced=replaced,
    )


def _tables_behind(state: dace.SDFGState, reduction: nodes.LibraryNode) -> set[str]:
    """Names of the tables that a reduction's input may come from."""
    sources = (edge.src for edge in state.edge_bfs(reduction, reverse=True))
    data = {node.data for node in sources if isinstance(node, nodes.AccessNode)}
    return {name.removeprefix(_CONNECTIVITY_PREFIX) for name in data if name.startswith(_CONNECTIVITY_PREFIX)}


def _pad(sdfg: dace.SDFG, chain: _Chain, blocks: blas.ColumnBlocks) -> bool:
    """Give x and result room for whole blocks of columns, if both are the emulator's own and start at column 0."""
    operands = (chain.x, chain.result)
    for access, memlet in operands:
        is_own = sdfg.arrays[access.data].transient or access.data.startswith(PADDED_PREFIXES)
        if not is_own or dace.symbolic.simplify(memlet.subset.ndrange()[0][0]) != 0:
            return False
    for access, memlet in operands:
        descriptor = sdfg.arrays[access.data]
        if descriptor.transient:
            columns = contraction_node.padded(memlet.subset.size()[0], blocks)
            shape, strides = (columns, *descriptor.shape[1:]), descriptor.strides
            descriptor.set_shape(shape, strides, total_size=columns * strides[0])
    return True


def _replace(
    sdfg: dace.SDFG, state: dace.SDFGState, chain: _Chain, implementation: str, blocks: blas.ColumnBlocks | None
) -> None:
    if blocks is not None and not _pad(sdfg, chain, blocks):
        blocks = None
    transients = {
        node.data for node in chain.replaced if isinstance(node, nodes.AccessNode) and sdfg.arrays[node.data].transient
    }
    state.remove_nodes_from(chain.replaced)
    contraction_node.add_contraction(
        state, chain.table, implementation, (chain.x, chain.weight), chain.result, blocks
    )
    for node in list(state.data_nodes()):
        if state.degree(node) == 0:
            state.remove_node(node)
    used = {node.data for other in sdfg.states() for node in other.data_nodes()}
    for name in transients - used:
        sdfg.remove_data(name, validate=False)


@dataclasses.dataclass(frozen=True)
class LiftContractions:
    """A hook for GT4Py's DaCe auto-optimiser (stage ``TopLevelDataFlowPre``): dense layers become GEMM.

    A value object, since GT4Py's cache of compiled programs is keyed by it.

    Attributes:
        tables: names of the offsets whose connectivity is complete.
        implementation: ``cblas`` or ``cublas``.
        column_blocks: for each type's name the blocks of columns of one call; none: one call for all columns.
        revision: part of the key; to be raised with every change of what this module generates.
    """

    tables: tuple[str, ...]
    implementation: str
    column_blocks: tuple[tuple[str, blas.ColumnBlocks], ...] = ()
    revision: int = 4

    def __call__(self, sdfg: dace.SDFG) -> None:
        """Transform in place.

        Raises:
            RunError: a contraction over one of the tables does not have the form that can be lifted.
        """
        reasons: list[tuple[str, set[str]]] = []
        for state in list(sdfg.states()):
            for node in list(state.nodes()):
                if not isinstance(node, dace.libraries.standard.Reduce):
                    continue
                try:
                    chain = _match(sdfg, state, node)
                except _NoMatchError as mismatch:
                    reasons.append((str(mismatch), _tables_behind(state, node)))
                    continue
                if chain.table in self.tables:
                    dtype = sdfg.arrays[chain.result[0].data].dtype
                    blocks = dict(self.column_blocks).get(dtype.to_string())
                    _replace(sdfg, state, chain, self.implementation, blocks)
        left = sorted(
            table
            for table in self.tables
            if any(node.data == _CONNECTIVITY_PREFIX + table for state in sdfg.states() for node in state.data_nodes())
        )
        if left:
            why = "; ".join(sorted({reason for reason, tables in reasons if tables & set(left)}))
            raise RunError(
                f"program '{sdfg.name}': the contractions {', '.join(left)} cannot be lifted to GEMM, expected "
                f"neighbor_sum(weight * x(offset)) over a complete table: {why or 'no reduction was found'}"
            )
