"""Noise on the inputs that keeps the network from learning columns by heart."""

from __future__ import annotations

import torch

from ailand_gt4py.training.configuration import Augmentation
from ailand_gt4py.training.scaling import Scaling


class Noise:
    """Normal numbers for static inputs and forcing, in normalised space.

    Args:
        seed: of the numbers. device: where they are wanted; they are drawn on the processor.
    """

    def __init__(self, options: Augmentation, scaling: Scaling, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self._device = device
        self._static = torch.tensor([options.static_noise_of.get(v.name, options.static_noise) for v in scaling.static])
        offsets = options.forcing_offset_of
        self._forcing = torch.tensor([offsets.get(v.name, 0.0) for v in scaling.forcing]) if offsets else None

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(count, n_static) noise of static inputs and (count, n_forcing) offsets of a whole rollout's forcing.

        Without an offset nothing is drawn for it: the noise of other configurations stays what it was.
        """
        return self._drawn(count, self._static), None if self._forcing is None else self._drawn(count, self._forcing)

    def _drawn(self, count: int, deviations: torch.Tensor) -> torch.Tensor:
        return (torch.randn(count, len(deviations), generator=self.generator) * deviations).to(self._device)
