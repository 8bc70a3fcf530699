"""The land cells of a host, for what is computed over them alone."""

from __future__ import annotations

import dataclasses
from typing import Any

from ailand_gt4py.core import arrays


@dataclasses.dataclass(frozen=True)
class LandCells:
    """Where a host has land.

    Attributes:
        positions: (n_land,) of the land cells among the host's, flat. area: (n_land,) m2.
        n_cells: of the host's fields. device: of all arrays.
    """

    positions: arrays.Array
    area: arrays.Array
    n_cells: int
    device: arrays.Device = "cpu"

    @property
    def n_land(self) -> int:
        return len(self.positions)

    def of(self, field: Any, name: str) -> arrays.Array:
        """(n_land,), a copy of what a field over the host's cells has at land.

        Raises:
            InputError: no array, or one on another device.
        """
        return arrays.as_array(field, self.device, name)[self.positions]

    def filled(self, value: float) -> arrays.Array:
        """A field over the host's cells."""
        return arrays.array_module(self.device).full(self.n_cells, value)
