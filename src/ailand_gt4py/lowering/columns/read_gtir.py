"""From a GT4Py program, as its front end gives it, to a `ColumnProgram`.

GTIR is a small functional language: a program is a list of assignments of field expressions; field operators are
functions; arithmetic is ``as_fieldop(lambda)(fields)``. A dense layer reads there as it was written,

    as_fieldop(reduce(plus, 0))(as_fieldop(map(multiplies))(weight, as_fieldop(neighbors(offset))(x)))

so nothing has to be recognised after the fact: the program is evaluated on symbols (`fields`), one element of each
field standing for all of them. Nothing is assumed: a program with a function, an index or a domain that this reader
does not know is refused.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence

from gt4py.next.iterator import ir

from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, Extent, Number, RefusedError
from ailand_gt4py.lowering.columns.fields import (
    FUNCTIONS,
    Fields,
    Neighbours,
    Shifted,
    Symbol,
    Tables,
    Values,
    as_number,
    expected,
    parts_of,
    refuse_unless,
)

#: Arguments of such names are what a derivative needs of the others (`constants`): no statement reads them.
CONSTANTS_PREFIX = "constant_"
#: Arguments of such names are a program's own intermediate fields: they hold nothing that the caller reads.
SCRATCH_PREFIXES = ("normalised_", "units_", "work_")


@dataclasses.dataclass(frozen=True)
class _Function:
    """A lambda with the names that it sees."""

    node: ir.Lambda
    names: Mapping[str, Symbol | _Function]


_Names = Mapping[str, Symbol | _Function]


class _Reader:
    """Evaluates one program on symbols."""

    def __init__(
        self, program: ir.Program, shapes: Mapping[str, tuple[Extent, ...]], fields: Fields, kept: Collection[str]
    ) -> None:
        self._program, self._fields, self._kept = program, fields, kept
        self._names: dict[str, Symbol | _Function] = {}
        for function in program.function_definitions:
            self._names[str(function.id)] = _Function(
                ir.Lambda(params=function.params, expr=function.expr), self._names
            )
        for name, kind in ((str(parameter.id), parameter.type) for parameter in program.params):
            if not name.startswith(CONSTANTS_PREFIX):
                self._names[name] = fields.parameter(name, kind, shapes)

    def read(self) -> None:
        """All statements, in order."""
        written: set[str] = set()
        for statement in self._program.body:
            refuse_unless(isinstance(statement, ir.SetAt), f"it has the statement '{type(statement).__name__}'")
            targets = _leaves(statement.target)
            for target, domain in zip(targets, _leaves(statement.domain), strict=True):
                self._check_domain(target, domain)
            results: dict[str, Symbol] = {}
            for target, value in zip(targets, _flat(self._value(statement.expr, self._names)), strict=True):
                name = _name(target)
                is_new = name not in written
                refuse_unless(is_new or name.startswith(SCRATCH_PREFIXES), f"'{name}' is written more than once")
                written.add(name)
                results[name] = self._fields.set(name, value, is_new)
            # All values of a statement are of before it.
            self._names |= results

    def _check_domain(self, target: ir.Expr, domain: ir.Expr) -> None:
        """That a statement sets the whole of its target."""
        name = _name(target)
        refuse_unless(name in self._fields.dims, f"it writes to '{_text(target)}'")
        found = []
        is_domain = _is_call(domain, "cartesian_domain", "unstructured_domain")
        for part in domain.args if isinstance(domain, ir.FunCall) and is_domain else []:
            if not (isinstance(part, ir.FunCall) and _is_call(part, "named_range")):
                raise RefusedError(f"it has '{_text(part)}'")
            axis, *bounds = part.args
            found += [axis.value for side, bound in enumerate(bounds) if _is_bound(bound, side, name, axis)]
        wanted = [dim.value for dim in self._fields.dims[name] for _ in range(2)]
        refuse_unless(found == wanted, f"'{name}' is not set as a whole")

    def _value(self, node: ir.Expr, names: _Names) -> Symbol:
        """What an expression stands for: fields outside of stencils, elements of them inside."""
        match node:
            case ir.Literal():
                return Values(self._number(node))
            case ir.SymRef(id=name) if str(name) in names:
                value = names[str(name)]
                return value if not isinstance(value, _Function) else _refuse(node)
            case ir.FunCall(fun=ir.SymRef(id=name), args=arguments) if str(name) in FUNCTIONS:
                given = [self._values(argument, names) for argument in arguments]
                return self._fields.operation(str(name), given)
            case ir.FunCall(fun=ir.SymRef(id=name)):
                return self._called(node, str(name), names)
            case ir.FunCall(fun=ir.Lambda() as function, args=arguments):
                return self._apply(_Function(function, names), arguments, names)
            case ir.FunCall(fun=ir.FunCall(fun=ir.SymRef(id=name))):
                return self._mapped(node, str(name), names)
        return _refuse(node)

    def _values(self, node: ir.Expr, names: _Names) -> Values:
        return expected(Values, self._value(node, names), f"it has '{_text(node)}' as a number")

    def _called(self, node: ir.FunCall, name: str, names: _Names) -> Symbol:
        """A function by its name."""
        if name in self._kept:
            return self._fields.kept(name, tuple(self._value(argument, names) for argument in node.args))
        function = names.get(name)
        if isinstance(function, _Function):
            return self._apply(function, node.args, names)
        match name, node.args:
            case "make_tuple", parts:
                return tuple(self._value(part, names) for part in parts)
            case "tuple_get", [ir.Literal(value=position), of]:
                return expected(tuple, self._value(of, names), f"it has '{_text(of)}' as a tuple")[int(position)]
            case "deref", [iterator]:
                read = self._value(iterator, names)
                return self._fields.broadcast(read) if isinstance(read, Shifted) else read
            case "neighbors", [ir.OffsetLiteral(value=offset), iterator]:
                is_complete = str(offset) in self._fields.tables.complete
                refuse_unless(is_complete, f"it reads through the table '{offset}', which is not complete")
                return Neighbours(self._values(iterator, names), str(offset))
            case "cast_", [value, kind]:
                # Of a comparison it makes a number; of a number, which has the type of all fields, it changes nothing.
                refuse_unless(_name(kind) == self._fields.dtype, f"it casts to '{_text(kind)}'")
                values = self._values(value, names)
                return Values(as_number(values.element), values.dims)
        return _refuse(node)

    def _mapped(self, node: ir.FunCall, name: str, names: _Names) -> Symbol:
        """What a function of functions gives, applied to arguments."""
        match name, node.fun.args, node.args:
            case "as_fieldop", [ir.Lambda() as stencil], arguments:
                return self._apply(_Function(stencil, names), arguments, names)
            case "shift", [ir.OffsetLiteral(value=offset), ir.OffsetLiteral(value=position)], [iterator]:
                refuse_unless(position == 0, f"it reads neighbour {position} of the table '{offset}'")
                return Shifted(self._values(iterator, names), str(offset))
            case "map_" | "map_list", [function], [first, second]:
                refuse_unless(_name(function) == "multiplies", f"it maps '{_text(function)}' over a list")
                return self._fields.weighted(self._value(first, names), self._value(second, names))
            case "reduce", [function, start], [values]:
                is_sum = _name(function) == "plus" and isinstance(start, ir.Literal) and float(start.value) == 0.0
                refuse_unless(is_sum, f"it reduces a list by '{_text(function)}' from '{_text(start)}'")
                return self._fields.product(self._value(values, names))
        return _refuse(node)

    def _apply(self, function: _Function, arguments: Sequence[ir.Expr], names: _Names) -> Symbol:
        """A function's result. What it uses more than once is computed once."""
        given: dict[str, Symbol] = {}
        values = [self._value(argument, names) for argument in arguments]
        uses = collections.Counter(map(_name, function.node.expr.pre_walk_values().if_isinstance(ir.SymRef)))
        for parameter, value in zip(function.node.params, values, strict=True):
            name = str(parameter.id)
            given[name] = self._fields.once(value) if uses[name] > 1 else value
        return self._value(function.node.expr, {**function.names, **given})

    def _number(self, node: ir.Literal) -> Number:
        kind = str(node.type)
        known = kind in (self._fields.dtype, "int32", "int64") and math.isfinite(float(node.value))
        refuse_unless(known, f"it has the literal '{node.value}' of type {kind}")
        return Number(float(node.value) if kind.startswith("float") else int(node.value))


def _name(node: ir.Node) -> str:
    """What a node refers to; empty if it is something else."""
    return str(node.id) if isinstance(node, ir.SymRef) else ""


def _is_call(node: ir.Node, *names: str) -> bool:
    return isinstance(node, ir.FunCall) and _name(node.fun) in names


def _is_bound(node: ir.Expr, side: int, name: str, axis: ir.Expr) -> bool:
    """Whether a node is the bound of a field along a dimension, on one side."""
    match node:
        case ir.FunCall(
            fun=ir.SymRef(id="tuple_get"),
            args=[
                ir.Literal(value=found),
                ir.FunCall(fun=ir.SymRef(id="get_domain_range"), args=[ir.SymRef(id=of), along]),
            ],
        ):
            return (str(found), str(of), along) == (str(side), name, axis)
    return False


def _text(node: ir.Node) -> str:
    """A node in a message."""
    return textwrap.shorten(str(node), 80, placeholder=" ...")


def _refuse(node: ir.Expr) -> Symbol:
    called = _name(node.fun) if isinstance(node, ir.FunCall) else ""
    raise RefusedError(f"it calls '{called}'" if called else f"it has '{_text(node)}'")


def _leaves(node: ir.Expr) -> list[ir.Expr]:
    """The parts of a tuple expression, flat."""
    if isinstance(node, ir.FunCall) and _is_call(node, "make_tuple"):
        return [leaf for part in node.args for leaf in _leaves(part)]
    return [node]


def _flat(value: Symbol) -> list[Values]:
    return [expected(Values, leaf, "it sets a field to what is none") for leaf in parts_of(value)]


def read_program(
    program: ir.Program,
    shapes: Mapping[str, tuple[Extent, ...]],
    tables: Tables,
    kept: Collection[str] = (),
) -> ColumnProgram:
    """The program over columns that a GT4Py program is.

    Args:
        program: of GT4Py's front end, no transformation applied.
        shapes: of its fields, those in tuples by GT4Py's names for them.
        tables: its connectivities.
        kept: names of field operators that are not read but become one `Operation` of their name each, of rows rather
            than of elements: for those who have functions of their own for them.

    Raises:
        RefusedError: the program does something else than computing each column from itself.
    """
    fields = Fields(tables)
    _Reader(program, shapes, fields, kept).read()
    results = {definition.result for definition in fields.definitions}
    known: set[str] = set()
    for definition in fields.definitions:
        for name in definition.arrays():
            is_scratch = name.startswith(SCRATCH_PREFIXES)
            refuse_unless(name in known or not is_scratch, f"'{name}' is read before it is set")
            refuse_unless(name in known or name not in results, f"'{name}' is read and written")
        known.add(definition.result)
    inner = {name for name in results if name not in fields.dims or name.startswith(SCRATCH_PREFIXES)}
    refuse_unless(inner != results, "it computes nothing")
    columns = fields.extents[Column]
    return ColumnProgram(str(program.id), fields.definitions, inner, columns, fields.equal_extents, fields.arguments)
