"""The map of a variable of a finished run at one time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.figures import space, style
from ailand_gt4py.io.output import RunOutput
from ailand_gt4py.io.whole_files import write_figure
from ailand_gt4py.weights.model import Variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So few cells are drawn as points, of this area (points squared), whatever their grid.
FEWEST_CELLS, POINT_AREA = 12, 40.0
#: Degrees around the columns that a map of a part of the globe shows.
MARGIN = 2.0


def draw_field(path: Path, run: RunOutput, variable: Variable, time: np.datetime64) -> None:
    """Draw a variable of a run at one of its times, units in brackets; of an ensemble the mean of the members."""
    index = int(np.flatnonzero(run.times == time)[0])
    values = run.read(variable.name, slice(index, index + 1))[0].astype(np.float64)
    longitude, latitude, values, n_members = _of_all_members(run, values)
    title = f"{style.with_units(variable.name, variable.units)}, {time_text(time, run.calendar)}"
    title += f", mean of {n_members} members" if n_members > 1 else ""
    write_figure(path, lambda: field_figure(longitude, latitude, values, title), resolution=200)


def _of_all_members(run: RunOutput, values: Values) -> tuple[Values, Values, Values, int]:
    """Longitudes, latitudes and values of cells, the mean of each one's members, and the number of these."""
    cells, first, group = np.unique(run.cells, return_index=True, return_inverse=True)
    counts = np.bincount(group)
    means = np.bincount(group, weights=values) / counts
    return run.longitude[first], run.latitude[first], means, int(counts.max()) if len(cells) else 1


@style.styled()
def field_figure(longitude: Values, latitude: Values, values: Values, title: str) -> Figure:
    """Values (n_cells,) at locations, degrees, on a map with coastlines."""
    longitude = _in_one_piece(longitude)
    extent = space.map_extent(longitude, latitude, MARGIN)
    aspect = space.map_aspect(extent)
    figure = style.new_figure(style.WIDTH * 0.8, min(max(style.WIDTH * 0.72 * aspect, 2.6), 9.0) + 0.5)
    panel = figure.subplots()
    space.draw_coast(panel, extent, is_above=True)
    size = _marker_size(longitude, latitude, extent, float(figure.get_figwidth()))
    finite = np.isfinite(values)
    low, high = np.quantile(values[finite], (0.01, 0.99)) if finite.any() else (0.0, 1.0)
    points = panel.scatter(
        longitude[finite], latitude[finite], size, values[finite], cmap="viridis", marker="s", linewidths=0.0,
        vmin=low, vmax=high if high > low else low + 1e-6, zorder=2, rasterized=True,
    )  # fmt: skip
    space.frame(panel, extent)
    panel.set_title(title, loc="left")
    bar = figure.colorbar(points, ax=panel, fraction=0.04, pad=0.02, extend="both")
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    return figure


def _in_one_piece(longitude: Values) -> Values:
    """Longitudes from the eastern end of the largest gap between them on, -180 to 180 where they go around."""
    wrapped = np.sort((longitude + 180.0) % 360.0 - 180.0)
    gaps = np.diff(np.append(wrapped, wrapped[0] + 360.0))
    widest = int(np.argmax(gaps))
    west = -180.0 if gaps[widest] < 20.0 else wrapped[(widest + 1) % len(wrapped)]
    return (longitude - west + 1e-6) % 360.0 + west - 1e-6


def _marker_size(longitude: Values, latitude: Values, extent: space.Extent, width: float) -> float:
    """Area of a marker that fills a cell, points squared: of the cells' mean area, within what can be seen."""
    west, east = extent[:2]
    if len(longitude) <= FEWEST_CELLS:
        return POINT_AREA
    area = max(np.ptp(longitude), 1.0) * max(np.ptp(latitude), 1.0) / len(longitude)
    points = 72.0 * 0.8 * width / (east - west)
    return float(np.clip(1.3 * area * points**2 / space.map_shrink(extent), 4.0, 400.0))
