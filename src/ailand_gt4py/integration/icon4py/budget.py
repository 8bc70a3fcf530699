"""The account of what the land gave and what the atmosphere got."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py import arrays


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over all land cells and the steps so far.

    Attributes:
        given_sensible: upward sensible heat flux of the land, J. received_sensible: found in the lowest layer.
        given_latent: upward latent heat flux of the land where the host takes its vapour, J. received_latent: of the
            vapour found in the lowest layer, with the land's own latent heat.
        exchanged: sum of the amounts of all fluxes whatever their sign, J.
        withheld_latent: latent heat flux of the land that the host has no vapour to take, J.
    """

    given_sensible: float
    received_sensible: float
    given_latent: float
    received_latent: float
    exchanged: float
    withheld_latent: float

    @property
    def residual(self) -> float:
        """What was received less what was given, over what was exchanged."""
        difference = self.received_sensible + self.received_latent - self.given_sensible - self.given_latent
        return difference / self.exchanged if self.exchanged else 0.0


class Budget:
    """Adds up energy, one row for each host step; rows stay on the device until they are asked for.

    Args:
        area: (n_land,) m2. device: of the arrays.
    """

    def __init__(self, area: arrays.Array, device: arrays.Device = "cpu") -> None:
        self._xp = arrays.array_module(device)
        self._area = area
        self._rows: list[list[Any]] = []

    def add(
        self,
        sensible: arrays.Array,
        received_sensible: arrays.Array,
        latent: arrays.Array,
        received_latent: arrays.Array,
        withheld_latent: arrays.Array,
    ) -> None:
        """Add a step: all J m-2, (n_land,)."""
        total = self._area.dot
        exchanged = total(self._xp.abs(sensible)) + total(self._xp.abs(latent))
        self._rows.append(
            [
                total(sensible),
                total(received_sensible),
                total(latent),
                total(received_latent),
                exchanged,
                total(withheld_latent),
            ]
        )

    def steps(self) -> np.ndarray[Any, Any]:
        """(n_steps, 6) in the order of `Totals`, J."""
        rows = [[float(value) for value in row] for row in self._rows]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(dataclasses.fields(Totals)))

    def totals(self) -> Totals:
        """Over all steps."""
        return Totals(*self.steps().sum(axis=0).tolist())
