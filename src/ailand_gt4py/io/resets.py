"""When accumulated amounts begin anew, by their values, where metadata say no more than that they are accumulated."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.weights.variables import CATALOGUE

TIME = "time"
HOUR = np.timedelta64(3_600_000_000_000, "ns")
#: Hours after which amounts begin anew in what is known of, the longest first; 0: never.
_HOURS = (0, 24, 12, 6, 3, 2, 1)
#: Labels and columns that are looked at.
_DAYS, _COLUMNS = 3, 64
#: Part of the largest value that may be rounding.
_ROUNDING = 1e-3


def is_reset(times: Values, reset: str | np.timedelta64) -> Values:
    """Whether what is accumulated begins anew at times, so that the value after is the sum from there."""
    if reset == "never":
        return np.zeros(len(times), dtype=bool)
    interval = 24 * HOUR if isinstance(reset, str) else reset
    result: Values = (times - times.astype("datetime64[D]")) % interval == np.timedelta64(0, "ns")
    return result


def has_unknown_resets(fields: Fields) -> bool:
    """Whether amounts are accumulated and only their values tell from when on."""
    return any(one.kind == "accumulated" and one.reset == "unknown" for one in fields.meanings.values())


def with_known_resets(fields: Fields) -> Fields:
    """Fields whose accumulated amounts have resets: those of a file are the same, as far as its metadata do not say.

    Raises:
        InputError: their values do not tell it.
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
    raise InputError(
        f"{fields.what(unknown[0])} is accumulated by {fields.meanings[unknown[0]].source}, but from when on neither "
        "metadata nor values tell; expected time bounds, cell_methods or a known convention (--convention)"
    )


def detected(values: Values, times: Values) -> tuple[Meaning, str] | None:
    """What accumulated amounts (n_times, n_columns) are and how to say it; None: the values do not tell."""
    values = values[:, np.isfinite(values).all(axis=0)]
    if len(times) < 3 or not values.size or not values.max() > 0.0:
        return None
    rounding = _ROUNDING * values.max()
    distance = np.diff(times).min()
    steps = np.diff(values, axis=0)
    for hours in _HOURS:
        reset: str | np.timedelta64 = hours * HOUR if hours else "never"
        if hours and (hours * HOUR % distance or hours * HOUR <= distance):
            continue
        within = ~is_reset(times[:-1], reset)
        if (steps[within] < -rounding).any():
            continue
        # Sums over each step may grow for a while, and may all be the same.
        has_reset = hours and within.sum() < len(within)
        falls = has_reset and (steps[~within] < -rounding).any()
        grows = (steps[within] > rounding).any() and within.sum() * distance >= 6 * HOUR
        if grows and (falls or not has_reset):
            how = (
                f"accumulated from each {step_text(hours * HOUR)} from 00 UTC on" if hours else "accumulated all along"
            )
            return Meaning("accumulated", "end", reset=reset), how  # type: ignore[arg-type]
        break
    if (steps < -rounding).any() or not (steps > rounding).any():
        return Meaning("sum", "end"), f"sums over the {step_text(distance)} that end at the label"
    return None
