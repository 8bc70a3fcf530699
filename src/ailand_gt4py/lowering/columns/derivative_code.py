"""The definitions and constants of a derivative as they are put together, and the values that go through it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Extent,
    Index,
    Load,
    Operation,
    Product,
    RefusedError,
    Sum,
    loads,
    operations,
)
from ailand_gt4py.lowering.columns.constants import Constant, is_constant
from ailand_gt4py.lowering.columns.derivative_rules import (
    ONE,
    ZERO,
    add,
    arguments_as_read,
    multiply,
    partial_derivatives,
)
from ailand_gt4py.lowering.columns.read_gtir import CONSTANTS_PREFIX

#: How a constant row of each direction is indexed, and a number for each direction of a column.
CONSTANT_ROW: tuple[Index, ...] = ("direction", "feature")
OF_DIRECTION: tuple[Index, ...] = ("column", "direction")


@dataclasses.dataclass(frozen=True)
class Selected:
    """Tangents or adjoints of which each direction has one feature: a factor times a selection.

    Attributes:
        factor: of a column's feature. selection: (directions, features) of 1 and 0, one of the caller's arrays.
    """

    factor: Expression
    selection: str

    def expression(self) -> Expression:
        """One element of them."""
        return multiply(self.factor, Load(self.selection, CONSTANT_ROW))


class DerivativeCode:
    """Of one program.

    Args:
        written: names of the caller's arrays that derivatives are written to.

    Attributes:
        program: that is differentiated. definitions: of both, in order. constants: name -> how it is made.
        outputs: arrays of the caller's that derivatives are written to.
        extents: array -> number of its features.
    """

    def __init__(self, program: ColumnProgram, written: Iterable[str]) -> None:
        self.program = program
        self.definitions: list[Definition] = []
        self.constants: dict[str, Constant] = {}
        self.outputs: set[str] = set()
        # A field over columns alone has one feature.
        self.extents: dict[str, Extent] = {
            name: 1 if index[-1] == 0 else shape[-1] for name, (index, shape) in program.arguments.items()
        }
        self.extents |= {definition.result: definition.extent for definition in program.definitions}
        self._defined: dict[tuple[Expression, tuple[Product, ...], Extent | None], str] = {}
        self._names = dict.fromkeys((*program.arguments, *program.computed, *written), 0)

    # --- the caller's arrays ---

    def given(self, name: str) -> Expression | Selected:
        """Tangents that the caller gives."""
        index, _ = self.program.arguments[name]
        return Selected(ONE, name) if index == CONSTANT_ROW else Load(name, index)

    def is_selection(self, name: str) -> bool:
        """Whether one of the caller's arrays is the same in every column."""
        return self.program.arguments[name][0] == CONSTANT_ROW

    def directions_of(self, name: str) -> Extent | None:
        """Number of directions of one of the caller's arrays."""
        index, shape = self.program.arguments[name]
        return shape[index.index("direction")] if "direction" in index else None

    @staticmethod
    def not_a_number(name: str) -> Expression:
        """0, or NaN where a result is NaN, which no comparison tells."""
        return Operation("-", (Load(name, ROW), Load(name, ROW)))

    # --- definitions ---

    @staticmethod
    def result(definition: Definition) -> Load:
        """One element of what a definition of the program makes."""
        return Load(definition.result, ("column", 0) if definition.extent == 1 else ROW)

    def define(
        self,
        name: str,
        extent: Extent,
        value: Expression,
        directions: Extent | None = None,
        products: tuple[Product, ...] = (),
    ) -> Load:
        """Append one, under a name of its own, unless the same is there; gives its element."""
        # Not by extents: see `constant`.
        alike = (value, products, directions)
        if alike not in self._defined:
            count = self._names[name] = self._names.get(name, -1) + 1
            name = self._defined[alike] = f"{name}_{count}" if count else name
            self.definitions.append(Definition(name, extent, value, products, directions))
            self.extents[name] = extent
        return Load(self._defined[alike], ROW if directions is None else DIRECTED_ROW)

    def output(self, name: str, extent: Extent, value: Expression, directions: Extent | None) -> None:
        """Append what writes one of the caller's arrays."""
        self.definitions.append(Definition(name, extent, value, (), directions))
        self.outputs.add(name)

    def settled(self, name: str, extent: Extent, value: Expression, directions: Extent | None) -> Expression:
        """The value as an element of an array: of a constant one where it is the same in every column."""
        if isinstance(value, Load):
            return value
        if directions is not None and is_constant(value):
            return Load(self.constant("rows", expression=value, extents=(directions, extent)), CONSTANT_ROW)
        return self.define(name, extent, self.hoisted(value, extent, directions), directions)

    def hoisted(self, value: Expression, extent: Extent, directions: Extent | None) -> Expression:
        """The value with constants of each direction in the place of what computes them."""
        if directions is None or not isinstance(value, Operation):
            return value
        if is_constant(value) and any("direction" in load.index for load in loads(value)):
            return self.settled("", extent, value, directions)
        return Operation(value.name, tuple(self.hoisted(one, extent, directions) for one in value.arguments))

    def of_column(self, name: str, extent: Extent, value: Expression) -> Expression:
        """A column's value as it may stand in what is made for each of its directions: costly ones are made before."""
        match value:
            case Operation("select", (condition, a, b)) if _is_plain(b) or _is_plain(a):
                parts = (self.of_column(name, extent, one) for one in (a, b))
                return Operation("select", (condition, *parts))
        if is_constant(value) or operations(value) <= 2:
            return value
        return self.define(name, extent, value)

    def product(
        self, name: str, x: Load, weight: str, sizes: tuple[Extent, Extent], directions: Extent | None
    ) -> Expression:
        """An array times weights of so many outputs and inputs."""
        return self.define(name, sizes[0], Sum(), directions, (Product(x, weight, sizes[1]),))

    def scale(self, selected: Selected, name: str) -> str:
        """The array of the selected features of a factor: a number for each direction of a column."""
        extent, n_directions = self.extents_of(selected.selection)
        factor = selected.factor
        if not (isinstance(factor, Load) and factor.index == ROW):
            factor = self.define(f"{name}_factor", extent, factor)
        product = Product(factor, selected.selection, extent)
        return self.define(f"{name}_scale", n_directions, Sum(), None, (product,)).array

    def extents_of(self, selection: str) -> tuple[Extent, Extent]:
        """Features and directions of a selection."""
        _, (n_directions, extent) = self.program.arguments[selection]
        return extent, n_directions

    # --- constants ---

    def constant(
        self, kind: str, weight: str = "", expression: Expression | None = None, extents: tuple[Extent, ...] = ()
    ) -> str:
        """The name of a constant, which is made if it is not there."""
        made = Constant(kind, weight, expression, extents)  # type: ignore[arg-type]
        # Not by extents: whether two are equal may be known or not, and names are to be the same in either case.
        alike = (name for name, other in self.constants.items() if dataclasses.replace(other, extents=extents) == made)
        name = next(alike, None) if kind != "ones" else None
        if name is not None:
            return name
        name = f"{CONSTANTS_PREFIX}{len(self.constants)}"
        self.constants[name] = made
        return name

    def constant_product(self, rows: Expression, weight: str) -> Load:
        """Constant rows of each direction, or one of all directions, times weights."""
        if any("direction" in load.index for load in loads(rows)):
            return Load(self.constant("product", weight, rows), CONSTANT_ROW)
        return Load(self.constant("row_product", weight, rows), ("feature",))


def gradient(value: Expression, result: Expression) -> dict[Load, Expression]:
    """The derivative of an element-wise value by each of its loads.

    Args:
        result: the value, as it can be read.

    Raises:
        RefusedError: an operation has no derivative.
    """
    found: dict[Load, Expression] = {}

    def go_back(expression: Expression, factor: Expression, result: Expression) -> None:
        if isinstance(expression, Load):
            found[expression] = add(found.get(expression, ZERO), factor)
        elif isinstance(expression, Operation):
            as_read = arguments_as_read(expression, result)
            partials = partial_derivatives(expression, result)
            for argument, partial, read in zip(expression.arguments, partials, as_read, strict=True):
                if partial is not None:
                    go_back(argument, multiply(factor, partial), read)

    go_back(value, ONE, result)
    return found


def sum_of(values: Iterable[Expression]) -> Expression:
    """The sum of values."""
    total: Expression = ZERO
    for value in values:
        total = add(total, value)
    return total


def check_product(definition: Definition) -> tuple[Product, Load]:
    """The product that a definition is, and what it multiplies.

    Raises:
        RefusedError: it is something besides.
    """
    product, *others = definition.products
    if others or definition.value != Sum() or not isinstance(product.x, Load):
        raise RefusedError(f"'{definition.result}' is more than one matrix product")
    return product, product.x


def _is_plain(value: Expression) -> bool:
    return value in (ZERO, ONE)
