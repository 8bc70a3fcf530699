"""Skill by lead time, and of one free run through the whole period, against persistence and day-of-year climatology.

`ailand_gt4py.evaluation.runs` says which label a result is compared with.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import LeadRuns, Runs, label_offset, run_free
from ailand_gt4py.evaluation.scores.climatology import day_of_year_climatology, other_years_climatology
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample, rmse
from ailand_gt4py.weights.model import Model, Variable


@dataclasses.dataclass(frozen=True)
class LeadScore:
    """RMSE and bias (model minus truth) of one variable at one lead over all columns and starts, and RMSE of baselines.

    These are the value at the start, and the day-of-year mean of all years and of those but the verified one, or NaN.
    """

    variable: str
    units: str
    lead_days: float
    rmse: float
    bias: float
    persistence: float
    climatology: float
    climatology_other_years: float

    @property
    def verdict(self) -> str:
        """What the model beats beside persistence: all climatologies, only that without the verified year, or none."""
        if self.rmse < min(self.persistence, self.climatology):
            return "yes"
        # A comparison with NaN, where there are no other years, is false.
        return "other years" if self.rmse < self.persistence and self.rmse < self.climatology_other_years else "no"


@dataclasses.dataclass(frozen=True)
class FreeRunScore:
    """As `LeadScore`, in the free run through the whole period, and extremes.

    By year, successive 365 days, of which the last may be longer: a run that drifts gets worse.
    """

    variable: str
    units: str
    rmse: float
    bias: float
    climatology: float
    climatology_other_years: float
    rmse_by_year: tuple[float, ...]
    lowest: float
    highest: float
    truth_lowest: float
    truth_highest: float


@dataclasses.dataclass(frozen=True)
class VariableStudy:
    """Scores of one variable: the curve of all leads, (days, sample) of those asked for, and a sample of the free run.

    Run and truth of that are (n_steps, n_columns), at the same labels.
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
    def asked(self) -> list[LeadScore]:
        """Scores at the leads asked for."""
        days = {days for days, _ in self.leads}
        return [score for score in self.curve if score.lead_days in days]

    def by_column(self, name: str) -> Values:
        """(n_columns,) a score of the free run, NaN where a column has none."""
        return SCORES[name].formula(self.free)


def variable_studies(runs: Runs, window_days: int) -> tuple[VariableStudy, ...]:
    """Scores of what has a truth, states, then diagnostics; climatologies are running means over so many days."""
    targets = (*runs.model.state, *runs.model.diagnostics)
    scored = [k for k, variable in enumerate(targets) if variable.name not in runs.columns.absent]
    return tuple(_variable_study(runs, output, window_days) for output in scored)


def _variable_study(runs: Runs, output: int, window_days: int) -> VariableStudy:
    model, times, starts, free = runs.model, runs.columns.times, runs.from_starts, runs.free
    variable = (*model.state, *model.diagnostics)[output]
    truth = runs.columns.output(output).astype(np.float64)
    calendar = runs.columns.calendar
    all_years = day_of_year_climatology(truth, times, window_days, by_time_of_day=True, calendar=calendar)
    other_years = other_years_climatology(truth, times, window_days, calendar)

    def sample(results: Values, labels: Values, **persistence: Values) -> Sample:
        usual = {"climatology": all_years[labels], "climatology_other_years": other_years[labels]}
        return Sample.of(results, truth[labels], other_years[labels], **persistence, **usual)

    first = starts.starts + label_offset(variable)
    samples = {
        runs.days(lead): sample(results[..., output].astype(np.float64), first + lead, persistence=truth[first])
        for lead, results in zip(starts.leads, starts.results, strict=True)
    }
    labels, run = free.labels(variable), free.results[..., output].astype(np.float64)
    of_run, per_year = sample(run, labels), round(365 * SECONDS_PER_DAY / model.step_seconds)
    years = np.split(run - truth[labels], np.arange(1, max(1, len(run) // per_year)) * per_year)
    extremes = {"lowest": run.min(), "highest": run.max(), "truth_lowest": truth.min(), "truth_highest": truth.max()}
    return VariableStudy(
        variable=variable,
        is_state=output < len(model.state),
        curve=tuple(
            LeadScore(variable.name, variable.units, days, **_skill(one, "persistence"))
            for days, one in samples.items()
        ),
        leads=tuple((days, samples[days]) for days in map(runs.days, runs.leads)),
        free_run=FreeRunScore(
            variable=variable.name,
            units=variable.units,
            **_skill(of_run),
            rmse_by_year=tuple(float(rmse(error)) for error in years),
            **{name: float(value) for name, value in extremes.items()},
        ),
        free=of_run,
        run=free.results[..., output],
        truth=runs.columns.output(output)[labels],
    )


def _skill(sample: Sample, *more: str) -> dict[str, float]:
    baselines = {name: sample.baseline(name) for name in ("climatology", "climatology_other_years", *more)}
    return {name: SCORES[name].of(sample) for name in ("rmse", "bias")} | baselines


def free_run_scores(
    model: Model,
    columns: VerificationColumns,
    window_days: int = 31,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
) -> list[FreeRunScore]:
    """Scores of one run of all columns from the first label to the last, never corrected; states, then diagnostics."""
    free, none = run_free(model, columns, backend, precision), np.arange(0)
    runs = Runs(model, columns, none, LeadRuns(none, none, free.results[:0], free.cost), free)
    return [variable.free_run for variable in variable_studies(runs, window_days)]
