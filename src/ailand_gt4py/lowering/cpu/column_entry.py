"""A program's own entry, beside DaCe's: two arguments instead of one for each array, extent and stride.

DaCe's entry takes about a hundred arguments, whose conversion costs Python more than a small step itself. The code of a
program is therefore a function of two packed vectors, which DaCe's entry calls and which `entry_call` calls directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def entry_code(program: str, arrays: Mapping[str, tuple[str, str, bool]], numbers: Sequence[str], body: str) -> str:
    """C++ of the function that does a program's work.

    Args:
        program: its name.
        arrays: name -> (name in the body, C type, whether it is written).
        numbers: names of extents and strides, as in the body.
        body: C++.
    """
    lines = [
        f"{'' if written else 'const '}{real}* const {local} = "
        f"static_cast<{'' if written else 'const '}{real}*>({'const_cast<void*>' if written else ''}(arrays[{index}]));"
        for index, (local, real, written) in enumerate(arrays.values())
    ]
    lines += [f"const long {name} = (long)numbers[{position}];" for position, name in enumerate(numbers)]
    names = f"{','.join(arrays)};{','.join(numbers)}"
    return "\n".join(
        [
            "namespace {",
            f"void {program}_body(const void* const* arrays, const long long* numbers) {{",
            *lines,
            body,
            "}",
            "}  // namespace",
            f'extern "C" void {program}_columns(const void* const* arrays, const long long* numbers) {{',
            f"{program}_body(arrays, numbers);",
            "}",
            f'extern "C" const char* {program}_arguments() {{ return "{names}"; }}',
            "",
        ]
    )


def call_of_entry(program: str, arrays: Sequence[str], numbers: Sequence[str]) -> str:
    """C++ that calls the function of `entry_code` with these expressions."""
    return "\n".join(
        [
            f"const void* const arrays[] = {{{', '.join(arrays)}}};",
            f"const long long numbers[] = {{{', '.join(f'(long long)({number})' for number in numbers)}}};",
            f"{program}_body(arrays, numbers);",
        ]
    )
