"""The loss of training, a weighted sum of terms; a new term is one function here, and a weight in ``loss.terms``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from torch.nn import functional

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.budgets import WATER_HELD
from ailand_gt4py.training.brightness_term import BrightnessTerm
from ailand_gt4py.training.configuration import Loss
from ailand_gt4py.training.observed_term import ObservedTerm
from ailand_gt4py.training.scaling import Scaling, scale, shift
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import specification_of

#: Of the standard deviation of an amount's values above zero: below it, two amounts count by their difference, above it
#: by their ratio.
SMALL_AMOUNT = 0.01
#: A usual residual of the water budget, kg m-2 in a step.
WATER_RESIDUAL = 0.1


class Errors(NamedTuple):
    """Errors of a batch of rollouts, divided by what is usual.

    Attributes:
        state: (n_steps, n, n_state). state_weights: (n, n_state), 0 where the state is only guessed.
        diagnostics: (n_steps, n, n_diagnostics). diagnostic_weights: (n_diagnostics,).
        amounts: (n_steps, n, n_amounts), of the logarithm of diagnostics that are mostly zero; where it is asked for.
        water: (n_steps, n), of the residual of the water budget; likewise.
        brightness: (n_steps, n, n_polarisations), of brightness temperatures, 0 where none is compared; likewise.
    """

    state: torch.Tensor
    state_weights: torch.Tensor
    diagnostics: torch.Tensor
    diagnostic_weights: torch.Tensor
    amounts: torch.Tensor | None = None
    water: torch.Tensor | None = None
    brightness: torch.Tensor | None = None


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


@term("diagnostics")
def amounts(errors: Errors) -> torch.Tensor:
    """Of the logarithm of amounts: in dry places they are thousandths of those elsewhere, and would not count."""
    assert errors.amounts is not None  # it was asked for
    return smooth_l1(errors.amounts, torch.ones(()))


@term("diagnostics")
def water(errors: Errors) -> torch.Tensor:
    """Of the residual of the water budget, which the fluxes have to close with the state as it is."""
    assert errors.water is not None  # it was asked for
    return smooth_l1(errors.water, torch.ones(()))


@term("state")
def brightness(errors: Errors) -> torch.Tensor:
    """Of brightness temperatures; gaps count as no error, so that few observations weigh little."""
    assert errors.brightness is not None  # it was asked for
    return smooth_l1(errors.brightness, torch.ones(()))


@term("state")
def brightness_square(errors: Errors) -> torch.Tensor:
    """Of the same, the likelihood of errors that are normal: half of the squares."""
    assert errors.brightness is not None  # it was asked for
    return 0.5 * errors.brightness.square().mean()


class Amounts(NamedTuple):
    """Diagnostics that are mostly zero, (n_amounts,): which they are, and the normalised value of zero."""

    positions: torch.Tensor
    zero: torch.Tensor

    @classmethod
    def of(cls, scaling: Scaling, device: torch.device) -> Self:
        there = [k for k, one in enumerate(scaling.diagnostics) if one.lower_bound == 0.0 and _is_mostly_zero(one)]
        if not there:
            raise InputError("option 'loss.terms.amounts': found no diagnostic that is an amount, expected one, as sro")
        zero = -shift(scaling.diagnostics) / scale(scaling.diagnostics)
        return cls(torch.tensor(there).to(device), torch.tensor(zero[there], dtype=torch.float32).to(device))

    def logarithm(self, diagnostics: torch.Tensor) -> torch.Tensor:
        """(..., n_amounts) of diagnostics (..., n_diagnostics): 0 at zero, 1 at a standard deviation."""
        above = (diagnostics[..., self.positions] - self.zero).clamp(min=0.0)
        return torch.log1p(above / SMALL_AMOUNT) / math.log1p(1.0 / SMALL_AMOUNT)


def _is_mostly_zero(variable: Variable) -> bool:
    entry = specification_of(variable)
    return entry is not None and entry.wet_only


class WaterBudget(NamedTuple):
    """What the normalised diagnostics (n_diagnostics,) bring in a step and the state (n_state,) holds, kg m-2.

    As of `evaluation.budgets`; what falls is given, and is the same in truth.
    """

    brought: torch.Tensor
    held: torch.Tensor

    @classmethod
    def of(cls, scaling: Scaling, step_seconds: float, device: torch.device) -> Self:
        fluxes = {"e": 1.0, "sro": -1.0, "ssro": -1.0}
        parts = []
        for factors, group in ((fluxes, scaling.diagnostics), (WATER_HELD, scaling.state)):
            names = [variable.name for variable in group]
            missing = [name for name in factors if name not in names]
            if missing:
                raise InputError(
                    f"option 'loss.terms.water': the model lacks {', '.join(missing)}, expected all of them"
                )
            values = np.array([factors.get(name, 0.0) for name in names]) * scale(group)
            parts.append(torch.tensor(values, dtype=torch.float32).to(device))
        return cls(parts[0] * step_seconds, parts[1])

    def error(self, diagnostics: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """(n_steps, n) of normalised errors: diagnostics (n_steps, n, ...), the state (n_steps + 1, n, ...)."""
        return (diagnostics @ self.brought - states.diff(dim=0).detach() @ self.held) / WATER_RESIDUAL


class LossScales(NamedTuple):
    """What errors are divided by, and how variables (n_state,), (n_diagnostics,) and terms count.

    ``by_lead``: (n_leads, n_state) of `scaling.error_scales`; the last row also for longer leads.
    """

    options: Loss
    state_weights: torch.Tensor
    diagnostic_weights: torch.Tensor
    by_lead: torch.Tensor
    amounts: Amounts | None = None
    budget: WaterBudget | None = None
    brightness: BrightnessTerm | None = None
    observed: ObservedTerm | None = None

    @classmethod
    def of(
        cls,
        options: Loss,
        scaling: Scaling,
        by_lead: Values,
        device: torch.device,
        step_seconds: float = math.nan,
        brightness: BrightnessTerm | None = None,
        observed: ObservedTerm | None = None,
    ) -> Self:
        """As configured, of terms that are there; ``step_seconds``: of the data, for the water budget."""
        for name in options.terms:
            if name not in TERMS:
                raise InputError(f"option 'loss.terms.{name}': no such term; expected one of {', '.join(TERMS)}")
        of_state, of_diagnostics = (
            torch.tensor([options.weights.get(variable.name, 1.0) for variable in group]).to(device)
            for group in (scaling.state, scaling.diagnostics)
        )
        return cls(
            options,
            of_state,
            of_diagnostics,
            torch.as_tensor(by_lead, dtype=torch.float32).to(device),
            Amounts.of(scaling, device) if options.terms.get("amounts") else None,
            WaterBudget.of(scaling, step_seconds, device) if options.terms.get("water") else None,
            brightness,
            observed,
        )

    def parts(self, errors: Errors) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of state and diagnostics."""
        sums = dict.fromkeys(get_args(Part), torch.zeros(()))
        weights = {"state": 1.0, "diagnostics": 1.0, "mean_error": self.options.mean_error_weight, **self.options.terms}
        for name, weight in weights.items():
            if weight > 0.0:
                part, function = TERMS[name]
                sums[part] = sums[part] + weight * function(errors)
        return sums["state"], sums["diagnostics"]
