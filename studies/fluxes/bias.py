"""What tuning has learnt, the fluxes after less those before: by leaves, snow, dryness and sun, and on a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.figures import space, style
from ailand_gt4py.evaluation.runs import FreeRun
from ailand_gt4py.evaluation.towers.verification import FLUXES
from ailand_gt4py.io.whole_files import write_figure
from ailand_gt4py.observations.observed import Observed
from ailand_gt4py.weights.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Snow cover below which the ground is bare.
BARE = 0.01


class Class(NamedTuple):
    """Classes by one quantity of `Windows`: edges, lower end included; whether only of windows without snow."""

    title: str
    quantity: str
    edges: tuple[float, ...]
    is_bare: bool


CLASSES = (
    Class("leaf area, m2 m-2, without snow", "leaf_area", (0.0, 0.5, 1.0, 2.0, 3.0, np.inf), True),
    Class("snow cover", "snow", (0.0, BARE, 0.5, np.inf), False),
    Class("soil wetness (0 wilting point, 1 field capacity), without snow", "wetness",
          (-np.inf, 0.0, 0.25, 0.5, 0.75, 1.0, np.inf), True),
    Class("downward short wave, W m-2", "sun", (0.0, 5.0, 200.0, 400.0, np.inf), False),
)  # fmt: skip


class Windows(NamedTuple):
    """Windows of columns, (n_windows, n_columns) each.

    Attributes:
        leaf_area: m2 of leaves over m2 of the column. snow: its fraction under snow. wetness: of the uppermost metre, 0
            at the wilting point, 1 at field capacity. sun: W m-2. State at the window's end, before tuning.
        learnt: flux -> tuned less before, W m-2, positive downward.
        lacking: flux -> observed less before, NaN where nothing was observed.
    """

    leaf_area: Values
    snow: Values
    wetness: Values
    sun: Values
    learnt: Mapping[str, Values]
    lacking: Mapping[str, Values]


def windows_of(
    model: Model,
    columns: VerificationColumns,
    before: FreeRun,
    after: FreeRun,
    observed: Mapping[str, Observed] | None = None,
) -> Windows:
    """Of free runs of a model and of one tuned from it."""
    static = {one.name: columns.static[:, k].astype(np.float64) for k, one in enumerate(model.static)}
    forcing = {one.name: columns.forcing[:-1, :, k].astype(np.float64) for k, one in enumerate(model.forcing)}
    outputs = [one.name for one in (*model.state, *model.diagnostics)]

    def of(run: FreeRun, name: str) -> Values:
        return np.asarray(run.results[..., outputs.index(name)], dtype=np.float64)

    leaves = sum(static[f"clim_cv{one}"] * static[f"clim_veg_cov{one}"] * forcing[f"lai_{one}v"] for one in "hl")
    layers = np.stack([of(before, f"swvl{layer}") for layer in (1, 2, 3)])
    water = np.average(layers, axis=0, weights=LAYER_THICKNESS[:3])
    wilting, capacity = static["clim_theta_pwp"], static["clim_theta_cap"]
    lacking = {}
    for name, one in (observed or {}).items():
        there = one.on_labels(columns.times, step_of(model.step_seconds)).well_measured()
        lacking[name] = there.values[:-1] - of(before, name)
    return Windows(
        leaf_area=np.asarray(leaves),
        snow=of(before, "snowc"),
        wetness=(water - wilting) / (capacity - wilting),
        sun=forcing["met_swdown"],
        learnt={name: of(after, name) - of(before, name) for name in FLUXES},
        lacking=lacking,
    )


def class_means(windows: Sequence[Windows], kind: Class) -> dict[str, Values]:
    """By class, (n_classes,) each: the share of all windows ("share"), and mean learnt and lacking of each flux.

    Those of "lacking FLUX" and "learnt FLUX, observed" are of windows with observations, whose number is "n".
    """

    def joined(values: Sequence[Values]) -> Values:
        return np.concatenate([one.ravel() for one in values])

    quantity, snow = (joined([getattr(one, name) for one in windows]) for name in (kind.quantity, "snow"))
    among = snow < BARE if kind.is_bare else np.ones(snow.shape, dtype=bool)
    number = np.searchsorted(kind.edges, quantity, side="right") - 1
    chosen = [among & (number == k) for k in range(len(kind.edges) - 1)]
    found = {"share": np.array([one.mean() for one in chosen])}
    is_observed = all(one.lacking for one in windows)
    for name in FLUXES:
        learnt = joined([one.learnt[name] for one in windows])
        found[f"learnt {name}"] = np.array([_mean(learnt[one]) for one in chosen])
        if is_observed:
            lacking = joined([one.lacking[name] for one in windows])
            there = [one & np.isfinite(lacking) for one in chosen]
            found["n"] = np.array([one.sum() for one in there])
            found[f"lacking {name}"] = np.array([_mean(lacking[one]) for one in there])
            found[f"learnt {name}, observed"] = np.array([_mean(learnt[one]) for one in there])
    return found


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")


def _interval(low: float, high: float) -> str:
    if np.isinf(low):
        return f"below {high:g}"
    return f"from {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


def table(columns: Sequence[Windows], towers: Sequence[Windows]) -> list[str]:
    """Tables of the mean that was learnt by class on columns of ecLand, and at towers that were left out."""
    of_tower = (("lacking", ""), ("learnt", ", observed"))
    of_towers = " | ".join(f"{name}: observed - before | tuned - before" for name in FLUXES)
    head = " | ".join(["of all windows", *(f"{name}: tuned - before" for name in FLUXES), "at towers", of_towers])
    lines: list[str] = []
    for kind in CLASSES:
        here, there = class_means(columns, kind), class_means(towers, kind)
        lines += [f"| {kind.title} | {head} |", "|---|" + "---:|" * 8]
        for k, ends in enumerate(zip(kind.edges[:-1], kind.edges[1:], strict=True)):
            cells = [f"{100.0 * here['share'][k]:.1f} %", *(_signed(here[f"learnt {name}"][k]) for name in FLUXES)]
            cells.append(f"{there['n'][k]}")
            for name in FLUXES:
                cells += [_signed(there[f"{what} {name}{more}"][k]) for what, more in of_tower]
            lines.append(f"| {_interval(*ends)} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _signed(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.1f}"


@style.styled()
def map_figure(longitude: Values, latitude: Values, windows: Sequence[Windows], path: Path) -> None:
    """Maps of the mean that was learnt of each flux at columns, degrees, in the order of the windows' columns."""
    extent = space.map_extent(longitude, latitude)

    def drawn() -> Figure:
        figure = style.new_figure(style.WIDTH, style.WIDTH / 2.0 * space.map_aspect(extent) + 0.4)
        for panel, name in zip(style.panels_of(figure, len(FLUXES), len(FLUXES)), FLUXES, strict=True):
            means = np.concatenate([one.learnt[name].mean(axis=0) for one in windows])
            title = style.with_units(f"{name}, tuned - before", "W m-2")
            space.draw_map(figure, panel, (longitude, latitude), means, extent, title)
        return figure

    write_figure(path, drawn, resolution=150)
