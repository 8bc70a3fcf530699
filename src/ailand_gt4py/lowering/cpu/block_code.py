"""From a fused `ColumnProgram` to C++: blocks of columns, shared among threads, through all definitions.

What the code is made of is in ``kernels.hpp``. Values of a block stay in its rows, one after another for each array;
an array's rows are given to another one when nobody reads them any more.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    INFIX,
    ROW,
    ColumnProgram,
    Definition,
    Expression,
    Load,
    Number,
    Operation,
    RefusedError,
    Sum,
    cpp,
    loads,
)
from ailand_gt4py.lowering.columns.fuse import may_be_beside, side_by_side
from ailand_gt4py.lowering.cpu.directed_code import DirectedCode
from ailand_gt4py.lowering.cpu.kept_operands import KeptOperands
from ailand_gt4py.lowering.cpu.layer_code import LayerCode

_NAMED = {"max": "ailand::maximum", "min": "ailand::minimum"}
_EACH = {
    "sqrt": "std::sqrt",
    "exp": "std::exp",
    "log": "std::log",
    "tanh": "std::tanh",
    "atan": "std::atan",
    "abs": "std::abs",
}


@dataclasses.dataclass
class _Slot:
    """Rows of the block that hold one array after another.

    Attributes:
        extents: of the arrays, as C++.
        size: number of features as far as it is known, to give arrays rows of about their size.
        directions: numbers of rows that each column has, as C++, the largest of which counts; none: one.
    """

    extents: list[str]
    size: int
    directions: list[str]


class BlockCode:
    """The C++ of one program.

    Args:
        program: fused.
        arrays: the caller's.
        pointers: name of each caller's array in the code.
        with_blas: whether matrix products are calls of ``ailand::gemm`` (see `blas.declaration`).

    Raises:
        RefusedError: by `text`, an operation that has no form in C++.
    """

    def __init__(
        self, program: ColumnProgram, arrays: dict[str, Any], pointers: dict[str, str], with_blas: bool
    ) -> None:
        # A stable order: what a column has once needs nothing of what its directions have.
        definitions = sorted(program.definitions, key=lambda definition: definition.directions is not None)
        definitions = side_by_side(definitions)
        self.program = dataclasses.replace(program, definitions=definitions)
        self.with_blas = with_blas
        self.arrays = arrays
        self.pointers = pointers
        self.slots: list[_Slot] = []
        self.slot_of: dict[str, int] = {}
        #: Numbers of directions, as C++ -> their names in the code.
        self.numbers_of_directions: dict[str, str] = {}
        for definition in definitions:
            if definition.directions is not None:
                name = f"directions{len(self.numbers_of_directions)}"
                self.numbers_of_directions.setdefault(cpp(definition.directions), name)
        #: Array -> the number of its directions; of the caller's arrays, that of those who read them.
        self.directions_of = {
            name: self.numbers_of_directions[cpp(definition.directions)]
            for definition in definitions
            if definition.directions is not None
            for name in (definition.result, *(load.array for load in self._row_loads(definition) if _is_directed(load)))
        }
        self.kept = KeptOperands(arrays, pointers)
        self.real = str(arrays[program.results[0]].dtype.ctype)
        self.directed = DirectedCode(self, self.program)
        self.layer = LayerCode(self, self.program)

    def text(self) -> str:
        """The body of the program."""
        body = self._body()
        flops = [
            f"2.0 * ({cpp(definition.extent)}) * ({cpp(product.inputs)}) * ({cpp(definition.directions or 1)})"
            for definition in self.program.definitions
            for product in definition.products
        ]
        once = [k for k, slot in enumerate(self.slots) if not slot.directions]
        several = [k for k, slot in enumerate(self.slots) if slot.directions]
        copies = {k: _largest(self.slots[k].directions) for k in several}
        of_directions = [f"const long outer_{name} = {count};" for count, name in self.numbers_of_directions.items()]
        row = " + ".join(["0", *(f"outer_stride{k}" for k in once)])
        outer_copies = {k: _largest([f"outer_{name}" for name in self.slots[k].directions]) for k in several}
        directed_row = " + ".join(["0", *(f"outer_stride{k} * {outer_copies[k]}" for k in several)])
        strides = [
            f"const long outer_stride{k} = ailand::row_stride<T>({_largest(slot.extents)});"
            for k, slot in enumerate(self.slots)
        ]
        strides_of_slots = [f"stride{k}" for k in range(len(self.slots))]
        captured = (*strides_of_slots, *self.numbers_of_directions.values(), *self.kept.names.values())
        rows = [f"T* const s{k} = free; free += plan.rows * stride{k};" for k in once]
        rows += [f"T* const s{k} = free; free += few * {copies[k]} * stride{k};" for k in several]
        unequal = " || ".join(f"({cpp(one)}) != ({cpp(other)})" for one, other in self.program.equal_extents)
        return "\n".join(
            [
                f"using T = {self.real};",
                f"const long columns = {cpp(self.program.columns)};",
                f"if ({unequal or 'false'}) {{",
                f'    std::fprintf(stderr, "{self.program.name}: its arrays differ in columns or features\\n");',
                "    std::abort();",
                "}",
                *strides,
                *of_directions,
                f"T* room = ailand::workspace<T, 0>({' + '.join(['0', *self.kept.room])});",
                *self.kept.lines,
                f"const long row = {row}, directed_row = {directed_row};",
                "const long few = ailand::few_rows(directed_row * sizeof(T));",
                f"const ailand::Plan plan = ailand::plan(columns, row * sizeof(T), {' + '.join(['1.0', *flops])});",
                "ailand::share((columns + plan.rows - 1) / plan.rows, plan.threads, [&](long block) {",
                "const long first = block * plan.rows, rows = std::min(plan.rows, columns - first);",
                # Copies of its own can stay in registers; what is captured would be read again after every store.
                *(f"const auto {name} = outer_{name};" for name in captured),
                "T* free = ailand::workspace<T, 1>(plan.rows * row + few * directed_row);",
                *rows,
                *self.directed.setup(),
                *body,
                "});",
            ]
        )

    def _body(self) -> list[str]:
        lines: list[str] = []
        definitions = self.program.definitions
        computed = {definition.result for definition in definitions}
        last_use = {definition.result: position for position, definition in enumerate(definitions)}
        for position, definition in enumerate(definitions):
            last_use |= {load.array: position for load in self._row_loads(definition)}
        free: list[int] = []
        held: list[int] = []
        layers: list[Definition] = []
        row_by_row: list[tuple[str | None, str]] = []

        is_directed = False

        def end_of_rows() -> None:
            """Layers, and what is made row by row of what they give, are made together while the rows are in reach."""
            row_loop = ["for (long r = row; r < end; ++r) {", *_looped(row_by_row), "}"] if row_by_row else []
            if layers:
                lines.extend([*self.layer.text(layers, bool(row_loop)), *row_loop, "} }"])
            elif row_loop:
                lines.extend([*([] if is_directed else ["{ const long row = 0, end = rows;"]), *row_loop])
                lines.extend([] if is_directed else ["}"])
            layers.clear()
            row_by_row.clear()

        for position, definition in enumerate(definitions):
            if definition.directions is not None and not is_directed:
                end_of_rows()
                later = (load.array for other in definitions[position:] for load in self._row_loads(other))
                of_columns = (name for name in later if name not in computed and name not in self.directions_of)
                for name in dict.fromkeys(name for name in of_columns if name not in self.slot_of):
                    lines.append(self._copy_in(name, free))
                is_directed = True
                lines.append("for (long row = 0; row < rows; row += few) { const long end = std::min(rows, row + few);")
            row_loads = self._row_loads(definition)
            for name in dict.fromkeys(load.array for load in row_loads):
                if name not in computed and name not in self.slot_of:
                    end_of_rows()
                    lines.append(self._copy_in(name, free))
            is_beside = bool(layers) and not row_by_row and may_be_beside(definition, layers)
            if not is_beside:
                free += held
                held = []
            dying = [name for name in {load.array for load in row_loads} if last_use[name] == position]
            # What a layer multiplies is read as a whole; of all else, each element just before it is replaced.
            together = (*layers, definition) if is_beside else (definition,)
            multiplied = {load.array for one in together for product in one.products for load in loads(product.x)}
            in_place = [
                name
                for name in dying
                if name not in multiplied
                and all(load.index == definition.row for load in row_loads if load.array == name)
            ]
            here = [self.slot_of[name] for name in in_place]
            directions = self.directions_of.get(definition.result)
            self._give_slot(definition.result, [cpp(definition.extent)], free, here, directions)
            if definition.products and not definition.by_row:
                if not is_beside:
                    end_of_rows()
                if directions is None:
                    layers.append(definition)
                else:
                    lines += self.directed.layer(definition)
            else:
                # First, so that what follows is one loop over the directions.
                row_by_row[:0] = [(None, line) for line in self.directed.positions_of_row(definition)]
                row_by_row += [(directions, line) for line in self._of_one_row(definition)]
            if definition.result not in self.program.inner:
                end_of_rows()
                lines.append(self._copy_out(definition))
            slot = self.slot_of[definition.result]
            no_longer = [self.slot_of[name] for name in dying if self.slot_of[name] != slot]
            # What a layer multiplies, one beside it must not write over.
            (held if layers and not row_by_row else free).extend(no_longer)
            if last_use[definition.result] == position:
                free.append(slot)
        end_of_rows()
        return [*lines, *(["}"] if is_directed else [])]

    def _row_loads(self, definition: Definition) -> list[Load]:
        return [
            load
            for expression in definition.expressions()
            for load in loads(expression)
            if load.index[:1] == ("column",)
        ]

    def _size(self, name: str) -> int:
        """The number of an array's features where the program fixes it, else a small one."""
        known = [
            product.inputs
            for definition in self.program.definitions
            for product in definition.products
            if product.x in (Load(name, ROW), Load(name, DIRECTED_ROW))
        ]
        known += [definition.extent for definition in self.program.definitions if definition.result == name]
        for extent in known:
            numbers = [int(part) for part in getattr(extent, "args", ()) if part.is_Integer]
            if isinstance(extent, int) or extent.is_Integer or numbers:
                return numbers[0] if numbers else int(extent)
        return 1

    def _give_slot(
        self,
        name: str,
        extents: list[str],
        free: list[int],
        preferred: Sequence[int] = (),
        directions: str | None = None,
    ) -> None:
        size = self._size(name)
        for slot in (*preferred, *free):
            if bool(self.slots[slot].directions) != (directions is not None):
                continue
            if max(size, 8) <= 2 * max(self.slots[slot].size, 8) and max(self.slots[slot].size, 8) <= 2 * max(size, 8):
                break
        else:
            slot = len(self.slots)
            self.slots.append(_Slot([], size, []))
        if slot in free:
            free.remove(slot)
        self.slots[slot].extents += extents
        self.slots[slot].directions += [] if directions is None else [directions]
        self.slots[slot].size = max(self.slots[slot].size, size)
        self.slot_of[name] = slot

    def target(self, definition: Definition) -> str:
        """Where an element of a definition's result is, for row r, direction d and feature j."""
        return f"{self.row_of(definition.result)} + j"

    def row_of(self, name: str) -> str:
        """Where the row of an array of the block begins, for row r and direction d."""
        slot = self.slot_of[name]
        directions = self.directions_of.get(name)
        row = "r" if directions is None else f"((r - row) * {directions} + d)"
        return f"s{slot} + {row} * stride{slot}"

    def _of_one_row(self, definition: Definition) -> list[str]:
        """Any other definition, for row r."""
        extent = definition.extent
        directions = self.directions_of.get(definition.result)
        value = self.expression(definition.value, extent, directions)
        store = f"ailand::store<V>({self.target(definition)}, {value});"
        if definition.by_row:
            (product,) = definition.products
            weight = self.kept.vector(product.weight, self.strides(product.weight)[1], product.inputs)
            factor = self.expression(product.x, product.inputs, directions)
            return [
                f"{{ const T sums = ailand::reduce_row<T>({cpp(product.inputs)}, {weight}, [&](long j) {{",
                f"using V = ailand::vector_of<T>; return {factor}; }});",
                f"using V = T; const long j = 0; {store} }}",
            ]
        if extent == 1:
            return [f"{{ using V = T; const long j = 0; {store} }}"]
        loop = f"for (long j = 0; j < {cpp(extent)}; j += ailand::lanes<T>)"
        return [f"{{ using V = ailand::vector_of<T>; {loop} {store} }}"]

    def _features_read(self, name: str) -> list[str]:
        """The numbers of features that the program reads of a caller's array; the largest of them are all."""
        extents: list[Any] = []
        for definition in self.program.definitions:
            parts = [(definition.value, definition.extent), *((p.x, p.inputs) for p in definition.products)]
            for expression, extent in parts:
                for load in loads(expression):
                    if load.array == name:
                        known = {"feature": extent, "direction": definition.directions}
                        extents.append(known[index] if isinstance(index := load.index[-1], str) else index + 1)
        return list(dict.fromkeys(cpp(extent) for extent in extents))

    def _copy_in(self, name: str, free: list[int]) -> str:
        extents = self._features_read(name)
        self._give_slot(name, extents, free, directions=self.directions_of.get(name))
        if name in self.directions_of:
            return self.directed.copy_in(name, _largest(extents))
        slot = self.slot_of[name]
        s0, s1 = self.strides(name)
        source = f"{self.pointers[name]} + first * ({s0})"
        return f"ailand::copy_in<T>(s{slot}, stride{slot}, {source}, {s0}, {s1}, rows, {_largest(extents)});"

    def _copy_out(self, definition: Definition) -> str:
        slot = self.slot_of[definition.result]
        if definition.directions is not None:
            return self.directed.copy_out(definition)
        s0, s1 = self.strides(definition.result)
        target = f"{self.pointers[definition.result]} + first * ({s0})"
        extent = cpp(definition.extent)
        return f"ailand::copy_out<T>({target}, {s0}, {s1}, s{slot}, stride{slot}, rows, {extent});"

    def strides(self, name: str) -> tuple[str, ...]:
        """Of a caller's array."""
        return tuple(cpp(stride) for stride in self.arrays[name].strides)

    def expression(self, expression: Expression, extent: Any, directions: str | None = None) -> str:
        """C++ of an element of row r (direction d) and feature j.

        Args:
            extent: number of features of the loop. directions: number of directions, as C++; None where there are none.
        """
        match expression:
            case Number(value=value):
                return f"ailand::splat<V>(T({value!r}))"
            case Sum():
                return "sums"
            case Load(array=array, index=("column", "feature") | ("column", "direction", "feature")):
                return f"ailand::load<V>({self.row_of(array)} + j)"
            case Load(array=array, index=("column", "direction")):
                return f"ailand::splat<V>(({self.row_of(array)})[d])"
            case Load(array=array, index=("column", position) | ("column", "direction", position)):
                return f"ailand::splat<V>(({self.row_of(array)})[{position}])"
            case Load(array=array, index=("direction", "feature")):
                kept = self.kept.rows(array, extent, directions or "")
                return f"ailand::load<V>({kept} + d * ailand::padded<T>({cpp(extent)}) + j)"
            case Load(array=array, index=("feature",)):
                (stride,) = self.strides(array)
                return f"ailand::load<V>({self.kept.vector(array, stride, extent)} + j)"
            case Load(array=array, index=("direction" | int() as position,)):
                (stride,) = self.strides(array)
                element = "d" if position == "direction" else str(position)
                return f"ailand::splat<V>({self.pointers[array]}[{element} * ({stride})])"
            case Operation(name=name, arguments=arguments):
                parts = [self.expression(argument, extent, directions) for argument in arguments]
                if name in INFIX:
                    return f"({parts[0]} {name} {parts[1]})"
                if name in _NAMED:
                    return f"{_NAMED[name]}({parts[0]}, {parts[1]})"
                if name in _EACH:
                    return f"ailand::each({parts[0]}, [](T value) {{ return {_EACH[name]}(value); }})"
                if name == "neg":
                    return f"(-{parts[0]})"
                if name == "select":
                    return f"({parts[0]} ? {parts[1]} : {parts[2]})"
                raise RefusedError(f"it has the operation '{name}'")
        raise AssertionError(expression)


def _is_directed(load: Load) -> bool:
    """Whether an element is of one direction of a column, of an array with features."""
    return load.index[:2] == DIRECTED_ROW[:2] and len(load.index) == len(DIRECTED_ROW)


def _looped(lines: list[tuple[str | None, str]]) -> list[str]:
    """Lines for one row, those of directions in loops over these."""
    result: list[str] = []
    for directions, group in itertools.groupby(lines, key=lambda pair: pair[0]):
        texts = [text for _, text in group]
        loop = [] if directions is None else [f"for (long d = 0; d < {directions}; ++d) {{"]
        result += [*loop, *texts, *("}" for _ in loop)]
    return result


def _largest(extents: list[str]) -> str:
    longs = [f"(long)({extent})" for extent in dict.fromkeys(extents)]
    return longs[0] if len(longs) == 1 else f"std::max<long>({{{', '.join(longs)}}})"
