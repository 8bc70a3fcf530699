"""The figure of a run: states and fluxes of one column through time, ecLand and aiLand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.files import Paths
from ailand_gt4py.core.times import on_axis
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.evaluation.scores.verify import read_series
from ailand_gt4py.io.output import RunOutput
from ailand_gt4py.io.request import AS_THEY_ARE, Reading
from ailand_gt4py.io.whole_files import write_figure
from ailand_gt4py.weights.model import Variable

if TYPE_CHECKING:
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
    return "" if math.isnan(found) else f"RMSE {found:.3g} {style.units_text(units)}".rstrip()


def draw_run(
    path: Path,
    run: RunOutput,
    variables: Sequence[Variable],
    reference: Paths | None,
    at: tuple[float, float] | None,
    reading: Reading = AS_THEY_ARE,
) -> None:
    """Draw one column of a finished run, a panel for each of its states and diagnostics."""
    column, times = style.nearest_column(run.latitude, run.longitude, at), on_axis(run.times, run.calendar)
    here = slice(column, column + 1)
    series = {variable.name: run.read(variable.name, columns=here)[:, 0] for variable in variables}
    truth = {} if reference is None else read_series(reference, variables, run, column, reading)
    whose = "ecLand and aiLand" if truth else "aiLand"
    title = f"{whose} at {style.location_text(run.latitude[column], run.longitude[column])}"
    write_figure(path, lambda: draw_columns(variables, times, series, truth, title), resolution=200)


@style.styled()
def draw_columns(
    variables: Sequence[Variable], times: Values, series: dict[str, Values], truth: dict[str, Values], title: str
) -> Figure:
    """A panel for each variable by name: the reference, which may lack some, in dark grey, the emulator in colour."""
    from matplotlib.lines import Line2D

    is_daily = bool(times[-1] - times[0] >= DAILY_MEANS_FROM)
    n_across = 3 if len(variables) > 4 else min(len(variables), 2)
    figure = style.new_figure(3.6 * n_across, 1.65 * math.ceil(len(variables) / n_across) + 0.7)
    panels = style.panels_of(figure, len(variables), n_across, sharex=True)
    for panel, variable in zip(panels, variables, strict=True):
        lines = [(series[variable.name], style.colour_of(variable.time_meaning == "window start"), 0.8)]
        if variable.name in truth:
            lines.insert(0, (truth[variable.name], REFERENCE_COLOUR, 1.7))
            text = rmse_text(series[variable.name], truth[variable.name], variable.units)
            panel.set_title(text, loc="right", fontsize=7, color="0.35")
        for values, colour, width in lines:
            x, y = daily_means(times, values) if is_daily else (times, values)
            panel.plot(x, y, color=colour, lw=width)
        panel.set_title(variable.name, loc="left", fontsize=9, fontweight="bold", pad=4)
        panel.set_ylabel(style.units_text(variable.units))
        panel.grid(axis="y", lw=0.3, color="0.85")
        style.date_axis(panel)
    for panel in panels[-n_across:]:
        panel.tick_params(labelbottom=True)
    entries = [Line2D([], [], color=REFERENCE_COLOUR, lw=1.8, label="ecLand")] if truth else []
    entries.append(Line2D([], [], color=style.STATE_COLOUR, lw=1.4, label="aiLand, state"))
    if any(variable.time_meaning != "window start" for variable in variables):
        entries.append(Line2D([], [], color=style.DIAGNOSTIC_COLOUR, lw=1.4, label="aiLand, diagnostics"))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False)
    note = "daily means; RMSE of all labels" if is_daily and truth else "daily means" if is_daily else ""
    figure.suptitle(title + (f" ({note})" if note else ""), fontsize=11)
    return figure
