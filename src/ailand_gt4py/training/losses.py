"""The loss of training, a weighted sum of terms; a new term is one function here, and a weight in ``loss.terms``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Self, get_args

import torch
from torch.nn import functional

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.training.configuration import Loss
from ailand_gt4py.training.scaling import Scaling


class Errors(NamedTuple):
    """Errors of a batch of rollouts, divided by what is usual.

    Attributes:
        state: (n_steps, n, n_state). state_weights: (n, n_state), 0 where the state is only guessed.
        diagnostics: (n_steps, n, n_diagnostics). diagnostic_weights: (n_diagnostics,).
    """

    state: torch.Tensor
    state_weights: torch.Tensor
    diagnostics: torch.Tensor
    diagnostic_weights: torch.Tensor


Function = Callable[[Errors], torch.Tensor]
Part = Literal["state", "diagnostics"]

#: Terms by name: the part of the loss that each belongs to, and what it makes of errors.
TERMS: dict[str, tuple[Part, Function]] = {}


def term(part: Part) -> Callable[[Function], Function]:
    """Register a function as a term of its own name."""

    def registered(function: Function) -> Function:
        TERMS[function.__name__] = (part, function)
        return function

    return registered


def smooth_l1(error: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of weighted smooth-L1 losses (beta 1)."""
    loss = functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=1.0)
    return (loss * weights).mean()


@term("state")
def state(errors: Errors) -> torch.Tensor:
    """Of the state at the end of every step."""
    return smooth_l1(errors.state, errors.state_weights)


@term("state")
def mean_error(errors: Errors) -> torch.Tensor:
    """Of each rollout's mean error over its steps: what does not average out."""
    return smooth_l1(errors.state.mean(dim=0), errors.state_weights)


@term("diagnostics")
def diagnostics(errors: Errors) -> torch.Tensor:
    """Of the diagnostics of every step."""
    return smooth_l1(errors.diagnostics, errors.diagnostic_weights)


class LossScales(NamedTuple):
    """What errors are divided by, and how variables (n_state,), (n_diagnostics,) and terms count.

    ``by_lead``: (n_leads, n_state) of `scaling.error_scales`; the last row also for longer leads.
    """

    options: Loss
    state_weights: torch.Tensor
    diagnostic_weights: torch.Tensor
    by_lead: torch.Tensor

    @classmethod
    def of(cls, options: Loss, scaling: Scaling, by_lead: Values, device: torch.device) -> Self:
        """As configured, of terms that are there."""
        for name in options.terms:
            if name not in TERMS:
                raise InputError(f"option 'loss.terms.{name}': no such term; expected one of {', '.join(TERMS)}")
        of_state, of_diagnostics = (
            torch.tensor([options.weights.get(variable.name, 1.0) for variable in group]).to(device)
            for group in (scaling.state, scaling.diagnostics)
        )
        return cls(options, of_state, of_diagnostics, torch.as_tensor(by_lead, dtype=torch.float32).to(device))

    def parts(self, errors: Errors) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of state and diagnostics."""
        sums = dict.fromkeys(get_args(Part), torch.zeros(()))
        weights = {"state": 1.0, "diagnostics": 1.0, "mean_error": self.options.mean_error_weight, **self.options.terms}
        for name, weight in weights.items():
            if weight > 0.0:
                part, function = TERMS[name]
                sums[part] = sums[part] + weight * function(errors)
        return sums["state"], sums["diagnostics"]
