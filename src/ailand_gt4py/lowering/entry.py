"""A program's own entry, beside DaCe's: two arguments instead of one for each array, extent and stride.

DaCe's entry takes about a hundred arguments, whose conversion costs Python more than a small step itself. The code of a
program is therefore a function of two packed vectors, pointers and numbers, which DaCe's entry calls and which, on the
CPU, `bound_call.EntryCall` calls directly.
"""

from __future__ import annotations

from collections.abc import Sequence

from ailand_gt4py.lowering.columns.column_node import Interface
from ailand_gt4py.lowering.columns.column_program import ColumnProgram

#: Parameters of the functions of a program, as C++.
PARAMETERS = "void* const* arrays, const long long* numbers"


def numbers_of(program: ColumnProgram, interface: Interface) -> list[str]:
    """The names of all numbers that extents and strides depend on."""
    sizes = [program.columns, *(size for pair in program.equal_extents for size in pair)]
    sizes += [stride for array in interface.arrays.values() for stride in array.strides]
    for definition in program.definitions:
        sizes += [definition.extent, definition.directions, *(product.inputs for product in definition.products)]
    return sorted({str(symbol) for size in sizes for symbol in getattr(size, "free_symbols", ())})


def unpacked(interface: Interface, numbers: Sequence[str]) -> list[str]:
    """C++ of the names of arrays and numbers, from the packed vectors."""
    lines = []
    for position, (array, name) in enumerate(interface.connectors.items()):
        kind = ("" if array in interface.outputs else "const ") + interface.arrays[array].dtype.ctype
        lines.append(f"{kind}* const {name} = static_cast<{kind}*>(arrays[{position}]);")
    return [*lines, *(f"const long {name} = (long)numbers[{position}];" for position, name in enumerate(numbers))]


def packed(interface: Interface, numbers: Sequence[str]) -> str:
    """C++ of the packed vectors, from the names of arrays and numbers."""
    pointers = ", ".join(f"(void*){name}" for name in interface.connectors.values())
    values = ", ".join(f"(long long)({number})" for number in numbers)
    return f"void* const arrays[] = {{{pointers}}};\nconst long long numbers[] = {{{values}}};"


def entry_code(program: str, interface: Interface, numbers: Sequence[str], body: str) -> str:
    """C++ of the function that does the work of a program of this name, and of one that says what it takes."""
    names = f"{','.join(interface.connectors)};{','.join(numbers)}"
    return "\n".join(
        [
            f'extern "C" void {program}_columns({PARAMETERS}) {{',
            *unpacked(interface, numbers),
            body,
            "}",
            f'extern "C" const char* {program}_arguments() {{ return "{names}"; }}',
            "",
        ]
    )
