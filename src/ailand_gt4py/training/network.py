"""What training takes of a network, and the `layer_norm` architecture in PyTorch.

The names of the parameters and what they do are those of `ailand_gt4py.weights.architectures`; the tests compare both
forward passes. Everything here is in normalised space.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON
from ailand_gt4py.ecland import soil_heat, soil_water
from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.scaling import Scaling, bounds, scale, shift


class Linear(nn.Module):
    """A dense layer; (n_out, n_in) weight and bias drawn uniformly within 1/sqrt(n_in)."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator, zero: bool = False) -> None:
        super().__init__()
        limit = 0.0 if zero else n_in**-0.5
        self.weight = nn.Parameter((torch.rand(n_out, n_in, generator=generator) * 2.0 - 1.0) * limit)
        self.bias = nn.Parameter((torch.rand(n_out, generator=generator) * 2.0 - 1.0) * limit)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight, self.bias)


class _NormalisedLinear(Linear):
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


class ColumnHeat(NamedTuple):
    """Heat of columns by soil temperature (see `ecland.soil_heat`): linear between nodes, beyond with slope 1.

    Of states at ``positions`` (n_heated,): temperatures (n_heated, n_nodes), heats (n, n_heated, n_nodes).
    """

    positions: torch.Tensor
    temperatures: torch.Tensor
    heats: torch.Tensor

    def of(self, state: torch.Tensor) -> torch.Tensor:
        """(..., n_heated) the heat of a state (..., n_state)."""
        return _interpolated(state[..., self.positions], self.temperatures, self.heats)

    def advance(self, state: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        """The state plus an increment, which of some variables is one of heat; each (n, n_state)."""
        after = _interpolated(self.of(state) + increment[:, self.positions], self.heats, self.temperatures)
        return (state + increment).index_copy(1, self.positions, after)


def _interpolated(x: torch.Tensor, x_nodes: torch.Tensor, y_nodes: torch.Tensor) -> torch.Tensor:
    """y(x) (..., n) by its nodes (..., n, n_nodes)."""
    part = (x.detach()[..., None] >= x_nodes[..., 1:-1]).sum(dim=-1, keepdim=True)
    x_low, x_high, y_low, y_high = (
        torch.gather(nodes.expand(*x.shape, nodes.shape[-1]), -1, part + k)[..., 0]
        for nodes in (x_nodes, y_nodes)
        for k in (0, 1)
    )
    inside = torch.clamp(x, x_low, x_high)
    return y_low + (inside - x_low) * ((y_high - y_low) / (x_high - x_low)) + (x - inside)


class SoilHeat(nn.Module):
    """Which of the state's variables change by heat, and how, by static inputs."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        heated = [position for position, variable in enumerate(scaling.state) if variable.changes_by_heat]
        property_positions = soil_heat.property_positions([variable.name for variable in scaling.static])
        properties = [scaling.static[position] for position in property_positions]
        shifts, scales = shift(scaling.state)[heated], scale(scaling.state)[heated]
        numbers = {
            "temperatures": (soil_heat.node_temperatures() - shifts[:, None]) / scales[:, None],
            "frozen": soil_heat.frozen_fraction(soil_heat.node_temperatures()),
            "scale": scales,
            "property_shift": shift(properties),
            "property_scale": scale(properties),
        }
        for name, values in numbers.items():
            # In double precision, rounded where they are used: a network in double precision is the reference.
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float64), persistent=False)
        for name, indices in (("positions", heated), ("property_positions", property_positions)):
            self.register_buffer(name, torch.tensor(indices), persistent=False)

    def forward(self, static: torch.Tensor) -> ColumnHeat:
        properties = static[:, self.property_positions].double() * self.property_scale + self.property_shift
        values = properties.unbind(dim=1)
        latent = soil_heat.freezing_heat(values) / soil_heat.heat_capacity(values)
        heats = self.temperatures - (latent[:, None] / self.scale)[:, :, None] * self.frozen
        return ColumnHeat(self.positions, self.temperatures.to(static.dtype), heats.to(static.dtype))


class SoilFrost(nn.Module):
    """How much of the state's changes frost lets through (see `ecland.soil_water`)."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        state = scaling.state
        is_held = [one.held_by_frost for one in state]
        own, above = soil_water.temperature_choices([one.name for one in state], is_held)
        factor, offset = soil_water.thawed([one.changes_by_heat for one in state], shift(state), scale(state))
        positions = np.flatnonzero(is_held)
        indices = {"positions": positions, "own": own[positions].argmax(1), "above": above[positions].argmax(1)}
        for name, values in {**indices, "factor": factor, "offset": offset}.items():
            self.register_buffer(name, torch.as_tensor(values), persistent=False)

    def forward(self, before: torch.Tensor, free: torch.Tensor, increment: torch.Tensor) -> torch.Tensor:
        """The new state of one without frost; each (n, n_state)."""
        warmest = torch.maximum(before, free)
        thawed = torch.clamp(warmest * self.factor.to(free.dtype) + self.offset.to(free.dtype), 0.0, 1.0)
        passes = torch.maximum(thawed[:, self.own], thawed[:, self.above])
        held = (1.0 - soil_water.PASSING) * (1.0 - passes)
        return free.index_add(1, self.positions, -held * increment[:, self.positions])


class ColumnPhysics(NamedTuple):
    """What is prescribed of some columns: (n, n_state) upper bounds; heat, where some state changes by it."""

    upper: torch.Tensor
    heat: ColumnHeat | None


class StepNetwork(nn.Module):
    """A network that gives increments of the state, which are added, and diagnostics.

    The first rows of ``scaled_layer`` are those of the state. They are multiplied with the standard deviation of a
    step's increment, ``increment_scale`` (n_state,), which is folded into the weights at export.
    """

    architecture: ClassVar[str]
    scaled_layer: ClassVar[str]
    increment_scale: torch.Tensor
    #: Times of the state that it takes.
    input_steps = 1

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.n_static, self.n_state = len(scaling.static), len(scaling.state)
        lower, upper = bounds(scaling.state)
        for name, array in (("increment_scale", scaling.increment_scale), ("lower", lower), ("upper", upper)):
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)

    @property
    def clipped_apart(self) -> Sequence[nn.Module]:
        """The parts whose gradients are clipped each by their own norm."""
        return (self,)

    @property
    @abstractmethod
    def results(self) -> Sequence[nn.Module]:
        """The layers that give increments of the state and diagnostics."""

    @property
    @abstractmethod
    def of_diagnostics(self) -> tuple[nn.Module, int]:
        """The layer that gives the diagnostics, and the first of its rows that does."""

    @abstractmethod
    def physics(self, static: torch.Tensor) -> ColumnPhysics:
        """What is prescribed of columns with these static inputs (n, n_static), as they are, without noise."""

    def difference(
        self, state: torch.Tensor, other: torch.Tensor, physics: ColumnPhysics, freezing_weight: float
    ) -> torch.Tensor:
        """state - other, as the loss counts it."""
        return state - other

    @abstractmethod
    def run(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Steps in sequence, each from the bounded state of the one before.

        Args:
            static: (n, n_static). forcing: (n_steps, n, n_forcing). state: (n, ...), as the network takes it: of the
                newest time, then of the steps before if it takes more.

        Returns:
            Bounded states at the windows' ends (n_steps, n, n_state) and diagnostics (n_steps, n, n_diagnostics), to
            learn from; what the next step takes as state, detached.

        From step to step the gradient is the true one, zero where a state was clipped. To the bounded states returned
        it passes as if nothing had been clipped: otherwise a state pushed far over a bound would get no signal to come
        back. (Were that passed on from step to step, gradients would explode: at 32 steps their norm was found to be
        10 000 times and more what it is so.)
        """

    def _bounded(self, state: torch.Tensor, physics: ColumnPhysics) -> torch.Tensor:
        return torch.minimum(torch.maximum(state, self.lower), physics.upper)

    def _passing(self, free: torch.Tensor, physics: ColumnPhysics) -> torch.Tensor:
        """Bounded states through whose bounds the gradient passes."""
        return self._bounded(free, physics).detach() + (free - free.detach())


class LayerNormNetwork(StepNetwork):
    """Trunk, increment of the state, bounds, and the diagnostic block on the new unbounded state."""

    architecture = "layer_norm"
    scaled_layer = "prognostic.0"

    def __init__(self, options: Network, scaling: Scaling, seed: int) -> None:
        super().__init__(scaling)
        generator = torch.Generator().manual_seed(seed)
        n_input = self.n_static + len(scaling.forcing) + self.n_state
        widths = [n_input] + [options.width] * options.depth
        self.trunk = nn.ModuleList(_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths))
        # Zero weights: the untrained network is persistence, from which training sets out calmly.
        self.prognostic = nn.ModuleList([Linear(options.width, self.n_state, generator, zero=True)])
        widths = [n_input] + [options.diagnostic_width] * options.diagnostic_depth
        hidden = [_NormalisedLinear(i, o, generator) for i, o in itertools.pairwise(widths)]
        self.diagnostic = nn.ModuleList([*hidden, Linear(widths[-1], len(scaling.diagnostics), generator)])
        for name, array in zip(("bound_weight", "bound_constant"), scaling.bounds_by_static(), strict=True):
            self.register_buffer(name, torch.as_tensor(array, dtype=torch.float32), persistent=False)
        is_heated = any(variable.changes_by_heat for variable in scaling.state)
        self.soil_heat = SoilHeat(scaling) if is_heated else None
        self.frost = SoilFrost(scaling) if any(variable.held_by_frost for variable in scaling.state) else None

    @property
    def clipped_apart(self) -> Sequence[nn.Module]:
        # The two share no gradient: the larger one must not shrink the other's steps.
        return nn.ModuleList([self.trunk, self.prognostic]), self.diagnostic

    @property
    def results(self) -> Sequence[nn.Module]:
        return self.prognostic[-1], self.diagnostic[-1]

    @property
    def of_diagnostics(self) -> tuple[nn.Module, int]:
        return self.diagnostic[-1], 0

    def physics(self, static: torch.Tensor) -> ColumnPhysics:
        upper = torch.minimum(self.upper, functional.linear(static, self.bound_weight) + self.bound_constant)
        return ColumnPhysics(upper, None if self.soil_heat is None else self.soil_heat(static))

    def difference(
        self, state: torch.Tensor, other: torch.Tensor, physics: ColumnPhysics, freezing_weight: float
    ) -> torch.Tensor:
        """state - other, of what changes by heat (1 - freezing_weight) of that and the rest of that of the heat."""
        difference = state - other
        if physics.heat is None or freezing_weight == 0.0:
            return difference
        of_heat = physics.heat.of(state) - physics.heat.of(other)
        mixed = (1.0 - freezing_weight) * difference[..., physics.heat.positions] + freezing_weight * of_heat
        return difference.index_copy(-1, physics.heat.positions, mixed)

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
        unbounded = state + increment if physics.heat is None else physics.heat.advance(state, increment)
        if self.frost is not None:
            unbounded = self.frost(state, unbounded, increment)
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
        """Bounded and unbounded states at the windows' ends, each (n_steps, n, n_state); see `run`."""
        unbounded = []
        for product in self.input_product(static, forcing):
            state, free = self.advance(product, state, physics)
            unbounded.append(free)
        free = torch.stack(unbounded)
        return self._passing(free, physics), free

    def run(
        self, static: torch.Tensor, forcing: torch.Tensor, state: torch.Tensor, physics: ColumnPhysics
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bounded, unbounded = self.rollout(static, forcing, state, physics)
        # The diagnostic block learns from the states as they come: its gradient does not reach the trunk, so it costs
        # the prognostic variables nothing.
        return bounded, self.diagnose(static, forcing, unbounded.detach()), bounded[-1].detach()
