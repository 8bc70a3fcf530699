"""Time labels of a file: decoded, checked, and the part of them that a run goes through."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, end_of, named_time, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import meaning
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.fields import TIME
from ailand_gt4py.weights.model import Variable


def check_step(
    times: Values, first: int, count: int, step: np.timedelta64, what: str, calendar: str = STANDARD
) -> None:
    """Check that `count` labels from index `first` are one step apart."""
    wrong = np.flatnonzero(np.diff(times[first : first + count]) != step)
    if wrong.size:
        index = first + wrong[0]
        one, other = times[index : index + 2]
        before, after = (time_text(time, calendar) for time in (one, other))
        raise InputError(
            f"{what}: times at index {index} ({before}) and {index + 1} ({after}) are {step_text(other - one)} apart, "
            f"expected the model's step of {step_text(step)}"
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
    end: str | datetime.date | np.datetime64 | np.timedelta64 | None,
    what: str,
    calendar: str = STANDARD,
) -> tuple[int, int]:
    """Index of the first window of a run and number of windows: those from `start` on that end by `end`.

    None: from the file's first label, to one step after its last one; an end that is a length counts from the start.
    ``what`` names the file.
    """
    text = functools.partial(time_text, calendar=calendar)
    span = f"{what} has the times {text(times[0])} to {text(times[-1])}"
    first = 0
    if start is not None:
        wanted = named_time(start, calendar, "start")
        first = int(np.searchsorted(times, wanted))
        if first == len(times) or times[first] != wanted:
            raise InputError(f"start: found {text(wanted)}; {span}, expected one of them")
    stop = len(times)
    wanted_end = end_of(end, times[first], calendar)
    if wanted_end is not None:
        wanted = wanted_end
        if wanted <= times[first]:
            raise InputError(f"end: found {text(wanted)}, expected a time after the start {text(times[first])}")
        if wanted != times[-1] + step:
            stop = int(np.searchsorted(times, wanted))
            if stop == len(times) or times[stop] != wanted:
                raise InputError(f"end: found {text(wanted)}; {span}, expected one of them or {text(times[-1] + step)}")
            # The label at the end is not used, but it must be where the last window ends.
            check_step(times, first, stop - first + 1, step, what, calendar)
    check_step(times, first, stop - first, step, what, calendar)
    return first, stop - first


def label_sentences(
    file: ColumnFile, forcing: Sequence[Variable], states: Sequence[Variable], step: np.timedelta64
) -> list[str]:
    """What is taken for granted about the time labels of columns at windows: nothing where metadata agree with a model.

    Nothing is shifted or averaged here: `io.windows` does that.
    """
    window = step_text(step)
    if file.convention.time_labels:
        return [file.convention.time_labels.format(window=window)]
    known = {one.name: one for one in (*forcing, *states) if one.time_meaning != "static"}
    own_names = {name: own for name in known if (own := file.find(name)) is not None}
    found, notes = meaning.meanings(file.path, file.dataset, TIME, own_names, file.convention, known)
    means, points, states_of_means, other = list[str](), list[str](), list[str](), list[str]()
    for name, one in found.items():
        is_state = known[name] in states
        if one.source == meaning.ASSUMED:
            if not is_state:
                (means if one.kind == "mean" else points).append(name)
        elif is_state and one.kind == "mean":
            states_of_means.append(f"{name} ({one.source})")
        elif one.kind != ("mean" if known[name].time_meaning == "window mean" else "point"):
            other.append(f"{name} ({one.kind} by {one.source}, the model takes a {known[name].time_meaning})")
    groups = {
        f"no cell_methods, taken as means over [t, t + {window})": means,
        "no cell_methods, taken as values at t": points,
        "means that are taken as values at t": states_of_means,
        "another meaning than the model's, used as they are": other,
    }
    return [f"Time labels: {what}: {', '.join(names)}." for what, names in groups.items() if names] + notes
