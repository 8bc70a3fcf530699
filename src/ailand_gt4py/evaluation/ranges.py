"""Where a run leaves what is physically possible, counted by variable and beside ecLand's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ailand_gt4py.evaluation.fields import Fields
from ailand_gt4py.weights.variables import CATALOGUE, Specification

#: Excess that rounding of files and single precision may cause, relative to the scale of a check.
TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class RangeCheck:
    """One thing that must hold.

    Attributes:
        name: what is checked, as shown.
        needs: fields that the check takes.
        excess: of these fields: how far out of range, positive where violated, in `units`.
        scale: what `TOLERANCE` is relative to, in `units`.
    """

    name: str
    needs: tuple[str, ...]
    units: str
    scale: float
    excess: Callable[..., np.ndarray]


@dataclasses.dataclass(frozen=True)
class RangeCount:
    """Result of a check.

    Attributes:
        violations: values out of range by more than rounding. n: values checked.
        worst: largest finite excess, 0 where there is none. columns: with a violation.
    """

    name: str
    units: str
    violations: int
    n: int
    worst: float
    columns: int


#: What excesses of each unit are measured against.
_SCALES = {"K": 100.0, "1": 1.0, "m": 0.1, "kg m-3": 100.0, "kg m-2": 1.0, "kg m-2 s-1": 1e-3, "m3 m-3": 1.0}


def _within(low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda values: np.maximum(low - values, values - high)


def _range_text(entry: Specification) -> str:
    low, high = entry.valid_range
    units = "" if entry.units == "1" else f" {entry.units}"
    if math.isfinite(low) and math.isfinite(high):
        return f"within {low:g} and {high:g}{units}"
    if math.isfinite(high):
        return f"not above {high:g}{units}"
    return "not negative" if low == 0.0 else f"not below {low:g}{units}"


def _by_catalogue(entries: Iterable[Specification]) -> Iterator[RangeCheck]:
    """Checks of the valid ranges of those that have one."""
    for entry in entries:
        if any(map(math.isfinite, entry.valid_range)):
            name = f"{entry.name} {_range_text(entry)}"
            yield RangeCheck(name, (entry.name,), entry.units, _SCALES[entry.units], _within(*entry.valid_range))


#: What holds between variables; each of these is also the only check of its first variable.
_BETWEEN_VARIABLES = (
    *(
        RangeCheck(
            f"{name} within 0 and porosity",
            (name, "clim_theta_sat"),
            "m3 m-3",
            1.0,
            lambda water, porosity: np.maximum(-water, water - porosity),
        )
        for name in ("swvl1", "swvl2", "swvl3", "swvl4")
    ),
    RangeCheck(
        "slw within 0 and the snow's mass",
        ("slw", "sd"),
        "kg m-2",
        10.0,
        lambda liquid, snow: np.maximum(-liquid, liquid - 1000.0 * snow),
    ),
    RangeCheck(
        "ssr within 0 and the incoming",
        ("ssr", "met_swdown"),
        "W m-2",
        1000.0,
        lambda net, down: np.maximum(-net, net - down),
    ),
)
_COVERED = {check.needs[0] for check in _BETWEEN_VARIABLES}

CHECKS: tuple[RangeCheck, ...] = (
    *_BETWEEN_VARIABLES,
    RangeCheck("d2m not above t2m", ("d2m", "t2m"), "K", 100.0, lambda dew, air: dew - air),
    *_by_catalogue(
        entry for entry in CATALOGUE.values() if entry.kind in ("state", "diagnostic") and entry.name not in _COVERED
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
                units=check.units,
                violations=int(wrong.sum()),
                n=int(excess.size),
                worst=float(np.max(excess[wrong & np.isfinite(excess)], initial=0.0)),
                columns=int(wrong.any(axis=0).sum()),
            )
        )
    return counts
