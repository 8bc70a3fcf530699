"""What a report shows as plain data: for the JSON in the page and beside it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, Cost
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.study import NO_COMPARISON, Study, VariableStudy, summary


def plain(value: Any) -> Any:
    """Data classes, arrays and numbers as JSON takes them; what is not finite becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return value.item()
    return value


def published_ratios(variable: VariableStudy) -> list[float] | None:
    """RMSE over aiLand v1's published one by `literature.PROTOCOLS`; NaN for leads that were not run.

    None for variables without a published number, or in other units.
    """
    published = literature.AILAND_V1_RMSE.get(variable.name)
    if published is None or variable.units != literature.UNITS[variable.name]:
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
    """All values of a study's tables."""
    runs = study.runs
    return {
        "file": study.file.name,
        "period": [str(study.times[0]), str(study.times[-1])],
        "columns": len(study.locations.x),
        "locations": {name: plain(getattr(study.locations, name)) for name in ("x", "latitude", "longitude", "in_box")},
        "step_days": study.model.step_seconds / SECONDS_PER_DAY,
        "starts_per_column": study.n_starts,
        "climatology_window_days": study.window_days,
        "variables": {variable.name: _of_variable(study, variable) for variable in study.variables},
        "budgets": plain(study.budgets.rows),
        "budgets_lack": {name: plain(residual.missing) for name, residual in study.budgets.run.items()},
        "ranges": {"emulator": plain(study.run_ranges), "ecLand": plain(study.truth_ranges)},
        "cost": {
            "free_run": _of_cost(runs.free.cost),
            "from_starts": _of_cost(runs.from_starts.cost),
            "ecland_cpu_microseconds": list(literature.ECLAND_MICROSECONDS),
        },
    }


def _of_cost(cost: Cost) -> dict[str, object]:
    numbers = {"cpu_microseconds": cost.cpu_microseconds, "wall_microseconds": cost.wall_microseconds}
    return {"columns": cost.columns, "steps": cost.steps, **plain(numbers)}


def _of_variable(study: Study, variable: VariableStudy) -> dict[str, object]:
    box, inside = study.boxes.get(variable.name), study.locations.in_box
    names = {"ratio": "ratio", "interval": "interval", "snow_regimes_alike": "alike", "of_climatology": "climatology"}
    return {
        "units": variable.units,
        "state": variable.is_state,
        "curve": plain(variable.curve),
        "leads": [{"days": days, **plain(summary(sample))} for days, sample in variable.leads],
        "free_run": {**plain(variable.free_run), **plain(summary(variable.free))},
        "groups": {
            one.name: {name: plain(summary(variable.free[one.members(name)])) for name in one.classes}
            for one in study.locations.groupings
        },
        "column_rmse": plain(variable.by_column("rmse")),
        "held_out_box": None if box is None else plain(summary(variable.free[inside])),
        "outside_the_box": None if box is None else plain(summary(variable.free[~inside])),
        "box_over_outside": {key: plain(getattr(box or NO_COMPARISON, name)) for key, name in names.items()},
        "ratio_to_published_ailand_v1": plain(published_ratios(variable)),
    }
