"""C++ of what is done with one block of columns: all definitions in order, on the rows of its slots."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ailand_gt4py.lowering.columns.column_program import ColumnProgram, Definition, Load, cpp
from ailand_gt4py.lowering.columns.fuse import may_be_beside
from ailand_gt4py.lowering.cpu.directed_code import DirectedCode
from ailand_gt4py.lowering.cpu.element_code import ElementCode
from ailand_gt4py.lowering.cpu.layer_code import LayerCode
from ailand_gt4py.lowering.cpu.slots import Slots, features_read, largest


class BodyCode:
    """Of one program.

    Args:
        program: fused, what has directions behind what has none.
        elements: its arrays, whose slots are given here.
        with_blas: whether matrix products are calls of ``ailand::gemm``.

    Attributes:
        lines: C++.
        slots: of the block.
    """

    def __init__(self, program: ColumnProgram, elements: ElementCode, with_blas: bool) -> None:
        self._program, self._elements = program, elements
        self.lines: list[str] = []
        self.slots = Slots(program, elements.slot_of)
        self._layer = LayerCode(elements, program, with_blas)
        self._directed = DirectedCode(elements, program)
        self._last_use = {definition.result: position for position, definition in enumerate(program.definitions)}
        for position, definition in enumerate(program.definitions):
            self._last_use |= {load.array: position for load in _row_loads(definition)}
        #: Slots that may be written again when the layers at hand are made.
        self._held: list[int] = []
        #: Layers side by side, and what is made row by row of what they give, with the directions it is made for.
        self._layers: list[Definition] = []
        self._row_by_row: list[tuple[str | None, str]] = []
        self._is_directed = False
        self.lines += self._directed.setup()
        for position, definition in enumerate(program.definitions):
            self._add(position, definition)
        self._end_of_rows()
        self.lines += ["}"] if self._is_directed else []

    def _add(self, position: int, definition: Definition) -> None:
        if definition.directions is not None and not self._is_directed:
            self._begin_directions(position)
        row_loads = _row_loads(definition)
        for name in self._not_there(load.array for load in row_loads):
            self._end_of_rows()
            self._copy_in(name)
        is_beside = bool(self._layers) and not self._row_by_row and may_be_beside(definition, self._layers)
        if not is_beside:
            self.slots.free += self._held
            self._held = []
        names = dict.fromkeys(load.array for load in row_loads)
        dying = [name for name in names if self._last_use[name] == position]
        self._give_slot(definition, row_loads, dying, is_beside)
        self._make(definition, is_beside)
        if definition.result not in self._program.inner:
            self._end_of_rows()
            self._copy_out(definition)
        slot_of = self._elements.slot_of
        slot = slot_of[definition.result]
        no_longer = [slot_of[name] for name in dying if slot_of[name] != slot]
        # What a layer multiplies, one beside it must not write over.
        (self._held if self._layers and not self._row_by_row else self.slots.free).extend(no_longer)
        if self._last_use[definition.result] == position:
            self.slots.free.append(slot)

    def _not_there(self, names: Iterator[str]) -> Iterator[str]:
        """Those of the caller's arrays that have not been read."""
        computed = self._program.computed
        return (name for name in dict.fromkeys(names) if name not in computed and name not in self._elements.slot_of)

    def _begin_directions(self, position: int) -> None:
        """From here on, some rows at a time, with all of their directions; what columns have once is read before."""
        self._end_of_rows()
        later = (load.array for other in self._program.definitions[position:] for load in _row_loads(other))
        for name in self._not_there(name for name in later if name not in self._elements.directions_of):
            self._copy_in(name)
        self._is_directed = True
        self.lines.append("for (long row = 0; row < rows; row += few) { const long end = std::min(rows, row + few);")

    def _give_slot(self, definition: Definition, row_loads: list[Load], dying: list[str], is_beside: bool) -> None:
        # What a layer multiplies is read as a whole; of all else, each element just before it is replaced.
        together = (*self._layers, definition) if is_beside else (definition,)
        multiplied = set().union(*(one.factors() for one in together))
        here = [
            self._elements.slot_of[name]
            for name in dying
            if name not in multiplied and all(load.index == definition.row for load in row_loads if load.array == name)
        ]
        directions = self._elements.directions_of.get(definition.result)
        self.slots.give(definition.result, [cpp(definition.extent)], directions, here)

    def _make(self, definition: Definition, is_beside: bool) -> None:
        directions = self._elements.directions_of.get(definition.result)
        if not definition.is_layer:
            # First, so that what follows is one loop over the directions.
            self._row_by_row[:0] = [(None, line) for line in self._directed.positions_of_row(definition)]
            self._row_by_row += [(directions, line) for line in self._of_one_row(definition)]
            return
        if not is_beside:
            self._end_of_rows()
        if directions is None:
            self._layers.append(definition)
        else:
            self.lines += self._directed.layer(definition)

    def _end_of_rows(self) -> None:
        """Layers, and what is made row by row of what they give, are made together while the rows are in reach."""
        row_loop = ["for (long r = row; r < end; ++r) {", *_looped(self._row_by_row), "}"] if self._row_by_row else []
        if self._layers:
            self.lines += [*self._layer.text(self._layers, bool(row_loop)), *row_loop, "} }"]
        elif row_loop and self._is_directed:
            self.lines += row_loop
        elif row_loop:
            self.lines += ["{ const long row = 0, end = rows;", *row_loop, "}"]
        self._layers.clear()
        self._row_by_row.clear()

    def _of_one_row(self, definition: Definition) -> list[str]:
        """A definition that is no layer, for row r."""
        elements, extent = self._elements, definition.extent
        store = elements.store(definition)
        if definition.by_row:
            (product,) = definition.products
            weight = elements.kept.vector(product.weight, elements.strides(product.weight)[1], product.inputs)
            factor = elements.expression(product.x, product.inputs, elements.directions_of.get(definition.result))
            return [
                f"{{ const T sums = ailand::reduce_row<T>({cpp(product.inputs)}, {weight}, [&](long j) {{",
                f"using V = ailand::vector_of<T>; return {factor}; }});",
                f"using V = T; const long j = 0; {store} }}",
            ]
        if extent == 1:
            return [f"{{ using V = T; const long j = 0; {store} }}"]
        loop = f"for (long j = 0; j < {cpp(extent)}; j += ailand::lanes<T>)"
        return [f"{{ using V = ailand::vector_of<T>; {loop} {store} }}"]

    def _copy_in(self, name: str) -> None:
        extents = features_read(self._program, name)
        directions = self._elements.directions_of.get(name)
        self.slots.give(name, extents, directions)
        slot, strides = self._slot_and_strides(name)
        if directions is None:
            source, sizes, function = self._elements.pointer(name, "first"), "rows", "copy_in"
        else:
            source = self._elements.pointer(name, "(first + row)")
            sizes, function = f"end - row, {directions}", "copy_in_directed"
        self.lines.append(f"ailand::{function}<T>({slot}, {source}, {strides}, {sizes}, {largest(extents)});")

    def _copy_out(self, definition: Definition) -> None:
        slot, strides = self._slot_and_strides(definition.result)
        extent = cpp(definition.extent)
        if definition.directions is None:
            target, sizes, function = self._elements.pointer(definition.result, "first"), "rows", "copy_out"
        else:
            target = self._elements.pointer(definition.result, "(first + row)")
            sizes = f"end - row, {self._elements.directions_of[definition.result]}"
            function = "copy_out_directed"
        self.lines.append(f"ailand::{function}<T>({target}, {strides}, {slot}, {sizes}, {extent});")

    def _slot_and_strides(self, name: str) -> tuple[str, str]:
        slot = self._elements.slot_of[name]
        return f"s{slot}, stride{slot}", ", ".join(self._elements.strides(name))


def _row_loads(definition: Definition) -> list[Load]:
    return [load for load in definition.loads() if load.index[:1] == ("column",)]


def _looped(lines: list[tuple[str | None, str]]) -> list[str]:
    """Lines for one row, those of directions in loops over these."""
    result: list[str] = []
    for directions, group in itertools.groupby(lines, key=lambda pair: pair[0]):
        texts = [text for _, text in group]
        loop = [] if directions is None else [f"for (long d = 0; d < {directions}; ++d) {{"]
        result += [*loop, *texts, *("}" for _ in loop)]
    return result
