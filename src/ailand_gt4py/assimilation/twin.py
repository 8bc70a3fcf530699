"""Twin experiment: ecLand in a file is the truth, an emulator that starts from wrong soil moisture is to find it.

Observations are simulated from the truth, with noise. Beside the assimilation runs the open loop, from the same wrong
state with the same wrong weather, never corrected. All random numbers come from the seed; each kind of noise has a
stream of its own, so that one more kind of observation leaves the noise of the others as it is.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.assimilation.control import SOIL_WATER, Bounds, Control, make_control
from ailand_gt4py.assimilation.ensemble_filter import EnsembleFilter
from ailand_gt4py.assimilation.perturbations import WEATHER_ERRORS, initial_errors, layer_correlation, perturbed_weather
from ailand_gt4py.assimilation.sekf import SimplifiedExtendedKalmanFilter
from ailand_gt4py.assimilation.settings import TwinSettings
from ailand_gt4py.assimilation.window import (
    REASONS,
    Observation,
    Schedule,
    Setup,
    Trajectory,
    WindowResult,
    equivalents,
    run_window,
)
from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, step_of, whole_steps
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.observations.operators import (
    Columns,
    Observable,
    ObservationOperator,
    kinds,
    make_operator,
    position_of,
)
from ailand_gt4py.weights.model import Model

#: Streams of random numbers, and of the noise of observables, whatever other observables there are.
_STATE, _WEATHER, _MEMBERS, _OBSERVATIONS = range(4)
_FIRST = ("t2m", "rh2m", "ssm", "tbh", "tbv")


class Observed(NamedTuple):
    """Observations of one kind at the end of each step, (n_steps, n_columns) as in `WindowResult`; NaN: none."""

    values: Values
    departures: Values
    residuals: Values
    expected: Values
    reasons: Values


@dataclasses.dataclass(frozen=True)
class TwinResult:
    """What an experiment gave: runs, states (n_steps, n_columns, n_state) at the labels, and by window what happened.

    The background of a window begins where the analysis of the one before ended. Observations are simulated.
    """

    settings: TwinSettings
    model: Model
    control: Control
    times: Values
    truth: Values
    open_loop: Values
    background: Values
    analysis: Values
    windows: tuple[WindowResult, ...]
    schedules: tuple[Schedule, ...]
    observations: tuple[Values, ...]
    calendar: str = STANDARD

    @property
    def steps_per_window(self) -> int:
        return len(self.times) // len(self.windows)

    @property
    def observables(self) -> dict[str, Observable]:
        """All that is observed, by name."""
        return {observable.name: observable for schedule in self.schedules for observable in schedule.observables}

    def observed(self, name: str) -> Observed:
        """What became of the observations of an observable."""
        shape = self.truth.shape[:2]
        values, departures, residuals, expected = np.full((4, *shape), np.nan)
        found = Observed(values, departures, residuals, expected, np.full(shape, REASONS["missing"], np.uint8))
        for number, (window, schedule) in enumerate(zip(self.windows, self.schedules, strict=True)):
            parts = (self.observations[number], window.departures, window.residuals, window.expected, window.reasons)
            for position, step in enumerate(schedule.steps):
                if schedule.names[position] == name:
                    for field, part in zip(found, parts, strict=True):
                        field[number * self.steps_per_window + step - 1] = part[:, position]
        return found


def is_observed(kind: str, step: int, step_seconds: float) -> bool:
    """Whether a kind of observation is made at the end of a step, counted from 1 at the experiment's start."""
    every = max(1, round(kinds()[kind].hours * 3600.0 / step_seconds))
    return (step - 1) % every == 0


class Twin:
    """An experiment, ready to run from label ``first`` of the columns, which are the truth.

    Clay fractions (n_columns,) may be None where no brightness temperature is observed.
    """

    def __init__(
        self,
        model: Model,
        columns: VerificationColumns,
        settings: TwinSettings,
        make_emulator: Callable[[Model, int], Any],
        first: int = 0,
        clay: Values | None = None,
    ) -> None:
        self.model, self.settings, self.first = model, settings, first
        self._columns, self._static, self._clay, self._make_emulator = columns, columns.static, clay, make_emulator
        self.control = make_control(model, settings.control)
        step, window = step_of(model.step_seconds), step_of(3600.0 * settings.window_hours)
        self.steps_per_window = whole_steps(window, step, "--window-hours")
        self.n_steps = whole_steps(step_of(SECONDS_PER_DAY * settings.days), step, "--days")
        if self.n_steps % self.steps_per_window:
            raise InputError(
                f"length of the experiment: found {settings.days:g} days, expected a multiple of the window of "
                f"{settings.window_hours:g} h"
            )
        if first + self.n_steps >= columns.n_times:
            raise InputError(
                f"the file has {columns.n_times - first} times from the start on, expected at least {self.n_steps + 1}"
            )
        self._weather_errors = settings.weather_error * WEATHER_ERRORS
        weather = columns.forcing[first : first + self.n_steps]
        self._forcing, _ = perturbed_weather(self._random(_WEATHER), model, weather, self._weather_errors)
        # The truth at the start with an error in soil moisture.
        truth = columns.state[first]
        self._start = self._with_errors(truth, self._initial_errors(self._random(_STATE), len(truth)))

    def run(self, after_window: Callable[[int], None] = lambda done: None) -> TwinResult:
        """Run open loop and assimilation; `after_window` is called with the number of steps that are done."""
        columns, labels = self._columns, self.first + np.arange(self.n_steps)
        emulator = self._make_emulator(self.model, columns.n_columns)
        open_loop = run_window(emulator, self._static, self._forcing, self._start).states[:-1]
        assimilation, repeat = self._make_filter(emulator)
        of_truth, operators = self._operators(1), self._operators(repeat)
        windows, schedules, observed = [], [], []
        for begin in range(0, self.n_steps, self.steps_per_window):
            schedules.append(self._schedule(operators, begin))
            observed.append(self._simulated(self._schedule(of_truth, begin), begin))
            forcing = self._forcing[begin : begin + self.steps_per_window]
            windows.append(assimilation.run(forcing, schedules[-1], observed[-1]))
            after_window(begin + self.steps_per_window)
        return TwinResult(
            settings=self.settings,
            model=self.model,
            control=self.control,
            times=columns.times[labels],
            truth=columns.state[labels],
            open_loop=open_loop,
            background=np.concatenate([result.background[:-1] for result in windows]),
            analysis=np.concatenate([result.analysis[:-1] for result in windows]),
            windows=tuple(windows),
            schedules=tuple(schedules),
            observations=tuple(observed),
            calendar=columns.calendar,
        )

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *stream])

    def _initial_errors(self, random: np.random.Generator, n_columns: int) -> Values:
        return initial_errors(random, n_columns, self.settings.initial_error, len(SOIL_WATER))

    def _with_errors(self, state: Values, errors: Values) -> Values:
        """States with errors in soil moisture, held between none and the porosity."""
        position = position_of(self.model.static, "clim_theta_sat", "m3 m-3", "twin experiment")
        soil_water = make_control(self.model)
        return soil_water.put(state, np.clip(soil_water.of(state) + errors, 0.0, self._static[:, [position]]))

    def _make_filter(self, emulator: Any) -> tuple[SimplifiedExtendedKalmanFilter | EnsembleFilter, int]:
        """The filter, and how many columns of its emulator stand for one of the experiment's."""
        settings, n_columns = self.settings, self._columns.n_columns
        bounds = Bounds(self.model, self._static, self.control, settings.limits)
        setup = Setup(self.control, settings.errors, settings.screening, bounds)
        if settings.method == "sekf":
            # Of the initial error; of a soil temperature, which has none here, B's.
            covariance = settings.errors.of_background(self.control.names)
            water = [number for number, name in enumerate(self.control.names) if name in SOIL_WATER]
            layers = [SOIL_WATER.index(self.control.names[number]) for number in water]
            correlation = layer_correlation(len(SOIL_WATER))[np.ix_(layers, layers)]
            covariance[np.ix_(water, water)] = settings.initial_error**2 * correlation
            covariance = np.tile(covariance, (n_columns, 1, 1))
            return SimplifiedExtendedKalmanFilter(
                emulator, self._static, self._start, setup, covariance, settings.jacobian
            ), 1
        random, n_members = self._random(_MEMBERS), settings.members
        spread = self._initial_errors(random, n_members * n_columns).reshape(n_members, n_columns, len(SOIL_WATER))
        members = self._with_errors(np.tile(self._start, (n_members, 1, 1)), spread - spread.mean(axis=0))
        many, weather = self._make_emulator(self.model, n_members * n_columns), self._weather_errors
        return EnsembleFilter(many, self._static, members, setup, weather, random, settings.relaxation), n_members

    def _operators(self, repeat: int) -> dict[str, ObservationOperator]:
        clay = None if self._clay is None else np.tile(self._clay, repeat)
        columns = Columns(self.model, np.tile(self._static, (repeat, 1)), clay)
        return {kind: make_operator(kind, columns) for kind in self.settings.observations}

    def _schedule(self, operators: Mapping[str, ObservationOperator], begin: int) -> Schedule:
        """What is observed in the window that begins after ``begin`` steps."""
        return Schedule(
            tuple(
                Observation(step, operator)
                for step in range(1, self.steps_per_window + 1)
                for kind, operator in operators.items()
                if is_observed(kind, begin + step, self.model.step_seconds)
            )
        )

    def _simulated(self, schedule: Schedule, begin: int) -> Values:
        """Observations of the truth in a window, with noise: (n_columns, n_observations)."""
        columns, labels = self._columns, slice(self.first + begin, self.first + begin + self.steps_per_window + 1)
        truth = Trajectory(columns.forcing[labels], columns.state[labels], columns.diagnostics[labels][1:])
        values = equivalents(truth, schedule)
        for position, (step, name) in enumerate(zip(schedule.steps, schedule.names, strict=True)):
            stream = _FIRST.index(name) if name in _FIRST else zlib.crc32(name.encode())
            random = self._random(_OBSERVATIONS, stream, begin + step)
            values[:, position] += self.settings.errors.observation[name] * random.standard_normal(len(values))
        return values
