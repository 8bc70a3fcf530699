"""Where a run leaves what is physically possible, counted by variable and beside ecLand's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from ailand_gt4py.evaluation.fields import UNITS, Fields
from ailand_gt4py.weights.variables import CATALOGUE, Specification

#: Excess that rounding of files and single precision may cause, relative to the scale of a check.
TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class RangeCheck:
    """By the fields that it needs how far they are out of range; it and the tolerance's scale in the first's units."""

    name: str
    needs: tuple[str, ...]
    scale: float
    excess: Callable[..., np.ndarray]


@dataclasses.dataclass(frozen=True)
class RangeCount:
    """Of n values those out of range by more than rounding, the largest finite excess, and columns with any."""

    name: str
    units: str
    violations: int
    n: int
    worst: float
    columns: int


#: What excesses of each unit are measured against.
_SCALES = {
    "K": 100.0,
    "1": 1.0,
    "m": 0.1,
    "kg m-3": 100.0,
    "kg m-2": 1.0,
    "kg m-2 s-1": 1e-3,
    "m3 m-3": 1.0,
    "W m-2": 100.0,
}


def _of_catalogue(entry: Specification) -> RangeCheck:
    """The check of the valid range of a variable."""
    (low, high), units = entry.valid_range, "" if entry.units == "1" else f" {entry.units}"
    if math.isfinite(low) and math.isfinite(high):
        text = f"within {low:g} and {high:g}{units}"
    elif math.isfinite(high):
        text = f"not above {high:g}{units}"
    else:
        text = "not negative" if low == 0.0 else f"not below {low:g}{units}"
    return RangeCheck(
        f"{entry.name} {text}", (entry.name,), _SCALES[entry.units],
        lambda values: np.maximum(low - values, values - high),
    )  # fmt: skip


def _between(name: str, upper: str, text: str, scale: float, factor: float = 1.0) -> RangeCheck:
    """That a variable is within 0 and another one, which is multiplied by a factor."""
    return RangeCheck(
        f"{name} within 0 and {text}", (name, upper), scale,
        lambda values, bound: np.maximum(-values, values - factor * bound),
    )  # fmt: skip


#: What holds between variables; each of these is also the only check of its first variable.
_BETWEEN_VARIABLES = (
    *(_between(f"swvl{layer}", "clim_theta_sat", "porosity", 1.0) for layer in (1, 2, 3, 4)),
    _between("slw", "sd", "the snow's mass", 10.0, 1000.0),
    _between("ssr", "met_swdown", "the incoming", 1000.0),
)
_COVERED = {check.needs[0] for check in _BETWEEN_VARIABLES}

CHECKS: tuple[RangeCheck, ...] = (
    *_BETWEEN_VARIABLES,
    RangeCheck("d2m not above t2m", ("d2m", "t2m"), 100.0, lambda dew, air: dew - air),
    *(
        _of_catalogue(entry)
        for entry in CATALOGUE.values()
        if entry.kind in ("state", "diagnostic")
        and entry.name not in _COVERED
        and any(map(math.isfinite, entry.valid_range))
    ),
)


def count(fields: Fields) -> list[RangeCount]:
    """Violations of all checks whose fields there are."""
    counts = []
    for check in CHECKS:
        if fields.missing(check.needs):
            continue
        excess = np.asarray(check.excess(*(fields.values[name] for name in check.needs)))
        wrong = ~(excess <= TOLERANCE * check.scale)  # NaN is out of range
        counts.append(
            RangeCount(
                name=check.name,
                units=UNITS[check.needs[0]],
                violations=int(wrong.sum()),
                n=int(excess.size),
                worst=float(np.max(excess[wrong & np.isfinite(excess)], initial=0.0)),
                columns=int(wrong.any(axis=0).sum()),
            )
        )
    return counts
