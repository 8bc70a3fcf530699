"""The figure of a coupled run: maps, one cell through time, energy given and received."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.coupling.exchange import LATENT_GIVEN, SENSIBLE_GIVEN

MAPS = (
    ("surface_temperature", "skin temperature", "K"),
    (SENSIBLE_GIVEN, "sensible heat flux, upward", "W m$^{-2}$"),
    (LATENT_GIVEN, "latent heat flux, upward", "W m$^{-2}$"),
)
#: Lines: name, colour, label and style of each.
TEMPERATURES: tuple[tuple[str, ...], ...] = (
    ("surface_temperature", "#d1495b", "skin"),
    ("air_temperature_lowest_level", "#1f77b4", "lowest level"),
    ("stl1", "0.4", "soil, first layer", "--"),
)
FLUXES: tuple[tuple[str, ...], ...] = (
    (SENSIBLE_GIVEN, "#d1495b", "sensible, upward"),
    (LATENT_GIVEN, "#1f77b4", "latent, upward"),
    ("surface_downwelling_shortwave_flux_in_air", "#e0a100", "short-wave, downward"),
    ("surface_downwelling_longwave_flux_in_air", "0.5", "long-wave, downward"),
)
ENERGIES: tuple[tuple[str, ...], ...] = (
    ("given", "0.25", "given by land"),
    ("received", "#d1495b", "received by the air", "--"),
)
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "date.converter": "concise",
    "grid.color": "0.85",
    "grid.linewidth": 0.3,
    "legend.fontsize": 7,
    "legend.frameon": False,
}


def draw(data: xr.Dataset, grid: Path) -> Figure:
    """The figure of a run's records on the grid of a file."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.8, 7.6), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(3, 2)
        with xr.open_dataset(grid) as vertices:
            longitude, latitude = (np.rad2deg(vertices[f"c{name}_vertices"].values) for name in ("lon", "lat"))
        for panel, (name, title, unit) in zip(panels.flat, MAPS, strict=False):
            _map(panel, data, name, (longitude + 180.0) % 360.0 - 180.0, latitude, unit)
            panel.set_title(title)
        # The land cell with most sunshine.
        sun = data["surface_downwelling_shortwave_flux_in_air"].mean("time").where(data["land_mask"] == 1)
        cell = data.isel(cell=int(np.nanargmax(sun.values)))
        where = f"at {float(cell['lat']):.1f}° N, {float(cell['lon']):.1f}° E"
        for panel, lines, title, unit in (
            (panels[1, 1], TEMPERATURES, f"temperatures {where}", "K"),
            (panels[2, 0], FLUXES, f"fluxes {where}", "W m$^{-2}$"),
        ):
            recorded = [(cell[name].values, *look) for name, *look in lines if name in data]
            _draw_lines(panel, data["time"].values, recorded, title, unit)
        energy = [
            ((data[f"energy_{kind}_sensible"] + data[f"energy_{kind}_latent"]).cumsum().values, *look)
            for kind, *look in ENERGIES
        ]
        residual = f"residual {data.attrs['energy_residual']:.1e} of the energy exchanged"
        title = f"energy since the start ({residual})"
        _draw_lines(panels[2, 1], data["step_time"].values, energy, title, "J")
        figure.suptitle(
            f"aiLand in ICON4Py: {Path(data.attrs['experiment_grid']).stem}, {data.attrs['n_cells']} cells, "
            f"{data.attrs['n_land']} of them land, dynamics {'on' if data.attrs['experiment_dynamics'] else 'off'}; "
            f"maps at {np.datetime_as_string(data['time'].values[-1], unit='m')} UTC",
            fontsize=10,
        )
    return figure


def _map(panel: Any, data: xr.Dataset, name: str, longitude: Any, latitude: Any, unit: str) -> None:
    """Triangles of the land cells; those that lie across the date line are left out."""
    drawn = (data["land_mask"].values == 1) & (np.ptp(longitude, axis=1) < 180.0)
    x, y = longitude[drawn], latitude[drawn]
    colours: dict[str, Any] = {"cmap": "RdYlBu_r"} if unit == "K" else {"cmap": "RdBu_r", "norm": CenteredNorm()}
    triangles = np.arange(x.size).reshape(x.shape)
    values = data[name].values[-1, drawn]
    cells = panel.tripcolor(x.ravel(), y.ravel(), triangles, facecolors=values, edgecolors="face", lw=0.2, **colours)
    ticks = {"xticks": [-120, -60, 0, 60, 120], "yticks": [-60, -30, 0, 30, 60]}
    panel.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal", facecolor="0.94", **ticks)
    panel.figure.colorbar(cells, ax=panel, label=unit, shrink=0.9)


def _draw_lines(panel: Any, times: Values, lines: Sequence[tuple[Any, ...]], title: str, unit: str) -> None:
    for values, colour, label, *style in lines:
        panel.plot(times, values, *style, color=colour, lw=1.2, label=label)
    panel.set(title=title, ylabel=unit)
    panel.grid(axis="y")
    panel.legend()
