"""Figures over columns: maps of errors, density of truth and run, the held-out box against the rest."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.groups import HELD_OUT_BOX
from ailand_gt4py.evaluation.study import Study, VariableStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: West, east, south and north of a map, degrees.
Extent = tuple[float, float, float, float]

#: Coastlines: Natural Earth 1:110m (public domain); the file says where it is from.
COASTLINES = Path(__file__).with_name("coastlines.json")
#: Variables of the maps, those of them that there are.
MAPPED = ("swvl1", "swvl3", "stl1", "stl3", "sd", "skt", "sshf", "slhf")
#: Bins along each side of the density of truth and run.
DENSITY_BINS = 90
#: Degrees around the columns that a map shows at least.
MARGIN = 6.0


def coastlines() -> tuple[Values, ...]:
    """Coastlines, (n_points, 2) longitude and latitude in degrees each."""
    return tuple(map(np.array, json.loads(COASTLINES.read_text(encoding="utf-8"))["lines"]))


@functools.cache
def _coast() -> Values:
    """All coastlines as one line with gaps: much quicker to draw than a line each."""
    gap = np.full((1, 2), np.nan)
    return np.concatenate([part for line in coastlines() for part in (line, gap)])


def mapped(study: Study) -> list[VariableStudy]:
    """Variables that maps show."""
    return study.those(MAPPED) or list(study.variables[:4])


def map_regions(study: Study) -> dict[str, tuple[Values, Extent]]:
    """Columns (booleans) and extents of maps: of all, and of the held-out box where it has many of the columns."""
    locations, inside = study.locations, study.locations.in_box
    regions = {"all columns": (np.ones_like(inside), map_extent(locations.longitude, locations.latitude))}
    if inside.sum() >= 5 and not inside.all():
        south, north, west, east = HELD_OUT_BOX
        regions["the held-out box"] = (inside, (west - 2.0, east + 2.0, south - 1.5, north + 1.5))
    return regions


def map_extent(longitude: Values, latitude: Values, margin: float = MARGIN) -> Extent:
    """Extent of a map that shows all of the locations, degrees."""
    highest = max(180.0, longitude.max())
    west, east = max(-180.0, longitude.min() - margin), min(highest, longitude.max() + margin)
    south, north = max(-60.0, latitude.min() - margin), min(85.0, latitude.max() + margin)
    return (-180.0, 180.0, -60.0, 85.0) if east - west > 200.0 else (west, east, south, north)


def map_shrink(extent: Extent) -> float:
    """How much shorter a degree of longitude is than one of latitude; 1 on maps of the world."""
    west, east, south, north = extent
    return 1.0 if east - west > 200.0 else math.cos(math.radians(0.5 * (south + north)))


def map_aspect(extent: Extent) -> float:
    """Height of a map over its width."""
    west, east, south, north = extent
    return (north - south) / ((east - west) * map_shrink(extent))


@style.styled()
def map_figure(study: Study, chosen: Values, extent: Extent) -> Figure:
    """Maps of RMSE and bias of the free run at some of the columns."""
    shown, across = mapped(study), 4
    locations = study.locations.longitude[chosen], study.locations.latitude[chosen]
    height = min(2.6, (style.WIDTH / across - 0.75) * map_aspect(extent))
    total = math.ceil(2 * len(shown) / across) * (height + 0.42) + 0.1
    figure = style.new_figure(style.WIDTH, total, layout=None)
    panels = style.panels_of(figure, 2 * len(shown), across)
    figure.subplots_adjust(0.03, 0.25 / total, 0.955, 1.0 - 0.25 / total, wspace=0.2, hspace=0.42 / height)
    for position, panel in enumerate(panels):
        variable, is_bias = shown[position // 2], bool(position % 2)
        score = SCORES["bias" if is_bias else "rmse"]
        values = score.formula(variable.free)[chosen]
        title = f"{variable.name} {style.with_units(score.title, variable.units)}"
        draw_map(figure, panel, locations, values, extent, title, is_signed=is_bias)
        # The scale of colours of the panel to the left is where its latitudes would be.
        panel.tick_params(labelleft=position % across == 0)
    return figure


def draw_map(
    figure: Figure,
    panel: Axes,
    locations: tuple[Values, Values],
    values: Values,
    extent: Extent,
    title: str,
    is_signed: bool = True,
) -> None:
    """Draw columns, (n_columns,) values at longitudes and latitudes in degrees, on a map."""
    bound, colours = style.symmetric(values), "RdBu_r" if is_signed else "YlOrRd"
    draw_coast(panel, extent)
    order = np.argsort(np.abs(values))  # the large ones on top
    longitude, latitude = (axis[order] for axis in locations)
    points = panel.scatter(
        longitude, latitude, 15.0, values[order], cmap=colours, vmin=-bound * is_signed, vmax=bound,
        edgecolors="0.25", linewidths=0.35, zorder=3,
    )  # fmt: skip
    frame(panel, extent)
    panel.tick_params(labelsize=6, length=2)
    panel.set_title(title, loc="left", fontsize=8, pad=3)
    bar = figure.colorbar(points, ax=panel, fraction=0.05, pad=0.02, aspect=22)
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=6, length=2)


def draw_coast(panel: Axes, extent: Extent, is_above: bool = False) -> None:
    """Draw coastlines, beyond the date line again; ``is_above``: over what is drawn, not under it."""
    for shift in (0.0, 360.0) if extent[1] > 180.0 else (0.0,):
        longitude, latitude = _coast().T
        panel.plot(
            longitude + shift, latitude, color="0.15" if is_above else "0.62", lw=0.45, zorder=4 if is_above else 1
        )


def frame(panel: Axes, extent: Extent) -> None:
    """Limits, ticks and frame of a map."""
    panel.set_aspect(1.0 / map_shrink(extent))
    for low, high, limit, tick in (
        (*extent[:2], panel.set_xlim, panel.set_xticks),
        (*extent[2:], panel.set_ylim, panel.set_yticks),
    ):
        step = next((step for step in (5.0, 10.0, 20.0, 30.0) if (high - low) / step <= 6.0), 60.0)
        tick(np.arange(math.ceil(low / step) * step, high + 1e-9, step))
        limit(low, high)
    panel.grid(lw=0.25, color="0.9", zorder=0)
    panel.spines[["top", "right"]].set_visible(True)


def density(truth: Values, run: Values) -> tuple[Values, Values]:
    """Numbers of pairs in `DENSITY_BINS` squared, truth along the first axis, and the edges of the bins of both."""
    # A handful of extremes must not push all else into one corner.
    low, high = np.quantile(np.stack([truth, run], dtype=np.float64), (0.0002, 0.9998))
    edges = np.linspace(low, high if high > low else low + 1.0, DENSITY_BINS + 1)
    return np.histogram2d(truth.ravel(), run.ravel(), bins=(edges, edges))[0], edges


@style.styled()
def density_figure(study: Study) -> Figure:
    """Density of truth and run for every variable."""
    from matplotlib.colors import LogNorm

    figure, panels = style.grid(len(study.variables), 5, 2.0)
    densities = [density(variable.truth, variable.run) for variable in study.variables]
    norm = LogNorm(1.0, max(2.0, *(float(counts.max()) for counts, _ in densities)))
    for panel, variable, (counts, edges) in zip(panels, study.variables, densities, strict=True):
        shown = np.where(counts > 0, counts, np.nan).T
        mesh = panel.pcolormesh(edges, edges, shown, cmap="viridis", norm=norm, rasterized=True)
        panel.plot(edges[[0, -1]], edges[[0, -1]], color="0.1", lw=0.6, ls="--")
        panel.set_aspect("equal")
        panel.locator_params(nbins=4)
        title = f"{variable.name}   r = {SCORES['correlation'].of(variable.free):.3f}"
        panel.set_title(title, loc="left", fontsize=8)
        panel.set_xlabel(style.with_units("ecLand", variable.units), fontsize=7.5)
        panel.set_ylabel(style.with_units("emulator", variable.units), fontsize=7.5)
    bar = figure.colorbar(mesh, ax=panels, fraction=0.012, pad=0.01, aspect=60)
    bar.set_label("pairs in a bin")
    return figure


@style.styled()
def box_figure(study: Study) -> Figure | None:
    """RMSE in the held-out box over RMSE elsewhere; None where one of them has no columns."""
    boxes = study.boxes
    shown = [one for one in study.variables if one.name in boxes and math.isfinite(boxes[one.name].ratio)]
    if not shown:
        return None
    figure = style.new_figure(6.4, 0.21 * len(shown) + 0.9)
    panel, height = figure.subplots(), np.arange(len(shown))[::-1]
    colours = [style.colour_of(variable.is_state) for variable in shown]
    low, high = np.array([boxes[one.name].interval for one in shown]).T
    panel.axvline(1.0, color="0.4", lw=0.8)
    panel.hlines(height, low, high, color=colours, lw=1.4, alpha=0.6)
    panel.scatter([boxes[one.name].ratio for one in shown], height, color=colours, s=26, zorder=3)
    panel.set_yticks(height, [variable.name for variable in shown])
    panel.set_xlabel("RMSE in the box / RMSE elsewhere")
    panel.grid(axis="x", lw=0.3, color="0.88")
    panel.margins(y=0.06)
    return figure
