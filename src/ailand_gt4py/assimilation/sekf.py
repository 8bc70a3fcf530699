"""The simplified extended Kalman filter: analyses of the control variables of all columns, from window to window.

Drusch et al. 2009 (doi:10.1029/2009GL037716) and de Rosnay et al. 2013 (doi:10.1002/qj.2023): columns are independent,
the analysis is x + K (y - H(x)) with K = (B^-1 + H^T R^-1 H)^-1 H^T R^-1, and H the Jacobian of the observations in the
window with respect to the control variables at its start. Here with diagonal R; where nothing is observed the analysis
is the background, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.assimilation.jacobians import MODES
from ailand_gt4py.assimilation.window import Schedule, Setup, WindowResult, equivalents, run_window, screened
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator


def analyse(
    covariance: Values, jacobian: Values, departures: Values, errors: Values, used: Values
) -> tuple[Values, Values, Values]:
    """One analysis of every column: increment, covariance (I - K H) B, and chi-square d^T (H B H^T + R)^-1 d.

    B is (n_columns, n_control, n_control), H (n_columns, n_observations, n_control), d and used (n_columns,
    n_observations), where what is not used may be NaN; errors are standard deviations, (n_observations,) or of every
    column.
    """
    weights = np.where(used, 1.0 / errors**2, 0.0)
    taken = np.where(used[:, :, None], jacobian, 0.0)
    innovation = np.where(used, departures, 0.0)
    pulled = np.einsum("cok,co->ck", taken, weights * innovation)
    information = taken.swapaxes(1, 2) @ (weights[:, :, None] * taken)
    # (B^-1 + G)^-1 = (I + B G)^-1 B: B need not be invertible.
    analysed = np.linalg.solve(np.eye(jacobian.shape[2]) + covariance @ information, covariance)
    analysed = 0.5 * (analysed + analysed.swapaxes(1, 2))
    increment = np.einsum("cjk,ck->cj", analysed, pulled)
    # The inverse of H B H^T + R by Woodbury's identity.
    chi_square = (weights * innovation**2).sum(axis=1) - (pulled * increment).sum(axis=1)
    return increment, analysed, chi_square


def forecast_covariance(covariance: Values, end: Values, model_error: Values) -> Values:
    """Covariance at a window's end, M P M^T + Q, of P at its start; M: of the control variables at the end."""
    moved = end @ covariance @ end.swapaxes(1, 2)
    return 0.5 * (moved + moved.swapaxes(1, 2)) + model_error


class SimplifiedExtendedKalmanFilter:
    """`analyse` from window to window; the first state's covariance is not used where the errors say "constant"."""

    def __init__(
        self,
        emulator: Emulator,
        static: Any,
        state: Values,
        setup: Setup,
        covariance: Values,
        mode: str = "tangent-linear",
    ) -> None:
        self._emulator, self._static, self._state, self._setup = emulator, static, state, setup
        self._jacobian = MODES[mode]
        self._is_constant = setup.errors.covariance == "constant"
        constant = np.broadcast_to(setup.errors.of_background(setup.control.names), covariance.shape)
        self._covariance = constant if self._is_constant else covariance

    def snapshot(self) -> dict[str, Values]:
        """What the next window begins with, by name."""
        return {"state": self._state, "covariance": self._covariance}

    def restore(self, snapshot: Mapping[str, Values]) -> None:
        """Go on from a `snapshot`."""
        self._state, self._covariance = snapshot["state"], snapshot["covariance"]

    def run(
        self, forcing: Values, schedule: Schedule, observations: Values, errors: Values | None = None
    ) -> WindowResult:
        """Run through a window, to its end, with forcing (n_steps, n_columns, n_forcing) as it is known.

        Observations are (n_columns, n_observations), in the order of the schedule; NaN where there is none. So are
        their standard deviations, unless they are those of the settings.
        """
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        errors = setup.errors.of_observations(schedule.names) if errors is None else errors
        background = run_window(emulator, self._static, forcing, self._state)
        found = equivalents(background, schedule)
        jacobian, end = self._jacobian(emulator, self._static, background, schedule, control)
        variance = np.einsum("coj,cjk,cok->co", jacobian, self._covariance, jacobian)
        expected = np.sqrt(variance + errors**2)
        states = background.states[schedule.steps]
        reasons = screened(emulator.model, states, observations, found, expected, setup.screening)
        wanted, analysed, chi_square = analyse(self._covariance, jacobian, observations - found, errors, reasons == 0)
        start = control.of(self._state)
        increment = setup.bounds.limited(start, wanted)
        run = run_window(emulator, self._static, forcing, control.put(self._state, start + increment))
        spreads = [np.sqrt(np.diagonal(matrix, axis1=1, axis2=2)) for matrix in (self._covariance, analysed)]
        if not self._is_constant:
            self._covariance = forecast_covariance(analysed, end, setup.model_error(emulator, run))
        self._state = run.states[-1]
        return WindowResult(
            background=background,
            analysis=run,
            increment=increment,
            background_spread=spreads[0],
            analysis_spread=spreads[1],
            departures=observations - found,
            residuals=observations - equivalents(run, schedule),
            expected=expected,
            reasons=reasons,
            chi_square=chi_square,
        )
