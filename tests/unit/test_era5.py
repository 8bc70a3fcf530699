"""ERA5 and ERA5-Land in the layouts that users get: recognised by content, names, units, meaning in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask
import era5_files
import numpy as np
import pytest
import xarray as xr
from column_files import dataset as own_dataset
from era5_files import ACCUMULATED, LATITUDE, LONG, LONGITUDE, cds, cds_files, gridded, since_midnight, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import conventions
from ailand_gt4py.io.conventions import convention_of
from ailand_gt4py.io.conventions.era5 import ERA5, ERA5_LAND, PARAMETERS, accumulates_through_day, is_ecmwf
from ailand_gt4py.io.fields import Fields, Meaning

HOURS = 48
HOURLY = Meaning("sum", "end", np.timedelta64(1, "h"), source="ERA5")
DAILY = Meaning("accumulated", source="ERA5-Land")
POINT = Meaning("point", source="ERA5")
WEATHER = era5_files.era5(HOURS)
#: The catalogue's names -> ECMWF's.
NAMES = {
    "met_tair": "t2m",
    "met_dewpoint": "d2m",
    "met_swdown": "ssrd",
    "met_precipitation": "tp",
    "sd": "sd",
    "t2m": "t2m",
}


def same_weather(fields: Fields, name: str, expected: np.ndarray) -> None:
    found = fields.dataset[name]
    assert dask.is_dask_collection(found.data)
    assert found.dims[0] == "time"
    values = found.transpose("time", "latitude", "longitude").values.reshape(len(expected), -1)
    np.testing.assert_allclose(values, expected.astype(np.float32), rtol=1e-6)


def test_present_layout_of_the_climate_data_store(tmp_path: Path) -> None:
    instant, accum, static = map(conventions.read, cds_files(tmp_path, HOURS))
    assert {one.convention for one in (instant, accum, static)} == {"ERA5"}
    for name, own in NAMES.items():
        part = accum if own in ACCUMULATED else instant
        same_weather(part, name, WEATHER[own])
        assert part.own_names[name] == own
        assert part.meanings[name] == (HOURLY if own in ACCUMULATED else POINT)
    np.testing.assert_array_equal(instant.dataset["time"].values, era5_files.times(HOURS))
    assert static.dataset["clim_cvh"].dims == ("latitude", "longitude"), "a time of length one is none"
    assert "time" not in static.dataset.dims
    assert static.meanings == {}
    assert "met_tair from 't2m'" in " ".join(instant.notes)
    assert "are at 2 m" in " ".join(instant.notes)
    assert "sums over the step that ends at the label" in " ".join(accum.notes)


@pytest.mark.parametrize("preliminary_from", [None, 30])
def test_former_layout_with_final_and_preliminary_data(tmp_path: Path, preliminary_from: int | None) -> None:
    fields = {name: one for name, one in WEATHER.items() if one.ndim == 2}
    data = gridded(fields, "time")
    if preliminary_from is not None:
        is_final = xr.DataArray(np.arange(HOURS + 1) < preliminary_from, dims="time")
        data = xr.concat([data.where(is_final), data.where(~is_final)], dim="expver").assign_coords(expver=[1, 5])
    fields_read = conventions.read(write(data, tmp_path / "adaptor.nc"))
    for name, own in NAMES.items():
        same_weather(fields_read, name, WEATHER[own])
    assert fields_read.meanings["met_swdown"] == HOURLY
    assert any("Preliminary" in note for note in fields_read.notes) == (preliminary_from is not None)
    assert "units" in fields_read.dataset["met_swdown"].attrs


def test_preliminary_labels_of_the_present_layout_are_counted(tmp_path: Path) -> None:
    data = cds({"t2m": WEATHER["t2m"]}, "instant")
    data["expver"][40:] = "0005"
    notes = conventions.read(write(data, tmp_path / "in.nc")).notes
    assert f"Preliminary (ERA5T): {HOURS + 1 - 40} of {HOURS + 1} labels." in notes


def test_packed_types_are_whole_numbers_again(tmp_path: Path) -> None:
    data = gridded({name: WEATHER[name][None] for name in ("tvh", "tvl", "cvh")}, "time")
    data["tvl"].values[0, 0, 0] = 16.4  # no type, whatever the packing
    packed = {"dtype": "int16", "scale_factor": 20 / 65534, "add_offset": 10.0, "_FillValue": -32767}
    path = tmp_path / "packed.nc"
    data.to_netcdf(path, encoding={"tvh": packed, "tvl": packed})
    with xr.open_dataset(path) as file:
        assert (file["tvh"] != 5.0).all()
    fields = conventions.read(path)
    np.testing.assert_array_equal(fields.dataset["clim_tvh"].values, 5.0)
    assert fields.dataset["clim_tvl"].values[0, 0] == pytest.approx(16.4, abs=1e-3)
    assert "rounded to the whole numbers that they are: clim_tvh, clim_tvl." in " ".join(fields.notes)
    assert fields.dataset["clim_tvh"].attrs["units"] == "~"


def test_other_versions_are_refused(tmp_path: Path) -> None:
    data = gridded({"t2m": WEATHER["t2m"]}, "time").expand_dims(expver=[1, 70])
    data["t2m"].attrs["long_name"] = "2 metre temperature"
    with pytest.raises(InputError, match=r"in\.nc: variable 'expver' is 1, 70, expected"):
        conventions.read(write(data, tmp_path / "in.nc"))


def test_arco_has_long_names_constant_fields_without_time_and_levels(tmp_path: Path) -> None:
    data = gridded(WEATHER, "time", names=LONG)
    aloft = np.zeros((HOURS + 1, 2, len(LATITUDE), len(LONGITUDE)), np.float32)
    data["geopotential"] = (("time", "level", "latitude", "longitude"), aloft, {"units": "m**2 s**-2"})
    data["temperature"] = data["geopotential"]
    data.assign_coords(level=[500, 850]).to_zarr(tmp_path / "era5.zarr", zarr_format=2, consolidated=True)
    fields = conventions.read(tmp_path / "era5.zarr")
    assert fields.convention == "ERA5"
    for name, own in NAMES.items():
        same_weather(fields, name, WEATHER[own])
    assert fields.own_names["clim_geopot"] == "geopotential_at_surface"
    assert fields.dataset["clim_sotype"].dims == ("latitude", "longitude")
    assert "Left out, of levels of the atmosphere: geopotential, temperature." in fields.notes
    assert "level" not in fields.dataset.dims


@pytest.mark.parametrize(
    "renamed",
    [
        lambda one: f"VAR_{one.short[-1].upper()}",
        lambda one: f"var{one.number}",
        lambda one: one.short[-1],
        lambda one: one.short[0].upper(),
    ],
    ids=["NCAR", "number", "GRIB", "capitals"],
)
def test_names_that_others_give(tmp_path: Path, renamed: Callable[..., str]) -> None:
    by_short = {one.short[0]: one for one in PARAMETERS}
    weather = {name: one for name, one in WEATHER.items() if one.ndim == 2}
    data = gridded(weather, "time", names={name: renamed(by_short[name]) for name in weather})
    fields = conventions.read(write(data, tmp_path / "in.nc"))
    assert fields.convention == "ERA5"
    for name, own in NAMES.items():
        same_weather(fields, name, WEATHER[own])


def test_era5_land_accumulates_from_midnight_on(tmp_path: Path) -> None:
    land = since_midnight(WEATHER)
    accum = conventions.read(write(cds({name: land[name] for name in ACCUMULATED}, "accum"), tmp_path / "in.nc"))
    assert accum.convention == "ERA5-Land"
    assert accum.meanings["met_swdown"] == accum.meanings["met_precipitation"] == DAILY
    same_weather(accum, "met_swdown", land["ssrd"])
    assert "sums from 00 UTC on" in " ".join(accum.notes)


@pytest.mark.parametrize("own", ["strd", "ssrd", "tp"])
@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize("is_land", [True, False])
def test_values_tell_how_they_are_accumulated(own: str, first: int, is_land: bool) -> None:
    fields = since_midnight(WEATHER) if is_land else WEATHER
    data = gridded({own: fields[own]}, "time").isel(time=slice(first, None))
    assert accumulates_through_day(data) == is_land


def test_a_morning_of_sunshine_cannot_tell() -> None:
    morning = gridded({"ssrd": WEATHER["ssrd"]}, "time").isel(time=slice(0, 12))
    assert accumulates_through_day(morning) is None


def test_values_that_cannot_tell_leave_it_to_the_grid(tmp_path: Path) -> None:
    dry = gridded({"tp": np.zeros((HOURS + 1, 6)), "sp": WEATHER["sp"], "u10": WEATHER["u10"]}, "time")
    assert accumulates_through_day(dry) is None
    assert accumulates_through_day(dry.isel(time=[0])) is None
    assert convention_of(dry) is ERA5
    fine = dry.assign_coords(latitude=("latitude", [50.2, 50.1]), longitude=("longitude", [7.0, 7.1, 7.2]))
    assert convention_of(fine) is ERA5_LAND
    # Users make hourly sums of ERA5-Land: then the values are right, not the grid.
    fine["strd"] = (dry["sp"].dims, gridded(WEATHER, "time")["strd"].values, {"units": "J m**-2"})
    assert convention_of(fine) is ERA5


def test_missing_values_over_sea_do_not_hide_how_land_accumulates() -> None:
    data = gridded({"strd": since_midnight(WEATHER)["strd"]}, "time")
    assert accumulates_through_day(data.where(data.longitude > 7.1)) is True
    assert accumulates_through_day(data.where(data.longitude > 99.0)) is None


def test_mean_rates_stand_in_for_sums_and_never_beside_them(tmp_path: Path) -> None:
    rates = {"avg_sdswrf": WEATHER["ssrd"] / 3600.0, "avg_tprate": WEATHER["tp"] / 3.6}
    alone = conventions.read(write(cds(rates, "avg"), tmp_path / "rates.nc"))
    assert alone.meanings["met_swdown"] == Meaning("mean", "end", np.timedelta64(1, "h"), source="ERA5")
    same_weather(alone, "met_precipitation", rates["avg_tprate"])
    both = conventions.read(write(cds(rates | {"ssrd": WEATHER["ssrd"]}, "accum"), tmp_path / "both.nc"))
    assert both.own_names["met_swdown"] == "ssrd"
    assert both.meanings["met_swdown"].kind == "sum"


def test_snow_depth_is_water_unless_there_is_a_field_of_water(tmp_path: Path) -> None:
    water, deep = WEATHER["sd"], 5.0 * WEATHER["sd"]
    data = gridded({"sd": water, "t2m": WEATHER["t2m"]}, "time", names=LONG | {"sd": "snow_depth_water_equivalent"})
    data["snow_depth"] = gridded({"sd": deep}, "time")["sd"].assign_attrs(units="m")
    fields = conventions.read(write(data, tmp_path / "land.nc"))
    same_weather(fields, "sd", water)
    assert "Left out, as the depth of snow, not of its water, by its unit: snow_depth." in fields.notes
    alone = conventions.read(write(data.drop_vars("snow_depth_water_equivalent"), tmp_path / "deep.nc"))
    assert "sd" not in alone.dataset


def test_three_hours_of_the_ensemble(tmp_path: Path) -> None:
    data = gridded({"ssrd": WEATHER["ssrd"], "t2m": WEATHER["t2m"], "sp": WEATHER["sp"]}, "time")
    data = data.isel(time=slice(0, None, 3)).expand_dims(number=[0, 1])
    fields = conventions.read(write(data, tmp_path / "in.nc"))
    assert fields.meanings["met_swdown"] == Meaning("sum", "end", np.timedelta64(3, "h"), source="ERA5")


def test_other_files_are_not_taken_for_ecmwf_s(tmp_path: Path) -> None:
    assert not is_ecmwf(own_dataset())
    results = own_dataset()[["swvl1", "stl1", "snowc", "t2m", "d2m", "skt", "sshf", "slhf", "lat", "lon"]]
    assert not is_ecmwf(results), "a file of this package's results"
    climate = gridded({name: WEATHER[name] for name in ("cvh", "cvl", "tvh", "tvl", "z")}, "time")
    assert is_ecmwf(climate)
    assert not is_ecmwf(climate.rename(z="geopot")), "ecLand's own"
    surface = gridded({"z": WEATHER["z"]}, "time")
    assert not is_ecmwf(surface), "a letter alone"
    assert not is_ecmwf(surface.rename(z="snow_depth"))
    assert is_ecmwf(cds({"z": WEATHER["z"]}, "instant"))
    surface["z"].attrs["short_name"] = "z"
    assert is_ecmwf(surface.rename(z="geopotential"))


def test_a_forced_convention_is_taken(tmp_path: Path) -> None:
    path = write(gridded({"ssrd": WEATHER["ssrd"], "t2m": WEATHER["t2m"]}, "time"), tmp_path / "in.nc")
    assert conventions.read(path, "era5-land").meanings["met_swdown"] == DAILY
    with pytest.raises(InputError, match="ERA5-Land, ERA5"):
        conventions.read(path, "ERA40")
