"""C++ of one element of a block: where the arrays of a program are, and expressions of them."""

from __future__ import annotations

from collections.abc import Sequence

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ColumnProgram,
    Definition,
    Expression,
    Extent,
    Load,
    Number,
    Operation,
    RefusedError,
    Sum,
    cpp,
    operation_in_cpp,
)

_NAMED = {"max": "ailand::maximum", "min": "ailand::minimum", "exp": "ailand::exponential"}
#: Functions of C++'s standard library: of the first, ``vectors.hpp`` has some for whole vectors.
_FUNCTIONS = frozenset({"log", "tanh", "sinh", "cosh", "asinh", "atanh", "sin", "cos", "acos", "atan"})
_EACH = frozenset({"sqrt", "abs", "floor"})


class ElementCode:
    """The arrays of one program, in the caller's memory and in the slots of a block, and elements of them.

    Attributes:
        slot_of: array -> its slot in the block, filled as slots are given.
        numbers_of_directions: those numbers, as C++ -> their names in the code.
        directions_of: array -> the name of the number of its directions; of the caller's arrays, that of those who read
            them.
        kept: operands that are kept for all blocks -> name in the code, C++ that keeps it under ``outer_`` and that
            name, and how much memory it takes.
        is_flat: the lanes of vectors are columns: the program has one number of each column in every array.
    """

    def __init__(self, program: ColumnProgram, interface: Interface) -> None:
        self._arrays, self.pointers = interface.arrays, interface.connectors
        self.slot_of: dict[str, int] = {}
        self.numbers_of_directions: dict[str, str] = {}
        self.directions_of: dict[str, str] = {}
        self.kept: dict[tuple[str, str], tuple[str, str, str]] = {}
        self.is_flat = all(map(_is_flat, program.definitions))
        for definition in program.definitions:
            if definition.directions is not None:
                number = self.numbers_of_directions.setdefault(
                    cpp(definition.directions), f"directions{len(self.numbers_of_directions)}"
                )
                read = (load for load in definition.loads() if load.index[:2] == DIRECTED_ROW[:2])
                directed = (load.array for load in read if len(load.index) == len(DIRECTED_ROW))
                self.directions_of |= dict.fromkeys((definition.result, *directed), number)

    def strides(self, name: str) -> tuple[str, ...]:
        """Of a caller's array."""
        return tuple(cpp(stride) for stride in self._arrays[name].strides)

    def pointer(self, name: str, row: str) -> str:
        """Pointer to a row of the block in a caller's array."""
        return f"{self.pointers[name]} + {row} * ({self.strides(name)[0]})"

    def row_of(self, name: str) -> str:
        """Where the row of an array of the block begins, for row r and direction d."""
        slot = self.slot_of[name]
        directions = self.directions_of.get(name)
        row = "r" if directions is None else f"((r - row) * {directions} + d)"
        return f"s{slot} + {row} * stride{slot}"

    def store(self, definition: Definition) -> str:
        """What stores the value of a definition, for row r, direction d and feature j."""
        value = self.expression(definition.value, definition.extent, self.directions_of.get(definition.result))
        return f"ailand::store<V>({self.row_of(definition.result)} + j, {value});"

    def term(self, definition: Definition, position: int) -> str:
        """The factor and the weights, with ``data`` and the ``stride`` from input to input, of a matrix product."""
        product = definition.products[position]
        assert isinstance(product.x, Load)
        slot = self.slot_of[product.x.array]
        outputs, inputs = cpp(definition.extent), cpp(product.inputs)
        sizes = f"{', '.join(self.strides(product.weight))}, {outputs}, {inputs}"
        room = f"ailand::room_for_weight<T>({sizes})"
        weight = self._keep("w", "const auto", "keep_weight", product.weight, sizes, room)
        return f"s{slot}, stride{slot}, {weight}.data, {weight}.stride, {inputs}"

    def rounded_term(self, definition: Definition, position: int) -> str:
        """The factor and the packed weights of a matrix product of factors in bfloat16."""
        product = definition.products[position]
        assert isinstance(product.x, Load)
        slot = self.slot_of[product.x.array]
        return f"s{slot}, stride{slot}, {self.pointers[product.weight]}, {cpp(product.inputs)}"

    def kept_rows(self, array: str, strides: Sequence[str], rows: str, extent: Extent) -> str:
        """The name of a kept matrix with padded rows, or of a vector as one row."""
        sizes = f"{', '.join(strides)}, {rows}, {cpp(extent)}"
        room = f"{rows} * ailand::padded<T>({cpp(extent)})"
        return self._keep("v", "const T* const", "keep_rows", array, sizes, room)

    def _keep(self, prefix: str, kind: str, function: str, array: str, sizes: str, room: str) -> str:
        name = f"{prefix}{len(self.kept)}"
        line = f"{kind} outer_{name} = ailand::{function}<T>(room, {self.pointers[array]}, {sizes});"
        return self.kept.setdefault((array, sizes), (name, line, room))[0]

    def expression(self, expression: Expression, extent: Extent, directions: str | None = None) -> str:
        """C++ of an element of row r (direction d) and feature j.

        Args:
            extent: number of features of the loop. directions: number of directions, as C++; None where there are none.
        """
        match expression:
            case Number(value=value):
                return f"ailand::splat<V>(T({value!r}))"
            case Sum():
                return "sums"
            case Load():
                return self._load(expression, extent, directions)
            case Operation(name=name, arguments=arguments):
                parts = [self.expression(argument, extent, directions) for argument in arguments]
                return operation_in_cpp(name, parts) or _function(name, parts)
        raise AssertionError(expression)

    def _load(self, load: Load, extent: Extent, directions: str | None) -> str:
        array = load.array
        match load.index:
            case ("column", *_, "feature"):
                return f"ailand::load<V>({self.row_of(array)} + j)"
            case ("column", 0) if self.is_flat:
                return f"ailand::load<V>({self.row_of(array)} + j)"
            case ("column", *_, position):
                return f"ailand::splat<V>(({self.row_of(array)})[{'d' if position == 'direction' else position}])"
            case ("direction", "feature"):
                kept = self.kept_rows(array, self.strides(array), f"outer_{directions}", extent)
                return f"ailand::load<V>({kept} + d * ailand::padded<T>({cpp(extent)}) + j)"
            case ("feature",):
                kept = self.kept_rows(array, ("0", *self.strides(array)), "1", extent)
                return f"ailand::load<V>({kept} + j)"
            case ("direction" | int() as position,):
                (stride,) = self.strides(array)
                element = "d" if position == "direction" else str(position)
                return f"ailand::splat<V>({self.pointers[array]}[{element} * ({stride})])"
        raise AssertionError(load)


def _is_flat(definition: Definition) -> bool:
    """Whether a definition and all of a column that it reads have one number each."""
    of_columns = (load.index for load in definition.loads() if "column" in load.index)
    single = definition.extent == 1 and definition.directions is None and not definition.products
    return single and all(index == ("column", 0) for index in of_columns)


def _function(name: str, parts: Sequence[str]) -> str:
    if name in _NAMED:
        return f"{_NAMED[name]}({', '.join(parts)})"
    if name in _FUNCTIONS:
        return f"ailand::vector_{name}({parts[0]})"
    if name in _EACH:
        return f"ailand::each({parts[0]}, [](T value) {{ return std::{name}(value); }})"
    raise RefusedError(f"it has the operation '{name}'")
