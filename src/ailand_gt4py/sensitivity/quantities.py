"""Which derivatives are asked for: outputs of a step by inputs of a step, and how they are called."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.names import listed_names
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

Group = Literal["static", "forcing", "state", "diagnostics"]

#: Inputs that are indices of classes.
TYPES = frozenset(name for name, entry in CATALOGUE.items() if entry.is_class)

#: Static inputs that are shown if no others are asked for, those of them that the model has.
STATIC_SHOWN = ("clim_theta_cap", "clim_theta_pwp")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """An input or an output of a step.

    Attributes:
        variable: of the model. group: which of the model's it is one of. position: in that group.
    """

    variable: Variable
    group: Group
    position: int

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def units(self) -> str:
        return self.variable.units

    @property
    def spread(self) -> float:
        """What a normalised derivative is per: the scale of the model's normalisation.

        It is the standard deviation over the training data for the default model's variables; of a variable whose
        logarithm is normalised, that of the logarithm, a relative change.
        """
        return self.variable.normalisation.scale

    def spread_at(self, values: Values) -> Values:
        """The scale in the variable's units where it has these values."""
        one = np.full_like(values, self.spread)
        return one * np.abs(values) if self.variable.normalisation.is_logarithmic else one


def _quantities(model: Model, group: Group) -> list[Quantity]:
    return [Quantity(variable, group, position) for position, variable in enumerate(getattr(model, group))]


def _chosen(blocks: dict[str, list[Quantity]], others: Sequence[Quantity], text: str, option: str) -> list[Quantity]:
    known = {quantity.name: quantity for quantity in (*(q for block in blocks.values() for q in block), *others)}
    found: list[Quantity] = []
    for name in listed_names(text, [*blocks, *known], option):
        found += [one for one in blocks.get(name, [known[name]] if name in known else []) if one not in found]
    return found


def choose_outputs(model: Model, text: str | None) -> list[Quantity]:
    """Outputs from a list of names, ``state`` and ``diagnostics`` among them; all for none.

    Raises:
        InputError: an unknown name.
    """
    blocks = {"state": _quantities(model, "state"), "diagnostics": _quantities(model, "diagnostics")}
    return _chosen(blocks, (), text or "state,diagnostics", "--outputs")


def choose_inputs(model: Model, text: str | None) -> list[Quantity]:
    """Inputs from a list of names, ``static``, ``forcing`` and ``state`` among them.

    ``forcing`` is the weather, that of the previous window included; inputs of time and location alone are only had
    by name. For no list: the weather, the state, and `STATIC_SHOWN`.

    Raises:
        InputError: an unknown name, or the number of a class.
    """
    static = [one for one in _quantities(model, "static") if one.name not in TYPES]
    forcing = _quantities(model, "forcing")
    weather = [one for one in forcing if not one.variable.derived or one.variable.is_previous]
    blocks = {"static": static, "forcing": weather, "state": _quantities(model, "state")}
    if text is None:
        shown = [one for one in static if one.name in STATIC_SHOWN]
        return [*blocks["state"], *weather, *shown]
    types = [variable.name for variable in model.static if variable.name in TYPES]
    asked = {part.strip() for part in text.split(",")}
    for name in types:
        if name in asked:
            raise InputError(f"option --inputs: '{name}' is the number of a class, expected a quantity")
    return _chosen(blocks, forcing, text, "--inputs")


def units_of_derivative(output: str, by: str) -> str:
    """Units of a derivative in UDUNITS spelling."""
    return output if by in ("1", "") else f"{output or '1'} / ({by})"


def derivative_name(output: str, by: str) -> str:
    """Name of a derivative's variable in a file."""
    return f"d_{output}_d_{by}"
