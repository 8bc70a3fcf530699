"""Operands of a program in C++, as its blocks read them: vectors whole and behind each other, outputs side by side."""

from __future__ import annotations

from collections.abc import Mapping

from ailand_gt4py.lowering.columns.column_node import CallerArray
from ailand_gt4py.lowering.columns.column_program import Extent, cpp


class KeptOperands:
    """Those of one program, which are kept for all of its blocks; each is asked for by what it is read as.

    Args:
        arrays: the caller's.
        pointers: name of each caller's array in the code.

    Attributes:
        names: of what is kept.
        lines: C++ that keeps it, each under ``outer_`` and its name. room: how much memory each takes.
    """

    def __init__(self, arrays: Mapping[str, CallerArray], pointers: Mapping[str, str]) -> None:
        self._arrays, self._pointers = arrays, pointers
        self.names: dict[tuple[str, str], str] = {}
        self.lines: list[str] = []
        self.room: list[str] = []

    def weight(self, array: str, outputs: Extent, inputs: Extent) -> str:
        """The name of weights, with ``data`` and the ``stride`` from one input to the next."""
        sizes = f"{self._strides(array)}, {cpp(outputs)}, {cpp(inputs)}"
        return self._keep("w", "const auto", "keep_weight", array, sizes, f"ailand::room_for_weight<T>({sizes})")

    def vector(self, array: str, stride: str, extent: Extent) -> str:
        """The name of a vector, padded to whole ones of the processor's."""
        room = f"ailand::padded<T>({cpp(extent)})"
        return self._keep("v", "const T* const", "keep_vector", array, f"{stride}, {cpp(extent)}", room)

    def rows(self, array: str, extent: Extent, directions: str) -> str:
        """The name of a matrix with a padded row for each of so many directions."""
        sizes = f"{self._strides(array)}, outer_{directions}, {cpp(extent)}"
        room = f"outer_{directions} * ailand::padded<T>({cpp(extent)})"
        return self._keep("m", "const T* const", "keep_rows", array, sizes, room)

    def _strides(self, array: str) -> str:
        return ", ".join(cpp(stride) for stride in self._arrays[array].strides)

    def _keep(self, prefix: str, kind: str, function: str, array: str, sizes: str, room: str) -> str:
        key = (array, sizes)
        if key not in self.names:
            name = self.names[key] = f"{prefix}{len(self.names)}"
            self.room.append(room)
            self.lines.append(f"{kind} outer_{name} = ailand::{function}<T>(room, {self._pointers[array]}, {sizes});")
        return self.names[key]
