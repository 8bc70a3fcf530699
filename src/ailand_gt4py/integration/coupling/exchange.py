"""Putting the land's fluxes into a host's air, on whichever of its time levels is at hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.budget import Budget
from ailand_gt4py.integration.coupling.land_cells import LandCells
from ailand_gt4py.integration.coupling.mixed_layer import Air, MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import SurfaceFluxes, for_air_at_end_of_step, held

#: What was given in the host's last step; the catalogue describes it.
GIVEN = (
    "tendency_of_air_temperature_due_to_land",
    "tendency_of_specific_humidity_due_to_land",
    "surface_upward_sensible_heat_flux_given",
    "surface_upward_latent_heat_flux_given",
)
_, _, SENSIBLE_GIVEN, LATENT_GIVEN = GIVEN


@dataclasses.dataclass(frozen=True)
class ExchangeSettings:
    """How fluxes go into the air.

    The dynamics may swap two time levels. A level that nothing carries forward lacks what was added to the other one:
    with ``vapour_alternates`` (no advection) the vapour of the last step is added to the level that comes next, too,
    and with ``state_alternates`` (no dynamics) heat as well.

    Attributes:
        implicit: take the fluxes for the air at the step's end (`surface_fluxes.for_air_at_end_of_step`); False: as the
            land component holds them.
        moisture: give evaporation to the host's vapour; False: to no one, even where the host has it.
        vapour_alternates, state_alternates: see above.
    """

    implicit: bool = True
    moisture: bool = True
    vapour_alternates: bool = False
    state_alternates: bool = False


class FluxExchange:
    """Gives the land's heat and vapour to the air above, and keeps the account.

    Args:
        cells: where land is. mixed: the layers that take heat and vapour.

    Attributes:
        cells: as given.
        given: `GIVEN` -> (n_cells,) of the last step, 0 where there is no land; the same arrays in every step.
        budget: energy given and received.
    """

    def __init__(self, cells: LandCells, mixed: MixedLayer, settings: ExchangeSettings | None = None) -> None:
        self.cells, self._mixed = cells, mixed
        self._settings = settings or ExchangeSettings()
        self._xp = arrays.array_module(cells.device)
        self.given = {name: cells.filled(0.0) for name in GIVEN}
        self.budget = Budget(cells.area, cells.device)
        # What the last step gave and the other time level lacks: J m-2 and kg m-2.
        self._owed_heat, self._owed_water = (self._xp.zeros(cells.n_land, dtype=np.float64) for _ in range(2))
        self._owes = False

    def give(self, outputs: Mapping[str, Any], air: Air, seconds: float) -> None:
        """Put a step's fluxes into the time level at hand.

        Args:
            outputs: of the land component, over the host's cells. seconds: the step.
        """
        takes_vapour = self._settings.moisture and air.has_vapour
        emulated = held(outputs, self.cells)
        fluxes = self._at_end_of_step(outputs, air, takes_vapour, seconds) if self._settings.implicit else emulated
        heat, latent, water = (seconds * flux for flux in fluxes)
        gain = self._mixed.add(air, heat, water if takes_vapour else None)
        is_dry = water == 0.0
        nothing = self._xp.zeros_like(heat)
        taken, withheld = (latent, nothing) if takes_vapour else (nothing, latent)
        self.budget.add(
            given_sensible=heat,
            received_sensible=gain.heat,
            given_latent=taken,
            received_latent=self._xp.where(is_dry, 0.0, latent * gain.water / self._xp.where(is_dry, 1.0, water)),
            withheld_latent=withheld,
            adjusted=heat + latent - seconds * (emulated.sensible + emulated.latent),
        )
        given = (gain.temperature / seconds, gain.humidity / seconds, fluxes.sensible, taken / seconds)
        for name, values in zip(GIVEN, given, strict=True):
            self.given[name][self.cells.positions] = values
        self._owed_heat[...] = heat
        self._owed_water[...] = water if takes_vapour else nothing
        self._owes = True

    def _at_end_of_step(
        self, outputs: Mapping[str, Any], air: Air, takes_vapour: bool, seconds: float
    ) -> SurfaceFluxes:
        lowest = self._mixed.lowest
        return for_air_at_end_of_step(
            outputs,
            self.cells,
            air.temperature(lowest)[:, 0],
            air.vapour(lowest)[:, 0] if takes_vapour else None,
            self._mixed.heat_capacity(air),
            self._mixed.air_mass(air),
            seconds,
        )

    def catch_up(self, air: Air) -> None:
        """Add to the time level at hand what the last step added to the other one only; before the land looks at it."""
        if not self._owes:
            return
        self._owes = False
        settings = self._settings
        water = self._owed_water if settings.vapour_alternates and settings.moisture and air.has_vapour else None
        if settings.state_alternates:
            self._mixed.add(air, self._owed_heat, water)
        elif water is not None:
            # The dynamics has carried the virtual temperature forward; only the vapour is late.
            self._mixed.add_water(air, water)

    def memory(self) -> dict[str, arrays.Array]:
        """Name -> array of all that goes from step to step, for a restart; `remember` takes it."""
        return {
            "owed_heat": self._owed_heat,
            "owed_water": self._owed_water,
            "owes": np.array([self._owes]),
            "energy": self.budget.sums(),
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Continue from `memory`."""
        self._owed_heat[...] = self._xp.asarray(memory["owed_heat"])
        self._owed_water[...] = self._xp.asarray(memory["owed_water"])
        self._owes = bool(memory["owes"][0])
        self.budget.go_on_from(arrays.to_host(memory["energy"]))
