"""From a GT4Py program, as its front end gives it, to a `ColumnProgram`.

GTIR is a small functional language: a program is a list of assignments of field expressions; field operators are
functions; arithmetic is ``as_fieldop(lambda)(fields)``. A dense layer reads there as it was written,

    as_fieldop(reduce(plus, 0))(as_fieldop(map(multiplies))(weight, as_fieldop(neighbors(offset))(x)))

so nothing has to be recognised after the fact: the program is evaluated on symbols, one element of each field standing
for all of them. Nothing is assumed: a function, an index or a domain that this reader does not know makes it refuse the
program.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from gt4py.next import common as gtx_common
from gt4py.next.iterator import ir
from gt4py.next.type_system import type_specifications as ts

from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Product,
    RefusedError,
    Sum,
    at_feature,
    with_index,
)

#: Functions of GTIR, and their names in an `Operation`.
_FUNCTIONS: dict[str, str] = {
    "plus": "+",
    "minus": "-",
    "multiplies": "*",
    "divides": "/",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "eq": "==",
    "not_eq": "!=",
    "neg": "neg",
    "maximum": "max",
    "minimum": "min",
    "if_": "select",
    "sqrt": "sqrt",
    "exp": "exp",
    "log": "log",
    "tanh": "tanh",
    "arctan": "atan",
    "abs": "abs",
    "power": "pow",
}
_COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})

Dimensions = tuple[gtx_common.Dimension, ...]


@dataclasses.dataclass(frozen=True)
class Values:
    """A field: one element of it, and the dimensions over which it varies: column, direction, feature."""

    element: Expression
    dims: Dimensions = ()


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A field whose last dimension is local: a layer's weights."""

    array: str
    target: gtx_common.Dimension
    local: gtx_common.Dimension


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """For each target all elements that a complete table lists, times weights where there are any."""

    values: Values
    offset: str
    weights: Parameter | None = None


@dataclasses.dataclass(frozen=True)
class Shifted:
    """An element of another place, not read yet."""

    values: Values
    offset: str


@dataclasses.dataclass(frozen=True)
class Function:
    """A lambda with the names that it sees."""

    node: ir.Lambda
    names: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Tables:
    """The connectivities of a program.

    Attributes:
        complete: offsets whose table lists every element for every target.
        broadcast: offsets whose table points to elements that are all alike.
        types: offset -> its type: dimensions and number of neighbours.
    """

    complete: frozenset[str]
    broadcast: frozenset[str]
    types: Mapping[str, Any]


def _refuse_unless(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusedError(reason)


class _Reader:
    """Evaluates one program on symbols."""

    def __init__(
        self,
        program: ir.Program,
        shapes: Mapping[str, tuple[Any, ...]],
        column: str,
        tables: Tables,
        scratch: tuple[str, ...],
        directions: tuple[str, ...],
    ) -> None:
        self.program, self.column, self.tables, self.scratch = program, column, tables, scratch
        self.directions = directions
        self.fields: dict[str, Dimensions] = {}
        self.dtype = ""
        self.extents: dict[gtx_common.Dimension, Any] = {}
        self.equal_extents: list[tuple[Any, Any]] = []
        self.definitions: list[Definition] = []
        self._fresh = (name for k in itertools.count() if (name := f"value_{k}") not in self.fields)
        self.names: dict[str, Any] = {
            str(function.id): Function(ir.Lambda(params=function.params, expr=function.expr), {})
            for function in program.function_definitions
        }
        for name in self.names:
            self.names[name] = dataclasses.replace(self.names[name], names=self.names)
        for parameter in program.params:
            self.names[str(parameter.id)] = self._parameter(str(parameter.id), parameter.type, shapes)

    def _parameter(self, name: str, kind: Any, shapes: Mapping[str, tuple[Any, ...]]) -> Any:
        """The value that a parameter of the program stands for."""
        if isinstance(kind, ts.TupleType):
            return tuple(self._parameter(f"{name}_{k}", part, shapes) for k, part in enumerate(kind.types))
        _refuse_unless(isinstance(kind, ts.FieldType), f"'{name}' is no field")
        dims = tuple(kind.dims)
        self.fields[name] = dims
        self.dtype = self.dtype or str(kind.dtype)
        _refuse_unless(str(kind.dtype) in ("float32", "float64"), f"'{name}' is of type {kind.dtype}")
        _refuse_unless(str(kind.dtype) == self.dtype, f"'{name}' is of type {kind.dtype}, others of {self.dtype}")
        for dim, extent in zip(dims, shapes[name], strict=True):
            self._extent_is(dim, extent)
        if len(dims) == 2 and dims[1].kind == gtx_common.DimensionKind.LOCAL and dims[0].value != self.column:
            return Parameter(name, *dims)
        known = len(dims) > 0 and all(dim.kind == gtx_common.DimensionKind.HORIZONTAL for dim in dims)
        known = known and self._are_indexed(dims)
        _refuse_unless(known, f"'{name}' is over {', '.join(dim.value for dim in dims) or 'no dimension'}")
        return Values(Load(name, self._index(dims)), dims)

    def _role(self, dim: gtx_common.Dimension) -> Index:
        """What a dimension's index stands for."""
        if dim.value == self.column:
            return "column"
        return "direction" if dim.value in self.directions else "feature"

    def _are_indexed(self, dims: Dimensions) -> bool:
        """Whether there is at most one dimension of each role, in order."""
        roles = [self._role(dim) for dim in dims]
        return roles == [role for role in DIRECTED_ROW if role in roles]

    def _extent_is(self, dim: gtx_common.Dimension, extent: Any) -> None:
        """All parts of the program must agree on a dimension's extent: what is read and written follows from one."""
        known = self.extents.setdefault(dim, extent)
        if extent != known and (known, extent) not in self.equal_extents:
            self.equal_extents.append((known, extent))

    def _index(self, dims: Dimensions) -> tuple[Index, ...]:
        """How an array over these dimensions is indexed; one over columns alone has one feature."""
        roles = tuple(self._role(dim) for dim in dims)
        return ("column", 0) if roles == ("column",) else roles

    def read(self) -> None:
        """All statements, in order."""
        written: set[str] = set()
        for statement in self.program.body:
            _refuse_unless(isinstance(statement, ir.SetAt), f"it has the statement '{type(statement).__name__}'")
            targets = _leaves(statement.target)
            for target, domain in zip(targets, _leaves(statement.domain), strict=True):
                self._check_domain(target, domain)
            values = _flat(self.value(statement.expr, self.names))
            results = {}
            for target, value in zip(targets, values, strict=True):
                name = str(target.id)
                dims = self.fields[name]
                _refuse_unless(dims[0].value == self.column, f"'{name}' is not over columns")
                is_scratch = name.startswith(self.scratch)
                _refuse_unless(is_scratch or name not in written, f"'{name}' is written more than once")
                # A scratch field that is written anew is another field from then on.
                own = next(self._fresh) if name in written else name
                written.add(name)
                self._define(own, value.element, dims)
                results[name] = Values(Load(own, self._index(dims)), dims)
            # All values of a statement are of before it.
            self.names |= results

    def _define(self, name: str, element: Expression, dims: Dimensions, *products: Product) -> None:
        """Append what makes a field over columns, directions of columns if these are among its dimensions."""
        value = _as_number(element)
        extent = 1 if len(dims) == 1 else self.extents[dims[-1]]
        if len(dims) == 3:
            self.definitions.append(Definition(name, extent, value, products, self.extents[dims[1]]))
            return
        # One number for each direction of a column is a row of features as any other.
        self.definitions.append(Definition(name, extent, with_index(value, "direction", "feature"), products))

    def _check_domain(self, target: ir.Expr, domain: ir.Expr) -> None:
        """That a statement sets the whole of its target."""
        name = _name(target)
        _refuse_unless(name in self.fields, f"it writes to '{_text(target)}'")
        ranges = domain.args if _is_call(domain, "cartesian_domain", "unstructured_domain") else []  # type: ignore[attr-defined]
        found = []
        for part in ranges:
            _refuse_unless(_is_call(part, "named_range"), f"it has '{_text(part)}'")
            axis, *bounds = part.args
            for position, bound in enumerate(bounds):
                if _is_call(bound, "tuple_get") and _is_call(bound.args[1], "get_domain_range"):
                    of, along = bound.args[1].args
                    if (bound.args[0].value, _name(of), along) == (str(position), name, axis):
                        found.append(axis.value)
        wanted = [dim.value for dim in self.fields[name] for _ in range(2)]
        _refuse_unless(found == wanted, f"'{name}' is not set as a whole")

    # --- field expressions ---

    def value(self, node: ir.Expr, names: Mapping[str, Any]) -> Any:
        """What a field expression stands for: values, weights, neighbours, or a tuple of these."""
        match node:
            case ir.Literal():
                return Values(self._number(node))
            case ir.SymRef(id=name) if str(name) in names:
                return names[str(name)]
            case ir.FunCall(fun=ir.SymRef(id="make_tuple"), args=parts):
                return tuple(self.value(part, names) for part in parts)
            case ir.FunCall(fun=ir.SymRef(id="tuple_get"), args=[ir.Literal(value=position), of]):
                return self.value(of, names)[int(position)]
            case ir.FunCall(
                fun=ir.FunCall(fun=ir.SymRef(id="as_fieldop"), args=[ir.Lambda() as stencil]), args=arguments
            ):
                given = [self.value(argument, names) for argument in arguments]
                return self._apply(Function(stencil, names), given, self.element)
            case ir.FunCall(fun=ir.SymRef(id=name), args=arguments) if str(name) in _FUNCTIONS:
                return self._operation(str(name), [self.value(argument, names) for argument in arguments])
            case ir.FunCall(fun=ir.Lambda() | ir.SymRef() as called, args=arguments):
                function = names.get(_name(called)) if isinstance(called, ir.SymRef) else Function(called, names)
                if isinstance(function, Function):
                    return self._apply(function, [self.value(argument, names) for argument in arguments], self.value)
        raise _unknown(node)

    def _apply(self, function: Function, arguments: Sequence[Any], evaluate: Any) -> Any:
        """A function's result. What it uses more than once is computed once."""
        given = {}
        for parameter, argument in zip(function.node.params, arguments, strict=True):
            name = str(parameter.id)
            uses = sum(str(node.id) == name for node in function.node.expr.pre_walk_values().if_isinstance(ir.SymRef))
            given[name] = self._once(argument) if uses > 1 else argument
        return evaluate(function.node.expr, {**function.names, **given})

    def _once(self, argument: Any) -> Any:
        """The same values as a field of their own, if something is to be computed for them."""
        if isinstance(argument, tuple):
            return tuple(self._once(part) for part in argument)
        is_computed = isinstance(argument, Values) and isinstance(argument.element, Operation)
        if not is_computed or self.column not in [dim.value for dim in argument.dims]:
            return argument
        return self._field(argument)

    def _field(self, values: Values) -> Values:
        """Values over columns as a field of their own."""
        name = next(self._fresh)
        self._define(name, values.element, values.dims)
        return Values(Load(name, self._index(values.dims)), values.dims)

    def _operation(self, name: str, arguments: Sequence[Values]) -> Values:
        dims: Dimensions = ()
        for argument in arguments:
            dims += tuple(dim for dim in argument.dims if dim not in dims)
        dims = tuple(sorted(dims, key=lambda dim: DIRECTED_ROW.index(self._role(dim))))
        _refuse_unless(self._are_indexed(dims), f"'{name}' has arguments over {', '.join(dim.value for dim in dims)}")
        elements = [_as_number(argument.element) for argument in arguments]
        if name == "if_":
            elements[0] = _as_condition(arguments[0].element)
        return Values(Operation(_FUNCTIONS[name], tuple(elements)), dims)

    # --- expressions of one element ---

    def element(self, node: ir.Expr, names: Mapping[str, Any]) -> Any:
        """What an expression in a stencil stands for, its parameters being fields."""
        match node:
            case ir.Literal():
                return Values(self._number(node))
            case ir.SymRef(id=name) if str(name) in names:
                return names[str(name)]
            case ir.FunCall(fun=ir.SymRef(id="deref"), args=[iterator]):
                read = self.element(iterator, names)
                return self._broadcast(read) if isinstance(read, Shifted) else read
            case ir.FunCall(
                fun=ir.FunCall(
                    fun=ir.SymRef(id="shift"), args=[ir.OffsetLiteral(value=offset), ir.OffsetLiteral(value=position)]
                ),
                args=[iterator],
            ):
                _refuse_unless(position == 0, f"it reads neighbour {position} of the table '{offset}'")
                return Shifted(self.element(iterator, names), str(offset))
            case ir.FunCall(fun=ir.SymRef(id="neighbors"), args=[ir.OffsetLiteral(value=offset), iterator]):
                _refuse_unless(
                    str(offset) in self.tables.complete, f"it reads through the table '{offset}', which is not complete"
                )
                return Neighbours(self.element(iterator, names), str(offset))
            case ir.FunCall(
                fun=ir.FunCall(fun=ir.SymRef(id="map_" | "map_list"), args=[function]), args=[first, second]
            ):
                _refuse_unless(_name(function) == "multiplies", f"it maps '{_text(function)}' over a list")
                return self._weighted(self.element(first, names), self.element(second, names))
            case ir.FunCall(fun=ir.FunCall(fun=ir.SymRef(id="reduce"), args=[function, start]), args=[values]):
                is_sum = _name(function) == "plus" and isinstance(start, ir.Literal) and float(start.value) == 0.0
                _refuse_unless(is_sum, f"it reduces a list by '{_text(function)}' from '{_text(start)}'")
                return self._product(self.element(values, names))
            case ir.FunCall(fun=ir.SymRef(id="cast_"), args=[value, kind]):
                return self._cast(self.element(value, names), kind)
            case ir.FunCall(fun=ir.SymRef(id=name), args=arguments) if str(name) in _FUNCTIONS:
                return self._operation(str(name), [self.element(argument, names) for argument in arguments])
            case ir.FunCall(fun=ir.Lambda() as function, args=arguments):
                given = [self.element(argument, names) for argument in arguments]
                return self._apply(Function(function, names), given, self.element)
        raise _unknown(node)

    def _cast(self, value: Values, kind: ir.Expr) -> Values:
        # Of a comparison it makes a number; of a number, which has the type of all fields, it changes nothing.
        _refuse_unless(_name(kind) == self.dtype, f"it casts to '{_text(kind)}'")
        return Values(_as_number(value.element), value.dims)

    def _number(self, node: ir.Literal) -> Number:
        kind = str(node.type)
        known = kind in (self.dtype, "int32", "int64") and math.isfinite(float(node.value))
        _refuse_unless(known, f"it has the literal '{node.value}' of type {kind}")
        return Number(float(node.value) if kind.startswith("float") else int(node.value))

    def _broadcast(self, read: Shifted) -> Values:
        """An element through a table that points to elements that are all alike."""
        _refuse_unless(
            read.offset in self.tables.broadcast,
            f"it gathers through the table '{read.offset}', which is not one that broadcasts",
        )
        table = self.tables.types[read.offset]
        of = self._once(read.values)
        _refuse_unless(
            self._is_row(of, table.codomain),
            f"it gathers through the table '{read.offset}' from what is no row of a column",
        )
        return Values(at_feature(of.element, 0), (*of.dims[:-1], table.source_dim))

    def _is_row(self, values: Any, feature: gtx_common.Dimension) -> bool:
        """Whether these are values of a feature dimension for every column, or every direction of it."""
        is_field = isinstance(values, Values) and len(values.dims) > 1 and self._role(values.dims[0]) == "column"
        return is_field and values.dims[-1] == feature and self._role(feature) == "feature"

    def _weighted(self, first: Any, second: Any) -> Neighbours:
        weights, neighbours = (first, second) if isinstance(first, Parameter) else (second, first)
        known = isinstance(weights, Parameter) and isinstance(neighbours, Neighbours) and neighbours.weights is None
        _refuse_unless(known, "it multiplies lists that are not weights and all elements of a row")
        fits = (weights.target, weights.local) == tuple(self.tables.types[neighbours.offset].domain)
        _refuse_unless(fits, f"'{weights.array}' has no weights for the table '{neighbours.offset}'")
        return dataclasses.replace(neighbours, weights=weights)

    def _product(self, neighbours: Any) -> Values:
        """A layer's matrix product, as a field of its own."""
        known = isinstance(neighbours, Neighbours) and neighbours.weights is not None
        _refuse_unless(known, "it sums a list that is not weights times all elements of a row")
        x, weights, table = neighbours.values, neighbours.weights, self.tables.types[neighbours.offset]
        _refuse_unless(self._is_row(x, table.codomain), "it multiplies weights with what is no row of a column")
        inputs = table.max_neighbors
        for dim in (table.codomain, weights.local):
            self._extent_is(dim, inputs)
        if not (isinstance(x.element, Load) and x.element.index in (ROW, DIRECTED_ROW)):
            x = self._field(x)
        name = next(self._fresh)
        dims = (*x.dims[:-1], weights.target)
        _refuse_unless(self._are_indexed(dims), f"it multiplies '{weights.array}' with what has directions already")
        self._define(name, Sum(), dims, Product(x.element, weights.array, inputs))
        return Values(Load(name, self._index(dims)), dims)


def _name(node: Any) -> str:
    """What a node refers to; empty if it is something else."""
    return str(node.id) if isinstance(node, ir.SymRef) else ""


def _is_call(node: Any, *names: str) -> bool:
    return isinstance(node, ir.FunCall) and _name(node.fun) in names


def _text(node: Any) -> str:
    """A node in a message."""
    return textwrap.shorten(str(node), 80, placeholder=" ...")


def _unknown(node: ir.Expr) -> RefusedError:
    called = _name(node.fun) if isinstance(node, ir.FunCall) else ""
    return RefusedError(f"it calls '{called}'" if called else f"it has '{_text(node)}'")


def _leaves(node: Any) -> list[Any]:
    """The parts of a tuple expression, flat."""
    return [leaf for part in node.args for leaf in _leaves(part)] if _is_call(node, "make_tuple") else [node]


def _flat(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, tuple) else [value]


def _is_condition(expression: Expression) -> bool:
    return isinstance(expression, Operation) and expression.name in _COMPARISONS


def _as_number(expression: Expression) -> Expression:
    """1 or 0 for a comparison; a number as it is."""
    return Operation("select", (expression, Number(1), Number(0))) if _is_condition(expression) else expression


def _as_condition(expression: Expression) -> Expression:
    """A comparison as it is; one that was kept as a number, compared with 0."""
    return expression if _is_condition(expression) else Operation("!=", (expression, Number(0)))


def read_program(
    program: ir.Program,
    shapes: Mapping[str, tuple[Any, ...]],
    column: str,
    tables: Tables,
    scratch_prefixes: tuple[str, ...],
    directions: tuple[str, ...] = (),
) -> ColumnProgram:
    """The program over columns that a GT4Py program is.

    Args:
        program: of GT4Py's front end, no transformation applied.
        shapes: of its fields, those in tuples by GT4Py's names for them; numbers or DaCe's expressions.
        column: name of the column dimension.
        tables: its connectivities.
        scratch_prefixes: fields of such names hold nothing that the caller reads.
        directions: names of the dimensions of a column's directions.

    Raises:
        RefusedError: the program does something else than computing each column from itself.
    """
    reader = _Reader(program, shapes, column, tables, scratch_prefixes, directions)
    reader.read()
    results = {definition.result for definition in reader.definitions}
    known: set[str] = set()
    for definition in reader.definitions:
        for name in definition.arrays():
            is_scratch = name.startswith(scratch_prefixes)
            _refuse_unless(name in known or not is_scratch, f"'{name}' is read before it is set")
            _refuse_unless(name in known or name not in results, f"'{name}' is read and written")
        known.add(definition.result)
    inner = {name for name in results if name not in reader.fields or name.startswith(scratch_prefixes)}
    _refuse_unless(inner != results, "it computes nothing")
    columns = next(extent for dim, extent in reader.extents.items() if dim.value == column)
    return ColumnProgram(str(program.id), reader.definitions, inner, columns, reader.equal_extents)
