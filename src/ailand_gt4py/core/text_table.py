"""Tables for people, in plain text."""

from __future__ import annotations


def aligned(titles: tuple[str, ...], rows: list[tuple[str, ...]], left: int) -> list[str]:
    """Lines of a table.

    Args:
        left: columns that stand at their left edge, the others at their right one.
    """
    widths = [max(len(row[k]) for row in (titles, *rows)) for k in range(len(titles))]

    def line(cells: tuple[str, ...]) -> str:
        words = [
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(words).rstrip()

    return [line(titles), line(tuple("-" * width for width in widths)), *map(line, rows)]
