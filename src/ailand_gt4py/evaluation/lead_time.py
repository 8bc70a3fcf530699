"""Skill by lead time, and one free run through the whole period, against persistence and day-of-year climatology.

Which label a forecast is compared with. A run from label s makes its k-th step over the window [s + k - 1, s + k),
labels counted in steps. At a lead of k steps

* the state and a diagnostic "window end" are compared with label s + k,
* a diagnostic "window mean" with label s + k - 1, where files keep the mean over that window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.emulator import Emulator, Precision
from ailand_gt4py.errors import InputError
from ailand_gt4py.evaluation import baselines
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.weights.model import Model, Variable

SECONDS_PER_DAY = 86_400.0


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


def label_offset(variable: Variable) -> int:
    """Labels between the end of a window and the label that its value is stored with: 0 or -1 (see the module)."""
    return -1 if variable.time_meaning == "window mean" else 0


def start_labels(n_times: int, longest: int, count: int) -> np.ndarray:
    """Labels of the starts, evenly spread and shifted through the times of day.

    The first label is left out: persistence of a "window mean" needs the window before.

    Raises:
        InputError: the period is shorter than the longest lead.
    """
    last = n_times - 1 - longest
    if last < 1:
        raise InputError(
            f"the file has {n_times} times, expected at least {longest + 2} for leads up to {longest} steps"
        )
    return np.unique(np.linspace(1, last, count).round().astype(np.int64))


def lead_steps(model: Model, leads_days: Sequence[float]) -> np.ndarray:
    """Leads in steps.

    Raises:
        InputError: no leads, or one that is no positive multiple of the model's step.
    """
    steps = np.array(leads_days, dtype=np.float64) * SECONDS_PER_DAY / model.step_seconds
    wrong = [lead for lead, step in zip(leads_days, steps, strict=True) if step < 1.0 or abs(step - round(step)) > 1e-6]
    if wrong or not len(steps):
        raise InputError(
            f"lead {wrong[0] if wrong else '(none)'} days: expected positive multiples of the model's step of "
            f"{model.step_seconds:g} s"
        )
    return np.unique(steps.round().astype(np.int64))


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
    starts = start_labels(columns.n_times, int(leads[-1]), n_starts)
    emulator = Emulator(model, columns.n_columns * starts.size, backend=backend, precision=precision)
    static = np.tile(columns.static, (starts.size, 1))

    def forcing(step: int) -> np.ndarray:
        return columns.forcing[starts + step].reshape(len(static), -1)

    kept: dict[int, np.ndarray] = {}

    def keep(step: int, state: np.ndarray, diagnostics: np.ndarray) -> None:
        if step + 1 in leads:
            both = np.concatenate([state, diagnostics], axis=1)
            kept[step + 1] = both.reshape(starts.size, columns.n_columns, -1).astype(np.float64)

    _run(emulator, static, forcing, columns.state[starts].reshape(len(static), -1), int(leads[-1]), keep)
    truth = np.concatenate([columns.state, columns.diagnostics], axis=2)
    scores = []
    for index, variable in enumerate((*model.state, *model.diagnostics)):
        values = truth[..., index].astype(np.float64)
        all_years, other_years = _climatologies(values, columns.times, window_days)
        offset = label_offset(variable)
        for lead in leads:
            verified = starts + lead + offset
            error = kept[int(lead)][..., index] - values[verified]
            scores.append(
                LeadScore(
                    variable=variable.name,
                    units=variable.units,
                    lead_days=float(lead * model.step_seconds / SECONDS_PER_DAY),
                    rmse=float(baselines.rmse(error)),
                    bias=float(error.mean()),
                    persistence=float(baselines.rmse(values[starts + offset] - values[verified])),
                    climatology=float(baselines.rmse((all_years - values)[verified])),
                    climatology_other_years=float(baselines.rmse((other_years - values)[verified])),
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
    n_steps = columns.n_times - 1
    emulator = Emulator(model, columns.n_columns, backend=backend, precision=precision)
    n_outputs = len(model.state) + len(model.diagnostics)
    outputs = np.empty((n_steps, columns.n_columns, n_outputs), dtype=columns.state.dtype)

    def keep(step: int, state: np.ndarray, diagnostics: np.ndarray) -> None:
        outputs[step, :, : len(model.state)] = state
        outputs[step, :, len(model.state) :] = diagnostics

    _run(emulator, columns.static, lambda step: columns.forcing[step], columns.state[0], n_steps, keep)
    truth = np.concatenate([columns.state, columns.diagnostics], axis=2)
    per_year = round(365 * SECONDS_PER_DAY / model.step_seconds)
    years = np.arange(1, max(1, n_steps // per_year)) * per_year
    scores = []
    for index, variable in enumerate((*model.state, *model.diagnostics)):
        values = truth[..., index].astype(np.float64)
        labels = np.arange(1, columns.n_times) + label_offset(variable)
        all_years, other_years = _climatologies(values, columns.times, window_days)
        model_values = outputs[..., index].astype(np.float64)
        error = model_values - values[labels]
        scores.append(
            FreeRunScore(
                variable=variable.name,
                units=variable.units,
                rmse=float(baselines.rmse(error)),
                bias=float(error.mean()),
                climatology=float(baselines.rmse((all_years - values)[labels])),
                climatology_other_years=float(baselines.rmse((other_years - values)[labels])),
                rmse_by_year=tuple(float(baselines.rmse(part)) for part in np.split(error, years)),
                lowest=float(model_values.min()),
                highest=float(model_values.max()),
                truth_lowest=float(values.min()),
                truth_highest=float(values.max()),
            )
        )
    return scores


def _run(
    emulator: Emulator,
    static: np.ndarray,
    forcing: Callable[[int], np.ndarray],
    state: np.ndarray,
    n_steps: int,
    keep: Callable[[int, np.ndarray, np.ndarray], None],
) -> None:
    """Step on, handing every result to ``keep(step, new state, diagnostics)``; it must copy what it keeps.

    Results go into two pairs of buffers in turn, since a result may not be written over the state it is made from.
    """
    buffers = [
        (emulator.allocate(len(emulator.model.state)), emulator.allocate(len(emulator.model.diagnostics)))
        for _ in range(2)
    ]
    prepared = emulator.prepare_static(static)
    for step in range(n_steps):
        state, diagnostics = emulator.step(prepared, forcing(step), state, out=buffers[step % 2])
        keep(step, state, diagnostics)


def _climatologies(values: np.ndarray, times: np.ndarray, window_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Of all years and of the other years (NaN with one year only), each with a daily cycle."""
    all_years = baselines.day_of_year_climatology(values, times, window_days, by_time_of_day=True)
    if np.unique(baselines.calendar_year(times)).size < baselines.MINIMUM_YEARS:
        return all_years, np.full_like(all_years, np.nan)
    return all_years, baselines.day_of_year_climatology(values, times, window_days, True, True)
