"""The HTML report of a study: one file, with everything in it."""

from __future__ import annotations

import ailand_gt4py
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.evaluation.figures import space as figures_space
from ailand_gt4py.evaluation.figures import time as figures_time
from ailand_gt4py.evaluation.figures.style import Drawing
from ailand_gt4py.evaluation.report import checks as report_checks
from ailand_gt4py.evaluation.report import data as report_data
from ailand_gt4py.evaluation.report import report_attachments
from ailand_gt4py.evaluation.report import sections as report_sections
from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer
from ailand_gt4py.evaluation.report.html_page import Section, definitions, figure, page
from ailand_gt4py.evaluation.runs import FreeRun
from ailand_gt4py.evaluation.study import Study


def html_report(
    study: Study,
    columns: VerificationColumns,
    run: FreeRun,
    at: tuple[float, float] | None = None,
    transfer: Transfer | None = None,
    alternatives: Alternatives | None = None,
) -> str:
    """The report.

    Args:
        study: what is shown. columns, run: that it was made of, for the time series.
        at: latitude and longitude of the time series; None: the most ordinary column.
        transfer, alternatives: results of other studies to show.

    Returns:
        HTML; it refers to nothing outside itself.
    """
    figures = _Figures()
    part = report_sections
    sections = [
        Section("leads", "Skill by lead time", figures.of(figures_time.lead_drawing(study)) + part.lead_tables(study)),
        Section("free", "Free run", part.free_run_table(study)),
        Section("published", "Against aiLand v1", part.published_table(study)),
        Section(
            "series",
            "At one point",
            "".join(figures.of(drawing) for drawing in figures_time.series_drawings(study, columns, run, at)),
        ),
        Section("maps", "Where", "".join(figures.of(drawing) for drawing in figures_space.map_drawings(study))),
        Section("density", "Value against value", figures.of(figures_space.density_drawing(study))),
        Section("box", "Held-out region", part.box_table(study) + figures.of(figures_space.box_drawing(study))),
        Section("groups", "Regions, climates, soils, snow", part.group_tables(study)),
        Section("seasons", "Seasonal cycles", figures.of(figures_time.season_drawing(study)) or _NO_CLIMATES),
        Section(
            "budgets", "Budgets", report_checks.budget_tables(study) + figures.of(figures_time.budget_drawing(study))
        ),
        Section("ranges", "Physical ranges", report_checks.range_table(study)),
        Section("cost", "Cost", report_checks.cost_section(study)),
        Section("transfer", "Transfer", report_attachments.transfer_section(transfer)),
        Section("alternatives", "Alternatives", report_attachments.alternatives_section(alternatives)),
        Section("methods", "Definitions", report_checks.method_section(study)),
        Section("model", "The model", _model(study)),
    ]
    title = f"Evaluation of {study.model.provenance.get('title', f'a {study.model.architecture} model')}"
    return page(
        title,
        _lead(study),
        part.headline(study),
        sections,
        report_data.of_study(study),
        f"Made by ailand evaluate (ailand_gt4py {ailand_gt4py.__version__}).",
    )


_NO_CLIMATES = "<p>The file does not say the columns' climates.</p>"


class _Figures:
    """Numbers figures in the order in which they come."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, drawing: Drawing | None) -> str:
        self._count += drawing is not None
        return figure(drawing, self._count)


def _lead(study: Study) -> str:
    first, last = (str(time.astype("datetime64[D]")) for time in (study.times[0], study.times[-1]))
    return (
        f"{study.file.name}: {len(study.locations.x)} columns, {first} to {last}, steps of "
        f"{study.model.step_seconds / 3600.0:g} h, against ecLand"
    )


def _model(study: Study) -> str:
    model = study.model
    entries = [
        ("network", f"{model.architecture}, {model.parameter_count} parameters"),
        ("state", ", ".join(variable.name for variable in model.state)),
        ("diagnostics", ", ".join(variable.name for variable in model.diagnostics)),
        ("forcing", ", ".join(variable.name for variable in model.forcing)),
        *((key.replace("_", " "), str(text)) for key, text in sorted(model.provenance.items())),
    ]
    return definitions(entries)
