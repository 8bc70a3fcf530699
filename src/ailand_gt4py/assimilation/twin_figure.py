"""The figure of an experiment: one column through time, and the error of all columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.assimilation.control import SOIL_WATER
from ailand_gt4py.assimilation.twin import TwinResult
from ailand_gt4py.assimilation.twin_scores import ROOT_ZONE, TwinScores, snow_free, soil_water
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures.style import (
    PERSISTENCE_COLOUR,
    TRUTH_COLOUR,
    WIDTH,
    date_axis,
    location_text,
    nearest_column,
    new_figure,
    styled,
    units_text,
)
from ailand_gt4py.evaluation.scores.moments import rmse

#: Run -> colour, width of the line, name.
_LINES = {
    "truth": (TRUTH_COLOUR, 1.8, "truth (ecLand)"),
    "open_loop": (PERSISTENCE_COLOUR, 1.2, "open loop"),
    "background": ("#1f77b4", 0.9, "background"),
    "analysis": ("#d1495b", 1.2, "analysis"),
}


def choose_column(result: TwinResult, latitude: Values, longitude: Values, at: tuple[float, float] | None) -> int:
    """The column that is drawn: the one nearest to a location, or the most ordinary one.

    Most ordinary: of those without snow and frost, where there are any, the one whose error in the root zone goes down
    by the median share.
    """
    if at is not None:
        return nearest_column(latitude, longitude, at)
    candidates = np.flatnonzero(snow_free(result))
    candidates = candidates if candidates.size else np.arange(len(latitude))
    ratios = _column_rmse(result, "analysis") / np.maximum(_column_rmse(result, "open_loop"), 1e-12)
    chosen = ratios[candidates]
    return int(candidates[np.argmin(np.abs(chosen - np.median(chosen)))])


def draw(result: TwinResult, scores: TwinScores, latitude: Values, longitude: Values, column: int) -> Any:
    """A matplotlib figure of an experiment."""
    with styled():
        figure = new_figure(WIDTH, 7.2)
        panels = figure.subplots(3, 2)
        for panel, number, name in zip(panels.flat, range(4), (*SOIL_WATER, ROOT_ZONE), strict=False):
            _draw_column(panel, result, column, number, name)
        _draw_errors(panels[2, 0], result)
        _draw_ratios(panels[2, 1], scores)
        for panel in panels.flat[:5]:
            date_axis(panel)
            panel.grid(axis="y", lw=0.3, color="0.85")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        location = location_text(float(latitude[column]), float(longitude[column]))
        settings = result.settings
        figure.suptitle(
            f"{settings.method.upper()}, windows of {settings.window_hours:g} h, {', '.join(settings.observations)}; "
            f"upper four panels: the column at {location}",
            fontsize=10,
        )
    return figure


def _draw_column(panel: Any, result: TwinResult, column: int, number: int, name: str) -> None:
    """One layer of one column: all runs, and the observations of the uppermost layer."""
    if number == 0:
        times, seen, used = _surface_observations(result, column)
        if len(times):
            panel.plot(
                times[used], seen[used], ".", ms=3.5, color="#3a7d44", alpha=0.7, label="observation of soil moisture"
            )
            panel.plot(times[~used], seen[~used], "x", ms=3.0, color="#3a7d44", alpha=0.7)
    for run, (colour, width, label) in _LINES.items():
        values = soil_water(result, getattr(result, run)[:, [column]])[:, 0, number]
        panel.plot(result.times, values, color=colour, lw=width, label=label)
    panel.set_title(name, loc="left", fontweight="bold")
    panel.set_ylabel(units_text("m3 m-3"))


def _surface_observations(result: TwinResult, column: int) -> tuple[Values, Values, Values]:
    """Times, values and use of the observations of surface soil moisture of a column."""
    step = np.timedelta64(round(result.model.step_seconds * 1e9), "ns")
    times, seen, used = [], [], []
    for number, window in enumerate(result.windows):
        for position, name in enumerate(result.observables[number]):
            if name == "ssm":
                label = number * result.steps_per_window + int(result.observation_steps[number][position])
                times.append(result.times[0] + label * step)
                seen.append(result.observations[number][column, position])
                used.append(window.reasons[column, position] == 0)
    return np.array(times, dtype="datetime64[ns]"), np.array(seen, dtype=float), np.array(used, dtype=bool)


def _draw_errors(panel: Any, result: TwinResult) -> None:
    """RMSE of the root zone over the columns without snow and frost, or all where there are none, through time."""
    chosen = snow_free(result)
    chosen = chosen if chosen.any() else np.ones_like(chosen)
    truth = soil_water(result, result.truth)[:, chosen, 3]
    for run, (colour, width, label) in _LINES.items():
        if run != "truth":
            error = soil_water(result, getattr(result, run))[:, chosen, 3] - truth
            panel.plot(result.times, rmse(error, axis=1), color=colour, lw=width, label=label)
    panel.set_ylim(bottom=0.0)
    panel.set_title(f"RMSE of the {ROOT_ZONE}, {int(chosen.sum())} columns", loc="left", fontweight="bold")
    panel.set_ylabel(units_text("m3 m-3"))


def _draw_ratios(panel: Any, scores: TwinScores) -> None:
    """RMSE of the analysis over that of the open loop."""
    names = (*SOIL_WATER, ROOT_ZONE)
    for offset, (columns, colour) in enumerate((("snow-free", "#d1495b"), ("all", "#e9a3ab"))):
        found = [scores.score(name, columns) for name in names]
        if found[0].n_columns:
            positions = np.arange(len(names)) + 0.38 * (offset - 0.5)
            bars = panel.bar(
                positions, [s.ratio for s in found], 0.36, color=colour, label=f"{found[0].n_columns} {columns}"
            )
            panel.bar_label(bars, fmt="%.2f", fontsize=7)
    panel.axhline(1.0, color=PERSISTENCE_COLOUR, lw=0.8)
    panel.set_xticks(range(len(names)), names)
    panel.set_title("RMSE of the analysis over the open loop's", loc="left", fontweight="bold")
    panel.margins(y=0.35)
    panel.legend(loc="upper left", ncols=2)


def _column_rmse(result: TwinResult, run: str) -> Values:
    """(n_columns,) RMSE of the root zone."""
    error = soil_water(result, getattr(result, run))[..., 3] - soil_water(result, result.truth)[..., 3]
    return rmse(error, axis=0)
