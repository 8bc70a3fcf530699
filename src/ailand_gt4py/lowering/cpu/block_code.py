"""From a fused `ColumnProgram` to C++: blocks of columns, shared among threads, through all definitions.

What the code is made of is in ``kernels.hpp`` and ``vectors.hpp``. Values of a block stay in its rows, one after
another for each array.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Definition,
    Extent,
    Load,
    cpp,
    loads,
)
from ailand_gt4py.lowering.columns.fuse import may_be_beside, side_by_side
from ailand_gt4py.lowering.cpu.element_code import ElementCode
from ailand_gt4py.lowering.cpu.layer_code import LayerCode
from ailand_gt4py.lowering.rows import RowPool, Rows, largest


def block_code(program: ColumnProgram, interface: Interface, with_blas: bool, packed: Sequence[str] = ()) -> str:
    """The C++ of one program, which is fused.

    Args:
        with_blas: whether matrix products are calls of ``ailand::gemm`` (see `blas.declaration`).
        packed: how the names of weights begin that come packed in bfloat16 (`core.matrices.packed`).

    Raises:
        RefusedError: it has an operation that has no form in C++.
    """
    # A stable order: what a column has once needs nothing of what its directions have.
    definitions = sorted(program.definitions, key=lambda definition: definition.directions is not None)
    program = dataclasses.replace(program, definitions=side_by_side(definitions))
    elements = ElementCode(program, interface)
    body = _BodyCode(program, elements, with_blas, packed)
    slots = list(enumerate(body.slots.all))
    once = [k for k, slot in slots if slot.kind == "once"]
    row = " + ".join(["0", *(f"outer_stride{k}" for k in once)])
    # In each slot, the largest number of directions of the arrays that it holds.
    copies = {
        k: largest([f"outer_{elements.directions_of[name]}" for name, of in elements.slot_of.items() if of == k])
        for k, slot in slots
        if slot.kind == "directed"
    }
    directed_row = " + ".join(["0", *(f"outer_stride{k} * {number}" for k, number in copies.items())])
    directions, kept = elements.numbers_of_directions, elements.kept.values()
    captured = (*(f"stride{k}" for k, _ in slots), *directions.values(), *(name for name, _, _ in kept))
    tiles = ", ailand::rounded_rows, ailand::rounded_rows" if packed else ""
    bytes_of_a_weight = "sizeof(uint16_t)" if packed else "sizeof(T)"
    return "\n".join(
        [
            f"using T = {interface.arrays[program.results[0]].dtype.ctype};",
            f"const long columns = {cpp(program.columns)};",
            f"if ({program.unequal}) {{",
            f'    std::fprintf(stderr, "{program.name}: its arrays differ in columns or features\\n");',
            "    std::abort();",
            "}",
            *(f"const long outer_stride{k} = {_row_stride(elements, slot)};" for k, slot in slots),
            *(f"const long outer_{name} = {count};" for count, name in directions.items()),
            f"T* room = ailand::workspace<T, 0>({' + '.join(['0', *(size for _, _, size in kept)])});",
            *(line for _, line, _ in kept),
            f"const long row = {row}, directed_row = {directed_row};",
            "const long few = ailand::few_rows(directed_row * sizeof(T));",
            f"const double weights = ({_weights(program)}) * {bytes_of_a_weight}, flops = {_flops(program)};",
            f"const ailand::Plan plan = ailand::plan(columns, row * sizeof(T), weights, flops{tiles});",
            "ailand::share((columns + plan.rows - 1) / plan.rows, plan.threads, [&](long block) {",
            "const long first = block * plan.rows, rows = std::min(plan.rows, columns - first);",
            # Copies of its own can stay in registers; what is captured would be read again after every store.
            *(f"const auto {name} = outer_{name};" for name in captured),
            f"const long room_rows = {'ailand::padded<T>(plan.rows)' if elements.is_flat else 'plan.rows'};",
            "T* free = ailand::workspace<T, 1>(room_rows * row + few * directed_row);",
            *(f"T* const s{k} = free; free += room_rows * stride{k};" for k in once),
            *(f"T* const s{k} = free; free += few * {number} * stride{k};" for k, number in copies.items()),
            *body.lines,
            "});",
        ]
    )


def _row_stride(elements: ElementCode, slot: Rows) -> str:
    """From one column of a slot to the next."""
    return "1" if elements.is_flat else f"ailand::row_stride<T>({largest(slot.extents)})"


def _flops(program: ColumnProgram) -> str:
    """The operations of one column's matrix products."""
    products = [
        f"2.0 * ({cpp(definition.extent)}) * ({cpp(product.inputs)}) * ({cpp(definition.directions or 1)})"
        for definition in program.definitions
        for product in definition.products
    ]
    return " + ".join(["1.0", *products])


def _weights(program: ColumnProgram) -> str:
    """The number of all weights."""
    sizes = {
        product.weight: f"1.0 * ({cpp(definition.extent)}) * ({cpp(product.inputs)})"
        for definition in program.definitions
        for product in definition.products
    }
    return " + ".join(["0.0", *sizes.values()])


class _BodyCode:
    """What is done with one block: all definitions in order, on the rows of its slots.

    Args:
        program: fused, what has directions behind what has none.
        elements: its arrays, whose slots are given here.
        with_blas, packed: as of `block_code`.

    Attributes:
        lines: C++.
        slots: rows of the block; of columns that have directions, one for each of these.
    """

    def __init__(self, program: ColumnProgram, elements: ElementCode, with_blas: bool, packed: Sequence[str]) -> None:
        self._program, self._elements = program, elements
        self.lines: list[str] = []
        self.slots = RowPool()
        self._layer = LayerCode(elements, program, with_blas, packed)
        self._sizes = _sizes(program)
        self._last_use = {definition.result: position for position, definition in enumerate(program.definitions)}
        for position, definition in enumerate(program.definitions):
            self._last_use |= {load.array: position for load in _row_loads(definition)}
        #: Slots that may be written again when the layers at hand are made.
        self._held: list[int] = []
        #: Layers side by side, and what is made row by row of what they give, with the directions it is made for.
        self._layers: list[Definition] = []
        self._row_by_row: list[tuple[str | None, str]] = []
        self._is_directed = False
        self.lines += self._layer.setup()
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
        # What a layer multiplies is read as a whole; of all else, each element just before it is replaced.
        together = (*self._layers, definition) if is_beside else (definition,)
        multiplied = set().union(*(one.factors() for one in together))
        slot_of = self._elements.slot_of
        here = [
            slot_of[name]
            for name in dying
            if name not in multiplied and all(load.index == definition.row for load in row_loads if load.array == name)
        ]
        self._take(definition.result, [cpp(definition.extent)], here)
        self._make(definition, is_beside)
        if definition.result not in self._program.inner:
            self._end_of_rows()
            self._copy_out(definition)
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

    def _take(self, name: str, extents: list[str], preferred: list[int]) -> None:
        kind = "directed" if name in self._elements.directions_of else "once"
        self._elements.slot_of[name] = self.slots.take(kind, self._sizes.get(name, 1), extents, preferred)

    def _make(self, definition: Definition, is_beside: bool) -> None:
        directions = self._elements.directions_of.get(definition.result)
        if not definition.is_layer:
            # First, so that what follows is one loop over the directions.
            self._row_by_row[:0] = [(None, line) for line in self._layer.positions_of_row(definition)]
            self._row_by_row += [(directions, line) for line in self._of_one_row(definition)]
            return
        if not is_beside:
            self._end_of_rows()
        if directions is None:
            self._layers.append(definition)
        else:
            self.lines += self._layer.of_directions(definition)

    def _end_of_rows(self) -> None:
        """Layers, and what is made row by row of what they give, are made together while the rows are in reach."""
        step = "ailand::lanes<T>" if self._elements.is_flat else "1"
        loop = f"for (long r = row; r < end; r += {step}) {{"
        row_loop = [loop, *_looped(self._row_by_row), "}"] if self._row_by_row else []
        if self._layers:
            self.lines += [*self._layer.of_columns(self._layers, bool(row_loop)), *row_loop, "} }"]
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
            stride = elements.strides(product.weight)[1]
            weight = elements.kept_rows(product.weight, ("0", stride), "1", product.inputs)
            factor = elements.expression(product.x, product.inputs, elements.directions_of.get(definition.result))
            return [
                f"{{ const T sums = ailand::reduce_row<T>({cpp(product.inputs)}, {weight}, [&](long j) {{",
                f"using V = ailand::vector_of<T>; return {factor}; }});",
                f"using V = T; const long j = 0; {store} }}",
            ]
        if extent == 1:
            kind = "ailand::vector_of<T>" if elements.is_flat else "T"
            return [f"{{ using V = {kind}; const long j = 0; {store} }}"]
        loop = f"for (long j = 0; j < {cpp(extent)}; j += ailand::lanes<T>)"
        return [f"{{ using V = ailand::vector_of<T>; {loop} {store} }}"]

    def _copy_in(self, name: str) -> None:
        extents = _features_read(self._program, name)
        self._take(name, extents, [])
        array, slot, rows = self._both_sides(name)
        self.lines.append(f"ailand::copy_in<T>({slot}, {array}, {rows}, {largest(extents)});")

    def _copy_out(self, definition: Definition) -> None:
        array, slot, rows = self._both_sides(definition.result)
        self.lines.append(f"ailand::copy_out<T>({array}, {slot}, {rows}, {cpp(definition.extent)});")

    def _both_sides(self, name: str) -> tuple[str, str, str]:
        """Arguments of copies: a caller's array and its strides, its slot, numbers of rows and of directions."""
        elements = self._elements
        slot, directions = elements.slot_of[name], elements.directions_of.get(name)
        row, rows = ("first", "rows, 1") if directions is None else ("(first + row)", f"end - row, {directions}")
        first, *others = elements.strides(name)
        strides = (first, "0", *others) if directions is None else (first, *others)
        return f"{elements.pointer(name, row)}, {', '.join(strides)}", f"s{slot}, stride{slot}", rows


def _sizes(program: ColumnProgram) -> dict[str, int]:
    """The numbers of features of arrays where the program fixes them: as factors, by their extent, or by what they are
    made of feature by feature.
    """
    sizes: dict[str, int] = {}

    def add(name: str, extent: Extent) -> None:
        parts = (extent, *getattr(extent, "args", ()))
        numbers = [int(part) for part in parts if isinstance(part, int) or part.is_Integer]
        if numbers:
            sizes.setdefault(name, numbers[0])

    for definition in program.definitions:
        for product in definition.products:
            if isinstance(product.x, Load) and product.x.index in (ROW, DIRECTED_ROW):
                add(product.x.array, product.inputs)
    for definition in program.definitions:
        add(definition.result, definition.extent)
        made_of = [load.array for load in loads(definition.value) if load.index in (ROW, DIRECTED_ROW)]
        if not definition.products and not sizes.keys().isdisjoint(made_of):
            sizes.setdefault(definition.result, max(sizes.get(name, 1) for name in made_of))
    return sizes


def _features_read(program: ColumnProgram, name: str) -> list[str]:
    """The numbers of features, as C++, that a program reads of a caller's array; the largest of them are all."""
    extents: list[Extent] = []
    for definition in program.definitions:
        parts = [(definition.value, definition.extent), *((one.x, one.inputs) for one in definition.products)]
        for expression, extent in parts:
            for load in loads(expression):
                if load.array == name:
                    known = {"feature": extent, "direction": definition.directions}
                    extents.append(known[index] if isinstance(index := load.index[-1], str) else index + 1)
    return list(dict.fromkeys(cpp(extent) for extent in extents))


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
