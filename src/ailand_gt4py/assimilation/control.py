"""The part of a model's state that an analysis changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.observations.operators import position_of
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import units_of

#: ECMWF's control vector (Drusch et al. 2009, doi:10.1029/2009GL037716).
SOIL_WATER = ("swvl1", "swvl2", "swvl3")

#: What may be controlled, and its units.
UNITS = units_of(*SOIL_WATER, "stl1")


@dataclasses.dataclass(frozen=True)
class Control:
    """Control variables.

    Attributes:
        names: of them, in order. positions: in the model's state.
    """

    names: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of variables."""
        return len(self.names)

    @property
    def of_soil_water(self) -> Values:
        """(size,) which of them are soil water."""
        return np.array([name in SOIL_WATER for name in self.names])

    def of(self, state: Values) -> Values:
        """(..., size) float64 of states (..., n_state); a copy."""
        return state[..., list(self.positions)].astype(np.float64)

    def put(self, state: Values, values: Values) -> Values:
        """A copy of a state (..., n_state) with other values (..., size) of the control variables."""
        changed = state.copy()
        changed[..., list(self.positions)] = values
        return changed


def make_control(model: Model, names: Sequence[str] = SOIL_WATER) -> Control:
    """Control variables of a model.

    Args:
        names: of `UNITS`.

    Raises:
        InputError: none, one twice, one that may not be controlled, or that the model lacks.
    """
    for name in names:
        if name not in UNITS:
            raise InputError(f"control variable: found '{name}', expected some of {', '.join(UNITS)}")
    if not names or len(set(names)) != len(names):
        raise InputError(
            f"control variables: found ({', '.join(names)}), expected some of {', '.join(UNITS)}, each once"
        )
    return Control(tuple(names), tuple(position_of(model.state, name, UNITS[name], "control") for name in names))


def root_zone(soil_water: Values) -> Values:
    """Mean soil water of 0-100 cm.

    Args:
        soil_water: (..., 3) of the first three layers, m3 m-3.

    Returns:
        (...,) weighted by the layers' thickness.
    """
    thickness = np.array(LAYER_THICKNESS[: len(SOIL_WATER)])
    return soil_water @ thickness / thickness.sum()
