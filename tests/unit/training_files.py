"""A small data file in the layout of ecLand runs, with a made-up but learnable land surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.training import variables

STEP = np.timedelta64(6, "h")


def write_columns(path: Path, n_columns: int = 12, n_times: int = 80, seed: int = 0) -> Path:
    """Write random static fields and forcing, states that relax to the air temperature, and diagnostics.

    Snow cover is in percent, as in ecLand's files. Every diagnostic's value is its label's index plus noise-free
    functions of the state, so that a shift in time shows.
    """
    rng = np.random.default_rng(seed)
    times = np.datetime64("2021-03-01", "ns") + np.arange(n_times) * STEP
    fields: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for variable in variables.STATIC:
        fields[variable.name] = (("x",), rng.uniform(0.1, 1.0, n_columns), {"units": variable.units})
    shape = (n_times, n_columns)
    for variable in variables.FORCING:
        if not variable.derived:
            fields[variable.name] = (("time", "x"), rng.uniform(0.0, 1.0, shape), {"units": variable.units})
    air = 280.0 + 8.0 * np.sin(np.arange(n_times) / 3.0)[:, None] + rng.normal(0.0, 2.0, shape)
    fields["met_tair"] = (("time", "x"), air, {"units": "K"})
    state = np.empty((n_times, n_columns, 8))
    state[0] = [0.2, 0.25, 0.3, 281.0, 280.0, 279.0, 0.2, 0.01]
    rates = np.array([0.3, 0.1, 0.05])
    for k in range(n_times - 1):
        temperature = state[k, :, 3:6] + rates * (air[k][:, None] - state[k, :, 3:6])
        water = np.clip(state[k, :, :3] + 0.01 * (fields["met_rainf"][1][k][:, None] - 0.5), 0.01, 0.7)
        snow = np.clip(state[k, :, 6] + 0.1 * (fields["met_snowf"][1][k] - 0.5), 0.0, 1.0)
        amount = np.clip(state[k, :, 7] + 0.01 * (fields["met_snowf"][1][k] - 0.5), 0.0, 0.1)
        state[k + 1] = np.concatenate([water, temperature, snow[:, None], amount[:, None]], axis=1)
    for index, variable in enumerate(variables.STATE):
        fields[variable.name] = (("time", "x"), state[..., index].copy(), {"units": variable.units})
    fields["snowc"] = (("time", "x"), 100.0 * state[..., 6], {"units": "%"})
    for index, variable in enumerate(variables.DIAGNOSTICS):
        values = np.broadcast_to(np.arange(n_times, dtype=float)[:, None], shape) * (index + 1.0)
        fields[variable.name] = (("time", "x"), values.copy(), {"units": variable.units})
    dataset = xr.Dataset(
        {name: (dims, values.astype(np.float32), attributes) for name, (dims, values, attributes) in fields.items()},
        coords={
            "time": times,
            "lat": (("x",), np.linspace(-60.0, 60.0, n_columns), {"units": "degrees_north"}),
            "lon": (("x",), np.linspace(-120.0, 120.0, n_columns), {"units": "degrees_east"}),
        },
    )
    dataset["climate"] = (("x",), np.array(["wet", "dry"] * n_columns)[:n_columns])
    dataset.to_netcdf(path)
    return path
