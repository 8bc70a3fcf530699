"""Sections of a report that show results of other studies: transfer between regions, alternatives."""

from __future__ import annotations

import math

from ailand_gt4py.evaluation.report.attachments import Alternatives, Transfer
from ailand_gt4py.evaluation.report.html_page import Cell, heading, number, paragraph, table


def transfer_section(transfer: Transfer | None) -> str:
    """The transfer matrix, or how to give one."""
    if transfer is None:
        return paragraph("None given: --transfer FILE.json shows a matrix here (docs/evaluation.md).")
    parts = [heading(transfer.title)]
    for name, units, values in transfer.matrices:
        rows: list[list[Cell | str]] = []
        for position, trained in enumerate(transfer.trained_on):
            # A model is at home in the region of its own name: the ratio to that is what a transfer costs.
            own = values[position, transfer.tested_on.index(trained)] if trained in transfer.tested_on else math.nan
            shades = [value / own if own > 0.0 else math.nan for value in values[position]]
            rows.append([trained, *(Cell(number(v), shade=s) for v, s in zip(values[position], shades, strict=True))])
        caption = (
            f"{name} ({units}): {transfer.metric}. Rows: trained on; columns: tested on. Shaded by the ratio to the "
        )
        parts.append(table(["trained on", *transfer.tested_on], rows, caption + "score in the row's own region."))
    return "".join(parts) + (paragraph(transfer.note) if transfer.note else "")


def alternatives_section(alternatives: Alternatives | None) -> str:
    """The table of alternatives, or how to give one."""
    if alternatives is None:
        return paragraph("None given: --alternatives FILE.json shows other methods here (docs/evaluation.md).")
    header = ["method", *(f"{name} ({units})" for name, units in alternatives.variables)]
    header += ["parameters", "µs per column and step", "training (min)", "note"]
    best = {
        name: min((m.scores[name] for m in alternatives.methods if math.isfinite(m.scores[name])), default=math.nan)
        for name, _ in alternatives.variables
    }
    rows: list[list[Cell | str]] = []
    for method in alternatives.methods:
        scores = [method.scores[name] for name, _ in alternatives.variables]
        kinds = ["good" if score == best[name] else "" for score, name in zip(scores, best, strict=True)]
        cells: list[Cell | str] = [method.name]
        cells += [Cell(number(score), kind) for score, kind in zip(scores, kinds, strict=True)]
        size = f"{method.parameters:,.0f}".replace(",", " ") if math.isfinite(method.parameters) else "–"
        cells += [size, number(method.microseconds), number(method.training_minutes), Cell(method.note, "prose")]
        rows.append(cells)
    caption = f"{alternatives.metric}; the lowest in green."
    text = heading(alternatives.title) + table(header, rows, caption)
    return text + (paragraph(alternatives.note) if alternatives.note else "")
