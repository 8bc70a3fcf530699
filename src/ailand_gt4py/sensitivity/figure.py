"""The figure of sensitivities: a matrix of normalised derivatives, some of them through time, by season and on maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style as figure_style
from ailand_gt4py.evaluation.figures.space import draw_map, map_extent, map_shrink
from ailand_gt4py.evaluation.figures.style import date_axis, location_text, nearest_column, units_text
from ailand_gt4py.sensitivity.composites import HEMISPHERES, SEASONS, by_hemisphere, mean
from ailand_gt4py.sensitivity.derivatives import Derivatives
from ailand_gt4py.sensitivity.quantities import units_of_derivative
from ailand_gt4py.sensitivity.summary import normalised_means

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

NORTH_COLOUR, SOUTH_COLOUR = "#1f77b4", "#d1495b"
SMOOTH_DAYS = 15.0


def draw(found: Derivatives, at: tuple[float, float] | None) -> Any:
    """The figure.

    Args:
        at: latitude and longitude of the location whose nearest column is shown through time; None: the first.
    """
    shown = shown_pairs(found)
    has_maps = len(found.latitude) >= MAPS_FROM
    n_rows, n_columns = len(found.outputs), len(found.inputs)
    extent = map_extent(found.longitude, found.latitude)
    width = figure_style.WIDTH
    heights = [0.17 * n_rows + 2.2, 1.5 * ((len(shown) + 1) // 2) + 0.5]
    if has_maps:
        west, east, south, north = extent
        map_height = (width / 3.0 - 0.9) * (north - south) / ((east - west) * map_shrink(extent))
        heights.append((min(map_height, 3.2) + 0.35) * -(-len(shown) // 3) + 0.1)
    with figure_style.styled():
        figure = figure_style.new_figure(max(width, 0.2 * n_columns + 2.0), sum(heights))
        parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        _matrix(parts[0], found)
        _series(parts[1], found, shown, nearest_column(found.latitude, found.longitude, at))
        if has_maps:
            _maps(parts[2], found, shown, extent)
    return figure


def shown_pairs(found: Derivatives) -> list[tuple[int, int]]:
    """Pairs, by positions: those of `SHOWN`, or the strongest where none of them was computed."""
    pairs = [position for position in (found.positions(*names) for names in SHOWN) if position is not None]
    if pairs:
        return pairs
    means = np.nan_to_num(np.abs(normalised_means(found)), nan=-1.0)
    order = np.argsort(-means, axis=None, kind="stable")[: min(MOST_SHOWN, means.size)]
    return [(int(position) // means.shape[1], int(position) % means.shape[1]) for position in order]


def raised(units: str) -> str:
    """Units of a derivative for a figure."""
    above, separator, below = units.partition(" / (")
    return f"{units_text(above) or '1'}{separator}{units_text(below.removesuffix(')'))}{')' if separator else ''}"


def _title(found: Derivatives, pair: tuple[int, int]) -> str:
    one, other = found.outputs[pair[0]], found.inputs[pair[1]]
    units = units_of_derivative(one.units, other.units)
    if one.units == other.units or units == "1":
        return f"∂{one.name} / ∂{other.name}"
    return f"∂{one.name} / ∂{other.name}  ({raised(units)})"


def _matrix(part: Any, found: Derivatives) -> None:
    from matplotlib.colors import SymLogNorm

    values = normalised_means(found)
    panel = part.subplots()
    norm = SymLogNorm(LINEAR_BELOW, linscale=0.4, vmin=-1.0, vmax=1.0)
    panel.set_facecolor("0.85")
    image = panel.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", norm=norm, aspect="auto", interpolation="none")
    panel.set_xticks(np.arange(len(found.inputs)), [one.name for one in found.inputs], rotation=60, ha="right")
    panel.set_yticks(np.arange(len(found.outputs)), [one.name for one in found.outputs])
    for edge in _edges([one.group for one in found.inputs]):
        panel.axvline(edge, color="0.1", lw=0.8)
    for edge in _edges([one.group for one in found.outputs]):
        panel.axhline(edge, color="0.1", lw=0.8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(True)
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


def _edges(groups: Sequence[str]) -> list[float]:
    return [position - 0.5 for position in range(1, len(groups)) if groups[position] != groups[position - 1]]


def running_mean(times: Values, values: Values, days: float) -> Values:
    """Means of what is finite within half of ``days`` of each time; NaN where nothing is."""
    when = (times - times[0]) / np.timedelta64(1, "D")
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0), dtype=np.float64)])
    count = np.concatenate([[0], np.cumsum(known)])
    first, last = np.searchsorted(when, when - 0.5 * days), np.searchsorted(when, when + 0.5 * days, side="right")
    number = count[last] - count[first]
    return np.where(number > 0, (total[last] - total[first]) / np.maximum(number, 1), np.nan)


def _series(part: Any, found: Derivatives, shown: list[tuple[int, int]], column: int) -> None:
    rows = -(-len(shown) // 2)
    panels = part.subplots(rows, 4, squeeze=False, width_ratios=(3.2, 1.0, 3.2, 1.0))
    for panel in panels.flat:
        panel.set_axis_off()
    for number, pair in enumerate(shown):
        left = panels[number // 2, 2 * (number % 2)]
        right = panels[number // 2, 2 * (number % 2) + 1]
        values = found.values[pair][:, column]
        left.set_axis_on()
        left.plot(found.times, values, ".", ms=1.5, color="0.6")
        left.plot(found.times, running_mean(found.times, values, SMOOTH_DAYS), color="0.1", lw=1.0)
        left.axhline(0.0, color="0.7", lw=0.5)
        left.set_title(_title(found, pair), loc="left", fontsize=8)
        date_axis(left)
        right.set_axis_on()
        means = by_hemisphere(found.values[pair], found.times, found.latitude)
        for side, colour in enumerate((NORTH_COLOUR, SOUTH_COLOUR)):
            right.plot(np.arange(len(SEASONS)), means[side], "o-", ms=3, lw=1.0, color=colour, label=HEMISPHERES[side])
        right.axhline(0.0, color="0.7", lw=0.5)
        right.set_xticks(np.arange(len(SEASONS)), SEASONS, fontsize=6.5)
        right.grid(axis="y", lw=0.3, color="0.88")
    panels[0, 1].legend(fontsize=6.5, loc="best", handlelength=1.0)
    where = location_text(float(found.latitude[column]), float(found.longitude[column]))
    part.suptitle(
        f"through time at {where} (dots; line: mean over {SMOOTH_DAYS:g} days), "
        "and means over all columns of a hemisphere by season",
        x=0.01, ha="left", fontsize=9,
    )  # fmt: skip


def _maps(
    part: Any, found: Derivatives, shown: list[tuple[int, int]], extent: tuple[float, float, float, float]
) -> None:
    panels = part.subplots(-(-len(shown) // 3), 3, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    locations = found.longitude, found.latitude
    for panel, pair in zip(panels.flat, shown, strict=False):
        values = mean(found.values[pair], axis=0)
        bound = figure_style.symmetric(values)
        draw_map(part, panel, locations, values, "RdBu_r", (-bound, bound), extent, f"mean {_title(found, pair)}")
