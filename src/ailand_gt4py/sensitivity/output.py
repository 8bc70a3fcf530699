"""Sensitivities in a file: one variable for each pair of output and input, and their means by season in groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.io.period import Period
from ailand_gt4py.io.whole_files import define, define_columns, define_texts, define_times, write_netcdf
from ailand_gt4py.sensitivity.composites import HEMISPHERES, SEASONS, by_hemisphere, by_season
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import Quantity, derivative_name, units_of_derivative

TITLE = "derivatives of aiLand, an emulator of ecLand, along a trajectory"
#: Groups of the means by season of each column, and of each hemisphere.
SEASON_GROUP, HEMISPHERE_GROUP = "by_season", "by_hemisphere"


def write(path: Path, found: Derivatives, period: Period, attributes: dict[str, str]) -> None:
    """Write derivatives at all points, and their means by season.

    Args:
        attributes: global ones.

    Raises:
        RunError: writing failed.
    """

    def fill(dataset: Any) -> None:
        dataset.setncatts(attributes)
        define_columns(dataset, period.x, period.latitude, period.longitude)
        define_times(dataset, found.times, "start of the step")
        define(
            dataset, "outside_training_range", ("time", "x"), found.outside.astype(np.uint8),
            "inputs of the step outside the range seen in training", "1",
            comment="1: some input is outside; 0: none",
        )  # fmt: skip
        seasons = _group(dataset, SEASON_GROUP, "means over the times of a season, of each column")
        hemispheres = _group(dataset, HEMISPHERE_GROUP, "means over the times of a season and a hemisphere's columns")
        define_texts(hemispheres, "hemisphere", "hemisphere", HEMISPHERES, "hemisphere of the columns")
        for output, one in enumerate(found.outputs):
            for by, other in enumerate(found.inputs):
                values, name = found.values[output, by], derivative_name(one.name, other.name)
                text, units = _long_name(one, other), units_of_derivative(one.units, other.units)
                define(
                    dataset, name, ("time", "x"), values, text, units,
                    output_spread=one.spread, input_spread=other.spread,
                    comment=_SPREAD_OF_LOGARITHM if other.variable.normalisation.is_logarithmic else "",
                )  # fmt: skip
                mean = by_season(values, found.times).astype(values.dtype)
                define(seasons, name, ("season", "x"), mean, f"{text}, mean", units, cell_methods="time: mean")
                mean = by_hemisphere(values, found.times, found.latitude).astype(values.dtype)
                define(hemispheres, name, ("hemisphere", "season"), mean, f"{text}, mean", units)

    write_netcdf(path, fill)


_SPREAD_OF_LOGARITHM = "input_spread is of the logarithm of the input: a relative change"


def _group(dataset: Any, name: str, what: str) -> Any:
    group = dataset.createGroup(name)
    group.comment = f"{what}; missing where no derivative of the season has a meaning"
    define_texts(group, "season", "season", SEASONS, "months of the season")
    return group


def _long_name(output: Quantity, by: Quantity) -> str:
    when = {"window mean": "mean over the step"}.get(output.variable.time_meaning, "at the end of the step")
    return f"derivative of {output.name} ({when}) by {by.name}"
