"""C++ of what has several directions for each column: their products with weights.

A column's directions share their forward values. Behind a ReLU that is off, all of them are zero: where a value is said
to be zero unless a condition of the column holds, products on it run over the features where it does, which are listed
once for all directions. What is left out are products with zero.
"""

from __future__ import annotations

from ailand_gt4py.lowering.columns.column_program import (
    ColumnProgram,
    Definition,
    Expression,
    Number,
    Operation,
    cpp,
    loads,
)
from ailand_gt4py.lowering.cpu.element_code import ElementCode


class DirectedCode:
    """Of one program, which is fused."""

    def __init__(self, elements: ElementCode, program: ColumnProgram) -> None:
        self._elements = elements
        layers = (one for one in program.definitions if one.directions is not None and one.is_layer)
        multiplied = set().union(*(layer.factors() for layer in layers))
        #: Condition of a column -> name of the list of features where it holds, and its extent.
        self._lists: dict[Expression, tuple[str, str]] = {}
        #: Array -> condition without which it is zero.
        self._conditions: dict[str, Expression] = {}
        for definition in program.definitions:
            condition = _condition(definition)
            if condition is not None and definition.result in multiplied:
                self._conditions[definition.result] = condition
                self._lists.setdefault(condition, (f"positions{len(self._lists)}", cpp(definition.extent)))
        self._made: set[Expression] = set()

    def setup(self) -> list[str]:
        """Room for the lists of a part of a block: for each column a number and then positions, and some to spare."""
        if not self._lists:
            return []
        sizes = [f"few * {list_size(extent)}" for _, extent in self._lists.values()]
        lines = [f"int* const all_positions = ailand::workspace<int, 3>({' + '.join(sizes)});"]
        for k, (name, _) in enumerate(self._lists.values()):
            lines.append(f"int* const {name} = all_positions + {' + '.join(['0', *sizes[:k]])};")
        return lines

    def positions_of_row(self, definition: Definition) -> list[str]:
        """What lists, for row r, the positions of a definition, where products are to run over these alone."""
        condition = self._conditions.get(definition.result)
        if condition is None or condition in self._made:
            return []
        self._made.add(condition)
        name, extent = self._lists[condition]
        return list_positions(name, extent, self._elements.expression(condition, definition.extent))

    def layer(self, definition: Definition) -> list[str]:
        """A definition with matrix products."""
        directions = self._elements.directions_of[definition.result]
        positions = self.positions_of_row(definition)
        terms = ", ".join(self._term(definition, position) for position in range(len(definition.products)))
        sizes = f"{len(definition.products)}, row, end, {directions}, {cpp(definition.extent)}"
        return [
            *(["for (long r = row; r < end; ++r) {", *positions, "}"] if positions else []),
            f"{{ const ailand::DirectedTerm<T> terms[] = {{{terms}}};",
            f"ailand::dense_directed<T>(terms, {sizes}, [=](auto sums, long r, long d, long j) {{",
            f"using V = decltype(sums); {self._elements.store(definition)} }}); }}",
        ]

    def _term(self, definition: Definition, position: int) -> str:
        (factor,) = (load.array for load in loads(definition.products[position].x))
        positions = "nullptr, 0"
        if factor in self._conditions:
            name, extent = self._lists[self._conditions[factor]]
            positions = f"{name}, {list_size(extent)}"
        return f"{{{self._elements.term(definition, position)}, {positions}}}"


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
    condition = None if definition.directions is None else zero_unless(definition)
    if condition is None:
        return None
    return None if any("direction" in load.index for load in loads(condition)) else condition
