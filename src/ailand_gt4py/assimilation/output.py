"""A cycle, of a twin experiment or of measured observations, as a netCDF file with CF attributes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.assimilation.control import SOIL_WATER, UNITS
from ailand_gt4py.assimilation.cycle import RUNS, CycleResult
from ailand_gt4py.assimilation.measured_scores import MeasuredScores
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.assimilation.twin_scores import ROOT_ZONE, TwinScores, soil_water
from ailand_gt4py.assimilation.window import REASONS
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.io.whole_files import columns, field, time_labels, write_netcdf
from ailand_gt4py.observations.operators import Observable
from ailand_gt4py.weights.variables import CATALOGUE, SOIL_DEPTHS

TWIN_TITLE = "twin experiment: assimilation into aiLand, an emulator of ecLand; ecLand is the truth"
TITLE = "assimilation of measured observations into aiLand, an emulator of ecLand"
REFERENCES = "doi:10.1002/qj.2023 (SEKF), doi:10.1016/j.physd.2006.11.008 (ETKF), doi:10.1256/qj.05.108"

_LAYERS = {**dict(zip(SOIL_WATER, SOIL_DEPTHS, strict=False)), ROOT_ZONE: "0-100 cm"}


def write(
    path: Path, result: CycleResult, scores: TwinScores | MeasuredScores, where: ColumnLocations, header: dict[str, str]
) -> None:
    """Write all results of a cycle on columns at these locations."""
    data = xr.Dataset(attrs=header)
    data.attrs["references"] = "; ".join(text for text in (header.get("references"), REFERENCES) if text)
    data.attrs["settings"] = json.dumps(result.settings.model_dump())
    data.attrs["scores"] = json.dumps(scores.as_dict())
    data.update(columns(where.x, where.latitude, where.longitude))
    for name, times, meaning in (
        ("time", result.times, "of a state"),
        ("observation_time", result.times + step_of(result.model.step_seconds), "of observation"),
        ("window", result.times[:: result.steps_per_window], "start of the window"),
    ):
        data[name] = time_labels(times, meaning, name, result.calendar)
    water = CATALOGUE["swvl1"]
    runs = {run: (run.replace("_", " "), result.states(run)) for run in RUNS}
    if isinstance(result, TwinResult):
        runs = {"truth": ("ecLand, the truth", result.truth), **runs}
    for run, (words, states) in runs.items():
        values = _single(soil_water(result, states))
        for number, (name, depth) in enumerate(_LAYERS.items()):
            data[f"{run}_{name.replace(' ', '_')}"] = field(
                ("time", "x"), values[..., number], f"soil moisture in {depth}: {words}", water.units,
                standard_name=water.standard_name,
            )  # fmt: skip
    _add_windows(data, result)
    for name, observable in result.observables.items():
        _add_observations(data, result, name, observable)
    if isinstance(scores, MeasuredScores):
        _add_comparisons(data, scores)
    write_netcdf(path, data)


def _add_comparisons(data: xr.Dataset, scores: MeasuredScores) -> None:
    """All that was measured, and what the runs make of it, of the steps that end at the times of observation."""
    over = ("observation_time", "x")
    for name, one in scores.comparisons.items():
        what, units = one.observable.long_name, one.observable.units
        data[f"measured_{name}"] = field(over, _single(one.measured), f"measured: {what}", units)
        for run, values in one.runs.items():
            words = f"{run.replace('_', ' ')}: {what}"
            data[f"{run}_of_{name}"] = field(over, _single(values), words, units)
    flags = scores.withheld.astype(np.int8)
    data["withheld"] = field(("observation_time",), flags, "whether observations were withheld from the analysis", "1")


def _add_windows(data: xr.Dataset, result: CycleResult) -> None:
    def of_windows(attribute: str) -> Values:
        return np.stack([getattr(window, attribute) for window in result.windows])

    over = ("window", "x")
    for attribute, words in (
        ("increment", "analysis increment of"),
        ("background_spread", "assumed standard deviation of the background error of"),
        ("analysis_spread", "assumed standard deviation of the analysis error of"),
    ):
        values = _single(of_windows(attribute))
        for number, name in enumerate(result.control.names):
            text = f"{words} {name} at the window's start"
            data[f"{attribute}_{name}"] = field(over, values[..., number], text, UNITS[name])
    data["chi_square"] = field(over, _single(of_windows("chi_square")), "chi-square of the departures used", "1")
    data["observation_count"] = field(over, of_windows("n_used").astype(np.int32), "observations used", "1")


def _add_observations(data: xr.Dataset, result: CycleResult, name: str, observable: Observable) -> None:
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
