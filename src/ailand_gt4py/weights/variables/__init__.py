"""The catalogue of variables, as ``catalogue.toml`` has it, and the choice of those that a model to be trained has."""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_heat import SOIL_HEAT, property_positions
from ailand_gt4py.ecland.soil_water import SOIL_WATER, WATER_HELD, temperature_positions
from ailand_gt4py.weights.model import (
    Described,
    Normalisation,
    NormalisationMethod,
    Template,
    TimeMeaning,
    Variable,
    previous_name,
    previous_positions,
)

#: What a quantity is to this package: coordinates of columns; the four groups of a model's variables; ``ingredient``
#: what files have and no model takes, from which inputs follow; ``observable`` what is observed and no network gives;
#: ``coupling`` what only a land component gives to its host.
Kind = Literal["coordinate", "static", "forcing", "ingredient", "state", "diagnostic", "observable", "coupling"]


@dataclasses.dataclass(frozen=True)
class Specification(Described):
    """An entry of the catalogue.

    Attributes:
        kind: see `Kind`.
        is_default: whether a model has it that is trained without a choice of variables.
        is_class: whether it is the number of a class: there is nothing between two of them.
        method: normalisation method.
        wet_only: the statistics are taken over values above zero. For precipitation, whose standard deviation over
            all samples is so small that a storm would be a hundred of it.
        floor: for the method ``log``: what smaller values are taken for.
        valid: smallest and largest value that is physically possible, in units, where that differs from the bounds.
        noise: how far below zero packing, interpolation and advection bring a quantity that cannot be, in units.
        has_long_tail: whether it is of no certain size: its largest values differ by factors from sample to sample.
        of_snow: whether it is a property of the snow, which means nothing where there is none.
        aliases: convention -> the names it uses; they are accepted in files.
        component_name: name of the land component's output, empty where the component gives none.
        component_factor: by which that output is multiplied: -1 where a dycore counts upward.
    """

    kind: Kind = "diagnostic"
    is_default: bool = True
    is_class: bool = False
    method: NormalisationMethod = "mean-std"
    wet_only: bool = False
    floor: float = math.nan
    valid: Sequence[float] | None = None
    noise: float = math.inf
    has_long_tail: bool = False
    of_snow: bool = False
    aliases: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    component_name: str = ""
    component_factor: float = 1.0

    @property
    def valid_range(self) -> tuple[float, float]:
        """Smallest and largest value that is physically possible, in units; infinite where there is no such limit."""
        low, high = (self.lower_bound, self.upper_bound) if self.valid is None else self.valid
        return low, high

    def variable(
        self, normalisation: Normalisation | None = None, minimum: float = math.nan, maximum: float = math.nan
    ) -> Variable:
        """The variable of a model, with statistics and range of the training data where they are known."""
        shared: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(Described)}
        return Variable(
            normalisation=normalisation or Normalisation(), training_minimum=minimum, training_maximum=maximum, **shared
        )


#: What a kind's entries mean in time where they do not say it themselves.
_TIME_MEANINGS: dict[Kind, TimeMeaning] = {
    "coordinate": "static",
    "static": "static",
    "state": "window start",
    "observable": "window end",
}

#: Static inputs that anemoi's networks have of every column.
NODE_COORDINATES = ("node_sin_latitude", "node_sin_longitude", "node_cos_latitude", "node_cos_longitude")

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


AnyDescribed = TypeVar("AnyDescribed", bound=Described)


def at_all_times(newest: Sequence[AnyDescribed], n_times: int) -> tuple[AnyDescribed, ...]:
    """Variables of the newest time, of the step before (``NAME_before``), of that before (``NAME_before2``), ..."""
    suffixes = ["", "_before", *(f"_before{k}" for k in range(2, n_times))][:n_times]
    return tuple(
        variable
        if not k
        else dataclasses.replace(
            variable,
            name=f"{variable.name}{suffix}",
            long_name=f"{variable.long_name or variable.name}, {k} step{'s' * (k > 1)} before",
            derived=previous_name(f"{variable.name}{suffixes[k - 1]}"),
        )
        for k, suffix in enumerate(suffixes)
        for variable in newest
    )


#: Everything, by name.
CATALOGUE: dict[str, Specification] = {entry.name: entry for kind in get_args(Kind) for entry in _entries(kind)}


def _standard_names() -> dict[str, tuple[str, ...]]:
    kinds: tuple[Kind, ...] = ("coordinate", "static", "forcing", "ingredient", "state", "diagnostic")
    entries = [one for one in CATALOGUE.values() if one.kind in kinds and one.standard_name and not one.derived]
    alone = Counter((one.kind, one.standard_name) for one in entries)
    found: dict[str, tuple[str, ...]] = {}
    for one in entries:
        if alone[one.kind, one.standard_name] == 1:
            found[one.standard_name] = (*found.get(one.standard_name, ()), one.name)
    return found


#: CF standard name -> the variables that files may have by it, the likeliest first. None that several variables of a
#: kind have, as the layers of the soil do: these go by their own names.
STANDARD_NAMES: dict[str, tuple[str, ...]] = _standard_names()


def of_kind(kind: Kind) -> dict[str, Specification]:
    """The entries of a kind by name, in the catalogue's order."""
    return {name: entry for name, entry in CATALOGUE.items() if entry.kind == kind}


def units_of(*names: str) -> dict[str, str]:
    return {name: CATALOGUE[name].units for name in names}


def cf_attributes(quantity: Described) -> dict[str, str]:
    """CF attributes of a quantity, of the catalogue or a model: standard name where there is one, long name, units."""
    found = {"standard_name": quantity.standard_name, "long_name": quantity.long_name, "units": quantity.units}
    return {key: text for key, text in found.items() if text}


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

    def of_point_wise(self, input_steps: int, coordinates: bool) -> VariableSet:
        """Those of a point-wise network: no limit by another variable, forcing of as many times, places of columns."""
        for kind in (SOIL_WATER, SOIL_HEAT):
            if any(variable.increment_of == kind for variable in self.state):
                raise InputError(f"variables.{kind}: found true, expected false for a network 'point_wise'")
        static, forcing, *results = self
        nodes = tuple(CATALOGUE[name] for name in NODE_COORDINATES if coordinates and CATALOGUE[name] not in static)
        if input_steps > 1:
            forcing = at_all_times([variable for variable in forcing if not variable.is_previous], input_steps)
        return VariableSet(static + nodes, forcing, *(tuple(map(_unlimited, group)) for group in results))


def _unlimited(variable: Specification) -> Specification:
    return dataclasses.replace(variable, bounded_by="")


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
    soil_water: bool = False,
) -> VariableSet:
    """The variables of these names (none: the default ones).

    ``soil_heat``: soil temperatures change by their heat. ``soil_water``: frost holds soil water.
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
    if soil_water:
        if not soil_heat:
            raise InputError(
                "variables.soil_water: found true without soil_heat, expected both: frost is derived from heat"
            )
        names = [variable.name for variable in chosen["state"]]
        try:
            for name in filter(names.__contains__, WATER_HELD):
                temperature_positions(name, names)
        except InputError as error:
            raise InputError(f"variables.soil_water: {error}") from error
    kinds = dict.fromkeys(SOIL_TEMPERATURES if soil_heat else (), SOIL_HEAT)
    kinds |= dict.fromkeys(WATER_HELD if soil_water else (), SOIL_WATER)
    chosen["state"] = tuple(
        dataclasses.replace(variable, increment_of=kinds.get(variable.name, "")) for variable in chosen["state"]
    )
    try:
        previous_positions([variable.variable() for variable in chosen["forcing"]])
    except InputError as error:
        raise InputError(f"variables.forcing: {error}") from error
    return VariableSet(**chosen)


def specification_of(variable: Variable) -> Specification | None:
    """The catalogue's entry of a model's variable, where that is in the same units."""
    entry = CATALOGUE.get(variable.name)
    return entry if entry is not None and entry.units == variable.units else None
