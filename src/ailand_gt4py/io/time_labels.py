"""Time labels of a file, decoded and checked."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values

#: CF names of the calendar that UTC follows (the Julian part of 'standard' ended in 1582).
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")


def decoded(variable: xr.DataArray, what: str) -> Values:
    """Time labels as datetime64[ns], strictly increasing; ``what`` names file and variable."""
    if variable.dims != (variable.name,):
        raise InputError(
            f"{what} has the dimensions ({', '.join(map(str, variable.dims)) or 'none'}), expected ({variable.name})"
        )
    if variable.dtype.kind == "M":
        return _checked(variable.values.astype("datetime64[ns]"), what)
    calendar = str(variable.attrs.get("calendar", "standard")).lower()
    if calendar not in CALENDARS:
        raise InputError(f"{what} has the calendar '{calendar}'; expected {' or '.join(CALENDARS)}")
    unit = str(variable.attrs.get("units", ""))
    if " since " not in unit:
        raise InputError(f"{what} has the unit '{unit}'; expected one such as 'hours since 2020-01-01'")
    coder = xr.coders.CFDatetimeCoder(use_cftime=False, time_unit="ns")
    try:
        times = np.asarray(coder.decode(variable.variable, variable.name).values).astype("datetime64[ns]")
    except (ValueError, OverflowError, OSError, RuntimeError, TypeError) as error:
        raise InputError(f"{what} cannot be decoded ({reason(error)}); expected times in '{unit}'") from error
    return _checked(times, what)


def _checked(times: Values, what: str) -> Values:
    if np.isnat(times).any():
        raise InputError(f"{what} has no value at index {int(np.isnat(times).argmax())}, expected a time")
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if wrong.size:
        before, after = times[wrong[0] : wrong[0] + 2]
        raise InputError(
            f"{what} at index {wrong[0] + 1} ({time_text(after)}) {'repeats' if after == before else 'is before'} the "
            f"one at index {wrong[0]} ({time_text(before)}); expected strictly increasing times"
        )
    return times
