"""Heat of a soil layer as ecLand has it, freezing included, and variables that change by it.

Around 0 degrees Celsius most heat freezes or melts water and hardly changes the temperature. ecLand takes that up in an
apparent heat capacity (``srfene_mod``, ``sussoil_mod``; Viterbo et al. 1999, doi:10.1002/qj.49712555904):

    heat = C T - Lf rho_w V theta_cap f(T),    C = (1 - theta_sat) 1.6e6 + theta_cap 4.18e6 J m-3 K-1

whatever the soil's water. f is the part that is frozen: 1 below 272.16 K, 0 above 274.16 K, a sine between. V is the
vegetated part of the ground, cover times density of low and high vegetation.

A variable that is said to change by `SOIL_HEAT` changes by the network's output as the heat over C does, in K:

    h(T) = T - latent f(T),    latent = Lf rho_w V theta_cap / C,    h(T after) = h(T before) + increment

so that a network need not learn how slowly soil freezes and thaws: the increment is what flows in. f then is linear
between `N_PARTS` + 1 temperatures, so that h can be solved for T in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.constants import FUSION_HEAT
from ailand_gt4py.core.errors import InputError

#: What a state variable's increment may be one of.
SOIL_HEAT = "soil_heat"

#: Density of water kg m-3, as in ecLand.
WATER_DENSITY = 1000.0
#: Volumetric heat capacities of dry soil grains and of water, J m-3 K-1.
DRY_SOIL_CAPACITY, WATER_CAPACITY = 1.6e6, 4.18e6
#: Soil water is frozen below the first and liquid above the second, K.
FROZEN_BELOW, LIQUID_ABOVE = 272.16, 274.16
#: Into so many equal parts the temperatures between both are divided, and their width in K.
N_PARTS = 8
PART_WIDTH = (LIQUID_ABOVE - FROZEN_BELOW) / N_PARTS

#: The static inputs that decide the heat, by the names of ec-land-db: cover and density of low vegetation, of high
#: vegetation, field capacity, porosity.
PROPERTIES = ("clim_cvl", "clim_veg_covl", "clim_cvh", "clim_veg_covh", "clim_theta_cap", "clim_theta_sat")


def frozen_fraction(temperature: np.ndarray) -> np.ndarray:
    """Part of the soil water at field capacity that ecLand takes as frozen, by soil temperature in K."""
    inside = np.clip(temperature, FROZEN_BELOW, LIQUID_ABOVE) - 0.5 * (FROZEN_BELOW + LIQUID_ABOVE)
    return 0.5 * (1.0 - np.sin(np.pi / (LIQUID_ABOVE - FROZEN_BELOW) * inside))


def node_temperatures() -> np.ndarray:
    """(N_PARTS + 1,) temperatures between which the frozen fraction is taken as linear, K."""
    return FROZEN_BELOW + PART_WIDTH * np.arange(N_PARTS + 1)


def melting_shares() -> np.ndarray:
    """(N_PARTS,) part of the soil's ice that melts between two nodes; their sum is 1."""
    return -np.diff(frozen_fraction(node_temperatures()))


def heat_capacity(properties: Sequence[np.ndarray]) -> np.ndarray:
    """C, J m-3 K-1, of `PROPERTIES`."""
    field_capacity, porosity = properties[4:]
    return (1.0 - porosity) * DRY_SOIL_CAPACITY + field_capacity * WATER_CAPACITY


def freezing_heat(properties: Sequence[np.ndarray]) -> np.ndarray:
    """Lf rho_w V theta_cap, J m-3, of `PROPERTIES`."""
    low, low_density, high, high_density, field_capacity = properties[:5]
    return FUSION_HEAT * WATER_DENSITY * (low * low_density + high * high_density) * field_capacity


def property_positions(static: Sequence[str]) -> list[int]:
    """Positions of `PROPERTIES` among the names of static inputs; `InputError` where one is not there."""
    missing = [name for name in PROPERTIES if name not in static]
    if missing:
        raise InputError(
            f"increments of soil heat need the static inputs {', '.join(PROPERTIES)}; missing: {', '.join(missing)}"
        )
    return [static.index(name) for name in PROPERTIES]
