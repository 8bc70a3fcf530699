"""Clocks of sites: local standard time to UTC, by the longitude or as the user tells, checked against the sun."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io.fields import CONTRADICTION

#: Hours between the offsets that are tried against the sun.
RESOLUTION = 0.25
#: Hours by which the sun's offset may differ before it says another one: clouds of the afternoon and a pyranometer that
#: is not level move it by a quarter of an hour, legal time of half an hour is half an hour off the longitude's.
TOLERANCE = 0.5
#: Hours by which legal standard time differs from the longitude's at most where people live as the sun goes (Spain,
#: western China beyond it: there the user says so).
LEGAL = 1.75
#: How much better the correlation has to be for another clock in a month of data; in shorter ones by as much more as
#: chance is larger. Of 60 months of five sites none is taken for another clock so, a true hour is found in all years.
LEAST_GAIN, ENOUGH_DAYS = 0.02, 30.0
#: Labels that are looked at, about: four months of half-hours.
_LARGEST_SAMPLE = 6_000
#: W m-2 between light and dark below which the short wave tells nothing: polar night, or a sensor that is off.
_LEAST_RANGE = 20.0
#: Correlation with the sun below which the short wave is not of this location and time whatever the clock.
LEAST_CORRELATION = 0.5


@dataclasses.dataclass(frozen=True)
class Clock:
    """A file's clock.

    Attributes:
        offset: hours to be subtracted from its times to get UTC. note: how it is known, a sentence.
    """

    offset: float
    note: str


def longitude_offset(longitude: float) -> float:
    """Hours of standard time before UTC at a longitude, zones 15 degrees wide around multiples of 15 degrees."""
    return float(np.floor(((longitude + 180.0) % 360.0 - 180.0) / 15.0 + 0.5))


def sun_offset(
    starts: Values, interval: np.timedelta64, shortwave: Values, latitude: float, longitude: float
) -> tuple[Values, Values]:
    """How well the short wave fits the sun for offsets that a clock may have, most closely around the best.

    Args:
        starts: datetime64[ns] (n,), starts of the intervals by the file's clock. shortwave: (n,), W m-2, means over
            them; NaN where missing.

    Returns:
        Offsets in hours, increasing, and the correlation of the short wave with the insolation at the top of the
        atmosphere; NaN where there is none.
    """
    valid = np.flatnonzero(np.isfinite(shortwave))
    days = starts[valid].astype("datetime64[D]").astype(np.int64)
    # Some days, all hours of each: with single labels some hours might not be among them.
    valid = valid[(days - days.min(initial=0)) % max(1, len(valid) // _LARGEST_SAMPLE) == 0]
    times, values = starts[valid], shortwave[valid].astype(np.float64)
    seconds = float(interval / np.timedelta64(1, "s"))
    where = np.array([latitude]), np.array([longitude])

    def correlation(offset: float) -> float:
        sun = np.empty((len(times), 1, 1))
        utc = times - np.timedelta64(round(offset * 3600), "s")
        derived_forcing(*where, utc, seconds, ["toa_incoming_shortwave_flux"], sun)
        return float(np.corrcoef(sun[:, 0, 0], values)[0, 1]) if np.ptp(sun) > 0.0 else np.nan

    coarse = np.arange(-12.0, 15.0)
    if len(valid) < 2 or np.ptp(values) == 0.0:
        return coarse, np.full(len(coarse), np.nan)
    found = {offset: correlation(offset) for offset in coarse}
    if np.isfinite(list(found.values())).any():
        best = max(found, key=lambda offset: np.nan_to_num(found[offset], nan=-1.0))
        found |= {offset: correlation(offset) for offset in best + np.arange(-1.0, 1.0, RESOLUTION)}
    return np.array(sorted(found)), np.array([found[offset] for offset in sorted(found)])


def clock(
    starts: Values,
    interval: np.timedelta64,
    shortwave: Values | None,
    location: tuple[float, float],
    told: float | None,
    what: str,
    is_utc: bool = False,
) -> Clock:
    """The clock of a site's file, in local standard time if nothing else is told or its format says UTC.

    Args:
        starts, interval, shortwave: see `sun_offset`; None: no short wave to check it with.
        location: latitude and longitude, degrees. told: offset that the user gives. what: names the file.

    Raises:
        InputError: the sun contradicts the longitude by more than legal time may, or is not in the short wave.
    """
    by_format = 0.0 if is_utc else longitude_offset(location[1])
    assumed = by_format if told is None else told
    source = "as by the format" if is_utc else "local standard time by the longitude"
    said = f"Time labels: {source if told is None else 'as --utc-offset says'}, UTC{_signed(assumed)}"
    if shortwave is None or not np.nanmax(shortwave, initial=0.0) - np.nanmin(shortwave, initial=0.0) > _LEAST_RANGE:
        return Clock(assumed, f"{said}; not checked against the sun, there being no short wave to do it with.")
    offsets, found = sun_offset(starts, interval, shortwave, *location)
    if not np.isfinite(found).any():
        return Clock(assumed, f"{said}; not checked against the sun, which does not rise.")
    best, at_best = float(offsets[np.nanargmax(found)]), float(np.nanmax(found))
    at_assumed = float(np.interp(assumed, offsets, found))
    if at_best < LEAST_CORRELATION:
        raise InputError(
            f"{what}: short-wave radiation fits the sun at {location[0]:g}, {location[1]:g} with no clock (correlation "
            f"{at_best:.2f} at best), expected that of this site"
        )
    fits = f"the short wave fits the sun best at UTC{_signed(best)} (correlation {at_best:.3f}, here {at_assumed:.3f})"
    apart = abs((best - assumed + 12.0) % 24.0 - 12.0)
    if apart <= TOLERANCE:
        return Clock(assumed, f"{said}; checked against the sun: {fits}.")
    if told is not None:
        return Clock(assumed, f"{CONTRADICTION}, the option is followed: {said}, but {fits}.")
    legal = float(np.floor(best + 0.5))
    days = np.isfinite(shortwave).sum() * (interval / np.timedelta64(1, "D"))
    if apart <= LEGAL and at_best - at_assumed < LEAST_GAIN * max(1.0, ENOUGH_DAYS / days) ** 0.5:
        return Clock(assumed, f"{said}; not contradicted by the sun: {fits}, which is within chance.")
    if apart > LEGAL:
        raise InputError(
            f"{what}: its clock should be UTC{_signed(assumed)} ({source}; longitude {location[1]:g}), but {fits}; "
            f"expected that, or --utc-offset {legal:g} (or another number of hours)"
        )
    said = f"Time labels: UTC{_signed(legal)}, not UTC{_signed(assumed)} ({source}): {fits}."
    return Clock(legal, f"{CONTRADICTION}, the sun is followed: {said}")


def _signed(hours: float) -> str:
    return f"{hours:+g}" if hours else ""
