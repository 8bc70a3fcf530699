"""What a report shows as plain data: for the JSON in the page and beside it."""

from __future__ import annotations

import dataclasses
import math

from pydantic_core import to_jsonable_python

from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, Cost
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.study import BoxComparison, Study, VariableStudy, summary


def published_ratios(variable: VariableStudy) -> list[float] | None:
    """RMSE over aiLand v1's published one by `literature.PROTOCOLS`; NaN for leads that were not run.

    None for variables without a published number, or in other units.
    """
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
    ratio = f", {low / own:.0f} to {high / own:.0f} times less" if own > 0.0 and math.isfinite(own) else ""
    return (
        f"CPU time for a column and a step of {step_seconds / 3600.0:g} h: {own:.3g} microseconds with {cost.columns} "
        f"columns at once ({cost.wall_microseconds:.3g} by the wall clock); ecLand {low:.0f} to {high:.0f}{ratio}"
    )


def of_study(study: Study) -> dict[str, object]:
    """All values of a study's tables as JSON takes them; what is not finite becomes null."""
    costs = {"free_run": study.runs.free.cost, "from_starts": study.runs.from_starts.cost}
    numbers = ("columns", "steps", "cpu_microseconds", "wall_microseconds")
    content = {
        "file": study.file.name,
        "period": [str(study.times[0]), str(study.times[-1])],
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
