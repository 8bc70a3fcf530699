"""The variables of a model to be trained, chosen from the catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_heat import SOIL_HEAT, property_positions
from ailand_gt4py.weights.model import Template, previous_positions
from ailand_gt4py.weights.variables.catalogue import SOIL_TEMPERATURES, Kind, Specification, of_kind

#: Group of a model's variables -> their kind in the catalogue.
GROUP_KINDS: dict[str, Kind] = {
    "static": "static",
    "forcing": "forcing",
    "state": "state",
    "diagnostics": "diagnostic",
}


class VariableSet(NamedTuple):
    """The variables of a model to be trained, in its order."""

    static: tuple[Specification, ...]
    forcing: tuple[Specification, ...]
    state: tuple[Specification, ...]
    diagnostics: tuple[Specification, ...]

    def template(self, step_seconds: float) -> Template:
        """The variables as those of a model with this step, statistics unknown."""
        static, forcing, state, diagnostics = (tuple(variable.variable() for variable in group) for group in self)
        return Template(static, forcing, state, diagnostics, step_seconds)

    @property
    def groups(self) -> dict[str, tuple[Specification, ...]]:
        return self._asdict()


DEFAULT = VariableSet(
    **{
        group: tuple(entry for entry in of_kind(kind).values() if entry.is_default)
        for group, kind in GROUP_KINDS.items()
    }
)


def choose(
    static: Sequence[str] = (),
    forcing: Sequence[str] = (),
    state: Sequence[str] = (),
    diagnostics: Sequence[str] = (),
    soil_heat: bool = False,
) -> VariableSet:
    """The variables of these names; an empty list: the default ones.

    Args:
        soil_heat: whether soil temperatures change by their heat (`ailand_gt4py.ecland.soil_heat`).
    """
    chosen = {}
    for group, names in (("static", static), ("forcing", forcing), ("state", state), ("diagnostics", diagnostics)):
        known = of_kind(GROUP_KINDS[group])
        for name in names:
            if name not in known:
                raise InputError(f"variables.{group}: '{name}' is unknown, expected some of {', '.join(known)}")
            if list(names).count(name) > 1:
                raise InputError(f"variables.{group}: '{name}' is there twice, expected each once")
        chosen[group] = tuple(known[name] for name in names) or DEFAULT.groups[group]
    for group in ("state", "diagnostics"):
        there = {variable.name for name in ("static", "forcing", group) for variable in chosen[name]}
        chosen[group] = tuple(
            variable if variable.bounded_by in there else dataclasses.replace(variable, bounded_by="")
            for variable in chosen[group]
        )
    if soil_heat:
        try:
            property_positions([variable.name for variable in chosen["static"]])
        except InputError as error:
            raise InputError(f"variables.soil_heat: {error}") from error
        chosen["state"] = tuple(
            dataclasses.replace(variable, increment_of=SOIL_HEAT if variable.name in SOIL_TEMPERATURES else "")
            for variable in chosen["state"]
        )
    try:
        previous_positions([variable.variable() for variable in chosen["forcing"]])
    except InputError as error:
        raise InputError(f"variables.forcing: {error}") from error
    return VariableSet(**chosen)
