"""One run through an assimilation window, and its equivalents of the observations in it."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.observations.operators import Observable, ObservationOperator, Situation


class Trajectory(NamedTuple):
    """A run through a window.

    Attributes:
        forcing: (n_steps, n_columns, n_forcing).
        states: (n_steps + 1, n_columns, n_state), the first at the window's start.
        diagnostics: (n_steps, n_columns, n_diagnostics).
    """

    forcing: Values
    states: Values
    diagnostics: Values

    @property
    def n_steps(self) -> int:
        return len(self.forcing)

    def situation(self, step: int) -> Situation:
        """What is known at the end of a step, 1 to `n_steps`."""
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
    """Run through a window.

    Args:
        static: (n_columns, n_static), or what `Emulator.prepare_static` made.
        forcing: (n_steps, n_columns, n_forcing). state: (n_columns, n_state) at the start, of the emulator's type.
    """
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
