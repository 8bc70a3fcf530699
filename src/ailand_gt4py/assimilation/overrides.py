"""Settings changed by name: ``errors.observation.ssm=0.03``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ailand_gt4py.errors import InputError

#: Parts of the settings that may be changed in this way.
PARTS = ("errors", "screening", "limits")


def with_overrides(settings: Any, changes: Sequence[str]) -> Any:
    """Settings with some values changed.

    Args:
        settings: a frozen dataclass of numbers, mappings to numbers and such dataclasses.
        changes: ``NAME=VALUE``, the name with dots between its parts.

    Raises:
        InputError: no such name, or a value of another kind.
    """
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator:
            raise InputError(f"option --set: found '{change}', expected NAME=VALUE")
        if name.partition(".")[0] not in PARTS:
            raise InputError(f"option --set: found '{name}', expected a name that begins with {', '.join(PARTS)}")
        settings = _changed(settings, name.split("."), value, name)
    return settings


def _changed(settings: Any, path: Sequence[str], value: str, name: str) -> Any:
    is_mapping = isinstance(settings, Mapping)
    known = dict(settings) if is_mapping else {f.name: getattr(settings, f.name) for f in _fields(settings)}
    if path[0] not in known:
        raise InputError(
            f"option --set: found '{name}', expected for '{path[0]}' one of {', '.join(known) or '(nothing)'}"
        )
    old = known[path[0]]
    new = _changed(old, path[1:], value, name) if len(path) > 1 else _parsed(old, value, name)
    return {**known, path[0]: new} if is_mapping else dataclasses.replace(settings, **{path[0]: new})


def _fields(settings: Any) -> tuple[Any, ...]:
    return dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()


def _parsed(old: Any, value: str, name: str) -> Any:
    """The value as what it takes the place of.

    Raises:
        InputError: it is something else.
    """
    if isinstance(old, float):
        try:
            return float(value)
        except ValueError:
            raise InputError(f"option --set: found '{value}' for '{name}', expected a number") from None
    raise InputError(f"option --set: found '{name}', expected the name of a number")
