"""What changes the weights: AdamW, and Muon for the matrices in between if it is asked for.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) takes of a matrix's averaged gradient the
orthogonal matrix that is nearest to it, so that all its directions are learnt at the same rate. Vectors and what gives
the results remain AdamW's (Loshchilov and Hutter 2019, arXiv:1711.05101).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Optimiser
from ailand_gt4py.training.network import StepNetwork

#: Share of Muon's running mean of the gradients that remains in an iteration.
MOMENTUM = 0.95


class Optimisers:
    """The optimisers of what is learnt of a network, each with its largest learning rate, as one.

    ``decay_to_start``: beside, all of the network decays to where it is now, in the way of weight decay, by AdamW's
    rate (Li et al. 2018, arXiv:1802.01483). ``beside``: other parameters that are learnt, without decay, by their rate.

    Raises:
        InputError: Muon is asked for, which this PyTorch does not have.
    """

    def __init__(
        self,
        options: Optimiser,
        network: StepNetwork,
        decay_to_start: float = 0.0,
        beside: tuple[Sequence[nn.Parameter], float] = ((), 0.0),
    ) -> None:
        learnt = [p for p in network.parameters() if p.requires_grad]
        matrices, vectors = ([p for p in learnt if p.ndim == n_axes] for n_axes in (2, 1))
        results = {id(parameter) for layer in network.results for parameter in layer.parameters()}
        rate = options.muon_learning_rate
        between = [p for p in matrices if rate and id(p) not in results]
        others = [p for p in matrices if not rate or id(p) in results]
        groups = [{"params": others, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        adamw = torch.optim.AdamW(groups, lr=options.learning_rate)
        self._factor = 1.0
        self._rates: list[tuple[torch.optim.Optimizer, float]] = [(adamw, options.learning_rate)]
        # Where all that is learnt was when this was made: a checkpoint that is resumed does not change it.
        self._start = [(p, p.detach().clone()) for p in learnt] if decay_to_start else []
        self._decay_to_start = decay_to_start
        if between:
            if not hasattr(torch.optim, "Muon"):
                raise InputError(
                    f"option 'optimiser.muon_learning_rate' is {rate:g}, but PyTorch {torch.__version__} has no Muon; "
                    "expected 2.9 or later"
                )
            muon = torch.optim.Muon(between, lr=rate, weight_decay=options.weight_decay, momentum=MOMENTUM)
            self._rates.append((muon, rate))
        if beside[0]:
            self._rates.append((torch.optim.Adam(beside[0], lr=beside[1]), beside[1]))

    def set_rates(self, factor: float) -> None:
        """Learning rates of the next steps, by their largest."""
        self._factor = factor
        for optimiser, rate in self._rates:
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def zero_grad(self) -> None:
        for optimiser, _ in self._rates:
            optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        for optimiser, _ in self._rates:
            optimiser.step()
        share = self._decay_to_start * self._rates[0][1] * self._factor
        with torch.no_grad():
            for parameter, start in self._start:
                parameter.lerp_(start, min(share, 1.0))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue exactly here."""
        return {str(number): optimiser.state_dict() for number, (optimiser, _) in enumerate(self._rates)}

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        for number, (optimiser, _) in enumerate(self._rates):
            optimiser.load_state_dict(stored[str(number)])
