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
    departures: Values,
    expected: Values,
    screening: Screening,
) -> Values:
    """Why observations take no part.

    Args:
        trajectory: of the background.
        departures: (n_columns, n_observations) observation minus background; NaN where there is no observation, or
            where an operator gives none.
        expected: (n_columns, n_observations) standard deviation that background and observation errors let expect.

    Returns:
        Uint8 (n_columns, n_observations): bits of `REASONS`; 0 where an observation takes part.

    Raises:
        InputError: the model lacks snow cover or soil temperature.
    """
    at_observation = trajectory.states[schedule.steps].swapaxes(0, 1)
    snow_cover = at_observation[..., position_of(model.state, "snowc", "1", "screening")]
    soil_temperature = at_observation[..., position_of(model.state, "stl1", "K", "screening")]
    found = {
        "snow": snow_cover > screening.largest_snow_cover,
        "frozen_soil": soil_temperature < screening.coldest_soil,
        "departure_too_large": np.abs(departures) > screening.largest_departure * expected,
    }
    reasons = np.zeros(departures.shape, dtype=np.uint8)
    for reason, applies in found.items():
        reasons |= np.uint8(REASONS[reason]) * applies
    return reasons


def with_missing(reasons: Values, observations: Values, equivalents: Values) -> Values:
    """The reasons, with those of observations that are not there or that an operator cannot make.

    Args:
        reasons: uint8 (n_columns, n_observations). observations, equivalents: the same shape, NaN where there is none.
    """
    marked = reasons | np.uint8(REASONS["missing"]) * np.isnan(observations)
    return marked | np.uint8(REASONS["operator_not_valid"]) * np.isnan(equivalents)


class Bounds:
    """Limits of an analysis for the columns of a model.

    Args:
        model, static: with porosity, field capacity and wilting point of the columns.
        control: what is analysed. limits: how far it may go.

    Raises:
        InputError: the model lacks one of these.
    """

    def __init__(self, model: Model, static: Values, control: Control, limits: Limits) -> None:
        def soil(name: str) -> Values:
            return static[:, position_of(model.static, name, "m3 m-3", "bounds of the analysis")].astype(np.float64)

        porosity = soil("clim_theta_sat")
        columns = []
        for name in control.names:
            if name == "stl1":
                columns.append(
                    (np.full_like(porosity, -np.inf), np.full_like(porosity, np.inf), limits.largest_warming)
                )
            elif int(name.removeprefix("swvl")) < limits.plant_range_from:
                columns.append((np.full_like(porosity, limits.driest), porosity, limits.largest_increment))
            else:
                columns.append((soil("clim_theta_pwp"), soil("clim_theta_cap"), limits.largest_increment))
        self._lower = np.stack([lower for lower, _, _ in columns], axis=-1)
        self._upper = np.stack([upper for _, upper, _ in columns], axis=-1)
        self._largest = np.array([largest for _, _, largest in columns])

    def limited(self, background: Values, increment: Values) -> Values:
        """The increment that is made.

        None beyond its largest size, and none that leads out of the bounds. A background that is out of them already
        may come back, but gets no farther.

        Args:
            background, increment: (..., n_columns, n_control).
        """
        wanted = background + np.clip(increment, -self._largest, self._largest)
        analysed = np.clip(wanted, np.minimum(self._lower, background), np.maximum(self._upper, background))
        return analysed - background
