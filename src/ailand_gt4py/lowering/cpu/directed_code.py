"""C++ of what has several directions for each column: their products with weights.

A column's directions share their forward values. Behind a ReLU that is off, all of them are zero: where a value is said
to be zero unless a condition of the column holds, products on it run over the features where it does, which are listed
once for all directions. What is left out are products with zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ailand_gt4py.lowering.columns.column_program import (
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    cpp,
    loads,
)

if TYPE_CHECKING:
    from ailand_gt4py.lowering.cpu.block_code import BlockCode


class DirectedCode:
    """Of one program.

    Args:
        block: the code of the whole program.
        program: fused.
    """

    def __init__(self, block: BlockCode, program: ColumnProgram) -> None:
        self.block = block
        multiplied = {
            load.array
            for definition in program.definitions
            if definition.directions is not None and not definition.by_row
            for product in definition.products
            for load in loads(product.x)
        }
        #: Condition of a column -> name of the list of features where it holds, and its extent.
        self.lists: dict[Expression, tuple[str, str]] = {}
        #: Array -> condition without which it is zero.
        self.conditions: dict[str, Expression] = {}
        for definition in program.definitions:
            condition = _condition(definition)
            if condition is not None and definition.result in multiplied:
                self.conditions[definition.result] = condition
                self.lists.setdefault(condition, (f"positions{len(self.lists)}", cpp(definition.extent)))
        self.made: set[Expression] = set()

    def setup(self) -> list[str]:
        """Room for the lists of a part of a block: for each column a number and then positions, and some to spare."""
        if not self.lists:
            return []
        sizes = [f"few * {list_size(extent)}" for _, extent in self.lists.values()]
        lines = [f"int* const all_positions = ailand::workspace<int, 3>({' + '.join(sizes)});"]
        for k, (name, _) in enumerate(self.lists.values()):
            lines.append(f"int* const {name} = all_positions + {' + '.join(['0', *sizes[:k]])};")
        return lines

    def positions_of_row(self, definition: Definition) -> list[str]:
        """What lists, for row r, the positions of a definition, where products are to run over these alone."""
        condition = self.conditions.get(definition.result)
        if condition is None or condition in self.made:
            return []
        self.made.add(condition)
        name, extent = self.lists[condition]
        holds = self.block.expression(condition, definition.extent)
        return list_positions(name, extent, holds)

    def layer(self, definition: Definition) -> list[str]:
        """A definition with matrix products."""
        directions = self.block.directions_of[definition.result]
        positions = self.positions_of_row(definition)
        terms = ", ".join(self._term(definition, position) for position in range(len(definition.products)))
        value = self.block.expression(definition.value, definition.extent, directions)
        sizes = f"{len(definition.products)}, row, end, {directions}, {cpp(definition.extent)}"
        return [
            *(["for (long r = row; r < end; ++r) {", *positions, "}"] if positions else []),
            f"{{ const ailand::DirectedTerm<T> terms[] = {{{terms}}};",
            f"ailand::dense_directed<T>(terms, {sizes}, [=](auto sums, long r, long d, long j) {{",
            f"using V = decltype(sums); ailand::store<V>({self.block.target(definition)}, {value}); }}); }}",
        ]

    def _term(self, definition: Definition, position: int) -> str:
        product = definition.products[position]
        assert isinstance(product.x, Load)
        slot = self.block.slot_of[product.x.array]
        weight = self.block.kept.weight(product.weight, definition.extent, product.inputs)
        positions = "nullptr, 0"
        if product.x.array in self.conditions:
            name, extent = self.lists[self.conditions[product.x.array]]
            positions = f"{name}, {list_size(extent)}"
        return f"{{s{slot}, stride{slot}, {weight}.data, {weight}.stride, {cpp(product.inputs)}, {positions}}}"

    def copy_in(self, name: str, features: str) -> str:
        """What reads a caller's array of directions into its slot, for the rows of a part of a block."""
        slot = self.block.slot_of[name]
        s0, s1, s2 = self.block.strides(name)
        source = f"{self.block.pointers[name]} + (first + row) * ({s0})"
        sizes = f"end - row, {self.block.directions_of[name]}, {features}"
        return f"ailand::copy_in_directed<T>(s{slot}, stride{slot}, {source}, {s0}, {s1}, {s2}, {sizes});"

    def copy_out(self, definition: Definition) -> str:
        """What writes the caller's array of a definition's result."""
        slot = self.block.slot_of[definition.result]
        s0, s1, s2 = self.block.strides(definition.result)
        target = f"{self.block.pointers[definition.result]} + (first + row) * ({s0})"
        sizes = f"end - row, {self.block.directions_of[definition.result]}, {cpp(definition.extent)}"
        return f"ailand::copy_out_directed<T>({target}, {s0}, {s1}, {s2}, s{slot}, stride{slot}, {sizes});"


def list_size(extent: str) -> str:
    """Numbers of a list of positions among so many features."""
    return f"ailand::list_size<T>({extent})"


def list_positions(lists: str, extent: str, holds: str) -> list[str]:
    """What lists, for row r, those of so many features j where something holds; the first list is that of ``row``."""
    return [
        f"ailand::list_positions<T>({lists} + (r - row) * {list_size(extent)}, {extent}, [&](long j) {{",
        f"using V = ailand::vector_of<T>; return {holds}; }});",
    ]


def zero_unless(definition: Definition) -> Expression | None:
    """The condition without which a definition is zero; None where there is no such."""
    match definition.value:
        case Operation("select", (condition, _, Number(0))):
            return condition
    return None


def _condition(definition: Definition) -> Expression | None:
    """The condition of the column without which a definition of directions is zero; None where there is no such."""
    condition = zero_unless(definition)
    if condition is None or definition.directions is None:
        return None
    return None if any("direction" in load.index for load in loads(condition)) else condition
