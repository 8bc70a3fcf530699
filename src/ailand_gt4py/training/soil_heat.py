"""Soil temperatures that change by their heat, in PyTorch and in normalised space (see
`ailand_gt4py.ecland.soil_heat`).

The heat h is a function of the temperature that is linear between the nodes of the frozen fraction, with the slope 1
beyond them; what it is at the nodes depends on the column's latent heat.
"""

from __future__ import annotations

import torch
from torch import nn

from ailand_gt4py.ecland import soil_heat
from ailand_gt4py.training.scaling import Scaling, scale, shift


class SoilHeat(nn.Module):
    """Which of the state's variables change by heat (``positions``), and how."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        heated = [position for position, variable in enumerate(scaling.state) if variable.changes_by_heat]
        property_positions = soil_heat.property_positions([variable.name for variable in scaling.static])
        properties = [scaling.static[position] for position in property_positions]
        shifts, scales = shift(scaling.state)[heated], scale(scaling.state)[heated]
        temperatures = (soil_heat.node_temperatures()[None, :] - shifts[:, None]) / scales[:, None]
        numbers = {
            "temperatures": temperatures,
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
        return _interpolated(state[..., self.positions], self.temperatures.to(nodes.dtype), nodes)

    def advance(self, state: torch.Tensor, increment: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """The state plus an increment, which of some variables is one of heat; each (n, n_state)."""
        heat = self.heat(state, nodes) + increment[:, self.positions]
        after = _interpolated(heat, nodes, self.temperatures.to(nodes.dtype))
        return (state + increment).index_copy(1, self.positions, after)


def _interpolated(x: torch.Tensor, x_nodes: torch.Tensor, y_nodes: torch.Tensor) -> torch.Tensor:
    """y(x) (..., n) by its nodes (..., n, n_nodes); between the outermost nodes linear, beyond with slope 1."""
    part = (x.detach()[..., None] >= x_nodes[..., 1:-1]).sum(dim=-1, keepdim=True)
    x_low, x_high, y_low, y_high = (
        torch.gather(nodes.expand(*x.shape, nodes.shape[-1]), -1, part + k)[..., 0]
        for nodes in (x_nodes, y_nodes)
        for k in (0, 1)
    )
    inside = torch.clamp(x, x_low, x_high)
    return y_low + (inside - x_low) * ((y_high - y_low) / (x_high - x_low)) + (x - inside)
