"""Words of the code, docstrings above all, as Markdown."""

from __future__ import annotations

import inspect
import re
import types


def text(words: str) -> str:
    """Plain words as Markdown, in a cell of a table."""
    return re.sub(r"([\\|<>*\[\]`$])", r"\\\1", " ".join(words.split()))


def prose(docstring: str) -> str:
    """A docstring's words as Markdown."""
    return markdown(inspect.cleandoc(docstring))


def markdown(words: str) -> str:
    """reStructuredText of our docstrings as Markdown: literals alone differ."""
    words = re.sub(r"``([^`]+)``", r"`\1`", words)
    parts = re.split(r"(`[^`]*`)", words)
    return "".join(part if part.startswith("`") else re.sub(r"([<>\[\]$])", r"\\\1", part) for part in parts)


def module_text(module: types.ModuleType) -> str:
    return inspect.cleandoc(module.__doc__ or "")


def attribute_list(kind: type) -> str:
    """The section ``Attributes`` of a docstring as a list."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    joined = " ".join(section.split())
    # Short ones stand behind each other on a line.
    items = re.split(r"(?:^|(?<=\. ))(?=[a-z_, ]+: )", joined)
    named = [item.strip().partition(": ") for item in items if item.strip()]
    return "\n".join(f"* `{name}`: {markdown(words.strip())}" for name, _, words in named)


def wrapped(usage: str, width: int = 92) -> list[str]:
    """A usage in lines, broken between its options."""
    words: list[str] = []
    for word in usage.split():
        is_within = bool(words) and words[-1].count("[") > words[-1].count("]")
        words[len(words) - is_within :] = [f"{words[-1]} {word}" if is_within else word]
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = "   "
        line += f"{' ' if line else ''}{word}"
    return [*lines, line]
