"""Scores of a twin experiment: errors against the truth, spread, consistency; as values and as text."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from ailand_gt4py.assimilation.consistency import Consistency, chi_square, lines, of_result
from ailand_gt4py.assimilation.control import SOIL_WATER, make_control, root_zone
from ailand_gt4py.assimilation.cycle import CycleResult
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.observations.operators import position_of

ROOT_ZONE = "root zone"


@dataclasses.dataclass(frozen=True)
class Score:
    """RMSE of one quantity against the truth over some columns, in words and their number, and all labels, m3 m-3."""

    name: str
    columns: str
    n_columns: int
    open_loop: float
    background: float
    analysis: float

    @property
    def ratio(self) -> float:
        """RMSE of the analysis over that of the open loop."""
        return self.analysis / self.open_loop if self.open_loop > 0.0 else float("nan")


@dataclasses.dataclass(frozen=True)
class TwinScores:
    """Scores of columns without snow or frost, then of all; and by control variable what the filter believes.

    That is the RMS spread of the first background, the first analysis, the last background and the last analysis.
    """

    scores: tuple[Score, ...]
    spread: dict[str, tuple[float, ...]]
    chi_square: float
    consistency: tuple[Consistency, ...]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def score(self, name: str, columns: str) -> Score:
        """The score of a quantity over "snow-free" or "all" columns."""
        return next(score for score in self.scores if (score.name, score.columns) == (name, columns))


def snow_free(result: TwinResult) -> Values:
    """(n_columns,) which columns the truth has without snow and frost at all labels: those observed throughout."""
    screening = result.settings.screening
    snow = result.truth[..., position_of(result.model.state, "snowc", "1", "scores")]
    soil = result.truth[..., position_of(result.model.state, "stl1", "K", "scores")]
    is_bare = (snow <= screening.largest_snow_cover) & (soil >= screening.coldest_soil)
    return np.asarray(is_bare.all(axis=0))


def soil_water(result: CycleResult, states: Values) -> Values:
    """(..., 4) float64: soil water of the first three layers, and of the root zone."""
    layers = make_control(result.model).of(states)
    return np.concatenate([layers, root_zone(layers)[..., None]], axis=-1)


def score(result: TwinResult) -> TwinScores:
    """Score an experiment."""
    truth = soil_water(result, result.truth)
    errors = [soil_water(result, states) - truth for states in (result.open_loop, result.background, result.analysis)]
    free = snow_free(result)
    scores = []
    for columns, chosen in (("snow-free", free), ("all", np.ones_like(free))):
        for number, name in enumerate((*SOIL_WATER, ROOT_ZONE)):
            found = [float(rmse(error[:, chosen, number])) for error in errors]
            scores.append(Score(name, columns, int(chosen.sum()), *found))
    first, last = result.windows[0], result.windows[-1]
    spreads = (first.background_spread, first.analysis_spread, last.background_spread, last.analysis_spread)
    return TwinScores(
        tuple(scores),
        {
            name: tuple(float(rmse(values[:, number])) for values in spreads)
            for number, name in enumerate(result.control.names)
        },
        chi_square(result.windows),
        of_result(result),
    )


def text(scores: TwinScores) -> str:
    """The scores as tables in plain text."""
    free, every = scores.scores[0].n_columns, scores.scores[-1].n_columns
    rows = []
    for one in scores.scores:
        errors = (f"{value:.4f}" for value in (one.open_loop, one.background, one.analysis))
        rows.append((one.name, one.columns, *errors, f"{one.ratio:.3f}"))
    spread = [(name, *(f"{value:.4f}" for value in values)) for name, values in scores.spread.items()]
    table = functools.partial(aligned, left=1, indent=2)
    return "\n".join(
        [
            "RMSE of soil water against the truth, m3 m-3, over all labels",
            f"  snow-free: {free} columns without snow or frost in the period; all: {every} columns",
            *table(("quantity", "columns", "open loop", "background", "analysis", "analysis / open loop"), rows),
            "",
            "Standard deviation assumed by the filter, root mean square over all columns",
            *table(("control", "first background", "first analysis", "last background", "last analysis"), spread),
            "",
            *lines(scores.consistency, scores.chi_square),
        ]
    )


def headline(result: TwinResult) -> str:
    """What was run, in two lines."""
    settings = result.settings
    how = settings.jacobian if settings.method == "sekf" else f"{settings.members} members"
    covariance = f", {settings.errors.covariance} background error" if settings.method == "sekf" else ""
    return (
        f"Twin experiment: {settings.method.upper()} ({how}{covariance}), {settings.days:g} days from "
        f"{time_text(result.times[0], result.calendar)} in windows of {settings.window_hours:g} h, "
        f"{result.truth.shape[1]} columns\n"
        f"  observations: {', '.join(settings.observe)}; seed {settings.seed}; initial error "
        f"{settings.initial_error:g} m3 m-3; weather errors {settings.weather_error:g}"
    )
