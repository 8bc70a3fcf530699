"""The figure of a run's errors: to first order and of the members, through time and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.io.period import Period
from ailand_gt4py.uncertainty.linearity import CLASSES, classes
from ailand_gt4py.uncertainty.monte_carlo import MonteCarlo
from ailand_gt4py.uncertainty.propagation import SOURCES, Propagation, shares
from ailand_gt4py.weights.model import Model

#: Variables that are shown, those of them that the model has.
SHOWN = ("swvl1", "swvl2", "swvl3", "stl1", "skt", "slhf")

SOURCE_COLOURS = ("#1f77b4", "#e8a33d", "#3a7d44", "0.6")
CLASS_COLOURS = ("0.1", "#1f77b4", "#7b3f9d", "#d1495b", "0.75")


@style.styled()
def draw(
    model: Model, period: Period, linear: Propagation, members: MonteCarlo | None, at: tuple[float, float] | None
) -> Any:
    """The figure; through time, of the column nearest to ``at``, latitude and longitude, or of the first."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    variables = (*model.state, *model.diagnostics)
    chosen = [position for position, one in enumerate(variables) if one.name in SHOWN] or list(range(len(variables)))
    chosen = chosen[: len(SHOWN)]
    column, across = style.nearest_column(period.latitude, period.longitude, at), 2 if members is None else 3
    figure = style.new_figure(style.WIDTH, 1.75 * len(chosen) + 0.9)
    how = {"width_ratios": (1.5, 1.2, 1.0)[:across], "sharex": "col" if across < 3 else False}
    panels: Any = figure.subplots(len(chosen), across, squeeze=False, **how)  # type: ignore[call-overload]
    where = style.location_text(period.latitude[column], period.longitude[column])
    titles = (f"standard deviation at {where}", "its root mean square over columns, by source")
    for panel, title in zip(panels[0], (*titles, "first order against members"), strict=False):
        panel.set_title(title, loc="left", fontsize=8)
    for (through_time, sources, *against), position in zip(panels, chosen, strict=True):
        deviation = linear.deviations[:, column, position]
        through_time.plot(period.axis, deviation, color="#1f77b4", lw=1.2, label="first order")
        if members is not None:
            deviation = members.deviation[:, column, position]
            through_time.plot(period.axis, deviation, color="0.15", lw=0.7, ls="--", label="members")
            _against(against[0], linear, members, position)
        through_time.set_ylabel(f"{variables[position].name} ({style.units_text(variables[position].units) or '1'})")
        variances = linear.variances[..., position].mean(axis=2)
        # Parts of the variance, drawn as parts of the standard deviation.
        parts = np.nan_to_num(shares(variances)) * np.sqrt(variances.sum(axis=0))
        sources.stackplot(period.axis, parts, colors=SOURCE_COLOURS, labels=SOURCES, lw=0.0)
        for panel in (through_time, sources):
            panel.set_ylim(bottom=0.0)
            style.date_axis(panel)
    panels[0, 0].legend(fontsize=6.5, loc="best")
    handles: list[Any] = [Patch(color=colour, label=name) for colour, name in zip(SOURCE_COLOURS, SOURCES, strict=True)]
    for colour, name in zip(CLASS_COLOURS, CLASSES, strict=True) if members is not None else ():
        handles.append(Line2D([], [], ls="", marker=".", color=colour, label=f"condition: {name}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7)
    return figure


def _against(panel: Any, linear: Propagation, members: MonteCarlo, position: int) -> None:
    first, other = linear.deviations[..., position], members.deviation[..., position]
    of_class = classes(members)
    top = float(np.quantile(np.concatenate([first.ravel(), other.ravel()]), 0.999)) or 1.0
    panel.plot((0.0, top), (0.0, top), color="0.6", lw=0.7)
    for number, colour in reversed(list(enumerate(CLASS_COLOURS))):  # what is now lies on what was
        chosen = of_class == number
        panel.plot(other[chosen], first[chosen], ".", ms=1.6, color=colour, rasterized=True)
    panel.set(xlim=(0.0, top), ylim=(0.0, top))
    panel.set_xlabel("members", fontsize=7, labelpad=1)
    panel.set_ylabel("first order", fontsize=7, labelpad=1)
