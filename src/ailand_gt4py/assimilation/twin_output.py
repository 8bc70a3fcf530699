"""An experiment as a netCDF file with CF attributes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.assimilation.control import SOIL_WATER, UNITS
from ailand_gt4py.assimilation.screening import REASONS
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.assimilation.twin_scores import ROOT_ZONE, TwinScores, soil_water
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import Observable
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes
from ailand_gt4py.weights.variables.catalogue import SOIL_DEPTHS

_RUNS = {
    "truth": "ecLand, the truth",
    "open_loop": "open loop",
    "background": "background",
    "analysis": "analysis",
}
_LAYERS = {**dict(zip(SOIL_WATER, SOIL_DEPTHS, strict=False)), ROOT_ZONE: "0-100 cm"}
_SOIL_WATER = CATALOGUE["swvl1"]
_LOCATION = {"coordinates": "lat lon"}


def dataset(
    result: TwinResult,
    scores: TwinScores,
    observables: dict[str, Observable],
    locations: tuple[Values, Values, Values],
    history: str,
) -> xr.Dataset:
    """The file's content.

    Args:
        observables: name -> what is observed, of all observations of the experiment.
        locations: (n_columns,) each: labels, latitudes and longitudes of the columns, degrees.
        history: when and with which command it was made.
    """
    x, latitude, longitude = locations
    step = np.timedelta64(round(result.model.step_seconds * 1e9), "ns")
    starts = result.times[:: result.steps_per_window]
    data = xr.Dataset(
        coords={
            "time": ("time", result.times, _time_attributes("time (UTC)")),
            "observation_time": (
                "observation_time",
                result.times + step,
                _time_attributes("time of observation (UTC)"),
            ),
            "window": ("window", starts, _time_attributes("start of the window (UTC)")),
            "x": ("x", x, {"long_name": "label of the column"}),
            "lat": ("x", latitude, cf_attributes(CATALOGUE["lat"])),
            "lon": ("x", longitude, cf_attributes(CATALOGUE["lon"])),
        }
    )
    for run, words in _RUNS.items():
        values = soil_water(result, getattr(result, run))
        for number, (name, depth) in enumerate(_LAYERS.items()):
            data[f"{run}_{name.replace(' ', '_')}"] = _field(
                ("time", "x"),
                values[..., number],
                _SOIL_WATER.units,
                f"soil moisture in {depth}: {words}",
                _SOIL_WATER.standard_name,
            )
    _add_windows(data, result)
    _add_observations(data, result, observables)
    data.attrs = {
        "Conventions": "CF-1.11",
        "title": "twin experiment: assimilation into aiLand, an emulator of ecLand; ecLand is the truth",
        "source": f"ailand_gt4py; {result.model.provenance.get('title', result.model.architecture)}",
        "history": history,
        "references": "doi:10.1002/qj.2023 (SEKF), doi:10.1016/j.physd.2006.11.008 (ETKF), doi:10.1256/qj.05.108",
        "settings": json.dumps(result.settings.model_dump()),
        "scores": json.dumps(dataclasses.asdict(scores)),
    }
    return data


def write(path: Path, data: xr.Dataset) -> None:
    """Write a file completely or not at all.

    Raises:
        RunError: it cannot be written.
    """
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"zlib": True, "complevel": 4, **({"_FillValue": np.nan} if field.dtype.kind == "f" else {})}
        for name, field in data.data_vars.items()
    }
    for name in ("time", "observation_time", "window"):
        encoding[name] = {"units": "seconds since 1970-01-01 00:00:00", "calendar": "proleptic_gregorian"}
        encoding[name] |= {"dtype": "int64", "_FillValue": None}
    for name in ("lat", "lon"):
        encoding[name] = {"_FillValue": None}
    with whole_file(path, "writing the output") as temporary:
        data.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)


def _add_windows(data: xr.Dataset, result: TwinResult) -> None:
    windows = result.windows
    for number, name in enumerate(result.control.names):
        for field, words in (
            ("increment", "analysis increment of"),
            ("background_spread", "standard deviation of the background error, as believed, of"),
            ("analysis_spread", "standard deviation of the analysis error, as believed, of"),
        ):
            values = np.stack([getattr(window, field)[:, number] for window in windows])
            data[f"{field}_{name}"] = _field(
                ("window", "x"), values, UNITS[name], f"{words} {name} at the window's start"
            )
    data["chi_square"] = _field(
        ("window", "x"), np.stack([w.chi_square for w in windows]), "1", "chi-square of the departures used"
    )
    count = np.stack([window.count for window in windows]).astype(np.int32)
    data["observation_count"] = (("window", "x"), count, {"units": "1", "long_name": "observations used", **_LOCATION})


def _add_observations(data: xr.Dataset, result: TwinResult, observables: dict[str, Observable]) -> None:
    shape = (len(result.times), data.sizes["x"])
    per_window = result.steps_per_window
    for name, observable in observables.items():
        parts = {part: np.full(shape, np.nan) for part in ("observation", "departure", "residual")}
        reasons = np.full(shape, REASONS["missing"], dtype=np.uint8)
        for number, window in enumerate(result.windows):
            for position, own in enumerate(result.observables[number]):
                if own != name:
                    continue
                row = number * per_window + int(result.observation_steps[number][position]) - 1
                parts["observation"][row] = result.observations[number][:, position]
                parts["departure"][row] = window.departures[:, position]
                parts["residual"][row] = window.residuals[:, position]
                reasons[row] = window.reasons[:, position]
        words = {
            "observation": observable.long_name,
            "departure": f"observation minus background: {observable.long_name}",
            "residual": f"observation minus analysis: {observable.long_name}",
        }
        for part, values in parts.items():
            standard_name = observable.standard_name if part == "observation" else ""
            field = _field(("observation_time", "x"), values, observable.units, words[part], standard_name)
            field[2]["ancillary_variables"] = f"rejected_{name}"
            data[f"{part}_{name}"] = field
        flags = {
            "long_name": f"why an observation took no part: {observable.long_name}",
            "standard_name": "quality_flag",
            "flag_masks": np.array(list(REASONS.values()), dtype=np.uint8),
            "flag_meanings": " ".join(REASONS),
            **_LOCATION,
        }
        data[f"rejected_{name}"] = (("observation_time", "x"), reasons, flags)


def _time_attributes(long_name: str) -> dict[str, str]:
    return {"standard_name": "time", "long_name": long_name, "axis": "T"}


def _field(
    dims: tuple[str, str], values: Values, units: str, long_name: str, standard_name: str = ""
) -> tuple[tuple[str, str], Values, dict[str, str]]:
    attributes = {"units": units, "long_name": long_name, **_LOCATION}
    if standard_name:
        attributes["standard_name"] = standard_name
    return dims, values.astype(np.float32), attributes
