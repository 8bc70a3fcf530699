"""Towers with observed fluxes, and how models do there."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import FreeRun, run_free
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.weights.model import Model

#: Sites whose fluxes do not follow from the weather.
IRRIGATED = ("US-Bi1",)
BEFORE, AFTER = verification.EMULATOR, "tuned"
SHOWN = (BEFORE, AFTER, verification.ECLAND, "1lin", "3km27")

#: Flux -> whose -> score, at a site.
Scores = Mapping[str, Mapping[str, TowerScore]]


@dataclasses.dataclass(frozen=True)
class Site:
    """A tower with observed fluxes, and the free run of the model before it is tuned."""

    name: str
    path: Path
    in_box: bool
    columns: VerificationColumns
    observed: Mapping[str, Observed]
    before: FreeRun


def sites_of(directory: Path, model: Model) -> list[Site]:
    """All towers in a directory with sensible and latent heat, but those that are irrigated."""
    fluxes = [one for one in verification.observable(model) if one.name in verification.FLUXES]
    found = []
    for path in sorted(directory.glob("tower_*_6h.nc")):
        name = path.name.removeprefix("tower_").removesuffix("_6h.nc")
        with xr.open_dataset(path) as data:
            has_fluxes = all(f"obs_{flux.name}" in data for flux in fluxes)
            in_box = bool(data.europe_box.values.all()) if "europe_box" in data else False
        if has_fluxes and name not in IRRIGATED:
            columns = read_columns(path, model, np.dtype(np.float32))
            observed = read_observed([path], fluxes)
            found.append(Site(name, path, in_box, columns, observed, run_free(model, columns)))
    return found


def scores_at(site: Site, before: Model, after: Model, others: Sequence[Site]) -> dict[str, dict[str, TowerScore]]:
    """Flux -> whose -> score, all in the same windows; empirical benchmarks are learnt at the other sites."""
    benchmarks = verification.benchmarks_of(
        [verification.site_of(before, other.columns, other.observed) for other in others]
    )
    runs = ((before, site.before), (after, run_free(after, site.columns)))
    studies = [
        verification.make_study(model, site.columns, run, site.observed, benchmarks).variables for model, run in runs
    ]
    return {
        first.variable.name: dataclasses.replace(
            first, models={**first.models, AFTER: second.models[verification.EMULATOR]}
        ).scores
        for first, second in zip(*studies, strict=True)
    }


def ratios(found: Mapping[str, Scores], of: str = BEFORE) -> dict[str, list[float]]:
    """Flux -> of each site the RMSE after tuning over that of another."""
    return {
        flux: [fluxes[flux][AFTER].rmse / fluxes[flux][of].rmse for fluxes in found.values()]
        for flux in verification.FLUXES
    }


def rows_of(found: Mapping[str, Scores]) -> list[str]:
    """A table of RMSE and NME by site and flux."""
    heads = " | ".join(f"{name}: RMSE | NME" for name in SHOWN)
    lines = [f"| site | flux | windows | after / before | {heads} |", "|---|---|" + "---:|" * (2 + 2 * len(SHOWN))]
    for site, fluxes in found.items():
        for flux, scores in fluxes.items():
            cells = " | ".join(f"{scores[name].rmse:.1f} | {scores[name].nme:.2f}" for name in SHOWN)
            ratio = scores[AFTER].rmse / scores[BEFORE].rmse
            lines.append(f"| {site} | {flux} | {scores[BEFORE].n} | {ratio:.3f} | {cells} |")
    return lines


def summary(by_part: Mapping[str, Mapping[str, Scores]], lost: Mapping[str, str]) -> list[str]:
    """A table with a row for each part of the network that was learnt; ``lost``: what else became of it."""
    heads = " | ".join(f"{flux}: after / before | worst site | after / ecLand" for flux in verification.FLUXES)
    lines = [
        f"| trained part | {heads} | largest loss on columns of ecLand, of unobserved variables |",
        "|---|" + "---:|" * (3 * len(verification.FLUXES)) + "---|",
    ]
    for part, found in by_part.items():
        of_before, of_ecland = ratios(found), ratios(found, verification.ECLAND)
        cells = " | ".join(
            f"{statistics.mean(of_before[flux]):.3f} | {max(of_before[flux]):.3f} | "
            f"{statistics.mean(of_ecland[flux]):.3f}"
            for flux in verification.FLUXES
        )
        lines.append(f"| {part} | {cells} | {lost[part]} |")
    return lines
