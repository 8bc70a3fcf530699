"""Files of many parts are read near the period that is wanted alone."""

from __future__ import annotations

import era5_files
import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.io import opening

DATA = era5_files.gridded({"t2m": era5_files.era5(24 * 20)["t2m"]}, "time")
FIRST, LAST = np.datetime64("2020-06-08T00", "ns"), np.datetime64("2020-06-09T12", "ns")


@pytest.fixture
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "READ_BYTES", 1)


def test_rows_of_the_period_and_two_days_beyond_it(many_parts: None) -> None:
    found = opening.of_period(DATA, "time", FIRST, LAST)["time"].values
    assert (found[0], found[-1]) == (FIRST - np.timedelta64(48, "h"), LAST + np.timedelta64(48, "h"))
    early = opening.of_period(DATA, "time", None, FIRST)["time"].values
    assert (early[0], early[-1]) == (DATA["time"].values[0], FIRST + np.timedelta64(48, "h"))
    assert opening.of_period(DATA, "time", LAST, None).sizes["time"] < DATA.sizes["time"]


def test_parts_begin_where_those_of_the_file_do(many_parts: None) -> None:
    data = DATA.copy()
    data["t2m"].encoding["chunksizes"] = (5, 2, 3)
    found = opening.of_period(data, "time", FIRST, LAST)["time"].values
    index = int(np.searchsorted(DATA["time"].values, found[0]))
    assert index % 5 == 0
    assert FIRST - np.timedelta64(53, "h") < found[0] <= FIRST - np.timedelta64(48, "h")


def test_all_is_kept_of_small_files_and_where_nothing_else_can_be_told(many_parts: None) -> None:
    later = np.datetime64("2030-01-01", "ns")
    unknown = DATA.assign_coords(time=("time", np.arange(DATA.sizes["time"]), {"units": "fortnights since yesterday"}))
    kept: list[tuple[xr.Dataset, np.datetime64 | None]] = [(DATA, None), (DATA, later), (unknown, FIRST)]
    for data, first in kept:
        assert opening.of_period(data, "time", first, None) is data
    few = DATA.isel(time=slice(opening.MOST_PARTS))
    assert opening.of_period(few, "time", FIRST, LAST) is few
