"""The global EASE-Grid 2.0, on which SMAP's and SMOS's footprints are posted: cylindrical, of equal area, on WGS 84.

Brodzik et al. 2012, doi:10.3390/ijgi1010032, and their correction, doi:10.3390/ijgi3031154.
"""

from __future__ import annotations

import math

import numpy as np

from ailand_gt4py.core.types import Values

#: WGS 84: semi-major axis, km, and eccentricity.
RADIUS, ECCENTRICITY = 6378.137, 0.081819190843
#: Latitude at which the cells are as wide as they are high, degrees.
TRUE_LATITUDE = 30.0
#: Northern edge of the grid: y, km, and latitude, degrees. Land poleward of it is on the polar grids alone.
EDGE, EDGE_LATITUDE = 7314.54083, 85.0445664
#: Part of a cell beyond its edges that still counts as in it: files have centres in single precision.
SLACK = 1e-3

_SINE = math.sin(math.radians(TRUE_LATITUDE))
#: Scale along the equator.
SCALE = math.cos(math.radians(TRUE_LATITUDE)) / math.sqrt(1.0 - (ECCENTRICITY * _SINE) ** 2)


def y_of(latitude: Values) -> Values:
    """Distance to the north of the equator on the grid, km, of latitudes, degrees."""
    sine, e = np.sin(np.deg2rad(latitude)), ECCENTRICITY
    q = (1.0 - e**2) * (sine / (1.0 - (e * sine) ** 2) - np.log((1.0 - e * sine) / (1.0 + e * sine)) / (2.0 * e))
    return RADIUS * q / (2.0 * SCALE)


def in_cell(spacing: float, latitude: Values, longitude: Values, centre: tuple[Values, Values]) -> Values:
    """(n,) whether locations lie in cells with these centres, both degrees; ``spacing`` of the grid in km.

    On the ground cells of equal area are as high as wide at 30 degrees alone: at 62 degrees, 20 by 66 km of 36 km.
    """
    half = (0.5 + SLACK) * spacing
    across = np.abs((longitude - centre[1] + 180.0) % 360.0 - 180.0)
    return (RADIUS * SCALE * np.deg2rad(across) <= half) & (np.abs(y_of(latitude) - y_of(centre[0])) <= half)
