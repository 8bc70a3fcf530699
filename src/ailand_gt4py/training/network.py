"""The `layer_norm` architecture in PyTorch, for training.

The names of the parameters and what they do are those of `ailand_gt4py.weights.architectures`; the tests compare both
forward passes. Everything here is in normalised space.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON
from ailand_gt4py.training.soil_heat import SoilHeat
from ailand_gt4py.weights.architectures import Sizes


class _Linear(nn.Module):
    """A dense layer; (n_out, n_in) weight and bias drawn uniformly within 1/sqrt(n_in)."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator, zero: bool = False) -> None:
        super().__init__()
        limit = 0.0 if zero else n_in**-0.5
        self.weight = nn.Parameter((torch.rand(n_out, n_in, generator=generator) * 2.0 - 1.0) * limit)
        self.bias = nn.Parameter((torch.rand(n_out, generator=generator) * 2.0 - 1.0) * limit)


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
        return self.finish(functional.linear(x, self.weight, self.bias))


class _Clip(torch.autograd.Function):
    """Clip whose gradient passes as if nothing had been clipped."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(x, lower), upper)

    @staticmethod
    def backward(ctx: object, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradients[0], None, None


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
        sizes: numbers of variables.
        width, depth: of the trunk.
        diagnostic_width, diagnostic_depth: of the diagnostic block's hidden layers.
        increment_scale: (n_state,) what the last layer's output is multiplied with: standard deviation of a step's
            increment, in normalised space. Folded into the weights at export.
        lower, upper: (n_state,) bounds in normalised space, infinite where there is none.
        by_static: upper bounds that static inputs are (see `scaling.Scaling.bounds_by_static`).
        seed: of the initial weights.
        soil_heat: what changes by its heat; None: nothing.
    """

    def __init__(
        self,
        sizes: Sizes,
        width: int,
        depth: int,
        diagnostic_width: int,
        diagnostic_depth: int,
        increment_scale: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        by_static: tuple[np.ndarray, np.ndarray],
        seed: int,
        soil_heat: SoilHeat | None = None,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.sizes, self.soil_heat = sizes, soil_heat
        n_input = sizes.static + sizes.forcing + sizes.state
        widths = [n_input] + [width] * depth
        self.trunk = nn.ModuleList(_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths))
        # Zero weights: the untrained network is persistence, from which training sets out calmly.
        self.prognostic = nn.ModuleList([_Linear(width, sizes.state, generator, zero=True)])
        widths = [n_input] + [diagnostic_width] * diagnostic_depth
        hidden = [_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths)]
        self.diagnostic = nn.ModuleList([*hidden, _Linear(diagnostic_width, sizes.diagnostics, generator)])
        arrays = {"increment_scale": increment_scale, "lower": lower, "upper": upper}
        for name, array in (arrays | {"bound_weight": by_static[0], "bound_constant": by_static[1]}).items():
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)

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
        """The state-independent part of the first layer, for all steps of a rollout at once.

        Args:
            static: (n, n_static); forcing: (n_steps, n, n_forcing). Returns: (n_steps, n, width).
        """
        first = self.trunk[0]
        n_static, n_forcing = self.sizes.static, self.sizes.forcing
        by_static = functional.linear(static, first.weight[:, :n_static], first.bias)
        return functional.linear(forcing, first.weight[:, n_static : n_static + n_forcing]) + by_static

    def advance(
        self, product: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step from the first layer's state-independent part; returns the bounded and the unbounded new state."""
        first = self.trunk[0]
        x = first.finish(product + functional.linear(state, first.weight[:, -self.sizes.state :]))
        for layer in list(self.trunk)[1:]:
            x = layer(x)
        head = self.prognostic[0]
        increment = functional.linear(x, head.weight, head.bias) * self.increment_scale
        if self.soil_heat is None or physics.heat_nodes is None:
            unbounded = state + increment
        else:
            unbounded = self.soil_heat.advance(state, increment, physics.heat_nodes)
        return torch.minimum(torch.maximum(unbounded, self.lower), physics.upper), unbounded

    def diagnose(self, static: torch.Tensor, forcing: torch.Tensor, unbounded: torch.Tensor) -> torch.Tensor:
        """Diagnostics (..., n_diagnostics) from inputs (..., n) and the new unbounded state."""
        x = torch.cat([static.expand(*forcing.shape[:-1], -1), forcing, unbounded], dim=-1)
        layers = list(self.diagnostic)
        for layer in layers[:-1]:
            x = layer(x)
        return functional.linear(x, layers[-1].weight, layers[-1].bias)

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
        return _Clip.apply(free, self.lower, physics.upper), free

    def exported_parameters(self) -> Mapping[str, np.ndarray]:
        """Parameters under the architecture's names, the increment scale folded into the prognostic layer."""
        parameters = {name: tensor.detach().double().cpu().numpy().copy() for name, tensor in self.state_dict().items()}
        scale = self.increment_scale.double().cpu().numpy()
        parameters["prognostic.0.weight"] *= scale[:, None]
        parameters["prognostic.0.bias"] *= scale
        return parameters
