"""What becomes of what was not observed when fluxes are tuned: skill against ecLand, and budgets, on its columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ailand_gt4py.core.constants import VAPORISATION_HEAT
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation import budgets, fields
from ailand_gt4py.evaluation.columns import VerificationColumns, columns_of
from ailand_gt4py.evaluation.runs import FreeRun, run_free
from ailand_gt4py.evaluation.scores.moments import rmse
from ailand_gt4py.evaluation.towers.verification import FLUXES
from ailand_gt4py.io.grids import Selection
from ailand_gt4py.io.points import read_points
from ailand_gt4py.io.request import AS_THEY_ARE
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model

SHOWN = (
    "swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc", "t2m", "d2m", "skt", "ssr", "str", "e", "sro", "ssro",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Columns:
    """Columns of ecLand, and the free run of the model before it is tuned.

    Attributes:
        latitude, longitude: (n_columns,) degrees. columns: inputs and truth. truth: its fields.
    """

    latitude: Values
    longitude: Values
    columns: VerificationColumns
    truth: fields.Fields
    before: FreeRun


def read(path: Path, model: Model, points: Path | None = None) -> Columns:
    """Columns of a file, or those at points."""
    selection = Selection() if points is None else Selection(points=read_points(points))
    with open_source(path, model, reading=dataclasses.replace(AS_THEY_ARE, selection=selection)) as source:
        columns, truth = columns_of(source, model, np.dtype(np.float32)), fields.read_truth(source)
        return Columns(source.latitude, source.longitude, columns, truth, run_free(model, columns))


def errors(model: Model, columns: VerificationColumns, run: FreeRun) -> dict[str, float]:
    """Variable -> RMSE of a free run against ecLand."""
    found = {}
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        truth = columns.output(position)[run.labels(variable)]
        found[variable.name] = float(rmse(run.results[..., position].astype(np.float64) - truth))
    return found


def changes(model: Model, own: Columns, run: FreeRun) -> dict[str, float]:
    """Variable -> the change of its RMSE against ecLand by tuning, a part of that before."""
    before = errors(model, own.columns, own.before)
    after = errors(model, own.columns, run)
    return {name: after[name] / before[name] - 1.0 for name in before}


def largest(found: Mapping[str, Mapping[str, float]]) -> str:
    """The largest loss of what was not observed, over the files, as text; "none" below a twentieth of a percent."""
    where, name = max(
        ((file, name) for file, one in found.items() for name in one if name not in FLUXES),
        key=lambda pair: found[pair[0]][pair[1]],
    )
    loss = f"{100.0 * found[where][name]:+.1f} %"
    return "none" if float(loss.split()[0]) <= 0.0 else f"{name} {loss} ({where})"


def change_table(
    before: Mapping[str, float], found: Mapping[str, Mapping[str, float]], units: Mapping[str, str]
) -> list[str]:
    """RMSE before, and its changes in percent by what was learnt, in a row for each variable."""
    lines = [f"| variable | units | RMSE before | {' | '.join(found)} |", "|---|---|---:|" + "---:|" * len(found)]
    for name in (*SHOWN, *FLUXES):
        cells = " | ".join(f"{100.0 * one[name]:+.1f} %" for one in found.values())
        lines.append(f"| {name} | {units[name]} | {before[name]:.3g} | {cells} |")
    return lines


def budget_table(model: Model, own: Columns, runs: Mapping[str, FreeRun]) -> list[str]:
    """Residuals of the water and energy budgets of runs, and of ecLand, on columns without lake and town.

    And how far latent heat and evaporation are from each other where there is no snow, of which the water budget is.
    """
    lines = [
        "| residual | whose | units | rms over 6 h | rms over a day | mean |",
        "|---|---|---|---:|---:|---:|",
    ]
    kept = budgets.land_only(own.truth)
    residuals = {name: fields.of_run(model, run, own.truth) for name, run in runs.items()} | {"ecLand": own.truth}
    for budget, residual_of in (("water", budgets.water_residual), ("energy", budgets.energy_residual)):
        for whose, one in residuals.items():
            residual = residual_of(one)
            assert residual.values is not None  # the model has all fluxes
            score = budgets.score(residual.values, own.truth.step_seconds, budget == "water", kept)
            lines.append(_budget_row(budget, whose, residual.units, score))
    snowy = budgets.is_snowy(own.truth)
    assert snowy is not None  # the files have snow depth
    for whose, one in residuals.items():
        difference = one.values["slhf"] - VAPORISATION_HEAT * one.values["e"]
        score = budgets.score(difference, own.truth.step_seconds, False, kept & ~snowy)
        lines.append(_budget_row("latent heat minus that of evaporation, without snow", whose, "W m-2", score))
    return lines


def _budget_row(budget: str, whose: str, units: str, score: budgets.ResidualScore) -> str:
    cells = " | ".join(f"{value:.3g}" for value in (score.rms, score.rms_day, score.mean))
    return f"| {budget} | {whose} | {units} | {cells} |"
