"""Which derivatives are asked for: outputs of a step by inputs of a step, and how they are called."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import listed_names
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

#: Inputs that are indices of classes.
TYPES = frozenset(name for name, entry in CATALOGUE.items() if entry.is_class)
#: Static inputs that are shown if no others are asked for, those of them that the model has.
STATIC_SHOWN = ("clim_theta_cap", "clim_theta_pwp")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """An input or an output of a step: a variable of the model, at a position in one of its groups."""

    variable: Variable
    group: str
    position: int

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def units(self) -> str:
        return self.variable.units

    @property
    def spread(self) -> float:
        """What a normalised derivative is per: the normalisation's scale; of a logarithm, so a relative change."""
        return self.variable.normalisation.scale

    def spread_at(self, values: Values) -> Values:
        """The scale in the variable's units where it has these values."""
        one = np.full_like(values, self.spread)
        return one * np.abs(values) if self.variable.normalisation.is_logarithmic else one


def _quantities(model: Model, group: str) -> list[Quantity]:
    return [Quantity(variable, group, position) for position, variable in enumerate(getattr(model, group))]


def _chosen(blocks: dict[str, list[Quantity]], others: Sequence[Quantity], text: str, called: str) -> list[Quantity]:
    """Those of a list of names, of quantities and of blocks of them; each once."""
    known = blocks | {one.name: [one] for one in itertools.chain(*blocks.values(), others)}
    chosen = [one for name in listed_names(text, known, called) for one in known[name]]
    return list(dict.fromkeys(chosen))


def choose_outputs(model: Model, text: str | None, called: str = "outputs") -> list[Quantity]:
    """Outputs from a list of names, ``state`` and ``diagnostics`` among them; all for none. ``called``: in messages."""
    blocks = {group: _quantities(model, group) for group in ("state", "diagnostics")}
    return _chosen(blocks, (), text or "state,diagnostics", called)


def choose_inputs(model: Model, text: str | None, called: str = "inputs") -> list[Quantity]:
    """Inputs from a list of names, ``static``, ``forcing`` (the weather, previous windows') and ``state`` included.

    Inputs of time and location alone are only had by name. For no list: the weather, the state, and `STATIC_SHOWN`.
    """
    static = [one for one in _quantities(model, "static") if one.name not in TYPES]
    forcing, state = _quantities(model, "forcing"), _quantities(model, "state")
    weather = [one for one in forcing if not one.variable.derived or one.variable.is_previous]
    if text is None:
        return [*state, *weather, *(one for one in static if one.name in STATIC_SHOWN)]
    asked = {part.strip() for part in text.split(",")}
    for variable in model.static:
        if variable.name in TYPES & asked:
            raise InputError(f"option {called}: '{variable.name}' is the number of a class, expected a quantity")
    return _chosen({"static": static, "forcing": weather, "state": state}, forcing, text, called)


def units_of_derivative(output: str, by: str) -> str:
    """Units of a derivative in UDUNITS spelling."""
    return output if by in ("1", "") else f"{output or '1'} / ({by})"
