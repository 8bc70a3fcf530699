"""Time labels of a file: decoded, checked, and the part of them that a run goes through."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.times import parse_time, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import TIME, ColumnFile
from ailand_gt4py.weights.model import Variable

#: CF names of the calendar that UTC follows (the Julian part of 'standard' ended in 1582).
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")

_CELL_METHOD = re.compile(r"\btime:\s*(\w+)")


def read_times(file: ColumnFile) -> Values:
    """All time labels of a file, datetime64[ns] (n_times,), strictly increasing."""
    if TIME not in file.dataset.variables:
        raise InputError(
            f"{file.path}: variable 'time' is missing; expected time labels with 'units' such as 'hours since "
            "2020-01-01'"
        )
    dataset = file.dataset[[TIME]]
    variable = dataset[TIME]
    what = file.what(TIME)
    if variable.dims != (TIME,):
        raise InputError(f"{what} has the dimensions ({', '.join(map(str, variable.dims)) or 'none'}), expected (time)")
    calendar = str(variable.attrs.get("calendar", "standard")).lower()
    if calendar not in CALENDARS:
        raise InputError(f"{what} has the calendar '{calendar}'; expected {' or '.join(CALENDARS)}")
    unit = str(variable.attrs.get("units", ""))
    if " since " not in unit:
        raise InputError(f"{what} has the unit '{unit}'; expected one such as 'hours since 2020-01-01'")
    coder = xr.coders.CFDatetimeCoder(use_cftime=False, time_unit="ns")
    try:
        times = np.asarray(xr.decode_cf(dataset, decode_times=coder)[TIME].values).astype("datetime64[ns]")
    except (ValueError, OverflowError, OSError, RuntimeError, TypeError) as error:
        raise InputError(f"{what} cannot be decoded ({reason(error)}); expected times in '{unit}'") from error
    if np.isnat(times).any():
        raise InputError(f"{what} has no value at index {int(np.isnat(times).argmax())}, expected a time")
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if wrong.size:
        before, after = times[wrong[0] : wrong[0] + 2]
        raise InputError(
            f"{what} at index {wrong[0] + 1} ({time_text(after)}) {'repeats' if after == before else 'is before'} the "
            f"one at index {wrong[0]} ({time_text(before)}); expected strictly increasing times"
        )
    return times


def check_step(times: Values, first: int, count: int, step: np.timedelta64, what: str) -> None:
    """Check that `count` labels from index `first` are one step apart."""
    wrong = np.flatnonzero(np.diff(times[first : first + count]) != step)
    if wrong.size:
        index = first + wrong[0]
        one, other = times[index : index + 2]
        raise InputError(
            f"{what}: times at index {index} ({time_text(one)}) and {index + 1} ({time_text(other)}) "
            f"are {step_text(other - one)} apart, expected the model's step of {step_text(step)}"
        )


def steps_before(times: Values, first: int, most: int, step: np.timedelta64) -> int:
    """How many labels before the first of a run, at most so many, follow one another in steps up to it."""
    count = 0
    while count < min(most, first) and times[first - count] - times[first - count - 1] == step:
        count += 1
    return count


def select(
    times: Values,
    step: np.timedelta64,
    start: str | datetime.date | np.datetime64 | None,
    end: str | datetime.date | np.datetime64 | None,
    what: str,
) -> tuple[int, int]:
    """Index of the first window of a run and number of windows: those from `start` on that end by `end`.

    None: from the file's first label, to one step after its last one. ``what`` names the file.
    """
    span = f"{what} has the times {time_text(times[0])} to {time_text(times[-1])}"
    first = 0
    if start is not None:
        wanted = parse_time(start)
        first = int(np.searchsorted(times, wanted))
        if first == len(times) or times[first] != wanted:
            raise InputError(f"start: found {time_text(wanted)}; {span}, expected one of them")
    stop = len(times)
    if end is not None:
        wanted = parse_time(end)
        if wanted <= times[first]:
            raise InputError(
                f"end: found {time_text(wanted)}, expected a time after the start {time_text(times[first])}"
            )
        if wanted != times[-1] + step:
            stop = int(np.searchsorted(times, wanted))
            if stop == len(times) or times[stop] != wanted:
                raise InputError(
                    f"end: found {time_text(wanted)}; {span}, expected one of them or {time_text(times[-1] + step)}"
                )
            # The label at the end is not used, but it must be where the last window ends.
            check_step(times, first, stop - first + 1, step, what)
    check_step(times, first, stop - first, step, what)
    return first, stop - first


def label_sentences(file: ColumnFile, forcing: Sequence[Variable], step: np.timedelta64) -> list[str]:
    """What is taken for granted about the time labels of the forcing; nothing where cell_methods agree with the model.

    Nothing is ever shifted or averaged: a file with another convention is used as it is, and this says so.
    """
    window = step_text(step)
    if file.convention.time_labels:
        return [file.convention.time_labels.format(window=window)]
    means, points, other = list[str](), list[str](), list[str]()
    for variable in forcing:
        own_name, is_mean = file.find(variable.name), variable.time_meaning == "window mean"
        methods = str(file.array(own_name).attrs.get("cell_methods", "")) if own_name else ""
        found = _CELL_METHOD.search(methods)
        if found is None:
            (means if is_mean else points).append(variable.name)
        elif variable.time_meaning != "static" and found[1] != ("mean" if is_mean else "point"):
            other.append(f"{variable.name} ('{methods}', the model takes a {variable.time_meaning})")
    groups = {
        f"no cell_methods, taken as means over [t, t + {window})": means,
        "no cell_methods, taken as values at t": points,
        "other cell_methods than the model's, used as they are": other,
    }
    return [f"Time labels: {what}: {', '.join(names)}." for what, names in groups.items() if names]
