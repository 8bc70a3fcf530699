"""The driver's reader: what it gives, and what it says it did."""

from __future__ import annotations

import dataclasses
import datetime
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
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
from random_models import random_parameters

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.blocks import read_annual_cycle
from ailand_gt4py.io.column_file import ColumnFile, Source
from ailand_gt4py.io.first_guess import FIRST_GUESSES, FOURTH_LAYER, THIRD_LAYER, wave_below
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.sources.column_file import ColumnFileSource
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.architectures import Sizes
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import write_model

MODEL = driver_model()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that suits the model."""
    return write(dataset(), tmp_path / "in.nc")


def test_values_are_in_model_order_and_units(good: Path) -> None:
    data = dataset()
    with open_source(good, MODEL) as source:
        assert isinstance(source, ColumnFileSource)
        assert source.n_columns == N_COLUMNS
        assert [variable.name for variable in source.model.forcing if not variable.derived] == list(FORCING_UNITS)
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
    with open_source(good, MODEL, start="2021-01-01T12", end="2021-01-02T00:00") as source:
        np.testing.assert_array_equal(source.times, np.array(["2021-01-01T12", "2021-01-01T18"], "datetime64[ns]"))
        np.testing.assert_array_equal(source.forcing(1, 2)[0, :, 0], data["met_ctpf"][3])
        assert source.initial_state is not None
        np.testing.assert_array_equal(source.initial_state[:, 3], data["stl1"][2].astype(float))
    with open_source(good, MODEL, start=np.datetime64("2021-01-03"), end="2021-01-03T06:00Z") as source:
        assert len(source.times) == 1
    with open_source(good, MODEL, start=datetime.date(2021, 1, 2), end=datetime.datetime(2021, 1, 2, 12)) as source:
        assert len(source.times) == 2


def test_a_state_without_time_is_that_at_the_start(tmp_path: Path, good: Path) -> None:
    data = dataset()
    stl2 = data["stl2"].isel(time=3, drop=True)
    data["stl2"] = stl2
    path = write(data, tmp_path / "state.nc")
    position = [variable.name for variable in MODEL.state].index("stl2")
    with open_source(path, MODEL, start="2021-01-01T12") as source:
        assert source.initial_state is not None
        np.testing.assert_array_equal(source.initial_state[:, position], stl2.values)
        assert "Without time in the file, taken as the state at the start: stl2." in source.history


def test_initial_state_may_be_left_out(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda data: data.drop_vars(list(STATE_UNITS)))
    with open_source(path, MODEL, initial_state="none") as source:
        assert source.initial_state is None
    assert "'swvl1'" in refusal(path)


@pytest.mark.parametrize(
    "kind", ["transposed", "float64", "packed", "no x", "alias", "zarr", "zarr 3", "zip", "netcdf3"]
)
def test_other_ways_of_storing_the_same_give_the_same(tmp_path: Path, good: Path, kind: str) -> None:
    if kind == "zarr 3" and int(zarr.__version__.partition(".")[0]) < 3:
        pytest.skip(f"zarr {zarr.__version__} writes format 2 only")
    data, path = dataset(), tmp_path / "other.nc"
    tolerance = np.zeros(len(FORCING_UNITS))
    if kind == "transposed":
        write(data.transpose("x", "time"), path)
    elif kind == "float64":
        write(data.astype(dict.fromkeys(data.data_vars, np.float64)), path)
    elif kind == "packed":
        encoding = {}
        for k, name in enumerate(FORCING_UNITS):
            low, high = (float(end) for end in (data[name].min(), data[name].max()))
            packing = {"scale_factor": (high - low) / 60_000, "add_offset": 0.5 * (low + high)}
            encoding[name] = {"dtype": "int16", "_FillValue": -32768, **packing}
            tolerance[k] = 0.6 * packing["scale_factor"]
        data.to_netcdf(path, encoding=encoding)
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
    with open_source(path, MODEL) as source, open_source(good, MODEL) as reference:
        found = source.forcing(0, N_TIMES)
        assert found.dtype == (np.float64 if kind == "float64" else np.float32)
        assert (np.abs(found - expected) <= tolerance).all()
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
    with open_source(path, MODEL) as source, open_source(good, MODEL) as reference:
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

    with open_source(changed(tmp_path, change), MODEL) as source:
        assert source.history[1:] == [
            "Time labels: no cell_methods, taken as means over [t, t + 6 h): met_tair.",
            "Time labels: no cell_methods, taken as values at t: lai_hv.",
        ]


def test_values_at_labels_become_means_over_windows(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        del data["met_tair"].attrs["cell_methods"]
        data["met_qair"].attrs["cell_methods"] = "time: point"

    data = dataset()
    with open_source(changed(tmp_path, change), MODEL) as source:
        assert "Means over [t, t + 6 h) of values at labels 6 h apart (cell_methods): met_qair." in source.history
        assert "Time labels: no cell_methods, taken as means from their labels on: met_tair." in source.history
        given = [variable.name for variable in MODEL.forcing if not variable.derived]
        found = source.forcing(0, len(source.times))[:, :, given.index("met_qair")]
    values = data["met_qair"].values
    np.testing.assert_allclose(found, 0.5 * (values[1:] + values[:-1]), rtol=1e-6)


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

    with open_source(changed(tmp_path, change), MODEL) as source, open_source(good, MODEL) as reference:
        np.testing.assert_allclose(source.forcing(0, N_TIMES), reference.forcing(0, N_TIMES), rtol=1e-6)
        np.testing.assert_allclose(source.static, reference.static, rtol=1e-6)
        np.testing.assert_allclose(source.initial_state, reference.initial_state, rtol=1e-6)
        told = {sentence.split(":")[0] for sentence in source.history if "converted from" in sentence}
        assert told == {"met_psurf", "met_rainf", "stl1", "clim_sdor", "snowc"}


def test_missing_type_without_cover_is_no_vegetation(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> None:
        data["clim_tvh"].values[1] = np.nan
        data["clim_cvh"].values[1] = 0.0

    with open_source(changed(tmp_path, change), MODEL) as source:
        np.testing.assert_array_equal(source.static[:, list(STATIC_UNITS).index("clim_tvh")], [3.0, 0.0, 3.0])
        assert any(sentence.startswith("clim_tvh: missing in 1 columns") for sentence in source.history)


def test_snow_cover_of_the_initial_state_is_derived_from_snow_mass(tmp_path: Path) -> None:
    def change(data: xr.Dataset) -> xr.Dataset:
        data["sd"] = (("time", "x"), np.full((N_TIMES, N_COLUMNS), 20.0), {"units": "mm of water equivalent"})
        data["rsn"] = (("time", "x"), np.full((N_TIMES, N_COLUMNS), 200.0), {"units": "kg m**-3"})
        return data.drop_vars("snowc")

    with open_source(changed(tmp_path, change), MODEL) as source:
        assert source.initial_state is not None
        lake = dataset()["clim_clake"].values.astype(float)
        np.testing.assert_allclose(source.initial_state[:, -1], np.tanh(2.0) * (1.0 - lake), rtol=1e-6)


EXTRA_UNITS = {"sd": "m", "rsn": "kg m-3", "tsn": "K", "asn": "1", "swvl4": "m3 m-3", "stl4": "K", "src": "kg m-2"}


def large_model() -> Model:
    """The driver's model with more state and with forcing of the previous window."""
    own = MODEL.forcing
    previous = tuple(
        Variable(f"{one.name}_before", one.units, derived=f"before:{one.name}")
        for one in own
        if one.name in ("met_tair", "met_rainf")
    )
    state = MODEL.state + tuple(Variable(name, unit, time_meaning="window start") for name, unit in EXTRA_UNITS.items())
    forcing = previous[:1] + own + previous[1:]
    sizes = Sizes(len(MODEL.static), len(forcing), len(state), len(MODEL.diagnostics))
    parameters = random_parameters("simple", sizes, np.random.default_rng(0), width=2, depth=1)
    parameters = {name: 1e-6 * values for name, values in parameters.items()}
    return dataclasses.replace(MODEL, forcing=forcing, state=state, parameters=parameters)


def with_snow(data: xr.Dataset) -> xr.Dataset:
    """The data set with the amount of snow: 3 cm in the first column."""
    water = np.zeros((data.sizes["time"], N_COLUMNS), np.float32)
    water[:, 0] = 0.03
    data["sd"] = (("time", "x"), water, {"units": "m of water equivalent"})
    return data


def initial_state(source: ColumnSource) -> dict[str, np.ndarray]:
    assert source.initial_state is not None
    return {variable.name: source.initial_state[:, k] for k, variable in enumerate(source.model.state)}


def test_state_that_is_not_in_the_file_is_guessed_and_told(tmp_path: Path) -> None:
    """A file that is shorter than a year, begun within."""
    data = with_snow(dataset())
    with open_source(write(data, tmp_path / "in.nc"), large_model(), start="2021-01-01T12") as source:
        state, history = initial_state(source), source.history
        assert [variable.name for variable in source.model.forcing if not variable.derived] == list(FORCING_UNITS)
    row = {name: data[name].values[2].astype(float) for name in ("swvl3", "stl1", "stl2", "stl3", "met_tair", "sd")}
    np.testing.assert_array_equal(state["sd"], row["sd"])
    np.testing.assert_array_equal(state["swvl4"], row["swvl3"])
    np.testing.assert_array_equal(state["stl4"], 2.0 * row["stl3"] - row["stl2"])
    np.testing.assert_allclose(state["tsn"], [0.5 * (row["stl1"][0] + row["met_tair"][0]), 273.16, 273.16])
    np.testing.assert_array_equal(state["rsn"], [250.0, 100.0, 100.0])
    np.testing.assert_array_equal(state["asn"], [0.675, 0.85, 0.85])
    np.testing.assert_array_equal(state["src"], 0.0)
    guesses = [line for line in history if "first guess" in line]
    assert len(guesses) == 6
    for name in ("swvl4", "stl4", "tsn", "rsn", "asn", "src"):
        assert sum(line.endswith(f": {name}.") for line in guesses) == 1, name
    assert any("no whole year of met_tair" in line for line in guesses)


def test_state_that_is_in_the_file_is_not_guessed(tmp_path: Path) -> None:
    data = with_snow(dataset())
    values = {"rsn": 200.0, "tsn": 265.0, "asn": 0.75, "swvl4": 0.25, "stl4": 275.0, "src": 0.5}
    for name, value in values.items():
        data[name] = (("time", "x"), np.full((N_TIMES, N_COLUMNS), value, np.float32), {"units": EXTRA_UNITS[name]})
    data["src"] = data["src"] / 1000.0
    data["src"].attrs["units"] = "m of water equivalent"
    with open_source(write(data, tmp_path / "in.nc"), large_model()) as source:
        for name, value in values.items():
            np.testing.assert_allclose(initial_state(source)[name], value, rtol=1e-6)
        assert not any("guess" in line for line in source.history)
        assert any(line.startswith("src: converted from 'm of water equivalent'") for line in source.history)


def test_what_a_guess_needs_is_named(tmp_path: Path) -> None:
    path = write(dataset().drop_vars("stl2"), tmp_path / "in.nc")
    message = refusal(path, large_model())
    assert "'sd', " in message
    assert "'rsn' (which would follow from sd; missing: sd)" in message
    assert "'stl4' (which would follow from stl3, met_tair, stl2; missing: stl2)" in message
    assert "before" not in message


def seasons(n_times: int, phase: float = 0.7) -> xr.Dataset:
    """A file in which the air temperature, in degrees Celsius, is one annual wave and a daily one."""
    data = with_snow(dataset(n_times=n_times))
    days = np.arange(n_times) / 4.0
    amplitude = np.array([5.0, 10.0, 15.0])
    wave = np.cos(2.0 * np.pi * days / 365.0 - phase)[:, None] * amplitude
    air = 9.0 + wave + 4.0 * np.sin(2.0 * np.pi * days)[:, None]
    data["met_tair"] = (("time", "x"), air, {"units": "degC", "cell_methods": "time: mean"})
    return data


def wave_of(data: xr.Dataset, path: Path, start: int, hours: int = 6, **encoding: object) -> np.ndarray | None:
    """The annual wave of the air temperature, written with times of so many hours."""
    write(data[["met_tair"]].drop_vars("time"), path, **encoding)
    file = ColumnFile(path)
    source = Source("met_tair", "met_tair", conversion("degC", "K", "met_tair"))
    step = np.timedelta64(hours, "h").astype("timedelta64[ns]")
    times = np.datetime64("2021-01-01", "ns") + np.arange(data.sizes["time"]) * step
    try:
        cycle = read_annual_cycle(file, source, times, step, start)
        if cycle is not None:
            count = 365 * 24 // hours
            first = min(start, len(times) - count)
            expected = data["met_tair"].values[first : first + count].mean(axis=0) + 273.15
            np.testing.assert_allclose(cycle[0], expected, rtol=1e-9)
        return None if cycle is None else cycle[1]
    finally:
        file.close()


@pytest.mark.parametrize("n_times", [1460, 1700])
@pytest.mark.parametrize("start", [0, 100, 1400])
@pytest.mark.parametrize("encoding", [{}, {"chunksizes": (300, 2)}], ids=["plain", "chunks"])
def test_annual_wave_is_found_from_every_start(
    tmp_path: Path, n_times: int, start: int, encoding: dict[str, Any]
) -> None:
    wave = wave_of(seasons(n_times), tmp_path / "in.nc", start, **encoding)
    expected = np.array([5.0, 10.0, 15.0]) * np.exp(1j * (2.0 * np.pi * start / 4.0 / 365.0 - 0.7))
    assert wave is not None
    np.testing.assert_allclose(wave, expected, atol=1e-9)


def test_annual_wave_is_that_of_a_year_with_the_start_in_it(tmp_path: Path) -> None:
    data = seasons(1700)
    data["met_tair"].values[0, 1] = np.nan
    first = wave_of(data, tmp_path / "first.nc", 0)
    assert first is not None
    assert np.isnan(first).tolist() == [False, True, False]
    second = wave_of(data, tmp_path / "second.nc", 1)
    assert second is not None
    assert np.isfinite(second).all()


def test_mean_of_a_year_that_is_no_whole_number_of_steps_is_no_wave(tmp_path: Path) -> None:
    data = seasons(1300)
    data["met_tair"].values[...] = 30.0
    wave = wave_of(data, tmp_path / "in.nc", 0, hours=7)
    assert wave is not None
    np.testing.assert_allclose(wave, 0.0, atol=1e-9)


def test_deepest_soil_temperature_takes_the_annual_wave_of_the_air(tmp_path: Path) -> None:
    data = seasons(1461)
    path = write(data, tmp_path / "in.nc")
    with open_source(path, large_model(), start="2021-02-01") as source:
        state = initial_state(source)
        assert any("the annual wave of met_tair" in line for line in source.history)
        assert any(line.startswith("met_tair: converted from 'degC'") for line in source.history)
    third = data["stl3"].values[4 * 31].astype(float)
    angle = 2.0 * np.pi * 31.0 / 365.0 - 0.7
    amplitude = np.array([5.0, 10.0, 15.0])
    change = (np.exp(1j * angle) * (wave_below(FOURTH_LAYER) - wave_below(THIRD_LAYER))).real
    np.testing.assert_allclose(state["stl4"], third + amplitude * change, rtol=1e-9)
    otherwise = FIRST_GUESSES["stl4"].otherwise
    assert otherwise is not None
    for number, spoil in enumerate((lambda d: d.isel(time=slice(0, 1459)), lambda d: d.drop_isel(time=1000))):
        short = write(spoil(data), tmp_path / f"short{number}.nc")
        with open_source(short, large_model(), start="2021-02-01", end="2021-03-01") as source:
            assert any(otherwise.how in line for line in source.history)
    data["met_tair"].values[1200, 1] = np.nan
    with open_source(write(data, tmp_path / "hole.nc"), large_model(), end="2021-02-01") as source:
        assert any(otherwise.how in line for line in source.history)


def test_run_on_the_public_store_with_a_large_model(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store lacks most of the additional state and can be the reference of the rest."""
    write_model(large_model(), tmp_path / "model.nc")
    arguments = [str(shared / "data/ecland_cy49r2_2020_2022.zarr"), "--model", str(tmp_path / "model.nc")]
    arguments += ["--start", "2021-01-10", "--end", "2021-01-11", "--backend", "embedded", "--reference", "same"]
    assert main([*arguments, "-o", str(tmp_path / "out.nc")]) == 0
    printed = capsys.readouterr()
    assert "stl3" in printed.out
    with xr.open_dataset(tmp_path / "out.nc") as found, xr.open_dataset(shared / "data/ecland_real10_6h.nc") as run:
        first = found.isel(time=0)
        truth = run.sel(time="2021-01-10T00:00")
        assert np.abs(first["stl4"].values - truth["stl4"].values).max() < 3.0
        assert np.abs(first["swvl4"].values - truth["swvl4"].values).max() < 0.15
        assert np.isfinite(found["stl4"].values).all()
        for name in ("swvl4", "stl4", "tsn", "asn", "src"):
            assert f": {name}." in found.attrs["history"]
            assert "first guess" in found.attrs["history"]
        assert "of the first window what is before the start: met_rainf_before, met_tair_before" in str(
            found.attrs["history"]
        )
    assert len(ForcingAssembler(large_model().forcing).previous) == 2


@pytest.mark.parametrize(
    ("name", "n_columns", "n_times"), [("ecland_cy49r2_2020_2022.zarr", 10, 4384), ("ecland_real10_6h.nc", 10, 4383)]
)
def test_real_files(shared: Path, name: str, n_columns: int, n_times: int) -> None:
    with open_source(shared / "data" / name, MODEL) as source:
        assert (source.n_columns, len(source.times)) == (n_columns, n_times)
        total = sum(float(source.forcing(step, step + 1)[0, 0, 0]) for step in range(n_times))
        assert 700.0 < total < 800.0
        assert source.initial_state is not None
        assert np.isfinite(source.initial_state).all()


def test_derived_parameters_of_the_public_store_are_those_ecland_ran_with(shared: Path) -> None:
    with (
        open_source(shared / "data/ecland_cy49r2_2020_2022.zarr", MODEL) as store,
        open_source(shared / "data/ecland_real10_6h.nc", MODEL) as run,
    ):
        np.testing.assert_allclose(store.static, run.static, rtol=1e-6)
        np.testing.assert_allclose(store.latitude, run.latitude)
        assert "recognised as ec-land-db's public store" in store.history[-1]
        assert run.history == ["snowc: converted from '%' to '1' (multiplied by 0.01)."]
        assert len(DIAGNOSTIC_UNITS) == len(store.model.diagnostics)
