"""One run through an assimilation window, and what observations within it would see."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import Observable, ObservationOperator, Situation
from ailand_gt4py.weights.model import Model


class Stepper(Protocol):
    """What an analysis needs of an `Emulator`."""

    model: Model
    n_columns: int
    dtype: np.dtype

    def step(self, static: Any, forcing: Any, state: Any) -> tuple[Values, Values]:
        """As `Emulator.step`."""

    def tangent_linear_of_states(self, static: Any, forcing: Any, state: Any, d_states: Any) -> tuple[Values, Values]:
        """As `Emulator.tangent_linear_of_states`."""


@dataclasses.dataclass(frozen=True)
class Trajectory:
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


@dataclasses.dataclass(frozen=True)
class Sight:
    """An operator that looks at the end of a step, 1 to the window's number of steps."""

    step: int
    operator: ObservationOperator


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The observations of a window: those of each sight one after the other.

    Attributes:
        sights: in any order.
    """

    sights: tuple[Sight, ...]

    @property
    def observables(self) -> tuple[Observable, ...]:
        """What the observations are, in order."""
        return tuple(observable for sight in self.sights for observable in sight.operator.observables)

    @property
    def steps(self) -> Values:
        """(n_observations,) steps at whose ends they are."""
        return np.array([s.step for s in self.sights for _ in s.operator.observables], dtype=np.int64)

    @property
    def size(self) -> int:
        """Number of observations of a column."""
        return len(self.observables)

    def positions(self) -> list[slice]:
        """Where the observations of each sight are among all."""
        ends = itertools.accumulate((len(sight.operator.observables) for sight in self.sights), initial=0)
        return [slice(first, last) for first, last in itertools.pairwise(ends)]

    def require_within(self, n_steps: int) -> None:
        """Check that all sights are within a window.

        Raises:
            InputError: one is not.
        """
        for sight in self.sights:
            if not 1 <= sight.step <= n_steps:
                raise InputError(f"observation: found it at the end of step {sight.step}, expected 1 to {n_steps}")


def run_window(emulator: Stepper, static: Any, forcing: Values, state: Values) -> Trajectory:
    """Run through a window.

    Args:
        static: (n_columns, n_static), or what `Emulator.prepare_static` made.
        forcing: (n_steps, n_columns, n_forcing). state: (n_columns, n_state) at the start, of the emulator's type.
    """
    states, diagnostics = [state], []
    for weather in forcing:
        new_state, seen = emulator.step(static, weather, states[-1])
        states.append(new_state)
        diagnostics.append(seen)
    return Trajectory(forcing, np.stack(states), np.stack(diagnostics))


def equivalents(trajectory: Trajectory, schedule: Schedule) -> Values:
    """What the observations would be on a trajectory, float64 (n_columns, n_observations)."""
    n_columns = trajectory.states.shape[1]
    parts = [sight.operator.values(trajectory.situation(sight.step)) for sight in schedule.sights]
    return np.concatenate(parts, axis=1) if parts else np.empty((n_columns, 0))


def at_steps(sights: Sequence[Sight], step: int) -> list[int]:
    """Which sights look at the end of a step."""
    return [number for number, sight in enumerate(sights) if sight.step == step]
