"""One look for all figures of a report, and how they get into its single file."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from ailand_gt4py.evaluation.figures.series import DIAGNOSTIC_COLOUR, STATE_COLOUR, units_text

TRUTH_COLOUR = "0.15"
PERSISTENCE_COLOUR, CLIMATOLOGY_COLOUR, PUBLISHED_COLOUR = "#8a8a8a", "#3a7d44", "#7b3f9d"

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


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure in a report.

    Attributes:
        figure: of matplotlib. kind: how it is stored: "svg" for lines and few points, "png" for many.
        alt: what it shows, for those who cannot see it. caption: below it.
    """

    figure: Any
    kind: Literal["svg", "png"]
    alt: str
    caption: str


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw within this: the settings hold for figures made inside and change nothing else."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Any:
    """An empty figure, inches; it needs no display.

    With many panels the constrained layout takes longer than all the drawing: those have their places set.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def grid(n_panels: int, across: int, panel_height: float, **options: Any) -> tuple[Any, list[Any]]:
    """A figure with panels in rows; those left over in the last row are hidden."""
    across = max(1, min(across, n_panels))
    down = math.ceil(n_panels / across)
    figure = new_figure(WIDTH * min(1.0, across / 3.0 + 0.2) if across < 3 else WIDTH, panel_height * down + 0.45)
    panels = list(figure.subplots(down, across, squeeze=False, **options).flat)
    for panel in panels[n_panels:]:
        panel.set_axis_off()
    return figure, panels[:n_panels]


def data_uri(drawing: Drawing) -> str:
    """The figure as a data URI; the same figure gives the same text."""
    stream = io.BytesIO()
    with styled():
        if drawing.kind == "svg":
            drawing.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        else:
            drawing.figure.savefig(stream, format="png", dpi=RESOLUTION, metadata={"Software": None})
    media = "image/svg+xml" if drawing.kind == "svg" else "image/png"
    return f"data:{media};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def with_units(text: str, units: str) -> str:
    """A label of an axis, its units in brackets."""
    shown = units_text(units)
    return f"{text} ({shown})" if shown else text


def colour_of(is_state: bool) -> str:
    """The emulator's colour: states and diagnostics are told apart throughout."""
    return STATE_COLOUR if is_state else DIAGNOSTIC_COLOUR


def symmetric(values: np.ndarray) -> float:
    """A bound for a colour scale around zero: the 98th percentile of magnitudes, positive."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.quantile(finite, 0.98)) or 1e-12 if finite.size else 1.0


def upper(values: np.ndarray) -> float:
    """A bound for a colour scale from zero: the 98th percentile, positive."""
    return symmetric(values)
