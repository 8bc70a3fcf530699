"""The part of a model's state that an analysis changes, and how far it may go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.assimilation.settings import Limits
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

    def of(self, state: Values) -> Values:
        """(..., size) float64 of states (..., n_state); a copy."""
        return state[..., list(self.positions)].astype(np.float64)

    def put(self, state: Values, values: Values) -> Values:
        """A copy of a state (..., n_state) with other values (..., size) of the control variables."""
        changed = state.copy()
        changed[..., list(self.positions)] = values
        return changed


def make_control(model: Model, names: Sequence[str] = SOIL_WATER) -> Control:
    """Control variables of a model, some of `UNITS`."""
    return Control(tuple(names), tuple(position_of(model.state, name, UNITS[name], "control") for name in names))


def root_zone(soil_water: Values) -> Values:
    """Mean soil water of 0-100 cm, (...,), of the first three layers' (..., 3), weighted by their thickness."""
    thickness = np.array(LAYER_THICKNESS[: len(SOIL_WATER)])
    return soil_water @ thickness / thickness.sum()


class Bounds:
    """Limits of an analysis for the columns of a model, by their porosity, field capacity and wilting point."""

    def __init__(self, model: Model, static: Values, control: Control, limits: Limits) -> None:
        def soil(name: str) -> Values:
            return static[:, position_of(model.static, name, "m3 m-3", "bounds of the analysis")].astype(np.float64)

        porosity = soil("clim_theta_sat")
        bounds = []
        for name in control.names:
            if name == "stl1":
                bounds.append((np.full_like(porosity, -np.inf), np.full_like(porosity, np.inf), limits.largest_warming))
            elif int(name.removeprefix("swvl")) < limits.plant_range_from:
                bounds.append((np.full_like(porosity, limits.driest), porosity, limits.largest_increment))
            else:
                bounds.append((soil("clim_theta_pwp"), soil("clim_theta_cap"), limits.largest_increment))
        self._lower, self._upper, self._largest = (np.stack(values, axis=-1) for values in zip(*bounds, strict=True))

    def limited(self, background: Values, increment: Values) -> Values:
        """The increment that is made, (..., n_columns, n_control): not too large, and no farther out of the bounds."""
        wanted = background + np.clip(increment, -self._largest, self._largest)
        analysed = np.clip(wanted, np.minimum(self._lower, background), np.maximum(self._upper, background))
        return analysed - background
