"""Tables of lead-time scores as text, Markdown, CSV and JSON, and all that a report shows as plain data."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence

from pydantic_core import to_jsonable_python

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.text_table import aligned, markdown
from ailand_gt4py.core.times import time_text
from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.runs import Cost
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.lead_time import FreeRunScore, LeadScore
from ailand_gt4py.evaluation.study import BoxComparison, Study, VariableStudy, summary
from ailand_gt4py.evaluation.towers.verification import TowerStudy
from ailand_gt4py.evaluation.training_range import TrainingRange

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


def text_report(leads: Sequence[LeadScore], free_run: Sequence[FreeRunScore]) -> str:
    """Both tables for a terminal."""
    by_lead, free = (aligned(rows[0], rows[1:], left=2) for rows in _tables(leads, free_run))
    return "\n".join(["Skill by lead time", *by_lead, "", "Free run through the whole period", *free, "", NOTE])


def file_report(
    suffix: str,
    leads: Sequence[LeadScore],
    free_run: Sequence[FreeRunScore],
    more: dict[str, object] | None = None,
    towers: TowerStudy | None = None,
    training: TrainingRange | None = None,
) -> str:
    """The content of a report file, Markdown, JSON (there with ``more``), or CSV, which has the table by lead time.

    Without scores by lead time and of a free run, of files without ecLand's states, there is what was observed.
    """
    if suffix == ".md":
        parts = []
        if leads:
            by_lead, free = ("\n".join(markdown(rows[0], rows[1:])) for rows in _tables(leads, free_run))
            parts.append(f"## Skill by lead time\n\n{by_lead}\n## Free run\n\n{free}\n{NOTE}\n")
        if training is not None:
            parts.append(f"{training.line()}\n")
        if towers is not None:
            sentences = "\n".join(towers.sentences())
            titles, *rows = towers.rows()
            table = "\n".join(markdown(titles, rows))
            parts.append(f"## Against observations\n\n{table}\n{sentences}\n")
        return "\n".join(parts)
    if suffix == ".json":
        scores = {
            "lead_time": list(map(dataclasses.asdict, leads)),
            "free_run": list(map(dataclasses.asdict, free_run)),
            "note": NOTE,
        }
        content = {
            **(scores if leads else {}),
            **({} if more is None else {"report": more}),
            **({} if training is None else {"training_range": training.data()}),
            **({} if towers is None else {"observations": towers.data()}),
        }
        return json.dumps(content, indent=1) + "\n"
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(leads[0])])
    writer.writerows(dataclasses.astuple(score) for score in leads)
    return stream.getvalue()


def published_ratios(variable: VariableStudy) -> list[float] | None:
    """RMSE over aiLand v1's published one, if any, by `literature.PROTOCOLS`; NaN for leads that were not run."""
    published = literature.published_rmse(variable.name, variable.units)
    if published is None:
        return None
    rmse = {days: SCORES["rmse"].of(sample) for days, sample in (*variable.leads, (0.0, variable.free))}
    pairs = zip(literature.PROTOCOLS, published, strict=True)
    return [rmse.get(days, math.nan) / theirs for (_, days), theirs in pairs]


def cost_text(cost: Cost, step_seconds: float) -> str:
    """A line on what a step costs, beside the physical model's cost for the same time."""
    low, high = literature.ecland_microseconds(step_seconds)
    own = cost.cpu_microseconds
    is_known = own > 0.0 and math.isfinite(own)
    ratio = f", {literature.ecland_factors(own, step_seconds)} times as much" if is_known else ""
    return (
        f"CPU time for a column and a step of {step_seconds / 3600.0:g} h: {own:.3g} microseconds with {cost.columns} "
        f"columns at once ({cost.wall_microseconds:.3g} by the wall clock); ecLand {low:.0f} to {high:.0f}{ratio}"
    )


def of_study(study: Study) -> dict[str, object]:
    """All values of a study's tables as JSON takes them; what is not finite becomes null."""
    costs = {"free_run": study.runs.free.cost, "from_starts": study.runs.from_starts.cost}
    numbers = ("columns", "steps", "cpu_microseconds", "wall_microseconds")
    content = {
        "file": study.files,
        "period": [time_text(study.times[end], study.calendar) for end in (0, -1)],
        "not_scored": dict(study.runs.columns.absent),
        "columns": len(study.locations.x),
        "locations": {name: getattr(study.locations, name) for name in ("x", "latitude", "longitude", "in_box")},
        "step_days": study.model.step_seconds / SECONDS_PER_DAY,
        "starts_per_column": study.n_starts,
        "climatology_window_days": study.window_days,
        "variables": {variable.name: _of_variable(study, variable) for variable in study.variables},
        "budgets": study.budgets.rows,
        "budgets_lack": {name: residual.missing for name, residual in study.budgets.run.items()},
        "ranges": {"emulator": study.run_ranges, "ecLand": study.truth_ranges},
        "cost": {
            **{name: {number: getattr(cost, number) for number in numbers} for name, cost in costs.items()},
            "ecland_cpu_microseconds": literature.ECLAND_MICROSECONDS,
        },
    }
    return to_jsonable_python(content, inf_nan_mode="null", fallback=lambda value: value.tolist())


def _of_variable(study: Study, variable: VariableStudy) -> dict[str, object]:
    box, inside = study.boxes.get(variable.name), study.locations.in_box
    return {
        "units": variable.units,
        "state": variable.is_state,
        "curve": variable.curve,
        "leads": [{"days": days, **summary(sample)} for days, sample in variable.leads],
        "free_run": {**dataclasses.asdict(variable.free_run), **summary(variable.free)},
        "groups": {
            one.name: {name: summary(variable.free[one.members(name)]) for name in one.classes}
            for one in study.locations.groupings
        },
        "column_rmse": variable.by_column("rmse"),
        "held_out_box": None if box is None else summary(variable.free[inside]),
        "outside_the_box": None if box is None else summary(variable.free[~inside]),
        "box_over_outside": box or BoxComparison(),
        "ratio_to_published_ailand_v1": published_ratios(variable),
    }
