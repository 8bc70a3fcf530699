"""Weather for the snow models FSM and FSM2: a table of numbers without a header (Essery 2015).

Columns (doi:10.5194/gmd-8-3867-2015, github.com/RichardEssery/FSM): year, month, day, hour, short wave, long wave,
snowfall, rainfall, temperature, relative humidity, wind speed, pressure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import step_of
from ailand_gt4py.io.opening import OPENERS, Opener

#: Of the columns after the hour, in order.
COLUMNS = {
    "SW": "W m-2",
    "LW": "W m-2",
    "Sf": "kg m-2 s-1",
    "Rf": "kg m-2 s-1",
    "Ta": "K",
    "RH": "%",
    "Ua": "m s-1",
    "Ps": "Pa",
}
_N_COLUMNS = 4 + len(COLUMNS)
FORMAT = "FSM"


def _is_row(line: bytes) -> bool:
    parts = line.split()
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return False
    if len(numbers) != _N_COLUMNS:
        return False
    year, month, day, hour = numbers[:4]
    is_date = 1800 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= 31 and 0 <= hour <= 24
    return is_date and 150.0 < numbers[8] < 350.0 and 3e4 < numbers[11] < 1.2e5


def recognises(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            lines = [file.readline(1000) for _ in range(2)]
        return all(map(_is_row, lines))
    except OSError:
        return False


def open_table(path: Path) -> xr.Dataset:
    """The table along ``time``, datetime64[ns] at the starts of the intervals, which end at the file's hours.

    Raises:
        InputError: naming what cannot be read.
    """
    try:
        table: Any = np.loadtxt(path, ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); expected lines of {_N_COLUMNS} numbers") from error
    year, month, day, hour = table[:, :4].T
    months = np.round((year - 1970) * 12 + month - 1).astype(np.int64).astype("datetime64[M]")
    seconds = np.round((day - 1) * 86_400 + hour * 3600).astype("timedelta64[s]")
    ends = months.astype("datetime64[ns]") + seconds
    if len(ends) < 2:
        raise InputError(f"{path}: has one line, expected more, to determine the length of intervals")
    starts = ends - max(np.diff(ends).min(), step_of(1.0))
    columns = {
        name: ("time", table[:, 4 + index], {"units": units}) for index, (name, units) in enumerate(COLUMNS.items())
    }
    return xr.Dataset(columns, {"time": ("time", starts)}, {"format": FORMAT})


OPENERS.add(Opener("weather for FSM (text)", recognises, open_table))
