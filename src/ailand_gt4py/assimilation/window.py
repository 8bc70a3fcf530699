"""One window of a cycling assimilation: the run through it, its observations, and what an analysis gives."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.assimilation.control import Bounds, Control
from ailand_gt4py.assimilation.settings import Errors, Screening
from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.observations.operators import Observable, ObservationOperator, Situation, position_of
from ailand_gt4py.weights.model import Model

#: Bits of why an observation takes no part.
REASONS = {"missing": 1, "snow": 2, "frozen_soil": 4, "departure_too_large": 8, "operator_not_valid": 16}


class Trajectory(NamedTuple):
    """A run through a window: (n_steps, n_columns, n_features) of each; states begin with one more, at its start."""

    forcing: Values
    states: Values
    diagnostics: Values

    def situation(self, step: int) -> Situation:
        """What is known at the end of a step, from 1 on."""
        return Situation(self.forcing[step - 1], self.states[step], self.diagnostics[step - 1])


class Observation(NamedTuple):
    """An observation at the end of a step, 1 to the window's number of steps, of as many values as its operator's."""

    step: int
    operator: ObservationOperator


class Schedule(NamedTuple):
    """The observations of a window, in any order; n_observations of arrays counts the values of all of them."""

    observations: tuple[Observation, ...]

    @property
    def observables(self) -> list[Observable]:
        return [observable for one in self.observations for observable in one.operator.observables]

    @property
    def names(self) -> list[str]:
        """Of the observables."""
        return [observable.name for observable in self.observables]

    @property
    def steps(self) -> list[int]:
        """At whose ends the values are observed."""
        return [one.step for one in self.observations for _ in one.operator.observables]

    def positions(self) -> list[slice]:
        """Where the values of each observation are among all."""
        ends = itertools.accumulate((len(one.operator.observables) for one in self.observations), initial=0)
        return [slice(first, last) for first, last in itertools.pairwise(ends)]


def run_window(emulator: Emulator, static: Any, forcing: Values, state: Values) -> Trajectory:
    """Run through a window with forcing (n_steps, n_columns, n_forcing) from a state (n_columns, n_state)."""
    states, all_diagnostics = [state], []
    for weather in forcing:
        state, diagnostics = emulator.step(static, weather, state)
        states.append(state)
        all_diagnostics.append(diagnostics)
    return Trajectory(forcing, np.stack(states), np.stack(all_diagnostics))


def equivalents(trajectory: Trajectory, schedule: Schedule) -> Values:
    """What the observations would be on a trajectory, float64 (n_columns, n_observations)."""
    parts = [one.operator.values(trajectory.situation(one.step)) for one in schedule.observations]
    return np.concatenate([np.empty((trajectory.states.shape[1], 0)), *parts], axis=1)


def screened(
    model: Model, states: Values, observations: Values, equivalents: Values, expected: Values, screening: Screening
) -> Values:
    """Why observations take no part: uint8 (n_columns, n_observations), bits of `REASONS`; 0 where one does.

    States of the background are (n_observations, n_columns, n_state); ``expected`` are deviations of the departures.
    """
    snow_cover = states[..., position_of(model.state, "snowc", "1", "screening")].T
    soil_temperature = states[..., position_of(model.state, "stl1", "K", "screening")].T
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


class WindowResult(NamedTuple):
    """What a window gave; of an ensemble the background and the analysis are means.

    Attributes:
        background, analysis: runs from the background and from the analysis.
        increment: (n_columns, n_control) made at the window's start.
        background_spread, analysis_spread: (n_columns, n_control) standard deviations that the filter believes.
        departures, residuals: (n_columns, n_observations) observation minus background and minus the run from the
            analysis; NaN where there is none.
        expected: (n_columns, n_observations) standard deviation of the departures that the filter believes.
        reasons: uint8 (n_columns, n_observations) why an observation took no part (`REASONS`).
        chi_square: (n_columns,) of the departures used.
    """

    background: Trajectory
    analysis: Trajectory
    increment: Values
    background_spread: Values
    analysis_spread: Values
    departures: Values
    residuals: Values
    expected: Values
    reasons: Values
    chi_square: Values

    @property
    def n_used(self) -> Values:
        """(n_columns,) number of observations used."""
        return (self.reasons == 0).sum(axis=1)


class Setup(NamedTuple):
    """What every filter needs: control variables, errors, which observations take part, how far an analysis may go."""

    control: Control
    errors: Errors
    screening: Screening
    bounds: Bounds

    def model_error(self, emulator: Emulator, run: Trajectory) -> Values:
        """(n_control, n_control) Q of a window."""
        return self.errors.of_model(
            self.control.names, len(run.forcing) * emulator.model.step_seconds / SECONDS_PER_DAY
        )
