"""Inputs that anemoi computes from time and location, by its names: those of land models that it has trained.

The formulas are those of earthkit-data's source ``forcings`` (github.com/ecmwf/earthkit-data), which anemoi uses in
training and inference. A model of this package has its own (`ailand_gt4py.stencils.physics.solar`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ailand_gt4py.core.types import Values

#: Days of a year.
YEAR = 365.25
_DAY = np.timedelta64(1, "D")

#: Coefficients of cos(k x) and sin(k x), k = 0, 1, ..., x the angle of the day of the year: declination of the sun and
#: the equation of time, degrees.
DECLINATION = ((0.396372, -22.91327, -0.387205, -0.154527), (0.0, 4.025430, 0.051967, 0.084798))
EQUATION_OF_TIME = ((0.004297, 0.107029, -0.837378), (0.0, -1.837877, -2.340475))

#: Static input -> its function of latitude and longitude, radians.
STATIC: Mapping[str, Callable[[Values, Values], Values]] = {
    "cos_latitude": lambda latitude, longitude: np.cos(latitude),
    "sin_latitude": lambda latitude, longitude: np.sin(latitude),
    "cos_longitude": lambda latitude, longitude: np.cos(longitude),
    "sin_longitude": lambda latitude, longitude: np.sin(longitude),
}

#: Names of forcing.
FORCING = (
    "cos_julian_day",
    "sin_julian_day",
    "cos_local_time",
    "sin_local_time",
    "cos_solar_zenith_angle",
    "insolation",
)


def forcing_at(time: np.datetime64, latitude: Values, longitude: Values) -> dict[str, Values]:
    """All of `FORCING` at a time, (n_columns,) each; degrees."""
    in_year = (time - time.astype("datetime64[Y]")) / _DAY
    in_day = (time - time.astype("datetime64[D]")) / _DAY
    season, local_time = 2.0 * np.pi * in_year / YEAR, 2.0 * np.pi * ((longitude / 360.0 + in_day) % 1.0)
    declination, shift = (np.deg2rad(_series(one, season)) for one in (DECLINATION, EQUATION_OF_TIME))
    # The formula takes the whole hours of the time.
    hour_angle = np.deg2rad((np.floor(in_day * 24.0 + 1e-9) - 12.0) * 15.0 + longitude) + shift
    phi = np.deg2rad(latitude)
    height = np.sin(declination) * np.sin(phi) + np.cos(declination) * np.cos(phi) * np.cos(hour_angle)
    everywhere = np.ones_like(phi)
    return {
        "cos_julian_day": np.cos(season) * everywhere,
        "sin_julian_day": np.sin(season) * everywhere,
        "cos_local_time": np.cos(local_time),
        "sin_local_time": np.sin(local_time),
        "cos_solar_zenith_angle": np.maximum(height, 0.0),
        "insolation": np.maximum(height, 0.0),
    }


def _series(coefficients: tuple[tuple[float, ...], tuple[float, ...]], angle: float) -> float:
    cosines, sines = coefficients
    k = angle * np.arange(len(cosines))
    return float(np.dot(cosines, np.cos(k)) + np.dot(sines, np.sin(k)))
