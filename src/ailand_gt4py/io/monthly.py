"""Climatologies by calendar month at times between the middles of the months."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

MONTH = "month"
#: Day of the month at which its value holds, as in the IFS.
MIDDLE = 15


def in_order(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    """A file with its months from January to December, by their labels 1 to 12 (or 0 to 11) where there are any.

    Raises:
        InputError: other months than these.
    """
    found = np.asarray(dataset[MONTH].values)
    order = np.argsort(found)
    months = {tuple(range(first, first + 12)) for first in (0, 1)}
    if tuple(found[order].tolist()) not in months:
        shown = ", ".join(map(str, found.tolist()[:13]))
        raise InputError(f"{path}: dimension '{MONTH}' has the labels {shown}; expected the months 1 to 12")
    return dataset if (np.diff(order) == 1).all() else dataset.isel({MONTH: order})


def at_times(climatology: xr.DataArray, times: Values) -> xr.DataArray:
    """Values of the 12 calendar months (month, ...) at times (n,), datetime64: linear between the middles of months."""
    month = times.astype("datetime64[M]")
    middles = [(month + shift).astype(times.dtype) + np.timedelta64(MIDDLE - 1, "D") for shift in (-1, 0, 1)]
    is_late = times >= middles[1]
    before = np.where(is_late, middles[1], middles[0])
    after = np.where(is_late, middles[2], middles[1])
    weight = xr.DataArray((times - before) / (after - before), dims="time")
    first = (month.astype(np.int64) - ~is_late) % 12
    lower, upper = (climatology.isel({MONTH: xr.DataArray(index % 12, dims="time")}) for index in (first, first + 1))
    result: xr.DataArray = lower + weight * (upper - lower)
    return result.drop_vars(MONTH, errors="ignore").transpose("time", ...).assign_attrs(climatology.attrs)
