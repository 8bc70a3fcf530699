"""ecLand's own files: names, layers, units and signs, what labels stand for; months at times between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io import grids, merging
from ailand_gt4py.io.conventions import read
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.monthly import at_times

PLANE = {"lat": ("lat", [50.0], {"units": "degrees_north"}), "lon": ("lon", [8.0], {"units": "degrees_east"})}
THICKNESS = np.array([0.07, 0.21, 0.72, 1.89])


def written(tmp_path: Path, name: str, data: xr.Dataset) -> Fields:
    data.to_netcdf(tmp_path / name)
    return read(tmp_path / name)


def field(value: object, units: str, *dims: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    shape = (-1, 1, 1) if dims else (1, 1)
    return (*dims, "lat", "lon"), np.asarray(value, dtype=np.float64).reshape(shape), {"units": units}


def hours(n: int) -> dict[str, object]:
    return {"time": ("time", 3600.0 * np.arange(n), {"units": "seconds since 2020-06-01 00:00:00.0"})}


def test_forcing_is_at_the_label_or_before_it(tmp_path: Path) -> None:
    names = ("Tair", "Qair", "PSurf", "SWdown", "LWdown", "Rainf", "Snowf", "Wind_E", "Wind_N", "Ctpf")
    data = xr.Dataset({name: field(np.arange(5), "W/m2", "time") for name in names}, PLANE | hours(5))
    fields = written(tmp_path, "met.nc", data)
    assert fields.convention == "ecLand"
    for name in ("tair", "qair", "psurf", "wind_e", "wind_n"):
        assert fields.meanings[f"met_{name}"].kind == "point"
    for name in ("swdown", "lwdown", "rainf", "snowf", "ctpf"):
        assert (fields.meanings[f"met_{name}"].kind, fields.meanings[f"met_{name}"].label) == ("mean", "end")
    assert str(fields.dataset["time"].values[1]) == "2020-06-01T01:00:00.000000000"


@pytest.mark.parametrize(
    ("units", "factor"), [("kg/m2", 1000.0 * THICKNESS), ("kg m-2", 1000.0 * THICKNESS), ("m3/m3", 1.0)]
)
def test_soil_moisture_is_a_part_of_the_volume(tmp_path: Path, units: str, factor: np.ndarray) -> None:
    water = np.array([0.1, 0.2, 0.3, 0.4])
    data = {"SoilMoist": field(water * factor, units, "nlevs"), "SoilTemp": field(water + 280.0, "K", "nlevs")}
    fields = written(tmp_path, "surfinit.nc", xr.Dataset(data | {"SWE": field(30.0, "kg/m2")}, PLANE))
    for layer, value in enumerate(water, start=1):
        assert float(fields.dataset[f"swvl{layer}"].squeeze()) == pytest.approx(value)
        assert float(fields.dataset[f"stl{layer}"].squeeze()) == pytest.approx(value + 280.0)
        assert fields.dataset[f"swvl{layer}"].attrs["units"] in ("m3 m-3", "m3/m3")
    assert float(fields.dataset["sd"].squeeze()) == pytest.approx(0.03)
    assert fields.dataset["sd"].attrs["units"] == "m"


def test_another_number_of_layers_is_refused(tmp_path: Path) -> None:
    data = xr.Dataset({"SoilMoist": field([1.0, 2.0, 3.0], "kg/m2", "nlevs")}, PLANE)
    with pytest.raises(InputError, match=r"'SoilMoist' has 3 layers \(nlevs\), expected the 4 of ecLand"):
        written(tmp_path, "o_gg.nc", data)


def test_a_state_whose_time_is_a_count(tmp_path: Path) -> None:
    """surfinit has one time in seconds of nothing, and a step that nobody wants."""
    axes = PLANE | {"time": ("time", [0.0], {"units": "seconds"})}
    data = {"SoilTemp": field(np.full(4, 280.0), "K", "nlevs"), "step": ("time", [0])}
    fields = written(tmp_path, "surfinit.nc", xr.Dataset(data, axes, {"modelID": "ECLand"}))
    assert "time" not in fields.dataset.dims
    assert fields.dataset["stl1"].dims == ("lat", "lon")


@pytest.mark.parametrize(("convention", "sign"), [("Mathematical", 1.0), ("Traditional", -1.0), (None, 1.0)])
def test_signs_of_the_output(tmp_path: Path, convention: str | None, sign: float) -> None:
    names = {"Qh": "W m-2", "Qle": "W m-2", "Evap": "kg m-2 s-1", "SWnet": "W m-2", "Qs": "kg m-2 s-1"}
    data = {name: field([-1.0, -2.0], units, "time") for name, units in names.items()}
    attributes = {"modelID": "ECLand"} | ({"SurfSgn_convention": convention} if convention else {})
    fields = written(tmp_path, "o_efl.nc", xr.Dataset(data, PLANE | hours(2), attributes))
    for name, factor in (("sshf", sign), ("slhf", sign), ("e", sign), ("ssr", 1.0), ("sro", 1.0)):
        assert fields.dataset[name].values.reshape(-1).tolist() == [-factor, -2.0 * factor]
        assert (fields.meanings[name].kind, fields.meanings[name].label) == ("mean", "end")


def test_what_tiles_and_layers_of_snow_have_is_left_out(tmp_path: Path) -> None:
    data = xr.Dataset(
        {"Qle": (("time", "tile", "lat", "lon"), np.ones((2, 9, 1, 1))), "T2m": field([280.0, 281.0], "K", "time")},
        PLANE | hours(2),
        {"modelID": "ECLand"},
    )
    fields = written(tmp_path, "o_til.nc", data)
    assert set(fields.dataset.data_vars) == {"t2m"}
    assert fields.meanings["t2m"].kind == "point"


def test_climate_fields_and_their_units(tmp_path: Path) -> None:
    month = {"month": ("month", np.arange(1, 13))}
    data = {"geopot": field(980.665, "m2/m"), "cvl": field(0.7, "-"), "tvl": field(2.0, "-"), "CLAKE": field(0.1, "-"),
            "Mlail": field(np.arange(12.0), "-", "month"), "landsea": field(1.0, "-")}  # fmt: skip
    met = xr.Dataset({"Tair": field(np.full(3, 280.0), "K", "time")}, hours(3), {"dataset_name": "ECMWF OSM"})
    files = [
        written(tmp_path, "met.nc", met),
        written(tmp_path, "surfclim.nc", xr.Dataset(data, PLANE | month, {"modelID": "chtessel  "})),
    ]
    columns, _ = grids.to_columns(files)
    merged = merging.of_windows(columns)
    assert merged.dataset["clim_geopot"].attrs["units"] == "m2 s-2"
    assert merged.dataset["clim_clake"].values.tolist() == [0.1]
    assert merged.dataset["lai_lv"].dims == ("time", "x")
    # 1 June lies 17 of 31 days after the middle of May (4 in the file).
    assert merged.dataset["lai_lv"].values[0, 0] == pytest.approx(4.0 + 17.0 / 31.0)
    assert any("By calendar month in" in note and "lai_lv" in note for note in merged.notes)


@pytest.mark.parametrize(
    ("time", "value"),
    [
        ("2020-01-15", 0.0), ("2020-02-15", 1.0), ("2020-12-15", 11.0), ("2020-01-30T12", 0.5),
        ("2019-12-31", 11.0 - 11.0 * 16.0 / 31.0), ("2020-01-01", 11.0 - 11.0 * 17.0 / 31.0),
    ],
)  # fmt: skip
def test_months_are_joined_by_straight_lines(time: str, value: float) -> None:
    climatology = xr.DataArray(np.arange(12.0)[:, np.newaxis], dims=("month", "x"), coords={"month": np.arange(1, 13)})
    found = at_times(climatology, np.array([time], dtype="datetime64[ns]"))
    assert found.dims == ("time", "x")
    assert found.values.reshape(-1) == pytest.approx([value])


def test_the_files_of_eclands_tutorial(shared: Path) -> None:
    paths = sorted((shared / "formats" / "ecland_offline").glob("*.nc")) if shared.exists() else []
    if not paths:
        pytest.skip("no samples of formats")
    columns, _ = grids.to_columns([read(path) for path in paths])
    merged = merging.of_windows(columns)
    data = merged.dataset
    assert data.sizes == {"x": 1, "time": 25}
    assert {"met_tair", "met_ctpf", "clim_cvl", "lai_hv", "swvl4", "sd", "src"} <= set(data.data_vars)
    assert 0.0 < float(data["swvl1"][0]) < 0.8
