"""Tables of flux towers: FLUXNET2015, ONEFlux, ICOS and AmeriFlux FULLSET or SUBSET as comma-separated text.

Format: https://fluxnet.org/data/fluxnet2015-dataset (Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3). The first
columns are ``TIMESTAMP_START`` and ``TIMESTAMP_END``, or one of them, or ``TIMESTAMP`` of days; -9999 is missing. No
column tells its unit: they follow from the roots of the names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.opening import OPENERS, Opener
from ailand_gt4py.io.opening.packed_text import open_text

#: Root of the name of a column -> its unit. P is a sum over the interval.
UNITS = {
    "TA": "degC", "SW_IN": "W m-2", "SW_OUT": "W m-2", "LW_IN": "W m-2", "LW_OUT": "W m-2", "VPD": "hPa", "PA": "kPa",
    "P": "mm", "WS": "m s-1", "WD": "degree", "RH": "%", "NETRAD": "W m-2", "LE": "W m-2", "H": "W m-2",
    "G": "W m-2", "eair": "kPa", "LAI": "m2 m-2",
}  # fmt: skip
_START, _END, _DAY = "TIMESTAMP_START", "TIMESTAMP_END", "TIMESTAMP"
MISSING = -9999.0
FORMAT = "FLUXNET"
#: A column that is kept: root, how it was filled, and its flag.
_COLUMN = re.compile(r"([A-Za-z]+(?:_IN|_OUT)?)(?:_POT)?(?:_JSB)?(?:_F)?(?:_MDS)?(?:_QC)?")


def _header(path: Path) -> list[str]:
    with open_text(path) as file:
        return [one.strip().strip('"') for one in file.readline(100_000).lstrip("\ufeff").split(",")]


def recognises(path: Path) -> bool:
    try:
        return _header(path)[0] in (_START, _END, _DAY)
    except (OSError, ValueError, EOFError):
        return False


def open_table(path: Path) -> xr.Dataset:
    """The weather and fluxes of a table along ``time``, datetime64[ns] at the starts of the intervals, as in the file.

    Raises:
        InputError: naming column and line.
    """
    import pandas as pd  # takes its time, and few runs need it

    names = _header(path)
    stamps = [name for name in (_START, _END, _DAY) if name in names]
    kept = [name for name in names if (found := _COLUMN.fullmatch(name)) and found[1] in UNITS and name not in stamps]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: column '{twice}' is there twice, expected once")
    types: dict[str, Any] = dict.fromkeys(stamps, str)
    try:
        _require_equal_lines(path, len(names))
        with open_text(path) as file:
            table = pd.read_csv(
                file, usecols=[*stamps, *kept], dtype=types, index_col=False, skipinitialspace=True, low_memory=False
            )
    except InputError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); expected comma-separated columns") from error
    if table.empty:
        raise InputError(f"{path}: has no line below its header, expected values")
    columns: dict[str, tuple[str, Values, dict[str, str]]] = {}
    for name in kept:
        values = _numbers(path, name, table[name])
        found = _COLUMN.fullmatch(name)
        assert found is not None  # kept for it
        units = "1" if name.endswith("_QC") else UNITS[found[1]]
        columns[name] = ("time", values, {"units": units})
    starts, ends = (_times(path, name, table[name].to_numpy()) if name in stamps else None for name in (_START, _END))
    if starts is None:
        starts = _times(path, _DAY, table[_DAY].to_numpy()) if ends is None else _before(path, ends)
    return xr.Dataset(columns, {"time": ("time", starts)}, {"format": FORMAT})


def _require_equal_lines(path: Path, n_columns: int) -> None:
    """Check that all lines have a value for each column: pandas fills up short lines, and cuts others."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            found = line.count(",") + 1
            if found != n_columns and line.strip():
                raise InputError(f"{path}: line {number} has {found} values, expected {n_columns} as in the header")


def _numbers(path: Path, name: str, column: Any) -> Values:
    """A column as float64, NaN where it is missing."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if wrong.size:
        raise InputError(
            f"{path}: column '{name}' is {str(column.iloc[wrong[0]])[:40]!r} in line {wrong[0] + 2}, expected a number"
        )
    result: Values = np.where(values == MISSING, np.nan, values)
    return result


def _times(path: Path, name: str, texts: Values) -> Values:
    """Times of YYYYMMDD[HHMM] or ISO format."""
    import pandas as pd

    known = {8: "%Y%m%d", 12: "%Y%m%d%H%M"}
    length = len(str(texts[0]))
    form = known.get(length, "ISO8601")
    found = pd.to_datetime(pd.Series(texts), format=form, errors="coerce").to_numpy("datetime64[ns]")
    wrong = np.flatnonzero(np.isnat(found))
    if wrong.size:
        raise InputError(
            f"{path}: column '{name}' is {str(texts[wrong[0]])[:40]!r} in line {wrong[0] + 2}, expected a time such as "
            "200501010030"
        )
    return cast("Values", found)


def _before(path: Path, ends: Values) -> Values:
    """Starts of intervals that end at these times."""
    if len(ends) < 2:
        raise InputError(f"{path}: has one line and no '{_START}', expected it, to determine the length of intervals")
    return cast("Values", ends - max(np.diff(ends).min(), step_of(1.0)))


OPENERS.add(Opener("tables of flux towers (CSV)", recognises, open_table))
