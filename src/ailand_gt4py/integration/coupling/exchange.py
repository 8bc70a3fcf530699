"""Putting the land's fluxes into ICON4Py's air, on whichever of its two time levels is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.integration.coupling.budget import Budget
from ailand_gt4py.integration.coupling.mixed_layer import MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import for_air_at_end_of_step, held
from ailand_gt4py.integration.hosts.icon4py.lowest_layer import LowestLayer

#: What was given in the host's last step; the catalogue describes it.
GIVEN = (
    "tendency_of_air_temperature_due_to_land",
    "tendency_of_specific_humidity_due_to_land",
    "surface_upward_sensible_heat_flux_given",
    "surface_upward_latent_heat_flux_given",
)
_, _, SENSIBLE_GIVEN, LATENT_GIVEN = GIVEN


class FluxExchange:
    """Gives the land's heat and vapour to the air above, and keeps the account.

    The dycore swaps two time levels. A level that nothing carries forward lacks what was added to the other one: with
    ``tracers_alternate`` (no tracer advection) the vapour of the last step is added to the level that comes next, too,
    and with ``state_alternates`` (dynamics off) heat as well: by `catch_up`, before the land looks at it.

    Args:
        layer: the lowest layer. mixed: the layers that take heat and vapour.
        n_cells: of the host's fields.
        implicit: take the fluxes for the air at the step's end (`surface_fluxes.for_air_at_end_of_step`); False: as the
            land component holds them.
        moisture: give evaporation to the host's ``qv``; False: to no one, even where the host has it.
        tracers_alternate, state_alternates: see above.

    Attributes:
        given: `GIVEN` -> (n_cells,) of the last step, 0 where there is no land; the same arrays in every step.
        budget: energy given and received.
    """

    def __init__(
        self,
        layer: LowestLayer,
        mixed: MixedLayer,
        n_cells: int,
        *,
        implicit: bool,
        moisture: bool,
        tracers_alternate: bool,
        state_alternates: bool,
        device: arrays.Device = "cpu",
    ) -> None:
        self._layer, self._mixed = layer, mixed
        self._implicit, self._moisture = implicit, moisture
        self._tracers_alternate, self._state_alternates = tracers_alternate, state_alternates
        self._device = device
        self._xp = arrays.array_module(device)
        self.given = {name: self._xp.zeros(n_cells, dtype=np.float64) for name in GIVEN}
        self.budget = Budget(layer.area, device)
        # What the last step gave and the other time level lacks: J m-2 and kg m-2.
        self._owed_heat, self._owed_water = (self._xp.zeros(layer.n_land, dtype=np.float64) for _ in range(2))
        self._owes = False

    def give(self, outputs: Mapping[str, Any], prognostic: Any, tracers: Any, seconds: float) -> None:
        """Put a step's fluxes into the time level at hand.

        Args:
            outputs: of the land component, over the host's cells. seconds: the step.
        """
        cells = self._layer.cells
        wet = self._moisture and tracers is not None and tracers.qv is not None
        if self._implicit:
            fluxes = for_air_at_end_of_step(
                outputs,
                cells,
                self._layer.temperature(prognostic, tracers),
                self._layer.at_land(tracers.qv) if wet else None,
                self._mixed.heat_capacity(prognostic, tracers),
                self._mixed.air_mass(prognostic),
                seconds,
                self._device,
            )
        else:
            fluxes = held(outputs, cells, self._device)
        heat, latent, water = (seconds * flux for flux in (fluxes.sensible, fluxes.latent, fluxes.water))
        gain = self._mixed.add(prognostic, tracers, heat, water if wet else None)
        is_dry = water == 0.0
        of_vapour = self._xp.where(is_dry, 0.0, latent * gain.water / self._xp.where(is_dry, 1.0, water))
        nothing = self._xp.zeros_like(heat)
        taken, withheld = (latent, nothing) if wet else (nothing, latent)
        emulated = held(outputs, cells, self._device)
        self.budget.add(
            given_sensible=heat,
            received_sensible=gain.heat,
            given_latent=taken,
            received_latent=of_vapour,
            withheld_latent=withheld,
            adjusted=heat + latent - seconds * (emulated.sensible + emulated.latent),
        )
        given = (gain.temperature / seconds, gain.humidity / seconds, fluxes.sensible, taken / seconds)
        for name, values in zip(GIVEN, given, strict=True):
            self.given[name][cells] = values
        self._owed_heat[...] = heat
        self._owed_water[...] = water if wet else nothing
        self._owes = True

    def catch_up(self, prognostic: Any, tracers: Any) -> None:
        """Add to the time level at hand what the last step added to the other one only."""
        if not self._owes:
            return
        self._owes = False
        has_vapour = self._moisture and tracers is not None and tracers.qv is not None
        water = self._owed_water if self._tracers_alternate and has_vapour else None
        if self._state_alternates:
            self._mixed.add(prognostic, tracers, self._owed_heat, water)
        elif water is not None:
            # The dynamics has carried the virtual temperature forward; only the vapour is late.
            self._mixed.add_water(prognostic, tracers, water)

    def memory(self) -> dict[str, arrays.Array]:
        """Name -> array of all that goes from step to step, for a restart; `remember` takes it."""
        return {
            "owed_heat": self._owed_heat,
            "owed_water": self._owed_water,
            "owes": np.array([self._owes]),
            "energy": self.budget.sums(),
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from `memory`."""
        self._owed_heat[...] = self._xp.asarray(memory["owed_heat"])
        self._owed_water[...] = self._xp.asarray(memory["owed_water"])
        self._owes = bool(memory["owes"][0])
        self.budget.go_on_from(arrays.to_host(memory["energy"]))
