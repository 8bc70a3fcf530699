"""One window of a cycling assimilation: background, analysis at the window's start, and the run from the analysis."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from ailand_gt4py.assimilation import ensemble_filter, sekf
from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.jacobians import MODES, Method
from ailand_gt4py.assimilation.perturbations import WeatherErrors, perturbed_weather, weather_noise
from ailand_gt4py.assimilation.screening import Bounds, screened, with_missing
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
        """Run through a window, to its end.

        Args:
            forcing: (n_steps, n_columns, n_forcing) as it is known. schedule: what is observed when.
            observations: (n_columns, n_observations); NaN where there is none.
        """


@dataclasses.dataclass(frozen=True)
class Setup:
    """What every filter needs.

    Attributes:
        control: what is analysed. errors: of background, observations and model.
        screening: which observations take part. bounds: how far an analysis may go.
    """

    control: Control
    errors: Errors
    screening: Screening
    bounds: Bounds

    def observation_errors(self, schedule: Schedule) -> Values:
        """(n_observations,) standard deviations of R."""
        return self.errors.of_observations(list(schedule.names))

    def model_error(self, emulator: Stepper, run: Trajectory) -> Values:
        """(n_control, n_control) Q of a window."""
        return self.errors.of_model(self.control, run.n_steps * emulator.model.step_seconds / SECONDS_PER_DAY)

    def judged(
        self,
        emulator: Stepper,
        run: Trajectory,
        schedule: Schedule,
        observations: Values,
        found: Values,
        variance: Values,
    ) -> tuple[Values, Values, Values]:
        """Departures from the background, their standard deviations as believed, and why some take no part.

        Args:
            run: of the background. found: (n_columns, n_observations) its equivalents of the observations.
            variance: (n_columns, n_observations) of the background's error in them.
        """
        departures = observations - found
        expected = np.sqrt(variance + self.observation_errors(schedule) ** 2)
        reasons = screened(emulator.model, run, schedule, departures, expected, self.screening)
        return departures, expected, with_missing(reasons, observations, found)


class SimplifiedExtendedKalmanFilter:
    """`sekf.analyse` from window to window.

    Args:
        emulator: for the columns. static: (n_columns, n_static).
        state: (n_columns, n_state) at the first window's start, of the emulator's type.
        setup: see there.
        covariance: (n_columns, n_control, n_control) of the state's error at the start; not used where the errors say
            "constant".
        jacobian: mode of the Jacobians.
    """

    def __init__(
        self,
        emulator: Stepper,
        static: Any,
        state: Values,
        setup: Setup,
        covariance: Values,
        jacobian: Method = "tangent-linear",
    ) -> None:
        self._emulator, self._static, self._state, self._setup = emulator, static, state, setup
        self._jacobian = MODES[jacobian]
        self._is_constant = setup.errors.covariance == "constant"
        constant = np.broadcast_to(setup.errors.of_background(setup.control), covariance.shape)
        self._covariance = constant if self._is_constant else covariance

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        schedule.require_within(len(forcing))
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        background = run_window(emulator, self._static, forcing, self._state)
        found = equivalents(background, schedule)
        jacobian = self._jacobian(emulator, self._static, background, schedule, control)
        by_control = jacobian.observations
        variance = np.einsum("coj,cjk,cok->co", by_control, self._covariance, by_control)
        departures, expected, reasons = setup.judged(emulator, background, schedule, observations, found, variance)
        errors = setup.observation_errors(schedule)
        result = sekf.analyse(self._covariance, by_control, departures, errors, reasons == 0)
        start = control.of(self._state)
        increment = setup.bounds.limited(start, result.increment)
        run = run_window(emulator, self._static, forcing, control.put(self._state, start + increment))
        spreads = [np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) for matrix in (self._covariance, result.covariance)]
        if not self._is_constant:
            model_error = setup.model_error(emulator, run)
            self._covariance = sekf.forecast_covariance(result.covariance, jacobian.end, model_error)
        self._state = run.states[-1]
        return WindowResult(
            background=background.states,
            analysis=run.states,
            increment=increment,
            background_spread=spreads[0],
            analysis_spread=spreads[1],
            departures=departures,
            residuals=observations - equivalents(run, schedule),
            expected=expected,
            reasons=reasons,
            chi_square=result.chi_square,
            count=result.count,
        )


class EnsembleFilter:
    """`ensemble_filter.analyse_ensemble` from window to window; members are further columns of one emulator.

    Members get weather with errors of their own, and the model's error as noise at the end of every window.

    Args:
        emulator: for n_members * n_columns columns. static: (n_columns, n_static).
        state: (n_members, n_columns, n_state) at the first window's start, of the emulator's type.
        setup: see there; B is not used.
        weather: errors of the forcing that members are given.
        random: of the members' noise. relaxation: inflation, see `ensemble_filter`.
    """

    def __init__(
        self,
        emulator: Stepper,
        static: Values,
        state: Values,
        setup: Setup,
        weather: WeatherErrors,
        random: np.random.Generator,
        relaxation: float = 0.5,
    ) -> None:
        self._emulator, self._state, self._setup = emulator, state, setup
        self._n_members, self._n_columns = state.shape[:2]
        self._static = np.tile(static, (self._n_members, 1))
        self._weather, self._random, self._relaxation = weather, random, relaxation
        self._noise: Values | None = None

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        schedule.require_within(len(forcing))
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        weather = self._members_weather(forcing)
        background, of_members = self._forecast(weather, self._state, schedule)
        mean_run, found, variance = self._mean_run(background), of_members.mean(axis=0), of_members.var(axis=0, ddof=1)
        departures, expected, reasons = setup.judged(emulator, mean_run, schedule, observations, found, variance)
        errors = setup.observation_errors(schedule)
        start = control.of(self._state)
        result = ensemble_filter.analyse_ensemble(
            start, of_members, observations, errors, reasons == 0, self._relaxation
        )
        increments = setup.bounds.limited(start, result.members - start)
        run, of_analysis = self._forecast(weather, control.put(self._state, start + increments), schedule)
        spreads = [values.std(axis=0, ddof=1) for values in (start, start + increments)]
        model_error = setup.model_error(emulator, run)
        self._state = self._with_model_error(run.states[-1].reshape(self._state.shape), model_error)
        return WindowResult(
            background=mean_run.states,
            analysis=self._mean_run(run).states,
            increment=increments.mean(axis=0),
            background_spread=spreads[0],
            analysis_spread=spreads[1],
            departures=departures,
            residuals=observations - of_analysis.mean(axis=0),
            expected=expected,
            reasons=reasons,
            chi_square=result.chi_square,
            count=result.count,
        )

    def _members_weather(self, forcing: Values) -> Values:
        """(n_steps, n_members * n_columns, n_forcing)."""
        tiled = np.tile(forcing, (1, self._n_members, 1))
        if self._weather.are_none:
            return tiled
        model = self._emulator.model
        noise = weather_noise(self._random, len(forcing), tiled.shape[1], model.step_seconds, self._noise)
        self._noise = noise[-1]
        return perturbed_weather(model, tiled, noise, self._weather)

    def _forecast(self, weather: Values, state: Values, schedule: Schedule) -> tuple[Trajectory, Values]:
        """All members' run, and their equivalents of the observations: (n_members, n_columns, n_observations)."""
        flat = np.ascontiguousarray(state.reshape(-1, state.shape[-1]))
        run = run_window(self._emulator, self._static, weather, flat)
        return run, equivalents(run, schedule).reshape(self._n_members, self._n_columns, schedule.size)

    def _mean_run(self, run: Trajectory) -> Trajectory:
        members = (values.reshape(len(values), self._n_members, self._n_columns, -1) for values in vars(run).values())
        return Trajectory(*(values.mean(axis=1) for values in members))

    def _with_model_error(self, state: Values, covariance: Values) -> Values:
        """Members' states with the model's error, whose mean over the members is zero, within the bounds."""
        control = self._setup.control
        size = np.sqrt(np.diagonal(covariance))
        noise = self._random.standard_normal((self._n_members, self._n_columns, control.size)) * size
        start = control.of(state)
        return control.put(state, start + self._setup.bounds.limited(start, noise - noise.mean(axis=0)))
