"""The size of an error, absolute or relative."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Amount:
    """A size that is given for a variable.

    Attributes:
        value: positive or zero; of the variable itself, or a fraction of it.
        is_relative: whether it is a fraction of the variable's value.
    """

    value: float
    is_relative: bool = False

    def of(self, values: np.ndarray) -> np.ndarray:
        """The size for values of the variable, in its units."""
        return self.value * np.abs(values) if self.is_relative else np.full_like(values, self.value)
