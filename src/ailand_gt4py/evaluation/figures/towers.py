"""Figure of models beside what towers observed: cycles through day and year, and all windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ailand_gt4py.core.times import step_text
from ailand_gt4py.evaluation.figures import style
from ailand_gt4py.evaluation.towers.verification import ECLAND, EMULATOR, TowerStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "observed": style.TRUTH_COLOUR,
    EMULATOR: style.DIAGNOSTIC_COLOUR,
    ECLAND: style.STATE_COLOUR,
    "1lin": style.PERSISTENCE_COLOUR,
    "3km27": style.CLIMATOLOGY_COLOUR,
}


@style.styled()
def tower_figure(study: TowerStudy) -> Figure:
    """A row for each variable: means by hour (UTC) and by month, then the emulator's windows over the observed."""
    figure = style.new_figure(style.WIDTH, 2.1 * len(study.variables) + 0.4)
    panels = style.panels_of(figure, 3 * len(study.variables), 3)
    for number, one in enumerate(study.variables):
        row = panels[3 * number : 3 * number + 3]
        for panel, of, label in zip(row, ("hour", "month"), ("hour, UTC", "month"), strict=False):
            classes, means = one.cycle(of)
            if of == "hour" and len(classes) == 1:
                panel.set_axis_off()
                panel.text(0.0, 0.5, f"means over {step_text(one.window)}", transform=panel.transAxes)
                continue
            for name, values in means.items():
                panel.plot(classes, values, ".-", color=COLOURS[name], lw=1.2, ms=4, label=name)
            panel.set_xticks(classes[:: max(1, len(classes) // 8)])
            panel.set_xlabel(label)
            panel.set_ylabel(style.units_text(one.variable.units))
            panel.grid(axis="y", lw=0.3, color="0.85")
        row[0].set_title(one.variable.name, loc="left", fontweight="bold")
        run = one.models[EMULATOR]
        known = np.isfinite(run) & np.isfinite(one.observed)
        row[2].plot(
            one.observed[known], run[known], ".", color=COLOURS[EMULATOR], ms=2, mew=0, alpha=0.6, rasterized=True
        )
        ends = np.array([one.observed[known].min(), one.observed[known].max()]) if known.any() else np.zeros(2)
        row[2].plot(ends, ends, color="0.4", lw=0.7)
        row[2].set_xlabel(style.with_units("observed", one.variable.units))
        row[2].set_ylabel(EMULATOR)
    # The fluxes have most models.
    most = max(range(len(study.variables)), key=lambda k: len(study.variables[k].models))
    figure.legend(*panels[3 * most + 1].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure
