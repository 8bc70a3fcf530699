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
from ailand_gt4py.lowering import contraction_node
from ailand_gt4py.lowering.contraction_node import TABLE_PREFIX


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
    nodes_of_all = (node for other in sdfg.states() for node in other.data_nodes())
    used = any(node.data == access.data and node is not access for node in nodes_of_all)
    _require(not used, f"'{access.data}' is used elsewhere")
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
    symbols = {str(symbol) for symbol in offset.free_symbols}
    _require(parameter not in symbols, f"'{expression}' is not '{parameter}' + c")
    return offset


def _offsets(memlet: dace.Memlet, parameters: list[str]) -> list[Any]:
    """Of the first axes of a memlet that takes single elements along them, one parameter each."""
    return [_offset_of(_index(memlet, axis), parameter) for axis, parameter in enumerate(parameters)]


def _vector_offsets(memlet: dace.Memlet, parameters: list[str], neighbours: tuple[Any, Any, Any]) -> list[Any]:
    """`_offsets` of a memlet of the values of all neighbours of one (column, unit)."""
    _require(memlet.subset.ndrange()[2:] == [neighbours], f"'{memlet}' is not all neighbours of a unit")
    return _offsets(memlet, parameters)


def _tasklet_of(state: dace.SDFGState, entry: nodes.MapEntry, what: str) -> nodes.Tasklet:
    tasklets = [node for node in _scope_nodes(state, entry) if isinstance(node, nodes.Tasklet)]
    return _single(tasklets, f"tasklets of the {what}")


def _is_symbol(expression: Any, name: str) -> bool:
    return bool(expression == dace.symbolic.pystr_to_symbolic(name))


@dataclasses.dataclass
class _Sum:
    """Part 3 of the chain: the map that reduces, what it reads and what it writes."""

    map: nodes.MapEntry
    read: Any
    products: nodes.AccessNode
    result: Any


@dataclasses.dataclass
class _Product:
    """Part 2: the map that multiplies, its map over the neighbours, and its factors."""

    map: nodes.MapEntry
    local: nodes.MapEntry
    weight: Any
    gathered: nodes.AccessNode
    gathered_offsets: list[Any]

    @property
    def neighbours(self) -> tuple[Any, Any, Any]:
        return self.local.map.range.ndrange()[0]


@dataclasses.dataclass
class _Gather:
    """Part 1: the map that gathers, through which table and from where."""

    map: nodes.MapEntry
    table: str
    x: nodes.AccessNode
    column_offset: Any


def _match_sum(state: dace.SDFGState, reduction: nodes.LibraryNode) -> _Sum:
    wcr = re.sub(r"\s", "", str(reduction.wcr))
    is_sum = re.fullmatch(r"\(?lambda(\w+),(\w+):\(?\1\+\2\)?\)?", wcr) is not None
    _require(is_sum, f"it reduces with {reduction.wcr}")
    _require(reduction.axes is None, "it reduces over some of the axes")
    sum_map = _map_of(state, reduction, "reduction")
    read = _single(state.in_edges(reduction), "inputs of the reduction")
    scalar = _single(state.out_edges(reduction), "outputs of the reduction").dst
    _require(isinstance(scalar, nodes.AccessNode), "the sum is not what the map writes")
    written = _single(state.out_edges(scalar), "readers of the sum").dst
    _require(isinstance(written, nodes.MapExit), "the sum is not what the map writes")
    result = _single(state.out_edges(state.exit_node(sum_map)), "results of the reduction's map")
    _require(isinstance(result.dst, nodes.AccessNode), "the reduction's map does not write to an array")
    return _Sum(sum_map, read, state.memlet_path(read)[0].src, result)


def _match_product(sdfg: dace.SDFG, state: dace.SDFGState, total: _Sum) -> _Product:
    written = _producer(state, sdfg, total.products)
    product_map = state.entry_node(written)
    _require(product_map.map.range == total.map.map.range, "the maps of product and sum differ")
    multiply = _tasklet_of(state, product_map, "product")
    code = re.sub(r"[\s()]", "", multiply.code.as_string)
    operands = re.fullmatch(r"\w+=(\w+)\*(\w+)", code)
    names = set(operands.groups()) if operands else set()
    _require(names == set(multiply.in_connectors), f"'{code}' is no product")
    local_map = state.entry_node(multiply)
    has_local = state.entry_node(local_map) is product_map and len(local_map.map.params) == 1
    _require(has_local, "the product has no local map")
    local, neighbours = local_map.map.params[0], local_map.map.range.ndrange()[0]
    stored = _single(state.in_edges(written), "results of the product's map").data
    product_offsets = _vector_offsets(stored, product_map.map.params, neighbours)
    sum_offsets = _vector_offsets(total.read.data, total.map.map.params, neighbours)
    _require(product_offsets == sum_offsets, "the products are summed at another place")

    factors = {len(edge.data.subset.ndrange()): edge for edge in state.in_edges(multiply)}
    _require(set(factors) == {2, 3}, "the factors are not a matrix and a gathered field")
    weight, gathered = factors[2], factors[3]
    _offset_of(_index(weight.data, 0), product_map.map.params[1])
    _require(_is_symbol(_index(weight.data, 1), local), "the weight's second index is not local")
    source = state.memlet_path(gathered)[0].src
    _require(isinstance(source, nodes.AccessNode), "nothing is gathered")
    offsets = _offsets(gathered.data, product_map.map.params)
    _require(_is_symbol(_index(gathered.data, 2), local), "the gathered field's last index is not local")
    return _Product(product_map, local_map, state.memlet_path(weight)[0], source, offsets)


def _match_gather(sdfg: dace.SDFG, state: dace.SDFGState, total: _Sum, product: _Product) -> _Gather:
    written = _producer(state, sdfg, product.gathered)
    gather_map = state.entry_node(written)
    _require(gather_map.map.range == total.map.map.range, "the maps of gather and sum differ")
    column, unit = gather_map.map.params
    gather = _tasklet_of(state, gather_map, "gather")
    edges = state.in_edges(gather)
    table = _single([edge for edge in edges if edge.data.data.startswith(TABLE_PREFIX)], "tables in the gather")
    x = _single([edge for edge in edges if edge is not table], "gathered fields")
    form = rf"\w+={x.dst_conn}\[\(?{table.dst_conn}(?:-(?P<origin>.+?))?\)?\]"
    gathers = re.fullmatch(form, re.sub(r"\s", "", gather.code.as_string))
    if gathers is None:
        raise _NoMatchError(f"'{gather.code.as_string}' is no gather")
    origin = dace.symbolic.simplify(dace.symbolic.pystr_to_symbolic(gathers["origin"] or "0"))
    _require(origin == 0, f"the gathered field starts at {origin}, expected 0")
    _require(_is_symbol(_index(table.data, 0), unit), "the table's row is not the unit")
    local_range = state.entry_node(gather).map.range
    _require(local_range == product.local.map.range, "gather and product differ in their neighbours")
    stored = _single(state.in_edges(written), "results of the gather's map").data
    stored_offsets = _vector_offsets(stored, gather_map.map.params, product.neighbours)
    _require(stored_offsets == product.gathered_offsets, "the gathered values are multiplied at another place")
    first, _, step = x.data.subset.ndrange()[1]
    _require(first == 0 and step == 1, "the gathered field is not read from its first feature on")
    extent = x.data.subset.size()[1]
    # A field that the caller passes has symbolic extents; GT4Py's domain inference holds it to the table's.
    covers = not getattr(extent, "is_number", True) or extent == local_range.size()[0]
    _require(covers, "the table does not cover the field's features")
    starts = product.neighbours[0] == 0 and product.neighbours[2] == 1
    _require(starts, "the table is not read from its first neighbour on")
    name = table.data.data.removeprefix(TABLE_PREFIX)
    return _Gather(gather_map, name, state.memlet_path(x)[0].src, _offset_of(_index(x.data, 0), column))


def _match(sdfg: dace.SDFG, state: dace.SDFGState, reduction: nodes.LibraryNode) -> _Chain:
    """The chain that ends in a reduction.

    Raises:
        _NoMatchError: it is another reduction.
    """
    total = _match_sum(state, reduction)
    product = _match_product(sdfg, state, total)
    gather = _match_gather(sdfg, state, total, product)
    first, last, _ = total.map.map.range.ndrange()[0]
    n_neighbours = product.local.map.range.size()[0]
    columns = (first + gather.column_offset, last + gather.column_offset, 1)
    x_subset = subsets.Range([columns, (0, n_neighbours - 1, 1)])
    return _Chain(
        table=gather.table,
        x=(gather.x, dace.Memlet(data=gather.x.data, subset=x_subset)),
        weight=(product.weight.src, product.weight.data),
        result=(total.result.dst, total.result.data),
        replaced=[
            *_scope_nodes(state, gather.map),
            product.gathered,
            *_scope_nodes(state, product.map),
            total.products,
            *_scope_nodes(state, total.map),
        ],
    )


def _tables_behind(state: dace.SDFGState, reduction: nodes.LibraryNode) -> set[str]:
    """Names of the tables that a reduction's input may come from."""
    sources = (edge.src for edge in state.edge_bfs(reduction, reverse=True))
    data = {node.data for node in sources if isinstance(node, nodes.AccessNode)}
    return {name.removeprefix(TABLE_PREFIX) for name in data if name.startswith(TABLE_PREFIX)}


def _replace(sdfg: dace.SDFG, state: dace.SDFGState, chain: _Chain) -> None:
    transients = {
        node.data for node in chain.replaced if isinstance(node, nodes.AccessNode) and sdfg.arrays[node.data].transient
    }
    state.remove_nodes_from(chain.replaced)
    contraction_node.add_contraction(state, chain.table, (chain.x, chain.weight), chain.result)
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
    """

    tables: tuple[str, ...]

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
                    _replace(sdfg, state, chain)
        left = sorted(
            table
            for table in self.tables
            if any(node.data == TABLE_PREFIX + table for state in sdfg.states() for node in state.data_nodes())
        )
        if left:
            why = "; ".join(sorted({reason for reason, tables in reasons if tables & set(left)}))
            raise RunError(
                f"program '{sdfg.name}': the contractions {', '.join(left)} cannot be lifted to GEMM, expected "
                f"neighbor_sum(weight * x(offset)) over a complete table: {why or 'no reduction was found'}"
            )
