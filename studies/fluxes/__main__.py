"""Fine-tuning of turbulent fluxes on towers, told at sites that were not learnt from.

    python -m studies.fluxes TOWERS DATA --work WORK -o docs/studies/fluxes.md

Sensible and latent heat of the default model are tuned on what towers outside the Europe-like box observed, beside
ecLand's columns, which hold all else where it was; each time one site is left out, and towers in the box are never
learnt from. At the site left out a free run through its whole period is compared with its observations, before and
after, beside ecLand at the same site and empirical benchmarks learnt at the same other sites.

The irrigated site US-Bi1 is in no table: its water is not in the forcing.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import xarray as xr

from ailand_gt4py.core.settings import read_settings, read_yaml
from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.scores.lead_time import free_run_scores
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.evaluation.towers.scores import TowerScore
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.training import session
from ailand_gt4py.training.configuration import Configuration, Learns
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model
from studies import page

CONFIGURATION = Path(__file__).with_name("configuration.yaml")
REHEARSAL, HOLD_OUT = "ecland_synth_6h_train_d.nc", "ecland_synth_6h_holdout.nc"
#: Sites whose fluxes do not follow from the weather.
IRRIGATED = ("US-Bi1",)
#: How many times as often as ecLand's columns a tower's windows are drawn: about a third of all are of towers.
TOWER_FREQUENCY = 40
BEFORE, AFTER = verification.EMULATOR, "tuned"
SHOWN = (BEFORE, AFTER, verification.ECLAND, "1lin", "3km27")


@dataclasses.dataclass(frozen=True)
class Site:
    """A tower with observed fluxes."""

    name: str
    path: Path
    in_box: bool
    columns: VerificationColumns
    observed: Mapping[str, Observed]


def sites_of(directory: Path, model: Model) -> list[Site]:
    """All towers in a directory with sensible and latent heat."""
    fluxes = [one for one in verification.observable(model) if one.name in verification.FLUXES]
    found = []
    for path in sorted(directory.glob("tower_*_6h.nc")):
        name = path.name.removeprefix("tower_").removesuffix("_6h.nc")
        with xr.open_dataset(path) as data:
            has_fluxes = all(f"obs_{flux.name}" in data for flux in fluxes)
            in_box = bool(data.europe_box.values.all()) if "europe_box" in data else False
        if has_fluxes and name not in IRRIGATED:
            columns = read_columns(path, model, np.dtype(np.float32))
            found.append(Site(name, path, in_box, columns, read_observed([path], fluxes)))
    return found


def tuned(model: Path, sites: Sequence[Site], data: Path, learns: str, directory: Path) -> Model:
    """The model tuned on some sites, unless it is there already."""
    output = directory / "model.nc"
    if output.exists():
        return read_model(output)
    files = [*(site.path for site in sites), data / REHEARSAL]
    options = dict(read_yaml(CONFIGURATION))
    names = [path.name for path in files]
    options["data"] = options["data"] | {"train": names, "frequency": dict.fromkeys(names[:-1], TOWER_FREQUENCY)}
    options["adaptation"] = options["adaptation"] | {"learns": learns}
    options["run"] = options["run"] | {"start_from": str(model), "directory": str(directory)}
    configuration = read_settings(Configuration, options)
    return session.train(configuration, files, output, False, "python -m studies.fluxes", lambda line: None)


def scores_at(site: Site, before: Model, after: Model, others: Sequence[Site]) -> dict[str, dict[str, TowerScore]]:
    """Flux -> whose -> score, all in the same windows."""
    benchmarks = verification.benchmarks_of(
        [verification.site_of(before, other.columns, other.observed) for other in others]
    )
    studies = [
        verification.make_study(model, site.columns, run_free(model, site.columns), site.observed, benchmarks)
        for model in (before, after)
    ]
    found = {}
    for first, second in zip(studies[0].variables, studies[1].variables, strict=True):
        models = {**first.models, AFTER: second.models[verification.EMULATOR]}
        found[first.variable.name] = dataclasses.replace(first, models=models).scores
    return found


def rows_of(found: Mapping[str, Mapping[str, Mapping[str, TowerScore]]]) -> list[str]:
    """A table of RMSE and NME by site and flux."""
    heads = " | ".join(f"{name}: RMSE | NME" for name in SHOWN)
    lines = [f"| site | flux | windows | after / before | {heads} |", "|---|---|" + "---:|" * (2 + 2 * len(SHOWN))]
    for site, fluxes in found.items():
        for flux, scores in fluxes.items():
            cells = " | ".join(f"{scores[name].rmse:.1f} | {scores[name].nme:.2f}" for name in SHOWN)
            ratio = scores[AFTER].rmse / scores[BEFORE].rmse
            lines.append(f"| {site} | {flux} | {scores[BEFORE].n} | {ratio:.3f} | {cells} |")
    return lines


def mean_ratios(found: Mapping[str, Mapping[str, Mapping[str, TowerScore]]], of: str = BEFORE) -> dict[str, float]:
    """Flux -> mean over sites of the RMSE after tuning over that of another."""
    return {
        flux: statistics.mean(fluxes[flux][AFTER].rmse / fluxes[flux][of].rmse for fluxes in found.values())
        for flux in verification.FLUXES
    }


def unlearnt(before: Mapping[str, float], after: Model, columns: VerificationColumns) -> dict[str, float]:
    """RMSE against ecLand after over before, by variable, on columns of ecLand."""
    return {one.variable: one.rmse / before[one.variable] for one in free_run_scores(after, columns)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Fine-tuning of turbulent fluxes on towers.")
    parser.add_argument("towers", type=Path, metavar="TOWERS")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="(default: the model that ships)")
    parser.add_argument("--learns", nargs="+", choices=get_args(Learns), default=list(get_args(Learns)))
    parser.add_argument("--work", type=Path, default=Path("out/fluxes"), help="directory of the trained models")
    parser.add_argument("-o", "--output", type=Path, default=Path("fluxes.md"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    model, start = read_model(options.model), options.work / "start.nc"
    write_model(model, start)
    sites = sites_of(options.towers, model)
    outside = [site for site in sites if not site.in_box]
    hold_out = read_columns(options.data / HOLD_OUT, model, np.dtype(np.float32))
    usual = {one.variable: one.rmse for one in free_run_scores(model, hold_out)}
    heads = " | ".join(f"{flux}: after / before | worst site | after / ecLand" for flux in verification.FLUXES)
    summary = [
        f"| learnt | {heads} | largest loss on the hold-out, of what was not observed |",
        "|---|" + "---:|" * (3 * len(verification.FLUXES)) + "---|",
    ]
    tables: list[str] = []
    for learns in options.learns:
        found = {}
        for site in sites:
            others = [one for one in outside if one is not site]
            after = tuned(start, others, options.data, learns, options.work / f"{learns}_without_{site.name}")
            found[site.name] = scores_at(site, model, after, others)
        everything = tuned(start, outside, options.data, learns, options.work / f"{learns}_all")
        lost = unlearnt(usual, everything, hold_out)
        name = max((one for one in lost if one not in verification.FLUXES), key=lost.__getitem__)
        ratios, of_ecland = mean_ratios(found), mean_ratios(found, verification.ECLAND)
        worst = {
            flux: max(one[flux][AFTER].rmse / one[flux][BEFORE].rmse for one in found.values())
            for flux in verification.FLUXES
        }
        cells = " | ".join(
            f"{ratios[flux]:.3f} | {worst[flux]:.3f} | {of_ecland[flux]:.3f}" for flux in verification.FLUXES
        )
        summary.append(f"| {learns} | {cells} | {name} {100.0 * (lost[name] - 1.0):+.1f} % |")
        tables += [f"**{learns}**", "", *rows_of(found), ""]
    lines = [
        "# Turbulent fluxes tuned on towers",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.fluxes`; W m-2, means over 6 hours; {len(outside)} sites to learn from.",
        "",
        *summary,
        "",
        *tables,
    ]
    page.write(options.output, lines[:-1])
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
