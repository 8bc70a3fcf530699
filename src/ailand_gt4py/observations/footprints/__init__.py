"""Brightness temperatures of satellites' footprints, as their agencies' files have them; a module for each layout.

A new layout is one module of this package that adds a `Layout` to `LAYOUTS`. What none of them recognises is read as
any file of columns is (`observations.observed`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.opening import open_file
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE

#: What is observed, and the letters of the polarisations in files.
POLARISATIONS = {"tbh": "h", "tbv": "v"}

#: Seconds, a century: later times are none.
_LONGEST = 3.2e9

#: First bytes of files of HDF5 and of netCDF before version 4.
_SIGNATURES = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


@dataclasses.dataclass(frozen=True)
class Footprints:
    """What a radiometer observed, n footprints of one file in any order.

    Attributes:
        spacing: of the grid that they are posted on, km.
        latitude, longitude: (n,) centres of the grid's cells, degrees.
        times: (n,) datetime64[ns], UTC; NaT where there was no observation.
        incidence: (n,) angle from nadir, degrees.
        values: (2, n) K, in the order of `POLARISATIONS`; NaN where there was no observation.
        errors: (2, n) standard deviations, K; NaN where they are not known.
        recommended: (2, n) whether the file recommends the values.
    """

    spacing: float
    latitude: Values
    longitude: Values
    times: Values
    incidence: Values
    values: Values
    errors: Values
    recommended: Values

    def at(self, chosen: Values) -> Footprints:
        """Those at positions or where booleans (n,) are true."""
        parts: dict[str, Any] = {name: getattr(self, name)[..., chosen] for name in _OF_FOOTPRINTS}
        return dataclasses.replace(self, **parts)


#: Attributes with a value of each footprint.
_OF_FOOTPRINTS = tuple(field.name for field in dataclasses.fields(Footprints) if field.name != "spacing")


def joined(parts: Sequence[Footprints]) -> Footprints:
    """Footprints of one grid, one after the other."""
    together: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in parts], axis=-1) for name in _OF_FOOTPRINTS
    }
    return dataclasses.replace(parts[0], **together)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A layout of files.

    Attributes:
        name: of the product. recommends: what makes a footprint a recommended one, for messages.
        recognises: by a netCDF or HDF5 file and what is in its root group.
        read: the footprints of a file, of the angles that it has the one nearest to that given, degrees; raises
            `InputError`.
    """

    name: str
    recommends: str
    recognises: Callable[[Path, xr.Dataset], bool]
    read: Callable[[Path, float], Footprints]


LAYOUTS: Registry[Layout] = Registry(__name__)


def layout_of(path: Path) -> Layout | None:
    """The layout of a file of footprints; None of any other file, or where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4) not in _SIGNATURES:
            return None
    # Files may be open already as columns: by the one way that opens a file once.
    dataset, _ = open_file(path)
    with contextlib.closing(dataset):
        return next((layout for layout in LAYOUTS.items() if layout.recognises(path, dataset)), None)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[netCDF4.Dataset]:
    """A file that `layout_of` has opened before; what goes wrong with it becomes an `InputError`."""
    try:
        with netCDF4.Dataset(path) as dataset:
            yield dataset
    except InputError:
        raise
    except (OSError, RuntimeError, IndexError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); expected a file that is whole") from error


def numbers(group: netCDF4.Dataset, name: str, what: str, fill: float = np.nan) -> Values:
    """Float64 of a variable, unpacked, NaN at its fill value and below ``fill``, which not all files name.

    Raises:
        InputError: there is no such variable, or it has no numbers.
    """
    if name not in group.variables:
        raise InputError(f"{what}: has no '{name}', expected it")
    if getattr(group[name].dtype, "kind", "") not in ("i", "u", "f"):
        raise InputError(f"{what}: '{name}' has no numbers, expected them")
    values = np.ma.filled(np.ma.asarray(group[name][...]).astype(np.float64), np.nan)
    return np.where(values <= fill, np.nan, values)


def temperatures(group: netCDF4.Dataset, name: str, what: str, fill: float = np.nan) -> Values:
    """`numbers` in K; without the attribute ``units`` they are, as the products' documents say."""
    units = getattr(group[name], "units", None) if name in group.variables else None
    values = numbers(group, name, what, fill)
    expected = CATALOGUE["tbh"].units
    return conversion(expected if units is None else units, expected, f"{what}: variable '{name}'").apply(values)


def times_since(epoch: np.datetime64, seconds: Values) -> Values:
    """(n,) datetime64[ns], seconds after an epoch; NaT where these are not known or no time of a satellite's."""
    known = np.abs(seconds) < _LONGEST
    since = np.where(known, np.rint(np.where(known, seconds, 0.0) * 1e3), 0.0).astype("timedelta64[ms]")
    return np.where(known, epoch.astype("datetime64[ns]") + since, np.datetime64("NaT", "ns"))
