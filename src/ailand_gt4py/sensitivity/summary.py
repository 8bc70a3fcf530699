"""Derivatives in a few numbers: for each pair its mean and spread, and what matters most for each output."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.types import Values
from ailand_gt4py.sensitivity.composites import mean
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import units_of_derivative

#: Inputs that the table shows for each output.
SHOWN = 3


@dataclasses.dataclass(frozen=True)
class PairSummary:
    """A derivative over all points and columns where it has a meaning.

    Attributes:
        output, by: names. units: of the derivative.
        mean, low, high: mean, 5th and 95th percentile.
        positive: part of the values above zero.
        normalised: mean of the normalised derivative.
        count: of values.
    """

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
    result = np.empty((len(found.outputs), len(found.inputs)))
    for output in range(len(found.outputs)):
        for by in range(len(found.inputs)):
            result[output, by] = mean(found.normalised(output, by), axis=(0, 1))
    return result


def pair_summary(found: Derivatives, output: int, by: int) -> PairSummary:
    """Summary of one pair, by positions."""
    values = found.values[output, by]
    known = values[np.isfinite(values)].astype(np.float64)
    one, other = found.outputs[output], found.inputs[by]
    low, high = np.quantile(known, (0.05, 0.95)) if known.size else (np.nan, np.nan)
    return PairSummary(
        output=one.name,
        by=other.name,
        units=units_of_derivative(one.units, other.units),
        mean=float(known.mean()) if known.size else float("nan"),
        low=float(low),
        high=float(high),
        positive=float((known > 0.0).mean()) if known.size else float("nan"),
        normalised=float(mean(found.normalised(output, by), axis=(0, 1))),
        count=int(known.size),
    )


def strongest(found: Derivatives, count: int = SHOWN) -> list[PairSummary]:
    """For each output the inputs with the largest mean normalised derivatives, the largest first."""
    means = np.abs(normalised_means(found))
    rows = []
    for output in range(len(found.outputs)):
        order = np.argsort(-np.nan_to_num(means[output], nan=-1.0), kind="stable")
        rows += [pair_summary(found, output, int(by)) for by in order[:count] if np.isfinite(means[output, by])]
    return rows


def table(rows: list[PairSummary]) -> str:
    """A table in plain text, and what its columns mean."""
    titles = ("output", "input", "units", "mean", "5 %", "95 %", "> 0", "per std", "n")
    cells = [
        (
            row.output,
            row.by,
            row.units,
            *(f"{value:.3g}" for value in (row.mean, row.low, row.high)),
            f"{100.0 * row.positive:.0f} %",
            f"{row.normalised:.3f}",
            str(row.count),
        )
        for row in rows
    ]
    return "\n".join(
        [
            *aligned(titles, cells, left=3),
            "Derivatives of a step's results with respect to its inputs, over all times and columns where they have a "
            "meaning.",
            "per std: mean, in standard deviations of the output per standard deviation of the input, both of the",
            "training data.",
        ]
    )
