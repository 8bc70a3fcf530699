"""What a program over columns does: a list of definitions in order.

Every array of the program that is no operand holds one row of features for each column, and a row depends on rows of
the same column only. That is what lets the whole program run block by block.

Derivatives have several directions for each column: there an array holds a row of features for each of them, which
depends on rows of the same direction and on those of the column that have none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from dace.symbolic import symstr

#: One index of a load: the column, the direction or the feature that is being computed, or a fixed position.
Index = Literal["column", "direction", "feature"] | int
#: Number of features: a number or an expression of DaCe in the program's symbols.
Extent = Any

ROW: tuple[Index, ...] = ("column", "feature")
DIRECTED_ROW: tuple[Index, ...] = ("column", "direction", "feature")
#: Operations that are written between their two arguments, in Python as in C++.
INFIX = frozenset({"+", "-", "*", "/", ">", ">=", "<", "<=", "==", "!="})


def cpp(extent: Extent) -> str:
    """An extent or a stride as C++."""
    return str(extent) if isinstance(extent, int) else symstr(extent, cpp_mode=True)


def operation_in_cpp(name: str, parts: Sequence[str]) -> str | None:
    """An operation of C++ itself, applied to its arguments; None for functions."""
    if name in INFIX:
        return f"({parts[0]} {name} {parts[1]})"
    if name == "neg":
        return f"(-{parts[0]})"
    return f"({parts[0]} ? {parts[1]} : {parts[2]})" if name == "select" else None


def is_about(size: int, other: int) -> bool:
    """Whether rows of one size may hold those of another without much waste."""
    size, other = max(size, 8), max(other, 8)
    return size <= 2 * other and other <= 2 * size


class RefusedError(Exception):
    """Why a program is not one over independent columns."""


@dataclasses.dataclass(frozen=True)
class Number:
    """A literal."""

    value: float | int


@dataclasses.dataclass(frozen=True)
class Load:
    """One element of an array."""

    array: str
    index: tuple[Index, ...]


@dataclasses.dataclass(frozen=True)
class Sum:
    """The matrix products of the definition that this stands in, added up."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """``name`` applied to its arguments.

    Names are Python's operators (``+ - * / > >= < <= == != neg``), ``select`` (condition, if true, if false), and
    functions: ``max``, ``min``, ``sqrt``, ``exp``, ``log``, ``tanh``, ``sinh``, ``cosh``, ``asinh``, ``atanh``,
    ``sin``, ``cos``, ``acos``, ``atan``, ``abs``, ``floor``, ``pow``.
    """

    name: str
    arguments: tuple[Expression, ...]


Expression = Number | Load | Sum | Operation


@dataclasses.dataclass(frozen=True)
class Product:
    """``x (columns, inputs) @ weight (outputs, inputs)^T``, one term of a `Definition`.

    Attributes:
        x: what is contracted; more than a load only where it is summed row by row (`Definition.by_row`).
        weight: the array of weights (outputs, inputs).
        inputs: number of terms of each sum.
    """

    x: Expression
    weight: str
    inputs: Extent


@dataclasses.dataclass(frozen=True)
class Definition:
    """``result[column, feature] = value`` for every column and feature, or for every direction of a column as well.

    Attributes:
        result: the array that is written, nowhere else in the program.
        extent: number of features.
        value: of one element; `Sum` stands for the products.
        products: the matrix products, none for element-wise definitions.
        directions: number of directions of each column; None where there are none.
    """

    result: str
    extent: Extent
    value: Expression
    products: tuple[Product, ...] = ()
    directions: Extent | None = None

    @property
    def row(self) -> tuple[Index, ...]:
        """How its own row is indexed."""
        return ROW if self.directions is None else DIRECTED_ROW

    @property
    def by_row(self) -> bool:
        """Whether each row has one sum: then it is no matrix product but one reduction over the row."""
        return len(self.products) == 1 and self.extent == 1

    @property
    def is_layer(self) -> bool:
        """Whether it has matrix products."""
        return bool(self.products) and not self.by_row

    def expressions(self) -> tuple[Expression, ...]:
        """Value and factors."""
        return (self.value, *(product.x for product in self.products))

    def loads(self) -> list[Load]:
        """All loads in value and factors."""
        return [load for expression in self.expressions() for load in loads(expression)]

    def arrays(self) -> list[str]:
        """All arrays that are read, weights among them."""
        return [*(load.array for load in self.loads()), *(product.weight for product in self.products)]

    def factors(self) -> list[str]:
        """The arrays that are contracted, each once."""
        return list(dict.fromkeys(load.array for product in self.products for load in loads(product.x)))


@dataclasses.dataclass
class ColumnProgram:
    """A program over columns.

    Attributes:
        name: of the program.
        definitions: in an order in which each reads what earlier ones or the caller wrote.
        inner: arrays that only the program sees; the others are the caller's.
        columns: number of columns.
        equal_extents: numbers of columns or features that have to be equal at run time.
        arguments: the caller's arrays: how an element is indexed, and their shape.
        constants: further operands of a derivative: name -> how it is made (`constants.Constant`).
    """

    name: str
    definitions: list[Definition]
    inner: set[str]
    columns: Extent
    equal_extents: list[tuple[Extent, Extent]] = dataclasses.field(default_factory=list)
    arguments: dict[str, tuple[tuple[Index, ...], tuple[Extent, ...]]] = dataclasses.field(default_factory=dict)
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def results(self) -> list[str]:
        """The caller's arrays that are written."""
        return [definition.result for definition in self.definitions if definition.result not in self.inner]

    @property
    def computed(self) -> set[str]:
        """All arrays that are written."""
        return {definition.result for definition in self.definitions}

    @property
    def unequal(self) -> str:
        """C++: whether numbers of columns or features differ that have to be equal."""
        return " || ".join(f"({cpp(one)}) != ({cpp(other)})" for one, other in self.equal_extents) or "false"


def weights_of_layers(program: ColumnProgram, layers: Sequence[str]) -> frozenset[str]:
    """The weights of matrix products whose names, up to an underscore, are those of a network's layers."""
    weights = {one.weight for definition in program.definitions if definition.is_layer for one in definition.products}
    return frozenset(name for name in weights for layer in layers if f"{name}_".startswith(f"{layer}_"))


def loads(expression: Expression) -> Iterator[Load]:
    """All loads in an expression, one for each time it occurs."""
    if isinstance(expression, Load):
        yield expression
    elif isinstance(expression, Operation):
        for argument in expression.arguments:
            yield from loads(argument)


def operations(expression: Expression) -> int:
    """How many operations an expression has."""
    arguments = expression.arguments if isinstance(expression, Operation) else ()
    return bool(arguments) + sum(map(operations, arguments))


def at_feature(expression: Expression, position: Index) -> Expression:
    """The expression of one feature."""
    return with_index(expression, "feature", position)


def with_index(expression: Expression, old: Index, new: Index) -> Expression:
    """The expression with one index in the place of another."""

    def changed(load: Load) -> Load:
        return Load(load.array, tuple(new if index == old else index for index in load.index))

    return replace(expression, changed)


def replace(expression: Expression, change: Callable[[Load], Expression]) -> Expression:
    """The expression with every load changed."""
    if isinstance(expression, Load):
        return change(expression)
    if isinstance(expression, Operation):
        return Operation(expression.name, tuple(replace(argument, change) for argument in expression.arguments))
    return expression
