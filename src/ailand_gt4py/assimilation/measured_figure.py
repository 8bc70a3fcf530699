"""The figure of a cycle with measured observations: what was measured at one column, and what runs make of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.assimilation.cycle import CycleResult
from ailand_gt4py.assimilation.measured_scores import MeasuredScores
from ailand_gt4py.core.times import on_axis, step_of
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.scores.groups import ColumnLocations

#: Run -> colour and name.
_LINES = {"open_loop": (style.PERSISTENCE_COLOUR, "open loop"), "analysis": ("#d1495b", "analysis")}
_OBSERVED = "#3a7d44"
#: Most panels.
_LARGEST = 8


@style.styled()
def draw(result: CycleResult, scores: MeasuredScores, where: ColumnLocations, at: tuple[float, float] | None) -> Any:
    """A matplotlib figure; of the column nearest to a location, or of that with most observations assimilated."""
    shown = dict(list(scores.comparisons.items())[:_LARGEST])
    if at is not None:
        column = style.nearest_column(where.latitude, where.longitude, at)
    else:
        used = sum(np.isfinite(one.measured).sum(axis=0) for one in shown.values() if one.is_assimilated)
        column = int(np.argmax(used))
    figure = style.new_figure(style.WIDTH, 1.2 + 1.9 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    times = on_axis(result.times + step_of(result.model.step_seconds), result.calendar)
    for panel, (name, one) in zip(panels, shown.items(), strict=True):
        withheld = scores.withheld if one.is_assimilated else np.ones_like(scores.withheld)
        for chosen, marker, label in ((~withheld, "o", "assimilated"), (withheld, ".", "not assimilated")):
            if chosen.any():
                look = {"ms": 2.5, "color": _OBSERVED, "alpha": 0.5, "label": f"measured, {label}"}
                panel.plot(times[chosen], one.measured[chosen, column], marker, **look)
        for run, (colour, label) in _LINES.items():
            panel.plot(times, one.runs[run][:, column], color=colour, lw=1.0, label=label)
        panel.set_title(name, loc="left", fontweight="bold")
        panel.set_ylabel(style.units_text(one.observable.units))
        style.date_axis(panel)
        panel.grid(axis="y", lw=0.3, color="0.85")
    known = (pair for panel in panels for pair in zip(*panel.get_legend_handles_labels(), strict=True))
    found = {label: handle for handle, label in known}
    figure.legend(found.values(), found, loc="outside lower center", ncols=len(found))
    location = style.location_text(where.latitude[column], where.longitude[column])
    settings = result.settings
    what = f"windows of {settings.window_hours:g} h, {', '.join(settings.observe)}"
    figure.suptitle(f"{settings.method.upper()}, {what}; the column at {location}", fontsize=10)
    return figure
