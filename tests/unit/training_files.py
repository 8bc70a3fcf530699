"""Small data files in the layouts that training reads, with a made-up but learnable land surface."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.weights import variables

STEP = np.timedelta64(6, "h")
#: Of a step: how far soil temperatures relax to that of the air, layers 1 to 4.
RELAXATION = (0.3, 0.1, 0.05, 0.02)

needs_anemoi = pytest.mark.skipif(
    importlib.util.find_spec("anemoi") is None or importlib.util.find_spec("anemoi.datasets") is None,
    reason="needs anemoi-datasets: pip install 'ailand_gt4py[anemoi]'",
)


def possible(rng: np.random.Generator, item: variables.Specification, *shape: int) -> np.ndarray:
    """Random values of a variable that can be at any place and time: radiation is that of the night."""
    low, high = item.valid_range if np.isfinite(item.valid_range).all() else (0.0, 1.0)
    if item.is_class:
        return np.resize(np.arange(1.0, high + 1.0), shape)  # of all types some
    return low + rng.uniform(0.1, 1.0, shape) * ((20.0 if item.name == "met_swdown" else high) - low)


def columns(n_columns: int = 12, n_times: int = 80, seed: int = 0) -> xr.Dataset:
    """Random static fields and forcing, states that follow the forcing of the previous window, and diagnostics.

    Snow cover is in percent, as in ecLand's files. Every diagnostic's value is its label's index times its own number,
    so that a shift in time shows. Precipitation is zero half of the time.
    """
    rng = np.random.default_rng(seed)
    times = np.datetime64("2021-03-01", "ns") + np.arange(n_times) * STEP
    shape = (n_times, n_columns)
    fields: dict[str, np.ndarray] = {item.name: possible(rng, item, n_columns) for item in variables.DEFAULT.static}
    fields["clim_theta_sat"] = 0.5 + 0.2 * fields["clim_theta_sat"]  # never below the soil's water
    fields |= {item.name: possible(rng, item, *shape) for item in variables.DEFAULT.forcing if not item.derived}
    rain, snow = (np.maximum(rng.uniform(-1.0, 1.0, shape), 0.0) for _ in range(2))
    fields |= {"met_rainf": 0.1 * rain, "met_snowf": 0.1 * snow}
    air = 280.0 + 8.0 * np.sin(np.arange(n_times) / 3.0)[:, None] + rng.normal(0.0, 2.0, shape)
    fields["met_tair"] = air
    state = {item.name: np.empty(shape) for item in variables.DEFAULT.state}
    # Columns begin apart, so that the deep layers, which hardly change, vary as much as the air.
    apart = rng.uniform(-1.0, 1.0, n_columns)
    start = {
        "swvl": 0.3 + 0.1 * apart,
        "stl": 280.0 + 10.0 * apart,
        "snowc": 0.2,
        "sd": 0.01,
        "rsn": 150.0,
        "tsn": 265.0,
        "asn": 0.6,
        "src": 0.5,
    }
    for name, values in state.items():
        values[0] = start.get(name.rstrip("1234"), 0.0)
    for k in range(n_times - 1):
        for layer, rate in enumerate(RELAXATION, start=1):
            old = state[f"stl{layer}"][k]
            state[f"stl{layer}"][k + 1] = old + rate * (air[k] - old)
            state[f"swvl{layer}"][k + 1] = np.clip(
                state[f"swvl{layer}"][k] + 0.01 / layer * (rain[k] - 0.25), 0.01, 0.5
            )
        for name, gain, low, high in (
            ("snowc", 0.1, 0.0, 1.0), ("sd", 0.01, 0.0, 0.1), ("rsn", 20.0, 100.0, 400.0), ("tsn", 2.0, 240.0, 273.0),
            ("asn", 0.05, 0.5, 0.85),
        ):  # fmt: skip
            state[name][k + 1] = np.clip(state[name][k] + gain * (snow[k] - 0.25), low, high)
        state["src"][k + 1] = np.clip(state["src"][k] + 0.2 * (rain[k] - 0.25), 0.0, 2.0)
    fields |= state | {"snowc": 100.0 * state["snowc"]}
    label = np.broadcast_to(np.arange(n_times, dtype=float)[:, None], shape)
    fields |= {item.name: label * (index + 1.0) for index, item in enumerate(variables.DEFAULT.diagnostics)}
    units = {name: item.units for name, item in variables.CATALOGUE.items()}
    units["snowc"] = "%"
    data = xr.Dataset(
        {
            name: (("time", "x")[2 - values.ndim :], values.astype(np.float32), {"units": units[name]})
            for name, values in fields.items()
        },
        coords={
            "time": times,
            "lat": (("x",), np.linspace(-60.0, 60.0, n_columns), {"units": "degrees_north"}),
            "lon": (("x",), np.linspace(-120.0, 120.0, n_columns), {"units": "degrees_east"}),
        },
    )
    data["climate"] = (("x",), np.array(["wet", "dry"] * n_columns)[:n_columns])
    return data


def write_columns(path: Path, n_columns: int = 12, n_times: int = 80, seed: int = 0) -> Path:
    """Write `columns` as netCDF."""
    columns(n_columns, n_times, seed).to_netcdf(path)
    return path


def write_public_store(path: Path, data: xr.Dataset) -> Path:
    """Write as ec-land-db's public zarr store: static fields at all times, its spellings, attributes and units."""
    data = data.drop_vars("climate")
    n_times = data.sizes["time"]
    for name in [str(name) for name in data.data_vars if str(name).startswith("clim_")]:
        values = np.broadcast_to(data[name].values, (n_times, data.sizes["x"])).copy()
        data[name] = (("time", "x"), values, {"units": {"clim_sdor": "-"}.get(name, data[name].attrs["units"])})
    data["swvl1"].attrs |= {"GRIB_paramId": 39, "units": "m**3 m**-3"}
    data.attrs = {"SOURCE": "ECMWF", "CONVERTED": " from grib files with grib_api"}
    data.rename({"clim_clake": "clim_CLAKE", "clim_ctype": "clim_Ctype"}).to_zarr(path, zarr_format=2)
    return path


def write_anemoi_store(path: Path, data: xr.Dataset, **attributes: Any) -> Path:
    """Write as anemoi-datasets does: one array (dates, variables, members, points) and what describes it.

    Args:
        attributes: of the store, in place of or beside the usual ones.
    """
    import zarr

    names = sorted(str(name) for name in data.data_vars if data[name].dtype.kind == "f")
    n_times, n_columns = data.sizes["time"], data.sizes["x"]
    fields = [np.broadcast_to(data[name].values, (n_times, n_columns)) for name in names]
    arrays = {
        "data": np.stack(fields, axis=1)[:, :, None].astype(np.float32),
        "dates": data["time"].values.astype("datetime64[s]"),
        "latitudes": data["lat"].values,
        "longitudes": data["lon"].values,
    }
    stacked = arrays["data"].astype(np.float64)
    for name, function in (("mean", np.mean), ("stdev", np.std), ("minimum", np.min), ("maximum", np.max)):
        arrays[name] = function(stacked, axis=(0, 2, 3))
    group = zarr.open_group(str(path), mode="w", **({} if zarr.__version__ < "3" else {"zarr_format": 2}))
    for name, values in arrays.items():
        chunks = (1, *values.shape[1:]) if name == "data" else values.shape
        if zarr.__version__ < "3":
            group.create_dataset(name, data=values, shape=values.shape, chunks=chunks, dtype=values.dtype)
        else:
            stored = values if values.dtype.kind == "f" else values.astype(np.int64)
            group.create_array(name, data=stored, chunks=chunks)
    metadata = {name: {"units": data[name].attrs["units"]} for name in names if name in ("snowc", "stl1")}
    usual = {
        "variables": names, "frequency": "6h", "resolution": "points", "ensemble_dimension": 2, "missing_dates": [],
        "start_date": str(arrays["dates"][0]), "end_date": str(arrays["dates"][-1]), "version": "0.30",
        "field_shape": [n_columns], "flatten_grid": True, "data_request": {}, "variables_metadata": metadata,
    }  # fmt: skip
    group.attrs.update(json.loads(json.dumps(usual | attributes)))
    return path
