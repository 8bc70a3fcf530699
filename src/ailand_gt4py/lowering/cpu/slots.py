"""Rows of a block: an array's are given to another one when nobody reads them any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ailand_gt4py.lowering.columns.column_program import (
    DIRECTED_ROW,
    ROW,
    ColumnProgram,
    Extent,
    Load,
    cpp,
    is_about,
    loads,
)


@dataclasses.dataclass
class Slot:
    """Rows of the block that hold one array after another.

    Attributes:
        extents: of the arrays, as C++.
        size: number of features as far as it is known, to give arrays rows of about their size.
        directions: numbers of rows that each column has, as C++, the largest of which counts; none: one.
    """

    extents: list[str]
    size: int
    directions: list[str]


class Slots:
    """Those of one program.

    Args:
        of: array -> its position in ``all``; filled here.

    Attributes:
        all: in order.
        free: positions of those that nobody reads.
    """

    def __init__(self, program: ColumnProgram, of: dict[str, int]) -> None:
        self._program, self.of = program, of
        self.all: list[Slot] = []
        self.free: list[int] = []

    def give(self, name: str, extents: list[str], directions: str | None, preferred: Sequence[int] = ()) -> None:
        """Give an array a slot: a preferred one, a free one or a new one."""
        size = self._size(name)
        for position in (*preferred, *self.free):
            slot = self.all[position]
            if bool(slot.directions) == (directions is not None) and is_about(size, slot.size):
                break
        else:
            position, slot = len(self.all), Slot([], size, [])
            self.all.append(slot)
        if position in self.free:
            self.free.remove(position)
        slot.extents += extents
        slot.directions += [] if directions is None else [directions]
        slot.size = max(slot.size, size)
        self.of[name] = position

    def _size(self, name: str) -> int:
        """The number of an array's features where the program fixes it, else a small one."""
        known: list[Extent] = [
            product.inputs
            for definition in self._program.definitions
            for product in definition.products
            if product.x in (Load(name, ROW), Load(name, DIRECTED_ROW))
        ]
        known += [definition.extent for definition in self._program.definitions if definition.result == name]
        for extent in known:
            numbers = [int(part) for part in getattr(extent, "args", ()) if part.is_Integer]
            if isinstance(extent, int) or extent.is_Integer or numbers:
                return numbers[0] if numbers else int(extent)
        return 1


def largest(extents: Sequence[str]) -> str:
    """The largest of some numbers, as C++."""
    longs = [f"(long)({extent})" for extent in dict.fromkeys(extents)]
    return longs[0] if len(longs) == 1 else f"std::max<long>({{{', '.join(longs)}}})"


def features_read(program: ColumnProgram, name: str) -> list[str]:
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
