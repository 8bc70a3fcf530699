"""Sensitivities in a file: one variable for each pair of output and input, and their means by season in groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.io.period import Period
from ailand_gt4py.io.whole_files import columns, field, texts, time_labels, write_netcdf
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import units_of_derivative
from ailand_gt4py.sensitivity.summary import HEMISPHERES, SEASONS, by_hemisphere, by_season

TITLE = "derivatives of aiLand, an emulator of ecLand, along a trajectory"


def write(path: Path, found: Derivatives, period: Period, attributes: dict[str, str]) -> None:
    """Write derivatives at all points, and their means by season of each column and of each hemisphere."""
    data = xr.Dataset(attrs=attributes)
    data.update(columns(period.x, period.latitude, period.longitude))
    data["time"] = time_labels(found.times, "start of the step")
    data["outside_training_range"] = field(
        ("time", "x"), found.outside.astype(np.uint8), "inputs of the step out of the range of the training", "1",
        comment="1: some input is out of range; 0: none",
    )  # fmt: skip
    seasons = _group("means over the times of a season, of each column")
    hemispheres = _group("means over the times of a season and a hemisphere's columns")
    hemispheres["hemisphere"] = texts("hemisphere", HEMISPHERES, "hemisphere of the columns")
    for output, one in enumerate(found.outputs):
        when = "mean over the step" if one.variable.time_meaning == "window mean" else "at the end of the step"
        for by, other in enumerate(found.inputs):
            values, name = found.values[output, by], f"d_{one.name}_d_{other.name}"
            text, units = (
                f"derivative of {one.name} ({when}) by {other.name}",
                units_of_derivative(one.units, other.units),
            )
            is_logarithmic = other.variable.normalisation.is_logarithmic
            comment = "input_spread is of the logarithm of the input: a relative change" if is_logarithmic else ""
            spreads = {"output_spread": one.spread, "input_spread": other.spread}
            data[name] = field(("time", "x"), values, text, units, **spreads, comment=comment)
            mean = by_season(values, found.times).astype(values.dtype)
            seasons[name] = field(("season", "x"), mean, f"{text}, mean", units, cell_methods="time: mean")
            mean = by_hemisphere(values, found.times, found.latitude).astype(values.dtype)
            hemispheres[name] = field(("hemisphere", "season"), mean, f"{text}, mean", units)
    write_netcdf(path, xr.DataTree.from_dict({"/": data, "/by_season": seasons, "/by_hemisphere": hemispheres}))


def _group(what: str) -> xr.Dataset:
    return xr.Dataset(
        {"season": texts("season", SEASONS, "months of the season")},
        attrs={"comment": f"{what}; missing where no derivative of the season has a meaning"},
    )
