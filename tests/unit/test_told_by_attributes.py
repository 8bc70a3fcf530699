"""What attributes of files and data sets tell beside the values: heeded, refused or said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from column_files import dataset, driver_model, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.sources import ColumnSource, open_source

MODEL = driver_model()
GIVEN = [one.name for one in MODEL.forcing if not one.derived]


def opened(data: xr.Dataset, path: Path | None = None) -> ColumnSource:
    """From a file, or from memory."""
    return open_source(data if path is None else write(data, path), MODEL)


def history(data: xr.Dataset, path: Path | None = None) -> str:
    with opened(data, path) as source:
        return "\n".join(source.history)


def test_times_are_those_at_which_values_hold(tmp_path: Path) -> None:
    """cfgrib has the beginnings of forecasts as ``time``."""
    data = dataset()
    expected = data["time"].values + 6
    data["valid_time"] = ("time", expected, {"units": "hours since 2021-01-01", "standard_name": "time"})
    with opened(data, tmp_path / "in.nc") as source:
        np.testing.assert_array_equal(source.times, np.datetime64("2021-01-01", "ns") + expected.astype("m8[h]"))
        assert "Time labels are those of 'valid_time', not of 'time'" in "\n".join(source.history)
        values = source.forcing(0, 9).copy()
    data["time"].attrs["standard_name"] = "forecast_reference_time"
    with pytest.raises(InputError, match="variable 'time' is a forecast_reference_time, expected the times at which"):
        opened(data.drop_vars("valid_time"), tmp_path / "bad.nc")
    with opened(dataset(), tmp_path / "good.nc") as source:
        np.testing.assert_array_equal(source.forcing(0, 9), values)
    data["valid_time"] = data["time"]
    assert "valid_time" not in history(data, tmp_path / "same.nc")


def test_times_of_a_climatology_are_said(tmp_path: Path) -> None:
    data = dataset()
    data["time"].attrs["climatology"] = "climatology_bounds"
    said = "Contradiction, labels are taken as times: 'time' is one of a climatology, by its attribute climatology"
    assert said in history(data, tmp_path / "in.nc")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC+1", "+01:00", "local", "EST"])
def test_another_time_zone_is_refused(tmp_path: Path, zone: str) -> None:
    data = dataset()
    data["time"].attrs["time_zone"] = zone
    message = "variable 'time' has the attribute time_zone"
    with pytest.raises(InputError, match=message):
        opened(data, tmp_path / "in.nc")


@pytest.mark.parametrize("zone", ["UTC", "gmt", "Z", "UTC+0", "+00:00", "Etc/UTC", 0.0])
def test_utc_is_as_without(tmp_path: Path, zone: Any) -> None:
    data = dataset()
    data["time"].attrs["timezone"] = zone
    assert "time_zone" not in history(data, tmp_path / "in.nc")


@pytest.mark.parametrize(
    ("text", "is_said"), [("local standard time", True), ("time (LST)", True), ("UTC time of the locality", False)]
)
def test_words_on_local_time_are_said(tmp_path: Path, text: str, is_said: bool) -> None:
    data = dataset()
    data["time"].attrs["long_name"] = text
    assert ("Contradiction, UTC is taken: long_name of 'time' says" in history(data, tmp_path / "in.nc")) == is_said


@pytest.mark.parametrize(
    ("name", "standard_name"),
    [
        ("met_rainf", "precipitation_flux"),
        ("met_qair", "relative_humidity"),
        ("met_psurf", "air_pressure_at_mean_sea_level"),
        ("met_tair", "air_potential_temperature"),
    ],
)
def test_a_standard_name_of_another_quantity_is_said(tmp_path: Path, name: str, standard_name: str) -> None:
    data = dataset()
    data[name].attrs["standard_name"] = standard_name
    said = f"Contradiction, the name is followed: '{name}' is taken as {name}, its standard_name is '{standard_name}'."
    assert said in history(data, tmp_path / "in.nc")
    data[name].attrs["standard_name"] = "unknown"
    assert "Contradiction" not in history(data, tmp_path / "good.nc")


@pytest.mark.parametrize(
    ("attribute", "values", "message"),
    [
        ("standard_name", ("longitude", "latitude"), "'lat' has the standard_name 'longitude', expected 'latitude'"),
        ("units", ("degrees_east", "degrees_north"), "'lat' has the unit 'degrees_east', expected 'degrees_north'"),
    ],
)
def test_latitudes_that_are_longitudes_are_refused(
    tmp_path: Path, attribute: str, values: tuple[str, str], message: str
) -> None:
    data = dataset()
    for name, value in zip(("lat", "lon"), values, strict=True):
        data[name].attrs[attribute] = value
    with pytest.raises(InputError, match=message):
        opened(data, tmp_path / "in.nc")


@pytest.mark.parametrize(
    ("values", "units"), [([0.01, 0.8, 1.0], "1"), ([1.0, 80.0, 100.0], "%"), ([False, True, True], "boolean")]
)
def test_a_land_sea_mask_is_taken_in_any_unit(tmp_path: Path, values: list[float], units: str) -> None:
    data = dataset()
    data["land_sea_mask"] = ("x", values, {"units": units})
    with opened(data, tmp_path / "in.nc") as source:
        np.testing.assert_array_equal(source.x, [101, 102])


def test_a_land_sea_mask_that_is_no_fraction_is_refused(tmp_path: Path) -> None:
    data = dataset()
    data["land_sea_mask"] = ("x", [1.0, 2.0, 1.0], {"units": "1"})
    with pytest.raises(InputError, match=r"'land_sea_mask' is 2 in cell 1 \(1 of 3 such cells\), expected a fraction"):
        opened(data, tmp_path / "in.nc")


def test_groups_are_named(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "in.nc", "w") as file:
        file.createGroup("forcing")
        file.createGroup("ground")
    with pytest.raises(InputError, match=r"has no variables but in groups \(forcing, ground\), expected them in the"):
        open_source(tmp_path / "in.nc", MODEL)


def test_attributes_of_data_sets_in_memory_are_as_in_files() -> None:
    data = dataset()
    data["met_tair"].attrs["units"] = b"K"
    data["met_qair"].attrs["units"] = np.array(["kg kg-1"])
    with opened(dataset()) as good, opened(data) as source:
        np.testing.assert_array_equal(source.forcing(0, 9), good.forcing(0, 9))


@pytest.mark.parametrize("attributes", [{"missing_value": "-9999"}, {"valid_range": np.array([170.0, 370.0])}])
def test_what_is_missing_in_memory_is_as_in_files(attributes: dict[str, Any]) -> None:
    data = dataset()
    data["met_tair"].values[4, 1] = -9999.0
    data["met_tair"].attrs |= attributes
    before = dict(data["met_tair"].attrs)
    with pytest.raises(InputError, match="'met_tair' is missing at 2021-01-02T00:00 in column 1"):
        opened(data)
    assert data["met_tair"].attrs.keys() == before.keys()
    assert data["met_tair"].values[4, 1] == -9999.0


def test_limits_of_packed_values_are_not_those_of_decoded_ones(tmp_path: Path) -> None:
    data = dataset()
    packing = {"scale_factor": 0.01, "add_offset": 240.0, "valid_range": np.array([0, 3000], "i2")}
    data["met_tair"] = (("time", "x"), np.full((9, 3), 2000, "i2"), data["met_tair"].attrs | packing)
    with xr.open_dataset(write(data, tmp_path / "in.nc")) as decoded, opened(decoded) as source:
        np.testing.assert_allclose(source.forcing(0, 9)[..., GIVEN.index("met_tair")], 260.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("GRIB_stepType", "max", "cell_methods are followed: GRIB_stepType says 'max'"),
        (
            "long_name",
            "accumulated rain",
            "long_name is not followed: taken as a mean (cell_methods), its long_name is",
        ),
        ("long_name", "daily minimum", "long_name is not followed: taken as a mean (cell_methods), its long_name is"),
    ],
)
def test_another_statistic_is_said(tmp_path: Path, attribute: str, value: str, said: str) -> None:
    data = dataset()
    data["met_rainf"].attrs[attribute] = value
    assert f"Contradiction, {said}" in history(data, tmp_path / "in.nc")


def test_packing_as_text(tmp_path: Path) -> None:
    data = dataset()
    expected = data["met_tair"].values
    data["met_tair"] = (("time", "x"), expected - 100.0, {**data["met_tair"].attrs, "add_offset": "100"})
    with opened(data, tmp_path / "in.nc") as source:
        np.testing.assert_allclose(source.forcing(0, 9)[..., GIVEN.index("met_tair")], expected, rtol=1e-6)
    data["met_tair"].attrs["add_offset"] = "a hundred"
    with pytest.raises(InputError, match="'met_tair': attribute 'add_offset': found 'a hundred', expected a number"):
        opened(data, tmp_path / "bad.nc")


def test_degrees_that_may_be_radians_are_said(tmp_path: Path) -> None:
    data = dataset()
    for name in ("lat", "lon"):
        data[name].values[:] = np.deg2rad(data[name].values)
    said = "All columns are within 1.22 degrees of the equator and 6.11 of Greenwich; these may be radians."
    assert said in history(data, tmp_path / "in.nc")


def test_a_state_of_another_time_is_named(tmp_path: Path) -> None:
    data, state = dataset(), [one.name for one in MODEL.state]
    before = data[state].isel(time=[0])
    before["time"] = ("time", [-48], data["time"].attrs)
    files = write(data.drop_vars(state), tmp_path / "in.nc"), write(before, tmp_path / "state.nc")
    with pytest.raises(
        InputError, match=r"state.nc: variable 'swvl1' has the times 2020-12-30T00:00 to .*, expected some"
    ):
        open_source(files, MODEL)


def test_what_is_left_out_is_said_with_its_label(tmp_path: Path) -> None:
    data = dataset()
    data["met_tair"] = data["met_tair"].expand_dims(plev=[85000.0])
    data["plev"].attrs["units"] = "Pa"
    assert "Dimension of length 1 left out: plev (85000.0 Pa)." in history(data, tmp_path / "in.nc")


def test_an_empty_calendar_is_the_usual_one_and_others_are_named_with_their_file(tmp_path: Path) -> None:
    data = dataset()
    data["time"].attrs["calendar"] = ""
    with opened(data, tmp_path / "in.nc") as source:
        assert source.calendar == "standard"
    data["time"].attrs["calendar"] = "martian"
    with pytest.raises(InputError, match="bad.nc: variable 'time' has the calendar 'martian'; expected standard or"):
        opened(data, tmp_path / "bad.nc")
