"""What a land component looks for in what it is given: values that cannot be, and those far from what was learnt.

Numbers on a device are looked at there, and told once they have come to the host.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.labels import is_labelled
from ailand_gt4py.integration.host_points import HostPoints, others_text
from ailand_gt4py.io.quality import expectation, impossible, perhaps_radians
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Variable

logger = logging.getLogger(__name__)


class Late:
    """A few numbers of the device, which the host takes later: it waits only where it asks too early."""

    def __init__(self, device: arrays.Device) -> None:
        self._device = device
        self._values: Any = None
        self._memory: Any = None
        self._arrived: Any = None

    def send(self, values: arrays.Array) -> None:
        """Begin to copy values, of the same shape in every call; they may change once this returns."""
        if self._device == "cpu":
            self._values = values.copy()
            return
        if self._memory is None:
            import cupyx

            # Can be copied to while host and device continue.
            self._memory = cupyx.empty_pinned(values.shape, values.dtype)
        stream = arrays.array_module("cuda").cuda.get_current_stream()
        values.get(stream=stream, out=self._memory, blocking=False)
        self._values, self._arrived = self._memory, stream.record()

    def take(self) -> np.ndarray | None:
        """What was sent last, once."""
        if self._arrived is not None:
            self._arrived.synchronize()
        values, self._values, self._arrived = self._values, None, None
        return values


def require(points: HostPoints, is_right: arrays.Array, values: arrays.Array, name: str, expected: Any) -> None:
    """Check that all of values (n_land,) are right; ``expected``: text, or what makes it of the first wrong value."""
    wrong = arrays.array_module(points.device).flatnonzero(~is_right)
    if wrong.size:
        column = int(wrong[0])
        value = float(values[column])
        raise InputError(
            f"{name}: found {value:g} at {points.location_text(column)}{others_text(int(wrong.size))}, "
            f"{expected(value) if callable(expected) else expected}"
        )


def require_within(
    points: HostPoints, values: arrays.Array, name: str, limits: tuple[float, float], units: str = ""
) -> None:
    """Check that values (n_land,) are within limits."""
    low, high = limits
    require(points, (values >= low) & (values <= high), values, name, f"expected {low:g} to {high:g}{units}")


def require_possible(points: HostPoints, values: arrays.Array, variable: Variable) -> None:
    """Check that values (n_land,) can be, those of types as whole numbers; of an imputed variable NaN may be, too."""
    is_right = ~impossible(variable, values, arrays.array_module(points.device))
    require(points, is_right, values, variable.name, lambda value: expectation(variable, value))


@functools.cache
def require_units(name: str, found: str, units: str) -> None:
    """Check that a unit that the host tells is the one that is expected, in any spelling; `InputError` for another."""
    if found != units and not conversion(found, units, name).is_identity:
        raise InputError(f"{name}: found the unit '{found}', expected '{units}'")


def check_units(field: Any, name: str, units: str) -> None:
    """`require_units` of a host's field that has a unit among its attributes, as a DataArray may."""
    if is_labelled(field) and field.attrs.get("units") is not None:
        require_units(name, str(field.attrs["units"]), units)


def check_coordinates(points: HostPoints, latitude: arrays.Array, longitude: arrays.Array) -> None:
    """Check latitudes and longitudes (n_land,) in degrees; a word where they are perhaps in radians."""
    require_within(points, latitude, "latitude", (-90.0, 90.0), " degrees north")
    require_within(points, longitude, "longitude", (-180.0, 360.0), " degrees east")
    if not points.n_land:
        return
    if largest := perhaps_radians(latitude, longitude):
        logger.warning(
            "latitude, longitude: all land is within %.3g degrees of the equator and %.3g of Greenwich, expected "
            "degrees; these may be radians",
            *largest,
        )


class RangeWatch:
    """Counts values out of the training ranges, and warns once of each variable that is far out of its own.

    Args:
        groups: name -> variables. seconds: lengths over which the host may have accumulated rates by mistake.
    """

    def __init__(self, points: HostPoints, groups: Mapping[str, Sequence[Variable]], seconds: Sequence[float]) -> None:
        self._points, self._groups, self._seconds = points, groups, seconds
        self._xp = arrays.array_module(points.device)
        self._counters = {name: RangeCounter(variables, self._xp) for name, variables in groups.items()}
        self._found = {name: Late(points.device) for name in groups}
        self._told: set[str] = set()

    def look(self, group: str, values: arrays.Array) -> None:
        """Begin to look at values (n_land, n_variables) of a group."""
        xp, ranges = self._xp, self._counters[group].ranges
        far = ranges.far_outside(values)
        first = far.argmax(axis=0)
        rows = [far.sum(axis=0), first, xp.take_along_axis(values, first[None], axis=0)[0]]
        outside = ranges.outside(values)
        found = [outside.sum(axis=1), ranges.extremes(values, outside), xp.stack(rows)]
        self._found[group].send(xp.concatenate(found).astype(np.float64))

    def tell(self) -> None:
        """Count what was found, and warn of it."""
        for group, variables in self._groups.items():
            found = self._found[group].take()
            if found is None:
                continue
            self._counters[group].count(found[:3].astype(np.int64), self._points.n_land, found[3:5])
            for variable, (count, column, value) in zip(variables, found[5:].T, strict=True):
                if count and variable.name not in self._told:
                    self._told.add(variable.name)
                    logger.warning(
                        "%s: found %g at %s%s, far outside the training range of %.6g to %.6g; %s",
                        variable.name, value, self._points.location_text(int(column)), others_text(int(count)),
                        variable.training_minimum, variable.training_maximum,
                        expectation(variable, value, self._seconds),
                    )  # fmt: skip

    def sentences(self) -> list[str]:
        """One for each variable that was ever out of its training range."""
        return [sentence for counter in self._counters.values() for sentence in counter.sentences()]
