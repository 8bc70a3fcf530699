"""The most short-wave radiation that the sun can give: that at the top of the atmosphere, with room for what varies.

More of it, as much by night as by day, tells of another unit, or of times that are not UTC or labels of other windows.
"""

from __future__ import annotations

import math

import numpy as np

from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.sun import TOTAL_SOLAR_IRRADIANCE, position_of_the_sun, time_angles

#: Parts of a window, at whose middles the sun is looked at, are no longer.
HOUR = np.timedelta64(3_600_000_000_000, "ns")

#: What may be measured or modelled beyond it: a part of it (bright clouds beside the sun, snow), W m-2 (pyranometers).
RELATIVE, ABSOLUTE = 0.1, 25.0


class SunLimit:
    """The largest mean over a window [t, t + step) at locations, or over one that is an hour earlier or later.

    Files differ by an hour in what their labels stand for, of which their times tell; this is not to tell it again.

    Args:
        latitude, longitude: (n_columns,) degrees. calendar: of the times.
    """

    def __init__(self, latitude: Values, longitude: Values, step: np.timedelta64, calendar: str = STANDARD) -> None:
        north, east = np.radians(latitude), np.radians(longitude)
        upward = np.stack([np.sin(north), np.cos(north) * np.cos(east), np.cos(north) * np.sin(east)])
        self._upward, self._calendar = upward.astype(np.float32), calendar
        self._n_parts = max(math.ceil(step / HOUR), 2)
        self._part = step / self._n_parts
        self._shift = max(1, round(HOUR / self._part))

    def exceeding(self, times: Values, values: Values) -> list[tuple[int, int]]:
        """Indices of those of the values (n_times, n_columns), W m-2, that are beyond the limit.

        Args:
            times: datetime64 (n_times,), beginnings of the windows.
        """
        found = []
        third = -(-self._n_parts // 3)
        for row, (suns, one) in enumerate(zip(self._suns(times), values, strict=True)):
            # The mean of a cosine without its negative part is no less than that of the cosine itself, in each third of
            # the window: what is within that, as nearly all is, needs no closer look.
            window, least = suns[self._shift :][: self._n_parts], np.zeros_like(one)
            for first in range(0, self._n_parts, third):
                least += np.maximum(self._along(window[first : first + third].sum(axis=0)), 0.0)
            columns = np.flatnonzero(one > self._limit(least))
            if columns.size:
                columns = columns[one[columns] > self._largest(suns, columns)]
                found += [(row, int(column)) for column in columns]
        return found

    def at(self, time: np.datetime64, columns: Values | slice = slice(None)) -> Values:
        """The limit (n_columns,) of the window that begins at a time, W m-2, in some columns."""
        return self._largest(self._suns(np.array([time]))[0], columns)

    def _along(self, sun: Values) -> Values:
        """The part (n_columns,) of a vector (3,) that is upward; a BLAS would wake its threads for it."""
        first, second, third = self._upward
        along: Values = sun[0] * first
        along += sun[1] * second
        along += sun[2] * third
        return along

    def _limit(self, total: Values) -> Values:
        """What a sum over the parts of a window allows."""
        return np.float32((1.0 + RELATIVE) / self._n_parts) * total + np.float32(ABSOLUTE)

    def _largest(self, suns: Values, columns: Values | slice) -> Values:
        cosines = np.maximum(suns @ self._upward[:, columns], 0.0)
        total = cosines[: self._n_parts].sum(axis=0)
        largest = total.copy()
        for k in range(2 * self._shift):
            total += cosines[k + self._n_parts] - cosines[k]
            np.maximum(largest, total, out=largest)
        return self._limit(largest)

    def _suns(self, times: Values) -> Values:
        """The sun in the middles of the parts of windows, and of an hour before and after them: (n_times, n, 3).

        Vectors from the earth's middle, as long as the irradiance, W m-2, float32.
        """
        first, last = -self._shift, self._n_parts + self._shift
        middles = times[:, None] + self._part // 2 + np.arange(first, last) * self._part
        day_angle, greenwich, _ = time_angles(middles.ravel(), 1.0, self._calendar)
        declination, equation_of_time, inverse_square_distance = position_of_the_sun(day_angle)
        hour_angle, across = greenwich + equation_of_time, np.cos(declination)
        # The cosine of hour angle and longitude together, by the theorem on the sum of angles.
        towards = np.stack([np.sin(declination), across * np.cos(hour_angle), -across * np.sin(hour_angle)], axis=-1)
        irradiance = TOTAL_SOLAR_IRRADIANCE * inverse_square_distance[:, None]
        vectors: Values = (irradiance * towards).astype(np.float32).reshape(*middles.shape, 3)
        return vectors
