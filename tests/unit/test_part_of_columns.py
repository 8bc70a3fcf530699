"""Some of the columns of an input: the numbers that they have among all, to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import era5_files
import numpy as np
import pytest
import xarray as xr
from column_files import dataset, driver_model, write
from test_gridded_run import columns as gridded_columns
from test_gridded_run import gridded
from training_files import columns as training_columns
from training_files import needs_anemoi, write_anemoi_store

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.request import AS_THEY_ARE, Columns
from ailand_gt4py.io.sources import ColumnSource, Inputs, open_source
from ailand_gt4py.weights.model import Model
from helpers import small_model

HOURS = 48


def netcdf(folder: Path) -> tuple[Inputs, Model]:
    return write(dataset(7), folder / "in.nc", chunksizes=None), driver_model()


def zarr(folder: Path) -> tuple[Inputs, Model]:
    dataset(7).chunk({"time": 3, "x": 2}).to_zarr(folder / "in.zarr", zarr_format=2, consolidated=True)
    return folder / "in.zarr", driver_model()


def masked(folder: Path) -> tuple[Inputs, Model]:
    data = dataset(7)
    for name in data.data_vars:
        if str(name).startswith(("met_", "lai")):
            data[name].values[:, [0, 3]] = np.nan
    return write(data, folder / "in.nc"), driver_model()


def in_members(folder: Path) -> tuple[Inputs, Model]:
    data = gridded_columns()
    air = data["met_tair"].values[:, None, :] + np.float32([0.0, 0.01, -0.02])[:, None]
    data["met_tair"] = (("time", "number", "x"), air, data["met_tair"].attrs)
    return write(data.assign_coords(number=[4, 5, 6]), folder / "in.nc"), driver_model()


def with_sea(folder: Path) -> tuple[Inputs, Model]:
    data = gridded(gridded_columns(), ("longitude", "time", "latitude"))
    data["lsm"] = (("latitude", "longitude"), [[1.0, 0.2, 1.0], [0.0, 1.0, 0.5]], {"units": "1"})
    return write(data, folder / "in.nc"), driver_model()


def era5(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = dict) -> tuple[Inputs, Model]:
    fields = era5_files.era5(HOURS)
    random = np.random.default_rng(3)
    for name, values in fields.items():
        if name not in era5_files.STATIC and values.ndim == 2:
            fields[name] = values * (1.0 + 1e-3 * random.random(values.shape))
    return era5_files.cds_files(folder, HOURS, change(fields)), small_model()


def era5_land(folder: Path) -> tuple[Inputs, Model]:
    return era5(folder, era5_files.since_midnight)


def boxed_and_given(folder: Path) -> tuple[Inputs, Model]:
    data = xr.load_dataset(netcdf(folder)[0], decode_cf=False)  # type: ignore[arg-type]
    return [data.drop_vars("met_tair"), data[["met_tair", "lat", "lon"]]], driver_model()


def anemoi(folder: Path) -> tuple[Inputs, Model]:
    return write_anemoi_store(folder / "a.zarr", training_columns(n_columns=5, n_times=12)), small_model()


KINDS = [netcdf, zarr, masked, in_members, with_sea, era5, era5_land, boxed_and_given,
         pytest.param(anemoi, marks=needs_anemoi)]  # fmt: skip


def some(inputs: Inputs, model: Model, whole: ColumnSource, first: int, last: int) -> ColumnSource:
    positions = np.arange(whole.n_columns) if whole.kept is None else whole.kept
    reading = dataclasses.replace(AS_THEY_ARE, columns=Columns(positions[first:last], first, whole.n_columns))
    return open_source(inputs, model, initial_state="none", reading=reading)


@pytest.mark.parametrize("kind", KINDS)
def test_some_columns_are_as_among_all(tmp_path: Path, kind: Callable[[Path], tuple[Inputs, Model]]) -> None:
    inputs, model = kind(tmp_path)
    with open_source(inputs, model) as whole:
        n, n_steps = whole.n_columns, len(whole.times)
        forcing = whole.forcing(0, n_steps).copy()
        assert n > 3
        for first, last in ((0, 1), (1, n - 1), (n - 2, n)):
            with some(inputs, model, whole, first, last) as part:
                assert (part.n_columns, part.first_column) == (last - first, first)
                np.testing.assert_array_equal(part.times, whole.times)
                for name in ("x", "latitude", "longitude", "static"):
                    assert getattr(part, name).tobytes() == getattr(whole, name)[first:last].tobytes(), name
                assert part.forcing(0, n_steps).tobytes() == forcing[:, first:last].tobytes()


def test_what_values_tell_those_of_all_columns_do(tmp_path: Path) -> None:
    """Amounts of which only values show that they go on all along: those of columns without any do not."""
    data = gridded(gridded_columns())
    total = np.cumsum(data["met_rainf"].values, axis=0) * 1000.0
    total[:, 0] = 0.0
    attributes = {"units": "kg m-2", "GRIB_stepType": "accum"}
    data["met_rainf"] = (data["met_rainf"].dims, total.astype(np.float32), attributes)
    path, model = write(data, tmp_path / "in.nc"), driver_model()
    with open_source(path, model) as whole, some(path, model, whole, 0, 3) as part:
        assert "amounts are accumulated all along" in " ".join(whole.history)
        n_steps = len(whole.times)
        assert part.forcing(0, n_steps).tobytes() == whole.forcing(0, n_steps)[:, :3].tobytes()


def test_errors_name_columns_as_in_the_whole_run(tmp_path: Path) -> None:
    data = dataset(7)
    data["met_tair"].values[4, 5] = np.nan
    path, model = write(data, tmp_path / "in.nc"), driver_model()
    reading = dataclasses.replace(AS_THEY_ARE, columns=Columns(np.arange(4, 7), 4, 7))
    with (
        pytest.raises(InputError, match=r"in column 5 \(x = 105\)"),
        open_source(path, model, initial_state="none", reading=reading) as part,
    ):
        part.forcing(0, 9)
