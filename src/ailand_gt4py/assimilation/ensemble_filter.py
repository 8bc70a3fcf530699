"""The ensemble transform Kalman filter: one deterministic analysis of an ensemble, every column on its own.

Hunt et al. 2007 (doi:10.1016/j.physd.2006.11.008), equations 20 to 25, after Bishop et al. 2001: the analysed mean and
members are the background's mean plus perturbations times weights,

    P~ = [(N - 1) I + Y^T R^-1 Y]^-1,   w = P~ Y^T R^-1 (y - mean H(x)),   W = [(N - 1) P~]^(1/2),

with Y the perturbations of the observations' equivalents. W is the symmetric root, which leaves the mean of the
perturbations zero. Observations anywhere in a window are taken in at its start, since weights hold for whole
trajectories of members (Hunt et al. 2004, doi:10.3402/tellusa.v56i4.14424).

Inflation relaxes the analysed spread to the background's (Whitaker and Hamill 2012, doi:10.1175/MWR-D-11-00276.1,
equation 2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from ailand_gt4py.assimilation.perturbations import perturbed_weather
from ailand_gt4py.assimilation.window import (
    Schedule,
    Setup,
    Trajectory,
    WindowResult,
    equivalents,
    run_window,
    screened,
)
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator


def analyse_ensemble(
    members: Values, equivalents: Values, observations: Values, errors: Values, used: Values, relaxation: float = 0.0
) -> tuple[Values, Values]:
    """One analysis of every column: members (n_members, n_columns, n_control), and chi-square (n_columns,).

    Equivalents are (n_members, n_columns, n_observations), those used (n_columns, n_observations); others may be NaN.
    Chi-square is d^T (Y Y^T / (N - 1) + R)^-1 d of the mean's departures.
    """
    n_members = len(members)
    mean, equivalents = members.mean(axis=0), np.where(used, equivalents, 0.0)
    perturbations, equivalent_mean = members - mean, equivalents.mean(axis=0)
    departures = np.where(used, observations, 0.0) - equivalent_mean
    by_column = (equivalents - equivalent_mean).transpose(1, 0, 2)
    weights = np.where(used, 1.0 / errors**2, 0.0)
    weighted = by_column * weights[:, None, :]
    pulled = np.einsum("cmo,co->cm", weighted, departures)
    information = weighted @ by_column.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(information + (n_members - 1) * np.eye(n_members))
    across = vectors.swapaxes(1, 2)
    shift = np.einsum("cmk,ck->cm", vectors, np.einsum("ckm,cm->ck", across, pulled) / values)
    root = (vectors * np.sqrt((n_members - 1) / values)[:, None, :]) @ across
    analysed = (root @ perturbations.transpose(1, 0, 2)).transpose(1, 0, 2)
    if relaxation > 0.0:
        before, after = perturbations.std(axis=0), analysed.std(axis=0)
        ratio = np.divide(before, after, out=np.ones_like(after), where=after > 0.0)
        analysed *= 1.0 + relaxation * (ratio - 1.0)
    chi_square = (weights * departures**2).sum(axis=1) - (pulled * shift).sum(axis=1)
    moved = mean + np.einsum("mcj,cm->cj", perturbations, shift)
    return moved + analysed, chi_square


class EnsembleFilter:
    """`analyse_ensemble` from window to window; members, a state of each column, are columns of one emulator.

    They get weather with errors of their own (`WEATHER_ERRORS`), and the model's as noise at the end of every window.
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

    def snapshot(self) -> dict[str, Values]:
        """What the next window begins with, by name: members, and the noise of the weather where there is any."""
        noise = {} if self._noise is None else {"noise": self._noise}
        random = np.frombuffer(json.dumps(self._random.bit_generator.state).encode(), np.uint8)
        return {"state": self._state, "random": random, **noise}

    def restore(self, snapshot: Mapping[str, Values]) -> None:
        """Go on from a `snapshot`."""
        self._state, self._noise = snapshot["state"], snapshot.get("noise")
        self._random.bit_generator.state = json.loads(snapshot["random"].astype(np.uint8).tobytes())

    def run(
        self, forcing: Values, schedule: Schedule, observations: Values, errors: Values | None = None
    ) -> WindowResult:
        """As of `SimplifiedExtendedKalmanFilter`."""
        emulator, setup, control = self._emulator, self._setup, self._setup.control
        errors = setup.errors.of_observations(schedule.names) if errors is None else errors
        tiled = np.tile(forcing, (1, self._n_members, 1))
        weather, self._noise = perturbed_weather(self._random, emulator.model, tiled, self._weather, self._noise)
        background, of_members, _ = self._forecast(weather, self._state, schedule)
        found, expected = of_members.mean(axis=0), np.sqrt(of_members.var(axis=0, ddof=1) + errors**2)
        states = background.states[schedule.steps]
        reasons = screened(emulator.model, states, observations, found, expected, setup.screening)
        start = control.of(self._state)
        analysed, chi_square = analyse_ensemble(start, of_members, observations, errors, reasons == 0, self._relaxation)
        increments = setup.bounds.limited(start, analysed - start)
        members = control.put(self._state, start + increments)
        run, of_analysis, end = self._forecast(weather, members, schedule)
        # The model's error, whose mean over the members is zero, within the bounds.
        at_end, covariance = control.of(end), setup.model_error(emulator, run)
        noise = self._random.standard_normal(at_end.shape) * np.sqrt(np.diagonal(covariance))
        self._state = control.put(end, at_end + setup.bounds.limited(at_end, noise - noise.mean(axis=0)))
        return WindowResult(
            background=background,
            analysis=run,
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
