"""The forcing of the previous window, remembered over land columns (`ailand_gt4py.emulator.previous_window`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.emulator.previous_window import PreviousWindow
from ailand_gt4py.weights.model import Variable


class RememberedForcing:
    """What the next window takes as forcing of the previous window.

    All stays on the device, and nothing is allocated after the start: columns of the forcing are copied to and fro.

    Args:
        forcing: of the model, in order. n_land: number of columns. dtype: of the forcing. device: where it is.

    Attributes:
        positions: of the inputs that are of the previous window.
        values: (n_previous, n_land) of them in the next window, NaN where there is none; then the window's own is
            taken.

    Raises:
        InputError: see `PreviousWindow`.
    """

    def __init__(self, forcing: Sequence[Variable], n_land: int, dtype: np.dtype, device: arrays.Device) -> None:
        self._xp = arrays.array_module(device)
        previous = PreviousWindow(forcing)
        self.positions = tuple(previous.positions)
        self._sources = tuple(previous.sources)
        self.values = self._xp.full((len(self.positions), n_land), np.nan, dtype=dtype)
        self._is_known = self._xp.empty(n_land, dtype=bool)

    def fill(self, forcing: arrays.Array) -> None:
        """Write these inputs of a window.

        Args:
            forcing: (n_land, n_forcing), the window's own means in it.
        """
        for position, source, values in zip(self.positions, self._sources, self.values, strict=True):
            forcing[:, position] = forcing[:, source]
            # A number that was not finite is forgotten with the window that it spoiled.
            self._xp.isfinite(values, out=self._is_known)
            self._xp.copyto(forcing[:, position], values, where=self._is_known)

    def keep(self, forcing: arrays.Array) -> None:
        """Remember a window that is over.

        Args:
            forcing: (n_land, n_forcing) of it.
        """
        for source, values in zip(self._sources, self.values, strict=True):
            values[...] = forcing[:, source]
