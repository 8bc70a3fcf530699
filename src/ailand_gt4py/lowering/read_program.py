"""From DaCe's graph of a program, dense layers lifted, to a `ColumnProgram`.

Nothing is assumed: a node, an index or a function that this reader does not know makes it refuse the program.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import dace
from dace.sdfg import nodes
from dace.sdfg import utils as sdfg_utils

from ailand_gt4py.lowering.column_program import (
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Product,
    Sum,
)
from ailand_gt4py.lowering.contraction_node import RESULT, TABLE_PREFIX, WEIGHT, DenseContraction, X


class RefusedError(Exception):
    """Why a program is not one over independent columns."""


_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})
#: Functions by their name in tasklets, and their number of arguments.
_FUNCTIONS = {"max": 2, "min": 2, "sqrt": 1, "exp": 1, "log": 1, "tanh": 1, "abs": 1, "pow": 2}


def _refuse_unless(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusedError(reason)


def _as_number(expression: Expression) -> Expression:
    """1 or 0 for a comparison; a number as it is."""
    if isinstance(expression, Operation) and expression.name in _COMPARISONS:
        return Operation("select", (expression, Number(1), Number(0)))
    return expression


class _TaskletReader:
    """Turns a tasklet's assignment into an expression."""

    def __init__(self, tasklet: nodes.Tasklet, value: Callable[[str], Expression], gather: Callable) -> None:
        self.tasklet = tasklet
        self.value = value
        self.gather = gather

    def read(self) -> Expression:
        """The right-hand side of the one assignment."""
        _refuse_unless(self.tasklet.language == dace.Language.Python, f"tasklet '{self.tasklet.label}' is not Python")
        body = ast.parse(self.tasklet.code.as_string).body
        single = len(body) == 1 and isinstance(body[0], ast.Assign)
        _refuse_unless(single, f"tasklet '{self.tasklet.label}' is not one assignment")
        return self._expression(body[0].value)  # type: ignore[attr-defined]

    def _expression(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as value):
                return Number(value)
            case ast.Name(id=name) if name in self.tasklet.in_connectors:
                return self.value(name)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return self._operation(_OPERATORS[type(operator)], left, right)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPERATORS:
                return self._operation(_OPERATORS[type(operator)], left, right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._operation("neg", operand)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._operation("select", test, body, orelse)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
                if _FUNCTIONS.get(name) == len(arguments):
                    return self._operation(name, *arguments)
                # dace.float32(value) is a cast: of a comparison, or one that changes nothing, since types are checked.
                if name in ("float32", "float64") and len(arguments) == 1:
                    return _as_number(self._expression(arguments[0]))
            case ast.Subscript(value=ast.Name(id=name), slice=index) if name in self.tasklet.in_connectors:
                return self.gather(name, index)
        raise RefusedError(f"tasklet '{self.tasklet.label}' has '{ast.unparse(node)}'")

    def _operation(self, name: str, *arguments: ast.expr) -> Operation:
        return Operation(name, tuple(self._expression(argument) for argument in arguments))


class _Reader:
    """Reads one state."""

    def __init__(self, sdfg: dace.SDFG, state: dace.SDFGState, column: str, broadcast_tables: tuple[str, ...]) -> None:
        self.sdfg = sdfg
        self.state = state
        self.column = column
        self.broadcast_tables = broadcast_tables
        self.column_extents: list[Any] = []

    def definitions(self) -> list[Definition]:
        """Of all arrays that the state writes, in the order of their dependence."""
        result = []
        for node in sdfg_utils.dfs_topological_sort(self.state):
            if not isinstance(node, nodes.AccessNode) or self.state.entry_node(node) is not None:
                continue
            writers = self.state.in_edges(node)
            _refuse_unless(len(writers) <= 1, f"'{node.data}' is written by {len(writers)} nodes")
            if writers:
                result.append(self._definition(node, writers[0]))
        known = (nodes.AccessNode, nodes.MapEntry, nodes.MapExit, nodes.Tasklet, DenseContraction)
        for node in self.state.nodes():
            _refuse_unless(isinstance(node, known), f"it has a node '{node.label}' ({type(node).__name__})")
        return result

    def _definition(self, node: nodes.AccessNode, edge: Any) -> Definition:
        source = edge.src
        if isinstance(source, nodes.AccessNode):
            extent = self._whole_rows(edge.data.get_src_subset(edge, self.state), f"the copy to '{node.data}'")
            self._whole_rows(edge.data.get_dst_subset(edge, self.state), f"the copy to '{node.data}'")
            return Definition(node.data, extent, Load(source.data, ROW))
        if isinstance(source, DenseContraction):
            return self._contraction(node, source)
        if isinstance(source, nodes.Tasklet):
            shape = self.sdfg.arrays[node.data].shape
            _refuse_unless(tuple(shape) == (1,), f"'{node.data}' is set outside of a loop over columns")
            value = self._value(edge, None)
            _refuse_unless(isinstance(value, Number), f"'{node.data}' is computed outside of a loop over columns")
            return Definition(node.data, 1, value)
        _refuse_unless(isinstance(source, nodes.MapExit), f"'{node.data}' is written by '{source.label}'")
        entry = self.state.entry_node(source)
        extent = self._map_extent(entry)
        (inner,) = (e for e in self.state.in_edges(source) if e.dst_conn == edge.src_conn.replace("OUT_", "IN_"))
        _refuse_unless(inner.data.wcr is None, f"'{node.data}' is accumulated")
        index = self._index(inner.data, entry)
        _refuse_unless(index == ROW, f"'{node.data}' is written at {inner.data}")
        return Definition(node.data, extent, _as_number(self._value(inner, entry)))

    def _contraction(self, node: nodes.AccessNode, source: DenseContraction) -> Definition:
        operands = {edge.dst_conn: edge for edge in self.state.in_edges(source)}
        result = next(edge for edge in self.state.out_edges(source) if edge.src_conn == RESULT)
        outputs = self._whole_rows(result.data.subset, f"contraction '{source.label}'")
        inputs = self._whole_rows(operands[X].data.subset, f"contraction '{source.label}'")
        of_weight = operands[WEIGHT].data
        starts = all(first == 0 and step == 1 for first, _, step in of_weight.subset.ndrange())
        _refuse_unless(starts, f"contraction '{source.label}' reads its weights from {of_weight}")
        product = Product(Load(operands[X].data.data, ROW), of_weight.data, inputs)
        return Definition(node.data, outputs, Sum(), (product,))

    def _whole_rows(self, subset: Any, what: str) -> Any:
        """The number of features of a subset over all columns."""
        _refuse_unless(subset is not None, f"{what} does not say what it covers")
        ranges = subset.ndrange()
        starts = len(ranges) == 2 and all(first == 0 and step == 1 for first, _, step in ranges)
        _refuse_unless(starts, f"{what} does not cover whole rows of features: {subset}")
        self.column_extents.append(subset.size()[0])
        return subset.size()[1]

    def _map_extent(self, entry: nodes.MapEntry) -> Any:
        """The number of features of a map over columns and features."""
        is_pair = len(entry.map.params) == 2 and f"_{self.column}_" in entry.map.params[0]
        _refuse_unless(is_pair, f"map '{entry.label}' is not over columns and features")
        starts = all(first == 0 and step == 1 for first, _, step in entry.map.range.ndrange())
        _refuse_unless(starts, f"map '{entry.label}' does not start at 0")
        columns, features = entry.map.range.size()
        self.column_extents.append(columns)
        return features

    def _index(self, memlet: dace.Memlet, entry: nodes.MapEntry | None) -> tuple[Index, ...]:
        """How a memlet of one element is indexed."""
        result: list[Index] = []
        parameters = entry.map.params if entry is not None else []
        for first, last, _ in memlet.subset.ndrange():
            _refuse_unless(first == last, f"'{memlet}' is more than one element")
            text = str(dace.symbolic.simplify(first))
            if text in parameters:
                result.append("column" if text == parameters[0] else "feature")
            elif text.isdecimal():
                result.append(int(text))
            else:
                raise RefusedError(f"'{memlet}' is indexed by '{text}'")
        return tuple(result)

    def _value(self, edge: Any, entry: nodes.MapEntry | None) -> Expression:
        """What flows along an edge."""
        source = edge.src
        if isinstance(source, nodes.Tasklet):
            return self._of_tasklet(source, entry)
        if isinstance(source, nodes.AccessNode) and self.state.entry_node(source) is entry and entry is not None:
            writers = self.state.in_edges(source)
            _refuse_unless(len(writers) == 1, f"'{source.data}' is written by {len(writers)} nodes")
            return self._value(writers[0], entry)
        load = self._load(edge.data, entry)
        # An array of truth values holds 1 and 0 (`_as_number`).
        is_truth = self.sdfg.arrays[load.array].dtype == dace.bool_
        return Operation("!=", (load, Number(0))) if is_truth else load

    def _load(self, memlet: dace.Memlet, entry: nodes.MapEntry | None) -> Load:
        _refuse_unless(not memlet.data.startswith(TABLE_PREFIX), f"the table '{memlet.data}' is read as numbers")
        index = self._index(memlet, entry)
        form = tuple("place" if isinstance(part, int) else part for part in index)
        known = form in (ROW, ("column", "place"), ("feature",), ("place",))
        _refuse_unless(known, f"'{memlet}' is neither of a column nor the same for all columns")
        return Load(memlet.data, index)

    def _of_tasklet(self, tasklet: nodes.Tasklet, entry: nodes.MapEntry | None) -> Expression:
        edges = {edge.dst_conn: edge for edge in self.state.in_edges(tasklet)}

        def gather(connector: str, index: ast.expr) -> Expression:
            """``field[column, table entry]``, where all that the table points to is alike."""
            memlet = edges[connector].data
            parts = index.elts if isinstance(index, ast.Tuple) else [index]
            where = [str(dace.symbolic.pystr_to_symbolic(ast.unparse(part))) for part in parts]
            what = f"tasklet '{tasklet.label}' gathers by '{ast.unparse(index)}'"
            of_column = entry is not None and len(where) == 2 and where[0] == entry.map.params[0]
            _refuse_unless(of_column and where[1] in edges, what)
            table = edges[where[1]].data.data
            is_known = table.removeprefix(TABLE_PREFIX) in self.broadcast_tables and table.startswith(TABLE_PREFIX)
            _refuse_unless(is_known, f"{what}, through the table '{table}', which is not one that broadcasts")
            return Load(memlet.data, ("column", 0))

        return _TaskletReader(tasklet, lambda name: self._value(edges[name], entry), gather).read()


def read_program(
    sdfg: dace.SDFG, column: str, scratch_prefixes: tuple[str, ...], broadcast_tables: tuple[str, ...]
) -> ColumnProgram:
    """The program in a graph whose dense layers are `DenseContraction` nodes.

    Args:
        sdfg: the graph; not changed.
        column: name of the column dimension.
        scratch_prefixes: arguments of such names hold nothing that the caller reads.
        broadcast_tables: names of offsets whose table points to elements that are all alike.

    Raises:
        RefusedError: the program does something else than computing each column from itself.
    """
    states = [state for state in sdfg.states() if state.number_of_nodes() > 0]
    _refuse_unless(len(states) == 1, f"it has {len(states)} states, expected 1")
    reader = _Reader(sdfg, states[0], column, broadcast_tables)
    definitions = reader.definitions()
    _refuse_unless(bool(definitions), "it computes nothing")
    names = [definition.result for definition in definitions]
    inner = {name for name in names if sdfg.arrays[name].transient or name.startswith(scratch_prefixes)}
    read_first = {node.data for node in states[0].data_nodes() if states[0].in_degree(node) == 0}
    for name in names:
        _refuse_unless(names.count(name) == 1, f"'{name}' is written more than once")
        _refuse_unless(name not in read_first, f"'{name}' is read and written")
    extents = list(dict.fromkeys(reader.column_extents))
    return ColumnProgram(sdfg.name, definitions, inner, extents)
