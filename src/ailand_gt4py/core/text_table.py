"""Tables in plain text and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(titles: Sequence[str], rows: Sequence[Sequence[str]], left: int, indent: int = 0) -> list[str]:
    """Lines of a table: titles, a rule, and the rows; the first ``left`` columns are aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        sides = "<" * left + ">" * (len(cells) - left)
        words = [f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, widths, strict=True)]
        return (" " * indent + "  ".join(words)).rstrip()

    return [line(titles), line(["-" * width for width in widths]), *map(line, rows)]


def markdown(titles: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table in Markdown: titles, a rule, the rows, and the empty line that has to follow."""
    lines = [f"| {' | '.join(row)} |" for row in (titles, *rows)]
    return [lines[0], "|" + "---|" * len(titles), *lines[1:], ""]
