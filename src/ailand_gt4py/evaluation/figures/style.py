"""One look for all figures of a report, and how they get into its single file."""

from __future__ import annotations

import base64
import contextlib
import io
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ailand_gt4py.core.types import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATE_COLOUR, DIAGNOSTIC_COLOUR = "#d1495b", "#1f77b4"
TRUTH_COLOUR = "0.15"
PERSISTENCE_COLOUR, CLIMATOLOGY_COLOUR, PUBLISHED_COLOUR = "#8a8a8a", "#3a7d44", "#7b3f9d"
#: What stands at the end of the time axis whose ticks are years, months, days, hours, minutes, seconds.
OFFSET_FORMATS = ["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"]
#: Pixels per inch of figures that are stored as pictures.
RESOLUTION = 150
#: Width of a figure, inches.
WIDTH = 10.2

STYLE: Any = {
    "font.size": 8.5,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.3",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "ailand",
    "svg.fonttype": "path",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw within this, or in a function decorated with it: the settings change nothing else."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure, inches; it needs no display.

    With many panels the constrained layout takes longer than all the drawing: there the panels' positions are set.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def panels_of(part: Any, n_panels: int, across: int, **how: Any) -> list[Axes]:
    """Panels of a figure or a part of one, in rows; those left over in the last row are hidden."""
    panels = list(part.subplots(-(-n_panels // across), across, squeeze=False, **how).flat)
    for panel in panels[n_panels:]:
        panel.set_axis_off()
    return panels[:n_panels]


def grid(n_panels: int, across: int, panel_height: float, **how: Any) -> tuple[Figure, list[Axes]]:
    """A figure with panels in rows."""
    across = max(1, min(across, n_panels))
    width = WIDTH * min(1.0, across / 3.0 + 0.2) if across < 3 else WIDTH
    figure = new_figure(width, panel_height * math.ceil(n_panels / across) + 0.45)
    return figure, panels_of(figure, n_panels, across, **how)


def data_uri(figure: Figure, kind: Literal["svg", "png"]) -> str:
    """The figure as a data URI, svg for lines and few points, png for many; the same figure gives the same text."""
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with styled():
        figure.savefig(stream, format=kind, dpi=RESOLUTION, metadata=metadata)
    media = "svg+xml" if kind == "svg" else "png"
    return f"data:image/{media};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def units_text(units: str) -> str:
    """Units for a figure, exponents raised."""
    return "" if units == "1" else re.sub(r"(?<=[A-Za-z])-?\d+", r"$^{\g<0>}$", units)


def with_units(text: str, units: str) -> str:
    """A label of an axis, its units in brackets."""
    shown = units_text(units)
    return f"{text} ({shown})" if shown else text


def colour_of(is_state: bool) -> str:
    """The emulator's colour: states and diagnostics differ throughout."""
    return STATE_COLOUR if is_state else DIAGNOSTIC_COLOUR


def symmetric(values: Values) -> float:
    """A bound for a colour scale: the 98th percentile of magnitudes, positive."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.quantile(finite, 0.98)) or 1e-12 if finite.size else 1.0


def nearest_column(latitude: Values, longitude: Values, at: tuple[float, float] | None) -> int:
    """Column nearest to a location on the globe (haversine), all in degrees; the first for no location."""
    if at is None:
        return 0
    phi, theta = np.deg2rad(np.asarray(latitude, np.float64)), np.deg2rad(np.asarray(longitude, np.float64))
    phi_at, theta_at = math.radians(at[0]), math.radians(at[1])
    haversine = (
        np.sin((phi - phi_at) / 2.0) ** 2 + np.cos(phi) * math.cos(phi_at) * np.sin((theta - theta_at) / 2.0) ** 2
    )
    return int(np.argmin(haversine))


def location_text(latitude: float, longitude: float) -> str:
    """A location as in 51.6° N, 4.9° E."""
    east = (longitude + 180.0) % 360.0 - 180.0
    return f"{abs(latitude):.2f}° {'N' if latitude >= 0 else 'S'}, {abs(east):.2f}° {'E' if east >= 0 else 'W'}"


def date_axis(panel: Axes, most_ticks: int = 7) -> None:
    """Dates along the horizontal axis of a panel that is filled from side to side."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=most_ticks)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, offset_formats=OFFSET_FORMATS))
    panel.margins(x=0.0)
