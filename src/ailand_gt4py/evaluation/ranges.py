"""Where a run leaves what is physically possible, counted by variable and beside ecLand's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ailand_gt4py.evaluation.fields import Fields

#: Excess that rounding of files and single precision may cause, relative to the scale of a check.
TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class RangeCheck:
    """One thing that must hold.

    Attributes:
        name: what is checked, for people.
        needs: fields that the check takes.
        excess: of these fields: how far outside, positive where violated, in `units`.
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
        violations: values outside by more than rounding. n: values checked.
        worst: largest finite excess, 0 where there is none. columns: with a violation.
    """

    name: str
    units: str
    violations: int
    n: int
    worst: float
    columns: int


def _below(bound: float) -> Callable[..., np.ndarray]:
    return lambda values: bound - values


def _above(bound: float) -> Callable[..., np.ndarray]:
    return lambda values: values - bound


def _between(low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda values: np.maximum(low - values, values - high)


#: Temperatures on land, K: a margin around what has been observed at the ground (180 K) and on it (355 K).
COLDEST, HOTTEST = 175.0, 360.0

CHECKS: tuple[RangeCheck, ...] = (
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
    *(
        RangeCheck(f"{name} within {COLDEST:g} and {HOTTEST:g} K", (name,), "K", 100.0, _between(COLDEST, HOTTEST))
        for name in ("stl1", "stl2", "stl3", "stl4", "skt", "t2m", "d2m")
    ),
    RangeCheck("d2m not above t2m", ("d2m", "t2m"), "K", 100.0, lambda dew, air: dew - air),
    RangeCheck("snowc within 0 and 1", ("snowc",), "1", 1.0, _between(0.0, 1.0)),
    RangeCheck("sd not negative", ("sd",), "m", 0.1, _below(0.0)),
    RangeCheck("tsn not above melting", ("tsn",), "K", 100.0, _above(273.16)),
    RangeCheck("rsn within 50 and 920 kg m-3", ("rsn",), "kg m-3", 100.0, _between(50.0, 920.0)),
    RangeCheck("asn within 0 and 1", ("asn",), "1", 1.0, _between(0.0, 1.0)),
    RangeCheck("fal within 0 and 1", ("fal",), "1", 1.0, _between(0.0, 1.0)),
    RangeCheck("src not negative", ("src",), "kg m-2", 1.0, _below(0.0)),
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
    *(
        RangeCheck(f"{name} not negative", (name,), "kg m-2 s-1", 1e-3, _below(0.0))
        for name in ("sro", "ssro", "smlt")
    ),
)  # fmt: skip


def count(fields: Fields) -> list[RangeCount]:
    """Violations of all checks whose fields there are."""
    counts = []
    for check in CHECKS:
        if fields.missing(check.needs):
            continue
        excess = np.asarray(check.excess(*(fields.values[name] for name in check.needs)))
        wrong = ~(excess <= TOLERANCE * check.scale)  # NaN is outside
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
