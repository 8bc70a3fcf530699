"""Everything that a report shows of a model on a file, computed variable by variable."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation import budgets, fields, ranges
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, Cost, FreeRun, LeadRuns, label_offset
from ailand_gt4py.evaluation.scores import groups, metrics
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.evaluation.scores.lead_time import (
    FreeRunScore,
    LeadScore,
    Truth,
    free_run_score,
    lead_scores,
    truth_of,
)
from ailand_gt4py.weights.model import Model, Variable

#: Further leads of the curves, days; those above the longest one asked for are left out.
CURVE_DAYS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 30.0, 45.0, 60.0, 75.0, 90.0)

#: Bins along each side of the density of truth and run.
DENSITY_BINS = 90

MONTHS = 12


@dataclasses.dataclass(frozen=True)
class VariableStudy:
    """One variable.

    Attributes:
        variable: of the model. is_state: or a diagnostic.
        curve: scores by lead, of `CURVE_DAYS` and the leads asked for.
        leads: (days, scores) at the leads asked for.
        free_run: against climatologies, by year, with ranges. free: all scores of the free run.
        groups: grouping -> class -> scores of the free run.
        in_box, elsewhere: of the free run in the held-out box and outside; None where one of them has no column.
        box_interval: of the ratio of their RMSE (`metrics.ratio_interval`); NaN where it cannot be had.
        box_ratio_alike: ratio of their RMSE as if both had the same shares of snow regimes (`metrics.alike_ratio`); NaN
            where it cannot be had.
        box_ratio_climatology: ratio of the RMSE of the climatology of other years: how much more there is to err in.
        column_rmse, column_bias, column_acc: (n_columns,) of the free run; ACC is NaN where there is none.
        months: (2, 12, n_columns) means by month of truth and free run, NaN for months that the file lacks.
        density: (bins, bins) numbers of pairs, truth along the first axis; edges: (bins + 1,) of both.
        spread: standard deviation of the truth over columns and labels.
    """

    variable: Variable
    is_state: bool
    curve: tuple[LeadScore, ...]
    leads: tuple[tuple[float, metrics.Summary], ...]
    free_run: FreeRunScore
    free: metrics.Summary
    groups: dict[str, dict[str, metrics.Summary]]
    in_box: metrics.Summary | None
    elsewhere: metrics.Summary | None
    box_interval: tuple[float, float]
    box_ratio_alike: float
    box_ratio_climatology: float
    column_rmse: np.ndarray
    column_bias: np.ndarray
    column_acc: np.ndarray
    months: np.ndarray
    density: np.ndarray
    edges: np.ndarray
    spread: float

    @property
    def box_ratio(self) -> float | None:
        """RMSE in the held-out box over RMSE elsewhere; None where one of them has no column, or errors are 0."""
        if self.in_box is None or self.elsewhere is None or self.elsewhere.rmse == 0.0:
            return None
        return self.in_box.rmse / self.elsewhere.rmse

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def units(self) -> str:
        return self.variable.units


@dataclasses.dataclass(frozen=True)
class BudgetRow:
    """Residual of one budget of one model over some columns and windows; score None where it cannot be closed."""

    budget: str
    whose: str
    where: str
    score: budgets.ResidualScore | None


@dataclasses.dataclass(frozen=True)
class Study:
    """A model on a file.

    Attributes:
        model: evaluated. file: that the truth is from. times: its labels. locations: of its columns.
        leads_days: asked for. n_starts: per column. window_days: of the climatology.
        variables: states, then diagnostics.
        residuals: of the emulator, by budget. truth_residuals: ecLand's, with the same storages
            left out (none where the emulator's budget cannot be closed).
        budget_rows: the residuals in numbers.
        run_ranges, truth_ranges: checks by name, of the emulator and of ecLand.
        free_cost, lead_cost: of the emulator.
    """

    model: Model
    file: Path
    times: np.ndarray
    locations: ColumnLocations
    leads_days: tuple[float, ...]
    n_starts: int
    window_days: int
    variables: tuple[VariableStudy, ...]
    residuals: dict[str, budgets.Residual]
    truth_residuals: dict[str, budgets.Residual]
    budget_rows: tuple[BudgetRow, ...]
    run_ranges: tuple[ranges.RangeCount, ...]
    truth_ranges: tuple[ranges.RangeCount, ...]
    free_cost: Cost
    lead_cost: Cost

    def variable(self, name: str) -> VariableStudy | None:
        """The variable of a name, None where the model has none."""
        return next((study for study in self.variables if study.name == name), None)


def curve_leads(model: Model, leads: np.ndarray) -> np.ndarray:
    """Leads in steps at which runs are kept: those asked for, and those of `CURVE_DAYS` that are whole steps."""
    steps = np.array(CURVE_DAYS) * SECONDS_PER_DAY / model.step_seconds
    whole = steps[(steps >= 1.0) & (np.abs(steps - np.round(steps)) < 1e-6)].round().astype(np.int64)
    found: np.ndarray = np.union1d(whole[whole <= leads[-1]], leads)
    return found


def make_study(
    model: Model,
    path: Path,
    columns: VerificationColumns,
    locations: ColumnLocations,
    leads: np.ndarray,
    runs: LeadRuns,
    free_run: FreeRun,
    window_days: int,
) -> Study:
    """Compute all that a report shows.

    Args:
        model, columns: with the same variables.
        path: file that the columns are from.
        locations: of the same columns.
        leads: steps asked for; ``runs`` has them and may have more.
        runs, free_run: of the model on the columns.
        window_days: running mean of the climatologies.

    Raises:
        InputError: the locations are of other columns.
    """
    if len(locations.x) != columns.n_columns:
        raise InputError(f"{path}: locations of {len(locations.x)} columns, expected those of {columns.n_columns}")
    n_outputs = len(model.state) + len(model.diagnostics)
    variables = tuple(
        _variable_study(
            model, truth_of(model, columns, output, window_days), columns.times, locations, leads, runs, free_run
        )
        for output in range(n_outputs)
    )
    truth = fields.read_truth(path, model.step_seconds)
    of_run = fields.of_run(model, free_run, truth)
    residuals = {"water": budgets.water_residual(of_run), "energy": budgets.energy_residual(of_run)}
    same = {
        # Where the emulator's cannot be closed there is nothing to compare with: ecLand's own is shown whole.
        budget: truth if residual.values is None else truth.without(residual.left_out)
        for budget, residual in residuals.items()
    }
    truth_residuals = {
        "water": budgets.water_residual(same["water"]),
        "energy": budgets.energy_residual(same["energy"]),
    }
    return Study(
        model=model,
        file=path,
        times=columns.times,
        locations=locations,
        leads_days=tuple(float(lead * model.step_seconds / SECONDS_PER_DAY) for lead in leads),
        n_starts=len(runs.starts),
        window_days=window_days,
        variables=variables,
        residuals=residuals,
        truth_residuals=truth_residuals,
        budget_rows=tuple(_budget_rows(truth, residuals, truth_residuals)),
        run_ranges=tuple(ranges.count(of_run)),
        truth_ranges=tuple(ranges.count(truth)),
        free_cost=free_run.cost,
        lead_cost=runs.cost,
    )


def _variable_study(
    model: Model,
    truth: Truth,
    times: np.ndarray,
    locations: ColumnLocations,
    leads: np.ndarray,
    runs: LeadRuns,
    free_run: FreeRun,
) -> VariableStudy:
    offset = label_offset(truth.variable)
    labels = np.arange(1, len(free_run.results) + 1) + offset
    run = free_run.results[..., truth.output].astype(np.float64)
    values, climatology = truth.values[labels], truth.other_years[labels]
    anomalies = run - climatology, values - climatology
    has_climatology = bool(np.isfinite(climatology).all())
    nothing = np.full(run.shape[1], np.nan)
    squares = np.square(run - values).mean(axis=0)
    usual_squares = np.square(values - climatology).mean(axis=0)
    inside, regimes = locations.in_box, locations.grouping(groups.SNOW_REGIME)
    both_sides = bool(inside.any() and not inside.all())
    density, edges = _density(values, run)
    return VariableStudy(
        variable=truth.variable,
        is_state=truth.output < len(model.state),
        curve=tuple(lead_scores(truth, runs, runs.leads, model.step_seconds)),
        leads=tuple(
            (float(lead * model.step_seconds / SECONDS_PER_DAY), _lead_summary(truth, runs, int(lead), offset))
            for lead in leads
        ),
        free_run=free_run_score(truth, free_run, model.step_seconds),
        free=metrics.summary(run, values, climatology),
        groups={
            grouping.name: {
                name: _of_columns(grouping.members(name), run, values, climatology) for name in grouping.classes
            }
            for grouping in locations.groupings
        },
        in_box=_of_columns(inside, run, values, climatology) if both_sides else None,
        elsewhere=_of_columns(~inside, run, values, climatology) if both_sides else None,
        box_interval=metrics.ratio_interval(squares[inside], squares[~inside]),
        box_ratio_alike=math.nan if regimes is None else metrics.alike_ratio(squares, inside, regimes.labels),
        box_ratio_climatology=metrics.rmse_ratio(usual_squares[inside], usual_squares[~inside]),
        column_rmse=np.sqrt(squares),
        column_bias=(run - values).mean(axis=0),
        column_acc=metrics.acc_by_column(*anomalies) if has_climatology else nothing,
        months=np.stack([monthly_means(field, times[labels]) for field in (values, run)]),
        density=density,
        edges=edges,
        spread=float(values.std()),
    )


def _of_columns(chosen: np.ndarray, *values: np.ndarray) -> metrics.Summary:
    run, truth, climatology = (field[:, chosen] for field in values)
    return metrics.summary(run, truth, climatology)


def _lead_summary(truth: Truth, runs: LeadRuns, lead: int, offset: int) -> metrics.Summary:
    verified = runs.starts + lead + offset
    return metrics.summary(runs.of(lead, truth.output), truth.values[verified], truth.other_years[verified])


def monthly_means(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Means by calendar month of (n_times, n_columns): (12, n_columns), NaN for months without a time."""
    months = np.asarray(times, dtype="datetime64[M]").astype(np.int64) % MONTHS
    result = np.full((MONTHS, values.shape[1]), np.nan)
    for month in np.unique(months):
        result[month] = values[months == month].mean(axis=0)
    return result


def _density(truth: np.ndarray, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # A handful of extremes must not push all else into one corner.
    low, high = np.quantile(np.concatenate([truth.ravel(), run.ravel()]), (0.0002, 0.9998))
    edges = np.linspace(low, high if high > low else low + 1.0, DENSITY_BINS + 1)
    counts, _, _ = np.histogram2d(truth.ravel(), run.ravel(), bins=(edges, edges))
    return counts, edges


def _budget_rows(
    truth: fields.Fields, residuals: dict[str, budgets.Residual], truth_residuals: dict[str, budgets.Residual]
) -> list[BudgetRow]:
    complete = {"water": budgets.water_residual(truth), "energy": budgets.energy_residual(truth)}
    land, snowy = budgets.land_only(truth), budgets.is_snowy(truth)
    rows = []
    for budget, residual in residuals.items():
        candidates: Sequence[tuple[str, budgets.Residual]] = [("emulator", residual), ("ecLand", complete[budget])]
        if residual.left_out and residual.values is not None:
            candidates = [*candidates, ("ecLand, same storages", truth_residuals[budget])]
        for whose, of_whom in candidates:
            if of_whom.values is None:
                rows.append(BudgetRow(budget, whose, "all columns", None))
                continue
            on_land = np.broadcast_to(land, of_whom.values.shape)
            subsets = {"all columns": np.ones_like(on_land), "no lake, no town": on_land}
            if snowy is not None:
                subsets |= {"no lake, no town, no snow": on_land & ~snowy, "no lake, no town, snow": on_land & snowy}
            for where, chosen in subsets.items():
                found = budgets.score(of_whom.values, truth.step_seconds, budget == "water", chosen)
                rows.append(BudgetRow(budget, whose, where, found))
    return rows
