"""Tables of lead-time scores as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.text_table import aligned

if TYPE_CHECKING:  # `ailand --help` need not wait for GT4Py
    from ailand_gt4py.evaluation.scores.lead_time import FreeRunScore, LeadScore

SUFFIXES = (".csv", ".json", ".md")

NOTE = (
    "RMSE over all columns and starts. Climatology: mean by day of the year and time of day of each column, smoothed, "
    "over all years of the file (the verified one included) or over the other years. Better: below persistence and the "
    "climatology of all years (yes), or only that of the other years, or neither (no)."
)


def _lead_rows(scores: Sequence[LeadScore]) -> list[list[str]]:
    """Titles, then a row for each variable and lead."""
    rows = [
        ["variable", "units", "lead (d)", "RMSE", "bias", "persistence", "climatology", "clim. other years", "better"]
    ]
    for score in scores:
        numbers = (score.rmse, score.bias, score.persistence, score.climatology, score.climatology_other_years)
        rows.append([score.variable, score.units, f"{score.lead_days:g}", *map(_text, numbers), score.verdict])
    return rows


def _free_run_rows(scores: Sequence[FreeRunScore]) -> list[list[str]]:
    """Titles, then a row for each variable."""
    header = ["variable", "units", "RMSE", "bias", "climatology", "clim. other years", "RMSE by year", "range"]
    rows = [[*header, "range of the truth"]]
    for score in scores:
        numbers = (score.rmse, score.bias, score.climatology, score.climatology_other_years)
        cells = [*map(_text, numbers), " ".join(map(_text, score.rmse_by_year))]
        cells += [f"{_text(score.lowest)} to {_text(score.highest)}"]
        cells += [f"{_text(score.truth_lowest)} to {_text(score.truth_highest)}"]
        rows.append([score.variable, score.units, *cells])
    return rows


def _text(number: float) -> str:
    return f"{number:.4g}"


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def text_report(leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore]) -> str:
    """Both tables for a terminal."""
    (titles, *rows), (free_titles, *free_rows) = _lead_rows(leads), _free_run_rows(free_run)
    lines = ["Skill by lead time", *aligned(titles, rows, left=2), "", "Free run through the whole period"]
    return "\n".join([*lines, *aligned(free_titles, free_rows, left=2), "", NOTE])


def file_report(
    suffix: str, leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore], more: dict[str, object] | None = None
) -> str:
    """The content of a report file: Markdown and JSON hold both tables, CSV the one by lead time.

    Args:
        suffix: one of `SUFFIXES`.
        leads, free_run: scores.
        more: for JSON: all numbers of a report with figures that is made as well, kept as ``report``.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`.
    """
    if suffix == ".md":
        tables = (as_markdown(_lead_rows(leads)), as_markdown(_free_run_rows(free_run)))
        return f"## Skill by lead time\n\n{tables[0]}\n\n## Free run\n\n{tables[1]}\n\n{NOTE}\n"
    if suffix == ".json":
        content: dict[str, object] = {
            "lead_time": [dataclasses.asdict(score) for score in leads],
            "free_run": [dataclasses.asdict(score) for score in free_run],
            "note": NOTE,
        }
        if more is not None:
            content["report"] = more
        return json.dumps(content, indent=1) + "\n"
    if suffix == ".csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(leads[0])])
        writer.writerows(dataclasses.astuple(score) for score in leads)
        return stream.getvalue()
    raise InputError(f"report file: suffix '{suffix}', expected one of {', '.join(SUFFIXES)}")
