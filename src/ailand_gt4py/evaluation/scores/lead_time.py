"""Skill by lead time, and one free run through the whole period, against persistence and day-of-year climatology.

`ailand_gt4py.evaluation.runs` says which label a result is compared with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import (
    SECONDS_PER_DAY,
    FreeRun,
    LeadRuns,
    label_offset,
    lead_steps,
    run_free,
    run_from_starts,
    start_labels,
)
from ailand_gt4py.evaluation.scores import baselines
from ailand_gt4py.weights.model import Model, Variable

__all__ = [
    "FreeRunScore",
    "LeadScore",
    "Truth",
    "free_run_score",
    "free_run_scores",
    "label_offset",
    "lead_scores",
    "lead_steps",
    "lead_time_scores",
    "start_labels",
    "truth_of",
]


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
    values: np.ndarray
    all_years: np.ndarray
    other_years: np.ndarray


def truth_of(model: Model, columns: VerificationColumns, output: int, window_days: int) -> Truth:
    """The truth of a state or diagnostic with its climatologies.

    Args:
        model, columns: with the same variables.
        output: position among states and diagnostics.
        window_days: running mean of the climatologies.

    Raises:
        InputError: a window that is not odd or not in 1..365.
    """
    n_state = len(model.state)
    source = columns.state if output < n_state else columns.diagnostics
    values = source[..., output if output < n_state else output - n_state].astype(np.float64)
    all_years, other_years = _climatologies(values, columns.times, window_days)
    return Truth((*model.state, *model.diagnostics)[output], output, values, all_years, other_years)


def lead_time_scores(
    model: Model,
    columns: VerificationColumns,
    leads_days: Sequence[float] = (1, 7, 30, 60, 90),
    n_starts: int = 24,
    window_days: int = 31,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
) -> list[LeadScore]:
    """Run all columns from many starts at once and score them.

    Args:
        model, columns: with the same variables.
        leads_days: multiples of the model's step.
        n_starts: number of starts, spread over the period.
        window_days: running mean of the climatologies.
        backend, precision: of the emulator.

    Returns:
        one entry per variable (state, then diagnostics) and lead.

    Raises:
        InputError: leads or period do not fit.
    """
    leads = lead_steps(model, leads_days)
    runs = run_from_starts(model, columns, leads, n_starts, backend, precision)
    n_outputs = len(model.state) + len(model.diagnostics)
    truths = (truth_of(model, columns, output, window_days) for output in range(n_outputs))
    return [score for truth in truths for score in lead_scores(truth, runs, leads, model.step_seconds)]


def lead_scores(truth: Truth, runs: LeadRuns, leads: np.ndarray, step_seconds: float) -> list[LeadScore]:
    """Scores of one variable at some of the leads (in steps) that were kept."""
    offset, scores = label_offset(truth.variable), []
    for lead in leads:
        verified = runs.starts + int(lead) + offset
        error = runs.of(int(lead), truth.output) - truth.values[verified]
        held = truth.values[runs.starts + offset]
        scores.append(
            LeadScore(
                variable=truth.variable.name,
                units=truth.variable.units,
                lead_days=float(lead * step_seconds / SECONDS_PER_DAY),
                rmse=float(baselines.rmse(error)),
                bias=float(error.mean()),
                persistence=float(baselines.rmse(held - truth.values[verified])),
                climatology=float(baselines.rmse((truth.all_years - truth.values)[verified])),
                climatology_other_years=float(baselines.rmse((truth.other_years - truth.values)[verified])),
            )
        )
    return scores


def free_run_scores(
    model: Model,
    columns: VerificationColumns,
    window_days: int = 31,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
) -> list[FreeRunScore]:
    """One run of all columns from the first label to the last, never corrected; states, then diagnostics."""
    run = run_free(model, columns, backend, precision)
    n_outputs = len(model.state) + len(model.diagnostics)
    truths = (truth_of(model, columns, output, window_days) for output in range(n_outputs))
    return [free_run_score(truth, run, model.step_seconds) for truth in truths]


def free_run_score(truth: Truth, run: FreeRun, step_seconds: float) -> FreeRunScore:
    """Scores of one variable in the free run."""
    n_steps = len(run.results)
    per_year = round(365 * SECONDS_PER_DAY / step_seconds)
    years = np.arange(1, max(1, n_steps // per_year)) * per_year
    labels = np.arange(1, n_steps + 1) + label_offset(truth.variable)
    values = run.results[..., truth.output].astype(np.float64)
    error = values - truth.values[labels]
    return FreeRunScore(
        variable=truth.variable.name,
        units=truth.variable.units,
        rmse=float(baselines.rmse(error)),
        bias=float(error.mean()),
        climatology=float(baselines.rmse((truth.all_years - truth.values)[labels])),
        climatology_other_years=float(baselines.rmse((truth.other_years - truth.values)[labels])),
        rmse_by_year=tuple(float(baselines.rmse(part)) for part in np.split(error, years)),
        lowest=float(values.min()),
        highest=float(values.max()),
        truth_lowest=float(truth.values.min()),
        truth_highest=float(truth.values.max()),
    )


def _climatologies(values: np.ndarray, times: np.ndarray, window_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Of all years and of the other years (NaN with one year only), each with a daily cycle."""
    all_years = baselines.day_of_year_climatology(values, times, window_days, by_time_of_day=True)
    if np.unique(baselines.calendar_year(times)).size < baselines.MINIMUM_YEARS:
        return all_years, np.full_like(all_years, np.nan)
    return all_years, baselines.day_of_year_climatology(values, times, window_days, True, True)
