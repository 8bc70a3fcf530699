"""Free runs of the validation columns: how the network stands against persistence and climatology while it learns."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.evaluation.scores.climatology import day_of_year_climatology
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.training.configuration import Validation
from ailand_gt4py.training.network import StepNetwork
from ailand_gt4py.training.rollout import free_run
from ailand_gt4py.training.scaling import bounds, scale, shift
from ailand_gt4py.training.tensors import TrainingData
from ailand_gt4py.training.windows import Values, WindowData


@dataclasses.dataclass(frozen=True)
class Scores:
    """RMSE in model units by lead and state, where a state is known; NaN where it is nowhere.

    Attributes:
        climatology: of the verified years themselves, without smoothing: the hardest to beat.
        diagnostics: (n_diagnostics,) over all leads. whole_run: (n_state,) of one free run over the whole period.
        whole_run_bounds: (2, n_state) smallest and largest value reached in it.
    """

    model: np.ndarray
    persistence: np.ndarray
    climatology: np.ndarray
    diagnostics: np.ndarray
    whole_run: np.ndarray
    whole_run_bounds: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """(n_leads, n_state) RMSE over the better baseline's; NaN where that one makes no error (no snow, say)."""
        better = np.minimum(self.persistence, self.climatology)
        return np.divide(self.model, better, out=np.full_like(better, np.nan), where=better > 0.0)

    @property
    def skill(self) -> float:
        """Mean of `ratio` over variables and leads: below 1 is good, the less the better."""
        ratio = self.ratio
        known = np.isfinite(ratio)
        # Without any baseline that errs, the error itself must do.
        return float(ratio[known].mean() if known.any() else self.model.mean())


class Validator:
    """Baselines of validation columns of normalised data, and where their runs begin: spread over period and hours."""

    def __init__(self, options: Validation, windows: WindowData, data: TrainingData, columns: Values) -> None:
        tensors, scaling = data.tensors, data.scaling
        shortest = int(windows.n_windows[columns].min())
        leads = np.rint(np.multiply(options.leads_days, SECONDS_PER_DAY / windows.step_seconds)).astype(np.int64)
        self._leads = np.clip(leads, 1, shortest)
        longest = int(self._leads.max())
        self._tensors, self._shortest = tensors, shortest
        self._state_scale, self._state_shift = scale(scaling.state), shift(scaling.state)
        self._diagnostic_scale = scale(scaling.diagnostics)
        # Training leaves diagnostics as they come; the exported model holds them within their bounds.
        self._diagnostic_bounds = [torch.from_numpy(bound).float() for bound in bounds(scaling.diagnostics)]
        runs: list[tuple[Values, ...]] = []
        for block in windows.blocks(columns):
            first = np.unique(np.linspace(0, block.forcing.shape[1] - longest, options.starts).round().astype(int))
            truth = block.state.astype(np.float64)
            usual = day_of_year_climatology(truth.transpose(1, 0, 2), block.times, window_days=1)
            verified = first[:, None] + self._leads  # (n_starts, n_leads)
            at_leads = truth[:, verified]
            change, anomaly = at_leads - truth[:, first][:, :, None], at_leads - usual[verified].transpose(2, 0, 1, 3)
            errors = (values.reshape(-1, *at_leads.shape[2:]) for values in (change, anomaly))
            runs.append((np.repeat(block.columns, first.size), np.tile(first, len(block.columns)), *errors))
        of_runs, firsts, changes, anomalies = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        self._known, self._whole_known = windows.state_known[of_runs], windows.state_known[columns]
        self._persistence, self._climatology = (
            rmse(errors, axis=0, where=self._known[:, None]) * self._state_scale for errors in (changes, anomalies)
        )
        self._columns, self._windows, self._whole = map(torch.from_numpy, (of_runs, firsts, columns))

    def scores(self, network: StepNetwork) -> Scores:
        tensors, longest = self._tensors, int(self._leads.max())
        states, diagnosed = free_run(network, tensors, self._columns, self._windows, longest)
        ends = torch.from_numpy(self._leads)
        truth = tensors.state_at(self._columns, self._windows + ends[:, None])
        model = rmse((states[ends - 1] - truth).numpy(), axis=1, where=self._known)
        expected = tensors.diagnostics_at(self._columns, self._windows + torch.arange(longest)[:, None])
        error = (torch.clamp(diagnosed, *self._diagnostic_bounds) - expected).numpy()
        diagnostics = rmse(np.nan_to_num(error), axis=(0, 1), where=np.isfinite(error))
        whole, _ = free_run(network, tensors, self._whole, torch.zeros_like(self._whole), self._shortest)
        truth = tensors.state_at(self._whole, torch.arange(1, self._shortest + 1)[:, None])
        reached = np.stack([whole.amin((0, 1)).numpy(), whole.amax((0, 1)).numpy()])
        return Scores(
            model=model * self._state_scale,
            persistence=self._persistence,
            climatology=self._climatology,
            diagnostics=diagnostics * self._diagnostic_scale,
            whole_run=rmse((whole - truth).numpy(), axis=(0, 1), where=self._whole_known) * self._state_scale,
            whole_run_bounds=reached * self._state_scale + self._state_shift,
        )
