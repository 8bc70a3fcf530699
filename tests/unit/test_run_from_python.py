"""``ailand_gt4py.run``: data sets in, a data set out, as the command with files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver import api
from helpers import Bench

OPTIONS = {"backend": "embedded", "quiet": True}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    result = Bench(tmp_path_factory.mktemp("python"), n_times=6)
    assert result.run("--spin-up", 1, "--end", "2021-01-02") == 0
    return result


def same(found: xr.Dataset, expected: xr.Dataset) -> None:
    assert dict(found.sizes) == dict(expected.sizes)
    assert set(found.variables) == set(expected.variables)
    for name in expected.variables:
        np.testing.assert_array_equal(found[name], expected[name], str(name))
        if name != "x":  # as the input has it
            assert found[name].attrs.keys() == expected[name].attrs.keys(), name
    without_history = [{key: text for key, text in one.attrs.items() if key != "history"} for one in (found, expected)]
    assert without_history[0] == without_history[1]


@pytest.mark.parametrize("how", ["path", "lazy", "loaded", "raw", "parts"])
def test_the_result_is_that_of_the_command(bench: Bench, how: str) -> None:
    with xr.open_dataset(bench.forcing, decode_cf=how != "raw", chunks={} if how == "lazy" else None) as data:
        weather = [name for name in data.data_vars if str(name).startswith("met_")]
        given = {
            "path": bench.forcing, "lazy": data, "raw": data, "loaded": data.load() if how == "loaded" else None,
            "parts": [data[[*weather, "lat", "lon"]], data.drop_vars(weather)],
        }[how]  # fmt: skip
        found = ailand_gt4py.run(given, bench.model, spin_up=1, end="2021-01-02", **OPTIONS)
        assert np.isfinite(data["met_tair"].values).all()  # it is still open
    assert isinstance(found, xr.Dataset)
    same(found, bench.open())
    history = found.attrs["history"]
    assert "ailand_gt4py.run" in history.splitlines()[0]
    assert "was run once before" in history


def test_a_grid_with_sea_comes_back_as_one(bench: Bench) -> None:
    data = xr.load_dataset(bench.forcing)
    flat = data.isel(x=[0, 1, 2, 0]).drop_vars(["x", "lat", "lon"])
    index = {
        "latitude": ("latitude", [50.0, 49.0], {"units": "degrees_north"}),
        "longitude": ("longitude", [5.0, 6.0], {"units": "degrees_east"}),
    }
    grid = flat.assign_coords(x=np.arange(4)).drop_vars("x")
    grid = xr.Dataset({
        name: ((*one.dims[:-1], "latitude", "longitude"), one.values.reshape(*one.shape[:-1], 2, 2).copy(), one.attrs)
        for name, one in grid.data_vars.items()
    }, {"time": data["time"]}).assign_coords(index)  # fmt: skip
    for name in grid.data_vars:
        if str(name).startswith(("met_", "lai_")):
            grid[name].values[:, 1, 1] = np.nan
    found = ailand_gt4py.run(grid, ailand_gt4py.read_model(bench.model), **OPTIONS)
    assert found["stl1"].dims == ("time", "latitude", "longitude")
    assert np.isnan(found["stl1"].values[:, 1, 1]).all()
    assert np.isfinite(found["stl1"].values[:, 0]).all()
    assert found["stl1"].attrs["units"] == "K"
    box = ailand_gt4py.run(grid, bench.model, box=(49.5, 50.5, 4.0, 7.0), **OPTIONS)
    np.testing.assert_array_equal(box["stl1"].values, found["stl1"].values[:, :1])


def test_a_calendar_without_leap_years_is_kept(bench: Bench) -> None:
    data = xr.load_dataset(bench.forcing).convert_calendar("noleap")
    found = ailand_gt4py.run(data, bench.model, **OPTIONS)
    assert found["time"].dt.calendar == "noleap"
    np.testing.assert_array_equal(found["time"], data["time"])


def test_a_file_is_written_where_output_is_given(bench: Bench, tmp_path: Path) -> None:
    path = ailand_gt4py.run(bench.forcing, bench.model, output=tmp_path / "a.nc", **OPTIONS)
    assert path == tmp_path / "a.nc"
    assert path.is_file()


def test_what_does_not_go_together_is_refused(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = xr.load_dataset(bench.forcing)
    with pytest.raises(InputError, match="output: given with a data set or model in memory, expected files"):
        ailand_gt4py.run(data, output=tmp_path / "a.nc")
    with pytest.raises(InputError, match="option 'plot' is for a run that writes a file, expected output= as well"):
        ailand_gt4py.run(data, plot="a.png")
    with pytest.raises(InputError, match="option 'spinup' is unknown; did you mean 'spin_up'"):
        ailand_gt4py.run(data, spinup=2)
    with pytest.raises(InputError, match="data set: .*met_tair"):
        ailand_gt4py.run(data.drop_vars("met_tair"), bench.model, **OPTIONS)
    monkeypatch.setattr(api, "FREE_PART", 1e-12)
    with pytest.raises(InputError, match=r"the results take .* GiB, expected at most half of .*output='NAME.zarr'"):
        ailand_gt4py.run(data, bench.model, **OPTIONS)


def test_a_run_from_a_first_guess(bench: Bench) -> None:
    options = {"end": "2021-01-02", **OPTIONS}
    data = xr.load_dataset(bench.forcing)
    found = ailand_gt4py.run(data, bench.model, initial_state="guess", **options)
    usual = ailand_gt4py.run(data, bench.model, **options)
    assert isinstance(found, xr.Dataset)
    assert isinstance(usual, xr.Dataset)
    assert "first guess from the mean of met_tair" in found.attrs["history"]
    assert "first guess" not in usual.attrs["history"].split("\n", 1)[1]
    air = data["met_tair"].values.mean(axis=0)
    np.testing.assert_allclose(found["stl3"].values[0], air, rtol=1e-5)
    assert (found["snowc"].values[0] == 0.0).all()
    assert (usual["snowc"].values[0] != 0.0).any()
    with pytest.raises(InputError, match="option --initial-state: found 'guess' beside --restart"):
        ailand_gt4py.run(data, bench.model, initial_state="guess", restart=Path("r.nc"), **options)
    with pytest.raises(InputError, match="initial_state"):
        ailand_gt4py.run(data, bench.model, initial_state="nothing", **options)
