"""One window of a cycling assimilation: background, analysis at the window's start, and the run from the analysis."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.ensemble_filter import analyse_ensemble
from ailand_gt4py.assimilation.jacobians import MODES
from ailand_gt4py.assimilation.perturbations import perturbed_weather
from ailand_gt4py.assimilation.screening import Bounds, screened
from ailand_gt4py.assimilation.sekf import analyse, forecast_covariance
from ailand_gt4py.assimilation.settings import Errors, Screening
from ailand_gt4py.assimilation.window import Schedule, Trajectory, equivalents, run_window
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator


class WindowResult(NamedTuple):
    """What a window gave; of an ensemble the background and the analysis are means.

    Attributes:
        background, analysis: runs from the background and from the analysis, states (n_steps + 1, n_columns, n_state).
        increment: (n_columns, n_control) made at the window's start.
        background_spread, analysis_spread: (n_columns, n_control) standard deviations that the filter believes.
        departures, residuals: (n_columns, n_observations) observation minus background and minus the run from the
            analysis; NaN where there is none.
        expected: (n_columns, n_observations) standard deviation of the departures that the filter believes.
        reasons: uint8 (n_columns, n_observations) why an observation took no part (`screening.REASONS`).
        chi_square: (n_columns,) of the departures used.
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
        return self.errors.of_model(self.control.names, run.n_steps * emulator.model.step_seconds / 86_400.0)


class SimplifiedExtendedKalmanFilter:
    """`sekf.analyse` from window to window.

    Args:
        emulator: for the columns. static: (n_columns, n_static).
        state: (n_columns, n_state) at the first window's start, of the emulator's type.
        covariance: (n_columns, n_control, n_control) of the state's error at the start; not used where the errors say
            "constant".
        jacobian: mode of the Jacobians, of `MODES`.
    """

    def __init__(
        self,
        emulator: Emulator,
        static: Any,
        state: Values,
        setup: Setup,
        covariance: Values,
        jacobian: str = "tangent-linear",
    ) -> None:
        self._emulator, self._static, self._state, self._setup = emulator, static, state, setup
        self._jacobian = MODES[jacobian]
        self._is_constant = setup.errors.covariance == "constant"
        constant = np.broadcast_to(setup.errors.of_background(setup.control.names), covariance.shape)
        self._covariance = constant if self._is_constant else covariance

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        """Run through a window, to its end.

        Args:
            forcing: (n_steps, n_columns, n_forcing) as it is known. schedule: what is observed when.
            observations: (n_columns, n_observations); NaN where there is none.
        """
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        errors = setup.errors.of_observations(schedule.names)
        background = run_window(emulator, self._static, forcing, self._state)
        found = equivalents(background, schedule)
        jacobian, end = self._jacobian(emulator, self._static, background, schedule, control)
        variance = np.einsum("coj,cjk,cok->co", jacobian, self._covariance, jacobian)
        expected = np.sqrt(variance + errors**2)
        reasons = screened(emulator.model, background, schedule, observations, found, expected, setup.screening)
        wanted, analysed, chi_square = analyse(self._covariance, jacobian, observations - found, errors, reasons == 0)
        start = control.of(self._state)
        increment = setup.bounds.limited(start, wanted)
        run = run_window(emulator, self._static, forcing, control.put(self._state, start + increment))
        spreads = [np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) for matrix in (self._covariance, analysed)]
        if not self._is_constant:
            self._covariance = forecast_covariance(analysed, end, setup.model_error(emulator, run))
        self._state = run.states[-1]
        return WindowResult(
            background=background.states,
            analysis=run.states,
            increment=increment,
            background_spread=spreads[0],
            analysis_spread=spreads[1],
            departures=observations - found,
            residuals=observations - equivalents(run, schedule),
            expected=expected,
            reasons=reasons,
            chi_square=chi_square,
        )


class EnsembleFilter:
    """`analyse_ensemble` from window to window; members are further columns of one emulator.

    Members get weather with errors of their own, and the model's error as noise at the end of every window.

    Args:
        emulator: for n_members * n_columns columns. static: (n_columns, n_static).
        state: (n_members, n_columns, n_state) at the first window's start, of the emulator's type.
        setup: B is not used. weather: sizes of the errors of the members' forcing, as `WEATHER_ERRORS`.
        random: of the members' noise. relaxation: inflation, see `ensemble_filter`.
    """

    def __init__(
        self,
        emulator: Emulator,
        static: Values,
        state: Values,
        setup: Setup,
        weather: Values,
        random: np.random.Generator,
        relaxation: float = 0.5,
    ) -> None:
        self._emulator, self._state, self._setup = emulator, state, setup
        self._n_members, self._n_columns = state.shape[:2]
        self._static = np.tile(static, (self._n_members, 1))
        self._weather, self._random, self._relaxation = weather, random, relaxation
        self._noise: Values | None = None

    def run(self, forcing: Values, schedule: Schedule, observations: Values) -> WindowResult:
        """As of `SimplifiedExtendedKalmanFilter`."""
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        errors = setup.errors.of_observations(schedule.names)
        tiled = np.tile(forcing, (1, self._n_members, 1))
        weather, self._noise = perturbed_weather(self._random, emulator.model, tiled, self._weather, self._noise)
        background, of_members, _ = self._forecast(weather, self._state, schedule)
        found, expected = of_members.mean(axis=0), np.sqrt(of_members.var(axis=0, ddof=1) + errors**2)
        reasons = screened(emulator.model, background, schedule, observations, found, expected, setup.screening)
        start = control.of(self._state)
        analysed, chi_square = analyse_ensemble(start, of_members, observations, errors, reasons == 0, self._relaxation)
        increments = setup.bounds.limited(start, analysed - start)
        members = control.put(self._state, start + increments)
        run, of_analysis, end = self._forecast(weather, members, schedule)
        self._state = self._with_model_error(end, setup.model_error(emulator, run))
        return WindowResult(
            background=background.states,
            analysis=run.states,
            increment=increments.mean(axis=0),
            background_spread=start.std(axis=0, ddof=1),
            analysis_spread=(start + increments).std(axis=0, ddof=1),
            departures=observations - found,
            residuals=observations - of_analysis.mean(axis=0),
            expected=expected,
            reasons=reasons,
            chi_square=chi_square,
        )

    def _forecast(self, weather: Values, state: Values, schedule: Schedule) -> tuple[Trajectory, Values, Values]:
        """The mean of all members' runs; of each its equivalents of the observations and its state at the end."""
        flat = np.ascontiguousarray(state.reshape(-1, state.shape[-1]))
        run = run_window(self._emulator, self._static, weather, flat)

        def of_members(values: Values) -> Values:
            return values.reshape(*values.shape[:-2], self._n_members, self._n_columns, values.shape[-1])

        mean = Trajectory(*(of_members(values).mean(axis=1) for values in run))
        return mean, of_members(equivalents(run, schedule)), of_members(run.states[-1])

    def _with_model_error(self, state: Values, covariance: Values) -> Values:
        """Members' states with the model's error, whose mean over the members is zero, within the bounds."""
        control = self._setup.control
        start = control.of(state)
        noise = self._random.standard_normal(start.shape) * np.sqrt(np.diagonal(covariance))
        return control.put(state, start + self._setup.bounds.limited(start, noise - noise.mean(axis=0)))
