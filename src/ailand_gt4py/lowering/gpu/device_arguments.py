"""What a program's device code is given by its host code, and the expressions by which it reads that."""

from __future__ import annotations

from collections.abc import Mapping

from ailand_gt4py.lowering.columns.column_node import CallerArray
from ailand_gt4py.lowering.columns.column_program import ColumnProgram, Definition, Extent, cpp


class DeviceArguments:
    """The struct of a program's arguments: numbers of columns and features, and the caller's arrays.

    Args:
        arrays: the caller's.
        pointers: name of each caller's array in the host code.

    Attributes:
        positions: of the caller's arrays.
        extents: numbers of features that are no literals, in the order in which they are asked for.
        weights: of products, in the order in which they are asked for: parts and number of outputs.
    """

    def __init__(self, arrays: Mapping[str, CallerArray], pointers: Mapping[str, str]) -> None:
        self._arrays, self._pointers = arrays, pointers
        self.positions = {name: position for position, name in enumerate(pointers)}
        self.extents: list[str] = []
        self.weights: list[tuple[str, str]] = []

    def extent(self, extent: Extent) -> str:
        """A number of features: a literal, or an entry of the arguments."""
        text = cpp(extent)
        if text.isdecimal():
            return text
        if text not in self.extents:
            self.extents.append(text)
        return f"a.extents[{self.extents.index(text)}]"

    def strides(self, name: str) -> tuple[str, ...]:
        """Of a caller's array."""
        return tuple(f"a.strides[{self.positions[name]}][{axis}]" for axis in range(len(self._arrays[name].strides)))

    def weight(self, definition: Definition, positions: list[int]) -> str:
        """The name of the weights of products that are computed as one."""
        parts = []
        for position in positions:
            product = definition.products[position]
            pointer = f"(const T*)a.arrays[{self.positions[product.weight]}]"
            parts.append(f"{{{pointer}, {', '.join(self.strides(product.weight))}, {self.extent(product.inputs)}}}")
        key = (", ".join(parts), self.extent(definition.extent))
        if key not in self.weights:
            self.weights.append(key)
        return f"w{self.weights.index(key)}"

    def members(self) -> str:
        """C++ of the struct's members."""
        return f"""
    long columns, extents[{max(len(self.extents), 1)}];
    bool unequal;
    const void* arrays[{len(self.positions)}];
    long strides[{len(self.positions)}][2];
"""

    def filled(self, program: ColumnProgram) -> list[str]:
        """C++ of the host that fills the struct ``a``; it reads the arrays' connectors and the program's symbols."""
        lines = [f"a.columns = {cpp(program.columns)};", f"a.unequal = {program.unequal};"]
        lines += [f"a.extents[{position}] = {extent};" for position, extent in enumerate(self.extents)]
        for name, position in self.positions.items():
            lines.append(f"a.arrays[{position}] = (const void*){self._pointers[name]};")
            strides = [cpp(stride) for stride in self._arrays[name].strides]
            lines += [f"a.strides[{position}][{axis}] = {stride};" for axis, stride in enumerate(strides)]
        return lines
