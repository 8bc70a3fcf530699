"""Figures along time: a column's course, errors by lead time, seasonal cycles by climate, residuals of budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.times import on_axis
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.figures.series import draw_columns
from ailand_gt4py.evaluation.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MONTHS = 12
#: Days of the figure that shows single windows.
CLOSE_UP_DAYS = 14
#: Variables of the seasonal cycles, those of them that there are.
SEASONAL = ("swvl1", "swvl3", "stl1", "snowc", "sshf", "slhf", "e", "sro", "skt", "t2m")
MOST_SEASONAL = 7
#: Errors that are drawn by lead time.
CURVES = ("persistence", "climatology", "climatology_other_years", "rmse")


def choose_column(study: Study, at: tuple[float, float] | None) -> int:
    """The column nearest to a location, or where the RMSE is nearest to the usual one (median over variables)."""
    if at is not None:
        return style.nearest_column(study.locations.latitude, study.locations.longitude, at)
    errors = np.stack([variable.by_column("rmse") for variable in study.variables])
    usual = np.median(errors, axis=1)
    # A variable that does not err in most columns (snow) says nothing about how ordinary one is.
    ratios = errors[usual > 0.0] / usual[usual > 0.0, None]
    return int(np.argmin(np.abs(np.log(np.maximum(np.median(ratios, axis=0), 1e-12))))) if len(ratios) else 0


def series_figure(study: Study, column: int, part: slice | None = None) -> Figure:
    """Emulator and truth of a column through some of the labels; None: all, in daily means where there are many."""
    series, truth, part = {}, {}, part or slice(None)
    outputs = [variable.name for variable in (*study.model.state, *study.model.diagnostics)]
    for one in study.variables:
        own = study.runs.columns.output(outputs.index(one.name))[:, column].astype(np.float64)
        values = np.full(len(own), np.nan)  # at labels that the run does not reach
        values[study.runs.free.labels(one.variable)] = one.run[:, column]
        if one.is_state:
            values[0] = own[0]
        series[one.name], truth[one.name] = values[part], own[part]
    variables, whole = [one.variable for one in study.variables], part == slice(None)
    title = f"{'ecLand and emulator' if whole else 'Two weeks'} at {describe(study, column)}"
    return draw_columns(variables, on_axis(study.times[part], study.calendar), series, truth, title)


def close_up_figure(study: Study, column: int) -> Figure | None:
    """Two weeks of a column window by window; None for a short file."""
    part = close_up(
        on_axis(study.times, study.calendar), float(study.locations.latitude[column]), study.model.step_seconds
    )
    return None if part is None else series_figure(study, column, part)


def close_up(times: Values, latitude: float, step_seconds: float) -> slice | None:
    """Two weeks in the last summer (January in the south) of the labels; None for a file of less than a month."""
    steps = round(CLOSE_UP_DAYS * SECONDS_PER_DAY / step_seconds)
    if len(times) < 2 * steps:
        return None
    wanted = 6 if latitude >= 0.0 else 0
    in_month = np.flatnonzero(np.asarray(times, dtype="datetime64[M]").astype(np.int64) % MONTHS == wanted)
    in_month = in_month[in_month <= len(times) - steps]
    # The last such label may be the month's end: two weeks from there on would be in August.
    first = max(0, int(in_month[-1]) - steps) if len(in_month) else len(times) - steps
    return slice(first, first + steps)


def describe(study: Study, column: int) -> str:
    """Where a column is, and its climate where that is known."""
    text = style.location_text(study.locations.latitude[column], study.locations.longitude[column])
    climate = study.locations.grouping("climate")
    return text if climate is None else f"{text}, {climate.labels[column]}"


@style.styled()
def lead_figure(study: Study) -> Figure:
    """RMSE by lead time of all variables, with what a forecast must beat."""
    figure, panels = style.grid(len(study.variables), 4, 1.95, sharex=True)
    green, purple = style.CLIMATOLOGY_COLOUR, style.PUBLISHED_COLOUR
    for panel, variable in zip(panels, study.variables, strict=True):
        draw, own = panel.plot, style.colour_of(variable.is_state)
        days = [score.lead_days for score in variable.curve]
        curves = {name: [getattr(score, name) for score in variable.curve] for name in CURVES}
        draw(days, curves["persistence"], color=style.PERSISTENCE_COLOUR, lw=1.0, label="persistence")
        draw(days, curves["climatology"], color=green, lw=1.0, ls="--", label="climatology, all years")
        draw(days, curves["climatology_other_years"], color=green, lw=1.0, ls=":", label="climatology, other years")
        label = "emulator (states red, diagnostics blue)"
        draw(days, curves["rmse"], color=own, lw=1.8, marker="o", ms=2.6, label=label)
        published = literature.published_rmse(variable.name, variable.units)
        if published is not None:
            text = "aiLand v1, published"
            draw([1.0, 90.0], published[:2], "D", color=purple, ms=4.5, mfc="white", mew=1.1, label=text)
        panel.set_xscale("log")
        panel.set_ylim(bottom=0.0)
        ticks = [day for day in (0.25, 1.0, 7.0, 30.0, 90.0) if days[0] <= day <= days[-1]]
        panel.set_xticks(ticks, [f"{day:g}" for day in ticks])
        panel.minorticks_off()
        panel.grid(lw=0.3, color="0.88")
        panel.set_title(variable.name, loc="left", fontweight="bold")
        panel.set_ylabel(style.with_units("RMSE", variable.units))
    for panel in panels[-4:]:
        panel.set_xlabel("lead time (days)")
        panel.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def monthly_means(values: Values, times: Values) -> Values:
    """Means by calendar month of (n_times, n_columns): (12, n_columns), NaN for months without a time."""
    months = np.asarray(times, dtype="datetime64[M]").astype(np.int64) % MONTHS
    result = np.full((MONTHS, values.shape[1]), np.nan)
    for month in np.unique(months):
        result[month] = values[months == month].mean(axis=0, dtype=np.float64)
    return result


@style.styled()
def season_figure(study: Study) -> Figure | None:
    """Mean seasonal cycles by climate; None where the file has no climates."""
    grouping, shown = study.locations.grouping("climate"), study.those(SEASONAL)[:MOST_SEASONAL]
    if grouping is None or not shown:
        return None
    climates, months = grouping.classes, np.arange(1, MONTHS + 1)
    total = 0.92 * len(climates) + 0.9
    figure = style.new_figure(style.WIDTH, total, layout=None)
    panels = figure.subplots(len(climates), len(shown), squeeze=False, sharex=True, sharey="col")
    figure.subplots_adjust(0.17, 0.6 / total, 0.99, 1.0 - 0.3 / total, wspace=0.42, hspace=0.22)
    for variable, of_climates in zip(shown, panels.T, strict=True):
        times = on_axis(study.times, study.calendar)[study.runs.free.labels(variable.variable)]
        truth, run = (monthly_means(field, times) for field in (variable.truth, variable.run))
        colour = style.colour_of(variable.is_state)
        for panel, chosen in zip(of_climates, map(grouping.members, climates), strict=True):
            panel.plot(months, truth[:, chosen].mean(axis=1), color=style.TRUTH_COLOUR, lw=2.0, label="ecLand")
            panel.plot(months, run[:, chosen].mean(axis=1), color=colour, lw=1.1, label="emulator")
            panel.grid(lw=0.3, color="0.9")
            panel.set_xticks(months[::3], "JAJO")
            panel.tick_params(labelsize=6.5, length=2, pad=1.5)
        of_climates[0].set_title(style.with_units(variable.name, variable.units), fontweight="bold")
    for panel, climate in zip(panels[:, 0], climates, strict=True):
        text = f"{climate}\n{int(grouping.members(climate).sum())} col."
        panel.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7.0, labelpad=8)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=2)
    return figure


@style.styled()
def budget_figure(study: Study) -> Figure | None:
    """Distributions of the residuals of both budgets; None where not even ecLand's can be had."""
    shown = [name for name, residual in study.budgets.truth.items() if residual.values is not None]
    if not shown:
        return None
    figure, panels = style.grid(len(shown), 2, 2.7)
    for panel, name in zip(panels, shown, strict=True):
        run = study.budgets.run[name]
        residuals = {"ecLand": study.budgets.truth[name].values, "emulator": run.values}
        known = {label: values for label, values in residuals.items() if values is not None}
        bound = max(float(np.quantile(np.abs(values), 0.9995)) for values in known.values()) or 1.0
        for label, values in known.items():
            (share, edges), is_truth = np.histogram(values, np.linspace(-bound, bound, 82)), label == "ecLand"
            colour = style.TRUTH_COLOUR if is_truth else style.STATE_COLOUR
            panel.stairs(share / values.size, edges, color=colour, lw=1.3, label=label, fill=is_truth, alpha=0.55)
        if run.values is None:
            panel.set_title(f"emulator lacks {', '.join(run.missing)}", loc="right", fontsize=7.5, color="0.35")
        panel.set_title(f"{run.budget} budget", loc="left", fontweight="bold")
        x_label = style.with_units("residual in a window", run.units)
        panel.set(yscale="log", xlabel=x_label, ylabel="share of windows")
        panel.legend(loc="upper right")
        panel.grid(lw=0.3, color="0.88")
    return figure
