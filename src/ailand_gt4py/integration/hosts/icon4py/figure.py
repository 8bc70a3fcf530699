"""The figure of a coupled run: maps, one cell through time, energy given and received."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.coupling.exchange import LATENT_GIVEN, SENSIBLE_GIVEN

MAPS = (
    ("surface_temperature", "skin temperature", "K", "RdYlBu_r"),
    (SENSIBLE_GIVEN, "sensible heat flux, upward", "W m$^{-2}$", "RdBu_r"),
    (LATENT_GIVEN, "latent heat flux, upward", "W m$^{-2}$", "RdBu_r"),
)
TEMPERATURES = (
    ("surface_temperature", "#d1495b", "skin"),
    ("air_temperature_lowest_level", "#1f77b4", "lowest level"),
    ("stl1", "0.4", "soil, first layer", "--"),
)
FLUXES = (
    (SENSIBLE_GIVEN, "#d1495b", "sensible, upward"),
    (LATENT_GIVEN, "#1f77b4", "latent, upward"),
    ("surface_downwelling_shortwave_flux_in_air", "#e0a100", "short-wave, downward"),
    ("surface_downwelling_longwave_flux_in_air", "0.5", "long-wave, downward"),
)


def draw(path: Path, data: xr.Dataset, longitude: Values, latitude: Values) -> None:
    """Draw the figure.

    Args:
        path: .png, .pdf or .svg. data: of `recorder.Recorder.dataset`.
        longitude, latitude: of the cells' vertices, degrees, (n_cells, 3).

    Raises:
        RunError: the figure cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6}
    ):
        figure = Figure(figsize=(10.8, 7.6), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(3, 2)
        for panel, (name, title, unit, colours) in zip(panels.flat, MAPS, strict=False):
            _map(panel, data, (longitude, latitude), name, unit, colours)
            panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
        cell = _sunniest_cell(data)
        _at_cell(panels[1, 1], data, cell, TEMPERATURES, "temperatures", "K")
        _at_cell(panels[2, 0], data, cell, FLUXES, "fluxes", "W m$^{-2}$")
        _energy(panels[2, 1], data)
        figure.suptitle(
            f"aiLand in ICON4Py: {Path(data.attrs['experiment_grid']).stem}, {data.attrs['n_cells']} cells, "
            f"{data.attrs['n_land']} of them land, dynamics {'on' if data.attrs['experiment_dynamics'] else 'off'}; "
            f"maps at {np.datetime_as_string(data['time'].values[-1], unit='m')} UTC",
            fontsize=10,
        )
        with whole_file(path, "writing the figure") as temporary:
            figure.savefig(temporary, dpi=160)


def _map(panel: Any, data: xr.Dataset, vertices: tuple[Values, Values], name: str, unit: str, colours: str) -> None:
    """Triangles of the land cells; those that lie across the date line are left out."""
    from matplotlib.collections import PolyCollection

    values = data[name].values[-1]
    longitude, latitude = vertices
    x = (longitude + 180.0) % 360.0 - 180.0
    drawn = (data["land_mask"].values == 1) & (np.ptp(x, axis=1) < 180.0)
    triangles = np.stack([x[drawn], latitude[drawn]], axis=-1)
    collection = PolyCollection(list(triangles), array=values[drawn], cmap=colours, edgecolors="face", linewidths=0.2)
    if colours == "RdBu_r":
        largest = float(np.nanmax(np.abs(values))) or 1.0
        collection.set_clim(-largest, largest)
    panel.add_collection(collection)
    ticks = {"xticks": [-120, -60, 0, 60, 120], "yticks": [-60, -30, 0, 30, 60]}
    panel.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal", facecolor="0.94", **ticks)
    panel.figure.colorbar(collection, ax=panel, label=unit, shrink=0.9)


def _sunniest_cell(data: xr.Dataset) -> int:
    """The land cell with most sunshine."""
    sun = data["surface_downwelling_shortwave_flux_in_air"].values.mean(axis=0)
    return int(np.nanargmax(np.where(data["land_mask"].values == 1, sun, np.nan)))


def _axis(panel: Any, title: str, unit: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
    panel.set_ylabel(unit)
    panel.grid(axis="y", lw=0.3, color="0.85")
    locator = AutoDateLocator(minticks=3, maxticks=7)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    panel.legend(frameon=False, fontsize=7)


def _at_cell(panel: Any, data: xr.Dataset, cell: int, lines: Sequence[tuple[Any, ...]], title: str, unit: str) -> None:
    """Lines of one cell: name, colour, label and style of each; those that were not recorded are left out."""
    for name, colour, label, *style in lines:
        if name in data:
            panel.plot(data["time"].values, data[name].values[:, cell], *style, color=colour, lw=1.2, label=label)
    _axis(panel, f"{title} at {float(data['lat'][cell]):.1f}° N, {float(data['lon'][cell]):.1f}° E", unit)


def _energy(panel: Any, data: xr.Dataset) -> None:
    times = data["step_time"].values
    for kind, colour, width, label in (
        ("given", "0.25", 2.4, "given by land"),
        ("received", "#d1495b", 1.0, "received by the air"),
    ):
        energy = np.cumsum(data[f"energy_{kind}_sensible"].values + data[f"energy_{kind}_latent"].values)
        panel.plot(times, energy, color=colour, lw=width, label=label)
    _axis(panel, "energy since the start", "J")
    panel.text(
        0.98, 0.04, f"residual {data.attrs['energy_residual']:.1e} of what was exchanged",
        transform=panel.transAxes, ha="right", fontsize=7, color="0.35",
    )  # fmt: skip
