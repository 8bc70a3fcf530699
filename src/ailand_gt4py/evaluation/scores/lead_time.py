"""Skill by lead time, and of one free run through the whole period, against persistence and day-of-year climatology.

`ailand_gt4py.evaluation.runs` says which label a result is compared with.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, FreeRun, LeadRuns, label_offset, run_free
from ailand_gt4py.evaluation.scores.climatology import day_of_year_climatology, other_years_climatology
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample, rmse
from ailand_gt4py.weights.model import Model, Variable


@dataclasses.dataclass(frozen=True)
class LeadScore:
    """Scores of one variable at one lead, in the variable's units, over all columns and starts.

    Attributes:
        rmse, bias: of the model; bias is model minus truth.
        persistence: RMSE of the value at the start.
        climatology: RMSE of the day-of-year mean over all years of the file, the verified one included.
        climatology_other_years: the same without the verified year; NaN where the file has one year only.
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
        """Whether the model beats the baselines.

        ``yes``: it is below persistence and the climatology of all years, which knows the verified year; ``other
        years``: below persistence and only the climatology that does not know it; ``no``.
        """
        if self.rmse < min(self.persistence, self.climatology):
            return "yes"
        # A comparison with NaN, where there are no other years, is false.
        return "other years" if self.rmse < self.persistence and self.rmse < self.climatology_other_years else "no"


@dataclasses.dataclass(frozen=True)
class FreeRunScore:
    """One variable in the free run through the whole period.

    Attributes:
        rmse, bias, climatology, climatology_other_years: as in `LeadScore`, over all times and columns.
        rmse_by_year: of each successive 365 days (the last one longer): a run that drifts gets worse.
        lowest, highest: reached by the model; truth_lowest, truth_highest: by the truth.
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
class Truth:
    """What a variable's results are compared with.

    Attributes:
        variable: whose values these are. output: its position among states and diagnostics.
        values: (n_times, n_columns) float64 by label.
        all_years, other_years: (n_times, n_columns) day-of-year climatologies with a daily cycle: of all years, and of
            all but the label's own (NaN where the file has one year).
    """

    variable: Variable
    output: int
    values: Values
    all_years: Values
    other_years: Values


def truth_of(model: Model, columns: VerificationColumns, output: int, window_days: int) -> Truth:
    """The truth of a state or diagnostic with its climatologies.

    Args:
        model, columns: with the same variables.
        output: position among states and diagnostics.
        window_days: running mean of the climatologies.

    Raises:
        InputError: a window that is not odd or not in 1..365.
    """
    values = columns.output(output).astype(np.float64)
    all_years = day_of_year_climatology(values, columns.times, window_days, by_time_of_day=True)
    other_years = other_years_climatology(values, columns.times, window_days)
    return Truth((*model.state, *model.diagnostics)[output], output, values, all_years, other_years)


def lead_sample(truth: Truth, runs: LeadRuns, lead: int) -> Sample:
    """One variable after so many steps from all starts."""
    first = runs.starts + label_offset(truth.variable)
    verified = first + lead
    return Sample.of(
        runs.of(lead, truth.output),
        truth.values[verified],
        truth.other_years[verified],
        persistence=truth.values[first],
        climatology=truth.all_years[verified],
        climatology_other_years=truth.other_years[verified],
    )


def lead_score(variable: Variable, sample: Sample, lead_days: float) -> LeadScore:
    """Scores of one variable at one lead."""
    persistence = sample.baseline("persistence")
    return LeadScore(variable.name, variable.units, lead_days, **_skill(sample), persistence=persistence)


def free_run_sample(truth: Truth, run: FreeRun) -> Sample:
    """One variable in the free run."""
    labels = run.labels(truth.variable)
    return Sample.of(
        run.results[..., truth.output].astype(np.float64),
        truth.values[labels],
        truth.other_years[labels],
        climatology=truth.all_years[labels],
        climatology_other_years=truth.other_years[labels],
    )


def free_run_score(truth: Truth, sample: Sample, run: FreeRun, step_seconds: float) -> FreeRunScore:
    """Scores of one variable in the free run."""
    per_year = round(365 * SECONDS_PER_DAY / step_seconds)
    years = np.arange(1, max(1, len(run.results) // per_year)) * per_year
    values = run.results[..., truth.output].astype(np.float64)
    error = values - truth.values[run.labels(truth.variable)]
    return FreeRunScore(
        variable=truth.variable.name,
        units=truth.variable.units,
        **_skill(sample),
        rmse_by_year=tuple(float(rmse(part)) for part in np.split(error, years)),
        lowest=float(values.min()),
        highest=float(values.max()),
        truth_lowest=float(truth.values.min()),
        truth_highest=float(truth.values.max()),
    )


def _skill(sample: Sample) -> dict[str, float]:
    baselines = {name: sample.baseline(name) for name in ("climatology", "climatology_other_years")}
    return {name: SCORES[name].of(sample) for name in ("rmse", "bias")} | baselines


def free_run_scores(
    model: Model,
    columns: VerificationColumns,
    window_days: int = 31,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
) -> list[FreeRunScore]:
    """Scores of one run of all columns from the first label to the last, never corrected; states, then diagnostics."""
    run = run_free(model, columns, backend, precision)
    truths = (truth_of(model, columns, output, window_days) for output in range(run.results.shape[-1]))
    return [free_run_score(truth, free_run_sample(truth, run), run, model.step_seconds) for truth in truths]
