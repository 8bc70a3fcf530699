"""The land's file for AIFS's grid from fields that its users have, and from columns; on a small octahedral grid."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_anemoi_weather import aifs

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.hosts.anemoi.land import CoupledLand
from ailand_gt4py.integration.hosts.anemoi.options import ProcessorOptions
from ailand_gt4py.weights.model_file import read_model

EXAMPLES = Path(__file__).parents[2] / "examples"
COLUMNS = EXAMPLES / "column_run" / "ecland_columns.nc"
DATE = np.datetime64("2021-06-01", "ns")


@pytest.fixture(scope="module")
def make_ground():
    spec = importlib.util.spec_from_file_location("make_ground", EXAMPLES / "aifs" / "make_ground.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_ground"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_ground"]


def test_octahedral_grid(make_ground):
    """Number of points and first latitude of ECMWF's O96 (IFS documentation; 89.28 N), from north to south."""
    latitude, longitude = make_ground.octahedral(96)
    assert len(latitude) == len(longitude) == 40_320
    assert latitude[0] == pytest.approx(89.2842, abs=1e-4)
    np.testing.assert_allclose(latitude, -latitude[::-1], atol=1e-12)
    np.testing.assert_array_equal(longitude[:21], [*np.arange(20) * 18.0, 0.0])
    assert (np.diff(latitude) <= 0.0).all()


def fields(make_ground, **changes: Any) -> xr.Dataset:
    """By ECMWF's names, on the points of O2: land in the north, no soil in the sea."""
    latitude, longitude = make_ground.octahedral(2)
    land = latitude > 40.0
    data = xr.Dataset(coords={"latitude": ("values", latitude), "longitude": ("values", longitude), "time": DATE})

    def put(name: str, value: float, units: str) -> None:
        data[name] = ("values", np.where(land, value + 0.01 * np.arange(len(land)), np.nan), {"units": units})

    data["lsm"] = ("values", land.astype(np.float64), {"units": "(0 - 1)"})
    put("z", 1000.0, "m**2 s**-2")
    for layer in (1, 2):
        put(f"stl{layer}", 5.0, "degC")
        put(f"swvl{layer}", 0.1, "m**3 m**-3")
    put("t2m", 285.0, "K")
    data["slt"] = ("values", np.where(land, 2.0, np.nan), {"units": "~"})
    for name, change in changes.items():
        data[name].values[...] = change(data[name].values)
    return data


def made(make_ground, tmp_path: Path, data: xr.Dataset | None = None, columns: bool = True, **options: str) -> int:
    (fields(make_ground) if data is None else data).to_netcdf(tmp_path / "fields.nc")
    words = {"--date": "2021-06-01", "--output": str(tmp_path / "ground.nc"), "--within": "180"}
    words |= {"--columns": str(COLUMNS)} if columns else {}
    words |= {f"--{key}": value for key, value in options.items()}
    pairs = [word for pair in words.items() for word in pair]
    return make_ground.main(["--fields", str(tmp_path / "fields.nc"), *pairs])


def test_land_can_start_on_it(make_ground, tmp_path):
    assert made(make_ground, tmp_path) == 0
    latitude, longitude = make_ground.octahedral(2)
    data = fields(make_ground)
    land = np.flatnonzero(data.lsm.values)
    with xr.open_dataset(tmp_path / "ground.nc") as found, xr.open_dataset(COLUMNS) as columns:
        np.testing.assert_array_equal(found.x.values, land)
        np.testing.assert_allclose(found.stl1.values[0], data.stl1.values[land] + 273.15, rtol=1e-6)
        row = int(np.flatnonzero(columns.time.values == DATE)[0])
        theta, phi = np.deg2rad(columns.lat.values), np.deg2rad(columns.lon.values)
        lat, lon = np.deg2rad(latitude[land])[:, None], np.deg2rad(longitude[land])[:, None]
        nearest = np.argmax(np.sin(lat) * np.sin(theta) + np.cos(lat) * np.cos(theta) * np.cos(lon - phi), axis=1)
        assert len(set(nearest)) > 1
        np.testing.assert_array_equal(found.stl3.values[0], columns.stl3.values[row, nearest])
        np.testing.assert_array_equal(found.clim_cvh.values, columns.clim_cvh.values[nearest])
        assert "clim_theta_cap" not in found  # of the fields' own type of soil, not of the column's
        assert "degrees away at most: " in found.attrs["history"]
        assert "derived from clim_sotype by ecLand's van Genuchten parameters" in found.attrs["history"]
    options = ProcessorOptions(ground=tmp_path / "ground.nc", backend="embedded", lead_time="6h")
    coupled = CoupledLand(options, read_model(), aifs(), DATE, 1, latitude, longitude)
    np.testing.assert_array_equal(coupled.points, land)
    weather = {"2t": 288.0, "2d": 280.0, "skt": 289.0, "10u": 2.0, "10v": 1.0, "sp": 9.8e4, "tp": 1e-3, "cp": 5e-4}
    weather |= {"sf": 0.0, "ssrd": 4e6, "strd": 7e6}
    with pytest.raises(InputError, match=r"'t.' has the shape \(89,\), expected the atmosphere's 88 grid points"):
        coupled.at_land({name: np.zeros(89) for name in coupled.needs})
    coupled.open()
    coupled.step(coupled.next_end, {name: np.full(len(land), weather[name], np.float32) for name in coupled.needs})


def test_fields_of_another_grid(make_ground, tmp_path):
    """Of a regular grid, latitudes and longitudes as axes, the nearest points that have a value."""
    source = fields(make_ground)
    latitude, longitude = np.arange(80.0, -81.0, -20.0), np.arange(0.0, 360.0, 30.0)
    data = xr.Dataset(coords={"latitude": latitude, "longitude": longitude, "valid_time": ("valid_time", [DATE])})
    for name in source.data_vars:
        value = np.full((1, len(latitude), len(longitude)), float(np.nanmax(source[name].values)))
        value[0, :, 0] = 0.0 if name == "lsm" else np.nan
        data[name] = (("valid_time", "latitude", "longitude"), value, source[name].attrs)
    assert made(make_ground, tmp_path, data, grid="o4") == 0
    latitude, longitude = make_ground.octahedral(4)
    with xr.open_dataset(tmp_path / "ground.nc") as found:
        land = np.isin(np.arange(len(latitude)), found.x.values)
        far_from_poles = np.abs(latitude) < 50.0
        at_sea = (longitude < 15.0) | (longitude > 345.0)
        np.testing.assert_array_equal(land[far_from_poles], ~at_sea[far_from_poles])
        assert np.isfinite(found.stl1.values).all()


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"grid": "n320"}, "grid: found 'n320', of which no formula gives the points, expected a checkpoint or a"),
        ({}, {"within": "2"}, "ecland_columns.nc: columns: the nearest to "),
        ({}, {"date": "2021-06-02"}, "field 'swvl1' is of 2021-06-01T00:00, expected 2021-06-02T00:00"),
        ({"lsm": np.zeros_like}, {}, "field 'lsm' is nowhere more than 0.5, expected land"),
        ({"stl1": lambda v: v + 273.15}, {}, "stl1 is 551.3 at "),
        ({"swvl1": lambda v: np.full_like(v, np.nan)}, {}, "field 'swvl1' is nan at the land point "),
        ({}, {"grid": str(EXAMPLES / "aifs" / "README.md")}, "README.md: cannot be read ("),
    ],
)  # fmt: skip
def test_what_cannot_be(make_ground, tmp_path, capsys, changes, options, message):
    assert made(make_ground, tmp_path, fields(make_ground, **changes), **options) == 2
    found = capsys.readouterr().err
    assert message in found
    assert len(found.strip().splitlines()) == 1
    assert not (tmp_path / "ground.nc").exists()


def test_what_is_missing_is_named(make_ground, tmp_path, capsys):
    assert made(make_ground, tmp_path, fields(make_ground).drop_vars("lsm")) == 2
    assert "fields.nc: field 'lsm' is missing, expected it: it says which points are land" in capsys.readouterr().err
    assert made(make_ground, tmp_path, columns=False) == 2
    found = capsys.readouterr().err
    assert "fields.nc: variables missing that cannot be derived: 'clim_clake', 'clim_ctype', " in found
    assert "'stl3'" in found
    assert "'clim_theta_cap'" not in found
