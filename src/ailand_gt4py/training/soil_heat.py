"""Soil temperatures that change by their heat, in PyTorch and in normalised space (see
`ailand_gt4py.ecland.soil_heat`).

The heat h is a function of the temperature that is linear between the nodes of the frozen fraction, with the slope 1
beyond them; what it is at the nodes depends on the column's latent heat.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ailand_gt4py.ecland import soil_heat
from ailand_gt4py.training.scaling import Scaling, scale, shift


class SoilHeat(nn.Module):
    """Which of the state's variables change by heat, and how.

    Args:
        scaling: of the model's variables.

    Attributes:
        positions: of these variables in the state.
    """

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        heated = [position for position, variable in enumerate(scaling.state) if variable.changes_by_heat]
        property_positions = soil_heat.property_positions([variable.name for variable in scaling.static])
        properties = [scaling.static[position] for position in property_positions]
        shifts, scales = shift(scaling.state)[heated], scale(scaling.state)[heated]
        temperatures = (soil_heat.node_temperatures()[None, :] - shifts[:, None]) / scales[:, None]
        numbers = {
            "temperatures": temperatures,
            "spacing": soil_heat.PART_WIDTH / scales,
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

    def nodes(self, static: torch.Tensor) -> torch.Tensor:
        """(n, n_heated, N_PARTS + 1) heat at the nodes, of columns with these static inputs (n, n_static)."""
        properties = static[:, self.property_positions].double() * self.property_scale + self.property_shift
        values = properties.unbind(dim=1)
        latent = soil_heat.freezing_heat(values) / soil_heat.heat_capacity(values)
        return (self.temperatures - (latent[:, None] / self.scale)[:, :, None] * self.frozen).to(static.dtype)

    def heat(self, state: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """(..., n_heated) the heat of a state (..., n_state)."""
        temperature = state[..., self.positions]
        value, _ = _interpolated(temperature, self._part(temperature), self.temperatures.to(nodes.dtype), nodes)
        return value

    def advance(self, state: torch.Tensor, increment: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """The state plus an increment, which of some variables is one of heat; each (n, n_state)."""
        before, change = state[:, self.positions], increment[:, self.positions]
        after = _Advance.apply(before, change, self._part(before), self.temperatures.to(nodes.dtype), nodes)
        return (state + increment).index_copy(1, self.positions, after)

    def _part(self, temperature: torch.Tensor) -> torch.Tensor:
        """The part between nodes that a temperature is in, or nearest to."""
        part = ((temperature.detach() - self.temperatures[:, 0]) / self.spacing).floor()
        return part.clamp(0, soil_heat.N_PARTS - 1).long()


def _interpolated(
    x: torch.Tensor, part: torch.Tensor, x_nodes: torch.Tensor, y_nodes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """y(x) by its nodes, and dy/dx; between the outermost nodes linear, beyond with slope 1.

    Args:
        x: (..., n). part: (..., n) between which nodes x is. x_nodes, y_nodes: (..., n, n_nodes), may be broadcast.
    """

    def at(nodes: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        return torch.gather(nodes.expand(*position.shape, nodes.shape[-1]), -1, position[..., None])[..., 0]

    x_low, x_high, y_low, y_high = (at(nodes, part + k) for nodes in (x_nodes, y_nodes) for k in (0, 1))
    slope = (y_high - y_low) / (x_high - x_low)
    inside = torch.minimum(torch.maximum(x, x_low), x_high)
    is_inside = (x >= x_low) & (x < x_high)
    return y_low + (inside - x_low) * slope + (x - inside), torch.where(is_inside, slope, torch.ones_like(slope))


class _Advance(torch.autograd.Function):
    """The temperature after a change of heat; its derivatives are known, so that autograd need not trace the search."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        temperature: torch.Tensor,
        change: torch.Tensor,
        part: torch.Tensor,
        temperatures: torch.Tensor,
        nodes: torch.Tensor,
    ) -> torch.Tensor:
        heat, slope = _interpolated(temperature, part, temperatures, nodes)
        heat = heat + change
        part_after = (heat[..., None] >= nodes[..., 1:-1]).sum(dim=-1)
        after, inverse_slope = _interpolated(heat, part_after, nodes, temperatures)
        ctx.save_for_backward(slope, inverse_slope)
        return after

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope, inverse_slope = ctx.saved_tensors
        to_heat = gradients[0] * inverse_slope
        return to_heat * slope, to_heat, None, None, None


def soil_heat_of(scaling: Scaling) -> SoilHeat | None:
    """Of a model to be trained; None where no variable changes by heat."""
    return SoilHeat(scaling) if any(variable.changes_by_heat for variable in scaling.state) else None
