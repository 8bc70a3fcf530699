"""Which observations take part in an analysis, and how far it may go."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.settings import Limits, Screening
from ailand_gt4py.assimilation.window import Schedule, Trajectory
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import position_of
from ailand_gt4py.weights.model import Model

#: Bits of why an observation takes no part.
REASONS = {"missing": 1, "snow": 2, "frozen_soil": 4, "departure_too_large": 8, "operator_not_valid": 16}


def screened(
    model: Model,
    trajectory: Trajectory,
    schedule: Schedule,
    observations: Values,
    equivalents: Values,
    expected: Values,
    screening: Screening,
) -> Values:
    """Why observations take no part.

    Args:
        trajectory: of the background.
        observations: (n_columns, n_observations), NaN where there is none. equivalents: of the background, NaN where an
            operator gives none. expected: standard deviation of their difference by background and observation errors.

    Returns:
        Uint8 (n_columns, n_observations): bits of `REASONS`; 0 where an observation takes part.

    Raises:
        InputError: the model lacks snow cover or soil temperature.
    """
    at_observation = trajectory.states[schedule.steps].swapaxes(0, 1)
    snow_cover = at_observation[..., position_of(model.state, "snowc", "1", "screening")]
    soil_temperature = at_observation[..., position_of(model.state, "stl1", "K", "screening")]
    found = {
        "missing": np.isnan(observations),
        "snow": snow_cover > screening.largest_snow_cover,
        "frozen_soil": soil_temperature < screening.coldest_soil,
        "departure_too_large": np.abs(observations - equivalents) > screening.largest_departure * expected,
        "operator_not_valid": np.isnan(equivalents),
    }
    reasons = np.zeros(observations.shape, dtype=np.uint8)
    for reason, applies in found.items():
        reasons |= np.uint8(REASONS[reason]) * applies
    return reasons


class Bounds:
    """Limits of an analysis for the columns of a model, by their porosity, field capacity and wilting point.

    Raises:
        InputError: the model lacks one of these.
    """

    def __init__(self, model: Model, static: Values, control: Control, limits: Limits) -> None:
        def soil(name: str) -> Values:
            return static[:, position_of(model.static, name, "m3 m-3", "bounds of the analysis")].astype(np.float64)

        porosity = soil("clim_theta_sat")
        free = np.full_like(porosity, np.inf)
        bounds = []
        for name in control.names:
            if name == "stl1":
                bounds.append((-free, free, limits.largest_warming))
            elif int(name.removeprefix("swvl")) < limits.plant_range_from:
                bounds.append((np.full_like(porosity, limits.driest), porosity, limits.largest_increment))
            else:
                bounds.append((soil("clim_theta_pwp"), soil("clim_theta_cap"), limits.largest_increment))
        self._lower, self._upper, self._largest = (np.stack(values, axis=-1) for values in zip(*bounds, strict=True))

    def limited(self, background: Values, increment: Values) -> Values:
        """The increment that is made, (..., n_columns, n_control): not too large, and within the bounds.

        A background that is out of them already may come back, but gets no farther.
        """
        wanted = background + np.clip(increment, -self._largest, self._largest)
        analysed = np.clip(wanted, np.minimum(self._lower, background), np.maximum(self._upper, background))
        return analysed - background
