"""When accumulated amounts begin anew, by their values, where metadata say no more than that they are accumulated."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.times import step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import MIDNIGHT, TIME, Fields, Meaning
from ailand_gt4py.weights.variables import CATALOGUE

HOUR = np.timedelta64(3_600_000_000_000, "ns")
#: Hours after which amounts begin anew in what is known of, the longest first; 0: never.
_HOURS = (0, 24, 12, 6, 3, 2, 1)
#: Labels and columns that are looked at.
_DAYS, _COLUMNS = 3, 64
#: Part of the largest value that may be rounding.
_ROUNDING = 1e-3
#: Rises for each fall, from which on values are no sums over each step, which fall as often as they rise.
_RISES = 4


def is_reset(times: Values, reset: str | np.timedelta64, at: np.timedelta64 = MIDNIGHT) -> Values:
    """Whether what is accumulated begins anew at times, so that the value after is the sum from there.

    ``at``: when after 00 UTC the first reset of a day is.
    """
    if reset == "never":
        return np.zeros(len(times), dtype=bool)
    interval = 24 * HOUR if isinstance(reset, str) else reset
    result: Values = (times - times.astype("datetime64[D]") - at) % interval == np.timedelta64(0, "ns")
    return result


def has_unknown_resets(fields: Fields) -> bool:
    """Whether amounts are accumulated and only their values tell from when on."""
    return any(one.kind == "accumulated" and one.reset == "unknown" for one in fields.meanings.values())


def with_known_resets(fields: Fields) -> Fields:
    """Fields whose accumulated amounts have resets: those of a file are the same, as far as its metadata do not say.

    They stay unknown where the values do not tell them.
    """
    unknown = [name for name, one in fields.meanings.items() if one.kind == "accumulated" and one.reset == "unknown"]
    if not unknown:
        return fields
    # What cannot decrease, first what is there at any time.
    order = ("met_lwdown", "met_swdown", "met_precipitation", *unknown)
    candidates = [name for name in dict.fromkeys(order) if name in unknown and CATALOGUE[name].valid_range[0] >= 0.0]
    times = fields.dataset[TIME].values
    for name in candidates:
        array = fields.dataset[name].transpose(TIME, ...)
        count = int(np.searchsorted(times, times[0] + _DAYS * 24 * HOUR)) + 1
        spread = {axis: slice(None, None, max(array.sizes[axis] // _COLUMNS, 1)) for axis in array.dims[1:]}
        values = np.asarray(array[{TIME: slice(0, count), **spread}].values, dtype=np.float64).reshape(-1, 1)
        values = values.reshape(min(count, len(times)), -1)
        found = detected(values, times[:count])
        if found is not None:
            meaning, how = found
            note = f"By the values of {name}, amounts are {how}: {', '.join(unknown)}."
            meanings = {
                one: dataclasses.replace(meaning, source=fields.meanings[one].source) if one in unknown else known
                for one, known in fields.meanings.items()
            }
            return dataclasses.replace(fields, meanings=meanings, notes=[*fields.notes, note])
    return fields


def detected(values: Values, times: Values) -> tuple[Meaning, str] | None:
    """What accumulated amounts (n_times, n_columns) are and how to say it; None: the values do not tell."""
    values = values[:, np.isfinite(values).all(axis=0)]
    if len(times) < 3 or not values.size or not values.max() > 0.0:
        return None
    distance = np.diff(times).min()
    # Resets are usually at 00 UTC and so many hours from there; other hours only where these cannot be.
    for with_offsets in (False, True):
        for hours in _HOURS:
            if hours and (hours * HOUR % distance or hours * HOUR <= distance):
                continue
            offsets = np.arange(distance, hours * HOUR, distance) if with_offsets else np.zeros(1, distance.dtype)
            for at in offsets:
                if _accumulates(values, times, hours, at):
                    reset = hours * HOUR if hours else "never"
                    text = f"accumulated from each {step_text(hours * HOUR)} from {at // HOUR:02d} UTC on"
                    meaning = Meaning("accumulated", "end", reset=reset, reset_at=at)  # type: ignore[arg-type]
                    return meaning, text if hours else "accumulated all along"
    falls, rises = (int((sign * np.diff(values, axis=0) > _ROUNDING * values.max()).sum()) for sign in (-1, 1))
    if rises and (not falls or rises > _RISES * falls):
        return None
    return Meaning("sum", "end"), f"sums over the {step_text(distance)} that end at the label"


def _accumulates(values: Values, times: Values, hours: int, at: np.timedelta64) -> bool:
    """Whether values grow but at resets each so many hours, 0: never, and fall at most of these."""
    rounding, distance = _ROUNDING * values.max(), np.diff(times).min()
    steps = np.diff(values, axis=0)
    at_reset = is_reset(times[:-1], hours * HOUR if hours else "never", at)
    within = ~at_reset
    # Sums over each step may grow for a while, and may all be the same.
    grows = (steps[within] > rounding).any() and within.sum() * distance >= 6 * HOUR
    if not grows or (steps[within] < -rounding).any():
        return False
    if not hours:
        return True
    falls = steps[at_reset] < -rounding
    if not falls.any() or 4 * falls.sum() <= 3 * (values[:-1][at_reset] > rounding).sum():
        return False
    # Any single event of sums begins and ends somewhere: from one fall only 00 UTC is believed.
    return not at or int(falls.any(axis=1).sum()) > 1
