"""``ailand-column-run`` on files of other calendars, labels and steps than the model's."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr

import ailand_gt4py
from ailand_gt4py.cli.main import main
from helpers import Bench, small_dataset

N_TIMES = 8


@pytest.fixture(scope="module")
def common_year(tmp_path_factory) -> Bench:
    """A finished run in a year without 29 February."""
    bench = Bench(tmp_path_factory.mktemp("common"), n_times=N_TIMES)
    small_dataset(N_TIMES, start="2019-02-27T12").to_netcdf(bench.forcing)
    assert bench.run() == 0
    return bench


@pytest.fixture
def bench(common_year, tmp_path) -> Bench:
    return common_year.beside(tmp_path)


def write(bench, data, **time):
    if time:
        data["time"] = ("time", data["time"].values.astype("datetime64[h]").astype(np.int64), time)
    data.to_netcdf(bench.forcing)


def in_year_2020(data):
    """Labels of the same days of 2020 in the calendar without leap years, as hours since a date of it."""
    first = cftime.date2num(cftime.datetime(2020, 2, 27, 12, calendar="noleap"), "hours since 2000-01-01", "noleap")
    data["time"] = ("time", first + 6 * np.arange(N_TIMES), {"units": "hours since 2000-01-01", "calendar": "365_day"})
    return data


def same(one, other):
    for name in one.data_vars:
        if name != "time_bnds":
            np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


def test_no_leap_years(bench, common_year, capsys):
    """The same weather on the same days of a year of 365 days: the sun, and all that follows, are the same."""
    write(bench, in_year_2020(small_dataset(N_TIMES, start="2019-02-27T12")))
    more = ("--plot", bench.path / "run.png", "--plot-map", "stl1,2020-03-01", "--reference", bench.forcing)
    assert bench.run(*more) == 0
    found = bench.open()
    same(found, common_year.open())
    assert [str(time) for time in found.time.values[[0, 6, 7]]] == [
        "2020-02-27 12:00:00",
        "2020-03-01 00:00:00",
        "2020-03-01 06:00:00",
    ]
    assert found.time.values[0].calendar == "noleap"
    assert "8 steps from 2020-02-27T12:00 to 2020-03-01T12:00" in capsys.readouterr().err
    assert "calendar 'noleap', which is kept" in found.attrs["history"]


def test_parts_of_a_run_without_leap_years(bench, common_year, capsys):
    write(bench, in_year_2020(small_dataset(N_TIMES, start="2019-02-27T12")))
    assert bench.run("--end", "2020-02-28T18", output="first.nc") == 0
    restart = bench.path / "first.restart.nc"
    assert bench.run("--restart", restart, "--start", "2020-02-28T12", output="second.nc") == 2
    assert "is valid at 2020-02-28T18:00, expected the start 2020-02-28T12:00" in capsys.readouterr().err
    assert bench.run("--restart", restart, "--start", "2020-02-28T18", output="second.nc") == 0
    parts = xr.concat([bench.open("first.nc"), bench.open("second.nc")], "time", data_vars="minimal")
    whole = common_year.open()
    for name in ("swvl1", "stl1", "t2m", "slhf"):
        np.testing.assert_array_equal(parts[name].values, whole[name].values)
    small_dataset(N_TIMES, start="2020-02-27T12").to_netcdf(bench.forcing)
    assert bench.run("--restart", restart, output="third.nc") == 2
    assert "has the calendar 'noleap', expected that of" in capsys.readouterr().err


def test_360_days(bench):
    data = small_dataset(N_TIMES)
    data["time"] = (
        "time",
        50 * 360 + 58.0 + np.arange(N_TIMES) / 4.0,
        {"units": "days since 1970-01-01", "calendar": "360_day"},
    )
    write(bench, data)
    assert bench.run() == 0
    assert str(bench.open().time.values[-1]) == "2020-02-30 18:00:00"
    config = bench.path / "run.yaml"
    config.write_text("start: 2020-02-30\nend: 2020-02-30T18:00\n")
    for given in (("--start", "2020-02-30", "--end", "2020-02-30T18"), ("--config", config)):
        assert bench.run(*given, "--plot-map", "stl1,2020-02-30T12", output="part.nc") == 0
        assert (bench.path / "part.stl1.2020-02-30T12.png").exists()
        part = bench.open("part.nc")
        assert [str(time) for time in part.time.values] == [f"2020-02-30 {hour}:00:00" for hour in ("00", "06", "12")]
        (bench.path / "part.nc").unlink()
        for path in bench.path.glob("part*"):
            path.unlink()
    assert main(["check", str(bench.forcing), "--model", str(bench.model), "--start", "2020-02-30", "--quiet"]) == 0
    found = ailand_gt4py.run(
        bench.forcing, bench.model, start=cftime.Datetime360Day(2020, 2, 30), backend="embedded", quiet=True
    )
    assert isinstance(found, xr.Dataset)
    assert found.sizes["time"] == 4


def test_a_start_that_is_no_date_of_the_calendar(bench, capsys):
    write(bench, in_year_2020(small_dataset(N_TIMES)))
    for option, named in (("--start", "start"), ("--end", "end")):
        assert bench.run(option, "2020-02-29") == 2
        assert f"{named}: found '2020-02-29T00:00', expected a time of the calendar 'noleap'" in capsys.readouterr().err
    assert bench.run("--plot-map", "stl1,2020-02-30") == 2
    assert "option --plot-map: found '2020-02-30', expected a time of the calendar" in capsys.readouterr().err
    small_dataset(N_TIMES).to_netcdf(bench.forcing)
    assert bench.run("--start", "2021-02-29") == 2
    assert "start: found '2021-02-29', expected a time (UTC)" in capsys.readouterr().err
    assert bench.run("--start", "2021-02-31") == 2
    assert "option --start: found '2021-02-31', expected a time (UTC)" in capsys.readouterr().err


def test_labels_at_the_end_by_bounds(bench, common_year):
    """Averages that carry the end of their window are those of the window before."""
    data = small_dataset(N_TIMES, start="2019-02-27T12")
    late = data.isel(time=slice(1, None)).copy(deep=True)
    for name in late.data_vars:
        if late[name].attrs.get("cell_methods") == "time: mean":
            late[name].values[...] = data[name].values[:-1]
    late["time"].attrs["bounds"] = "time_bnds"
    late["time"].encoding["units"] = "hours since 2019-01-01"
    ends = late["time"].values
    late["time_bnds"] = (("time", "nv"), np.stack([ends - np.timedelta64(6, "h"), ends], axis=1))
    late.to_netcdf(bench.forcing)
    assert bench.run() == 0
    small_dataset(N_TIMES, start="2019-02-27T12").isel(time=slice(1, -1)).to_netcdf(bench.path / "plain.nc")
    plain = bench.beside(bench.path, has_own_files=False)
    plain.forcing = bench.path / "plain.nc"
    assert plain.run(output="plain.out.nc") == 0
    found = bench.open()
    same(found, bench.open("plain.out.nc"))
    assert "means over 6 h that end at the label (cell_methods and bounds 'time_bnds')" in found.attrs["history"]


def test_hours_for_a_model_of_six(bench):
    """Hourly means, each six of which have the window's, give the same run."""
    data = small_dataset(N_TIMES, start="2019-02-27T12")
    data.to_netcdf(bench.forcing)
    assert bench.run(output="six.nc") == 0
    times = data["time"].values[0] + np.arange(6 * N_TIMES) * np.timedelta64(1, "h")
    hourly = data.isel(time=np.repeat(np.arange(N_TIMES), 6)).assign_coords(time=times)
    hourly["swvl1"] = hourly["swvl1"].where(hourly["time"].dt.hour % 6 == 0, 0.01)
    hourly.to_netcdf(bench.forcing)
    assert bench.run("--overwrite") == 0
    found, expected = bench.open(), bench.open("six.nc")
    for name in ("swvl1", "stl1", "t2m", "slhf"):
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=1e-5)
    assert bench.run("--overwrite", "--start", "2019-02-27T15") == 0
    assert str(bench.open().time.values[0]).startswith("2019-02-27T15")
