"""One window of a cycling assimilation: background, analysis at the window's start, and the run from the analysis."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from ailand_gt4py.assimilation import ensemble_filter, sekf
from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.perturbations import WeatherErrors, perturbed_weather, weather_noise
from ailand_gt4py.assimilation.screening import Bounds, screened, with_missing
from ailand_gt4py.assimilation.sensitivity import WAYS, Method
from ailand_gt4py.assimilation.settings import Errors, Screening
from ailand_gt4py.assimilation.window import Schedule, Stepper, Trajectory, equivalents, run_window
from ailand_gt4py.core.types import Values

SECONDS_PER_DAY = 86_400.0


@dataclasses.dataclass(frozen=True)
class WindowResult:
    """What a window gave; of an ensemble the background and the analysis are means.

    Attributes:
        background, analysis: runs from the background and from the analysis, states (n_steps + 1, n_columns, n_state).
        increment: (n_columns, n_control) made at the window's start.
        background_spread, analysis_spread: (n_columns, n_control) standard deviations that the filter believes.
        departures, residuals: (n_columns, n_observations) observation minus background and minus the run from the
            analysis; NaN where there is none.
        expected: (n_columns, n_observations) standard deviation of the departures that the filter believes.
        reasons: uint8 (n_columns, n_observations) why an observation took no part (`screening.REASONS`).
        chi_square, count: (n_columns,) of the departures used, and their number.
    """

    background: Values
    analysis: Values
    increment: Values
    background_spread: Values
    analysis_spread: Values
    departures: Values
    residuals: Values
    expected: Values
    reasons: Values
    chi_square: Values
    count: Values


class Filter(Protocol):
    """A cycling assimilation of all columns."""

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        """Go through a window and stand at its end.

        Args:
            forcing: (n_steps, n_columns, n_forcing) as it is known. schedule: what is observed when.
            observations: (n_columns, n_observations); NaN where there is none.
        """


class SimplifiedExtendedKalmanFilter:
    """`sekf.analyse` from window to window.

    Args:
        emulator: for the columns. static: (n_columns, n_static).
        state: (n_columns, n_state) at the first window's start, of the emulator's type.
        control: what is analysed. covariance: (n_columns, n_control, n_control) of the state's error there; not used
            where the errors say "constant".
        errors, screening, bounds: see `settings` and `screening`.
        jacobian: way to the Jacobians.
    """

    def __init__(
        self,
        emulator: Stepper,
        static: Any,
        state: Values,
        control: Control,
        covariance: Values,
        errors: Errors,
        screening: Screening,
        bounds: Bounds,
        jacobian: Method = "tangent-linear",
    ) -> None:
        self._emulator, self._static, self._state, self._control = emulator, static, state, control
        self._errors, self._screening, self._bounds = errors, screening, bounds
        self._sensitivity = WAYS[jacobian]
        self._is_constant = errors.covariance == "constant"
        constant = np.broadcast_to(errors.of_background(control), covariance.shape)
        self._covariance = constant if self._is_constant else covariance

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        schedule.require_within(len(forcing))
        control, emulator = self._control, self._emulator
        background = run_window(emulator, self._static, forcing, self._state)
        seen = equivalents(background, schedule)
        sensitivity = self._sensitivity(emulator, self._static, background, schedule, control)
        errors = self._errors.of_observations([observable.name for observable in schedule.observables])
        jacobian = sensitivity.observations
        of_background = np.einsum("coj,cjk,cok->co", jacobian, self._covariance, jacobian)
        departures = observations - seen
        expected = np.sqrt(of_background + errors**2)
        reasons = screened(emulator.model, background, schedule, departures, expected, self._screening)
        reasons = with_missing(reasons, observations, seen)
        result = sekf.analyse(self._covariance, jacobian, departures, errors, reasons == 0)
        start = control.of(self._state)
        increment = self._bounds.limited(start, result.increment)
        analysed = control.put(self._state, start + increment)
        run = run_window(emulator, self._static, forcing, analysed)
        spreads = [np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) for matrix in (self._covariance, result.covariance)]
        if not self._is_constant:
            model_error = self._errors.of_model(control, _days(emulator, run))
            self._covariance = sekf.forecast_covariance(result.covariance, sensitivity.end, model_error)
        self._state = run.states[-1]
        return WindowResult(
            background.states,
            run.states,
            increment,
            spreads[0],
            spreads[1],
            departures,
            observations - equivalents(run, schedule),
            expected,
            reasons,
            result.chi_square,
            result.count,
        )


class EnsembleFilter:
    """`ensemble_filter.analyse_ensemble` from window to window; members are further columns of one emulator.

    Members see weather with errors of their own, and get the model's error as noise at the end of every window.

    Args:
        emulator: for n_members * n_columns columns. static: (n_columns, n_static).
        state: (n_members, n_columns, n_state) at the first window's start, of the emulator's type.
        control, errors, screening, bounds: as for `SimplifiedExtendedKalmanFilter`; B is not used.
        weather: errors of the forcing that members are given.
        random: of the members' noise. relaxation: inflation, see `ensemble_filter`.
    """

    def __init__(
        self,
        emulator: Stepper,
        static: Values,
        state: Values,
        control: Control,
        errors: Errors,
        screening: Screening,
        bounds: Bounds,
        weather: WeatherErrors,
        random: np.random.Generator,
        relaxation: float = 0.5,
    ) -> None:
        self._emulator, self._state, self._control = emulator, state, control
        self._n_members, self._n_columns = state.shape[:2]
        self._static = np.tile(static, (self._n_members, 1))
        self._errors, self._screening, self._bounds = errors, screening, bounds
        self._weather, self._random, self._relaxation = weather, random, relaxation
        self._noise: Values | None = None

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        schedule.require_within(len(forcing))
        control, emulator = self._control, self._emulator
        weather = self._members_weather(forcing)
        background, seen = self._forecast(weather, self._state, schedule)
        errors = self._errors.of_observations([observable.name for observable in schedule.observables])
        mean = seen.mean(axis=0)
        departures = observations - mean
        expected = np.sqrt(seen.var(axis=0, ddof=1) + errors**2)
        mean_run = self._mean_run(background)
        reasons = screened(emulator.model, mean_run, schedule, departures, expected, self._screening)
        reasons = with_missing(reasons, observations, mean)
        start = control.of(self._state)
        result = ensemble_filter.analyse_ensemble(start, seen, observations, errors, reasons == 0, self._relaxation)
        increments = self._bounds.limited(start, result.members - start)
        run, seen_after = self._forecast(weather, control.put(self._state, start + increments), schedule)
        spreads = [values.std(axis=0, ddof=1) for values in (start, start + increments)]
        self._state = self._with_model_error(run.states[-1].reshape(self._state.shape), _days(emulator, run))
        return WindowResult(
            mean_run.states,
            self._mean_run(run).states,
            increments.mean(axis=0),
            spreads[0],
            spreads[1],
            departures,
            observations - seen_after.mean(axis=0),
            expected,
            reasons,
            result.chi_square,
            result.count,
        )

    def _members_weather(self, forcing: Values) -> Values:
        """(n_steps, n_members * n_columns, n_forcing)."""
        tiled = np.tile(forcing, (1, self._n_members, 1))
        if self._weather.are_none:
            return tiled
        step_seconds = self._emulator.model.step_seconds
        noise = weather_noise(self._random, len(forcing), tiled.shape[1], step_seconds, self._noise)
        self._noise = noise[-1]
        return perturbed_weather(self._emulator.model, tiled, noise, self._weather)

    def _forecast(self, weather: Values, state: Values, schedule: Schedule) -> tuple[Trajectory, Values]:
        """All members' run, and what they see: (n_members, n_columns, n_observations)."""
        flat = np.ascontiguousarray(state.reshape(-1, state.shape[-1]))
        run = run_window(self._emulator, self._static, weather, flat)
        return run, equivalents(run, schedule).reshape(self._n_members, self._n_columns, schedule.size)

    def _mean_run(self, run: Trajectory) -> Trajectory:
        def mean(values: Values) -> Values:
            shape = (len(values), self._n_members, self._n_columns, values.shape[-1])
            averaged: Values = values.reshape(shape).mean(axis=1)
            return averaged

        return Trajectory(mean(run.forcing), mean(run.states), mean(run.diagnostics))

    def _with_model_error(self, state: Values, days: float) -> Values:
        """Members' states with the model's error, whose mean over the members is zero, within the bounds."""
        control = self._control
        size = np.sqrt(np.diagonal(self._errors.of_model(control, days)))
        noise = self._random.standard_normal((self._n_members, self._n_columns, control.size)) * size
        start = control.of(state)
        return control.put(state, start + self._bounds.limited(start, noise - noise.mean(axis=0)))


def _days(emulator: Stepper, run: Trajectory) -> float:
    return run.n_steps * emulator.model.step_seconds / SECONDS_PER_DAY
