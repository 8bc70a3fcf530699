"""The figure of sensitivities: a matrix of normalised derivatives, some of them through time, by season and on maps."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ailand_gt4py.core.times import on_axis
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.figures.space import draw_map, map_aspect, map_extent
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import units_of_derivative
from ailand_gt4py.sensitivity.report import HEMISPHERES, SEASONS, by_hemisphere, mean, normalised_means

#: Pairs that are shown through time and on maps, those of them that were computed.
SHOWN = (
    ("swvl1", "swvl1"),
    ("swvl1", "met_rainf"),
    ("swvl1", "clim_theta_cap"),
    ("stl1", "stl1"),
    ("sshf", "met_tair"),
    ("e", "met_qair"),
)
MOST_SHOWN = 6
#: Columns from which on maps are drawn.
MAPS_FROM = 8
#: Normalised derivatives below this are shown on a linear scale, the others on a logarithmic one.
LINEAR_BELOW = 0.01

SMOOTH_DAYS = 15.0


@style.styled()
def draw(found: Derivatives, at: tuple[float, float] | None) -> Any:
    """The figure; through time, of the column nearest to ``at``, latitude and longitude, or of the first."""
    shown, extent = shown_pairs(found), map_extent(found.longitude, found.latitude)
    heights = [0.17 * len(found.outputs) + 2.2, 1.5 * math.ceil(len(shown) / 2) + 0.5]
    if len(found.latitude) >= MAPS_FROM:
        map_height = (style.WIDTH / 3.0 - 0.9) * map_aspect(extent)
        heights.append((min(map_height, 3.2) + 0.35) * math.ceil(len(shown) / 3) + 0.1)
    figure = style.new_figure(max(style.WIDTH, 0.2 * len(found.inputs) + 2.0), sum(heights))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _matrix(parts[0], found)
    _series(parts[1], found, shown, style.nearest_column(found.latitude, found.longitude, at))
    if len(parts) == 3:
        for panel, pair in zip(style.panels_of(parts[2], len(shown), 3), shown, strict=True):
            values = mean(found.values[pair], axis=0)
            locations, title = (found.longitude, found.latitude), f"mean {_title(found, pair)}"
            draw_map(parts[2], panel, locations, values, extent, title)
    return figure


def shown_pairs(found: Derivatives) -> list[tuple[int, int]]:
    """Pairs, by positions: those of `SHOWN`, or the strongest where none of them was computed."""
    pairs = [position for position in (found.positions(*names) for names in SHOWN) if position is not None]
    if pairs:
        return pairs
    means = np.nan_to_num(np.abs(normalised_means(found)), nan=-1.0)
    order = np.argsort(-means, axis=None, kind="stable")[:MOST_SHOWN]
    return [(int(output), int(by)) for output, by in zip(*np.unravel_index(order, means.shape), strict=True)]


def _title(found: Derivatives, pair: tuple[int, int]) -> str:
    one, other = found.outputs[pair[0]], found.inputs[pair[1]]
    units = "" if one.units == other.units else style.units_text(units_of_derivative(one.units, other.units))
    return f"∂{one.name} / ∂{other.name}{f'  ({units})' if units else ''}"


def _matrix(part: Any, found: Derivatives) -> None:
    from matplotlib.colors import SymLogNorm

    panel = part.subplots()
    norm, values = SymLogNorm(LINEAR_BELOW, linscale=0.4, vmin=-1.0, vmax=1.0), normalised_means(found)
    panel.set_facecolor("0.85")
    image = panel.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", norm=norm, aspect="auto", interpolation="none")
    panel.set_xticks(range(len(found.inputs)), [one.name for one in found.inputs], rotation=60, ha="right")
    panel.set_yticks(range(len(found.outputs)), [one.name for one in found.outputs])
    for shown, draw_line in ((found.inputs, panel.axvline), (found.outputs, panel.axhline)):
        for position, (one, following) in enumerate(itertools.pairwise(shown)):
            if one.group != following.group:
                draw_line(position + 0.5, color="0.1", lw=0.8)
    panel.spines[["top", "right"]].set_visible(True)
    panel.tick_params(length=2)
    panel.set_title(
        "mean derivative of a step's result (rows) with respect to its input (columns), "
        "standard deviations per standard deviation of the training data",
        loc="left",
    )
    ticks = [-1.0, -0.1, -0.01, 0.0, 0.01, 0.1, 1.0]
    bar = part.colorbar(image, ax=panel, fraction=0.03, pad=0.01, extend="both", ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()


def running_mean(times: Values, values: Values, days: float) -> Values:
    """Means of what is finite within half of ``days`` of each time; NaN where nothing is."""
    when, known = (times - times[0]) / np.timedelta64(1, "D"), np.isfinite(values)
    sums = np.pad(np.cumsum([np.where(known, values, 0.0), known], axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    first, last = np.searchsorted(when, when - 0.5 * days), np.searchsorted(when, when + 0.5 * days, side="right")
    total, number = sums[:, last] - sums[:, first]
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _series(part: Any, found: Derivatives, shown: list[tuple[int, int]], column: int) -> None:
    times = on_axis(found.times, found.calendar)
    panels = style.panels_of(part, 2 * len(shown), 4, width_ratios=(3.2, 1.0, 3.2, 1.0))
    for left, right, pair in zip(panels[::2], panels[1::2], shown, strict=True):
        values = found.values[pair][:, column]
        left.plot(times, values, ".", ms=1.5, color="0.6")
        left.plot(times, running_mean(times, values, SMOOTH_DAYS), color="0.1", lw=1.0)
        left.set_title(_title(found, pair), loc="left", fontsize=8)
        style.date_axis(left)
        means = by_hemisphere(found.values[pair], found.times, found.latitude, found.calendar)
        colours = (style.DIAGNOSTIC_COLOUR, style.STATE_COLOUR)
        for of_seasons, colour, name in zip(means, colours, HEMISPHERES, strict=True):
            right.plot(range(len(SEASONS)), of_seasons, "o-", ms=3, lw=1.0, color=colour, label=name)
        right.set_xticks(range(len(SEASONS)), SEASONS, fontsize=6.5)
        right.grid(axis="y", lw=0.3, color="0.88")
        for panel in (left, right):
            panel.axhline(0.0, color="0.7", lw=0.5)
    panels[1].legend(fontsize=6.5, loc="best", handlelength=1.0)
    where = style.location_text(found.latitude[column], found.longitude[column])
    part.suptitle(
        f"through time at {where} (dots; line: mean over {SMOOTH_DAYS:g} days), "
        "and means over all columns of a hemisphere by season",
        x=0.01, ha="left", fontsize=9,
    )  # fmt: skip
