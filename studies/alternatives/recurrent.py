"""A long short-term memory network (Hochreiter and Schmidhuber 1997) that steps as the emulator does.

It reads what the MLP reads, the state that it gave before included, and has a memory of its own besides. Its outputs
are increments of the state and diagnostics. It is trained with the same loss over rollouts of the same curriculum.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ailand_gt4py.training.configuration import Loss
from ailand_gt4py.training.loop import learning_rate_factor
from ailand_gt4py.training.losses import LossScales
from ailand_gt4py.training.scaling import Scaling, bounds, scale, shift
from ailand_gt4py.weights.model import Variable

from .protocol import TrainingData, normalised

#: (iterations, steps, batch): the MLP's curriculum.
CURRICULUM = ((600, 1, 1024), (1800, 4, 512), (3000, 12, 384), (2400, 32, 160))
LEARNING_RATE, WARM_UP, FINAL_FRACTION = 1e-3, 500, 0.01
WEIGHT_DECAY, GRADIENT_CLIP, AVERAGE_DECAY, STATIC_NOISE = 0.01, 5.0, 0.999, 0.1


class RecurrentNetwork(nn.Module):
    """Embedding, one LSTM cell, and a linear layer for increments and diagnostics; normalised space."""

    def __init__(self, scaling: Scaling, width: int) -> None:
        super().__init__()
        self.n_state = len(scaling.state)
        n_input = len(scaling.static) + len(scaling.forcing) + self.n_state
        self.width = width
        self.embedding = nn.Linear(n_input, width)
        self.cell = nn.LSTMCell(width, width)
        self.initial = nn.Linear(len(scaling.static) + self.n_state, 2 * width)
        self.increment = nn.Linear(width, self.n_state)
        self.diagnostic = nn.Sequential(
            nn.Linear(n_input + self.n_state + width, width), nn.ReLU(), nn.Linear(width, len(scaling.diagnostics))
        )
        nn.init.zeros_(self.increment.weight)
        nn.init.zeros_(self.increment.bias)
        lower, upper = bounds(scaling.state)
        for name, values in (("scale", scaling.increment_scale), ("lower", lower), ("upper", upper)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))

    def memory(self, static: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the cell remembers at the start, from the state there."""
        hidden, cell = self.initial(torch.cat([static, state], dim=-1)).chunk(2, dim=-1)
        return torch.tanh(hidden), cell

    def forward(
        self,
        static: torch.Tensor,
        forcing: torch.Tensor,
        state: torch.Tensor,
        memory: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """One step: new state (n, n_state), diagnostics, memory."""
        inputs = torch.cat([static, forcing, state], dim=-1)
        memory = self.cell(functional.relu(self.embedding(inputs)), memory)
        new = torch.clamp(state + self.increment(memory[0]) * self.scale, self.lower, self.upper)
        # As for the MLP, diagnostics cost the state nothing.
        known = torch.cat([inputs.detach(), new.detach(), memory[0].detach()], dim=-1)
        return new, self.diagnostic(known), memory


def kept(
    path: Path, data: TrainingData, width: int, seed: int, report: Callable[[str], None]
) -> tuple[RecurrentNetwork, float]:
    """As `train`, or what an earlier call has left at ``path``."""
    if not path.exists():
        network, minutes = train(data, width, seed, report)
        torch.save({"network": network.state_dict(), "minutes": minutes}, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    else:
        report(f"LSTM: taken from {path}, where an earlier call has left it")
    stored = torch.load(path, weights_only=True)
    network = RecurrentNetwork(data.scaling, width)
    network.load_state_dict(stored["network"])
    return network, stored["minutes"]


def train(data: TrainingData, width: int, seed: int, report: Callable[[str], None]) -> tuple[RecurrentNetwork, float]:
    """Train; returns the averaged network and the minutes it took."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network, average = RecurrentNetwork(data.scaling, width), RecurrentNetwork(data.scaling, width)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    names = len(data.scaling.state), len(data.scaling.diagnostics)
    ones = torch.ones(names[0]), torch.ones(names[1])
    scales = LossScales(Loss(), *ones, torch.from_numpy(data.error_scales).float())
    total, done, begin = sum(stage[0] for stage in CURRICULUM), 0, time.perf_counter()
    for iterations, steps, batch in CURRICULUM:
        for _ in range(iterations):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * learning_rate_factor(done, total, WARM_UP, FINAL_FRACTION)
            loss = _loss(network, data, generator, steps, batch, scales)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_CLIP)
            optimiser.step()
            done += 1
            decay = min(AVERAGE_DECAY, (1.0 + done) / (10.0 + done))
            with torch.no_grad():
                for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                    kept.lerp_(new, 1.0 - decay)
            if done % 500 == 0:
                report(f"LSTM: iteration {done}/{total}, loss {loss.item():.4f}")
    return average, (time.perf_counter() - begin) / 60.0


def _loss(
    network: RecurrentNetwork,
    data: TrainingData,
    generator: np.random.Generator,
    steps: int,
    batch: int,
    scales: LossScales,
) -> torch.Tensor:
    """Smooth-L1 loss of rollouts from the truth, scaled as the MLP's."""
    tensors = data.tensors
    chosen = data.columns[generator.integers(0, len(data.columns), batch)]
    columns = torch.from_numpy(chosen)
    windows = torch.from_numpy(generator.integers(0, tensors.n_windows.numpy()[chosen] - steps + 1))
    static = tensors.static[columns]
    static = static + STATIC_NOISE * torch.randn(static.shape)
    state = tensors.state_at(columns, windows)
    memory = network.memory(static, state)
    loss = torch.zeros(())
    for step in range(steps):
        at = windows + step
        state, diagnosed, memory = network(static, tensors.forcing_at(columns, at), state, memory)
        row = min(step, len(scales.by_lead) - 1)
        error = (state - tensors.state_at(columns, at + 1)) / scales.by_lead[row]
        loss = loss + functional.smooth_l1_loss(error, torch.zeros_like(error))
        error = (diagnosed - tensors.diagnostics_at(columns, at)) / scales.options.diagnostic_scale
        loss = loss + functional.smooth_l1_loss(error, torch.zeros_like(error))
    return loss / steps


class RecurrentStepper:
    """`protocol.Stepper` of a trained network."""

    def __init__(self, network: RecurrentNetwork, scaling: Scaling) -> None:
        self._network, self._scaling = network.eval(), scaling

    def _normalised(self, values: np.ndarray, variables: Sequence[Variable]) -> torch.Tensor:
        return torch.from_numpy(normalised(values, variables)).float()

    @torch.inference_mode()
    def begin(self, static: np.ndarray, state: np.ndarray) -> None:
        self._static, self._state = (
            self._normalised(static, self._scaling.static),
            self._normalised(state, self._scaling.state),
        )
        self._memory = self._network.memory(self._static, self._state)

    @torch.inference_mode()
    def step(self, forcing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._state, diagnosed, self._memory = self._network(
            self._static, self._normalised(forcing, self._scaling.forcing), self._state, self._memory
        )
        return tuple(  # type: ignore[return-value]
            values.numpy() * scale(members) + shift(members)
            for values, members in ((self._state, self._scaling.state), (diagnosed, self._scaling.diagnostics))
        )
