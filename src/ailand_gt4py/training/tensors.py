"""Normalised data as tensors."""

from __future__ import annotations

import dataclasses

import torch


@dataclasses.dataclass
class Tensors:
    """Rows as in `windows.WindowData`, in normalised space; on the processor, perhaps in mapped files.

    Attributes:
        static: (n_columns, n_static). forcing: (n_rows, n_forcing). state: (n_rows + n_columns, n_state).
        diagnostics: (n_rows, n_diagnostics). n_windows: (n_columns,).
        state_known: (n_columns, n_state) whether a state is known, not guessed.
    """

    static: torch.Tensor
    forcing: torch.Tensor
    state: torch.Tensor
    diagnostics: torch.Tensor
    n_windows: torch.Tensor
    state_known: torch.Tensor

    def __post_init__(self) -> None:
        self._first = torch.cumsum(self.n_windows, 0) - self.n_windows
        self._first_state = self._first + torch.arange(len(self.n_windows))

    @property
    def n_columns(self) -> int:
        return len(self.n_windows)

    def forcing_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_forcing) of these windows; columns and windows (...) are broadcast."""
        return self.forcing[self._first[columns] + windows]

    def state_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_state) at the start of these windows; the last one's end is the start of the next."""
        return self.state[self._first_state[columns] + windows]

    def diagnostics_at(self, columns: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """(..., n_diagnostics) that these windows should give."""
        return self.diagnostics[self._first[columns] + windows]
