"""Files of the twin experiment: columns with known states, others with brightness temperatures, and those kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.observations.brightness import BrightnessTemperature, clay_fraction
from ailand_gt4py.observations.operators import Situation
from ailand_gt4py.weights.model import Model

#: One column in so many has states to learn from.
KNOWN_EVERY = 10
#: Labels between two observations, 48 h; noise and bias, K, of either polarisation.
EVERY, NOISE, BIAS = 8, 4.0, 2.0
NAMES = ("obs_tbh", "obs_tbv")
SEED = 1


class Files(NamedTuple):
    """Of columns: with known states; the others, before they have observations; the same truth; those kept."""

    known: Path
    others: Path
    kept: Path


def split(source: Path, points: Values, work: Path) -> Files:
    """Write the columns of a file apart: kept are those at points (n, 2), latitude and longitude in degrees."""
    found = Files(*(work / f"{name}.nc" for name in Files._fields))
    if all(path.exists() for path in found):
        return found
    with xr.open_dataset(source, decode_times=False) as data:
        location = np.stack([data.lat.values, data.lon.values], axis=1)
        is_kept = (np.abs(location[:, None] - np.asarray(points)[None]) < 1e-3).all(axis=2).any(axis=1)
        others = np.random.default_rng(SEED).permutation(np.flatnonzero(~is_kept))
        n_known = round(len(others) / KNOWN_EVERY)
        groups = np.sort(others[:n_known]), np.sort(others[n_known:]), np.flatnonzero(is_kept)
        for path, columns in zip(found, groups, strict=True):
            data.isel(x=columns).to_netcdf(path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
    return found


def nearest(columns: VerificationColumns, known: VerificationColumns, model: Model) -> Values:
    """(n_columns,) number of the known column that is most alike in mean air temperature and rain and in soil."""
    names = [variable.name for variable in model.forcing]
    positions = [names.index(name) for name in ("met_tair", "met_rainf")]
    porosity = [variable.name for variable in model.static].index("clim_theta_sat")

    def features(of: VerificationColumns) -> Values:
        means = of.forcing[..., positions].mean(axis=0, dtype=np.float64)
        return np.concatenate([means, of.static[:, [porosity]]], axis=1)

    scale = features(columns).std(axis=0)
    distance = (features(columns)[:, None] - features(known)[None]) / scale
    return np.square(distance).sum(axis=2).argmin(axis=1)


def guessed(model: Model, files: Files) -> VerificationColumns:
    """The others with states of two runs of a model on end, begun with the state of the most similar known column."""
    known, others = (read_columns(path, model, np.dtype(np.float32)) for path in (files.known, files.others))
    state = others.state.copy()
    state[0] = known.state[0, nearest(others, known, model)]
    for _ in range(2):
        run = run_free(model, dataclasses.replace(others, state=state)).results[..., : state.shape[-1]]
        # The run ends a year or more after it began, at nearly the same day.
        state = np.concatenate([run[-1:], run])
    return dataclasses.replace(others, state=state)


def observed(model: Model, path: Path, soil_type: Values) -> Values:
    """(2, n_times, n_columns) brightness temperature of a file's states, K, with noise and bias, gaps NaN.

    There is none between passes, over snow and frozen soil, and over organic soil.
    """
    columns = read_columns(path, model, np.dtype(np.float64))
    labels = np.arange(EVERY, columns.n_times, EVERY)
    state, forcing = columns.state[labels], columns.forcing[labels - 1]
    rows = len(labels) * columns.n_columns
    clay = np.tile(clay_fraction(soil_type), len(labels))
    operator = BrightnessTemperature(model, np.tile(columns.static, (len(labels), 1)), clay)
    situation = Situation(forcing.reshape(rows, -1), state.reshape(rows, -1), np.zeros((rows, 0)))
    clean = operator.values(situation).reshape(len(labels), columns.n_columns, 2)
    noise = np.random.default_rng(SEED).normal(BIAS, NOISE, clean.shape)
    names = [variable.name for variable in model.state]
    is_bare = (state[..., names.index("snowc")] <= 0.01) & (state[..., names.index("stl1")] >= 274.16)
    values = np.full((2, columns.n_times, columns.n_columns), np.nan)
    values[:, labels] = np.moveaxis(np.where(is_bare[..., None], clean + noise, np.nan), -1, 0)
    return values


def write_observed(model: Model, files: Files, path: Path, share: int) -> Path:
    """Write the others with guessed states and one in ``share`` of the observations; not again if it is there."""
    if path.exists():
        return path
    guess = guessed(model, files)
    with xr.open_dataset(files.others, decode_times=False) as data:
        data = data.load()
    values = observed(model, files.others, data.clim_sotype.values)
    is_left = np.arange(values.shape[1]) // EVERY % share == 0
    for name, one in zip(NAMES, np.where(is_left[:, None], values, np.nan), strict=True):
        data[name] = (("time", "x"), one.astype(np.float32), {"units": "K"})
    for k, variable in enumerate(model.state):
        # The file has snow cover in percent.
        factor = 100.0 if variable.name == "snowc" else 1.0
        attributes = {key: text for key, text in data[variable.name].attrs.items() if key != "valid_range"}
        data[variable.name] = (("time", "x"), factor * guess.state[..., k], attributes)
    data = data.drop_vars([variable.name for variable in model.diagnostics])
    data.to_netcdf(path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)
    return path
