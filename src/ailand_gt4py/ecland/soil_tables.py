"""ecLand's parameter tables by soil type and vegetation type.

Soil: van Genuchten parameters by texture class, Balsamo et al. 2009 (doi:10.1175/2008JHM1068.1) and IFS
documentation, part IV, chapter 8; the residual water content (0.025 m3 m-3 for coarse soil, 0.010 for the others) and
the conversion of pressure to water head with g = 9.8 m s-2 are those of the IFS code, conductivity at saturation and
its exponent those of ecLand's ``sussoil_mod``. The water contents computed here agree with those of an ecLand run (main
branch of 2026-06-28) to 2e-8.

Vegetation: ecLand's ``susveg_mod`` (github.com/ecmwf-ifs/ecland, Apache-2.0), the tables adjusted to the ESA-CCI land
cover. They differ from older values that the same file keeps in comments: the minimum stomatal resistance of type 1 is
125 instead of 100 s m-1, the coverage of type 17 is 0.4 instead of 0.5, the roughness of type 11 is 0.03 instead of
0.17 m, and others. The emulator is trained on ecLand run with the code's tables, so those decide. Types 1-11, 13 and
16-19 were checked against such runs; 12, 14, 15 and 20 (ice, water) are ecLand's own values, which it does not use for
vegetation.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.types import Values

#: Thickness of the soil layers, m: 0-7, 7-28, 28-100 and 100-289 cm. The upper three hold roots.
LAYER_THICKNESS = (0.07, 0.21, 0.72, 1.89)
#: Tops and bottoms of the layers, and their middles, m.
LAYER_EDGES = (0.0, 0.07, 0.28, 1.0, 2.89)
LAYER_MIDDLES = tuple(0.5 * (top + bottom) for top, bottom in itertools.pairwise(LAYER_EDGES))

#: Pressure of one bar, Pa.
_BAR = 1.0e5
#: Acceleration of gravity (m s-2) and density of water (kg m-3) in ecLand's conversion of pressure to water head.
_HEAD_GRAVITY = 9.8
_WATER_DENSITY = 1000.0

#: Suction (bar) at field capacity and at the permanent wilting point: IFS documentation, part IV, chapter 8.
FIELD_CAPACITY_BAR = 0.10
WILTING_POINT_BAR = 15.0


class Soil(NamedTuple):
    """Parameters of a texture class, van Genuchten's and Mualem's.

    Attributes:
        alpha: 1/m. n: 1. saturation, residual: volumetric water contents, m3 m-3. conductivity: at saturation, m s-1.
        connectivity: exponent l of the relative saturation in the conductivity, 1.
    """

    name: str
    alpha: float
    n: float
    saturation: float
    residual: float
    conductivity: float
    connectivity: float


#: Type 1..7, as in ``clim_sotype``. Type 7 has the parameters of type 2.
SOILS: dict[int, Soil] = {
    1: Soil("coarse", 3.83, 1.3774, 0.403, 0.025, 6.94e-6, 1.25),
    2: Soil("medium", 3.14, 1.1804, 0.439, 0.010, 1.16e-6, -2.3421),
    3: Soil("medium-fine", 0.83, 1.2539, 0.430, 0.010, 2.63e-7, -0.5884),
    4: Soil("fine", 3.67, 1.1012, 0.520, 0.010, 2.87e-6, -1.9772),
    5: Soil("very fine", 2.65, 1.1033, 0.614, 0.010, 1.74e-6, 2.5),
    6: Soil("organic", 1.30, 1.2039, 0.766, 0.010, 9.3e-7, 0.4),
    7: Soil("tropical organic", 3.14, 1.1804, 0.439, 0.010, 1.16e-6, -2.3421),
}


class Vegetation(NamedTuple):
    """Parameters of a vegetation type.

    Attributes:
        coverage: fraction of the vegetated part that is covered (RVCOV), 1. roughness: for momentum (RVZ0M), m.
        stomatal_resistance: minimum (RVRSMIN), s m-1. leaf_area_index: of the whole year (RVLAI), m2 m-2; ecLand itself
            reads a monthly climatology.
    """

    name: str
    coverage: float
    roughness: float
    stomatal_resistance: float
    leaf_area_index: float


#: Type 0..20, as in ``clim_tvh`` and ``clim_tvl``. Type 0 (no vegetation) has the values of desert, as in ecLand.
VEGETATIONS: dict[int, Vegetation] = {
    0: Vegetation("none", 0.0, 0.013, 250.0, 0.5),
    1: Vegetation("crops, mixed farming", 0.90, 0.25, 125.0, 3.0),
    2: Vegetation("short grass", 0.85, 0.10, 80.0, 2.0),
    3: Vegetation("evergreen needleleaf trees", 0.90, 2.0, 395.0, 5.0),
    4: Vegetation("deciduous needleleaf trees", 0.90, 2.0, 320.0, 5.0),
    5: Vegetation("deciduous broadleaf trees", 0.90, 2.0, 215.0, 5.0),
    6: Vegetation("evergreen broadleaf trees", 0.99, 2.0, 320.0, 6.0),
    7: Vegetation("tall grass, mixed crops", 0.70, 0.5, 100.0, 2.0),
    8: Vegetation("desert", 0.0, 0.013, 250.0, 0.5),
    9: Vegetation("tundra", 0.50, 0.03, 45.0, 1.0),
    10: Vegetation("irrigated crops", 0.90, 0.5, 110.0, 3.0),
    11: Vegetation("semidesert, sparse vegetation", 0.10, 0.03, 45.0, 0.5),
    12: Vegetation("ice caps and glaciers", 0.0, 0.0013, 0.0, 0.0),
    13: Vegetation("bogs and marshes", 0.60, 0.25, 130.0, 4.0),
    14: Vegetation("inland water", 0.0, 0.0001, 0.0, 0.0),
    15: Vegetation("ocean", 0.0, 0.0001, 0.0, 0.0),
    16: Vegetation("evergreen shrubs", 0.50, 0.5, 230.0, 3.0),
    17: Vegetation("deciduous shrubs", 0.40, 0.1, 110.0, 1.5),
    18: Vegetation("mixed forest, savanna", 0.90, 1.5, 180.0, 5.0),
    19: Vegetation("interrupted forest", 0.90, 1.1, 175.0, 2.5),
    20: Vegetation("water and land mixtures", 0.60, 0.02, 150.0, 4.0),
}


def van_genuchten_water(soil: Soil, suction_bar: float) -> float:
    """Volumetric soil water, m3 m-3, at a suction: matric pressure below atmospheric, bar, positive.

    Van Genuchten 1980 (doi:10.2136/sssaj1980.03615995004400050002x) with m = 1 - 1/n.
    """
    head = suction_bar * _BAR / (_WATER_DENSITY * _HEAD_GRAVITY)
    saturation_degree: float = (1.0 + (soil.alpha * head) ** soil.n) ** (1.0 / soil.n - 1.0)
    return soil.residual + (soil.saturation - soil.residual) * saturation_degree


def soil_values(quantity: str, soil_type: Values) -> Values:
    """A quantity by soil type, integers 1..7 (n,): float64 (n,).

    ``saturation``, ``field_capacity`` or ``wilting_point``, m3 m-3; ``conductivity`` or ``connectivity`` of `Soil`;
    ``log_conductivity``: the natural logarithm of the conductivity over 1 m s-1.
    """
    values: Values = np.array([np.nan, *(_soil_value(quantity, soil) for soil in SOILS.values())])[soil_type]
    return values


def _soil_value(quantity: str, soil: Soil) -> float:
    suctions = {"field_capacity": FIELD_CAPACITY_BAR, "wilting_point": WILTING_POINT_BAR, "saturation": 0.0}
    if quantity in suctions:
        return van_genuchten_water(soil, suctions[quantity])
    if quantity == "log_conductivity":
        return math.log(soil.conductivity)
    value: float = getattr(soil, quantity)
    return value


def nearest_soil(saturation: Values, field_capacity: Values, wilting_point: Values) -> Values:
    """The soil type, 1 to 6, whose water contents are nearest to those given, m3 m-3, each (n,): int64 (n,).

    Nearest by the sum of squared differences.
    """
    types = np.arange(1, max(SOILS))
    given = {"saturation": saturation, "field_capacity": field_capacity, "wilting_point": wilting_point}
    squares = np.sum([(values[:, None] - soil_values(name, types)) ** 2 for name, values in given.items()], axis=0)
    nearest: Values = types[np.argmin(squares, axis=1)]
    return nearest


def vegetation_values(quantity: str, vegetation_type: Values) -> Values:
    """A number of `Vegetation` by vegetation type, integers 0..20 (n,): float64 (n,)."""
    table = np.array([getattr(vegetation, quantity) for vegetation in VEGETATIONS.values()], dtype=np.float64)
    values: Values = table[vegetation_type]
    return values
