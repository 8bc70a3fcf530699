"""Free runs of the validation columns: how the network stands against persistence and climatology while it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ailand_gt4py.evaluation import baselines
from ailand_gt4py.training.dataset import WindowData
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.rollout import Tensors, free_run
from ailand_gt4py.training.scaling import Scaling, normalised_tensors, scale, shift


@dataclasses.dataclass(frozen=True)
class Scores:
    """RMSE in model units.

    Attributes:
        model, persistence, climatology: (n_leads, n_state). The climatology is of the verified years themselves,
            without smoothing: the hardest to beat.
        diagnostics: (n_diagnostics,) over the first 90-day runs' whole length.
        whole_run: (n_state,) of one free run over the whole period from its first state.
        whole_run_bounds: (2, n_state) smallest and largest value reached in it.
    """

    model: np.ndarray
    persistence: np.ndarray
    climatology: np.ndarray
    diagnostics: np.ndarray
    whole_run: np.ndarray
    whole_run_bounds: np.ndarray

    @property
    def skill(self) -> float:
        """Mean over variables and leads of RMSE over the better baseline's: below 1 is good, the less the better."""
        return float(np.mean(self.model / np.minimum(self.persistence, self.climatology)))


class Validator:
    """Holds the validation columns and their baselines.

    Args:
        data: validation columns, model units; normalised in place.
        scaling: of the training columns.
        leads_days: leads of the scores.
        starts: number of runs per column, spread over the period and the hours of the day.
    """

    def __init__(self, data: WindowData, scaling: Scaling, leads_days: Sequence[float], starts: int) -> None:
        per_day = 86_400.0 / data.step_seconds
        self._leads = np.array([max(1, round(lead * per_day)) for lead in leads_days])
        longest = min(int(self._leads.max()), data.n_windows)
        self._leads = np.minimum(self._leads, longest)
        first = np.unique(np.linspace(0, data.n_windows - longest, starts).round().astype(int))
        self._state_scale, self._diagnostic_scale = scale(scaling.state), scale(scaling.diagnostics)
        self._state_shift = shift(scaling.state)
        truth = data.state.astype(np.float64)
        climatology = baselines.day_of_year_climatology(truth.transpose(1, 0, 2), data.times, window_days=1)
        verified = first[:, None] + self._leads  # (n_starts, n_leads)
        at_leads = truth[:, verified]
        self._persistence = baselines.rmse(at_leads - truth[:, first][:, :, None], axis=(0, 1))
        self._climatology = baselines.rmse(climatology[verified].transpose(2, 0, 1, 3) - at_leads, axis=(0, 1))
        self._tensors: Tensors = normalised_tensors(data, scaling)
        self._columns = torch.arange(data.n_columns).repeat_interleave(first.size)
        self._windows = torch.from_numpy(np.tile(first, data.n_columns))

    def scores(self, network: LayerNormNetwork) -> Scores:
        """Run the network freely and compare."""
        tensors, longest = self._tensors, int(self._leads.max())
        states, diagnosed = free_run(network, tensors, self._columns, self._windows, longest)
        ends = torch.from_numpy(self._leads)
        truth = tensors.state[self._columns, self._windows + ends[:, None]]
        model = baselines.rmse((states[ends - 1] - truth).numpy(), axis=1) * self._state_scale
        offsets = torch.arange(longest)[:, None]
        error = diagnosed - tensors.diagnostics[self._columns, self._windows + offsets]
        diagnostics = baselines.rmse(error.numpy(), axis=(0, 1)) * self._diagnostic_scale
        every, start = torch.arange(tensors.n_columns), torch.zeros(tensors.n_columns, dtype=torch.int64)
        whole, _ = free_run(network, tensors, every, start, tensors.n_windows)
        error = whole.transpose(0, 1) - tensors.state[:, 1:]
        reached = np.stack([whole.amin((0, 1)).numpy(), whole.amax((0, 1)).numpy()])
        return Scores(
            model=model,
            persistence=self._persistence,
            climatology=self._climatology,
            diagnostics=diagnostics,
            whole_run=baselines.rmse(error.numpy(), axis=(0, 1)) * self._state_scale,
            whole_run_bounds=reached * self._state_scale + self._state_shift,
        )
