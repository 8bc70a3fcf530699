"""Tables in plain text."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(titles: Sequence[str], rows: Sequence[Sequence[str]], left: int, indent: int = 0) -> list[str]:
    """Lines of a table: titles, a rule, and the rows.

    Args:
        titles, rows: cells of each line.
        left: how many columns are aligned left; the others are aligned right.
        indent: blanks before each line.
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        words = [
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return (" " * indent + "  ".join(words)).rstrip()

    return [line(titles), line(["-" * width for width in widths]), *map(line, rows)]
