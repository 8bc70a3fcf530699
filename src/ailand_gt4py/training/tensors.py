"""What a network learns from, in normalised space: tensors of the data, and the noise on its inputs."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import torch

from ailand_gt4py.training.configuration import Augmentation
from ailand_gt4py.training.scaling import Scaling
from ailand_gt4py.training.windows import ObservedBrightness, ObservedDiagnostics, Values, WindowData
from ailand_gt4py.weights.processing import Variability
from ailand_gt4py.weights.schema import GROUPS


@dataclasses.dataclass
class Tensors:
    """Rows and columns as in `windows.WindowData`; on the processor, perhaps in mapped files.

    ``input_steps``: times of the state that a network takes. ``is_observed``: (n_columns, n_diagnostics) what was
    observed there; None: nothing.
    """

    static: torch.Tensor
    forcing: torch.Tensor
    state: torch.Tensor
    diagnostics: torch.Tensor
    n_windows: torch.Tensor
    state_known: torch.Tensor
    input_steps: int = 1
    is_observed: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self._first = torch.cumsum(self.n_windows, 0) - self.n_windows
        self._first_state = self._first + torch.arange(len(self.n_windows))

    def rows_of(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(...) rows of these windows; columns and windows (...) are broadcast."""
        return self._first[columns] + windows

    def forcing_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_forcing) of these windows; columns and windows (...) are broadcast."""
        return self.forcing[self.rows_of(columns, windows)]

    def state_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_state) at the start of these windows; the last one's end is the start of the next."""
        return self.state[self._first_state[columns] + windows]

    def start_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., input_steps * n_state) what a run that begins with these windows takes as state, the newest first.

        Before a column's first window it is as at that, as where any run begins with one state.
        """
        earlier = [self.state_at(columns, (windows - k).clamp(min=0)) for k in range(self.input_steps)]
        return torch.cat(earlier, dim=-1)

    def diagnostics_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_diagnostics) that these windows should give."""
        return self.diagnostics[self.rows_of(columns, windows)]


class TrainingData(NamedTuple):
    """What every method of learning takes: all tensors, the numbers of the columns to learn from, their statistics.

    ``error_scales`` are `scaling.error_scales`; ``frequencies`` (n_columns,): how often windows are drawn;
    ``step_seconds``: of a window; ``variability``: what the error scales follow from; ``observed``, ``brightness``:
    what was observed of diagnostics and at L-band.
    """

    tensors: Tensors
    columns: Values
    scaling: Scaling
    error_scales: Values
    frequencies: Values | None = None
    step_seconds: float = math.nan
    variability: Variability | None = None
    observed: ObservedDiagnostics | None = None
    brightness: ObservedBrightness | None = None


def normalised_tensors(data: WindowData, scaling: Scaling, input_steps: int = 1) -> Tensors:
    """Normalise data in place (to keep one copy) and hand it over as tensors."""
    for block in data.blocks():
        for group in GROUPS:
            for position, variable in enumerate(getattr(scaling, group)):
                values = getattr(block, group)[..., position]
                values[...] = variable.normalisation.apply(values.astype(np.float64))
    names = ("static", "forcing", "state", "diagnostics", "n_windows", "state_known")
    own = {name: torch.from_numpy(getattr(data, name)) for name in names}
    is_observed = None if data.observed is None else torch.from_numpy(data.observed.is_observed)
    return Tensors(**own, input_steps=input_steps, is_observed=is_observed)


def noise_deviations(options: Augmentation, scaling: Scaling) -> list[torch.Tensor]:
    """Of static inputs' noise and forcing's offsets, which keep the network from learning columns by heart."""
    static = [options.static_noise_of.get(variable.name, options.static_noise) for variable in scaling.static]
    offsets = [options.forcing_offset_of.get(variable.name, 0.0) for variable in scaling.forcing]
    # Without an offset nothing is drawn for it: the noise of other configurations stays what it was.
    return [torch.tensor(one) for one in ([static, offsets] if options.forcing_offset_of else [static])]
