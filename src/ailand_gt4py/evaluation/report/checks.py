"""Sections of a report: budgets, physical ranges, cost, and how everything is defined."""

from __future__ import annotations

from ailand_gt4py.evaluation import budgets
from ailand_gt4py.evaluation.report.data import cost_text
from ailand_gt4py.evaluation.report.html_page import Cell, definitions, heading, number, paragraph, table
from ailand_gt4py.evaluation.study import Study


def budget_tables(study: Study) -> str:
    """Residuals of both budgets, with what cannot be closed and why."""
    parts = []
    per_day = round(86_400.0 / study.model.step_seconds)
    window = f"{study.model.step_seconds / 3600.0:g} h"
    for budget, residual in study.residuals.items():
        units, day = ("mm", "mm/day") if budget == "water" else ("W m-2", "W m-2")
        rows = []
        for row in study.budget_rows:
            if row.budget != budget or row.score is None:
                continue
            score = row.score
            mean = score.mean * per_day * 365.25 if budget == "water" else score.mean
            cells = [row.whose, row.where, number(score.rms), number(score.rms_day), number(mean), number(score.worst)]
            rows.append([*cells, f"{score.n:,}".replace(",", " ")])
        parts.append(heading(budget.capitalize()))
        parts.append(_closure_text(residual))
        header = ["whose", "where", f"rms in {window} ({units})", f"rms of days ({day})"]
        header += ["mean (mm/year)" if budget == "water" else "mean (W m-2)", f"worst ({units})", "windows"]
        if rows:
            parts.append(table(header, rows, text_columns=2))
        else:
            parts.append(paragraph("The file lacks what ecLand's own residual needs, too."))
    return "".join(parts)


def _closure_text(residual: budgets.Residual) -> str:
    storages = f" It also lacks the storages {', '.join(residual.left_out)}." if residual.left_out else ""
    if residual.values is None:
        return paragraph(
            f"The emulator's {residual.budget} budget cannot be closed: the model does not give "
            f"{', '.join(residual.missing)}, without which what comes in and goes out is not known.{storages} The rows "
            "are ecLand's own."
        )
    if residual.left_out:
        return paragraph(
            f"The model does not give {', '.join(residual.left_out)}: these storages are left out, and ecLand's "
            "residual without the same ones shows how much that alone costs."
        )
    return paragraph("All fluxes and storages are there.")


def range_table(study: Study) -> str:
    """Violations of physical ranges, emulator and ecLand."""
    truth = {count.name: count for count in study.truth_ranges}
    rows = []
    for count in study.run_ranges:
        theirs = truth.get(count.name)
        kind = "bad" if count.violations else "good"
        share = number(1e6 * count.violations / count.n) if count.n else "–"
        cells: list[Cell | str] = [count.name, Cell(str(count.violations), kind), share, str(count.columns)]
        cells += [f"{number(count.worst)} {count.units}" if count.violations else "–"]
        rows.append([*cells, str(theirs.violations) if theirs is not None else "–"])
    if not rows:
        return paragraph("The model has no variable with a known physical range.")
    header = ["check", "violations", "per million", "columns", "worst excess", "ecLand"]
    return table(header, rows, "Values of the free run outside what is physically possible, by more than rounding.")


def cost_section(study: Study) -> str:
    """What the emulator costs beside ecLand."""
    step = study.model.step_seconds
    parts = [paragraph(f"Runs from starts: {cost_text(study.lead_cost, step)}.")]
    parts.append(paragraph(f"Free run: {cost_text(study.free_cost, step)}."))
    parts.append(
        paragraph(
            "Measured in this run, on this machine and its other load; forcing and results are read and kept outside "
            "the timed part, the first step is left out. ecLand: this project's own measurement (six hourly steps, one "
            "core, start-up and output removed, four runs), perhaps on another processor."
        )
    )
    return "".join(parts)


def method_section(study: Study) -> str:
    """How everything is defined, with sources."""
    window = study.window_days
    return definitions(
        [
            ("RMSE, bias", "over all pairs of columns and labels with equal weights; bias is emulator minus ecLand"),
            ("95 % interval", "of the RMSE: 1000 samples of columns drawn with replacement (Efron 1979)"),
            ("persistence", "ecLand's value at the start, held; of a mean over a window that of the previous window"),
            (
                "climatology",
                f"each column's own mean by day of the year ({window} days running) and time of day; all years, or "
                "without the verified one, as a forecaster would have it",
            ),
            (
                "ACC",
                "correlation of the anomalies f' and o' of emulator and ecLand against the climatology of other years",
            ),
            (
                "ACC, centred",
                "means of f' and o' taken off, all columns and labels together (after WMO-No. 485; Wilks 2011)",
            ),
            (
                "ACC, uncentred",
                "means left in: a bias lowers it (ECMWF user guide; Wesselkamp et al. 2025's public code)",
            ),
            ("ACC, temporal", "Pearson's coefficient over the labels of each column, then the mean over columns"),
            ("snow regime", "mean days a year with ecLand's snow cover above one half"),
            (
                "water budget",
                "rain + snow + e - sro - ssro less the change of soil water (4 layers), snow and interception; mm in "
                "a window",
            ),
            (
                "energy budget",
                "ssr + str + sshf + slhf - Lf snowfall less the change of heat in soil (ecLand's heat capacity, with "
                "freezing) and snow; W m-2. ecLand's own residual is the limit of the method",
            ),
            ("scores", "RMSE, bias and correlation by the package 'scores' (Leeuwenburg et al. 2024, JOSS 9, 6889)"),
        ]
    )
