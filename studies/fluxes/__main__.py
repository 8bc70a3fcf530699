"""Fine-tuning of turbulent fluxes on towers, scored at sites not used in training.

    python -m studies.fluxes TOWERS DATA --work WORK -o docs/studies/fluxes.md

Sensible and latent heat of the default model are tuned on observations of towers outside the Europe-like box, together
with columns of ecLand on which everything else is held to the values of the original model. One site is left out at a
time, and towers in the box are never used in training. At the site left out, a free run through its whole period is
compared with its observations, before and after tuning, with ecLand at the same site and with empirical benchmarks
trained on the same other sites. The effect on everything else is measured on columns of ecLand that no training used:
the hold-out columns and those of `configs/development_points.csv`. The conclusions are in
[training](../training.md#fluxes-of-towers).

The irrigated site US-Bi1 is in no table: its water is not in the forcing.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.evaluation.towers import verification
from ailand_gt4py.training.configuration import Learns
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page
from studies.fluxes import bias, sites, unobserved
from studies.fluxes.sites import Scores, Site
from studies.fluxes.tuning import REHEARSAL, Tuning, years

HOLD_OUT, POINTS = "ecland_synth_6h_holdout.nc", Path("configs/development_points.csv")
#: Parts of the network that are learnt; `all` is the diagnostic block again, since all else is held.
PARTS = tuple(part for part in get_args(Learns) if part != "all")
#: The part that is looked at more closely, and the shares of the sites' time that it is learnt from.
CHOSEN: Learns = "last_layers"
SHARES = (0.25, 0.5)


def left_out(tuning: Tuning, all_sites: Sequence[Site], learns: str, share: float = 1.0) -> dict[str, Model]:
    """Site -> the model tuned on all others outside the box, on the first share of their time."""
    outside = [site for site in all_sites if not site.in_box]
    return {site.name: tuning.model([one for one in outside if one is not site], learns, share) for site in all_sites}


def scores_of(all_sites: Sequence[Site], start: Model, models: dict[str, Model]) -> dict[str, Scores]:
    """Site -> scores of the model that has not learnt from it; benchmarks are learnt at all others outside the box."""
    outside = [site for site in all_sites if not site.in_box]
    return {
        site.name: sites.scores_at(site, start, models[site.name], [one for one in outside if one is not site])
        for site in all_sites
    }


class Spent(NamedTuple):
    """What was learnt from, site-years, and scores at the site left out."""

    years: float
    scores: Scores


def amount_row(what: str, share: float, by_site: Sequence[Sequence[Spent]]) -> str:
    """A row of `amounts`; each site left out counts alike, with however many choices of others was learnt."""

    def average(values: Callable[[Spent], float]) -> float:
        return statistics.mean(statistics.mean(map(values, one)) for one in by_site)

    def ratio(of: Spent, flux: str) -> float:
        scores = of.scores[flux]
        return scores[sites.AFTER].rmse / scores[sites.BEFORE].rmse

    every = [one for spent in by_site for one in spent]
    cells = [f"{average(lambda one: one.years):.1f}"]
    worse = 0
    for flux in verification.FLUXES:
        ratios = [ratio(one, flux) for one in every]
        cells += [f"{average(lambda one, flux=flux: ratio(one, flux)):.3f}", f"{max(ratios):.3f}"]
        worse += sum(one > 1.0 for one in ratios)
    return f"| {what} | {share:g} | {' | '.join(cells)} | {worse} of {len(verification.FLUXES) * len(every)} |"


def amounts(tuning: Tuning, all_sites: Sequence[Site], full: dict[str, Scores]) -> list[str]:
    """A table of what fewer sites, and less of their time, come to at the site left out."""
    outside = [site for site in all_sites if not site.in_box]
    others = {site.name: [one for one in outside if one is not site] for site in all_sites}
    heads = " | ".join(f"{flux}: after / before | worst" for flux in verification.FLUXES)
    lines = [f"| training sites | share of their time | site-years | {heads} | worse at the site left out |"]
    lines.append("|---|---:|---:|" + "---:|" * (2 * len(verification.FLUXES) + 1))
    for count in range(1, len(outside)):
        by_site = [
            [
                Spent(
                    years(chosen), sites.scores_at(site, tuning.start, tuning.model(chosen, CHOSEN), others[site.name])
                )
                for chosen in itertools.combinations(others[site.name], count)
            ]
            for site in all_sites
        ]
        lines.append(amount_row(f"{count} of those outside the box", 1.0, by_site))
    for share in (*SHARES, 1.0):
        scores = full
        if share < 1.0:
            scores = scores_of(all_sites, tuning.start, left_out(tuning, all_sites, CHOSEN, share))
        by_site = [[Spent(years(others[name], share), one)] for name, one in scores.items()]
        lines.append(amount_row("all but the site left out", share, by_site))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Fine-tuning of turbulent fluxes on towers.")
    parser.add_argument("towers", type=Path, metavar="TOWERS")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="(default: the model that ships)")
    parser.add_argument("--learns", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--work", type=Path, default=Path("out/fluxes"), help="directory of the trained models")
    parser.add_argument("-o", "--output", type=Path, default=Path("fluxes.md"))
    options = parser.parse_args()
    start = read_model(options.model)
    tuning = Tuning(start, options.data, options.work)
    all_sites = sites.sites_of(options.towers, start)
    outside = [site for site in all_sites if not site.in_box]
    files = {
        "hold-out": unobserved.read(options.data / HOLD_OUT, start),
        "development": unobserved.read(options.data / REHEARSAL, start, POINTS),
    }
    models = {learns: left_out(tuning, all_sites, learns) for learns in dict.fromkeys([*options.learns, CHOSEN])}
    scores = {learns: scores_of(all_sites, start, one) for learns, one in models.items()}
    of_all = {learns: tuning.model(outside, learns) for learns in models}
    changes = {
        where: {
            learns: unobserved.changes(start, own, run_free(model, own.columns)) for learns, model in of_all.items()
        }
        for where, own in files.items()
    }
    lost = {learns: unobserved.largest({where: one[learns] for where, one in changes.items()}) for learns in models}
    runs = {where: run_free(of_all[CHOSEN], own.columns) for where, own in files.items()}
    units = {one.name: one.units for one in (*start.state, *start.diagnostics)}
    at_columns = [bias.windows_of(start, own.columns, own.before, runs[where]) for where, own in files.items()]
    at_towers = [
        bias.windows_of(
            start, site.columns, site.before, run_free(models[CHOSEN][site.name], site.columns), site.observed
        )
        for site in all_sites
    ]
    figure = options.output.with_suffix(".png")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    places = (np.concatenate([getattr(own, name) for own in files.values()]) for name in ("longitude", "latitude"))
    bias.map_figure(*places, at_columns, figure)
    lines = [
        "# Turbulent fluxes tuned on towers",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.fluxes`; W m-2, positive downward, means over 6 hours; {len(outside)} training "
        f"sites, {years(outside):.1f} site-years; RMSE, NME (sum of absolute errors over that of deviations from the "
        "observed mean) and their ratios are those at the site left out.",
        "",
        *sites.summary(scores, lost),
        "",
        f"**{CHOSEN}, at the site left out**",
        "",
        *sites.rows_of(scores[CHOSEN]),
        "",
        "## Effect on everything else",
        "",
        "RMSE of free runs against ecLand before tuning, and its change after tuning different parts of the network on "
        "all sites outside the box. For the fluxes themselves the change is intended: ecLand lacks what was learnt.",
        "",
    ]
    for where, own in files.items():
        before = unobserved.errors(start, own.columns, own.before)
        lines += [f"**{where.capitalize()} columns**", ""]
        lines += [*unobserved.change_table(before, changes[where], units), ""]
    lines += [
        f"**Budgets on the hold-out columns without lake and town, {CHOSEN}**",
        "",
        *unobserved.budget_table(
            start, files["hold-out"], {sites.BEFORE: files["hold-out"].before, sites.AFTER: runs["hold-out"]}
        ),
        "",
        "## What tuning changes",
        "",
        f"Mean differences between tuned and original fluxes ({CHOSEN}): for all windows of the hold-out and "
        "development columns, tuned on all sites outside the box; and at towers, tuned without the tower, together "
        "with the observed minus the original fluxes in the same windows.",
        "",
        *bias.table(at_columns, at_towers),
        f"![learnt bias at the columns]({figure.name})",
        "",
        "## How many site-years",
        "",
        f"{CHOSEN}, tuned on fewer sites, or on the first part of their time, with the windows of towers drawn equally "
        "often in all cases; averages over the choices of training sites, and then over the sites left out.",
        "",
        *amounts(tuning, all_sites, scores[CHOSEN]),
    ]
    page.write(options.output, lines)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
