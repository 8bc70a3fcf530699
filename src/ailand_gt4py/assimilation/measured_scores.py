"""How near the runs of a cycle are to what was measured: what was assimilated, what was withheld, what never is.

What is assimilated says how far the filter goes; what was withheld, and what is not assimilated at all, whether that
is for the better.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.assimilation.consistency import Consistency, chi_square, lines, of_result
from ailand_gt4py.assimilation.cycle import RUNS, CycleResult
from ailand_gt4py.assimilation.measured import Measurements
from ailand_gt4py.assimilation.window import Trajectory
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.moments import Moments
from ailand_gt4py.observations.observed import Observed
from ailand_gt4py.observations.operators import Observable, ObservationOperator, model_variables


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was measured of an observable and what each run makes of it, (n_steps, n_columns) in its units."""

    observable: Observable
    measured: Values
    runs: Mapping[str, Values]
    is_assimilated: bool


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one observable over all columns and some observations of it: "assimilated", "withheld", "not assimilated".

    Bias (run minus observation), RMSE and correlation are by run.
    """

    name: str
    units: str
    which: str
    count: int
    bias: Mapping[str, float]
    rmse: Mapping[str, float]
    correlation: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """RMSE of the analysis over that of the open loop."""
        return self.rmse["analysis"] / self.rmse["open_loop"] if self.rmse["open_loop"] > 0.0 else float("nan")


@dataclasses.dataclass(frozen=True)
class MeasuredScores:
    """Scores, consistency, and all values that they are of; ``withheld``: of steps (n_steps,)."""

    scores: tuple[Score, ...]
    chi_square: float
    consistency: tuple[Consistency, ...]
    comparisons: Mapping[str, Comparison]
    withheld: Values

    def as_dict(self) -> dict[str, Any]:
        """Without the values."""
        return {
            "scores": [dataclasses.asdict(one) for one in self.scores],
            "chi_square": self.chi_square,
            "consistency": [dataclasses.asdict(one) for one in self.consistency],
        }

    def score(self, name: str, which: str) -> Score:
        return next(one for one in self.scores if (one.name, one.which) == (name, which))


def equivalents_through(runs: Sequence[Trajectory], operator: ObservationOperator) -> Values:
    """What would be observed at the end of each step of all windows, (n_steps, n_columns, n_outputs)."""
    situations = (run.situation(step) for run in runs for step in range(1, len(run.forcing) + 1))
    return np.stack([operator.values(one) for one in situations])


def compare(
    result: CycleResult,
    measurements: Measurements,
    operators: Mapping[str, ObservationOperator],
    others: Mapping[str, Observed],
) -> dict[str, Comparison]:
    """Runs beside all that was measured, by name.

    Args:
        operators: of the kinds assimilated, of the land's columns once. others: not assimilated, at the steps.
    """
    found = {}
    for operator in operators.values():
        runs = {name: equivalents_through(result.runs(name), operator) for name in RUNS}
        for position, observable in enumerate(operator.observables):
            if observable.name in measurements.values:
                values = {name: run[..., position] for name, run in runs.items()}
                measured = measurements.values[observable.name]
                found[observable.name] = Comparison(observable, measured, values, is_assimilated=True)
    all_others = model_variables(result.model, list(others))
    runs = {name: equivalents_through(result.runs(name), all_others) for name in RUNS} if others else {}
    for position, (name, one) in enumerate(others.items()):
        values = {run: each[..., position] for run, each in runs.items()}
        found[name] = Comparison(one.variable, one.values, values, is_assimilated=False)
    return found


def score(
    result: CycleResult,
    measurements: Measurements,
    operators: Mapping[str, ObservationOperator],
    others: Mapping[str, Observed],
) -> MeasuredScores:
    """Score a cycle; arguments as of `compare`."""
    comparisons, withheld = compare(result, measurements, operators, others), measurements.withheld
    scores = []
    for name, one in comparisons.items():
        parts = {"not assimilated": np.ones_like(withheld)}
        if one.is_assimilated:
            parts = {"assimilated": ~withheld, "withheld": withheld}
        for which, steps in parts.items():
            moments = {run: Moments.of(values[steps], one.measured[steps]).pooled() for run, values in one.runs.items()}
            count = int(moments["analysis"].n)
            if count:
                scores.append(
                    Score(
                        name, one.observable.units, which, count,
                        {run: float(each.means[0] - each.means[1]) for run, each in moments.items()},
                        {run: float(np.sqrt(each.mean_square)) for run, each in moments.items()},
                        {run: float(each.correlation) for run, each in moments.items()},
                    )
                )  # fmt: skip
    return MeasuredScores(tuple(scores), chi_square(result.windows), of_result(result), comparisons, withheld)


def text(scores: MeasuredScores) -> str:
    """The scores as tables in plain text."""
    rows = []
    for one in scores.scores:
        rmse = (f"{one.rmse[run]:.4g}" for run in RUNS)
        biases = (f"{one.bias[run]:+.3g}" for run in ("open_loop", "analysis"))
        correlations = (f"{one.correlation[run]:.2f}" for run in ("open_loop", "analysis"))
        rows.append((one.name, one.units, one.which, str(one.count), *rmse, f"{one.ratio:.3f}", *biases, *correlations))
    titles = (
        "quantity", "units", "observations", "number", "open loop", "background", "analysis", "analysis / open loop",
        "bias: open loop", "analysis", "correlation: open loop", "analysis",
    )  # fmt: skip
    return "\n".join(
        [
            "RMSE against measurements, over all columns",
            *aligned(titles, rows, left=3, indent=2),
            "",
            *lines(scores.consistency, scores.chi_square),
        ]
    )


def headline(result: CycleResult, files: str) -> str:
    """What was run, in two lines."""
    settings = result.settings
    how = settings.jacobian if settings.method == "sekf" else f"{settings.members} members"
    n_columns, begin = result.windows[0].increment.shape[0], time_text(result.times[0], result.calendar)
    days = (result.times[-1] - result.times[0]) / np.timedelta64(1, "D") + result.model.step_seconds / 86_400.0
    return (
        f"Observations of {files}: {settings.method.upper()} ({how}), {days:g} days from {begin} in windows of "
        f"{settings.window_hours:g} h, {n_columns} columns\n  assimilated: {', '.join(settings.observe)}"
    )
