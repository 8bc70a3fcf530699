"""Derivatives in a file, with means by season and hemisphere, and as a table of what matters most for each output."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.times import STANDARD, month_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.period import Period
from ailand_gt4py.io.whole_files import columns, field, texts, time_labels, write_netcdf
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import units_of_derivative

TITLE = "derivatives of aiLand, an emulator of ecLand, along a trajectory"

SEASONS = ("DJF", "MAM", "JJA", "SON")
HEMISPHERES = ("northern", "southern")
#: Inputs that the table shows for each output.
SHOWN = 3


def mean(values: Values, axis: int | tuple[int, ...]) -> Values:
    """Mean of what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(values.sum(axis=axis, where=known, dtype=np.float64) / known.sum(axis=axis))


def season_of(times: Values, calendar: str = STANDARD) -> Values:
    """(n_times,) position in `SEASONS` of each time, by its month."""
    return (month_of(np.asarray(times), calendar) + 1) % 12 // 3


def by_season(values: Values, times: Values, calendar: str = STANDARD) -> Values:
    """Means by season of (n_times, n_columns): (n_seasons, n_columns), NaN for seasons without a value."""
    position = season_of(times, calendar)
    return np.stack([mean(values[position == season], axis=0) for season in range(len(SEASONS))])


def by_hemisphere(values: Values, times: Values, latitude: Values, calendar: str = STANDARD) -> Values:
    """Means by hemisphere and season of (n_times, n_columns): (n_hemispheres, n_seasons); the equator is northern."""
    position, is_northern = season_of(times, calendar), np.asarray(latitude) >= 0.0
    rows = [
        [mean(values[np.ix_(position == season, half)], axis=(0, 1)) for season in range(len(SEASONS))]
        for half in (is_northern, ~is_northern)
    ]
    return np.array(rows)


def write(path: Path, found: Derivatives, period: Period, attributes: dict[str, str]) -> None:
    """Write derivatives at all points, and their means by season of each column and of each hemisphere."""
    data = xr.Dataset(attrs=attributes)
    data.update(columns(period.x, period.latitude, period.longitude))
    data["time"] = time_labels(found.times, "start of the step", calendar=found.calendar)
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
            text = f"derivative of {one.name} ({when}) by {other.name}"
            units = units_of_derivative(one.units, other.units)
            is_logarithmic = other.variable.normalisation.is_logarithmic
            comment = "input_spread is of the logarithm of the input: a relative change" if is_logarithmic else ""
            spreads = {"output_spread": one.spread, "input_spread": other.spread}
            data[name] = field(("time", "x"), values, text, units, **spreads, comment=comment)
            of_columns = by_season(values, found.times, found.calendar).astype(values.dtype)
            seasons[name] = field(("season", "x"), of_columns, f"{text}, mean", units, cell_methods="time: mean")
            of_halves = by_hemisphere(values, found.times, found.latitude, found.calendar).astype(values.dtype)
            hemispheres[name] = field(("hemisphere", "season"), of_halves, f"{text}, mean", units)
    write_netcdf(path, xr.DataTree.from_dict({"/": data, "/by_season": seasons, "/by_hemisphere": hemispheres}))


def _group(what: str) -> xr.Dataset:
    return xr.Dataset(
        {"season": texts("season", SEASONS, "months of the season")},
        attrs={"comment": f"{what}; missing where no derivative of the season has a meaning"},
    )


@dataclasses.dataclass(frozen=True)
class PairSummary:
    """A derivative over all points and columns where it has a meaning: mean, 5th and 95th percentile, part above 0."""

    output: str
    by: str
    units: str
    mean: float
    low: float
    high: float
    positive: float
    normalised: float
    count: int


def normalised_means(found: Derivatives) -> Values:
    """(n_outputs, n_inputs) means of normalised derivatives; NaN where there is no value."""
    outputs, inputs = range(len(found.outputs)), range(len(found.inputs))
    return np.array([[mean(found.normalised(output, by), axis=(0, 1)) for by in inputs] for output in outputs])


def pair_summary(found: Derivatives, output: int, by: int) -> PairSummary:
    """Summary of one pair, by positions."""
    values, one, other = found.values[output, by], found.outputs[output], found.inputs[by]
    known = values[np.isfinite(values)].astype(np.float64)
    low, high = np.quantile(known, (0.05, 0.95)) if known.size else (np.nan, np.nan)
    return PairSummary(
        output=one.name,
        by=other.name,
        units=units_of_derivative(one.units, other.units),
        mean=float(mean(known, axis=0)),
        low=float(low),
        high=float(high),
        positive=float(mean(known > 0.0, axis=0)),
        normalised=float(mean(found.normalised(output, by), axis=(0, 1))),
        count=int(known.size),
    )


def strongest(found: Derivatives, count: int = SHOWN) -> list[PairSummary]:
    """For each output the inputs with the largest mean normalised derivatives, the largest first."""
    rows = []
    for output, means in enumerate(np.abs(normalised_means(found))):
        order = np.argsort(-np.nan_to_num(means, nan=-1.0), kind="stable")
        rows += [pair_summary(found, output, int(by)) for by in order[:count] if np.isfinite(means[by])]
    return rows


def table(rows: list[PairSummary]) -> str:
    """A table in plain text, and what its columns mean."""
    titles = ("output", "input", "units", "mean", "5 %", "95 %", "> 0", "per std", "n")
    cells = []
    for row in rows:
        numbers = (f"{value:.3g}" for value in (row.mean, row.low, row.high))
        more = (f"{100.0 * row.positive:.0f} %", f"{row.normalised:.3f}", str(row.count))
        cells.append((row.output, row.by, row.units, *numbers, *more))
    return "\n".join(
        [
            *aligned(titles, cells, left=3),
            "Derivatives of a step's results with respect to its inputs, over all times and columns where they have a "
            "meaning.",
            "per std: mean, in standard deviations of the output per standard deviation of the input, both of the",
            "training data.",
        ]
    )
