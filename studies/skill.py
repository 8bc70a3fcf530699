"""Skill of models of several sizes, on several kinds of columns not used in training.

    python -m studies.skill DATA TOWERS default=MODEL.nc small=OTHER.nc -o docs/studies/skill.md

Free runs through the whole of each file, never corrected, against ecLand, for three kinds of columns: the hold-out
columns; the columns of the second generation that training leaves out (`configs/development_points.csv`); and towers in
their own weather, for which the table gives the mean of the towers' RMSE. The number of trained parameters and the cost
of a step are given as well: CPU time with many columns at once, the median of several steps, with the models taking
turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import columns_of
from ailand_gt4py.evaluation.literature import AILAND_V1_RMSE
from ailand_gt4py.evaluation.scores.lead_time import free_run_scores
from ailand_gt4py.io.grids import Selection
from ailand_gt4py.io.points import read_points
from ailand_gt4py.io.request import AS_THEY_ARE, Reading
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page

HOLD_OUT, SECOND = "ecland_synth_6h_holdout.nc", "ecland_synth_6h_train_d.nc"
POINTS = Path("configs/development_points.csv")
SHOWN = ("swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc", "sd", "t2m", "d2m", "skt", "sshf", "slhf", "ssr")
#: Columns whose steps are timed, and how many steps of each model.
TIMED_COLUMNS, TIMED_STEPS = 20_000, 15


def rmse(model: Model, path: Path, reading: Reading = AS_THEY_ARE) -> dict[str, float]:
    """RMSE of a free run of all columns of a file by variable; of what the file has."""
    with open_source(path, model, reading=reading) as source:
        columns = columns_of(source, model, np.dtype(np.float32))
    return {one.variable: one.rmse for one in free_run_scores(model, columns) if one.variable not in columns.absent}


def against_published(found: Mapping[str, float]) -> float:
    """Geometric mean of RMSE over aiLand v1's in its free run of four years (Raoult et al. 2026)."""
    return statistics.geometric_mean(found[name] / rmses[2] for name, rmses in AILAND_V1_RMSE.items())


def mean_of_towers(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of the towers' RMSE by variable, of those that they all have."""
    return {name: statistics.mean(one[name] for one in found) for name in found[0] if all(name in one for one in found)}


def microseconds(models: Mapping[str, Model]) -> dict[str, float]:
    """Of a column and step by model, with 20 000 columns at once; the models take turns."""
    steps = {}
    for name, model in models.items():
        emulator = Emulator(model, TIMED_COLUMNS)
        groups = (model.static, model.forcing, model.state)
        static, forcing, state = (
            np.tile(np.float32([one.normalisation.shift for one in group]), (TIMED_COLUMNS, 1)) for group in groups
        )
        prepared = emulator.prepare_static(static)
        steps[name] = lambda emulator=emulator, inputs=(prepared, forcing, state): emulator.step(*inputs)
    taken: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(TIMED_STEPS + 1):
        for name, step in steps.items():
            begun = time.process_time()
            step()
            if turn:
                taken[name].append(time.process_time() - begun)
    return {name: 1e6 * statistics.median(seconds) / TIMED_COLUMNS for name, seconds in taken.items()}


def table(title: str, results: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Rows of Markdown: models by variables."""
    lines = [f"**{title}**", "", "| RMSE | " + " | ".join(SHOWN) + " |", "|---|" + "---:|" * len(SHOWN)]
    for name, found in results.items():
        cells = (f"{found[variable]:.3g}" if variable in found else "-" for variable in SHOWN)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description="Skill of models of several sizes.")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("towers", type=Path, metavar="TOWERS")
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL.nc")
    parser.add_argument("-o", "--output", type=Path, default=Path("skill.md"))
    options = parser.parse_args()
    models = {name: read_model(path) for name, _, path in (one.partition("=") for one in options.models)}
    second = dataclasses.replace(AS_THEY_ARE, selection=Selection(points=read_points(POINTS)))
    towers = sorted(options.towers.glob("tower_*_6h.nc"))
    hold_out = {name: rmse(model, options.data / HOLD_OUT) for name, model in models.items()}
    columns = {name: rmse(model, options.data / SECOND, second) for name, model in models.items()}
    sites = {name: [rmse(model, path) for path in towers] for name, model in models.items()}
    costs = microseconds(models)
    lines = [
        "# Skill of models of several sizes",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.skill`. States and fluxes in their own units; {len(towers)} towers.",
        "",
        "| model | trained parameters | microseconds per column and step | RMSE over aiLand v1's, hold-out |",
        "|---|---:|---:|---:|",
    ]
    for name, model in models.items():
        ratio = against_published(hold_out[name])
        lines.append(f"| {name} | {model.parameter_count} | {costs[name]:.2f} | {ratio:.3f} |")
    lines += [
        "",
        *table("Hold-out columns", hold_out),
        *table("Columns of the second generation", columns),
        *table("Towers, mean of their RMSE", {name: mean_of_towers(found) for name, found in sites.items()}),
    ]
    page.write(options.output, lines)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
