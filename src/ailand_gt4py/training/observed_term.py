"""Errors of a rollout's diagnostics against what was observed, over windows and over means that are longer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Stage
from ailand_gt4py.training.scaling import Scaling, scale, shift
from ailand_gt4py.training.windows import ObservedDiagnostics

#: Part of a window by which a mean may begin before a rollout: rounding of single precision.
_ROUNDING = 1e-4


class ObservedTerm:
    """Divides errors of diagnostics by what is usual, and puts in those of means over several steps.

    The usual error of a diagnostic is ``diagnostic_scale``, in standard deviations of it: what the model errs, and what
    a site is not representative of. The standard deviation of an observation's own error is added in quadrature.
    """

    def __init__(self, observed: ObservedDiagnostics, scaling: Scaling, diagnostic_scale: float) -> None:
        self._positions, self._scale = torch.from_numpy(observed.positions), diagnostic_scale
        own = [scaling.diagnostics[position] for position in observed.positions]
        not_linear = [one.name for one in own if one.normalisation.method == "log"]
        if not_linear:
            raise InputError(
                f"option 'data.observed': {', '.join(not_linear)} has a logarithm as its normalisation, expected "
                "diagnostics whose means and errors are those of what is normalised"
            )
        errors = np.nan_to_num(observed.errors / scale(own))
        # Beside the training data, on the processor: only what a batch takes goes to the device.
        self._usual = torch.from_numpy(np.hypot(errors, diagnostic_scale).astype(np.float32))
        means = (observed.means - shift(own)) / scale(own)
        self._means = torch.from_numpy(means.astype(np.float32)) if observed.needs else None
        self._begins, self._ends = torch.from_numpy(observed.begins), torch.from_numpy(observed.ends)

    def errors(self, rows: torch.Tensor, diagnosed: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
        """(n_steps, n, n_diagnostics) errors over what is usual.

        A mean counts in the last step that it reaches into, if the rollout holds all of it.

        Args:
            rows: (n_steps, n) of the windows. diagnosed, difference: (n_steps, n, n_diagnostics) what a rollout gives,
                and that less what the windows should give, 0 where that is not known; normalised.
        """
        positions = self._positions.to(diagnosed.device)
        own = difference[..., positions]
        if self._means is not None:
            own = own + self._of_means(rows, diagnosed[..., positions], self._means)
        own = own / self._usual[rows].to(own.device)
        return (difference / self._scale).index_copy(-1, positions, own)

    def _of_means(self, rows: torch.Tensor, diagnosed: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """(n_steps, n, n_names) means of the rollout less those observed; 0 where none ends or it began before."""
        wanted, begins, ends = (one[rows].to(diagnosed.device) for one in (means, self._begins, self._ends))
        sums = torch.cat([torch.zeros_like(diagnosed[:1]), diagnosed.cumsum(dim=0)])
        steps = torch.arange(1, len(rows) + 1, device=diagnosed.device)[:, None, None]
        is_held = torch.isfinite(wanted) & (steps - begins >= -_ROUNDING)

        def until(place: torch.Tensor) -> torch.Tensor:
            """The sum of all steps until then, of a step in between its part."""
            place = torch.where(is_held, place, 0.0).clamp(min=0.0)
            whole = place.floor().long().clamp(max=len(rows) - 1)
            return sums.gather(0, whole) + (place - whole) * diagnosed.gather(0, whole)

        averaged = (until(steps - ends) - until(steps - begins)) / (begins - ends).where(is_held, 1.0)
        return torch.where(is_held, averaged - wanted.nan_to_num(), 0.0)


def rollouts_that_hold(observed: ObservedDiagnostics, stages: Sequence[Stage]) -> list[str]:
    """A sentence for each kind of means that the rollouts of some stages are too short for.

    Raises:
        InputError: those of all stages are.
    """
    sentences = []
    for what, n_steps in observed.needs:
        short = sorted({stage.steps for stage in stages if stage.steps < n_steps})
        if len(short) and short[-1] == max(stage.steps for stage in stages):
            raise InputError(
                f"option 'stages': found rollouts of at most {short[-1]} steps, expected at least {n_steps}, which "
                f"the {what} are over"
            )
        if short:
            sentences.append(
                f"rollouts of {', '.join(map(str, short))} steps do not learn from the {what}, which are over {n_steps}"
            )
    return sentences
