"""Settings changed by name: ``errors.observation.ssm=0.03``, or a YAML file of the same names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ailand_gt4py.core.errors import InputError

#: Parts of the settings that may be changed in this way.
PARTS = ("errors", "screening", "limits")


def with_file(settings: Any, path: Path) -> Any:
    """Settings with the values of a YAML file, such as ``configs/assimilation.yaml``.

    Args:
        settings: a frozen dataclass of numbers, mappings to numbers and such dataclasses.
        path: of the file; what it does not name stays as it is.

    Raises:
        InputError: no YAML file, no such name, or a value of another kind; the message names the file.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: found no mapping, expected one with some of {', '.join(PARTS)}")
    return _merged(settings, content, "", f"{path}:", PARTS)


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
        content: Any = value
        for part in reversed(name.split(".")):
            content = {part: content}
        settings = _merged(settings, content, "", "option --set:", PARTS)
    return settings


def _merged(settings: Any, content: Mapping[Any, Any], prefix: str, where: str, may: Sequence[str] = ()) -> Any:
    """Settings with the values of a tree of the same names.

    Args:
        prefix: name of the settings, with a dot after it. where: the tree comes from, for messages.
        may: names that may be changed; none: all.
    """
    is_mapping = isinstance(settings, Mapping)
    known = dict(settings) if is_mapping else {field.name: getattr(settings, field.name) for field in _fields(settings)}
    changed = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if key not in (may or known):
            raise InputError(f"{where} found '{name}', expected one of {', '.join(may or known)}")
        old = known[key]
        if isinstance(value, Mapping):
            if isinstance(old, float | str):
                raise InputError(f"{where} found parts of '{name}', expected a value")
            changed[key] = _merged(old, value, f"{name}.", where)
        else:
            changed[key] = _number(old, value, name, where)
    return {**known, **changed} if is_mapping else dataclasses.replace(settings, **changed)


def _fields(settings: Any) -> tuple[Any, ...]:
    return dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()


def _number(old: Any, value: Any, name: str, where: str) -> float:
    """The value as the number whose place it takes.

    Raises:
        InputError: what is there is no number, or the value is none.
    """
    if not isinstance(old, float):
        raise InputError(f"{where} found a value for '{name}', expected the name of a number")
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where} found '{value}' for '{name}', expected a number") from None
