"""Columns through time for verification: inputs of the emulator and the truth, by label, in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.io.period import TIME_BLOCK, read_forcing, require_memory
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model


@dataclasses.dataclass(frozen=True)
class VerificationColumns:
    """Forcing and truth of some columns.

    Attributes:
        times: (n_times,) datetime64, labels. static: (n_columns, n_static).
        forcing: (n_times, n_columns, n_forcing), of the window that starts at the label, derived inputs included.
        state: (n_times, n_columns, n_state) at the label.
        diagnostics: (n_times, n_columns, n_diagnostics) with the label that the file gives them: "window end" ones at
            that time, "window mean" ones over the window that starts then.
    """

    times: np.ndarray
    static: np.ndarray
    forcing: np.ndarray
    state: np.ndarray
    diagnostics: np.ndarray

    @property
    def n_times(self) -> int:
        return len(self.times)

    @property
    def n_columns(self) -> int:
        return self.static.shape[0]

    def output(self, position: int) -> np.ndarray:
        """(n_times, n_columns) of a state or diagnostic, by its position among states, then diagnostics."""
        n_state = self.state.shape[-1]
        return self.state[..., position] if position < n_state else self.diagnostics[..., position - n_state]


def read_columns(path: str | Path, model: Model, dtype: np.dtype, may_lack: Sequence[str] = ()) -> VerificationColumns:
    """Read a whole file, which must have all of the model's states and diagnostics without a gap.

    A state that it may lack, and does, is at the first label what a run begins with (`io.first_guess`), and NaN later.
    """
    with open_source(path, model, may_lack=may_lack) as source:
        if source.calendar != STANDARD:
            raise InputError(
                f"{source.path}: has the calendar '{source.calendar}', expected times of the standard calendar; "
                "ailand-column-run takes others"
            )
        n_times, sizes, targets = len(source.times), model.sizes, (*model.state, *model.diagnostics)
        require_memory(source, sizes.forcing + len(targets), dtype, "give a file with fewer columns")
        forcing = read_forcing(source, model, dtype)
        known = [position for position, variable in enumerate(targets) if variable.name not in source.lacking]
        names = [targets[position].name for position in known]
        truth = np.full((n_times, source.n_columns, len(targets)), np.nan, dtype=dtype)
        for first in range(0, n_times, TIME_BLOCK):
            last = min(first + TIME_BLOCK, n_times)
            truth[first:last, :, known] = source.reference(names, first, last)
        for position, variable in enumerate(targets):
            missing = int((~np.isfinite(truth[..., position])).sum())
            if position not in known:
                truth[0, :, position] = source.initial_state[:, position]  # type: ignore[index]
            elif missing:
                raise InputError(
                    f"{path}: variable '{variable.name}' lacks {missing} values, expected none for verification"
                )
        state, diagnostics = truth[..., : sizes.state], truth[..., sizes.state :]
        return VerificationColumns(source.times, source.static.astype(dtype), forcing, state, diagnostics)
