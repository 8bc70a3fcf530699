"""What ecLand's snow variables are where there is no snow, and guesses of them where only the amount of snow is known.

The guesses are for the start of a run, with ``xp`` NumPy or CuPy. Snow forgets its density, temperature and albedo
within days to weeks, or with the season at the latest.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ailand_gt4py.core.constants import MELTING_POINT
from ailand_gt4py.ecland.surface_tables import MIDDLE_SNOW_ALBEDO

Values = Any  # NumPy or CuPy array

#: ecLand's state where there is no snow: water (m), cover, density (kg m-3), temperature (K), and the albedo with which
#: the next snow begins (new snow's).
NO_SNOW = {"sd": 0.0, "snowc": 0.0, "rsn": 100.0, "tsn": MELTING_POINT, "asn": 0.85}

#: Snow with less water than this is none, m: files in GRIB packing have remains of either sign.
LEAST_WATER = 1e-6

#: Of snow of unknown age, kg m-3: the middle of the range, 100 to 400, in which ecLand's snow cover depends on it
#: (``surfbc_ctl_mod``). Seasonal snow packs have means of that size (Sturm et al. 2010, doi:10.1175/2010JHM1202.1).
MIDDLE_DENSITY = 250.0


def density(water: Values, xp: ModuleType = np) -> Values:
    """Guess of the density, kg m-3, of snow of this mass as depth of water, m."""
    return xp.where(water > LEAST_WATER, MIDDLE_DENSITY, NO_SNOW["rsn"])


def albedo(water: Values, xp: ModuleType = np) -> Values:
    """Guess of the albedo: the middle between ecLand's limits under snow, see `surface_tables`."""
    return xp.where(water > LEAST_WATER, MIDDLE_SNOW_ALBEDO, NO_SNOW["asn"])


def temperature(water: Values, soil: Values, air: Values, xp: ModuleType = np) -> Values:
    """Guess of the temperature, K: snow lies between soil and air, and does not get warmer than its melting point.

    Args:
        water: snow mass as depth of water, m. soil, air: temperature of the uppermost layer and of the air, K.
    """
    melting = NO_SNOW["tsn"]
    return xp.where(water > LEAST_WATER, xp.minimum(0.5 * (soil + air), melting), melting)


def water_under(cover: Values, most: float, xp: ModuleType = np) -> Values:
    """Snow of `MIDDLE_DENSITY` that makes a cover: ecLand's formula (``surfbc_ctl_mod``) solved for the water, m.

    The cover is tanh(4000 d / rho), d the depth of the snow in m and rho its density in kg m-3, and so hardly tells
    depths that make it nearly 1.

    Args:
        cover: fraction of the ground that is no lake. most: the largest result, m.
    """
    depth = xp.arctanh(xp.minimum(cover, 0.999)) * (MIDDLE_DENSITY / 4000.0)
    return xp.minimum(depth * (MIDDLE_DENSITY / 1000.0), most)
