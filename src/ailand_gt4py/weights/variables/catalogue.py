"""The catalogue of variables, as ``catalogue.toml`` has it."""

from __future__ import annotations

import dataclasses
import importlib.resources
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

from ailand_gt4py.weights.model import TimeMeaning, previous_name
from ailand_gt4py.weights.variables.specification import Kind, Specification

#: What a kind's entries mean in time where they do not say it themselves.
_TIME_MEANINGS: dict[Kind, TimeMeaning] = {
    "coordinate": "static",
    "static": "static",
    "state": "window start",
    "observable": "window end",
}

SOIL_TEMPERATURES = ("stl1", "stl2", "stl3", "stl4")
#: Depth of the soil layers.
SOIL_DEPTHS = ("0-7 cm", "7-28 cm", "28-100 cm", "100-289 cm")

_CONTENT: dict[str, Any] = tomllib.loads(
    importlib.resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
)

#: Forcing whose mean over the previous window is an input as well.
PREVIOUS_WINDOW: tuple[str, ...] = tuple(_CONTENT["previous_window"])


def _entries(kind: Kind) -> Iterator[Specification]:
    defaults = {"kind": kind, "time_meaning": _TIME_MEANINGS.get(kind, "window mean")}
    own = {name: Specification(**(defaults | {"name": name} | entry)) for name, entry in _CONTENT[kind].items()}
    yield from own.values()
    for name in PREVIOUS_WINDOW if kind == "forcing" else ():
        yield dataclasses.replace(
            own[name],
            name=f"{name}_before",
            long_name=f"{own[name].long_name}, in the previous window",
            derived=previous_name(name),
        )


#: Everything, by name.
CATALOGUE: dict[str, Specification] = {entry.name: entry for kind in get_args(Kind) for entry in _entries(kind)}


def of_kind(kind: Kind) -> dict[str, Specification]:
    """The entries of a kind by name, in the catalogue's order."""
    return {name: entry for name, entry in CATALOGUE.items() if entry.kind == kind}


def units_of(*names: str) -> dict[str, str]:
    """Names of the catalogue -> their units."""
    return {name: CATALOGUE[name].units for name in names}
