"""The account of what the land gave and what the atmosphere got."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over all land cells and the steps so far, J.

    Attributes:
        given_sensible: upward sensible heat flux into the air. received_sensible: found in the layers that took it.
        given_latent: upward latent heat flux where the host takes its vapour. received_latent: of the vapour found in
            the layers, with the land's own latent heat.
        withheld_latent: latent heat flux of the land that the host has no vapour to take.
        adjusted: how much more was given, withheld included, than the fluxes that the land component holds, because
            they were taken for the air at the step's end.
        exchanged: sum of the amounts of all fluxes that were given, whatever their sign.
    """

    given_sensible: float
    received_sensible: float
    given_latent: float
    received_latent: float
    withheld_latent: float
    adjusted: float
    exchanged: float

    @property
    def residual(self) -> float:
        """What was received less what was given, over what was exchanged."""
        difference = self.received_sensible + self.received_latent - self.given_sensible - self.given_latent
        return difference / self.exchanged if self.exchanged else 0.0


#: In the order of the columns of `Budget.steps`.
COLUMNS = tuple(field.name for field in dataclasses.fields(Totals))


class Budget:
    """Adds up energy, one row for each host step; rows stay on the device until they are asked for.

    Args:
        area: (n_land,) m2. device: of the arrays.
    """

    def __init__(self, area: arrays.Array, device: arrays.Device = "cpu") -> None:
        self._xp = arrays.array_module(device)
        self._area = area
        self._before = np.zeros(len(COLUMNS))
        self._rows: list[list[Any]] = []

    def add(self, **amounts: arrays.Array) -> None:
        """Add a step: the attributes of `Totals` but ``exchanged``, by name; all J m-2, (n_land,)."""
        sums = {name: self._area.dot(values) for name, values in amounts.items()}
        sums["exchanged"] = sum(
            self._area.dot(self._xp.abs(amounts[f"given_{kind}"])) for kind in ("sensible", "latent")
        )
        self._rows.append([sums[name] for name in COLUMNS])

    def steps(self) -> np.ndarray[Any, Any]:
        """(n_steps, n_columns) of this run in the order of `COLUMNS`, J."""
        rows = [[float(value) for value in row] for row in self._rows]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS))

    def sums(self) -> np.ndarray[Any, Any]:
        """(n_columns,) over all steps, those before a restart included."""
        # In the order of the steps, so that a run in two parts has the same bits.
        total = self._before.copy()
        for row in self.steps():
            total += row
        return total

    def go_on_from(self, sums: np.ndarray[Any, Any]) -> None:
        """Begin with the sums of an earlier part of the run."""
        self._before = np.array(sums, dtype=np.float64)
        self._rows = []

    def totals(self) -> Totals:
        """Over all steps, those before a restart included."""
        return Totals(*self.sums().tolist())
