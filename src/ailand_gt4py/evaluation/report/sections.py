"""Sections of a report: scores by lead time, of the free run, by group, and against what was published."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.report.data import published_ratios
from ailand_gt4py.evaluation.report.html_page import (
    Cell,
    cards,
    coefficient,
    details,
    heading,
    number,
    paragraph,
    table,
)
from ailand_gt4py.evaluation.scores import metrics
from ailand_gt4py.evaluation.scores.lead_time import LeadScore
from ailand_gt4py.evaluation.study import Study, VariableStudy

_INTERVAL = "95 % interval"
_SHADES = "Shaded by the ratio to the score over all columns: red above, blue below, full colour at three times."


def headline(study: Study) -> str:
    """Key figures above the first section."""
    beats = [all(score.verdict != "no" for score in _asked(study, variable)) for variable in study.variables]
    wrong = sum(count.violations for count in study.run_ranges)
    checked = sum(count.n for count in study.run_ranges)
    low, high = literature.ECLAND_MICROSECONDS
    scale = study.model.step_seconds / literature.ECLAND_STEP_SECONDS
    own = study.lead_cost.cpu_microseconds
    ratios = [ratio for variable in study.variables if (found := published_ratios(variable)) for ratio in found[2:]]
    entries = [
        (
            f"{sum(beats)} of {len(beats)}",
            "variables below persistence and climatology of the other years at all leads",
        ),
        (f"{wrong}", f"of {checked:,} checked values outside the physical range".replace(",", " ")),
        (f"{number(own)} µs", f"CPU per column and step; ecLand {low * scale:.0f} to {high * scale:.0f} µs"),
    ]
    if ratios:
        ratio = math.exp(sum(math.log(value) for value in ratios) / len(ratios)) if min(ratios) > 0.0 else math.nan
        entries.append(
            (f"{number(ratio, 2)} ×", "aiLand v1's published RMSE in the free run (geometric mean, other data)")
        )
    return cards(entries)


def _asked(study: Study, variable: VariableStudy) -> list[LeadScore]:
    return [score for score in variable.curve if any(abs(score.lead_days - days) < 1e-9 for days in study.leads_days)]


def lead_tables(study: Study) -> str:
    """RMSE at the leads asked for, and in folds the baselines and other scores."""
    days = [f"{lead:g} d" for lead in study.leads_days]
    rows = [
        [
            variable.name,
            variable.units,
            *(number(summary.rmse) for _, summary in variable.leads),
            number(variable.free.rmse),
            _interval(variable.free),
        ]
        for variable in study.variables
    ]
    main = table(
        ["variable", "units", *days, "free run", "95 % interval"],
        rows,
        f"RMSE by lead time, over {len(study.locations.x)} columns and {study.n_starts} starts each, and "
        "of one free run through the whole period. "
        "The interval of the free run's RMSE comes from drawing columns with replacement.",
        text_columns=2,
    )
    against: list[list[Cell | str]] = [
        [
            variable.name,
            f"{score.lead_days:g}",
            number(score.rmse),
            number(score.bias),
            number(score.persistence),
            number(score.climatology),
            number(score.climatology_other_years),
            Cell(score.verdict, "bad" if score.verdict == "no" else "good"),
        ]
        for variable in study.variables
        for score in _asked(study, variable)
    ]
    header = ["variable", "lead (d)", "RMSE", "bias", "persistence", "climatology", "clim. other years", "better"]
    folds = [details("Against persistence and climatology", table(header, against))]
    named: Sequence[tuple[str, Callable[[metrics.Summary], float]]] = (
        ("Correlation", lambda summary: summary.correlation),
        ("ACC, centred", lambda summary: summary.acc_centred),
        ("ACC, uncentred", lambda summary: summary.acc_uncentred),
        ("ACC, temporal", lambda summary: summary.acc_temporal),
    )
    for name, pick in named:
        lines = [
            [variable.name, *(coefficient(pick(summary)) for summary in _all_summaries(variable))]
            for variable in study.variables
        ]
        folds.append(details(f"{name} by lead time", table(["variable", *days, "free run"], lines)))
    return main + "".join(folds)


def _all_summaries(variable: VariableStudy) -> list[metrics.Summary]:
    """At the leads asked for, then of the free run."""
    return [*(summary for _, summary in variable.leads), variable.free]


def _interval(summary: metrics.Summary) -> str:
    return _span(summary.interval)


def _span(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{number(low)} to {number(high)}" if math.isfinite(low) else "–"


def free_run_table(study: Study) -> str:
    """All scores of the free run; by year and extremes in a fold."""
    rows = [
        [
            variable.name,
            variable.units,
            number(variable.free.rmse),
            number(variable.free.bias),
            coefficient(variable.free.correlation),
            coefficient(variable.free.acc_centred),
            coefficient(variable.free.acc_uncentred),
            coefficient(variable.free.acc_temporal),
            number(variable.free_run.climatology),
            number(variable.free_run.climatology_other_years),
        ]
        for variable in study.variables
    ]
    header = ["variable", "units", "RMSE", "bias", "correlation", "ACC centred", "ACC uncentred", "ACC temporal"]
    scores = table(
        [*header, "climatology RMSE", "the same, other years"],
        rows,
        "One run of all columns from the first label to the last, never corrected. Climatology: RMSE of each column's "
        "mean by day of the year and time of day, over all years or over the years other than the verified one.",
        text_columns=2,
    )
    n_years = max(len(variable.free_run.rmse_by_year) for variable in study.variables)
    by_year = [
        [
            variable.name,
            variable.units,
            *(number(value) for value in variable.free_run.rmse_by_year),
            *(number(value, 4) for value in (variable.free_run.lowest, variable.free_run.truth_lowest)),
            *(number(value, 4) for value in (variable.free_run.highest, variable.free_run.truth_highest)),
        ]
        for variable in study.variables
    ]
    header = ["variable", "units", *(f"RMSE in year {year + 1}" for year in range(n_years))]
    header += ["lowest", "lowest of ecLand", "highest", "highest of ecLand"]
    caption = "A run that drifts gets worse from year to year. The last year may be longer."
    return scores + details("By year, and extremes", table(header, by_year, caption, text_columns=2))


def published_table(study: Study) -> str:
    """RMSE beside aiLand v1's, with the ratio."""
    rows = []
    for variable in study.variables:
        ratios = published_ratios(variable)
        if ratios is None:
            continue
        published = literature.AILAND_V1_RMSE[variable.name]
        own = dict(variable.leads)
        cells: list[Cell | str] = [variable.name, variable.units]
        for (_, days), theirs, ratio in zip(literature.PROTOCOLS, published, ratios, strict=True):
            mine = variable.free.rmse if days == 0.0 else own[days].rmse if days in own else math.nan
            cells += [number(mine), f"{theirs:g}", Cell(number(ratio, 2), shade=ratio)]
        rows.append(cells)
    if not rows:
        return paragraph("No variable of this model is in the published table.")
    header = ["variable", "units"]
    for name, _ in literature.PROTOCOLS:
        header += [f"{name}: here", "aiLand v1", "ratio"]
    years = (study.times[-1] - study.times[0]).astype("timedelta64[D]").astype(int) / 365.25
    return table(
        header,
        rows,
        "RMSE against ecLand here and as published for aiLand v1 (Raoult et al. 2026, EGUsphere 2026-3620), and their "
        "ratio: below 1 (blue), the error here is the smaller. Other columns, weather and period: the two are not "
        f"scores on the same examination. The free run here is {years:.1f} years long.",
        text_columns=2,
    )


def group_tables(study: Study) -> str:
    """RMSE of the free run by group, with bias, correlation and ACC in folds."""
    parts = []
    for grouping in study.locations.groupings:
        sizes = {name: int(grouping.members(name).sum()) for name in grouping.classes}
        header = ["variable", "all", *(f"{name} ({sizes[name]})" for name in grouping.classes)]
        picks: Sequence[tuple[str, Callable[[metrics.Summary], float], bool]] = (
            ("RMSE", lambda summary: summary.rmse, True),
            ("Bias", lambda summary: summary.bias, False),
            ("Correlation", lambda summary: summary.correlation, False),
            ("ACC, centred", lambda summary: summary.acc_centred, False),
            ("ACC, uncentred", lambda summary: summary.acc_uncentred, False),
            ("ACC, temporal", lambda summary: summary.acc_temporal, False),
        )
        parts.append(heading(f"By {grouping.name}"))
        for name, pick, shaded in picks:
            show = number if name in ("RMSE", "Bias") else coefficient
            rows: list[list[Cell | str]] = []
            for variable in study.variables:
                whole = pick(variable.free)
                cells: list[Cell | str] = [variable.name, show(whole)]
                for group in grouping.classes:
                    value = pick(variable.groups[grouping.name][group])
                    shade = value / whole if shaded and whole > 0.0 else math.nan
                    cells.append(Cell(show(value), shade=shade))
                rows.append(cells)
            caption = f"{name} of the free run by {grouping.name}; number of columns in brackets."
            made = table(header, rows, f"{caption} {_SHADES}" if shaded else caption)
            parts.append(made if shaded else details(name, made))
    return "".join(parts) or paragraph("The file has neither regions, climates, soil types nor snow cover.")


def box_table(study: Study) -> str:
    """The held-out box against the rest."""
    inside = study.locations.in_box
    if not inside.any() or inside.all():
        return paragraph("The columns are all inside or all outside the box 35.5-71.5° N, 11° W-32.5° E.")
    rows = []
    for variable in study.variables:
        if variable.in_box is None or variable.elsewhere is None:
            continue
        ratio = math.nan if variable.box_ratio is None else variable.box_ratio
        cells: list[Cell | str] = [variable.name, variable.units, number(variable.in_box.rmse)]
        cells += [_interval(variable.in_box), number(variable.elsewhere.rmse), _interval(variable.elsewhere)]
        cells += [Cell(number(ratio, 3), shade=ratio), _span(variable.box_interval)]
        rows.append([*cells, *(number(one, 3) for one in (variable.box_ratio_alike, variable.box_ratio_climatology))])
    text = table(
        [
            "variable",
            "units",
            "RMSE in the box",
            _INTERVAL,
            "RMSE elsewhere",
            _INTERVAL,
            "ratio",
            _INTERVAL,
            "snow regimes alike",
            "of the climatology",
        ],
        rows,
        f"Free run at the {int(inside.sum())} columns in the box 35.5-71.5° N, 11° W-32.5° E and at the "
        f"{int((~inside).sum())} elsewhere. Where no column of the box was trained on, the ratio says what a region "
        "without training data costs: 1 is no cost, if the columns are alike. Then the ratio as if they were: each "
        "snow regime counts elsewhere as often as in the box. Last, the plain ratio of the climatology of other years: "
        "how much more there is to err in.",
        text_columns=2,
    )
    return f'<div class="box">{text}</div>'
