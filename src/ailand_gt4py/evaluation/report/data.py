"""What a report shows as plain data: for the JSON in the page and beside it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ailand_gt4py.evaluation import literature
from ailand_gt4py.evaluation.runs import SECONDS_PER_DAY, Cost
from ailand_gt4py.evaluation.study import Study, VariableStudy


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


def published_ratios(variable: VariableStudy) -> tuple[float, float, float] | None:
    """RMSE over aiLand v1's published one at 1 day, 90 days and in the free run; NaN for leads that were not run.

    None for variables without a published number, or in other units.
    """
    published = literature.AILAND_V1_RMSE.get(variable.name)
    if published is None or variable.units != literature.UNITS[variable.name]:
        return None
    by_days = {days: summary.rmse for days, summary in variable.leads}
    own = [variable.free.rmse if days == 0.0 else by_days.get(days, math.nan) for _, days in literature.PROTOCOLS]
    first, second, third = (mine / theirs for mine, theirs in zip(own, published, strict=True))
    return first, second, third


def cost_text(cost: Cost, step_seconds: float) -> str:
    """A line on what a step costs, beside the physical model's cost for the same time."""
    low, high = (micro * step_seconds / literature.ECLAND_STEP_SECONDS for micro in literature.ECLAND_MICROSECONDS)
    own = cost.cpu_microseconds
    ratio = f", {low / own:.0f} to {high / own:.0f} times less" if own > 0.0 and math.isfinite(own) else ""
    return (
        f"CPU time for a column and a step of {step_seconds / 3600.0:g} h: {own:.3g} microseconds with {cost.columns} "
        f"columns at once ({cost.wall_microseconds:.3g} by the wall clock); ecLand {low:.0f} to {high:.0f}{ratio}"
    )


def of_study(study: Study) -> dict[str, Any]:
    """All numbers of a study's tables."""
    return {
        "file": study.file.name,
        "period": [str(study.times[0]), str(study.times[-1])],
        "columns": len(study.locations.x),
        "locations": {name: plain(getattr(study.locations, name)) for name in ("x", "latitude", "longitude", "in_box")},
        "step_days": study.model.step_seconds / SECONDS_PER_DAY,
        "starts_per_column": study.n_starts,
        "climatology_window_days": study.window_days,
        "variables": {variable.name: _of_variable(variable) for variable in study.variables},
        "budgets": plain(study.budget_rows),
        "budgets_lack": {name: plain(residual.missing) for name, residual in study.residuals.items()},
        "ranges": {"emulator": plain(study.run_ranges), "ecLand": plain(study.truth_ranges)},
        "cost": {
            "free_run": _of_cost(study.free_cost),
            "from_starts": _of_cost(study.lead_cost),
            "ecland_cpu_microseconds": list(literature.ECLAND_MICROSECONDS),
        },
    }


def _of_cost(cost: Cost) -> dict[str, Any]:
    numbers = {"cpu_microseconds": cost.cpu_microseconds, "wall_microseconds": cost.wall_microseconds}
    return {"columns": cost.columns, "steps": cost.steps, **plain(numbers)}


def _of_variable(variable: VariableStudy) -> dict[str, Any]:
    return {
        "units": variable.units,
        "state": variable.is_state,
        "curve": plain(variable.curve),
        "leads": [{"days": days, **plain(summary)} for days, summary in variable.leads],
        "free_run": {**plain(variable.free_run), **plain(variable.free)},
        "groups": plain(variable.groups),
        "column_rmse": plain(variable.column_rmse),
        "held_out_box": plain(variable.in_box),
        "outside_the_box": plain(variable.elsewhere),
        "box_over_outside": {
            "ratio": variable.box_ratio,
            "interval": plain(variable.box_interval),
            "snow_regimes_alike": plain(variable.box_ratio_alike),
            "of_climatology": plain(variable.box_ratio_climatology),
        },
        "ratio_to_published_ailand_v1": plain(published_ratios(variable)),
    }
