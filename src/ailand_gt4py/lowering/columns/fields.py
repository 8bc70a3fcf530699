"""The fields of a GTIR program, by one element each, and the definitions that compute them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar

from gt4py.next import common as gtx_common
from gt4py.next.type_system import type_specifications as ts

from ailand_gt4py.core.dimensions import DIRECTIONS, Column
from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    Definition,
    Expression,
    Extent,
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
FUNCTIONS: dict[str, str] = {
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
    "sinh": "sinh",
    "cosh": "cosh",
    "arcsinh": "asinh",
    "arctanh": "atanh",
    "sin": "sin",
    "cos": "cos",
    "arccos": "acos",
    "arctan": "atan",
    "abs": "abs",
    "floor": "floor",
    "power": "pow",
}
_COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!="})

Dimensions = tuple[gtx_common.Dimension, ...]
_Value = TypeVar("_Value")


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
    """An element through a table, not read yet."""

    values: Values
    offset: str


#: What an expression may stand for, or a tuple of these.
Symbol = Values | Parameter | Neighbours | Shifted | tuple["Symbol", ...]


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
    types: Mapping[str, gtx_common.NeighborConnectivityType]


def refuse_unless(condition: bool, reason: str) -> None:
    """Refuse the program for a reason, unless a condition holds."""
    if not condition:
        raise RefusedError(reason)


def expected(kind: type[_Value] | tuple[type[_Value], ...], value: object, reason: str) -> _Value:
    """The value, if it is of a kind; else the program is refused."""
    if not isinstance(value, kind):
        raise RefusedError(reason)
    return value


class Fields:
    """The fields and definitions of one program.

    Attributes:
        tables: the program's connectivities.
        dims: of the program's own fields.
        dtype: of all of them.
        extents: of their dimensions.
        equal_extents: numbers that have to be equal at run time.
        definitions: in order.
        arguments: as of `ColumnProgram`.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.dims: dict[str, Dimensions] = {}
        self.dtype = ""
        self.extents: dict[gtx_common.Dimension, Extent] = {}
        self.equal_extents: list[tuple[Extent, Extent]] = []
        self.definitions: list[Definition] = []
        self.arguments: dict[str, tuple[tuple[Index, ...], tuple[Extent, ...]]] = {}
        self._fresh = (name for k in itertools.count() if (name := f"value_{k}") not in self.dims)

    def parameter(self, name: str, kind: ts.TypeSpec, shapes: Mapping[str, tuple[Extent, ...]]) -> Symbol:
        """What a parameter of the program stands for."""
        if isinstance(kind, ts.TupleType):
            return tuple(self.parameter(f"{name}_{k}", part, shapes) for k, part in enumerate(kind.types))
        kind = expected(ts.FieldType, kind, f"'{name}' is no field")
        dims = self.dims[name] = tuple(kind.dims)
        self.dtype = self.dtype or str(kind.dtype)
        refuse_unless(str(kind.dtype) in ("float32", "float64"), f"'{name}' is of type {kind.dtype}")
        refuse_unless(str(kind.dtype) == self.dtype, f"'{name}' is of type {kind.dtype}, others of {self.dtype}")
        for dim, extent in zip(dims, shapes[name], strict=True):
            self._extent_is(dim, extent)
        if len(dims) == 2 and dims[1].kind == gtx_common.DimensionKind.LOCAL and dims[0] != Column:
            return Parameter(name, *dims)
        known = len(dims) > 0 and all(dim.kind == gtx_common.DimensionKind.HORIZONTAL for dim in dims)
        known = known and _are_indexed(dims)
        refuse_unless(known, f"'{name}' is over {', '.join(dim.value for dim in dims) or 'no dimension'}")
        field = self._load(name, dims)
        self.arguments[name] = (expected(Load, field.element, "").index, shapes[name])
        return field

    def set(self, name: str, values: Values, is_new: bool) -> Values:
        """Define one of the program's fields, or, where it is set anew, another field that stands for it from then."""
        dims = self.dims[name]
        refuse_unless(dims[0] == Column, f"'{name}' is not over columns")
        return self._define(name if is_new else next(self._fresh), values.element, dims)

    def once(self, value: Symbol) -> Symbol:
        """The same values as a field of their own, if something is to be computed for them."""
        if isinstance(value, tuple):
            return tuple(self.once(part) for part in value)
        if not (isinstance(value, Values) and isinstance(value.element, Operation)):
            return value
        return self._field(value) if Column in value.dims else value

    def operation(self, name: str, arguments: Sequence[Values]) -> Values:
        """A function of GTIR applied to fields."""
        dims = _joint(name, arguments)
        elements = [as_number(argument.element) for argument in arguments]
        if name == "if_":
            elements[0] = _as_condition(arguments[0].element)
        return Values(Operation(FUNCTIONS[name], tuple(elements)), dims)

    def kept(self, name: str, arguments: tuple[Symbol, ...]) -> Values:
        """A field operator that is one operation, of those of its arguments that are no weights."""
        given = [one for one in parts_of(arguments) if isinstance(one, Values)]
        return Values(Operation(name, tuple(one.element for one in given)), _joint(name, given))

    def broadcast(self, read: Shifted) -> Values:
        """An element through a table that points to elements that are all alike."""
        through = f"it gathers through the table '{read.offset}'"
        refuse_unless(read.offset in self.tables.broadcast, f"{through}, which is not one that broadcasts")
        table = self.tables.types[read.offset]
        of = self.once(read.values)
        if not (isinstance(of, Values) and _is_row(of, table.codomain)):
            raise RefusedError(f"{through} from what is no row of a column")
        return Values(at_feature(of.element, 0), (*of.dims[:-1], table.source_dim))

    def weighted(self, first: Symbol, second: Symbol) -> Neighbours:
        """Weights times all elements of a row, in either order."""
        weights, neighbours = (first, second) if isinstance(first, Parameter) else (second, first)
        if not (isinstance(weights, Parameter) and isinstance(neighbours, Neighbours) and neighbours.weights is None):
            raise RefusedError("it multiplies lists that are not weights and all elements of a row")
        fits = (weights.target, weights.local) == tuple(self.tables.types[neighbours.offset].domain)
        refuse_unless(fits, f"'{weights.array}' has no weights for the table '{neighbours.offset}'")
        return dataclasses.replace(neighbours, weights=weights)

    def product(self, neighbours: Symbol) -> Values:
        """A layer's matrix product, as a field of its own."""
        if not (isinstance(neighbours, Neighbours) and neighbours.weights is not None):
            raise RefusedError("it sums a list that is not weights times all elements of a row")
        x, weights, table = neighbours.values, neighbours.weights, self.tables.types[neighbours.offset]
        refuse_unless(_is_row(x, table.codomain), "it multiplies weights with what is no row of a column")
        for dim in (table.codomain, weights.local):
            self._extent_is(dim, table.max_neighbors)
        if not (isinstance(x.element, Load) and x.element.index in (ROW, DIRECTED_ROW)):
            x = self._field(x)
        dims = (*x.dims[:-1], weights.target)
        name = next(self._fresh)
        refuse_unless(_are_indexed(dims), f"it multiplies '{weights.array}' with what has directions already")
        return self._define(name, Sum(), dims, Product(x.element, weights.array, table.max_neighbors))

    def _field(self, values: Values) -> Values:
        """Values over columns as a field of their own."""
        return self._define(next(self._fresh), values.element, values.dims)

    def _define(self, name: str, element: Expression, dims: Dimensions, *products: Product) -> Values:
        """Append what makes a field over columns, directions of columns if these are among its dimensions."""
        value = as_number(element)
        extent = 1 if len(dims) == 1 else self.extents[dims[-1]]
        if len(dims) == 3:
            self.definitions.append(Definition(name, extent, value, products, self.extents[dims[1]]))
        else:
            # One number for each direction of a column is a row of features as any other.
            self.definitions.append(Definition(name, extent, with_index(value, "direction", "feature"), products))
        return self._load(name, dims)

    def _load(self, name: str, dims: Dimensions) -> Values:
        """A field in memory; one over columns alone has one feature."""
        roles = tuple(map(_role, dims))
        return Values(Load(name, ("column", 0) if roles == ("column",) else roles), dims)

    def _extent_is(self, dim: gtx_common.Dimension, extent: Extent) -> None:
        """All parts of the program must agree on a dimension's extent: what is read and written follows from one."""
        known = self.extents.setdefault(dim, extent)
        if extent != known and (known, extent) not in self.equal_extents:
            self.equal_extents.append((known, extent))


def parts_of(value: Symbol) -> list[Symbol]:
    """The parts of a tuple, flat."""
    return [leaf for part in value for leaf in parts_of(part)] if isinstance(value, tuple) else [value]


def _joint(name: str, arguments: Sequence[Values]) -> Dimensions:
    """The dimensions over which a function of fields varies."""
    found = dict.fromkeys(dim for argument in arguments for dim in argument.dims)
    dims = tuple(sorted(found, key=lambda dim: DIRECTED_ROW.index(_role(dim))))
    refuse_unless(_are_indexed(dims), f"'{name}' has arguments over {', '.join(dim.value for dim in dims)}")
    return dims


def _role(dim: gtx_common.Dimension) -> Index:
    """What a dimension's index stands for."""
    if dim == Column:
        return "column"
    return "direction" if dim in DIRECTIONS else "feature"


def _are_indexed(dims: Dimensions) -> bool:
    """Whether there is at most one dimension of each role, in order."""
    roles = list(map(_role, dims))
    return roles == [role for role in DIRECTED_ROW if role in roles]


def _is_row(values: Values, feature: gtx_common.Dimension) -> bool:
    """Whether these are values of a feature dimension for every column, or every direction of it."""
    is_field = len(values.dims) > 1 and values.dims[0] == Column
    return is_field and values.dims[-1] == feature and _role(feature) == "feature"


def as_number(expression: Expression) -> Expression:
    """1 or 0 for a comparison; a number as it is."""
    return Operation("select", (expression, Number(1), Number(0))) if _is_condition(expression) else expression


def _is_condition(expression: Expression) -> bool:
    return isinstance(expression, Operation) and expression.name in _COMPARISONS


def _as_condition(expression: Expression) -> Expression:
    """A comparison as it is; one that was kept as a number, compared with 0."""
    return expression if _is_condition(expression) else Operation("!=", (expression, Number(0)))
