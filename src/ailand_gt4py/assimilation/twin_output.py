"""An experiment as a netCDF file with CF attributes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.assimilation.control import SOIL_WATER, UNITS
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.assimilation.twin_scores import ROOT_ZONE, TwinScores, soil_water
from ailand_gt4py.assimilation.window import REASONS
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.io.whole_files import columns, field, time_labels, write_netcdf
from ailand_gt4py.observations.operators import Observable
from ailand_gt4py.weights.variables import CATALOGUE, SOIL_DEPTHS

TITLE = "twin experiment: assimilation into aiLand, an emulator of ecLand; ecLand is the truth"
REFERENCES = "doi:10.1002/qj.2023 (SEKF), doi:10.1016/j.physd.2006.11.008 (ETKF), doi:10.1256/qj.05.108"

_RUNS = {"truth": "ecLand, the truth", "open_loop": "open loop", "background": "background", "analysis": "analysis"}
_LAYERS = {**dict(zip(SOIL_WATER, SOIL_DEPTHS, strict=False)), ROOT_ZONE: "0-100 cm"}


def write(path: Path, result: TwinResult, scores: TwinScores, where: ColumnLocations, header: dict[str, str]) -> None:
    """Write all results of an experiment on columns at these locations."""
    data = xr.Dataset(attrs=header)
    data.attrs["references"] = "; ".join(text for text in (header.get("references"), REFERENCES) if text)
    data.attrs["settings"] = json.dumps(result.settings.model_dump())
    data.attrs["scores"] = json.dumps(dataclasses.asdict(scores))
    data.update(columns(where.x, where.latitude, where.longitude))
    for name, times, meaning in (
        ("time", result.times, "of a state"),
        ("observation_time", result.times + step_of(result.model.step_seconds), "of observation"),
        ("window", result.times[:: result.steps_per_window], "start of the window"),
    ):
        data[name] = time_labels(times, meaning, name, result.calendar)
    water = CATALOGUE["swvl1"]
    for run, words in _RUNS.items():
        values = _single(soil_water(result, getattr(result, run)))
        for number, (name, depth) in enumerate(_LAYERS.items()):
            data[f"{run}_{name.replace(' ', '_')}"] = field(
                ("time", "x"), values[..., number], f"soil moisture in {depth}: {words}", water.units,
                standard_name=water.standard_name,
            )  # fmt: skip
    _add_windows(data, result)
    for name, observable in result.observables.items():
        _add_observations(data, result, name, observable)
    write_netcdf(path, data)


def _add_windows(data: xr.Dataset, result: TwinResult) -> None:
    def of_windows(attribute: str) -> Values:
        return np.stack([getattr(window, attribute) for window in result.windows])

    over = ("window", "x")
    for attribute, words in (
        ("increment", "analysis increment of"),
        ("background_spread", "standard deviation of the background error, as believed, of"),
        ("analysis_spread", "standard deviation of the analysis error, as believed, of"),
    ):
        values = _single(of_windows(attribute))
        for number, name in enumerate(result.control.names):
            text = f"{words} {name} at the window's start"
            data[f"{attribute}_{name}"] = field(over, values[..., number], text, UNITS[name])
    data["chi_square"] = field(over, _single(of_windows("chi_square")), "chi-square of the departures used", "1")
    data["observation_count"] = field(over, of_windows("n_used").astype(np.int32), "observations used", "1")


def _add_observations(data: xr.Dataset, result: TwinResult, name: str, observable: Observable) -> None:
    over, what, found = ("observation_time", "x"), observable.long_name, result.observed(name)
    for part, values, words, standard_name in (
        ("observation", found.values, what, observable.standard_name),
        ("departure", found.departures, f"observation minus background: {what}", ""),
        ("residual", found.residuals, f"observation minus analysis: {what}", ""),
    ):
        data[f"{part}_{name}"] = field(
            over, _single(values), words, observable.units, standard_name=standard_name,
            ancillary_variables=f"rejected_{name}",
        )  # fmt: skip
    data[f"rejected_{name}"] = field(
        over, found.reasons, f"why an observation took no part: {what}", "", standard_name="quality_flag",
        flag_masks=np.array(list(REASONS.values()), dtype=np.uint8), flag_meanings=" ".join(REASONS),
    )  # fmt: skip


def _single(values: Values) -> Values:
    return values.astype(np.float32)
