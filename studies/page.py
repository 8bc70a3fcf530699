"""A study's page in Markdown: its module's own words, then tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def introduction(documentation: str | None) -> str:
    """The third paragraph of a study's module text, after its title and its command, as one line.

    Raises:
        ValueError: there is none.
    """
    paragraphs = (documentation or "").split("\n\n")
    if len(paragraphs) < 3:
        raise ValueError(
            f"text of a study: found {len(paragraphs)} paragraphs, expected a title, a command and what it does"
        )
    return " ".join(part.strip() for part in paragraphs[2].splitlines())


def write(path: Path, lines: Sequence[str]) -> None:
    """Write the lines; the directory is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
