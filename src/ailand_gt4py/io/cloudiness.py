"""Cloud cover of a site from how much of the sun's radiation comes through, to estimate long-wave radiation with."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import derived_forcing

#: Of the radiation at the top of the atmosphere, what reaches sea level under a clear sky, and what more each metre of
#: height lets through (Allen et al. 1998, FAO Irrigation and Drainage Paper 56, eq. 37).
CLEAR_SHARE, CLEAR_PER_METRE = 0.75, 2e-5
#: Mean of a day at the top of the atmosphere below which the short wave does not tell clouds, W m-2.
_LEAST_SUN = 10.0


def cloud_cover(
    utc: Values, interval: np.timedelta64, shortwave: Values, location: tuple[float, float], height: float
) -> Values | None:
    """Cloud cover, 0 to 1, of each day by the local sun: 1 less the part of a clear sky's radiation that comes.

    Crawford and Duchon 1999 (doi:10.1175/1520-0450(1999)038<0474:AIPFEE>2.0.CO;2), by days: their ratio at single times
    has no meaning at night and much noise at low sun. Days without sun have what lies between those around them.

    Args:
        utc: datetime64[ns] (n,), starts of the intervals. shortwave: (n,), W m-2, means over them.
        location: latitude and longitude, degrees. height: m.

    Returns:
        (n,), or None where no day has sun.
    """
    sun = np.empty((len(utc), 1, 1))
    latitude, longitude = (np.array([one]) for one in location)
    seconds = float(interval / np.timedelta64(1, "s"))
    derived_forcing(latitude, longitude, utc, seconds, ["toa_incoming_shortwave_flux"], sun)
    solar = utc + np.timedelta64(round(240 * location[1]), "s")
    days, day = np.unique(solar.astype("datetime64[D]"), return_inverse=True)
    valid = np.isfinite(shortwave)
    counts = np.maximum(np.bincount(day[valid], minlength=len(days)), 1)
    above = np.bincount(day[valid], sun[valid, 0, 0], minlength=len(days)) / counts
    below = np.bincount(day[valid], shortwave[valid], minlength=len(days)) / counts
    sunny = np.flatnonzero(above > _LEAST_SUN)
    if not sunny.size:
        return None
    clear = (CLEAR_SHARE + CLEAR_PER_METRE * height) * above[sunny]
    covers = np.interp(np.arange(len(days)), sunny, np.clip(1.0 - below[sunny] / clear, 0.0, 1.0))
    result: Values = covers[day]
    return result
