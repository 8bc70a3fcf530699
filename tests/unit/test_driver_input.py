"""The driver's reader: what it gives, and what it says it did."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import (
    DIAGNOSTIC_UNITS,
    FORCING_UNITS,
    N_COLUMNS,
    N_TIMES,
    STATE_UNITS,
    STATIC_UNITS,
    changed,
    dataset,
    driver_model,
    read_all,
    refusal,
    write,
)

from ailand_gt4py.driver.input import ColumnInput, open_input

MODEL = driver_model()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that suits the model."""
    return write(dataset(), tmp_path / "in.nc")


def test_values_are_in_model_order_and_units(good: Path) -> None:
    data = dataset()
    with open_input(good, MODEL) as source:
        assert isinstance(source, ColumnInput)
        assert source.n_columns == N_COLUMNS
        assert source.forcing_names == tuple(FORCING_UNITS)
        hours = np.arange(N_TIMES) * np.timedelta64(6, "h")
        np.testing.assert_array_equal(source.times, np.datetime64("2021-01-01") + hours)
        assert source.times.dtype == "datetime64[ns]"
        np.testing.assert_array_equal(source.x, [100, 101, 102])
        np.testing.assert_array_equal(source.latitude, data["lat"])
        np.testing.assert_array_equal(source.longitude, data["lon"])
        assert source.static.dtype == np.float64
        for index, name in enumerate(STATIC_UNITS):
            np.testing.assert_array_equal(source.static[:, index], data[name])
        assert source.initial_state is not None
        for index, name in enumerate(STATE_UNITS):
            factor = 0.01 if name == "snowc" else 1.0
            np.testing.assert_allclose(source.initial_state[:, index], data[name][0] * factor, rtol=1e-6)
        forcing = source.forcing(0, N_TIMES)
        assert forcing.shape == (N_TIMES, N_COLUMNS, len(FORCING_UNITS))
        assert forcing.dtype == np.float32
        for index, name in enumerate(FORCING_UNITS):
            np.testing.assert_array_equal(forcing[:, :, index], data[name])
        assert source.history == ["snowc: converted from '%' to '1' (multiplied by 0.01)."]


def test_start_and_end_choose_the_windows_and_the_initial_state(good: Path) -> None:
    data = dataset()
    with open_input(good, MODEL, start="2021-01-01T12", end="2021-01-02T00:00") as source:
        np.testing.assert_array_equal(source.times, np.array(["2021-01-01T12", "2021-01-01T18"], "datetime64[ns]"))
        np.testing.assert_array_equal(source.forcing(1, 2)[0, :, 0], data["met_ctpf"][3])
        assert source.initial_state is not None
        np.testing.assert_array_equal(source.initial_state[:, 3], data["stl1"][2].astype(float))
    with open_input(good, MODEL, start=np.datetime64("2021-01-03"), end="2021-01-03T06:00Z") as source:
        assert len(source.times) == 1
    with open_input(good, MODEL, start=datetime.date(2021, 1, 2), end=datetime.datetime(2021, 1, 2, 12)) as source:
        assert len(source.times) == 2


def test_initial_state_may_be_left_out(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda data: data.drop_vars(list(STATE_UNITS)))
    with open_input(path, MODEL, initial_state="none") as source:
        assert source.initial_state is None
    assert "'swvl1'" in refusal(path)


@pytest.mark.parametrize(
    "kind", ["transposed", "float64", "packed", "no x", "alias", "zarr", "zarr 3", "zip", "netcdf3"]
)
def test_other_ways_of_storing_the_same_give_the_same(tmp_path: Path, good: Path, kind: str) -> None:
    data, path = dataset(), tmp_path / "other.nc"
    tolerance = 0.0
    if kind == "transposed":
        write(data.transpose("x", "time"), path)
    elif kind == "float64":
        write(data.astype(dict.fromkeys(data.data_vars, np.float64)), path)
    elif kind == "packed":
        tolerance = 2e-5
        packing = {"dtype": "int16", "scale_factor": 1e-4 / 3, "add_offset": 0.5, "_FillValue": -32768}
        data.to_netcdf(path, encoding=dict.fromkeys(FORCING_UNITS, packing))
    elif kind == "no x":
        write(data.drop_vars("x"), path)
    elif kind == "alias":
        write(
            data.rename({"lat": "latitude", "lon": "Longitude", "clim_clake": "clim_CLAKE", "met_tair": "MET_Tair"}),
            path,
        )
    elif kind == "netcdf3":
        data.to_netcdf(path, format="NETCDF3_64BIT", engine="netcdf4")
    else:
        path = tmp_path / "other.zarr"
        data.to_zarr(path, zarr_format=3 if kind == "zarr 3" else 2, consolidated=kind == "zarr")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
            for member in sorted(path.rglob("*")):
                archive.write(member, member.relative_to(path))
        path = tmp_path / "other.zip"
    expected = read_all(good)
    with open_input(path, MODEL) as source, open_input(good, MODEL) as reference:
        found = source.forcing(0, N_TIMES)
        assert found.dtype == (np.float64 if kind == "float64" else np.float32)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=tolerance)
        np.testing.assert_array_equal(source.static, reference.static)
        np.testing.assert_array_equal(source.x, np.arange(3) if kind == "no x" else reference.x)
        np.testing.assert_array_equal(source.latitude, reference.latitude)
        if kind == "alias":
            assert source.history[0] == (
                "Read under another name: lat from 'latitude', lon from 'Longitude', clim_clake from 'clim_CLAKE', "
                "met_tair from 'MET_Tair'."
            )


def store_layout(data: xr.Dataset) -> xr.Dataset:
    """The data set as ec-land-db's public store has it: names, units, static fields in time, missing parameters."""
    data = data.drop_vars([name for name in STATIC_UNITS if "theta" in name or "veg" in name])
    for name in [str(name) for name in data.data_vars if name.startswith("clim_")]:
        unit = '"m**2 s**-2"' if name == "clim_geopot" else "-"
        values = np.broadcast_to(data[name].values, (N_TIMES, N_COLUMNS)).copy()
        data[name] = (("time", "x"), values, {"units": unit})
    spellings = {"W m-2": "W/m2", "kg m-2 s-1": "kg/m2s", "1": "-", "kg kg-1": "kg/kg", "m2 m-2": "m**2 m**-2"}
    for name, unit in FORCING_UNITS.items():
        data[name].attrs = {
            "units": {"met_wind_e": "u m/s", "met_wind_n": "v m/s"}.get(name, spellings.get(unit, unit))
        }
    for name, unit in STATE_UNITS.items():
        data[name].attrs = {"units": {"m3 m-3": "m**3 m**-3", "1": "%"}.get(unit, unit), "GRIB_paramId": 1}
    data.attrs = {"SOURCE": "ECMWF", "CONVERTED": " from grib files with grib_api"}
    return data.rename({"clim_clake": "clim_CLAKE", "clim_ctype": "clim_Ctype"})


def test_layout_of_the_public_store_is_read_and_told(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "store.zarr"
    store_layout(dataset()).to_zarr(path, zarr_format=2)
    with open_input(path, MODEL) as source, open_input(good, MODEL) as reference:
        given = [index for index, name in enumerate(STATIC_UNITS) if "theta" not in name and "veg" not in name]
        np.testing.assert_array_equal(source.static[:, given], reference.static[:, given])
        names = list(STATIC_UNITS)
        np.testing.assert_allclose(source.static[:, names.index("clim_theta_sat")], [0.403, 0.439, 0.430])
        np.testing.assert_allclose(source.static[:, names.index("clim_veg_rsminh")], 395.0)
        np.testing.assert_allclose(source.static[:, names.index("clim_veg_covl")], 0.7)
        np.testing.assert_array_equal(source.initial_state, reference.initial_state)
        np.testing.assert_array_equal(source.forcing(0, N_TIMES), reference.forcing(0, N_TIMES))
        history = "\n".join(source.history)
    for said in (
        "clim_clake from 'clim_CLAKE'",
        "repeated in time, checked to be constant: clim_clake",
        "clim_sdor: the unit '-' is read as 'm'",
        "snowc: converted from '%' to '1'",
        "clim_theta_cap (at -0.1 bar)",
        "clim_veg_covh, clim_veg_z0mh, clim_veg_rsminh",
        "recognised as ec-land-db's public store",
        "without shift",
    ):
        assert said in history


def test_static_field_that_changes_in_time_is_refused(tmp_path: Path) -> None:
    data = store_layout(dataset())
    data["clim_cvl"].values[4, 1] += 0.125
    message = refusal(write(data, tmp_path / "in.nc"))
    assert "variable 'clim_cvl' is" in message
    assert "at time index 4 in column 1 (x = 101)" in message
    # Before the change it is constant, so a run that ends there is fine.
    read_all(tmp_path / "in.nc", end="2021-01-02")


def test_meaning_of_time_labels_is_told_where_the_file_does_not_agree(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        del data["met_tair"].attrs["cell_methods"]
        del data["lai_hv"].attrs["cell_methods"]
        data["met_qair"].attrs["cell_methods"] = "time: point"

    with open_input(changed(tmp_path, change), MODEL) as source:
        assert source.history[1:] == [
            "Time labels: no cell_methods, taken as means over [t, t + 6 h): met_tair.",
            "Time labels: no cell_methods, taken as values at t: lai_hv.",
            "Time labels: other cell_methods than the model's, used as they are: met_qair ('time: point', the model "
            "takes a window mean).",
        ]


def test_convertible_units_are_converted_and_told(tmp_path: Path, good: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["met_psurf"] = data["met_psurf"] / 100
        data["met_psurf"].attrs["units"] = "hPa"
        data["met_rainf"] = data["met_rainf"] * 3600
        data["met_rainf"].attrs["units"] = "mm/h"
        data["stl1"] = data["stl1"].astype(np.float64) - 273.15
        data["stl1"].attrs["units"] = "degC"
        data["clim_sdor"] = data["clim_sdor"] * 100
        data["clim_sdor"].attrs["units"] = "cm"

    with open_input(changed(tmp_path, change), MODEL) as source, open_input(good, MODEL) as reference:
        np.testing.assert_allclose(source.forcing(0, N_TIMES), reference.forcing(0, N_TIMES), rtol=1e-6)
        np.testing.assert_allclose(source.static, reference.static, rtol=1e-6)
        np.testing.assert_allclose(source.initial_state, reference.initial_state, rtol=1e-6)
        told = {sentence.split(":")[0] for sentence in source.history if "converted from" in sentence}
        assert told == {"met_psurf", "met_rainf", "stl1", "clim_sdor", "snowc"}


def test_missing_type_without_cover_is_no_vegetation(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["clim_tvh"].values[1] = np.nan
        data["clim_cvh"].values[1] = 0.0

    with open_input(changed(tmp_path, change), MODEL) as source:
        np.testing.assert_array_equal(source.static[:, list(STATIC_UNITS).index("clim_tvh")], [3.0, 0.0, 3.0])
        assert any(sentence.startswith("clim_tvh: missing in 1 columns") for sentence in source.history)


def test_snow_cover_of_the_initial_state_is_derived_from_snow_mass(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> xr.Dataset:
        data["sd"] = (("time", "x"), np.full((N_TIMES, N_COLUMNS), 20.0), {"units": "mm of water equivalent"})
        data["rsn"] = (("time", "x"), np.full((N_TIMES, N_COLUMNS), 200.0), {"units": "kg m**-3"})
        return data.drop_vars("snowc")

    with open_input(changed(tmp_path, change), MODEL) as source:
        assert source.initial_state is not None
        lake = dataset()["clim_clake"].values.astype(float)
        np.testing.assert_allclose(source.initial_state[:, -1], np.tanh(2.0) * (1.0 - lake), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "n_columns", "n_times"), [("ecland_cy49r2_2020_2022.zarr", 10, 4384), ("ecland_real10_6h.nc", 10, 4383)]
)
def test_real_files(shared: Path, name: str, n_columns: int, n_times: int) -> None:
    with open_input(shared / "data" / name, MODEL) as source:
        assert (source.n_columns, len(source.times)) == (n_columns, n_times)
        total = sum(float(source.forcing(step, step + 1)[0, 0, 0]) for step in range(n_times))
        assert 700.0 < total < 800.0
        assert source.initial_state is not None
        assert np.isfinite(source.initial_state).all()


def test_derived_parameters_of_the_public_store_are_those_ecland_ran_with(shared: Path) -> None:
    with (
        open_input(shared / "data/ecland_cy49r2_2020_2022.zarr", MODEL) as store,
        open_input(shared / "data/ecland_real10_6h.nc", MODEL) as run,
    ):
        np.testing.assert_allclose(store.static, run.static, rtol=1e-6)
        np.testing.assert_allclose(store.latitude, run.latitude)
        assert "recognised as ec-land-db's public store" in store.history[-1]
        assert run.history == ["snowc: converted from '%' to '1' (multiplied by 0.01)."]
        assert len(DIAGNOSTIC_UNITS) == len(store.model.diagnostics)
