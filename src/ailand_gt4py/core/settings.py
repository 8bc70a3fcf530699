"""Options: each declared once, with type, default, bounds and meaning, for Python, YAML and the command line alike."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import importlib
import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.files import claimed
from ailand_gt4py.core.printable import printable
from ailand_gt4py.core.shipped import configuration_path
from ailand_gt4py.core.times import given_time
from ailand_gt4py.core.trial import require_regular

Kind = TypeVar("Kind", bound="Settings")

#: Of a file of options: bytes, and values in it.
LARGEST_YAML, MOST_VALUES = 100_000, 10_000
#: Endings of files with figures.
_FIGURES = (".png", ".pdf", ".svg", ".html")

#: What an option may be, by the type of pydantic's error; filled in from its context.
_EXPECTED = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type"), "names with values"),
    **dict.fromkeys(("model_type", "model_attributes_type"), "options with values"),
    "finite_number": "a finite number",
    "string_type": "text",
    "path_type": "a file name",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "some text",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}


def option(
    default: Any,
    meaning: str,
    *flags: str,
    metavar: str = "",
    positional: bool = False,
    repeated: bool = False,
    only_yaml: bool = False,
    **constraints: Any,
) -> Any:
    """A field of `Settings`.

    Args:
        default: ``...`` where the option must be given.
        meaning: for ``--help``, which adds the default.
        flags: how the command line calls it: ``-o`` beside ``--name-of-the-field``, ``--other-name`` instead of it;
            settings within settings have no name of the field.
        metavar: what stands for the value in the help. positional: whether the value stands alone.
        repeated: whether it may be given several times, of a tuple. only_yaml: not on the command line.
        constraints: as of ``pydantic.Field``: ``gt``, ``ge``, ``lt``, ``le``, ``min_length``, ``default_factory``.
    """
    if "default_factory" not in constraints:
        constraints["default"] = default
    own = {"flags": flags, "metavar": metavar, "positional": positional, "repeated": repeated, "only_yaml": only_yaml}
    return Field(description=meaning, json_schema_extra=own, **constraints)  # type: ignore[arg-type]


class Settings(BaseModel):
    """Options that belong together: frozen, checked when made, names that are not known refused.

    Raises:
        InputError: naming the option, what was found and what is expected.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_problem(error, type(self), spelled)) from None

    # Pydantic calls an ``__init__`` that it takes for ours for settings within settings, too, and loses their names.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def replace(self, **changes: Any) -> Self:
        """The same with other values, checked again."""
        return type(self)(**{**dict(self), **changes})

    def part(self, kind: type[Kind]) -> Kind:
        """Those of these options that another class has."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class CommandOptions(Settings):
    """Options of a command, whose help is the docstring of the class and `epilog`."""

    program: ClassVar[str]
    epilog: ClassVar[str] = ""
    #: How the command line calls the YAML file with any of these options; without dashes, it must be there.
    config: ClassVar[str] = "--config"
    config_meaning: ClassVar[str] = "YAML file with any of these options"
    #: Those that are files to write.
    written: ClassVar[tuple[str, ...]] = ("output", "plot")

    debug: bool = option(False, "show the traceback of an error")

    _given: Mapping[str, Any] = PrivateAttr({})

    @property
    def given(self) -> Mapping[str, Any]:
        """What stood on the command line, by the option's path; nothing where there was none."""
        return self._given

    @property
    def paths_written(self) -> list[Path]:
        """Files that the command writes."""
        given = (getattr(self, name, None) for name in self.written)
        return [path for one in given for path in (one if isinstance(one, tuple) else (one,)) if path is not None]

    @property
    def paths_read(self) -> list[Path]:
        """Files that the command reads."""
        config = self.given.get(self.config.removeprefix("--"))
        files = [
            path
            for name, value in self
            if name not in self.written
            for path in (value if isinstance(value, tuple) else (value,))
            if isinstance(path, Path)
        ]
        return files if config is None else [*files, configuration_path(config)]

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the files that the command writes to the end, checked, and what draws figures is there."""
        with claimed(self.paths_written, self.paths_read):
            if any(path.suffix.lower() in _FIGURES for path in self.paths_written):
                try:
                    importlib.import_module("matplotlib.figure")
                except Exception as error:  # of whatever is wrong with an installation or its settings
                    reason = f"{type(error).__name__}: {error}"
                    raise InputError(f"matplotlib cannot be imported ({reason}), expected it for figures") from error
            yield

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and dict(self) == dict(other)  # type: ignore[call-overload]

    __hash__ = None  # type: ignore[assignment]

    def command_line(self) -> str:
        """The command that gives these options: those that differ from the default, less how the run is watched."""
        words = self.program.split()
        for name, value in self.model_dump(mode="json", exclude_defaults=True).items():
            own = type(self).model_fields[name].json_schema_extra
            if isinstance(own, Mapping) and own["positional"]:
                place = len(self.program.split())
                words[place:place] = map(str, value if isinstance(value, list) else [value])
            elif isinstance(value, bool) and name not in ("quiet", "debug", "resume", "overwrite"):
                words.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
            elif not isinstance(value, bool):
                words += [
                    f"--{name.replace('_', '-')}={one}" for one in (value if isinstance(value, list) else [value])
                ]
        return shlex.join(words)


def settings_within(field: FieldInfo) -> type[Settings] | None:
    """The class of a field's value if that is a group of options itself."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def read_settings(
    kind: type[Kind], content: Mapping[str, Any], name: Callable[[tuple[int | str, ...]], str] | None = None
) -> Kind:
    """Settings from nested mappings as YAML gives them; text is not taken for a number, 2.0 is taken for 2.

    Args:
        name: how messages call the option at a path of keys and indices; of the empty path: where the content is from.
    """
    for one in _texts(content):
        # Half a surrogate pair stands for a byte of the command line that is not UTF-8.
        if any("\ud800" <= letter <= "\udfff" for letter in one):
            raise InputError(f"found the text '{printable(one)}', expected text in UTF-8")
    text = json.dumps(
        _with_integers(content), default=lambda one: one.isoformat() if isinstance(one, datetime.date) else str(one)
    )
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(_problem(error, kind, name or spelled)) from None


def _texts(content: Any) -> Iterator[str]:
    """All texts in nested values, names too."""
    if isinstance(content, Mapping):
        content = [*content.keys(), *content.values()]
    if isinstance(content, list | tuple):
        for one in content:
            yield from _texts(one)
    else:
        yield str(content)


def _with_integers(content: Any) -> Any:
    """The same with whole numbers as integers, which an option of any type of number takes."""
    if isinstance(content, Mapping):
        return {str(key): _with_integers(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_with_integers(value) for value in content]
    return int(content) if isinstance(content, float) and content.is_integer() else content


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; empty for an empty file."""
    try:
        size = require_regular(path)
        if size > LARGEST_YAML:
            raise InputError(f"{path}: found {size} bytes, expected a file of options, at most {LARGEST_YAML}")
        content = yaml_value(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(f"{path}: is not YAML{where}: {problem}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: found a {type(content).__name__} at the top, expected options with values")
    return {str(key): value for key, value in content.items()}


#: The tag of ``<<``, which takes over the names of other mappings.
_MERGED = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML's own with dates of other calendars, such as 2020-02-30, as text, and each name once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, yaml.ScalarNode] = {}
        for key, _ in node.value:  # PyYAML takes the last of several, without a word
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGED:
                continue
            if key.value in first:
                line = first[key.value].start_mark.line + 1
                problem = f"'{key.value}' is there again, expected it once, as in line {line}"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            first[key.value] = key
        return super().construct_mapping(node, deep)


def _date(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError as error:
        try:
            return given_time(loader.construct_scalar(node))
        except InputError:
            raise error from None


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


def yaml_value(text: str) -> Any:
    """What YAML says, plain and not much of it.

    Raises:
        YAMLError: it is none, or holds a number or date that there is not, or more values than options have, as
            aliases of aliases do. A date that another calendar than UTC's has is text.
    """
    try:
        content = yaml.load(text, _Loader)
        left = MOST_VALUES
        waiting = [content]
        while waiting:
            part = waiting.pop()
            left -= 1
            if left < 0:
                raise yaml.YAMLError(f"more than {MOST_VALUES} values, or one that contains itself; expected options")
            waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple | set) else ()
    except (ValueError, OverflowError, RecursionError) as error:
        raise yaml.YAMLError(reason(error)) from error
    return content


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message on a name that is not known."""
    known = list(known)
    bare = {name.lstrip("-"): name for name in known}
    near = difflib.get_close_matches(word.lstrip("-"), bare, n=1)
    return f"did you mean '{bare[near[0]]}'?" if near else f"expected one of {', '.join(known)}"


def spelled(path: tuple[int | str, ...]) -> str:
    """A path as ``option 'stages[0].steps'``."""
    return f"option '{dotted(path)}'" if path else ""


def dotted(path: tuple[int | str, ...]) -> str:
    """A path as ``stages[0].steps``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _problem(error: ValidationError, kind: type[BaseModel], name: Callable[[tuple[int | str, ...]], str]) -> str:
    """The first of what is wrong, in one line."""
    # A name that is not known explains why another one is missing.
    first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    path, found, context = first["loc"], first["input"], first.get("ctx", {})
    last = path[-1] if path else ""
    if first["type"] == "missing" and isinstance(last, int):
        path, expected = path[:-1], f"at least {last + 1} of them"
    elif first["type"] == "missing":
        help_of = f"; see {kind.program} --help" if issubclass(kind, CommandOptions) else ""
        return f"{name(path)} is missing{help_of}"
    elif first["type"] == "extra_forbidden":
        return f"{name(path)} is unknown; {nearest(str(last), _names_at(kind, path[:-1]))}"
    elif first["type"] == "value_error":
        expected = str(context["error"])
        if isinstance(context["error"], InputError):  # a whole sentence; of an option, it begins with what was found
            return f"{name(path)}: {expected}" if expected.startswith("found ") else f"{name(())}{expected}"
    else:
        known = _EXPECTED.get(first["type"])
        expected = known.format(**context) if known else first["msg"].removeprefix("Input should be ")
        if expected == "a number" and _is_number(found):
            expected = "a number (in YAML 1.0e-3, not 1e-3)"
    shown = "nothing" if found is None else f"{found:g}" if isinstance(found, float) else repr(found)
    return f"{name(path)}: found {shown}, expected {expected}"


def _is_number(found: Any) -> bool:
    try:
        return isinstance(found, str) and math.isfinite(float(found))
    except ValueError:
        return False


def _names_at(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the options of the settings at a path."""
    for part in path:
        if isinstance(part, str):
            annotation = kind.model_fields[part].annotation
            kind = next(one for one in (annotation, *get_args(annotation)) if hasattr(one, "model_fields"))
    return list(kind.model_fields)
