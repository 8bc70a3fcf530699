"""Words of a command line that argparse alone would not take."""

from __future__ import annotations

from collections.abc import Sequence


def join_place(argv: Sequence[str]) -> list[str]:
    """``--at -12.5,30`` as ``--at=-12.5,30``: argparse takes a value that starts with a dash for an option."""
    words = list(argv)
    for k in range(len(words) - 1):
        if words[k] == "--at" and words[k + 1][:1] == "-" and words[k + 1][1:2].isdigit():
            return [*words[:k], f"--at={words[k + 1]}", *words[k + 2 :]]
    return words
