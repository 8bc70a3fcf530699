"""A run on files of any grid: the numbers of its columns run alone, put back to where they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import dataset, driver_model, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.driver import interruption
from ailand_gt4py.driver import run as driver
from ailand_gt4py.weights.model_file import write_model

N_LAT, N_LON = 2, 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose increments and diagnostics differ from column to column."""
    found = driver_model()
    random = np.random.default_rng(5)
    for values in found.parameters.values():
        values[...] = random.normal(size=values.shape, scale=0.05)
    path = tmp_path_factory.mktemp("model") / "model.nc"
    write_model(found, path)
    return path


def columns() -> xr.Dataset:
    data = dataset(N_LAT * N_LON)
    lat, lon = np.meshgrid([50.25, 49.5], [7.0, 7.75, 8.5], indexing="ij")
    data["lat"].values[:], data["lon"].values[:] = lat.ravel(), lon.ravel()
    return data.assign_coords(x=np.arange(N_LAT * N_LON))


def gridded(data: xr.Dataset, order: tuple[str, ...] = ("time", "latitude", "longitude")) -> xr.Dataset:
    """The same columns on a grid."""
    lat, lon = data["lat"].values.reshape(N_LAT, N_LON)[:, 0], data["lon"].values[:N_LON]
    result = xr.Dataset(attrs=data.attrs)
    for name, array in data.data_vars.items():
        if name in ("lat", "lon"):
            continue
        dims = (*array.dims[:-1], "latitude", "longitude")
        values = array.values.reshape(*array.shape[:-1], N_LAT, N_LON)
        result[name] = xr.Variable(dims, values, array.attrs).transpose(*[one for one in order if one in dims])
    result["time"] = data["time"]
    result["latitude"] = ("latitude", lat, {"units": "degrees_north", "standard_name": "latitude"})
    result["longitude"] = ("longitude", lon, {"units": "degrees_east", "standard_name": "longitude"})
    return result


def run(path: Path | list[Path], output: Path, model: Path, **options: object) -> xr.Dataset:
    driver.run(path, output=output, model=model, backend="embedded", quiet=True, **options)  # type: ignore[arg-type]
    engine = {"engine": "zarr"} if output.suffix == ".zarr" else {}
    with xr.open_dataset(output, **engine) as data:  # type: ignore[arg-type]
        return data.load()


def flat(data: xr.Dataset, name: str) -> np.ndarray:
    return data[name].transpose("time", "latitude", "longitude").values.reshape(data.sizes["time"], -1)


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("alone")
    return run(write(columns(), folder / "in.nc"), folder / "out.nc", model)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("order", [("time", "latitude", "longitude"), ("longitude", "time", "latitude")])
def test_a_grid_has_the_numbers_of_its_columns(
    tmp_path: Path, model: Path, alone: xr.Dataset, order: tuple[str, ...], suffix: str
) -> None:
    found = run(write(gridded(columns(), order), tmp_path / "in.nc"), tmp_path / f"out{suffix}", model)
    expected_dims = ("time", *(one for one in order if one != "time"))
    for name in ("stl1", "swvl3", "skt", "sshf"):
        assert found[name].dims == expected_dims
        np.testing.assert_array_equal(flat(found, name), alone[name].values)
    np.testing.assert_array_equal(flat(found, "quality_flag"), alone["quality_flag"])
    assert found["latitude"].attrs["standard_name"] == "latitude"
    assert "coordinates" not in found["stl1"].encoding
    assert found["stl1"].encoding.get("_FillValue", np.nan) is not None


def test_sea_is_missing_and_the_rest_as_without_it(tmp_path: Path, model: Path, alone: xr.Dataset) -> None:
    data = gridded(columns())
    mask = np.array([[1.0, 0.2, 1.0], [0.0, 1.0, 0.5]])
    data["lsm"] = (("latitude", "longitude"), mask, {"units": "1", "standard_name": "land_binary_mask"})
    for name in ("met_tair", "swvl1"):
        data[name].values[..., mask < 0.5] = np.nan
    found = run(write(data, tmp_path / "in.nc"), tmp_path / "out.nc", model)
    is_land = (mask >= 0.5).ravel()
    for name in ("stl1", "sshf"):
        values = flat(found, name)
        np.testing.assert_array_equal(values[:, is_land], alone[name].values[:, is_land])
        assert np.isnan(values[:, ~is_land]).all()
    assert "Sea is left out: 2 of 6 cells" in found.attrs["history"]
    with xr.open_dataset(tmp_path / "out.nc", mask_and_scale=False) as raw:
        assert (flat(raw, "quality_flag")[:, ~is_land] == 255).all()
    plain = columns().assign(lsm=("x", mask.ravel(), {"units": "1"}))
    found = run(write(plain, tmp_path / "plain.nc"), tmp_path / "plain_out.nc", model)
    np.testing.assert_array_equal(np.isnan(found["stl1"].values).all(axis=0), ~is_land)


def test_points_that_the_forcing_masks_are_left_out_those_with_gaps_are_not(tmp_path: Path, model: Path) -> None:
    data = columns()
    for name in data.data_vars:
        if str(name).startswith("met_"):  # leaf area may be a map of all cells
            data[name].values[:, 2] = np.nan
    found = run(write(data, tmp_path / "in.nc"), tmp_path / "out.nc", model)
    assert "Left out, missing in the output: 1 columns without weather (x = 2)." in found.attrs["history"]
    assert np.isnan(found["stl1"].values[:, 2]).all()
    assert np.isfinite(np.delete(found["stl1"].values, 2, axis=1)).all()
    data["met_tair"].values[3, 2] = 0.5
    data["met_tair"].values[5, 4] = np.nan
    with pytest.raises(InputError, match=r"met_tair.* is missing at 2021-01-02T06:00 in column 3 \(x = 4"):
        run(write(data, tmp_path / "in.nc"), tmp_path / "other.nc", model)


def test_every_member_is_run_and_is_as_alone(tmp_path: Path, model: Path) -> None:
    data = columns()
    shifts = np.float32([0.0, 0.01, -0.02])
    members = data.copy()
    air = data["met_tair"].values[:, None, :] + shifts[:, None]
    members["met_tair"] = (("time", "number", "x"), air, data["met_tair"].attrs)
    found = run(write(members.assign_coords(number=[4, 5, 6]), tmp_path / "in.nc"), tmp_path / "out.nc", model)
    assert found["stl1"].dims == ("time", "number", "x")
    np.testing.assert_array_equal(found["number"], [4, 5, 6])
    for k in range(3):
        data["met_tair"].values[...] = air[:, k]
        one = run(write(data, tmp_path / f"in{k}.nc"), tmp_path / f"out{k}.nc", model)
        np.testing.assert_array_equal(found["stl1"].isel(number=k), one["stl1"])


def test_an_interrupted_run_and_one_from_its_restart_file_go_on_bit_for_bit(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = write(gridded(columns()), tmp_path / "in.nc"), tmp_path / "out.nc"
    whole = run(path, tmp_path / "whole.nc", model, block_steps=2)
    steps = driver.Stepper._step

    def stop_later(self: driver.Stepper, forcing: object) -> None:
        steps(self, forcing)
        if (count := getattr(self, "count", 0) + 1) == 5:
            raise interruption.Interrupted(15)
        self.count = count  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(driver.Stepper, "_step", stop_later)
        with pytest.raises(interruption.Interrupted):
            run(path, output, model, block_steps=2, checkpoint_seconds=0.0)
    assert not output.exists()
    resumed = run(path, output, model, block_steps=2, resume=True)
    run(path, tmp_path / "a.nc", model, end="2021-01-02")
    later = run(path, tmp_path / "b.nc", model, restart=tmp_path / "a.restart.nc")
    for name in ("stl1", "skt", "sshf"):
        np.testing.assert_array_equal(resumed[name], whole[name])
        np.testing.assert_array_equal(later[name], whole[name][4:])


def test_scores_figure_and_map_of_a_grid(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture, alone: xr.Dataset
) -> None:
    data = columns()
    tables = []
    for name, content in (("plain", data), ("grid", gridded(data))):
        path = write(content, tmp_path / f"{name}.nc")
        figures = {"plot": tmp_path / "grid.png", "at": (49.5, 8.4), "plot_map": ("sshf,2021-01-02",)}
        run(path, tmp_path / f"{name}.out.nc", model, reference="same", **(figures if name == "grid" else {}))
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    assert "stl1" in tables[0]
    for name in ("grid.png", "grid.out.sshf.2021-01-02T00:00.png"):
        assert (tmp_path / name).stat().st_size > 1000
    # The reference has cells in another order, and more of them.
    turned = gridded(data).isel(latitude=[1, 0])
    run(tmp_path / "plain.nc", tmp_path / "c.nc", model, reference=write(turned, tmp_path / "turned.nc"))
    assert capsys.readouterr().out == tables[0]


def test_a_box_and_points_are_parts_of_the_whole(tmp_path: Path, model: Path, alone: xr.Dataset) -> None:
    path = write(gridded(columns()), tmp_path / "in.nc")
    box = run(path, tmp_path / "box.nc", model, box="49,50,7.5,9")
    np.testing.assert_array_equal(flat(box, "stl1"), alone["stl1"].values[:, [4, 5]])
    assert dict(box.sizes) | {"time": 9, "nv": 2} == {"time": 9, "nv": 2, "latitude": 1, "longitude": 2}
    points = run(path, tmp_path / "points.nc", model, points="50.2,8.4;49.6,7.1")
    np.testing.assert_array_equal(points["stl1"], alone["stl1"].values[:, [2, 3]])
    np.testing.assert_array_equal(points["lat"], [50.25, 49.5])


def test_fields_of_several_files_and_months(tmp_path: Path, model: Path, alone: xr.Dataset) -> None:
    data = columns()
    weather = [name for name in data.data_vars if str(name).startswith("met_")]
    months = gridded(data[[*weather, "lat", "lon"]])
    paths = [write(months.isel(time=slice(4, None)), tmp_path / "b.nc"),
             write(months.isel(time=slice(0, 4)), tmp_path / "a.nc"),
             write(data.drop_vars(weather), tmp_path / "fields.nc")]  # fmt: skip
    found = run(paths, tmp_path / "out.nc", model)
    np.testing.assert_array_equal(flat(found, "stl1"), alone["stl1"].values)
    assert "2 files with the same variables are put end to end" in found.attrs["history"]
    with pytest.raises(InputError, match=r"no\*.nc: no file matches"):
        run([tmp_path / "no*.nc"], tmp_path / "x.nc", model)
