"""The size of an error, absolute or relative."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.names import named_values


@dataclasses.dataclass(frozen=True)
class Amount:
    """A size that is given for a variable: positive or zero, in its units or as a fraction of its value."""

    value: float
    is_relative: bool = False

    def of(self, values: np.ndarray) -> np.ndarray:
        return self.value * np.abs(values) if self.is_relative else np.full_like(values, self.value)

    def __str__(self) -> str:
        return f"{100.0 * self.value:g}%" if self.is_relative else f"{self.value:g}"


def parse_amounts(given: object) -> dict[str, Amount]:
    """Sizes for variables from a list such as ``swvl1=0.02,met_rainf=20%``, or from a mapping."""
    pairs = named_values(given)
    if not isinstance(pairs, Mapping):
        raise InputError(f"found {given!r}, expected sizes such as swvl1=0.02,met_rainf=20%")
    amounts = {}
    for name, size in pairs.items():
        text = str(size)
        is_relative = text.endswith("%")
        try:
            value = float(text.removesuffix("%")) * (0.01 if is_relative else 1.0)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise InputError(f"found '{name}={size}', expected a number such as {name}=0.02 or 10%")
        amounts[name] = size if isinstance(size, Amount) else Amount(value, is_relative)
    return amounts
