"""The `layer_norm` architecture in PyTorch, for training.

The names of the parameters and what they do are those of `ailand_gt4py.weights.architectures`; the tests compare both
forward passes. Everything here is in normalised space.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON
from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.scaling import Scaling, bounds
from ailand_gt4py.training.soil_heat import SoilHeat


class _Linear(nn.Module):
    """A dense layer; (n_out, n_in) weight and bias drawn uniformly within 1/sqrt(n_in)."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator, zero: bool = False) -> None:
        super().__init__()
        limit = 0.0 if zero else n_in**-0.5
        self.weight = nn.Parameter((torch.rand(n_out, n_in, generator=generator) * 2.0 - 1.0) * limit)
        self.bias = nn.Parameter((torch.rand(n_out, generator=generator) * 2.0 - 1.0) * limit)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight, self.bias)


class _NormalisedLinear(_Linear):
    """A dense layer followed by layer normalisation and ReLU."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator) -> None:
        super().__init__(n_in, n_out, generator)
        self.gain = nn.Parameter(torch.ones(n_out))
        self.offset = nn.Parameter(torch.zeros(n_out))

    def finish(self, product: torch.Tensor) -> torch.Tensor:
        """Layer normalisation and ReLU of weight x input + bias."""
        return functional.relu(
            functional.layer_norm(product, (product.shape[-1],), self.gain, self.offset, LAYER_NORM_EPSILON)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.finish(super().forward(x))


class ColumnPhysics(NamedTuple):
    """What is prescribed of some columns, in normalised space.

    Attributes:
        upper: (n, n_state) upper bounds of the state.
        heat_nodes: see `SoilHeat.nodes`; None where nothing changes by heat.
    """

    upper: torch.Tensor
    heat_nodes: torch.Tensor | None


class LayerNormNetwork(nn.Module):
    """Trunk, increment of the state, bounds, and the diagnostic block on the new unbounded state.

    Args:
        options: sizes of the layers. scaling: the variables. seed: of the initial weights.

    Attributes:
        increment_scale: (n_state,) what the last layer's output is multiplied with: standard deviation of a step's
            increment, in normalised space. Folded into the weights at export.
        lower, upper: (n_state,) bounds in normalised space, infinite where there is none.
        bound_weight, bound_constant: of upper bounds that static inputs are (see `Scaling.bounds_by_static`).
        soil_heat: what changes by its heat; None: nothing.
    """

    def __init__(self, options: Network, scaling: Scaling, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.n_static, self.n_state = len(scaling.static), len(scaling.state)
        n_input = self.n_static + len(scaling.forcing) + self.n_state
        widths = [n_input] + [options.width] * options.depth
        self.trunk = nn.ModuleList(_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths))
        # Zero weights: the untrained network is persistence, from which training sets out calmly.
        self.prognostic = nn.ModuleList([_Linear(options.width, self.n_state, generator, zero=True)])
        widths = [n_input] + [options.diagnostic_width] * options.diagnostic_depth
        hidden = [_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths)]
        self.diagnostic = nn.ModuleList([*hidden, _Linear(widths[-1], len(scaling.diagnostics), generator)])
        arrays = {"increment_scale": scaling.increment_scale}
        arrays["lower"], arrays["upper"] = bounds(scaling.state)
        arrays["bound_weight"], arrays["bound_constant"] = scaling.bounds_by_static()
        for name, array in arrays.items():
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)
        is_heated = any(variable.changes_by_heat for variable in scaling.state)
        self.soil_heat = SoilHeat(scaling) if is_heated else None

    def physics(self, static: torch.Tensor) -> ColumnPhysics:
        """What is prescribed of columns with these static inputs (n, n_static), as they are, without noise."""
        upper = torch.minimum(self.upper, functional.linear(static, self.bound_weight) + self.bound_constant)
        return ColumnPhysics(upper, None if self.soil_heat is None else self.soil_heat.nodes(static))

    def difference(
        self, state: torch.Tensor, other: torch.Tensor, physics: ColumnPhysics, freezing_weight: float
    ) -> torch.Tensor:
        """state - other, of what changes by heat (1 - freezing_weight) of that and the rest of that of the heat."""
        difference = state - other
        if self.soil_heat is None or physics.heat_nodes is None or freezing_weight == 0.0:
            return difference
        of_heat = self.soil_heat.heat(state, physics.heat_nodes) - self.soil_heat.heat(other, physics.heat_nodes)
        positions = self.soil_heat.positions
        mixed = (1.0 - freezing_weight) * difference[..., positions] + freezing_weight * of_heat
        return difference.index_copy(-1, positions, mixed)

    def input_product(self, static: torch.Tensor, forcing: torch.Tensor) -> torch.Tensor:
        """(n_steps, n, width) the state-independent part of the first layer, for all steps of a rollout at once."""
        first = self.trunk[0]
        by_static = functional.linear(static, first.weight[:, : self.n_static], first.bias)
        return functional.linear(forcing, first.weight[:, self.n_static : -self.n_state]) + by_static

    def advance(
        self, product: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step from the first layer's state-independent part; returns the bounded and the unbounded new state."""
        first = self.trunk[0]
        x = first.finish(product + functional.linear(state, first.weight[:, -self.n_state :]))
        for layer in self.trunk[1:]:
            x = layer(x)
        increment = self.prognostic[0](x) * self.increment_scale
        if self.soil_heat is None or physics.heat_nodes is None:
            unbounded = state + increment
        else:
            unbounded = self.soil_heat.advance(state, increment, physics.heat_nodes)
        return self._bounded(unbounded, physics), unbounded

    def diagnose(self, static: torch.Tensor, forcing: torch.Tensor, unbounded: torch.Tensor) -> torch.Tensor:
        """Diagnostics (..., n_diagnostics) from inputs (..., n) and the new unbounded state."""
        x = torch.cat([static.expand(*forcing.shape[:-1], -1), forcing, unbounded], dim=-1)
        for layer in self.diagnostic:
            x = layer(x)
        return x

    def forward(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step: new bounded state (n, n_state) and diagnostics (n, n_diagnostics)."""
        bounded, unbounded = self.advance(self.input_product(static, forcing), state, self.physics(static))
        return bounded, self.diagnose(static, forcing, unbounded)

    def rollout(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps in sequence, each from the bounded state of the one before.

        Args:
            static: (n, n_static); forcing: (n_steps, n, n_forcing); state: (n, n_state) at the first window's start.
            physics: of the columns, from `physics`.

        Returns:
            bounded and unbounded states at the windows' ends, each (n_steps, n, n_state).

        From step to step the gradient is the true one, zero where a state was clipped. To the bounded states returned
        it passes as if nothing had been clipped: otherwise a state pushed far over a bound would get no signal to come
        back. (Were that passed on from step to step, gradients would explode: at 32 steps their norm was found to be
        10 000 times and more what it is so.)
        """
        unbounded = []
        for product in self.input_product(static, forcing):
            state, free = self.advance(product, state, physics)
            unbounded.append(free)
        free = torch.stack(unbounded)
        return self._bounded(free, physics).detach() + (free - free.detach()), free

    def _bounded(self, state: torch.Tensor, physics: ColumnPhysics) -> torch.Tensor:
        return torch.minimum(torch.maximum(state, self.lower), physics.upper)
