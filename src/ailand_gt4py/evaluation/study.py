"""Everything that a report shows of a model on a file, computed variable by variable."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation import budgets, fields, ranges
from ailand_gt4py.evaluation.budgets import BudgetComparison
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, Runs
from ailand_gt4py.evaluation.scores.definitions import SCORES, scores_of
from ailand_gt4py.evaluation.scores.groups import SNOW_REGIME, ColumnLocations, read_locations
from ailand_gt4py.evaluation.scores.lead_time import (
    FreeRunScore,
    LeadScore,
    free_run_sample,
    free_run_score,
    lead_sample,
    lead_score,
    truth_of,
)
from ailand_gt4py.evaluation.scores.moments import Sample
from ailand_gt4py.evaluation.scores.uncertainty import (
    NO_INTERVAL,
    alike_ratio,
    ratio_interval,
    rmse_interval,
    rmse_ratio,
)
from ailand_gt4py.weights.model import Model, Variable

#: Further leads of the curves, days; those above the longest one asked for are left out.
CURVE_DAYS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 30.0, 45.0, 60.0, 75.0, 90.0)


@dataclasses.dataclass(frozen=True)
class VariableStudy:
    """One variable.

    Attributes:
        variable: of the model. is_state: or a diagnostic.
        curve: scores by lead, of `CURVE_DAYS` and the leads asked for.
        leads: (days, sample) at the leads asked for.
        free_run: scores of the free run against climatologies, by year, with ranges. free: its sample.
        run, truth: (n_steps, n_columns) of the free run and the truth at the same labels.
    """

    variable: Variable
    is_state: bool
    curve: tuple[LeadScore, ...]
    leads: tuple[tuple[float, Sample], ...]
    free_run: FreeRunScore
    free: Sample
    run: Values
    truth: Values

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def units(self) -> str:
        return self.variable.units

    @property
    def samples(self) -> list[Sample]:
        """At the leads asked for, then of the free run."""
        return [*(sample for _, sample in self.leads), self.free]

    @property
    def asked(self) -> list[LeadScore]:
        """Scores at the leads asked for."""
        days = {days for days, _ in self.leads}
        return [score for score in self.curve if score.lead_days in days]

    def by_column(self, name: str) -> Values:
        """(n_columns,) a score of the free run, NaN where a column has none."""
        return SCORES[name].formula(self.free)


def summary(sample: Sample) -> dict[str, object]:
    """All scores of a sample, with its size and the interval of its RMSE."""
    return {
        "n_columns": len(sample.pairs.n),
        "n_pairs": int(sample.pairs.n.sum()),
        "interval": rmse_interval(sample.pairs.mean_square),
        **scores_of(sample),
    }


@dataclasses.dataclass(frozen=True)
class BoxComparison:
    """RMSE of the free run in the held-out box over that elsewhere.

    Attributes:
        ratio: NaN where errors elsewhere are 0. interval: of it (`scores.uncertainty.ratio_interval`).
        alike: the ratio as if both had the same shares of snow regimes (`scores.uncertainty.alike_ratio`).
        climatology: ratio of the RMSE of the climatology of other years: how much more there is to err in.
    """

    ratio: float
    interval: tuple[float, float]
    alike: float
    climatology: float

    @classmethod
    def of(cls, sample: Sample, locations: ColumnLocations) -> BoxComparison:
        """Of the sample of a free run."""
        inside, regimes = locations.in_box, locations.grouping(SNOW_REGIME)
        squares = sample.pairs.mean_square
        usual = sample.baselines["climatology_other_years"].mean_square
        return cls(
            ratio=rmse_ratio(squares[inside], squares[~inside]),
            interval=ratio_interval(squares[inside], squares[~inside]),
            alike=math.nan if regimes is None else alike_ratio(squares, inside, regimes.labels),
            climatology=rmse_ratio(usual[inside], usual[~inside]),
        )


#: Of a file whose columns are all on one side.
NO_COMPARISON = BoxComparison(math.nan, NO_INTERVAL, math.nan, math.nan)


@dataclasses.dataclass(frozen=True)
class Study:
    """A model on a file.

    Attributes:
        runs: of the model. file: that the truth is from. locations: of its columns.
        window_days: of the climatology.
        variables: states, then diagnostics.
        boxes: by variable; empty where all columns are in the held-out box, or none.
        budgets: residuals of the emulator and of ecLand.
        run_ranges, truth_ranges: checks by name, of the emulator and of ecLand.
    """

    runs: Runs
    file: Path
    locations: ColumnLocations
    window_days: int
    variables: tuple[VariableStudy, ...]
    boxes: dict[str, BoxComparison]
    budgets: BudgetComparison
    run_ranges: tuple[ranges.RangeCount, ...]
    truth_ranges: tuple[ranges.RangeCount, ...]

    @property
    def model(self) -> Model:
        return self.runs.model

    @property
    def times(self) -> Values:
        """(n_times,) labels of the file."""
        return self.runs.columns.times

    @property
    def leads_days(self) -> list[float]:
        """Leads asked for."""
        return [self.runs.days(lead) for lead in self.runs.leads]

    @property
    def n_starts(self) -> int:
        """Starts per column."""
        return len(self.runs.from_starts.starts)

    @property
    def years(self) -> float:
        """Length of the free run."""
        return float((self.times[-1] - self.times[0]) / np.timedelta64(1, "D")) / 365.25

    def labels_of(self, variable: VariableStudy) -> Values:
        """(n_steps,) times of a variable's values in the free run."""
        return self.times[self.runs.free.labels(variable.variable)]

    def variable(self, name: str) -> VariableStudy | None:
        """The variable of a name, None where the model has none."""
        return next((study for study in self.variables if study.name == name), None)


def curve_leads(model: Model, leads: Values) -> Values:
    """Leads in steps at which runs are kept: those asked for, and those of `CURVE_DAYS` that are whole steps."""
    steps = np.array(CURVE_DAYS) * SECONDS_PER_DAY / model.step_seconds
    whole = steps[(steps >= 1.0) & (np.abs(steps - np.round(steps)) < 1e-6)].round().astype(np.int64)
    return np.union1d(whole[whole <= leads[-1]], leads)


def variable_studies(runs: Runs, window_days: int) -> tuple[VariableStudy, ...]:
    """Scores of all variables, states, then diagnostics.

    Raises:
        InputError: a window of the climatology that is not odd or not in 1..365.
    """
    return tuple(_variable_study(runs, output, window_days) for output in range(runs.free.results.shape[-1]))


def _variable_study(runs: Runs, output: int, window_days: int) -> VariableStudy:
    truth = truth_of(runs.model, runs.columns, output, window_days)
    by_lead = {int(lead): lead_sample(truth, runs.from_starts, int(lead)) for lead in runs.from_starts.leads}
    free = free_run_sample(truth, runs.free)
    return VariableStudy(
        variable=truth.variable,
        is_state=output < len(runs.model.state),
        curve=tuple(lead_score(truth.variable, sample, runs.days(lead)) for lead, sample in by_lead.items()),
        leads=tuple((runs.days(int(lead)), by_lead[int(lead)]) for lead in runs.leads),
        free_run=free_run_score(truth, free, runs.free, runs.model.step_seconds),
        free=free,
        run=runs.free.results[..., output],
        truth=runs.columns.output(output)[runs.free.labels(truth.variable)],
    )


def make_study(runs: Runs, variables: tuple[VariableStudy, ...], path: Path, window_days: int) -> Study:
    """Compute what a report shows beside the variables' scores.

    Args:
        runs: on the columns of a file. variables: of `variable_studies`.
        path: the file, for locations, budgets and ranges.
        window_days: running mean of the climatologies.

    Raises:
        InputError: the file lacks locations, or is of other columns.
    """
    locations, model = read_locations(path), runs.model
    if len(locations.x) != runs.columns.n_columns:
        raise InputError(f"{path}: locations of {len(locations.x)} columns, expected those of {runs.columns.n_columns}")
    has_both_sides = locations.in_box.any() and not locations.in_box.all()
    truth = fields.read_truth(path, model.step_seconds)
    own = fields.of_run(model, runs.free, truth)
    return Study(
        runs=runs,
        file=path,
        locations=locations,
        window_days=window_days,
        variables=variables,
        boxes={one.name: BoxComparison.of(one.free, locations) for one in variables} if has_both_sides else {},
        budgets=budgets.compare(own, truth),
        run_ranges=tuple(ranges.count(own)),
        truth_ranges=tuple(ranges.count(truth)),
    )
