"""GRIB through earthkit-data: fields along valid time, lazily; refusals. Needs the extra ``grib`` but for one test."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import dask
import era5_files
import numpy as np
import pytest
from era5_files import ACCUMULATED, LATITUDE, LONGITUDE

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import conventions, opening
from ailand_gt4py.io.conventions.era5 import PARAMETERS
from ailand_gt4py.io.fields import Meaning
from ailand_gt4py.io.sources import open_source
from helpers import small_model

HOURS = 12
WEATHER = era5_files.era5(HOURS)
NAMES = {"t2m": "2t", "d2m": "2d", "u10": "10u", "ssrd": "ssrd", "tp": "tp"}


@pytest.fixture
def eccodes():
    """Of the extra."""
    pytest.importorskip("earthkit.data", reason="the extra 'grib' is not installed")
    return pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")


def write_message(eccodes, file: IO[bytes], sample: str, base: np.datetime64, keys: dict, values: np.ndarray) -> None:
    """A field, (cells,), on the grid of the weather, in simple packing."""
    handle = eccodes.codes_grib_new_from_samples(sample)
    grid = {
        **{"Ni": len(LONGITUDE), "Nj": len(LATITUDE), "centre": "ecmf", "bitsPerValue": 24},
        **{"latitudeOfFirstGridPointInDegrees": LATITUDE[0], "latitudeOfLastGridPointInDegrees": LATITUDE[-1]},
        **{"longitudeOfFirstGridPointInDegrees": LONGITUDE[0], "longitudeOfLastGridPointInDegrees": LONGITUDE[-1]},
        **{"iDirectionIncrementInDegrees": 0.25, "jDirectionIncrementInDegrees": 0.25},
        **{"dataDate": int(str(base)[:10].replace("-", "")), "dataTime": 100 * int(str(base)[11:13])},
    }
    for key, value in (grid | keys).items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, np.asarray(values, dtype=np.float64))
    eccodes.codes_write(handle, file)
    eccodes.codes_release(handle)


def write_grib(path: Path, eccodes, weather: Mapping[str, np.ndarray], constant: Mapping[str, np.ndarray]) -> Path:
    """Fields of short names, (hours + 1, cells) and (cells,), edition 2."""
    messages = [(name, hour, one) for name, values in weather.items() for hour, one in enumerate(values)]
    messages += [(name, 0, one) for name, one in constant.items()]
    with path.open("wb") as file:
        for name, hour, values in messages:
            base = np.datetime64("2020-06-01T00") + hour
            write_message(eccodes, file, "regular_ll_sfc_grib2", base, {"shortName": name}, values)
    return path


def test_weather_of_a_file_is_era5(tmp_path: Path, eccodes) -> None:
    weather = {grib: WEATHER[name] for name, grib in NAMES.items()}
    path = write_grib(tmp_path / "era5.grib", eccodes, weather, {"lsm": WEATHER["lsm"]})
    data, _ = opening.open_file(path)
    assert all(dask.is_dask_collection(one.data) for one in data.data_vars.values())
    fields = conventions.read(path)
    assert fields.convention == "ERA5"
    for name, own in {
        "met_tair": "t2m",
        "met_dewpoint": "d2m",
        "met_swdown": "ssrd",
        "met_precipitation": "tp",
    }.items():
        found = fields.dataset[name].transpose("time", "latitude", "longitude").values.reshape(HOURS + 1, -1)
        np.testing.assert_allclose(found, WEATHER[own], rtol=1e-4, atol=1e-7 * np.abs(WEATHER[own]).max())
        assert fields.meanings[name].kind == ("sum" if own in ACCUMULATED else "point")
    assert fields.meanings["met_swdown"] == Meaning("sum", "end", np.timedelta64(1, "h"), source="ERA5")
    np.testing.assert_array_equal(fields.dataset["time"].values, era5_files.times(HOURS))
    np.testing.assert_array_equal(fields.dataset["lat"].values, LATITUDE)
    np.testing.assert_array_equal(fields.dataset["land_sea_mask"].values.ravel(), WEATHER["lsm"])


def forecast(hour: int) -> tuple[np.datetime64, int]:
    """The forecast, of 06 or 18 UTC, that has the sum over the hour before one of June 2020, and its step there, h."""
    number = (hour + 5) // 12
    return np.datetime64("2020-05-31T18") + 12 * number, hour + 6 - 12 * number


def test_era5_of_the_first_edition_is_the_weather_of_its_own_layout(tmp_path: Path, eccodes) -> None:
    """As MARS and the Climate Data Store have it: numbers of parameters, sums from forecasts of 06 and 18 UTC."""
    numbers, path = {one.short[0]: one.number for one in PARAMETERS}, tmp_path / "era5.grib"
    with path.open("wb") as file:
        for name, values in WEATHER.items():
            for hour, one in enumerate(values if values.ndim == 2 else values[None]):
                is_sum = name in ACCUMULATED
                base, step = forecast(hour) if is_sum else (np.datetime64("2020-06-01T00") + hour, 0)
                keys = {
                    **{"table2Version": 128, "indicatorOfParameter": numbers[name]},
                    **({"stepType": "accum", "stepRange": f"{step - 1}-{step}"} if is_sum else {}),
                }
                write_message(eccodes, file, "regular_ll_sfc_grib1", base, keys, one)
    era5_files.own_layout(HOURS).to_netcdf(tmp_path / "own.nc")
    model = small_model()
    with open_source(path, model) as found, open_source(tmp_path / "own.nc", model) as expected:
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_allclose(found.static, expected.static, rtol=1e-5)
        np.testing.assert_allclose(found.initial_state, expected.initial_state, rtol=1e-5)
        values, wanted = found.forcing(0, len(found.times)), expected.forcing(0, len(expected.times))
    scale = np.abs(wanted).max(axis=(0, 1))
    np.testing.assert_allclose(values / scale, wanted / scale, atol=2e-6)


def test_a_field_that_is_missing_at_a_time_is_missing(tmp_path: Path, eccodes) -> None:
    weather = {"2t": WEATHER["t2m"], "2d": WEATHER["d2m"][:-1]}
    data, _ = opening.open_file(write_grib(tmp_path / "in.grib", eccodes, weather, {}))
    assert np.isnan(data["2d"].isel(time=-1).values).all()
    assert np.isfinite(data["2t"].values).all()


def test_what_is_there_twice_is_refused(tmp_path: Path, eccodes) -> None:
    one = write_grib(tmp_path / "one.grib", eccodes, {"2t": WEATHER["t2m"]}, {})
    twice = tmp_path / "twice.grib"
    twice.write_bytes(one.read_bytes() * 2)
    with pytest.raises(InputError, match=r"twice\.grib: field '2t' of 2020-06-01T00:00 is there twice"):
        opening.open_file(twice)


def test_a_damaged_file_is_refused(tmp_path: Path, eccodes) -> None:
    path = tmp_path / "cut.grib"
    path.write_bytes(write_grib(tmp_path / "in.grib", eccodes, {"2t": WEATHER["t2m"]}, {}).read_bytes()[:100])
    with pytest.raises(InputError, match=r"cut\.grib"):
        opening.open_file(path)


def test_without_earthkit_data_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "earthkit.data", None)
    (tmp_path / "in.grib").write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(InputError, match=r"in\.grib: is a GRIB file.*pip install 'ailand_gt4py\[grib\]'"):
        opening.open_file(tmp_path / "in.grib")
