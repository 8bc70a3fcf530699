"""What of a network is learnt when training goes on from a model: all, a part, or low-rank additions to its matrices.

Low-rank additions B A to a matrix W, of which A and B are learnt and W is not: Hu et al. 2022 (LoRA, arXiv:2106.09685).
What decays to where it began instead of to nothing: Li et al. 2018 (L2-SP, arXiv:1802.01483).
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Adaptation
from ailand_gt4py.training.network import LayerNormNetwork, StepNetwork


class LowRank(nn.Module):
    """W + B A: A (rank, n_in) random, B (n_out, rank) zero to begin with, so that the sum is W."""

    def __init__(self, weight: torch.Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        n_out, n_in = weight.shape
        self.a = nn.Parameter(torch.randn(rank, n_in, generator=generator) * n_in**-0.5)
        self.b = nn.Parameter(torch.zeros(n_out, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.b @ self.a


class RowGain(nn.Module):
    """(1 + g) W by rows, from the first that has one."""

    def __init__(self, n_rows: int, first: int) -> None:
        super().__init__()
        self.gain, self._first = nn.Parameter(torch.zeros(n_rows - first)), first

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * (1.0 + torch.cat([self.gain.new_zeros(self._first), self.gain]))[:, None]


class RowShift(nn.Module):
    """b + s by rows, from the first that has one."""

    def __init__(self, n_rows: int, first: int) -> None:
        super().__init__()
        self.shift, self._first = nn.Parameter(torch.zeros(n_rows - first)), first

    def forward(self, bias: torch.Tensor) -> torch.Tensor:
        return bias + torch.cat([self.shift.new_zeros(self._first), self.shift])


def adapt(network: StepNetwork, options: Adaptation, seed: int) -> None:
    """Let only the part of a network be learnt that is asked for.

    Raises:
        InputError: the network has no such part.
    """
    if options.learns == "all":
        return
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    if options.learns == "diagnostic_block":
        if not isinstance(network, LayerNormNetwork):
            raise InputError(
                f"option 'adaptation.learns': found 'diagnostic_block' for a network '{network.architecture}', "
                "expected one that has such a block, 'layer_norm'"
            )
        _learn(network.diagnostic)
    elif options.learns == "last_layers":
        for layer in network.results:
            _learn(layer)
    elif options.learns == "bias_correction":
        # Gain and shift of what the layer gives: a gain of its weights alone, since the shift makes up for the rest.
        layer, first = network.of_diagnostics
        parametrize.register_parametrization(layer, "weight", RowGain(len(layer.bias), first))
        parametrize.register_parametrization(layer, "bias", RowShift(len(layer.bias), first))
    else:
        generator = torch.Generator().manual_seed(seed)
        for module in [*network.modules()]:
            for name in ("weight", "weight_out"):
                matrix = getattr(module, name, None)
                if isinstance(matrix, torch.Tensor) and matrix.ndim == 2:
                    parametrize.register_parametrization(module, name, LowRank(matrix, options.rank, generator))


def _learn(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(True)


def merged(network: StepNetwork) -> StepNetwork:
    """The network itself, or, of one with additions, one with the same results that has none."""
    if not any(parametrize.is_parametrized(module) for module in network.modules()):
        return network
    found = copy.deepcopy(network)
    for module in found.modules():
        if parametrize.is_parametrized(module):
            for name in [*module.parametrizations]:
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return found
