"""Everything that a report shows of a model on a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation import budgets, fields, ranges
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import Runs
from ailand_gt4py.evaluation.scores import uncertainty
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.groups import SNOW_REGIME, ColumnLocations
from ailand_gt4py.evaluation.scores.lead_time import VariableStudy
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.weights.model import Model


def summary(sample: Sample) -> dict[str, object]:
    """All scores of a sample, with its size and the interval of its RMSE."""
    return {
        "n_columns": len(sample.pairs.n),
        "n_pairs": int(sample.pairs.n.sum()),
        "interval": uncertainty.rmse_interval(sample.pairs.mean_square),
        **{name: score.of(sample) for name, score in SCORES.items()},
    }


@dataclasses.dataclass(frozen=True)
class BoxComparison:
    """RMSE of the free run in the held-out box over that elsewhere; as it is: of a file all on one side.

    As if both had the same snow regimes, by `scores.uncertainty.alike_ratio`; of the climatology of other years: how
    much more there is to err in.
    """

    ratio: float = math.nan
    interval: tuple[float, float] = uncertainty.NO_INTERVAL
    snow_regimes_alike: float = math.nan
    of_climatology: float = math.nan

    @classmethod
    def of(cls, sample: Sample, locations: ColumnLocations) -> BoxComparison:
        """Of the sample of a free run."""
        inside, regimes = locations.in_box, locations.grouping(SNOW_REGIME)
        squares = sample.pairs.mean_square
        usual = sample.baselines["climatology_other_years"].mean_square
        return cls(
            uncertainty.rmse_ratio(squares[inside], squares[~inside]),
            uncertainty.ratio_interval(squares[inside], squares[~inside]),
            math.nan if regimes is None else uncertainty.alike_ratio(squares, inside, regimes.labels),
            uncertainty.rmse_ratio(usual[inside], usual[~inside]),
        )


def not_scored(columns: VerificationColumns) -> str:
    """A sentence on what is absent from the truth; empty where nothing is."""
    absent = ", ".join(f"{name} ({why})" for name, why in columns.absent.items())
    return f"Not scored, having no truth: {absent}." if absent else ""


@dataclasses.dataclass(frozen=True)
class Study:
    """A model on the truth in files, by name; no boxes where all columns are in the held-out box, or none."""

    runs: Runs
    files: str
    locations: ColumnLocations
    window_days: int
    variables: tuple[VariableStudy, ...]
    boxes: dict[str, BoxComparison]
    budgets: budgets.BudgetComparison
    run_ranges: list[ranges.RangeCount]
    truth_ranges: list[ranges.RangeCount]

    @property
    def model(self) -> Model:
        return self.runs.model

    @property
    def times(self) -> Values:
        return self.runs.columns.times

    @property
    def calendar(self) -> str:
        return self.runs.columns.calendar

    @property
    def not_scored(self) -> str:
        """States and diagnostics of which the files do not have the truth, and why; empty where they have all."""
        return not_scored(self.runs.columns)

    @property
    def n_starts(self) -> int:
        return len(self.runs.from_starts.starts)

    @property
    def years(self) -> float:
        """Length of the free run."""
        return float((self.times[-1] - self.times[0]) / np.timedelta64(1, "D")) / 365.25

    def those(self, names: Iterable[str]) -> list[VariableStudy]:
        """The variables of some names, in their order; names that the model does not have are left out."""
        known = {variable.name: variable for variable in self.variables}
        return [known[name] for name in names if name in known]


def make_study(
    runs: Runs,
    variables: tuple[VariableStudy, ...],
    files: str,
    locations: ColumnLocations,
    truth: fields.Fields,
    window_days: int,
) -> Study:
    """Compute what a report shows beside the variables' scores, of columns at these locations."""
    has_both_sides = locations.in_box.any() and not locations.in_box.all()
    boxes = {one.name: BoxComparison.of(one.free, locations) for one in variables} if has_both_sides else {}
    own = fields.of_run(runs.model, runs.free, truth)
    compared = budgets.compare(own, truth)
    return Study(
        runs, files, locations, window_days, variables, boxes, compared, ranges.count(own), ranges.count(truth)
    )
