"""Figures along time: a column's course, errors by lead time, seasonal cycles by climate, residuals of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation import budgets, literature
from ailand_gt4py.evaluation.figures import style as figure_style
from ailand_gt4py.evaluation.figures.series import draw_columns
from ailand_gt4py.evaluation.figures.style import location_text, nearest_column
from ailand_gt4py.evaluation.study import Study, VariableStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MONTHS = 12

#: Days of the figure that shows single windows.
CLOSE_UP_DAYS = 14

#: Variables of the seasonal cycles, those of them that there are.
SEASONAL = ("swvl1", "swvl3", "stl1", "snowc", "sshf", "slhf", "e", "sro", "skt", "t2m")
MOST_SEASONAL = 7

_MONTH_LETTERS = "JFMAMJJASOND"


def choose_column(study: Study, at: tuple[float, float] | None) -> int:
    """The column of the time series: the one nearest to a location, or the most typical one.

    Most ordinary: the median over variables of the RMSE, each against the median of all columns, is nearest to 1.
    """
    if at is not None:
        return nearest_column(study.locations.latitude, study.locations.longitude, at)
    errors = np.stack([variable.by_column("rmse") for variable in study.variables])
    usual = np.median(errors, axis=1, keepdims=True)
    # A variable that does not err in most columns (snow) says nothing about how ordinary one is.
    ratios = (errors / np.where(usual > 0.0, usual, np.nan))[usual[:, 0] > 0.0]
    if not len(ratios):
        return 0
    return int(np.argmin(np.abs(np.log(np.maximum(np.median(ratios, axis=0), 1e-12)))))


def column_series(study: Study, column: int) -> tuple[dict[str, Values], dict[str, Values]]:
    """Emulator and truth of a column by label: name -> (n_times,) each, NaN at labels that the run does not reach."""
    columns, run = study.runs.columns, study.runs.free
    series, truth = {}, {}
    for output, one in enumerate(study.variables):
        truth[one.name] = columns.output(output)[:, column].astype(np.float64)
        values = np.full(columns.n_times, np.nan)
        values[run.labels(one.variable)] = one.run[:, column]
        if one.is_state:
            values[0] = truth[one.name][0]
        series[one.name] = values
    return series, truth


def series_figure(study: Study, column: int) -> Figure:
    """A column through the whole period, in daily means where it is long."""
    return _series(study, column, slice(None), "ecLand and emulator at ")


def close_up_figure(study: Study, column: int) -> Figure | None:
    """Two weeks of a column window by window; None for a short file."""
    part = close_up(study.times, float(study.locations.latitude[column]), study.model.step_seconds)
    return None if part is None else _series(study, column, part, "Two weeks at ")


def _series(study: Study, column: int, part: slice, title: str) -> Figure:
    series, truth = ({name: values[part] for name, values in one.items()} for one in column_series(study, column))
    variables = [one.variable for one in study.variables]
    return draw_columns(variables, study.times[part], series, truth, title + describe(study, column))


def close_up(times: Values, latitude: float, step_seconds: float) -> slice | None:
    """Two weeks in the last summer (January in the south) of the labels; None for a file of less than a month."""
    steps = round(CLOSE_UP_DAYS * 86_400.0 / step_seconds)
    if len(times) < 2 * steps:
        return None
    wanted = 6 if latitude >= 0.0 else 0
    in_month = np.flatnonzero(np.asarray(times, dtype="datetime64[M]").astype(np.int64) % MONTHS == wanted)
    first = int(in_month[in_month <= len(times) - steps][-1]) if (in_month <= len(times) - steps).any() else len(times)
    # The last such label may be the month's end: two weeks from there on would be in August.
    first = min(max(0, first - steps), len(times) - steps)
    return slice(first, first + steps)


def describe(study: Study, column: int) -> str:
    """Where a column is, and its climate where that is known."""
    locations = study.locations
    text = location_text(float(locations.latitude[column]), float(locations.longitude[column]))
    climate = locations.grouping("climate")
    return text if climate is None else f"{text}, {climate.labels[column]}"


def lead_figure(study: Study) -> Figure:
    """RMSE by lead time of all variables, with what a forecast must beat."""
    with figure_style.styled():
        figure, panels = figure_style.grid(len(study.variables), 4, 1.95, sharex=True)
        for panel, variable in zip(panels, study.variables, strict=True):
            _draw_leads(panel, variable)
        for panel in panels[max(0, len(panels) - 4) :]:
            panel.set_xlabel("lead time (days)")
            panel.tick_params(labelbottom=True)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _draw_leads(panel: Axes, variable: VariableStudy) -> None:
    days = np.array([score.lead_days for score in variable.curve])

    def curve(attribute: str) -> Values:
        return np.array([getattr(score, attribute) for score in variable.curve])

    draw = panel.plot
    draw(days, curve("persistence"), color=figure_style.PERSISTENCE_COLOUR, lw=1.0, label="persistence")
    green = figure_style.CLIMATOLOGY_COLOUR
    draw(days, curve("climatology"), color=green, lw=1.0, ls="--", label="climatology, all years")
    draw(days, curve("climatology_other_years"), color=green, lw=1.0, ls=":", label="climatology, other years")
    colour = figure_style.colour_of(variable.is_state)
    draw(days, curve("rmse"), color=colour, lw=1.8, marker="o", ms=2.6, label="emulator (states red, diagnostics blue)")
    published = literature.AILAND_V1_RMSE.get(variable.name)
    if published is not None and variable.units == literature.UNITS[variable.name]:
        purple = figure_style.PUBLISHED_COLOUR
        draw([1.0, 90.0], published[:2], "D", color=purple, ms=4.5, mfc="white", mew=1.1, label="aiLand v1, published")
    panel.set_xscale("log")
    panel.set_ylim(bottom=0.0)
    ticks = [day for day in (0.25, 1.0, 7.0, 30.0, 90.0) if days[0] <= day <= days[-1]]
    panel.set_xticks(ticks, [f"{day:g}" for day in ticks])
    panel.minorticks_off()
    panel.grid(lw=0.3, color="0.88")
    panel.set_title(variable.name, loc="left", fontweight="bold")
    panel.set_ylabel(figure_style.with_units("RMSE", variable.units))


def monthly_means(values: Values, times: Values) -> Values:
    """Means by calendar month of (n_times, n_columns): (12, n_columns), NaN for months without a time."""
    months = np.asarray(times, dtype="datetime64[M]").astype(np.int64) % MONTHS
    result = np.full((MONTHS, values.shape[1]), np.nan)
    for month in np.unique(months):
        result[month] = values[months == month].mean(axis=0, dtype=np.float64)
    return result


def season_figure(study: Study) -> Figure | None:
    """Mean seasonal cycles by climate; None where the file has no climates."""
    grouping = study.locations.grouping("climate")
    shown = [variable for variable in (study.variable(name) for name in SEASONAL) if variable is not None]
    shown = shown[:MOST_SEASONAL]
    if grouping is None or not shown:
        return None
    climates = grouping.classes
    with figure_style.styled():
        total = 0.92 * len(climates) + 0.9
        figure = figure_style.new_figure(figure_style.WIDTH, total, layout=None)
        panels = figure.subplots(len(climates), len(shown), squeeze=False, sharex=True, sharey="col")
        figure.subplots_adjust(0.17, 0.6 / total, 0.99, 1.0 - 0.3 / total, wspace=0.42, hspace=0.22)
        months = np.arange(1, MONTHS + 1)
        means = {
            one.name: [monthly_means(field, study.labels_of(one)) for field in (one.truth, one.run)] for one in shown
        }
        for row, climate in enumerate(climates):
            chosen = grouping.members(climate)
            for position, variable in enumerate(shown):
                panel = panels[row, position]
                truth, run = (field[:, chosen].mean(axis=1) for field in means[variable.name])
                panel.plot(months, truth, color=figure_style.TRUTH_COLOUR, lw=2.0, label="ecLand")
                panel.plot(months, run, color=figure_style.colour_of(variable.is_state), lw=1.1, label="emulator")
                panel.grid(lw=0.3, color="0.9")
                panel.set_xticks(months[::3], _MONTH_LETTERS[::3])
                panel.tick_params(labelsize=6.5, length=2, pad=1.5)
                if row == 0:
                    panel.set_title(figure_style.with_units(variable.name, variable.units), fontweight="bold")
            panels[row, 0].set_ylabel(
                f"{climate}\n{int(chosen.sum())} col.", rotation=0, ha="right", va="center", fontsize=7.0, labelpad=8
            )
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower center", ncols=2)
    return figure


def budget_figure(study: Study) -> Figure | None:
    """Distributions of the residuals of both budgets; None where not even ecLand's can be had."""
    shown = [name for name, residual in study.budgets.truth.items() if residual.values is not None]
    if not shown:
        return None
    with figure_style.styled():
        figure, panels = figure_style.grid(len(shown), 2, 2.7)
        for panel, name in zip(panels, shown, strict=True):
            _draw_residuals(panel, study.budgets.run[name], study.budgets.truth[name])
    return figure


def _draw_residuals(panel: Axes, run: budgets.Residual, truth: budgets.Residual) -> None:
    both: Sequence[tuple[str, str, Values | None]] = (
        ("ecLand", figure_style.TRUTH_COLOUR, truth.values),
        ("emulator", figure_style.colour_of(is_state=True), run.values),
    )
    known = [np.abs(values).ravel() for _, _, values in both if values is not None]
    bound = max(float(np.quantile(values, 0.9995)) for values in known) or 1.0
    edges = np.linspace(-bound, bound, 82)
    for label, colour, values in both:
        if values is None:
            continue
        share = np.histogram(values, edges)[0] / values.size
        panel.stairs(share, edges, color=colour, lw=1.3, label=label, fill=label == "ecLand", alpha=0.55)
    if run.values is None:
        text = f"emulator lacks {', '.join(run.missing)}"
        panel.set_title(text, loc="right", fontsize=7.5, color="0.35")
    panel.set_yscale("log")
    panel.set_title(f"{run.budget} budget", loc="left", fontweight="bold")
    panel.set_xlabel(figure_style.with_units("residual in a window", run.units))
    panel.set_ylabel("share of windows")
    panel.legend(loc="upper right")
    panel.grid(lw=0.3, color="0.88")
