"""Putting the land's fluxes into a host's air, on whichever of its time levels is at hand, and the account of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.coupling.mixed_layer import Air, MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import LandCells, for_air_at_end_of_step, held

#: What was given in the host's last step; the catalogue describes it.
GIVEN = (
    "tendency_of_air_temperature_due_to_land",
    "tendency_of_specific_humidity_due_to_land",
    "surface_upward_sensible_heat_flux_given",
    "surface_upward_latent_heat_flux_given",
)
_, _, SENSIBLE_GIVEN, LATENT_GIVEN = GIVEN

#: What is added up over all land cells, J -> what it is.
ENTRIES = {
    "given_sensible": "upward sensible heat flux into the air, summed over area and step",
    "received_sensible": "internal energy that the air gained in the step's coupling",
    "given_latent": "upward latent heat flux that the host's vapour takes, summed over area and step",
    "received_latent": "latent heat of the vapour that the air gained in the step's coupling",
    "withheld_latent": "upward latent heat flux that the host has no vapour to take",
    "adjusted": "excess of the fluxes for the air at the end of the step over those held by the land",
    "exchanged": "amounts of all fluxes into the air, summed over area and step",
}


class Budget:
    """Energy over areas (m2, (n_land,)), a row for each host step; sums: of all, those before a restart too."""

    def __init__(self, area: arrays.Array, device: arrays.Device = "cpu") -> None:
        self._xp = arrays.array_module(device)
        self._area = area
        self._rows: list[arrays.Array] = []
        self.sums = self._xp.zeros(len(ENTRIES))

    def add(self, **amounts: arrays.Array) -> None:
        """Add a step: all of `ENTRIES` but ``exchanged``, by name; all J m-2, (n_land,)."""
        sums: dict[str, Any] = {name: self._area.dot(values) for name, values in amounts.items()}
        given = (amounts["given_sensible"], amounts["given_latent"])
        sums["exchanged"] = sum(self._area.dot(self._xp.abs(values)) for values in given)
        self._rows.append(self._xp.stack([sums[name] for name in ENTRIES]))
        self.sums += self._rows[-1]

    def steps(self) -> Values:
        """(n_steps, n_entries) of this run, J."""
        return np.array([arrays.to_host(row) for row in self._rows]).reshape(-1, len(ENTRIES))

    def totals(self) -> dict[str, float]:
        """Over all steps, J, and as ``residual`` what was received less what was given, over what was exchanged."""
        sums = dict(zip(ENTRIES, arrays.to_host(self.sums).tolist(), strict=True))
        excess = sums["received_sensible"] + sums["received_latent"] - sums["given_sensible"] - sums["given_latent"]
        return sums | {"residual": excess / sums["exchanged"] if sums["exchanged"] else 0.0}


class FluxExchange:
    """Gives the land's heat and vapour to the air above, and keeps the account.

    The dynamics may swap two time levels. A level that nothing carries forward lacks what was added to the other one:
    with ``vapour_alternates`` (no advection) the vapour of the last step is added to the level that comes next, too,
    and with ``state_alternates`` (no dynamics) heat as well.

    Args:
        mixed: the layers that take heat and vapour.
        implicit: take the fluxes for the air at the step's end (`surface_fluxes.for_air_at_end_of_step`); False: as the
            land component holds them.
        moisture: give evaporation to the host's vapour; False: to no one, even where the host has it.

    Attributes:
        given: `GIVEN` -> (n_cells,) of the last step, 0 where there is no land; the same arrays in every step.
        memory: name -> array of all that goes from step to step, for a restart, which writes into them.
    """

    def __init__(
        self,
        cells: LandCells,
        mixed: MixedLayer,
        *,
        implicit: bool = True,
        moisture: bool = True,
        vapour_alternates: bool = False,
        state_alternates: bool = False,
    ) -> None:
        self.cells, self._mixed = cells, mixed
        self._implicit, self._moisture = implicit, moisture
        self._vapour_alternates, self._state_alternates = vapour_alternates, state_alternates
        self._xp = arrays.array_module(cells.device)
        self.given = {name: cells.spread(0.0, elsewhere=0.0) for name in GIVEN}
        self.budget = Budget(cells.area, cells.device)
        # What the last step gave and the other time level lacks: J m-2 and kg m-2.
        self._owed_heat, self._owed_water = (self._xp.zeros(len(cells.area)) for _ in range(2))
        self._owes = np.zeros(1, dtype=bool)
        owed = {"owed_heat": self._owed_heat, "owed_water": self._owed_water, "owes": self._owes}
        self.memory = {**owed, "energy": self.budget.sums}

    def give(self, outputs: Mapping[str, Any], air: Air, seconds: float) -> None:
        """Put the fluxes of the land component's outputs over a step into the time level at hand."""
        xp, mixed = self._xp, self._mixed
        takes_vapour = self._moisture and air.has_vapour
        fluxes = emulated = held(outputs, self.cells)
        if self._implicit:
            fluxes = for_air_at_end_of_step(
                outputs,
                self.cells,
                air.temperature(mixed.lowest)[:, 0],
                air.vapour(mixed.lowest)[:, 0] if takes_vapour else None,
                mixed.heat_capacity(air),
                mixed.air_mass(air),
                seconds,
            )
        heat, latent, water = (seconds * flux for flux in fluxes)
        received_heat, received_water, warming, moistening = mixed.add(air, heat, water if takes_vapour else None)
        is_dry = water == 0.0
        nothing = xp.zeros_like(heat)
        taken, withheld = (latent, nothing) if takes_vapour else (nothing, latent)
        self.budget.add(
            given_sensible=heat,
            received_sensible=received_heat,
            given_latent=taken,
            received_latent=xp.where(is_dry, 0.0, latent * received_water / xp.where(is_dry, 1.0, water)),
            withheld_latent=withheld,
            adjusted=heat + latent - seconds * (emulated.sensible + emulated.latent),
        )
        given = (warming / seconds, moistening / seconds, fluxes.sensible, taken / seconds)
        for name, values in zip(GIVEN, given, strict=True):
            self.given[name][self.cells.positions] = values
        self._owed_heat[...] = heat
        self._owed_water[...] = water if takes_vapour else nothing
        self._owes[0] = True

    def catch_up(self, air: Air) -> None:
        """Add to the time level at hand what the last step added to the other one only; before the land looks at it."""
        if not self._owes[0]:
            return
        self._owes[0] = False
        water = self._owed_water if self._vapour_alternates and self._moisture and air.has_vapour else None
        if self._state_alternates:
            self._mixed.add(air, self._owed_heat, water)
        elif water is not None:
            # The dynamics has carried the virtual temperature forward; only the vapour is late.
            self._mixed.add_water(air, water)
