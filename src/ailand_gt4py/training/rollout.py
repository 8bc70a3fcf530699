"""Rollouts that continue the network's own runs, and their loss.

A network trained only from true states is accurate for a day and then drifts: it never saw the states it brings itself
into. Here a pool holds many free runs at different ages. Each iteration continues some of them for a few steps,
compares these with the truth, and stores the states reached; some runs are restarted from the truth. The
gradient goes back through those few steps only, yet the states learnt from are those of runs that are months old.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ailand_gt4py.core.types import Values
from ailand_gt4py.training.losses import Errors, LossScales
from ailand_gt4py.training.network import StepNetwork
from ailand_gt4py.training.tensors import Tensors, TrainingData

#: What a pool keeps of each run.
OF_RUNS = ("columns", "windows", "ages", "states")


class RunPool:
    """Free runs of the network through columns: where each is and what state it has reached."""

    def __init__(self, data: TrainingData, size: int, generator: np.random.Generator) -> None:
        self.tensors, self._generator = data.tensors, generator
        self._choice = np.asarray(data.columns, dtype=np.int64)
        self._lengths = self.tensors.n_windows.numpy()
        times = 1 if data.frequencies is None else data.frequencies[self._choice]
        self._edges = np.cumsum(self._lengths[self._choice] * times)
        self.columns = self._choice[generator.integers(0, len(self._choice), size)]
        # The first windows are redrawn when a run is taken, since its age is "no run yet".
        self.windows = np.zeros(size, dtype=np.int64)
        self.ages = np.full(size, -1, dtype=np.int64)
        self.states = torch.zeros(size, self.tensors.input_steps * self.tensors.state.shape[-1])

    def take(self, count: int, steps: int, restart_probability: float) -> Values:
        """Draw (count,) indices of different runs to continue; some restart from the truth, by chance or need."""
        size = self.columns.size
        taken = self._generator.choice(size, min(count, size), replace=False, shuffle=False)
        last = self._lengths[self.columns[taken]] - steps
        anew = self._generator.random(taken.size) < restart_probability
        anew |= (self.ages[taken] < 0) | (self.windows[taken] > last)
        runs = taken[anew]
        drawn = np.searchsorted(self._edges, self._generator.integers(0, self._edges[-1], runs.size), side="right")
        self.columns[runs] = self._choice[drawn]
        self.windows[runs] = self._generator.integers(0, self._lengths[self.columns[runs]] - steps + 1)
        self.ages[runs] = 0
        self.states[runs] = self.tensors.start_at(*map(torch.from_numpy, (self.columns[runs], self.windows[runs])))
        return taken

    def put(self, taken: Values, states: torch.Tensor, steps: int) -> None:
        self.states[taken] = states
        self.windows[taken] += steps
        self.ages[taken] += steps

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that is needed to continue exactly here."""
        return {name: torch.as_tensor(getattr(self, name)).clone() for name in OF_RUNS}

    def load_state_dict(self, stored: Mapping[str, torch.Tensor]) -> None:
        for name in OF_RUNS:
            getattr(self, name)[:] = stored[name].cpu()


def batch_loss(
    network: StepNetwork,
    pool: RunPool,
    taken: Values,
    steps: int,
    scales: LossScales,
    static_noise: torch.Tensor,
    forcing_offset: torch.Tensor | None = None,
    *,
    teacher: StepNetwork | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Losses of state and diagnostics in the next steps of runs, and the states reached (detached).

    Noise (n, n_static) is of static inputs, an offset (n, n_forcing) of the forcing. What was not observed should be as
    the sources have it or, with a teacher, as that network gives it from the same start and inputs.
    """
    device, tensors = static_noise.device, pool.tensors
    columns = torch.from_numpy(pool.columns[taken])
    offsets = torch.arange(steps)[:, None]
    windows = torch.from_numpy(pool.windows[taken]) + offsets
    forcing = tensors.forcing_at(columns, windows).to(device)
    static = tensors.static[columns].to(device)
    physics = network.physics(static)
    static = static + static_noise
    weather = forcing
    if forcing_offset is not None:
        forcing = forcing + forcing_offset
    start = pool.states[taken].to(device)
    bounded, diagnosed, reached = network.run(static, forcing, start, physics)
    leads = (torch.from_numpy(pool.ages[taken])[None, :] + offsets).to(device)
    wanted = tensors.diagnostics_at(columns, windows).to(device)
    if teacher is None:
        began, truth = (tensors.state_at(columns, one).to(device) for one in (windows[0], windows + 1))
        is_known = tensors.state_known[columns].to(device)
    else:
        with torch.no_grad():
            truth, given, _ = teacher.run(static, forcing, start, physics)
        began, is_known = start[:, : network.n_state], torch.ones_like(truth[0], dtype=torch.bool)
        own = tensors.is_observed
        wanted = given if own is None else torch.where(own[columns].to(device), wanted, given)
    difference = network.difference(bounded, truth, physics, scales.options.freezing_weight)
    # What was not observed is not learnt.
    wanted = torch.where(torch.isfinite(wanted), wanted, diagnosed.detach())
    amounts = water = None
    if scales.amounts is not None:
        amounts = scales.amounts.logarithm(diagnosed) - scales.amounts.logarithm(wanted)
        amounts = amounts / scales.options.diagnostic_scale
    if scales.budget is not None:
        first = start[:, : network.n_state] - began
        water = scales.budget.error(diagnosed - wanted, torch.cat([first[None], bounded - truth]))
        # What is only guessed holds an unknown amount.
        water = water * (is_known | (scales.budget.held == 0.0)).all(dim=1)
    rows, brightness = tensors.rows_of(columns, windows), None
    if scales.brightness is not None:
        brightness = scales.brightness(columns, rows, bounded, weather)
    if scales.observed is None:
        of_diagnostics = (diagnosed - wanted) / scales.options.diagnostic_scale
    else:
        of_diagnostics = scales.observed.errors(rows, diagnosed, diagnosed - wanted)
    errors = Errors(
        state=difference / scales.by_lead[leads.clamp(max=len(scales.by_lead) - 1)],
        # What is only guessed is not learnt.
        state_weights=scales.state_weights * is_known,
        diagnostics=of_diagnostics,
        diagnostic_weights=scales.diagnostic_weights,
        amounts=amounts,
        water=water,
        brightness=brightness,
    )
    return *scales.parts(errors), reached.cpu()


@torch.inference_mode()
def free_run(
    network: StepNetwork, tensors: Tensors, columns: torch.Tensor, windows: torch.Tensor, steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """States at the windows' ends and diagnostics, (steps, n, ...), of runs begun from the truth at (n,) windows."""
    device = next(network.parameters()).device
    static = tensors.static[columns].to(device)
    state = tensors.start_at(columns, windows).to(device)
    results = []
    for step in range(steps):
        state, diagnosed = network(static, tensors.forcing_at(columns, windows + step).to(device), state)
        results.append((state[:, : network.n_state].cpu(), diagnosed.cpu()))
    states, diagnostics = map(torch.stack, zip(*results, strict=True))
    return states, diagnostics
