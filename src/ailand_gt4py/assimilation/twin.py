"""Twin experiment: ecLand in a file is the truth, an emulator that starts from wrong soil moisture is to find it.

Observations are simulated from the truth, with noise. Beside the assimilation runs the open loop, from the same wrong
state with the same wrong weather, never corrected. All random numbers come from the seed; each kind of noise has a
stream of its own, so that one more kind of observation leaves the noise of the others as it is.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from ailand_gt4py.assimilation.control import SOIL_WATER, Control, make_control
from ailand_gt4py.assimilation.filters import (
    EnsembleFilter,
    Filter,
    Setup,
    SimplifiedExtendedKalmanFilter,
    WindowResult,
)
from ailand_gt4py.assimilation.perturbations import (
    WeatherErrors,
    initial_errors,
    layer_correlation,
    perturbed_weather,
    weather_noise,
)
from ailand_gt4py.assimilation.screening import REASONS, Bounds
from ailand_gt4py.assimilation.settings import TwinSettings
from ailand_gt4py.assimilation.window import Observation, Schedule, run_window
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.observations.operators import Observable, ObservationOperator, Situation, position_of
from ailand_gt4py.observations.registry import Columns, kinds, make_operator
from ailand_gt4py.weights.model import Model

#: Streams of random numbers.
_STATE, _WEATHER, _MEMBERS, _OBSERVATIONS = range(4)


class Observed(NamedTuple):
    """The observations of an observable at the end of each step, (n_steps, n_columns).

    Attributes:
        values, departures, residuals: see `WindowResult`; NaN where there is none.
        reasons: uint8, why it took no part.
    """

    values: Values
    departures: Values
    residuals: Values
    reasons: Values


@dataclasses.dataclass(frozen=True)
class TwinResult:
    """What an experiment gave.

    Attributes:
        settings: of it. model: run. control: what was analysed.
        times: (n_steps,) labels, those of the windows' starts and of the steps in them.
        truth, open_loop, background, analysis: states (n_steps, n_columns, n_state) at the labels; the background of a
            window begins where the analysis of the one before ended.
        windows: one for each window, in order. observables: names of the observations of each window.
        observation_steps: (n_observations,) of each window: the step at whose end each was made.
        observations: simulated, (n_columns, n_observations) of each window.
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
    observables: tuple[tuple[str, ...], ...]
    observation_steps: tuple[Values, ...]
    observations: tuple[Values, ...]

    @property
    def steps_per_window(self) -> int:
        return len(self.times) // len(self.windows)

    def observed(self, name: str) -> Observed:
        """What became of the observations of an observable."""
        shape = self.truth.shape[:2]
        values, departures, residuals = np.full((3, *shape), np.nan)
        found = Observed(values, departures, residuals, np.full(shape, REASONS["missing"], np.uint8))
        for number, window in enumerate(self.windows):
            parts = (self.observations[number], window.departures, window.residuals, window.reasons)
            for position, step in enumerate(self.observation_steps[number]):
                if self.observables[number][position] == name:
                    for field, part in zip(found, parts, strict=True):
                        field[number * self.steps_per_window + step - 1] = part[:, position]
        return found


def is_observed(kind: str, step: int, step_seconds: float) -> bool:
    """Whether a kind of observation is made at the end of a step, counted from 1 at the experiment's start."""
    every = max(1, round(kinds()[kind].hours * 3600.0 / step_seconds))
    return (step - 1) % every == 0


class Twin:
    """An experiment, ready to run.

    Args:
        model, columns: with the same variables; the columns' states and diagnostics are the truth.
        settings: of the experiment. first: label of the columns where it starts.
        clay: (n_columns,) clay fraction, or None where no brightness temperature is observed.
        backend, precision: of the emulators; on the host.
        make_emulator: (model, n_columns) -> emulator; None: an `Emulator` of that backend and precision.

    Raises:
        InputError: something does not fit: the file is too short, or the model lacks a variable.
    """

    def __init__(
        self,
        model: Model,
        columns: VerificationColumns,
        settings: TwinSettings,
        first: int = 0,
        clay: Values | None = None,
        backend: Any = "dace_cpu",
        precision: Literal["float32", "float64"] = "float32",
        make_emulator: Callable[[Model, int], Any] | None = None,
    ) -> None:
        self.model, self.settings, self.first = model, settings, first
        self._columns = columns
        self._static = columns.static
        self._clay = clay
        self.control = make_control(model, settings.control)
        self.steps_per_window = _whole_steps(settings.window_hours / 24.0, model.step_seconds, "window")
        n_steps = _whole_steps(settings.days, model.step_seconds, "length of the experiment")
        if n_steps % self.steps_per_window:
            raise InputError(
                f"length of the experiment: found {settings.days:g} days, expected a multiple of the window of "
                f"{settings.window_hours:g} h"
            )
        self.n_windows = n_steps // self.steps_per_window
        if first + n_steps >= columns.n_times:
            raise InputError(
                f"the file has {columns.n_times - first} times from the start on, expected at least {n_steps + 1}"
            )
        self._make_emulator = make_emulator or (lambda m, n: Emulator(m, n, backend, precision))
        self._soil_water = [position_of(model.state, name, "m3 m-3", "twin experiment") for name in SOIL_WATER]
        self._weather_errors = WeatherErrors().scaled(settings.weather_error)
        self._forcing = self._wrong_weather(n_steps)
        self._start = self._wrong_state()

    @property
    def n_steps(self) -> int:
        """Steps of the experiment."""
        return self.n_windows * self.steps_per_window

    def run(self, after_window: Callable[[int], None] = lambda done: None) -> TwinResult:
        """Run open loop and assimilation.

        Args:
            after_window: called with the number of steps that are done.
        """
        n_columns, labels = self._columns.n_columns, self.first + np.arange(self.n_steps)
        emulator = self._make_emulator(self.model, n_columns)
        open_loop = run_window(emulator, self._static, self._forcing, self._start).states[:-1]
        assimilation, repeat = self._make_filter(emulator)
        truth_operators = self._operators(1)
        operators = self._operators(repeat)
        kept: list[WindowResult] = []
        schedules, observed = [], []
        for window in range(self.n_windows):
            begin = window * self.steps_per_window
            schedule = self._schedule(operators, begin)
            observations = self._simulated(self._schedule(truth_operators, begin), begin)
            forcing = self._forcing[begin : begin + self.steps_per_window]
            kept.append(assimilation.run(forcing, schedule, observations))
            schedules.append(schedule)
            observed.append(observations)
            after_window(begin + self.steps_per_window)
        return TwinResult(
            self.settings,
            self.model,
            self.control,
            self._columns.times[labels],
            self._columns.state[labels],
            open_loop,
            np.concatenate([result.background[:-1] for result in kept]),
            np.concatenate([result.analysis[:-1] for result in kept]),
            tuple(kept),
            tuple(schedule.names for schedule in schedules),
            tuple(schedule.steps for schedule in schedules),
            tuple(observed),
        )

    def observables(self) -> dict[str, Observable]:
        """Name -> what is observed, of all kinds of observations of the experiment."""
        operators = self._operators(1).values()
        return {observable.name: observable for operator in operators for observable in operator.observables}

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *stream])

    def _wrong_weather(self, n_steps: int) -> Values:
        forcing = self._columns.forcing[self.first : self.first + n_steps]
        if self._weather_errors.are_none:
            return forcing
        noise = weather_noise(self._random(_WEATHER), n_steps, self._columns.n_columns, self.model.step_seconds)
        return perturbed_weather(self.model, forcing, noise, self._weather_errors)

    def _wrong_state(self) -> Values:
        """The truth at the start with an error in soil moisture, held between none and the porosity."""
        truth = self._columns.state[self.first]
        sizes = [self.settings.initial_error] * len(SOIL_WATER)
        return self._with_errors(truth, initial_errors(self._random(_STATE), len(truth), sizes))

    def _with_errors(self, state: Values, errors: Values) -> Values:
        position = position_of(self.model.static, "clim_theta_sat", "m3 m-3", "twin experiment")
        changed = state.copy()
        wrong = state[..., self._soil_water] + errors
        changed[..., self._soil_water] = np.clip(wrong, 0.0, self._static[:, position][:, None])
        return changed

    def _make_filter(self, emulator: Any) -> tuple[Filter, int]:
        """The filter, and how many columns of its emulator stand for one of the experiment's."""
        settings, n_columns = self.settings, self._columns.n_columns
        bounds = Bounds(self.model, self._static, self.control, settings.limits)
        setup = Setup(self.control, settings.errors, settings.screening, bounds)
        if settings.method == "sekf":
            covariance = np.tile(self._initial_covariance(), (n_columns, 1, 1))
            state = self._start
            return SimplifiedExtendedKalmanFilter(
                emulator, self._static, state, setup, covariance, settings.jacobian
            ), 1
        random, n_members = self._random(_MEMBERS), settings.members
        sizes = [settings.initial_error] * len(SOIL_WATER)
        spread = initial_errors(random, n_members * n_columns, sizes).reshape(n_members, n_columns, len(SOIL_WATER))
        members = self._with_errors(np.tile(self._start, (n_members, 1, 1)), spread - spread.mean(axis=0))
        many, weather = self._make_emulator(self.model, n_members * n_columns), self._weather_errors
        return EnsembleFilter(many, self._static, members, setup, weather, random, settings.relaxation), n_members

    def _initial_covariance(self) -> Values:
        """(n_control, n_control): of the initial error; of a soil temperature, which has none here, B's."""
        covariance = self.settings.errors.of_background(self.control)
        water = np.flatnonzero(self.control.of_soil_water)
        layers = [SOIL_WATER.index(self.control.names[number]) for number in water]
        correlation = layer_correlation(len(SOIL_WATER))[np.ix_(layers, layers)]
        covariance[np.ix_(water, water)] = self.settings.initial_error**2 * correlation
        return covariance

    def _operators(self, repeat: int) -> dict[str, ObservationOperator]:
        clay = None if self._clay is None else np.tile(self._clay, repeat)
        columns = Columns(self.model, np.tile(self._static, (repeat, 1)), clay)
        return {kind: make_operator(kind, columns) for kind in self.settings.observations}

    def _schedule(self, operators: Mapping[str, ObservationOperator], begin: int) -> Schedule:
        """What is observed in the window that begins after ``begin`` steps."""
        steps = range(1, self.steps_per_window + 1)
        return Schedule(
            tuple(
                Observation(step, operator)
                for step in steps
                for kind, operator in operators.items()
                if is_observed(kind, begin + step, self.model.step_seconds)
            )
        )

    def _simulated(self, schedule: Schedule, begin: int) -> Values:
        """Observations of the truth in a window, with noise: (n_columns, n_observations)."""
        columns, errors, parts = self._columns, self.settings.errors.observation, []
        for one in schedule.observations:
            label = self.first + begin + one.step
            values = one.operator.values(
                Situation(columns.forcing[label - 1], columns.state[label], columns.diagnostics[label])
            )
            for output, name in enumerate(observable.name for observable in one.operator.observables):
                random = self._random(_OBSERVATIONS, _noise_stream(name), begin + one.step)
                values[:, output] += errors[name] * random.standard_normal(len(values))
            parts.append(values)
        return np.concatenate([np.empty((columns.n_columns, 0)), *parts], axis=1)


def _noise_stream(observable: str) -> int:
    """Number of an observable's stream of noise, whatever other observables there are."""
    first = ("t2m", "rh2m", "ssm", "tbh", "tbv")
    return first.index(observable) if observable in first else zlib.crc32(observable.encode())


def _whole_steps(days: float, step_seconds: float, what: str) -> int:
    """Days in steps of a model.

    Raises:
        InputError: no positive multiple of the step.
    """
    steps = days * 86_400.0 / step_seconds
    if steps < 1.0 or abs(steps - round(steps)) > 1e-6:
        raise InputError(
            f"{what}: found {24.0 * days:g} h, expected a multiple of the model's step of {step_seconds:g} s"
        )
    return round(steps)
