"""The figure of an estimation: parameters, how well they are determined, and the run before and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.calibration.case import Case
from ailand_gt4py.calibration.estimation import Estimate
from ailand_gt4py.calibration.report import Quality
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style

DETERMINED_COLOUR, OTHER_COLOUR, FIRST_COLOUR = "#1f77b4", "#d1495b", "0.65"
#: Relative deviations and distances beyond these are drawn at the edge.
SHOWN_DEVIATIONS = (1e-4, 10.0)


@style.styled()
def draw(case: Case, found: Estimate, known: Quality, at: tuple[float, float] | None, tolerance: float) -> Any:
    """The figure; through time the column nearest to a location (latitude, longitude), or the first."""
    n_parameters, n_observed = len(case.parameters), len(case.misfit.observations.errors)
    column = style.nearest_column(case.period.latitude, case.period.longitude, at)
    heights = (2.6 * n_parameters, 1.6 * n_observed + 0.6)
    figure = style.new_figure(style.WIDTH, sum(heights))
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = upper.subplots(n_parameters, 3, squeeze=False)
    for k in range(n_parameters):
        _values(panels[k, 0], case, found, known, k)
        _deviations(panels[k, 1], known, k, tolerance)
        _distances(panels[k, 2], case, found, known, k)
    _runs(lower, case, found, column)
    return figure


def _groups(known: Quality, k: int) -> tuple[tuple[Values, str, str], ...]:
    determined = known.determined[:, k]
    return (determined, DETERMINED_COLOUR, "determined"), (~determined, OTHER_COLOUR, "not determined")


def _label(panel: Any, title: str, x: str, y: str) -> None:
    panel.set_title(title, loc="left", fontsize=8)
    panel.set_xlabel(x, fontsize=7)
    panel.set_ylabel(y, fontsize=7)


def _values(panel: Any, case: Case, found: Estimate, known: Quality, k: int) -> None:
    variable, truth = case.parameters[k], case.file_values[:, k]
    drawn = np.stack([truth, found.values[:, k], case.first_guess[:, k]])
    edges = np.array([drawn.min(), drawn.max()])
    panel.plot(edges, edges, color="0.6", lw=0.7)
    panel.plot(truth, case.first_guess[:, k], ".", ms=3, color=FIRST_COLOUR, label="first guess")
    for chosen, colour, label in _groups(known, k):
        bars = np.minimum(known.deviations[chosen, k], edges[1] - edges[0])
        panel.errorbar(truth[chosen], found.values[chosen, k], bars, fmt=".", ms=4, lw=0.5, color=colour, label=label)
    margin = 0.05 * (edges[1] - edges[0]) or 0.05
    panel.set_ylim(edges[0] - margin, edges[1] + margin)
    _label(panel, style.with_units(variable.name, variable.units), "in the file", "estimate")
    if k == 0:
        panel.legend(fontsize=6.5)


def _deviations(panel: Any, known: Quality, k: int, tolerance: float) -> None:
    relative = np.clip(known.relative[:, k], *SHOWN_DEVIATIONS)
    order = np.sort(relative)
    panel.plot(order, np.arange(1, len(order) + 1) / len(order), drawstyle="steps-post", color="0.2", lw=1.2)
    panel.axvline(tolerance, color=DETERMINED_COLOUR, lw=0.8, ls="--")
    panel.set(xscale="log", ylim=(0.0, 1.02))
    _label(panel, "how well the observations determine it", "standard deviation / value", "part of the columns below")


def _distances(panel: Any, case: Case, found: Estimate, known: Quality, k: int) -> None:
    """Whether the distance from the file's values is what the deviations say."""
    truth, limits = case.file_values[:, k], SHOWN_DEVIATIONS
    distance = np.clip(np.abs(found.values[:, k] / truth - 1.0), *limits)
    panel.plot(limits, limits, color="0.6", lw=0.7)
    for chosen, colour, label in _groups(known, k):
        panel.plot(np.clip(known.relative[chosen, k], *limits), distance[chosen], ".", ms=4, color=colour, label=label)
    panel.set(xscale="log", yscale="log")
    distance_label = f"distance / value (at least {limits[0]:g})"
    _label(panel, "distance from the file's value", "standard deviation / value", distance_label)


def _runs(part: Any, case: Case, found: Estimate, column: int) -> None:
    first = case.misfit.run(case.clip(case.first_guess))
    last = case.misfit.run(found.values)
    observed = case.misfit.observations.values[:, column]
    variables = case.misfit.observations.operator.observables
    panels = part.subplots(len(variables), 1, squeeze=False, sharex=True)[:, 0]
    for k, (panel, variable) in enumerate(zip(panels, variables, strict=True)):
        panel.plot(case.period.axis, observed[:, k], ".", ms=3.0, color="0.1", label="observed", zorder=3)
        panel.plot(case.period.axis, first[:, column, k], color=FIRST_COLOUR, lw=1.0, label="run with the first guess")
        panel.plot(case.period.axis, last[:, column, k], color=DETERMINED_COLOUR, lw=1.0, label="with the estimate")
        panel.set_ylabel(f"{variable.name} ({style.units_text(variable.units) or '1'})")
        panel.margins(x=0.0)
    style.date_axis(panels[-1], most_ticks=8)
    panels[0].legend(fontsize=6.5, ncols=3, loc="best")
    where = style.location_text(case.period.latitude[column], case.period.longitude[column])
    panels[0].set_title(f"at {where}", loc="left", fontsize=8)
