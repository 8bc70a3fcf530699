"""Horizontal grids as columns and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.grids import Grid, Selection, to_columns

PATH = Path("in.nc")
UNITS = {"lat": "degrees_north", "lon": "degrees_east"}


def fields(data: xr.Dataset, path: Path = PATH, **own_names: str) -> Fields:
    """What `conventions.read` gives of a data set with names of the catalogue."""
    for name in ("lat", "lon"):
        if name in data.variables:
            data[name].attrs["units"] = UNITS[name]
    names = {str(name): str(name) for name in (*data.data_vars, "lat", "lon")} | own_names
    meanings = {str(name): Meaning("mean") for name, one in data.data_vars.items() if "time" in one.dims}
    return Fields(path, data.chunk(time=2) if "time" in data.dims else data.chunk(), names, meanings)


def lat_lon(lat: list[float], lon: list[float], n_times: int = 3) -> xr.Dataset:
    shape = (n_times, len(lat), len(lon))
    return xr.Dataset(
        {
            "met_tair": (("time", "lat", "lon"), np.arange(np.prod(shape), dtype="f4").reshape(shape)),
            "clim_cvh": (("lat", "lon"), np.linspace(0, 1, len(lat) * len(lon)).reshape(shape[1:])),
        },
        coords={"time": np.datetime64("2021-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h"),
                "lat": ("lat", lat), "lon": ("lon", lon)},
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_columns_of_any_grid_go_back_to_where_they_were(data: st.DataObject) -> None:
    """Any number, order and lengths of dimensions; any sea."""
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    dims = [f"d{k}" for k in range(len(lengths))]
    n_members = data.draw(st.sampled_from((0, 2, 3)))
    order = data.draw(st.permutations(["time", *dims, *(["member"] if n_members else [])]))
    sizes = {"time": 2, "member": n_members} | dict(zip(dims, lengths, strict=True))
    random = np.random.default_rng(0)
    values = random.normal(size=[sizes[name] for name in order]).astype("f4")
    n_cells = int(np.prod(lengths))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n_cells, max_size=n_cells)))
    mask[data.draw(st.integers(0, n_cells - 1))] = True
    cells = {
        "lat": random.uniform(-90, 90, n_cells), "lon": random.uniform(0, 360, n_cells),
        "land_sea_mask": mask.astype("f8"),
    }  # fmt: skip
    source = xr.Dataset({"met_tair": (order, values)} | {k: (dims, v.reshape(lengths)) for k, v in cells.items()})
    source = source.assign_coords(time=np.array(["2021-01-01", "2021-01-02"], "M8[ns]"))
    (found,), grid = to_columns([fields(source)])
    assert found.dataset["met_tair"].dims == ("time", "x")
    back = grid.spread(found.dataset["met_tair"].values)
    expected = source["met_tair"].transpose("time", *grid.sizes)
    is_land = source["land_sea_mask"].transpose(*[d for d in grid.sizes if d != "member"]).values == 1
    np.testing.assert_array_equal(back, np.where(is_land, expected, np.nan))
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(grid.gather(back), found.dataset["met_tair"].values)
    repeats = max(n_members, 1)
    flat_lat = source["lat"].transpose(*[d for d in grid.sizes if d != "member"]).values[is_land]
    np.testing.assert_array_equal(found.dataset["lat"], np.tile(flat_lat, repeats))


def test_a_grid_keeps_the_names_order_and_attributes_of_its_file() -> None:
    data = lat_lon([50.0, 49.0], [7.0, 8.0, 9.0]).rename({"lat": "latitude", "lon": "longitude"})
    given_ = data.rename_vars(latitude="lat", longitude="lon")
    given_["lat"].attrs["stored_direction"] = "decreasing"
    (found,), grid = to_columns([fields(given_, lat="latitude", lon="longitude")])
    assert dict(grid.sizes) == {"latitude": 2, "longitude": 3}
    assert grid.coordinates["latitude"].attrs["stored_direction"] == "decreasing"
    np.testing.assert_array_equal(grid.coordinates["longitude"], [7.0, 8.0, 9.0])
    np.testing.assert_array_equal(found.dataset["lat"], [50, 50, 50, 49, 49, 49])
    np.testing.assert_array_equal(found.dataset["x"], np.arange(6))


def test_a_rotated_grid_keeps_its_mapping() -> None:
    data = lat_lon([1.0, 2.0], [3.0, 4.0]).rename(lat="rlat", lon="rlon")
    data["rotated_pole"] = ((), 0, {"grid_mapping_name": "rotated_latitude_longitude"})
    data = data.set_coords("rotated_pole")
    data["met_tair"].attrs["grid_mapping"] = "rotated_pole"
    data["lat"], data["lon"] = (("rlat", "rlon"), [[50, 51], [52, 53]]), (("rlat", "rlon"), [[5, 6], [7, 8]])
    given_ = fields(data.set_coords(["lat", "lon"]))
    _, grid = to_columns([given_])
    assert grid.mapping == "rotated_pole"
    assert set(grid.coordinates) == {"rlat", "rlon", "lat", "lon", "rotated_pole"}
    assert grid.coordinates["lat"].dims == ("rlat", "rlon")


def test_dimensions_of_length_one_are_left_out_and_said() -> None:
    data = lat_lon([50.0], [7.0, 8.0])
    data["met_tair"] = data["met_tair"].expand_dims(height=[10.0], axis=1)
    (found,), grid = to_columns([fields(data)])
    assert dict(grid.sizes) == {"lat": 1, "lon": 2}
    assert found.notes[0] == "Dimension of length 1 left out: height (10.0)."
    two = np.zeros((3, 2, 1, 2))
    data = data.drop_vars(["met_tair", "height"]).assign(met_tair=(("time", "height", "lat", "lon"), two))
    with pytest.raises(InputError, match=r"met_tair.*height: 2.*expected \(time: 3, lat: 1, lon: 2\)"):
        to_columns([fields(data)])


def test_one_location_without_a_dimension_is_one_column() -> None:
    data = lat_lon([50.0], [7.0]).squeeze(["lat", "lon"]).reset_coords(["lat", "lon"])
    (found,), grid = to_columns([fields(data)])
    assert dict(grid.sizes) == {"x": 1}
    assert found.dataset["met_tair"].dims == ("time", "x")


@pytest.mark.parametrize("first", [-180.0, 0.0])
@pytest.mark.parametrize("step", [10.0, -10.0])
def test_a_box_across_the_edge_of_the_file_is_in_one_piece(first: float, step: float) -> None:
    lon = (first + 10.0 * np.arange(36))[:: int(np.sign(step))]
    data = lat_lon([20.0, 10.0, 0.0, -10.0], list(lon))
    for west, east, expected in ((-15.0, 25.0, [-10, 0, 10, 20]), (165.0, -165.0, [170, 180, 190])):
        (found,), grid = to_columns([fields(data)], Selection(box=(0.0, 10.0, west, east)))
        assert dict(grid.sizes) == {"lat": 2, "lon": len(expected)}
        got = grid.coordinates["lon"].values
        np.testing.assert_allclose(got % 360, np.array(expected)[:: int(np.sign(step))] % 360)
        assert (np.sign(np.diff(got)) == np.sign(step)).all()
        assert ((got >= -180) & (got <= 360)).all()
        picked = data.sel(lat=xr.DataArray(found.dataset["lat"].values % 360, dims="x"),
                          lon=xr.DataArray((found.dataset["lon"].values - first) % 360 + first, dims="x"))  # fmt: skip
        np.testing.assert_array_equal(found.dataset["met_tair"], picked["met_tair"])


def test_a_box_of_few_cells_keeps_their_order_across_the_date_line() -> None:
    data = lat_lon([1.0, 0.0], [179.5, -180.0, -179.5])
    _, grid = to_columns([fields(data)], Selection(box=(0.0, 10.0, 179.0, -179.0)))
    np.testing.assert_array_equal(grid.coordinates["lon"].values, [179.5, 180.0, 180.5])


def test_a_box_of_cells_without_order_has_those_in_it() -> None:
    random = np.random.default_rng(1)
    lat, lon = random.uniform(-90, 90, 50), random.uniform(0, 360, 50)
    data = xr.Dataset({"clim_cvh": ("values", np.arange(50.0)), "lat": ("values", lat), "lon": ("values", lon)})
    (found,), grid = to_columns([fields(data)], Selection(box=(-30.0, 60.0, -60.0, 60.0)))
    inside = (lat >= -30) & (lat <= 60) & ((lon <= 60) | (lon >= 300))
    np.testing.assert_array_equal(found.dataset["clim_cvh"], np.flatnonzero(inside))
    assert dict(grid.sizes) == {"values": inside.sum()}
    with pytest.raises(InputError, match="--box.*no cell in 89.99"):
        to_columns([fields(data)], Selection(box=(89.99, 89.999, 0.0, 1.0)))


def test_points_take_the_nearest_cells() -> None:
    data = lat_lon([50.0, 49.0], [359.0, 0.0, 1.0])
    points = ((49.9, -0.9), (49.2, 0.6), (50.0, 359.2))
    (found,), grid = to_columns([fields(data)], Selection(points=points))
    np.testing.assert_array_equal(found.dataset["lon"] % 360, [359.0, 1.0, 359.0])
    np.testing.assert_array_equal(found.dataset["lat"], [50.0, 49.0, 50.0])
    assert dict(grid.sizes) == {"x": 3}
    assert "Nearest cells to 3 points of 6 cells" in found.notes[-1]
    with pytest.raises(InputError, match=r"no cell at 20.0000 N, 0.0000 E \(1 of 1 such"):
        to_columns([fields(data)], Selection(points=((20.0, 0.0),)))


def test_files_with_other_order_and_more_cells_are_matched_by_location() -> None:
    data = lat_lon([50.0, 49.0], [7.0, 8.0])
    wider = xr.Dataset(
        {"clim_cvl": (("lat", "lon"), np.arange(12.0).reshape(3, 4))},
        coords={"lat": ("lat", [48.0, 49.0, 50.001]), "lon": ("lon", [-353.0, 8.0, 9.0, 10.0])},
    )
    scalar = xr.Dataset({"clim_cu": ((), 0.25)})
    (_, static, constant), _ = to_columns([fields(data), fields(wider), fields(scalar)])
    np.testing.assert_array_equal(static.dataset["clim_cvl"], [8, 9, 4, 5])
    np.testing.assert_array_equal(constant.dataset["clim_cu"], [0.25] * 4)
    assert constant.notes == ["One value of in.nc for all columns: clim_cu."]
    with pytest.raises(InputError, match=r"static.nc: has no cell at 50.0000 N, 7.0000 E \(4 of 4 such"):
        to_columns([fields(data), fields(wider.assign_coords(lat=[0.0, 1.0, 2.0]), Path("static.nc"))])


def test_static_fields_are_those_of_all_members() -> None:
    data = lat_lon([50.0, 49.0], [7.0]).drop_vars("met_tair")
    air = np.arange(12.0).reshape(2, 3, 2, 1)
    data["met_tair"] = (("number", "time", "lat", "lon"), air)
    (found,), grid = to_columns([fields(data.assign_coords(number=[3, 7]))])
    assert list(grid.sizes) == ["number", "lat", "lon"]
    np.testing.assert_array_equal(grid.coordinates["number"], [3, 7])
    np.testing.assert_array_equal(grid.spread(found.dataset["met_tair"].values), air.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(found.dataset["clim_cvh"], [0, 1, 0, 1])


def test_nothing_but_sea_is_refused() -> None:
    data = lat_lon([50.0], [7.0])
    data["land_sea_mask"] = (("lat", "lon"), [[0.4]])
    with pytest.raises(InputError, match="none of 1 cells is land"):
        to_columns([fields(data)])


def test_grid_values_that_are_missing_on_the_way_out() -> None:
    grid = Grid({"a": 2, "b": 2}, {}, np.array([0, 3]))
    flags = grid.spread(np.array([[1, 2]], dtype=np.uint8), missing=255)
    np.testing.assert_array_equal(flags, [[[1, 255], [255, 2]]])
    assert flags.dtype == np.uint8
