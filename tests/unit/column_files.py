"""A model with the default model's variables and small files that suit it, for the tests of the driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

Change = Callable[[xr.Dataset], xr.Dataset | None]

STATIC_UNITS = {
    "clim_clake": "1",
    "clim_ctype": "1",
    "clim_cu": "1",
    "clim_cvh": "1",
    "clim_cvl": "1",
    "clim_tvh": "1",
    "clim_tvl": "1",
    "clim_geopot": "m2 s-2",
    "clim_sdor": "m",
    "clim_theta_cap": "m3 m-3",
    "clim_theta_pwp": "m3 m-3",
    "clim_theta_sat": "m3 m-3",
    "clim_veg_covh": "1",
    "clim_veg_covl": "1",
    "clim_veg_z0mh": "m",
    "clim_veg_z0ml": "m",
    "clim_veg_rsminh": "s m-1",
    "clim_veg_rsminl": "s m-1",
}
FORCING_UNITS = {
    "met_ctpf": "1",
    "met_lwdown": "W m-2",
    "met_psurf": "Pa",
    "met_qair": "kg kg-1",
    "met_rainf": "kg m-2 s-1",
    "met_snowf": "kg m-2 s-1",
    "met_swdown": "W m-2",
    "met_tair": "K",
    "met_wind_e": "m s-1",
    "met_wind_n": "m s-1",
    "lai_hv": "m2 m-2",
    "lai_lv": "m2 m-2",
}
STATE_UNITS = {
    "swvl1": "m3 m-3",
    "swvl2": "m3 m-3",
    "swvl3": "m3 m-3",
    "stl1": "K",
    "stl2": "K",
    "stl3": "K",
    "snowc": "1",
}
DIAGNOSTIC_UNITS = {"t2m": "K", "d2m": "K", "skt": "K", "sshf": "W m-2", "slhf": "W m-2"}
DERIVED = ("time_of_day_cos", "cos_solar_zenith_angle")

SOIL = ("stl1", "stl2", "stl3")

N_COLUMNS, N_TIMES = 3, 9


def driver_model(step_hours: float = 6.0, *, normalised_space: bool = False) -> Model:
    """A network of width 2 with the default model's variables; its parameters do not matter here."""
    static = tuple(Variable(name, unit, time_meaning="static") for name, unit in STATIC_UNITS.items())
    forcing = tuple(
        Variable(name, unit, time_meaning="window start" if name.startswith("lai") else "window mean")
        for name, unit in FORCING_UNITS.items()
    )
    derived = tuple(Variable(name, "1", time_meaning="window start", derived=name) for name in DERIVED)
    state = tuple(Variable(name, unit, time_meaning="window start") for name, unit in STATE_UNITS.items())
    diagnostics = tuple(
        Variable(name, unit, time_meaning="window mean" if name.endswith("hf") else "window end")
        for name, unit in DIAGNOSTIC_UNITS.items()
    )
    # Derived forcing is put first: the reader must leave it out, not cut it off the end.
    forcing = derived + forcing
    shapes = {
        "trunk.0": (2, len(static) + len(forcing) + len(state)),
        "prognostic.0": (len(state), 2),
        "diagnostic.0": (len(diagnostics), 2),
    }
    parameters: dict[str, np.ndarray] = {}
    for block, shape in shapes.items():
        parameters[f"{block}.weight"] = np.zeros(shape, np.float32)
        parameters[f"{block}.bias"] = np.zeros(shape[:1], np.float32)
    return Model(
        "simple",
        static,
        forcing,
        state,
        diagnostics,
        parameters,
        step_seconds=3600.0 * step_hours,
        normalised_space=normalised_space,
    )


def dataset(n_columns: int = N_COLUMNS, n_times: int = N_TIMES, seed: int = 1) -> xr.Dataset:
    """Columns in the layout of this project's files: every value of every variable differs from all others.

    Radiation is that of the night, so that it is possible at any time, and soil and air are cold.
    """
    random = np.random.default_rng(seed)

    def values(name: str, *shape: int) -> np.ndarray:
        narrower = {"met_swdown": (0.0, 20.0), "met_tair": (250.0, 270.0), **dict.fromkeys(SOIL, (250.0, 270.0))}
        low, high = narrower.get(name, CATALOGUE[name].valid_range)
        low, high = (low, high) if np.isfinite(high - low) else (0.0, 1.0)
        return (low + random.uniform(0.1, 0.9, shape) * (high - low)).astype(np.float32)

    data = xr.Dataset(attrs={"title": "test"})
    for name, unit in STATIC_UNITS.items():
        data[name] = ("x", values(name, n_columns), {"units": unit})
    for name, unit in {**FORCING_UNITS, **STATE_UNITS, **DIAGNOSTIC_UNITS}.items():
        method = "time: mean" if name.startswith("met_") or name.endswith("hf") else "time: point"
        data[name] = (("time", "x"), values(name, n_times, n_columns), {"units": unit, "cell_methods": method})
    data["clim_ctype"].values[:] = 3
    data["clim_tvh"].values[:] = 3
    data["clim_tvl"].values[:] = 7
    data["clim_sotype"] = ("x", 1.0 + np.arange(n_columns, dtype=np.float32) % 7, {"units": "1"})
    data["snowc"].values[:] *= 100
    data["snowc"].attrs["units"] = "%"
    data["time"] = ("time", np.arange(n_times) * 6, {"units": "hours since 2021-01-01", "calendar": "standard"})
    data["x"] = ("x", 100 + np.arange(n_columns), {"units": "1"})
    data["lat"] = ("x", np.linspace(-60, 70, n_columns), {"units": "degrees_north"})
    data["lon"] = ("x", np.linspace(-170, 350, n_columns), {"units": "degrees_east"})
    return data


def write(data: xr.Dataset, path: Path, **encoding: object) -> Path:
    """Write a data set as it is (no time encoding of xarray's own)."""
    data.to_netcdf(path, engine="netcdf4", encoding={str(name): dict(encoding) for name in data.data_vars if encoding})
    return path


def read_all(path: Path, model: Model | None = None, **options: object) -> np.ndarray:
    """Open, read the forcing step by step, close; returns the forcing."""
    with open_source(path, model or driver_model(), **options) as source:  # type: ignore[arg-type]
        return np.concatenate([source.forcing(step, step + 1) for step in range(len(source.times))])


def refusal(path: Path, model: Model | None = None, **options: object) -> str:
    """The message with which a file is refused, checked to be one line with exit status 2."""
    with pytest.raises(InputError) as caught:
        read_all(path, model, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_status == 2
    return message


def changed(tmp_path: Path, change: Change) -> Path:
    """The good file with a change: made in place, or returned."""
    data = dataset()
    return write(change(data) or data, tmp_path / "changed.nc")
