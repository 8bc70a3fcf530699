"""The figure of a run: states and fluxes of one column through time, ecLand and aiLand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures.style import (
    DIAGNOSTIC_COLOUR,
    STATE_COLOUR,
    colour_of,
    date_axis,
    location_text,
    nearest_column,
    new_figure,
    styled,
    units_text,
)
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.evaluation.scores.verify import read_series
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.weights.model import Variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFERENCE_COLOUR = "0.25"

#: Longer runs are drawn as daily means: the daily cycle would fill the panels.
DAILY_MEANS_FROM = np.timedelta64(120, "D")


def daily_means(times: Values, values: Values) -> tuple[Values, Values]:
    """Means over calendar days (UTC) of values (n_times,), at noon; a day with a missing value has none."""
    days, position = np.unique(times.astype("datetime64[D]"), return_inverse=True)
    counts = np.bincount(position)
    means = np.bincount(position, weights=values.astype(np.float64)) / counts
    return days.astype("datetime64[h]") + np.timedelta64(12, "h"), means


def rmse_text(run: Values, reference: Values, units: str) -> str:
    """RMSE over all labels but the first, as in the score table."""
    error = (run.astype(np.float64) - reference)[1:]
    found = float(rmse(error, where=np.isfinite(error)))
    return "" if math.isnan(found) else f"RMSE {found:.3g} {units_text(units)}".rstrip()


def draw_run(
    path: Path,
    output: Path,
    variables: Sequence[Variable],
    times: Values,
    reference: Path | None,
    at: tuple[float, float] | None,
) -> None:
    """Draw one column of a finished run.

    Args:
        path: figure, .png, .pdf or .svg.
        output: file of the run.
        variables: its states and diagnostics: a panel for each.
        times: labels of the run.
        reference: file to compare with, if any.
        at: location whose nearest column is drawn; None: the first.

    Raises:
        InputError: the reference cannot be used.
        RunError: the figure cannot be written.
    """
    with ColumnFile(output) as run:
        latitude, longitude = run.read("lat"), run.read("lon")
        column = nearest_column(latitude, longitude, at)
        location = location_text(float(latitude[column]), float(longitude[column]))
        here = slice(column, column + 1)
        series = {variable.name: run.read(variable.name, columns=here)[:, 0] for variable in variables}
    truth = {} if reference is None else read_series(reference, variables, times, column, latitude, longitude)
    figure = draw_columns(
        variables, times, series, truth, f"aiLand at {location}" if not truth else f"ecLand and aiLand at {location}"
    )
    with whole_file(path, "writing the figure") as temporary:
        figure.savefig(temporary, dpi=200)


def draw_columns(
    variables: Sequence[Variable], times: Values, series: dict[str, Values], truth: dict[str, Values], title: str
) -> Figure:
    """The figure: a panel for each variable, the reference in dark grey, the emulator in colour.

    Args:
        variables: what to draw, in this order.
        times: (n_times,) labels.
        series, truth: name -> (n_times,) of the run and of the reference; `truth` may lack some.
        title: of the figure.

    Returns:
        A matplotlib figure.
    """
    is_daily = bool(times[-1] - times[0] >= DAILY_MEANS_FROM)
    n_across = 3 if len(variables) > 4 else min(len(variables), 2)
    n_down = math.ceil(len(variables) / n_across)
    with styled():
        figure = new_figure(3.6 * n_across, 1.65 * n_down + 0.7)
        panels = list(figure.subplots(n_down, n_across, sharex=True, squeeze=False).flat)
        for panel, variable in zip(panels, variables, strict=False):
            _draw_variable(panel, variable, times, series[variable.name], truth.get(variable.name), is_daily)
        for panel in panels[len(variables) :]:
            panel.set_axis_off()
        for panel in panels[max(0, len(variables) - n_across) : len(variables)]:
            panel.tick_params(labelbottom=True)
        _legend(figure, variables, has_truth=bool(truth))
        note = "daily means; RMSE of all labels" if is_daily and truth else "daily means" if is_daily else ""
        figure.suptitle(title + (f" ({note})" if note else ""), fontsize=11)
    return figure


def _draw_variable(
    panel: Axes, variable: Variable, times: Values, run: Values, truth: Values | None, is_daily: bool
) -> None:
    lines = [(run, colour_of(variable.time_meaning == "window start"), 0.8)]
    if truth is not None:
        lines.insert(0, (truth, REFERENCE_COLOUR, 1.7))
        panel.text(
            0.995, 1.02, rmse_text(run, truth, variable.units),
            transform=panel.transAxes, ha="right", va="bottom", fontsize=7, color="0.35",
        )  # fmt: skip
    for values, colour, width in lines:
        x, y = daily_means(times, values) if is_daily else (times, values)
        panel.plot(x, y, color=colour, lw=width)
    panel.set_title(variable.name, loc="left", fontsize=9, fontweight="bold", pad=4)
    panel.set_ylabel(units_text(variable.units))
    panel.grid(axis="y", lw=0.3, color="0.85")
    date_axis(panel)


def _legend(figure: Figure, variables: Sequence[Variable], has_truth: bool) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=REFERENCE_COLOUR, lw=1.8, label="ecLand")] if has_truth else []
    entries.append(Line2D([], [], color=STATE_COLOUR, lw=1.4, label="aiLand, state"))
    if any(variable.time_meaning != "window start" for variable in variables):
        entries.append(Line2D([], [], color=DIAGNOSTIC_COLOUR, lw=1.4, label="aiLand, diagnostics"))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False)
