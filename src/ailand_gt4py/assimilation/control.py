"""The part of a model's state that an analysis changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.observations.operators import position_of
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import units_of

#: ECMWF's control vector (Drusch et al. 2009, doi:10.1029/2009GL037716).
SOIL_WATER = ("swvl1", "swvl2", "swvl3")

#: What may be controlled, and its units.
UNITS = units_of(*SOIL_WATER, "stl1")


class Control(NamedTuple):
    """Control variables, and their positions in the model's state."""

    names: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.names)

    def of(self, state: Values) -> Values:
        """(..., size) float64 of states (..., n_state); a copy."""
        return state[..., list(self.positions)].astype(np.float64)

    def put(self, state: Values, values: Values) -> Values:
        """A copy of a state (..., n_state) with other values (..., size) of the control variables."""
        changed = state.copy()
        changed[..., list(self.positions)] = values
        return changed


def make_control(model: Model, names: Sequence[str] = SOIL_WATER) -> Control:
    """Control variables of a model, some of `UNITS`.

    Raises:
        InputError: the model lacks one.
    """
    return Control(tuple(names), tuple(position_of(model.state, name, UNITS[name], "control") for name in names))


def root_zone(soil_water: Values) -> Values:
    """Mean soil water of 0-100 cm, (...,), of the first three layers' (..., 3), weighted by their thickness."""
    thickness = np.array(LAYER_THICKNESS[: len(SOIL_WATER)])
    return soil_water @ thickness / thickness.sum()
