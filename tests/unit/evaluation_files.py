"""A small file of columns whose water and energy budgets close exactly, and models with its variables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from column_files import DIAGNOSTIC_UNITS, FORCING_UNITS, STATE_UNITS, STATIC_UNITS

from ailand_gt4py.evaluation.runs import Cost, FreeRun
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

STEP_SECONDS = 86_400.0
N_COLUMNS = 6
#: Two calendar years: the least that a climatology without the verified year needs.
N_TIMES = 730

EXTRA_UNITS = {
    "swvl4": "m3 m-3",
    "stl4": "K",
    "sd": "m",
    "tsn": "K",
    "slw": "kg m-2",
    "src": "kg m-2",
    "ssr": "W m-2",
    "str": "W m-2",
    "e": "kg m-2 s-1",
    "sro": "kg m-2 s-1",
    "ssro": "kg m-2 s-1",
}
TYPES = {"clim_tvh": 3.0, "clim_tvl": 7.0, "clim_ctype": 3.0}
THICKNESS = np.array([0.07, 0.21, 0.72, 1.89])
FLUXES = ("sshf", "slhf", "ssr", "str", "e", "sro", "ssro")


def _frozen(temperature: np.ndarray) -> np.ndarray:
    """Written out as in ecLand's srfene_mod: three cases."""
    inside = 0.5 * (1.0 - np.sin(np.pi / 2.0 * (temperature - 273.16)))
    return np.where(temperature < 272.16, 1.0, np.where(temperature > 274.16, 0.0, inside))


def closing_dataset(n_columns: int = N_COLUMNS, n_times: int = N_TIMES, seed: int = 3) -> xr.Dataset:
    """Columns with seasons; drainage and latent heat are what closes the budgets, whatever they are."""
    random = np.random.default_rng(seed)
    shape, day = (n_times, n_columns), np.arange(n_times)[:, None]
    season = np.cos(2.0 * np.pi * (day - 200.0) / 365.0)
    fields: dict[str, np.ndarray] = {
        name: random.uniform(0.2, 0.4, n_columns) for name in STATIC_UNITS if name.startswith("clim_")
    }
    fields |= {name: np.full(n_columns, value) for name, value in TYPES.items()}
    fields |= {
        "clim_clake": np.zeros(n_columns),
        "clim_cu": np.zeros(n_columns),
        "clim_theta_sat": np.full(n_columns, 0.5),
    }
    for name in FORCING_UNITS:
        low, high = CATALOGUE[name].valid_range
        fields[name] = low + random.uniform(0.2, 0.8, shape) * (high - low)
    fields["met_rainf"] = np.maximum(random.normal(0.0, 3e-5, shape), 0.0)
    fields["met_snowf"] = np.maximum(random.normal(0.0, 1e-5, shape), 0.0) * (season < 0.0)
    fields["met_swdown"] = random.uniform(10.0, 20.0, shape)
    cold = np.linspace(-12.0, 12.0, n_columns)
    for layer in range(1, 5):
        fields[f"swvl{layer}"] = 0.25 - 0.05 * season + random.normal(0.0, 0.01, shape)
        fields[f"stl{layer}"] = 276.0 + cold + (12.0 / layer) * season + random.normal(0.0, 1.0, shape)
    winter = np.maximum(-season, 0.0) * (np.arange(n_columns) < n_columns // 2)
    fields["sd"] = 0.1 * winter * random.uniform(0.9, 1.1, shape)
    fields["slw"] = 5.0 * winter
    fields["tsn"] = 273.16 - 10.0 * winter
    fields["snowc"] = np.clip(400.0 * winter, 0.0, 100.0)
    fields["src"] = random.uniform(0.0, 0.5, shape)
    for name in ("t2m", "skt"):
        fields[name] = fields["stl1"] + random.normal(0.0, 1.0, shape)
    fields["d2m"] = fields["t2m"] - 3.0
    for name in ("ssr", "str", "sshf"):
        fields[name] = random.uniform(10.0, 90.0, shape) * (0.1 if name == "ssr" else -0.4)
    fields["e"] = random.uniform(-3e-5, 0.0, shape)
    fields["sro"] = random.uniform(0.0, 1e-5, shape)
    fields["ssro"] = _drainage(fields)
    fields["slhf"] = _latent_heat(fields)
    units = {**STATIC_UNITS, **FORCING_UNITS, **STATE_UNITS, **DIAGNOSTIC_UNITS, **EXTRA_UNITS, "snowc": "%"}
    data = xr.Dataset(attrs={"title": "columns whose budgets close"})
    for name, values in fields.items():
        dims = ("time", "x")[2 - values.ndim :]
        method = "time: mean" if name in FLUXES or name.startswith("met_") else "time: point"
        data[name] = (dims, values, {"units": units[name], "cell_methods": method})
    data["clim_sotype"] = ("x", 1.0 + np.arange(n_columns) % 3, {"units": "1"})
    data["region"] = ("x", np.where(np.arange(n_columns) % 2, "europe", "north_asia"))
    data["climate"] = ("x", np.where(np.arange(n_columns) < n_columns // 2, "boreal", "hot_desert"))
    data["time"] = ("time", np.arange(n_times), {"units": "days since 2021-01-01", "calendar": "standard"})
    data["x"] = ("x", 100 + np.arange(n_columns), {"units": "1"})
    data["lat"] = ("x", np.linspace(20.0, 70.0, n_columns), {"units": "degrees_north"})
    data["lon"] = ("x", np.linspace(0.0, 30.0, n_columns), {"units": "degrees_east"})
    return data


def _change(storage: np.ndarray) -> np.ndarray:
    """By window; the last one, which has no end, does not change."""
    return np.diff(storage, axis=0, append=storage[-1:])


def _drainage(fields: dict[str, np.ndarray]) -> np.ndarray:
    water = 1000.0 * sum(thick * fields[f"swvl{k + 1}"] for k, thick in enumerate(THICKNESS))
    stored = _change(water + 1000.0 * fields["sd"] + fields["src"]) / STEP_SECONDS
    return fields["met_rainf"] + fields["met_snowf"] + fields["e"] - fields["sro"] - stored


def _latent_heat(fields: dict[str, np.ndarray]) -> np.ndarray:
    capacity = (1.0 - fields["clim_theta_sat"]) * 1.6e6 + fields["clim_theta_cap"] * 4.18e6
    fusion = 2.8345e6 - 2.5008e6
    vegetated = sum(fields[f"clim_cv{kind}"] * fields[f"clim_veg_cov{kind}"] for kind in "lh")
    heat = sum(
        thick
        * (
            capacity * fields[f"stl{k + 1}"]
            - fusion * 1000.0 * vegetated * fields["clim_theta_cap"] * _frozen(fields[f"stl{k + 1}"])
        )
        for k, thick in enumerate(THICKNESS)
    )
    ice = 1000.0 * fields["sd"] - fields["slw"]
    heat = heat + ice * (2.05e6 / 920.0 * (fields["tsn"] - 273.16) - fusion)
    stored = _change(heat) / STEP_SECONDS
    return stored + fusion * fields["met_snowf"] - fields["ssr"] - fields["str"] - fields["sshf"]


def write_closing(path: Path, data: xr.Dataset | None = None) -> Path:
    """Write the file in double precision."""
    (closing_dataset() if data is None else data).to_netcdf(path, engine="netcdf4")
    return path


def full_model() -> Model:
    """A model with every flux and storage of both budgets; its network does not matter."""
    states = [*STATE_UNITS, "swvl4", "stl4", "sd", "tsn", "slw", "src"]
    fluxes = [*DIAGNOSTIC_UNITS, "ssr", "str", "e", "sro", "ssro"]
    units = {**STATE_UNITS, **DIAGNOSTIC_UNITS, **EXTRA_UNITS}
    state = tuple(Variable(name, units[name], time_meaning="window start") for name in states)
    diagnostics = tuple(
        Variable(name, units[name], time_meaning="window mean" if name in FLUXES else "window end") for name in fluxes
    )
    static = (Variable("clim_cvl", "1", time_meaning="static"),)
    forcing = (Variable("met_rainf", "kg m-2 s-1"),)
    shapes = {"trunk.0": (2, 2 + len(state)), "prognostic.0": (len(state), 2), "diagnostic.0": (len(diagnostics), 2)}
    parameters = {f"{block}.weight": np.zeros(shape, np.float32) for block, shape in shapes.items()}
    parameters |= {f"{block}.bias": np.zeros(shape[0], np.float32) for block, shape in shapes.items()}
    return Model("simple", static, forcing, state, diagnostics, parameters, step_seconds=STEP_SECONDS)


def perfect_run(data: xr.Dataset, model: Model) -> FreeRun:
    """What a perfect emulator's free run gives: the truth, at the labels that results are compared with."""
    results = []
    for variable in (*model.state, *model.diagnostics):
        values = data[variable.name].values * (0.01 if variable.name == "snowc" else 1.0)
        results.append(values[:-1] if variable.time_meaning == "window mean" else values[1:])
    return FreeRun(np.stack(results, axis=2), Cost(data.sizes["x"], 1, 0.0, 0.0))
