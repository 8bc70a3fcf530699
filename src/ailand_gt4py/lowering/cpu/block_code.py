"""From a fused `ColumnProgram` to C++: blocks of columns, shared among threads, through all definitions.

What the code is made of is in ``kernels.hpp``. Values of a block stay in its rows, one after another for each array.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ailand_gt4py.lowering.columns.column_node import CallerArray
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, cpp
from ailand_gt4py.lowering.columns.fuse import side_by_side
from ailand_gt4py.lowering.cpu.body_code import BodyCode
from ailand_gt4py.lowering.cpu.element_code import ElementCode
from ailand_gt4py.lowering.cpu.slots import largest


def block_code(
    program: ColumnProgram, arrays: Mapping[str, CallerArray], pointers: Mapping[str, str], with_blas: bool
) -> str:
    """The C++ of one program.

    Args:
        program: fused.
        arrays: the caller's.
        pointers: name of each caller's array in the code.
        with_blas: whether matrix products are calls of ``ailand::gemm`` (see `blas.declaration`).

    Raises:
        RefusedError: it has an operation that has no form in C++.
    """
    # A stable order: what a column has once needs nothing of what its directions have.
    definitions = sorted(program.definitions, key=lambda definition: definition.directions is not None)
    program = dataclasses.replace(program, definitions=side_by_side(definitions))
    elements = ElementCode(program, arrays, pointers)
    body = BodyCode(program, elements, with_blas)
    slots, directions = body.slots.all, elements.numbers_of_directions
    once = [k for k, slot in enumerate(slots) if not slot.directions]
    several = [k for k, slot in enumerate(slots) if slot.directions]
    row = " + ".join(["0", *(f"outer_stride{k}" for k in once)])
    copies = {k: largest([f"outer_{name}" for name in slots[k].directions]) for k in several}
    directed_row = " + ".join(["0", *(f"outer_stride{k} * {copies[k]}" for k in several)])
    captured = (*(f"stride{k}" for k in range(len(slots))), *directions.values(), *elements.kept.names.values())
    return "\n".join(
        [
            f"using T = {arrays[program.results[0]].dtype.ctype};",
            f"const long columns = {cpp(program.columns)};",
            f"if ({program.unequal}) {{",
            f'    std::fprintf(stderr, "{program.name}: its arrays differ in columns or features\\n");',
            "    std::abort();",
            "}",
            *(
                f"const long outer_stride{k} = ailand::row_stride<T>({largest(slot.extents)});"
                for k, slot in enumerate(slots)
            ),
            *(f"const long outer_{name} = {count};" for count, name in directions.items()),
            f"T* room = ailand::workspace<T, 0>({' + '.join(['0', *elements.kept.room])});",
            *elements.kept.lines,
            f"const long row = {row}, directed_row = {directed_row};",
            "const long few = ailand::few_rows(directed_row * sizeof(T));",
            f"const ailand::Plan plan = ailand::plan(columns, row * sizeof(T), {_flops(program)});",
            "ailand::share((columns + plan.rows - 1) / plan.rows, plan.threads, [&](long block) {",
            "const long first = block * plan.rows, rows = std::min(plan.rows, columns - first);",
            # Copies of its own can stay in registers; what is captured would be read again after every store.
            *(f"const auto {name} = outer_{name};" for name in captured),
            "T* free = ailand::workspace<T, 1>(plan.rows * row + few * directed_row);",
            *(f"T* const s{k} = free; free += plan.rows * stride{k};" for k in once),
            *(f"T* const s{k} = free; free += few * {largest(slots[k].directions)} * stride{k};" for k in several),
            *body.lines,
            "});",
        ]
    )


def _flops(program: ColumnProgram) -> str:
    """The operations of one column's matrix products."""
    products = [
        f"2.0 * ({cpp(definition.extent)}) * ({cpp(product.inputs)}) * ({cpp(definition.directions or 1)})"
        for definition in program.definitions
        for product in definition.products
    ]
    return " + ".join(["1.0", *products])
