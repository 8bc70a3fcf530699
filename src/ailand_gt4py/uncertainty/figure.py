"""The figure of a run's errors: to first order and of the members, through time and against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.evaluation.figures import style as figure_style
from ailand_gt4py.evaluation.figures.style import date_axis, location_text, nearest_column, units_text
from ailand_gt4py.io.period import Period
from ailand_gt4py.uncertainty.linearity import CLASSES, classes
from ailand_gt4py.uncertainty.monte_carlo import MonteCarlo
from ailand_gt4py.uncertainty.propagation import SOURCES, Propagation, shares
from ailand_gt4py.weights.model import Model

#: Variables that are shown, those of them that the model has.
SHOWN = ("swvl1", "swvl2", "swvl3", "stl1", "skt", "slhf")
MOST_SHOWN = 6

SOURCE_COLOURS = ("#1f77b4", "#e8a33d", "#3a7d44", "0.6")
CLASS_COLOURS = ("0.1", "#1f77b4", "#7b3f9d", "#d1495b", "0.75")


def draw(
    model: Model, period: Period, linear: Propagation, members: MonteCarlo | None, at: tuple[float, float] | None
) -> Any:
    """The figure.

    Args:
        members: None: there are none. at: latitude and longitude of the location whose nearest column is shown.
    """
    variables = (*model.state, *model.diagnostics)
    chosen = [position for position, one in enumerate(variables) if one.name in SHOWN] or list(range(len(variables)))
    chosen = chosen[:MOST_SHOWN]
    column = nearest_column(period.latitude, period.longitude, at)
    across = 2 if members is None else 3
    with figure_style.styled():
        figure = figure_style.new_figure(figure_style.WIDTH, 1.75 * len(chosen) + 0.9)
        panels = figure.subplots(
            len(chosen),
            across,
            squeeze=False,
            width_ratios=(1.5, 1.2, 1.0)[:across],
            sharex="col" if across < 3 else False,
        )
        for row, position in enumerate(chosen):
            label = f"{variables[position].name} ({units_text(variables[position].units) or '1'})"
            _through_time(panels[row, 0], period, linear, members, position, column)
            panels[row, 0].set_ylabel(label)
            _sources(panels[row, 1], period, linear, position)
            if members is not None:
                _against(panels[row, 2], linear, members, position)
        where = location_text(float(period.latitude[column]), float(period.longitude[column]))
        panels[0, 0].set_title(f"standard deviation at {where}", loc="left", fontsize=8)
        panels[0, 1].set_title("its root mean square over columns, by source", loc="left", fontsize=8)
        if members is not None:
            panels[0, 2].set_title("first order against members", loc="left", fontsize=8)
        _legends(figure, panels, members is not None)
    return figure


def _through_time(
    panel: Any, period: Period, linear: Propagation, members: MonteCarlo | None, position: int, column: int
) -> None:
    panel.plot(period.ends, linear.deviations[:, column, position], color="#1f77b4", lw=1.2, label="first order")
    if members is not None:
        panel.plot(period.ends, members.deviation[:, column, position], color="0.15", lw=0.7, ls="--", label="members")
    panel.set_ylim(bottom=0.0)
    date_axis(panel)


def _sources(panel: Any, period: Period, linear: Propagation, position: int) -> None:
    variances = linear.variances[..., position].mean(axis=2)
    # Parts of the variance, drawn as parts of the standard deviation.
    parts = np.nan_to_num(shares(variances)) * np.sqrt(variances.sum(axis=0))
    panel.stackplot(period.ends, parts, colors=SOURCE_COLOURS, labels=SOURCES, lw=0.0)
    panel.set_ylim(bottom=0.0)
    date_axis(panel)


def _against(panel: Any, linear: Propagation, members: MonteCarlo, position: int) -> None:
    first, other = linear.deviations[..., position], members.deviation[..., position]
    of_class = classes(members)
    top = float(np.quantile(np.concatenate([first.ravel(), other.ravel()]), 0.999)) or 1.0
    panel.plot((0.0, top), (0.0, top), color="0.6", lw=0.7)
    for number in reversed(range(len(CLASSES))):  # what is now lies on what was
        chosen, name = of_class == number, CLASSES[number]
        if chosen.any():
            panel.plot(
                other[chosen], first[chosen], ".", ms=1.6, color=CLASS_COLOURS[number], label=name, rasterized=True
            )
    panel.set_xlim(0.0, top)
    panel.set_ylim(0.0, top)
    panel.set_xlabel("members", fontsize=7, labelpad=1)
    panel.set_ylabel("first order", fontsize=7, labelpad=1)


def _legends(figure: Any, panels: Any, has_members: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    panels[0, 0].legend(fontsize=6.5, loc="best")
    handles: list[Any] = [Patch(color=colour, label=name) for colour, name in zip(SOURCE_COLOURS, SOURCES, strict=True)]
    if has_members:
        handles += [
            Line2D([], [], ls="", marker=".", color=colour, label=f"condition: {name}")
            for colour, name in zip(CLASS_COLOURS, CLASSES, strict=True)
        ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7)
