"""Columns, members and months of several files, by what labels them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from column_files import dataset, driver_model, write

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.sources import ColumnSource, open_source

MODEL = driver_model()
ORDER = [2, 0, 1]
#: Index of the geopotential among the static inputs.
GEOPOTENTIAL = [one.name for one in MODEL.static].index("clim_geopot")


def parts(data: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """What changes in time, with the locations, and the static fields."""
    static = [name for name in data.data_vars if str(name).startswith("clim_")]
    return data.drop_vars(static), data[static]


def opened(folder: Path, *datasets: xr.Dataset) -> ColumnSource:
    return open_source([write(data, folder / f"{k}.nc") for k, data in enumerate(datasets)], MODEL)


def history(source: ColumnSource) -> str:
    return "\n".join(source.history)


def at_one_location(data: xr.Dataset) -> xr.Dataset:
    return data.assign(lat=data["lat"] * 0 + 50.0, lon=data["lon"] * 0 + 7.0).assign(
        lat=lambda one: one["lat"].assign_attrs(data["lat"].attrs),
        lon=lambda one: one["lon"].assign_attrs(data["lon"].attrs),
    )


@pytest.mark.parametrize("are_twins", [False, True])
def test_sites_in_another_order_are_matched_by_their_labels(tmp_path: Path, are_twins: bool) -> None:
    data = at_one_location(dataset()) if are_twins else dataset()
    timed, static = parts(data)
    if are_twins:
        static = static.assign(lat=data["lat"], lon=data["lon"])
    with opened(tmp_path, timed, static.isel(x=ORDER)) as source:
        np.testing.assert_array_equal(source.static[:, GEOPOTENTIAL], data["clim_geopot"])
        assert "1.nc: cells are matched with those of" in history(source)


def test_sites_without_labels_are_in_the_order_of_the_first_file_which_is_said(tmp_path: Path) -> None:
    timed, static = parts(dataset())
    with opened(tmp_path, timed, static.drop_vars("x")) as source:
        np.testing.assert_array_equal(source.static[:, GEOPOTENTIAL], static["clim_geopot"])
        assert "1.nc, its cells are taken in the order of" in history(source)


def test_sites_with_other_labels_are_refused(tmp_path: Path) -> None:
    timed, static = parts(dataset())
    other = static.assign_coords(x=[100, 101, 7])
    with pytest.raises(
        InputError, match=r"no latitude and longitude and other labels than .*\('7' at index 2, not '10"
    ):
        opened(tmp_path, timed, other)
    data = at_one_location(dataset())
    timed, static = parts(data)
    other = static.assign(lat=data["lat"], lon=data["lon"]).assign_coords(x=[100, 101, 7])
    with pytest.raises(InputError, match="several cells at one location and other labels"):
        opened(tmp_path, timed, other)


def ensemble(name: str, members: list[int]) -> xr.Dataset:
    """A variable with another value for each label of a member."""
    data = dataset()[[name, "lat", "lon"]]
    values = data[name] + xr.DataArray(0.5 * np.array(members), {"number": members}, ("number",))
    return data.assign({name: values.astype("f4").assign_attrs(data[name].attrs)})


def test_members_in_another_order_are_matched_by_their_labels(tmp_path: Path) -> None:
    rest = dataset().drop_vars(["met_tair", "met_psurf"])
    position = [one.name for one in MODEL.forcing if not one.derived].index("met_psurf")
    files = ensemble("met_tair", [0, 1, 2]), ensemble("met_psurf", [2, 0, 1]), rest
    with opened(tmp_path, *files) as source:
        found = source.forcing(0, 1)[0, :, position].reshape(3, 3)
        np.testing.assert_allclose(np.diff(found, axis=0), 0.5, atol=0.02)
        assert "1.nc: members are put in the order of those of" in history(source)
    with pytest.raises(
        InputError, match=r"1.nc: has the members 1, 2, 3 \(number\), expected those of .*0.nc, 0, 1, 2"
    ):
        opened(tmp_path, files[0], ensemble("met_psurf", [1, 2, 3]), rest)


def test_months_are_those_of_their_labels(tmp_path: Path) -> None:
    leaves = ["lai_hv", "lai_lv"]
    values = xr.DataArray(np.tile(0.5 * np.arange(1.0, 13.0)[:, None], (1, 3)), {"month": range(1, 13)}, ("month", "x"))
    climatology = xr.Dataset({name: values.assign_attrs(units="m2 m-2") for name in leaves})
    rest, positions = dataset().drop_vars(leaves), [-2, -1]
    with opened(tmp_path, rest, climatology) as source:
        expected = source.forcing(0, 9)[..., positions].copy()
    with opened(tmp_path, rest, climatology.roll(month=3, roll_coords=True)) as source:
        np.testing.assert_array_equal(source.forcing(0, 9)[..., positions], expected)
    with pytest.raises(InputError, match="1.nc: dimension 'month' has the labels 1, 2, 3; expected the months 1 to 12"):
        opened(tmp_path, rest, climatology.isel(month=slice(3)))


def test_a_grid_with_one_of_its_axes_in_another_order_is_refused(tmp_path: Path) -> None:
    data = dataset(1).isel(x=0, drop=True)
    places = {
        "lat": ("lat", [10.0, 20.0], {"units": "degrees_north"}),
        "lon": ("lon", [5.0, 6.0], {"units": "degrees_east"}),
    }
    timed, static = parts(data.drop_vars(["lat", "lon"]).expand_dims(lat=2, lon=2).assign_coords(places))
    timed["time"] = data["time"]
    fields = static.drop_vars("lon")
    with opened(tmp_path, timed, fields) as source:
        assert "Without latitude and longitude in" in history(source)
    with pytest.raises(InputError, match=r"1.nc: has 20.0 at index 0 along 'lat', expected 10.0 as in .*0.nc"):
        opened(tmp_path, timed, fields.isel(lat=[1, 0]))
