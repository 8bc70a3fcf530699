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

Rows = list[list[str]]


def _tables(leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore]) -> tuple[Rows, Rows]:
    """Titles, then a row for each variable and lead; likewise for each variable in the free run."""
    baselines = ["climatology", "clim. other years"]
    by_lead = [["variable", "units", "lead (d)", "RMSE", "bias", "persistence", *baselines, "better"]]
    for score in leads:
        numbers = (score.rmse, score.bias, score.persistence, score.climatology, score.climatology_other_years)
        by_lead.append([score.variable, score.units, f"{score.lead_days:g}", *map(_text, numbers), score.verdict])
    free = [["variable", "units", "RMSE", "bias", *baselines, "RMSE by year", "range", "range of the truth"]]
    for one in free_run:
        skill = (one.rmse, one.bias, one.climatology, one.climatology_other_years)
        cells = [*map(_text, skill), " ".join(map(_text, one.rmse_by_year))]
        ranges = ((one.lowest, one.highest), (one.truth_lowest, one.truth_highest))
        free.append([one.variable, one.units, *cells, *(f"{_text(low)} to {_text(high)}" for low, high in ranges)])
    return by_lead, free


def _text(number: float) -> str:
    return f"{number:.4g}"


def _markdown(rows: Rows) -> str:
    titles, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([titles, "|" + "---|" * len(rows[0]), *others])


def text_report(leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore]) -> str:
    """Both tables for a terminal."""
    by_lead, free = (aligned(rows[0], rows[1:], left=2) for rows in _tables(leads, free_run))
    return "\n".join(["Skill by lead time", *by_lead, "", "Free run through the whole period", *free, "", NOTE])


def file_report(
    suffix: str, leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore], more: dict[str, object] | None = None
) -> str:
    """The content of a report file: Markdown and JSON hold both tables, CSV the one by lead time.

    Args:
        more: for JSON: all numbers of a report with figures that is made as well, kept as ``report``.

    Raises:
        InputError: a suffix that is none of `SUFFIXES`.
    """
    if suffix == ".md":
        by_lead, free = map(_markdown, _tables(leads, free_run))
        return f"## Skill by lead time\n\n{by_lead}\n\n## Free run\n\n{free}\n\n{NOTE}\n"
    if suffix == ".json":
        content = {
            "lead_time": list(map(dataclasses.asdict, leads)),
            "free_run": list(map(dataclasses.asdict, free_run)),
            "note": NOTE,
            **({} if more is None else {"report": more}),
        }
        return json.dumps(content, indent=1) + "\n"
    if suffix == ".csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(leads[0])])
        writer.writerows(dataclasses.astuple(score) for score in leads)
        return stream.getvalue()
    raise InputError(f"report file: suffix '{suffix}', expected one of {', '.join(SUFFIXES)}")
