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

_SINE = math.sin(math.radians(TRUE_LATITUDE))
#: Scale along the equator.
SCALE = math.cos(math.radians(TRUE_LATITUDE)) / math.sqrt(1.0 - (ECCENTRICITY * _SINE) ** 2)


def x_of(longitude: Values) -> Values:
    """Distance to the east of Greenwich on the grid, km, of longitudes, degrees."""
    return RADIUS * SCALE * np.deg2rad((longitude + 180.0) % 360.0 - 180.0)


def y_of(latitude: Values) -> Values:
    """Distance to the north of the equator on the grid, km, of latitudes, degrees."""
    sine, e = np.sin(np.deg2rad(latitude)), ECCENTRICITY
    q = (1.0 - e**2) * (sine / (1.0 - (e * sine) ** 2) - np.log((1.0 - e * sine) / (1.0 + e * sine)) / (2.0 * e))
    return RADIUS * q / (2.0 * SCALE)


def half_diagonal(spacing: float, latitude: Values) -> Values:
    """How far the corners of cells are from their centres on the ground, km; ``spacing`` on the grid, km.

    Away from 30 degrees cells of equal area are narrow and high, or wide and flat. Poleward of the grid's edge they are
    taken for squares, as on the polar grids.
    """
    width = np.cos(np.deg2rad(latitude)) / math.cos(math.radians(TRUE_LATITUDE))
    width = np.where(np.abs(latitude) < EDGE_LATITUDE, width, 1.0)
    return 0.5 * spacing * np.hypot(width, 1.0 / width)
