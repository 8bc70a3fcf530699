"""What the catalogue says of one quantity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ailand_gt4py.weights.model import Described, Normalisation, NormalisationMethod, Variable

#: What a quantity is to this package: coordinates of columns; the four groups of a model's variables; ``observable``
#: what only an observation operator gives; ``coupling`` what only a land component gives to its host.
Kind = Literal["coordinate", "static", "forcing", "state", "diagnostic", "observable", "coupling"]


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
        """The variable of a model.

        Args:
            normalisation: with statistics; None: unknown. minimum, maximum: of the training data.
        """
        shared: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(Described)}
        return Variable(
            normalisation=normalisation or Normalisation(), training_minimum=minimum, training_maximum=maximum, **shared
        )


def cf_attributes(quantity: Described) -> dict[str, str]:
    """CF attributes of a quantity, of the catalogue or a model: standard name where there is one, long name, units."""
    found = {"standard_name": quantity.standard_name, "long_name": quantity.long_name, "units": quantity.units}
    return {key: text for key, text in found.items() if text}
