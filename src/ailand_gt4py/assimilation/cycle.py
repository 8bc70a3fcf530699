"""A cycle: a filter through windows that follow one another, and beside it the open loop, which is never corrected.

Where the observations come from is another's affair: simulated from a truth (`twin`) or measured (`measured`). All
random numbers come from the seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ailand_gt4py.assimilation.control import SOIL_WATER, Bounds, Control, make_control
from ailand_gt4py.assimilation.ensemble_filter import EnsembleFilter
from ailand_gt4py.assimilation.perturbations import WEATHER_ERRORS, initial_errors, layer_correlation
from ailand_gt4py.assimilation.sekf import SimplifiedExtendedKalmanFilter
from ailand_gt4py.assimilation.settings import AssimilationSettings
from ailand_gt4py.assimilation.window import REASONS, Schedule, Setup, Trajectory, WindowResult, run_window
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, step_of, whole_steps
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import Columns, Observable, ObservationOperator, make_operator, position_of
from ailand_gt4py.weights.model import Model

#: Streams of random numbers.
STATE, WEATHER, MEMBERS, OBSERVATIONS = range(4)
#: Runs of a cycle.
RUNS = ("open_loop", "background", "analysis")


@dataclasses.dataclass(frozen=True)
class Land:
    """What is run.

    Attributes:
        times: (n_steps,) datetime64[ns], starts of the steps, of a calendar.
        static: (n_columns, n_static). forcing: (n_steps, n_columns, n_forcing) as the filter knows it.
        start: (n_columns, n_state) from which filter and open loop begin.
        clay: (n_columns,) mass fraction; None where no brightness temperature is observed.
    """

    model: Model
    times: Values
    static: Values
    forcing: Values
    start: Values
    clay: Values | None = None
    calendar: str = STANDARD

    @property
    def n_columns(self) -> int:
        return len(self.static)


class WindowObservations(NamedTuple):
    """What was observed in a window, and its standard deviations: (n_columns, n_observations), None: the settings'."""

    schedule: Schedule
    values: Values
    errors: Values | None = None


class Observing(Protocol):
    """Gives the observations of the window that begins after so many steps, by operators of the filter's columns."""

    def __call__(self, operators: Mapping[str, ObservationOperator], begin: int) -> WindowObservations: ...


class Departures(NamedTuple):
    """Observations of one kind at the end of each step, (n_steps, n_columns) as in `WindowResult`; NaN: none."""

    values: Values
    departures: Values
    residuals: Values
    expected: Values
    reasons: Values


@dataclasses.dataclass(frozen=True)
class CycleResult:
    """What a cycle gave. The background of a window begins where the analysis of the one before ended.

    Attributes:
        times: of the steps' starts. open_loop_runs: of each window.
        windows, schedules, observations: of each window; observations (n_columns, n_observations).
    """

    settings: AssimilationSettings
    model: Model
    control: Control
    times: Values
    calendar: str
    open_loop_runs: tuple[Trajectory, ...]
    windows: tuple[WindowResult, ...]
    schedules: tuple[Schedule, ...]
    observations: tuple[Values, ...]

    def runs(self, name: str) -> Sequence[Trajectory]:
        """One of `RUNS`, by window."""
        if name == "open_loop":
            return self.open_loop_runs
        return [getattr(window, name) for window in self.windows]

    def states(self, name: str) -> Values:
        """(n_steps, n_columns, n_state) of one of `RUNS` at ``times``."""
        return np.concatenate([run.states[:-1] for run in self.runs(name)])

    @property
    def open_loop(self) -> Values:
        return self.states("open_loop")

    @property
    def background(self) -> Values:
        return self.states("background")

    @property
    def analysis(self) -> Values:
        return self.states("analysis")

    @property
    def steps_per_window(self) -> int:
        return len(self.times) // len(self.windows)

    @property
    def observables(self) -> dict[str, Observable]:
        """All that is observed, by name."""
        return {observable.name: observable for schedule in self.schedules for observable in schedule.observables}

    def observed(self, name: str) -> Departures:
        """What became of the observations of an observable."""
        shape = len(self.times), self.windows[0].increment.shape[0]
        values, departures, residuals, expected = np.full((4, *shape), np.nan)
        found = Departures(values, departures, residuals, expected, np.full(shape, REASONS["missing"], np.uint8))
        for number, (window, schedule) in enumerate(zip(self.windows, self.schedules, strict=True)):
            parts = (self.observations[number], window.departures, window.residuals, window.expected, window.reasons)
            for position, step in enumerate(schedule.steps):
                if schedule.names[position] == name:
                    for field, part in zip(found, parts, strict=True):
                        field[number * self.steps_per_window + step - 1] = part[:, position]
        return found


class Cycle:
    """A filter and the open loop, ready to run; `snapshot` and `restore` let another go on bit for bit."""

    def __init__(self, land: Land, settings: AssimilationSettings, make_emulator: Callable[[Model, int], Any]) -> None:
        model = land.model
        self.land, self.settings, self._make_emulator = land, settings, make_emulator
        self.control = make_control(model, settings.control)
        step, window = step_of(model.step_seconds), step_of(3600.0 * settings.window_hours)
        self.steps_per_window = whole_steps(window, step, "--window-hours")
        if len(land.times) % self.steps_per_window:
            raise InputError(
                f"length of the experiment: found {len(land.times) * step / np.timedelta64(1, 'D'):g} days, expected a "
                f"multiple of the window of {settings.window_hours:g} h"
            )
        self._emulator = make_emulator(model, land.n_columns)
        self._filter, repeat = self._make_filter()
        self.operators = operators_of(land, settings.observe, repeat)
        self._open_loop = land.start

    def run(self, observing: Observing, after_window: Callable[[int], None] = lambda done: None) -> CycleResult:
        """Run through all windows; `after_window` is called with the number of steps that are done."""
        land, open_loop, windows, observed = self.land, [], [], []
        for begin in range(0, len(land.times), self.steps_per_window):
            observed.append(observing(self.operators, begin))
            forcing = land.forcing[begin : begin + self.steps_per_window]
            open_loop.append(run_window(self._emulator, land.static, forcing, self._open_loop))
            self._open_loop = open_loop[-1].states[-1]
            windows.append(self._filter.run(forcing, *observed[-1]))
            after_window(begin + self.steps_per_window)
        return CycleResult(
            settings=self.settings,
            model=land.model,
            control=self.control,
            times=land.times,
            calendar=land.calendar,
            open_loop_runs=tuple(open_loop),
            windows=tuple(windows),
            schedules=tuple(one.schedule for one in observed),
            observations=tuple(one.values for one in observed),
        )

    def snapshot(self) -> dict[str, Values]:
        """What the next window begins with, by name."""
        return {**self._filter.snapshot(), "open_loop": self._open_loop}

    def restore(self, snapshot: Mapping[str, Values]) -> None:
        """Go on from the `snapshot` of a cycle of the same settings and columns."""
        self._open_loop = snapshot["open_loop"]
        self._filter.restore(snapshot)

    def _make_filter(self) -> tuple[SimplifiedExtendedKalmanFilter | EnsembleFilter, int]:
        """The filter, and how many columns of its emulator stand for one of the land's."""
        land, settings, n_columns = self.land, self.settings, self.land.n_columns
        bounds = Bounds(land.model, land.static, self.control, settings.limits)
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
                self._emulator, land.static, land.start, setup, covariance, settings.jacobian
            ), 1
        random, n_members = random_of(settings, MEMBERS), settings.members
        spread = initial_errors(random, n_members * n_columns, settings.initial_error, len(SOIL_WATER))
        spread = spread.reshape(n_members, n_columns, len(SOIL_WATER))
        start = np.tile(land.start, (n_members, 1, 1))
        members = with_errors(land.model, land.static, start, spread - spread.mean(axis=0))
        many = self._make_emulator(land.model, n_members * n_columns)
        weather = settings.weather_error * WEATHER_ERRORS
        return EnsembleFilter(many, land.static, members, setup, weather, random, settings.relaxation), n_members


def random_of(settings: AssimilationSettings, *stream: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, *stream])


def with_errors(model: Model, static: Values, state: Values, errors: Values) -> Values:
    """States (..., n_columns, n_state) with errors in soil moisture, held between none and the porosity."""
    position = position_of(model.static, "clim_theta_sat", "m3 m-3", "assimilation")
    soil_water = make_control(model)
    return soil_water.put(state, np.clip(soil_water.of(state) + errors, 0.0, static[:, [position]]))


def operators_of(land: Land, kinds: Sequence[str], repeat: int = 1) -> dict[str, ObservationOperator]:
    """Observation operators by kind, of the land's columns, each so many times."""
    clay = None if land.clay is None else np.tile(land.clay, repeat)
    columns = Columns(land.model, np.tile(land.static, (repeat, 1)), clay)
    return {kind: make_operator(kind, columns) for kind in kinds}
