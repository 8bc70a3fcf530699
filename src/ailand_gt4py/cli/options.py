"""The command line of a class of options: `core.settings.Settings` to argparse and back.

Argparse rather than a library on pydantic: cyclopts takes a misspelt option for the next positional value and
pydantic-settings a value that begins with a dash for an option, both show pydantic's errors in several lines, and
neither says which of command line and YAML file a wrong value is from.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.printable import one_line
from ailand_gt4py.core.settings import (
    CommandOptions,
    Settings,
    dotted,
    nearest,
    read_settings,
    read_yaml,
    settings_within,
    yaml_value,
)
from ailand_gt4py.core.shipped import configuration_path

Kind = TypeVar("Kind", bound=CommandOptions)

_METAVARS = {int: "N", float: "NUMBER", Path: "FILE"}
#: Types of defaults that the help shows.
_SHOWN = (int, float, str, type(Path()))


class _Parser(argparse.ArgumentParser):
    """argparse, but an error is an `InputError` of one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message.replace('argument -', 'option -')}; see {self.prog} --help")


def parse(kind: type[Kind], words: Sequence[str]) -> Kind:
    """Options from a command line, completed from its YAML file."""
    parser, fields = make_parser(kind), dict(fields_of(kind))
    known, unknown = parser.parse_known_intermixed_args(_joined(words))
    if unknown:
        names = [flag for path, field in fields.items() for flag in flags_of(path, field) if flag.startswith("--")]
        word = one_line(unknown[0].split("=")[0])
        what = f"option '{word}' is unknown; {nearest(word, [*names, kind.config])}" if word[:1] == "-" else (
            f"found '{word}', expected no further argument")  # fmt: skip
        raise InputError(f"{what}; see {kind.program} --help")
    given = vars(known)
    typed = dict(given)
    config, changes = given.pop(kind.config.removeprefix("--"), None), given.pop("set", [])
    content = {} if config is None else _underscored(read_yaml(configuration_path(config)), config)
    of_file = set(content)
    for change in changes:
        path, separator, text = change.partition("=")
        if not separator:
            raise InputError(f"option --set: found '{change}', expected NAME=VALUE")
        _put(content, path, _scalar(text))
    for path, value in given.items():
        _put(content, path, _number(value, [one for one in (int, float) if _bare(fields[path].annotation) is one]))
    changed = {change.partition("=")[0] for change in changes}

    def name(parts: tuple[int | str, ...]) -> str:
        if not parts:
            return f"{config}: " if config else ""
        own = ".".join(part for part in parts if isinstance(part, str))
        if own in given or (own in fields and own not in changed and parts[0] not in of_file):
            flags = flags_of(own, fields[own])
            return f"option {flags[-1]}" if flags else metavar_of(own, fields[own])
        from_set = any(f"{own}.".startswith(f"{one}.") or one.startswith(f"{own}.") for one in changed)
        return f"{'option --set: ' if from_set else f'{config}: ' if config else ''}option '{dotted(parts)}'"

    options = read_settings(kind, content, name)
    options._given = typed
    return options


def make_parser(kind: type[CommandOptions]) -> argparse.ArgumentParser:
    """The parser; what is not given is not in its result."""
    parser = _Parser(
        prog=kind.program, description=inspect.cleandoc(kind.__doc__ or ""), epilog=kind.epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter, argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    fields = dict(fields_of(kind))
    for path, field in fields.items():
        flags = flags_of(path, field)
        is_several = get_origin(_bare(field.annotation)) is tuple
        more: dict[str, Any] = {"dest": path} if flags else {"nargs": "*" if is_several else "?"}
        if field.annotation is bool:
            more["action"] = argparse.BooleanOptionalAction
        else:
            more["metavar"] = metavar_of(path, field)
            if _own(field)["repeated"]:
                more["action"] = "append"
        parser.add_argument(*(flags or [path]), help=_help(path, field), **more)
    of_file: dict[str, Any] = {"metavar": "FILE"} if kind.config.startswith("-") else {}
    parser.add_argument(kind.config, help=kind.config_meaning, **of_file)
    if any(settings_within(field) for field in kind.model_fields.values()):
        parser.add_argument(
            "--set", action="append", metavar="NAME=VALUE",
            help="override an option of the file; NAME has dots between sections; repeatable",
        )  # fmt: skip
    version = f"{kind.program} (ailand_gt4py {ailand_gt4py.__version__})"
    parser.add_argument("--version", action="version", version=version)
    return parser


def fields_of(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The options of a command line by their path; of settings within settings, those that have a flag."""
    for name, field in sorted(kind.model_fields.items(), key=lambda item: item[0] == "debug"):
        within = settings_within(field)
        if within is not None:
            yield from fields_of(within, f"{prefix}{name}.")
        elif _own(field)["flags"] or not (prefix or _own(field)["only_yaml"]):
            yield f"{prefix}{name}", field


def _own(field: FieldInfo) -> Mapping[str, Any]:
    own = field.json_schema_extra
    assert isinstance(own, Mapping), "made by `option`"
    return own


def flags_of(path: str, field: FieldInfo) -> list[str]:
    """How the command line calls an option; nothing for a value that stands alone."""
    own = _own(field)
    if own["positional"]:
        return []
    is_named = "." in path or any(flag.startswith("--") for flag in own["flags"])
    return [*own["flags"], *([] if is_named else [f"--{path.replace('_', '-')}"])]


def metavar_of(path: str, field: FieldInfo) -> str:
    own, annotation = _own(field), _bare(field.annotation)
    if own["metavar"]:
        return str(own["metavar"])
    if own["repeated"]:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return f"{{{','.join(get_args(annotation))}}}"
    return _METAVARS.get(annotation, path.upper())


def _help(path: str, field: FieldInfo) -> str:
    """The meaning, and the default where that is a number or text and no file tells another one."""
    values = field.default if isinstance(field.default, tuple) else (field.default,)
    shown = ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    is_said = "." not in path and all(type(one) in _SHOWN for one in values)
    note = " (required)" if field.is_required() else f" (default: {shown})" if is_said and shown else ""
    return f"{field.description}{note}".replace("%", "%%")


def _bare(annotation: Any) -> Any:
    """A type without ``| None`` and validators."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _joined(words: Sequence[str]) -> list[str]:
    """``--at -12.5,30`` as ``--at=-12.5,30``: argparse takes a value that begins with a dash for an option."""
    result: list[str] = []
    for word in words:
        if result and re.match(r"-[\d.]", word) and re.fullmatch(r"--[a-z-]+", result[-1]):
            result[-1] += f"={word}"
        else:
            result.append(word)
    return result


def _underscored(content: dict[str, Any], path: str) -> dict[str, Any]:
    """Options of a YAML file, whose names may have dashes."""
    result: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name in result:
            raise InputError(f"{path}: option '{key}' is given twice")
        result[name] = value
    return result


def _put(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        inner = content.setdefault(name, {})
        if not isinstance(inner, dict):
            inner = content[name] = {}
        content = inner
    content[last] = value


def _number(value: Any, kinds: Sequence[type] = (int, float)) -> Any:
    """What stands on the command line as a number of these kinds, or as it is."""
    for number in kinds:
        with contextlib.suppress(ValueError):
            return number(value)
    return value


def _scalar(text: str) -> Any:
    number = _number(text)
    with contextlib.suppress(yaml.YAMLError):
        return yaml_value(text) if number is text else number
    return text
