"""The fluxes that the land gives to the lowest layers in one step of the host: as held, or for the air at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.stencils.physics.surface_tiles import TILES

SENSIBLE, LATENT = "surface_upward_sensible_heat_flux", "surface_upward_latent_heat_flux"
WATER = "water_evapotranspiration_flux"


class FluxLine(NamedTuple):
    """The outputs by which a host has an upward flux as a line: flux + slope * (its air now - reference).

    Slope: its derivative by a forcing variable, whose value in the same window is the reference. Flux: the model's.
    """

    slope: str
    reference: str
    flux: str
    forcing: str


SENSIBLE_LINE = FluxLine(
    "sensible_heat_flux_derivative_by_air_temperature", "sensible_heat_flux_air_temperature", "sshf", "met_tair"
)
LATENT_LINE = FluxLine(
    "latent_heat_flux_derivative_by_specific_humidity", "latent_heat_flux_specific_humidity", "slhf", "met_qair"
)


class LandCells(NamedTuple):
    """Where a host has land: positions (n_land,) among its n_cells, and their area, m2."""

    positions: arrays.Array
    area: arrays.Array
    n_cells: int
    device: arrays.Device = "cpu"

    def of(self, field: Any, name: str) -> arrays.Array:
        """(n_land,), a copy of what a field over the host's cells has at land."""
        return arrays.as_array(field, self.device, name)[self.positions]

    def spread(self, values: Any, elsewhere: float = np.nan) -> arrays.Array:
        """A field over the host's cells from values (n_land,), or one for all."""
        field = arrays.array_module(self.device).full(self.n_cells, elsewhere)
        field[self.positions] = values
        return field


class SurfaceFluxes(NamedTuple):
    """Upward fluxes over the land cells, all (n_land,): sensible and latent W m-2, water kg m-2 s-1."""

    sensible: arrays.Array
    latent: arrays.Array
    water: arrays.Array


def held(outputs: Mapping[str, Any], cells: LandCells) -> SurfaceFluxes:
    """The fluxes of a land component's outputs as they are."""
    return SurfaceFluxes(*(cells.of(outputs[name], name) for name in (SENSIBLE, LATENT, WATER)))


def for_air_at_end_of_step(
    outputs: Mapping[str, Any],
    cells: LandCells,
    temperature: arrays.Array,
    humidity: arrays.Array | None,
    heat_capacity: arrays.Array,
    air_mass: arrays.Array,
    seconds: float,
) -> SurfaceFluxes:
    """The component's fluxes as lines in the air's temperature and humidity, solved for the air at the step's end.

    Backward Euler (Polcher et al. 1998, doi:10.1016/S0921-8181(98)00052-6; Best et al. 2004,
    doi:10.1175/JHM-382.1), for sensible heat and temperature, and for latent heat and humidity:

        F(x) = F0 + s (x - x0),  C (x1 - x) / dt = F(x1)  =>  F(x1) = (F0 + s (x - x0)) / (1 - dt s / C)

    x0 is the air that the network's flux F0 and its derivative s belong to, C what the layers need for a change of x by
    one. So a flux fades as the air approaches what the land tends to, however long it is held. Where the network's
    derivative is positive, which would let the air run away, it is taken as 0.

    Args:
        outputs: of a component with ``derivatives``.
        temperature, humidity: of the lowest layer at the step's start, K, kg kg-1; humidity None: moisture as held.
        heat_capacity, air_mass: of the layers that take the fluxes, J m-2 K-1, kg m-2. seconds: the step.
    """
    xp = arrays.array_module(cells.device)
    given = held(outputs, cells)

    def solved(flux: Any, line: FluxLine, value: Any, capacity: Any) -> Any:
        slope = xp.minimum(cells.of(outputs[line.slope], line.slope), 0.0)
        excess = value - cells.of(outputs[line.reference], line.reference)
        return (flux + slope * excess) / (1.0 - seconds * slope / capacity)

    sensible = solved(given.sensible, SENSIBLE_LINE, temperature, heat_capacity)
    if humidity is None:
        return given._replace(sensible=sensible)
    lowest, highest = float(TILES.vaporisation), float(TILES.vaporisation + TILES.fusion)
    is_dry = given.water == 0.0
    heat_of_water = xp.where(is_dry, lowest, given.latent / xp.where(is_dry, 1.0, given.water))
    # Between two windows latent heat and water may pass through zero at different times.
    heat_of_water = xp.clip(heat_of_water, lowest, highest)
    latent = solved(given.latent, LATENT_LINE, humidity, heat_of_water * air_mass)
    return SurfaceFluxes(sensible, latent, given.water + (latent - given.latent) / heat_of_water)
