"""What others published, to compare with: aiLand v1's errors against ecLand, and ecLand's own cost.

aiLand v1: Raoult et al. 2026 (EGUsphere 2026-3620), RMSE against ecLand over the land of the globe, at 1 and 90 days of
lead time and over a free run of four years. The values are those collected in this project's design notes. Beware:
their columns, weather (ERA5) and period are others than those of a file evaluated here, so a ratio says how far the two
are apart on different tests, not which emulator is better on the same one.

ecLand's cost: measured for this project with the version that made its data (github.com/ecmwf-ifs/ecland b9fee10,
offline, six hourly steps, 80 columns on one core, without start-up and output; four runs).
"""

from __future__ import annotations

from ailand_gt4py.weights.variables import units_of

#: Protocols of the table: (name, lead in days; 0 for the free run).
PROTOCOLS = (("1 day", 1.0), ("90 days", 90.0), ("free run, 4 years", 0.0))

#: variable -> RMSE (1 day, 90 days, free run) in the catalogue's units.
AILAND_V1_RMSE: dict[str, tuple[float, float, float]] = {
    "stl1": (0.92, 1.19, 1.72),
    "stl2": (0.17, 0.71, 1.32),
    "stl3": (0.03, 0.65, 1.29),
    "swvl1": (0.011, 0.014, 0.016),
    "swvl2": (0.004, 0.008, 0.012),
    "swvl3": (0.002, 0.013, 0.018),
    "snowc": (0.016, 0.044, 0.058),
    "t2m": (0.69, 0.69, 0.63),
    "d2m": (0.95, 0.94, 0.80),
    "skt": (1.06, 1.06, 1.12),
    "sshf": (11.7, 12.5, 12.1),
    "slhf": (10.1, 11.1, 10.4),
}

_UNITS = units_of(*AILAND_V1_RMSE)
#: ecLand's CPU time for a column and six hours, microseconds: lowest and highest of four runs.
ECLAND_MICROSECONDS = (91.0, 127.0)
#: The step that this time is for, seconds.
ECLAND_STEP_SECONDS = 21_600.0


def ecland_microseconds(step_seconds: float) -> tuple[float, float]:
    """ecLand's CPU time for a column and a step of another length, microseconds: lowest and highest."""
    low, high = (time * step_seconds / ECLAND_STEP_SECONDS for time in ECLAND_MICROSECONDS)
    return low, high


def ecland_factors(microseconds: float, step_seconds: float) -> str:
    """How many times an emulator's CPU time for a column and a step, microseconds, ecLand takes: lowest to highest."""
    factors = (time / microseconds for time in ecland_microseconds(step_seconds))
    return " to ".join(f"{factor:.1f}" if factor < 10.0 else f"{factor:.0f}" for factor in factors)


def published_rmse(name: str, units: str) -> tuple[float, float, float] | None:
    """aiLand v1's RMSE by `PROTOCOLS`; None for variables without one, or in other units."""
    return AILAND_V1_RMSE.get(name) if _UNITS.get(name) == units else None
