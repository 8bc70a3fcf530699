"""The figure of an experiment: one column through time, and the error of all columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.assimilation.control import SOIL_WATER
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.assimilation.twin_scores import ROOT_ZONE, TwinScores, snow_free, soil_water
from ailand_gt4py.core.times import on_axis, step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.evaluation.scores.moments import rmse

#: Run -> colour, width of the line, name.
_LINES = {
    "truth": (style.TRUTH_COLOUR, 1.8, "truth (ecLand)"),
    "open_loop": (style.PERSISTENCE_COLOUR, 1.2, "open loop"),
    "background": ("#1f77b4", 0.9, "background"),
    "analysis": ("#d1495b", 1.2, "analysis"),
}
_OBSERVATION_COLOUR = "#3a7d44"
_NAMES = (*SOIL_WATER, ROOT_ZONE)


def _column(result: TwinResult, where: ColumnLocations, at: tuple[float, float] | None) -> int:
    """The one nearest to a location, or, without snow if any is, whose error goes down by the median share."""
    if at is not None:
        return style.nearest_column(where.latitude, where.longitude, at)
    candidates = np.flatnonzero(snow_free(result))
    candidates = candidates if candidates.size else np.arange(len(where.latitude))
    analysis, open_loop = (rmse(_root_zone_error(result, run), axis=0) for run in ("analysis", "open_loop"))
    ratios = (analysis / np.maximum(open_loop, 1e-12))[candidates]
    return int(candidates[np.argmin(np.abs(ratios - np.median(ratios)))])


@style.styled()
def draw(result: TwinResult, scores: TwinScores, where: ColumnLocations, at: tuple[float, float] | None) -> Any:
    """A matplotlib figure of an experiment; upper panels: of the column nearest to a location, or of a typical one."""
    column = _column(result, where, at)
    figure = style.new_figure(style.WIDTH, 7.2)
    panels = figure.subplots(3, 2)
    _draw_column(panels.flat[:4], result, column)
    _draw_errors(panels[2, 0], result)
    _draw_ratios(panels[2, 1], scores)
    for panel in panels.flat[:5]:
        panel.set_ylabel(style.units_text("m3 m-3"))
        style.date_axis(panel)
        panel.grid(axis="y", lw=0.3, color="0.85")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    settings, location = result.settings, style.location_text(where.latitude[column], where.longitude[column])
    what = f"windows of {settings.window_hours:g} h, {', '.join(settings.observe)}"
    title = f"{settings.method.upper()}, {what}; upper four panels: the column at {location}"
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_column(panels: Any, result: TwinResult, column: int) -> None:
    """All runs of one column by layer, and the observations of the uppermost one."""
    found = result.observed("ssm")
    values, reasons = found.values[:, column], found.reasons[:, column]
    times = on_axis(result.times + step_of(result.model.step_seconds), result.calendar)
    for chosen, marker, size, label in (
        (reasons == 0, ".", 3.5, "observation of soil moisture"),
        (np.isfinite(values) & (reasons != 0), "x", 3.0, None),
    ):
        if np.isfinite(values).any():
            look = {"ms": size, "color": _OBSERVATION_COLOUR, "alpha": 0.7, "label": label}
            panels[0].plot(times[chosen], values[chosen], marker, **look)
    for run, (colour, width, label) in _LINES.items():
        layers = soil_water(result, getattr(result, run)[:, column])
        for panel, name, layer in zip(panels, _NAMES, layers.T, strict=True):
            panel.plot(on_axis(result.times, result.calendar), layer, color=colour, lw=width, label=label)
            panel.set_title(name, loc="left", fontweight="bold")


def _root_zone_error(result: TwinResult, run: str) -> Values:
    """(n_steps, n_columns)."""
    return soil_water(result, getattr(result, run))[..., 3] - soil_water(result, result.truth)[..., 3]


def _draw_errors(panel: Any, result: TwinResult) -> None:
    """RMSE of the root zone over the columns without snow and frost, or all where there are none, through time."""
    chosen = snow_free(result)
    chosen = chosen if chosen.any() else np.ones_like(chosen)
    for run, (colour, width, label) in _LINES.items():
        if run != "truth":
            error = _root_zone_error(result, run)[:, chosen]
            panel.plot(on_axis(result.times, result.calendar), rmse(error, axis=1), color=colour, lw=width, label=label)
    panel.set_ylim(bottom=0.0)
    panel.set_title(f"RMSE of the {ROOT_ZONE}, {int(chosen.sum())} columns", loc="left", fontweight="bold")


def _draw_ratios(panel: Any, scores: TwinScores) -> None:
    """RMSE of the analysis over that of the open loop."""
    for offset, (columns, colour) in enumerate((("snow-free", "#d1495b"), ("all", "#e9a3ab"))):
        found = [scores.score(name, columns) for name in _NAMES]
        if found[0].n_columns:
            positions, ratios = np.arange(len(_NAMES)) + 0.38 * (offset - 0.5), [score.ratio for score in found]
            bars = panel.bar(positions, ratios, 0.36, color=colour, label=f"{found[0].n_columns} {columns}")
            panel.bar_label(bars, fmt="%.2f", fontsize=7)
    panel.axhline(1.0, color=style.PERSISTENCE_COLOUR, lw=0.8)
    panel.set_xticks(range(len(_NAMES)), _NAMES)
    panel.set_title("RMSE of the analysis over the open loop's", loc="left", fontweight="bold")
    panel.margins(y=0.35)
    panel.legend(loc="upper left", ncols=2)
