"""Names chosen from a list of known ones, and values by name."""

from __future__ import annotations

from collections.abc import Iterable

from ailand_gt4py.core.errors import InputError


def listed_names(text: str, known: Iterable[str], option: str) -> list[str]:
    """Names from a comma-separated list, in its order: at least one, all known, each once."""
    known = list(known)
    found = [part.strip() for part in text.split(",") if part.strip()]
    for name in found:
        if name not in known:
            raise InputError(f"option {option}: found '{name}', expected some of {', '.join(known)}")
        if found.count(name) > 1:
            raise InputError(f"option {option}: found '{name}' more than once, expected it once")
    if not found:
        raise InputError(f"option {option}: found no name in '{text}', expected some of {', '.join(known)}")
    return found


def named_values(given: object) -> object:
    """Values by name from a list such as ``NAME=VALUE,NAME=VALUE``, each name once; what is no text as it is."""
    if not isinstance(given, str):
        return given
    result: dict[str, str] = {}
    for part in given.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not name or not value or name in result:
            raise InputError(f"found '{part.strip()}', expected NAME=VALUE, each name once")
        result[name] = value
    return result
