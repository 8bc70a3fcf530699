"""Rows of memory that hold one array after another: they are given again when nobody reads an array any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ailand_gt4py.lowering.columns.column_program import is_about


@dataclasses.dataclass
class Rows:
    """Rows that hold one array after another.

    Attributes:
        kind: of the arrays; those of another kind have other rows.
        extents: of the arrays, as C++.
        size: number of features as far as it is known, to give arrays rows of about their size.
    """

    kind: str
    extents: list[str]
    size: int


class RowPool:
    """Those of one program.

    Attributes:
        all: in order.
        free: positions of those that nobody reads.
    """

    def __init__(self) -> None:
        self.all: list[Rows] = []
        self.free: list[int] = []

    def take(self, kind: str, size: int, extents: Sequence[str], preferred: Sequence[int] = ()) -> int:
        """The position of rows for an array: preferred ones, free ones or new ones."""
        for position in (*preferred, *self.free):
            rows = self.all[position]
            if rows.kind == kind and is_about(size, rows.size):
                break
        else:
            position, rows = len(self.all), Rows(kind, [], size)
            self.all.append(rows)
        if position in self.free:
            self.free.remove(position)
        rows.extents += extents
        rows.size = max(rows.size, size)
        return position


def largest(extents: Sequence[str]) -> str:
    """The largest of some numbers, as C++."""
    longs = [f"(long)({extent})" for extent in dict.fromkeys(extents)]
    return longs[0] if len(longs) == 1 else f"std::max<long>({{{', '.join(longs)}}})"
