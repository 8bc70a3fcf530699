"""Pages of the reference, made from the code: commands, configuration keys, variables, formats of files.

Each function gives a page's Markdown, below its title. `ailand_site` puts it into the page that asks for it; the tests
read it without Sphinx.
"""

from __future__ import annotations

import importlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
from page_text import attribute_list, markdown, module_text, prose, text, wrapped
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ailand_gt4py.cli.main import COMMANDS
from ailand_gt4py.cli.options import fields_of, flags_of, make_parser, metavar_of
from ailand_gt4py.core.settings import CommandOptions, Settings, settings_within
from ailand_gt4py.core.text_table import markdown as table
from ailand_gt4py.core.times import step_text

#: Constraints of pydantic's metadata: attribute -> how they are written.
_LIMITS = {
    **{"gt": "> {}", "ge": ">= {}", "lt": "< {}", "le": "<= {}"},
    **{"min_length": "at least {}", "max_length": "at most {}"},
}
_TYPES = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "file", np.timedelta64: "interval"}


def commands() -> dict[str, type[CommandOptions]]:
    """All commands by name, with their options."""
    modules = {f"ailand {name}": f"ailand_gt4py.cli.{name.replace(' ', '_')}" for name in COMMANDS}
    found = {name: importlib.import_module(module).Options for name, module in modules.items()}
    from ailand_gt4py.driver.options import RunOptions
    from ailand_gt4py.integration.hosts.icon4py import options as icon4py

    return {RunOptions.program: RunOptions, **found, icon4py.RunOptions.program: icon4py.RunOptions}


def configurations() -> dict[str, type[Settings]]:
    """What is read from YAML in sections, or by another program: title -> options."""
    from ailand_gt4py.integration.hosts.anemoi.options import ProcessorOptions, TaskOptions

    nested = {name: kind for name, kind in commands().items() if any(map(settings_within, kind.model_fields.values()))}
    return {
        **nested,
        "mid-processor of anemoi-inference": ProcessorOptions,
        "task of anemoi-inference": TaskOptions,
    }


def keys(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All keys of a configuration by their path, those of sections within too."""
    for name, field in kind.model_fields.items():
        within = settings_within(field) or _settings_of_list(field.annotation)
        if within is not None:
            yield from keys(within, f"{prefix}{name}{'' if settings_within(field) else '[]'}.")
        else:
            yield f"{prefix}{name}", field


def sections_of(kind: type[Settings]) -> Iterator[type[Settings]]:
    """The sections of a configuration, those within others too."""
    for field in kind.model_fields.values():
        within = settings_within(field) or _settings_of_list(field.annotation)
        if within is not None:
            yield within
            yield from sections_of(within)


def commands_page() -> str:
    """Every command with its options, as its parser has them."""
    lines: list[str] = []
    for name, kind in commands().items():
        parser = make_parser(kind)
        usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
        lines += [f"## {name}", "", prose(kind.__doc__ or ""), "", "```text", *wrapped(usage), "```", ""]
        fields = [(path, field) for path, field in fields_of(kind)]
        rows = [(_spelled(path, field), _meaning(field), _number(field), _default(field)) for path, field in fields]
        of_file = f"`{kind.config}`" if not kind.config.startswith("-") else f"`{kind.config} FILE`"
        rows.append((of_file, "YAML file with any of these options", "", ""))
        lines += table(("option", "meaning", "value", "default"), rows)
        if kind.epilog:
            lines += ["```text", *kind.epilog.replace("{program}", kind.program).strip("\n").split("\n"), "```", ""]
    return "\n".join(lines)


def configuration_page() -> str:
    """Every key of what is configured in sections."""
    lines: list[str] = []
    for name, kind in configurations().items():
        lines += [f"## {name}", "", prose(kind.__doc__ or ""), ""]
        lines += _sections(kind, "")
    return "\n".join(lines)


def _sections(kind: type[Settings], path: str) -> list[str]:
    own, within = [], []
    for name, field in kind.model_fields.items():
        section = settings_within(field) or _settings_of_list(field.annotation)
        if section is None:
            own.append((f"`{path}{name}`", _meaning(field), _type(field), _default(field)))
        else:
            suffix = "" if settings_within(field) else "[]"
            within.append((f"{path}{name}{suffix}", field, section))
    lines = table(("key", "meaning", "value", "default"), own) if own else []
    for name, field, section in within:
        lines += [f"### `{name}`", "", prose(section.__doc__ or field.description or ""), ""]
        lines += _sections(section, f"{name}.")
    return lines


def variables_page() -> str:
    """The catalogue of variables."""
    from ailand_gt4py.weights.variables import Kind, of_kind

    titles = {
        "coordinate": "Coordinates", "static": "Static inputs", "forcing": "Forcing", "ingredient": "Ingredients",
        "state": "State", "diagnostic": "Diagnostics", "observable": "Observables", "coupling": "Outputs of closures",
    }  # fmt: skip
    words = {
        "ingredient": "What files have and no model takes; inputs follow from them.",
        "observable": "What is observed, and no network gives.",
        "coupling": "What only a land component gives, to its host.",
        "diagnostic": "Fluxes are positive downward.",
    }
    lines: list[str] = []
    for kind in get_args(Kind):
        lines += [f"## {titles[kind]}", "", words.get(kind, ""), ""]
        rows = []
        for name, entry in of_kind(kind).items():
            low, high = entry.valid_range
            rows.append(
                (
                    f"`{name}`",
                    text(entry.long_name),
                    f"`{entry.units}`",
                    f"`{entry.standard_name}`" if entry.standard_name else "",
                    _range(low, high),
                    entry.time_meaning,
                    f"`{entry.component_name}`" if entry.component_name else "",
                )
            )
        titles_of = ("name", "what", "units", "standard name", "possible values", "in a step", "the component's output")
        if not any(row[-1] for row in rows):
            titles_of, rows = titles_of[:-1], [row[:-1] for row in rows]
        lines += table(titles_of, rows)
    return "\n".join(lines)


def inputs_page() -> str:
    """What the model that ships takes, what gives it where it is missing, and what each convention calls it."""
    import ailand_gt4py
    from ailand_gt4py.io.conventions import CONVENTIONS
    from ailand_gt4py.io.derive import ALTERNATIVES, DERIVATIONS
    from ailand_gt4py.io.first_guess import FIRST_GUESSES
    from ailand_gt4py.io.ways import WAYS
    from ailand_gt4py.weights.variables import CATALOGUE

    model = ailand_gt4py.read_model()
    ways: dict[str, list[str]] = {}
    for one in (*DERIVATIONS.values(), *ALTERNATIVES.values(), *(way for group in WAYS.values() for way in group)):
        kind = "first guess" if one.is_first_guess else "derived"
        ways.setdefault(one.name, []).append("estimated if asked for" if getattr(one, "on_demand", False) else kind)
    for name in FIRST_GUESSES:
        ways.setdefault(name, []).append("first guess")
    conventions = sorted(CONVENTIONS.items(), key=lambda one: one.name)
    lines: list[str] = []
    for title, group in (("Static inputs", model.static), ("Forcing", model.forcing), ("State", model.state)):
        lines += [f"## {title}", ""]
        rows = []
        for variable in group:
            if variable.derived:
                source = "previous window" if variable.is_previous else "time and location"
                missing = f"filled in: {source}"
            else:
                missing = ", or ".join(dict.fromkeys(ways.get(variable.name, []))) or "**must be there**"
            rows.append(
                (
                    f"`{variable.name}`",
                    text(variable.long_name),
                    f"`{variable.units}`",
                    _range(variable.training_minimum, variable.training_maximum),
                    missing,
                )
            )
        lines += table(("name", "what", "units", "training range", "where it is missing"), rows)
    lines += ["## Names by convention", ""]
    shown = [one for one in conventions if any(name in CATALOGUE for name in one.aliases)]
    kinds = ("static", "forcing", "ingredient", "state", "diagnostic")
    names = [name for name, entry in CATALOGUE.items() if entry.kind in kinds and not entry.derived]
    rows = []
    for name in names:
        cells = [", ".join(f"`{alias}`" for alias in one.aliases.get(name, ())) for one in shown]
        if any(cells):
            rows.append((f"`{name}`", text(CATALOGUE[name].long_name), *cells))
    lines += table(("name", "what", *(one.name for one in shown)), rows)
    return "\n".join(lines)


def model_file_page() -> str:
    """The model file: its layout, columns, and what the one that ships has."""
    import ailand_gt4py
    from ailand_gt4py.weights import model_file, schema

    model = ailand_gt4py.read_model()
    lines = ["## Layout", "", markdown(module_text(model_file)), ""]
    lines += ["## Columns of a group of variables", ""]
    lines += table(
        ("array", "meaning"), [(f"`<group>_{name}`", text(meaning)) for name, meaning in schema.COLUMNS.items()]
    )
    lines += ["## The model that ships", ""]
    lines += table(
        ("", ""),
        [
            ("format", f"`{schema.FORMAT_NAME}` {schema.FORMAT_VERSION}"),
            ("architecture", f"`{model.architecture}`"),
            ("step", f"{model.step_seconds:g} s"),
            ("parameters", f"{model.parameter_count}"),
            ("checksum", f"`{schema.checksum(model)}`"),
            *((key, text(words)) for key, words in model.provenance.items()),
        ],
    )
    lines += table(
        ("parameter", "shape", "type"),
        [(f"`{name}`", str(array.shape), str(array.dtype)) for name, array in model.parameters.items()],
    )
    return "\n".join(lines)


def output_page() -> str:
    """Output and restart files: layout, variables of the model that ships, flags."""
    import ailand_gt4py
    from ailand_gt4py.integration import restart as component_restart
    from ailand_gt4py.io import output, restart

    model = ailand_gt4py.read_model()
    lines = ["## Output", "", markdown(module_text(output)), ""]
    rows = []
    for variable in (*model.state, *model.diagnostics):
        attributes = output.variable_attributes(variable)
        rows.append((f"`{variable.name}`", text(variable.long_name), f"`{variable.units}`", attributes["comment"]))
    lines += table(("variable", "what", "units", "in the row of label t"), rows)
    lines += [f"### `{output.QUALITY_FLAG}`", ""]
    lines += [f"One byte of each column and label; {output.NO_FLAG} where there is no column.", ""]
    lines += table(("bit", "meaning"), [(str(bit), f"`{name}`") for name, bit in output.FLAG_MASKS.items()])
    lines += [
        "## Restart file of a run",
        "",
        f"Format `{restart.FORMAT}`.",
        "",
        markdown(module_text(restart)),
        "",
    ]
    lines += [attribute_list(restart.Restart), ""]
    lines += ["## Restart file of a land component", "", f"Format `{component_restart.FORMAT}`.", ""]
    lines += [markdown(inspect.getdoc(component_restart) or ""), "", attribute_list(component_restart.Content), ""]
    return "\n".join(lines)


def registries_page() -> str:
    """What has a registry, and what is in it."""
    from ailand_gt4py.evaluation.scores.definitions import SCORES
    from ailand_gt4py.io.conventions import CONVENTIONS
    from ailand_gt4py.observations.footprints import LAYOUTS
    from ailand_gt4py.observations.operators import kinds
    from ailand_gt4py.training.exports import FORMATS

    lines = ["## Conventions of input files", ""]
    lines += [f"* {text(one.name)}" for one in sorted(CONVENTIONS.items(), key=lambda one: one.name)]
    lines += ["", "## Scores", ""]
    rows = [(f"`{name}`", text(one.title), text(one.definition)) for name, one in SCORES.items()]
    lines += table(("name", "title", "definition"), rows)
    lines += ["## Observation operators", ""]
    errors = {
        name: ", ".join(f"`{key}` {size:g}" for key, size in kind.errors.items()) for name, kind in kinds().items()
    }
    rows = [(f"`{name}`", f"{kind.hours:g}", errors[name]) for name, kind in kinds().items()]
    lines += table(("kind", "usual hours between two", "standard deviation of errors"), rows)
    lines += ["## Layouts of satellites' files", "", *(f"* {text(one.name)}" for one in LAYOUTS.items()), ""]
    lines += ["## Formats of export", "", *(f"* `{one.name}`: {text(one.meaning)}" for one in FORMATS.items()), ""]
    return "\n".join(lines)


#: Name in a page's marker -> what gives its content.
PAGES: Mapping[str, Callable[[], str]] = {
    "commands": commands_page,
    "configuration": configuration_page,
    "inputs": inputs_page,
    "variables": variables_page,
    "model_file": model_file_page,
    "output": output_page,
    "registries": registries_page,
}


# ----------------------------------------------------------------------------------------------------
# Options and keys.


def _spelled(path: str, field: FieldInfo) -> str:
    """An option as it stands on the command line."""
    flags = flags_of(path, field)
    if not flags:
        return f"`{metavar_of(path, field)}`"
    if field.annotation is not bool:
        return ", ".join(f"`{flag} {metavar_of(path, field)}`".replace("|", "\\|") for flag in flags)
    no = [f"--no-{flag.removeprefix('--')}" for flag in flags if flag.startswith("--")] if field.default is True else []
    return ", ".join(f"`{flag}`" for flag in (*flags, *no))


def _own(field: FieldInfo) -> Mapping[str, Any]:
    return typing.cast(Mapping[str, Any], field.json_schema_extra)


def _meaning(field: FieldInfo) -> str:
    return text(field.description or "")


def _settings_of_list(annotation: Any) -> type[Settings] | None:
    """The class of the items of a list of settings."""
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        if isinstance(inner, type) and issubclass(inner, Settings):
            return inner
    return None


def _type(field: FieldInfo) -> str:
    if field.annotation is bool:
        return ""
    limits = _limits(field.metadata)
    return text(f"{_type_text(field.annotation)}{f', {limits}' if limits else ''}")


def _number(field: FieldInfo) -> str:
    """The type of a number; of all else the option's own spelling says what it is."""
    shown = _type(field)
    return shown if shown.startswith(("integer", "number", "interval")) else ""


def _limits(metadata: Iterable[Any]) -> str:
    found = []
    for one in metadata:
        for name, form in _LIMITS.items():
            value = getattr(one, name, None)
            if isinstance(value, int | float):
                found.append(form.format(f"{value:g}"))
    return ", ".join(found)


def _type_text(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if np.datetime64 in inner:
            return "time"
        return " or ".join(dict.fromkeys(_type_text(one) for one in inner if one is not type(None)))
    if origin is Annotated:
        limits = _limits(one for meta in inner[1:] for one in getattr(meta, "metadata", [meta]))
        return f"{_type_text(inner[0])}{f' {limits}' if limits else ''}"
    if origin is Literal:
        return ", ".join(map(str, inner))
    if origin is tuple:
        if len(inner) == 2 and inner[1] is Ellipsis:
            return f"list of {_type_text(inner[0])}"
        return f"[{', '.join(map(_type_text, inner))}]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"name: {_type_text(inner[1])}"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    shown = _value(value)
    return f"`{shown}`" if shown not in ("", "[]", "{}") else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, np.timedelta64):
        return step_text(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_value(one)}' for name, one in value.items())}}}"
    return str(value)


def _range(low: float, high: float) -> str:
    if math.isnan(low) and math.isnan(high):
        return ""
    sides = ["" if not math.isfinite(one) else f"{one:.4g}" for one in (low, high)]
    return f"{sides[0]} to {sides[1]}".strip() if any(sides) else ""
