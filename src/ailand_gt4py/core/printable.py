"""Text of others as a terminal may be given it."""

from __future__ import annotations

#: Letters of a message; what a file says may be of any length.
LONGEST = 2000


def printable(text: str) -> str:
    """The same, with what is no letter, line break or tab spelt out: escape sequences, half a surrogate pair."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def one_line(text: str) -> str:
    """A printable message on one line, and not without end."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
