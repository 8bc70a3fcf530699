"""Files that belong together as one: variables of several files, and files that follow one another in time.

What several files have is taken from the one that is given first, and said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import dask.array
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, on_axis, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.concatenation import concatenated
from ailand_gt4py.io.fields import TIME, Fields
from ailand_gt4py.io.monthly import MONTH, at_times
from ailand_gt4py.weights.variables import CATALOGUE

#: Kinds of variables without which no window can be made.
_FORCING = ("forcing", "ingredient")
_LOCATION = ("lat", "lon")


def of_equal_times(files: Sequence[Fields]) -> list[Fields]:
    """Columns of files with the same times as one; what follows one another in time is put end to end.

    Raises:
        InputError: files of the same variables have other units or another meaning in time.
    """
    _calendar(files)
    groups: list[Fields] = []
    for one in _end_to_end(files):
        same = next((k for k, group in enumerate(groups) if _have_equal_times(group, one)), None)
        if same is None:
            groups.append(one)
        else:
            groups[same] = _joined([groups[same], one])
    return groups


def of_windows(parts: Sequence[Fields]) -> Fields:
    """Columns that are labelled at the starts of windows as one, at the times that all of the forcing has.

    Forcing without time is the same in all windows; what is no forcing may be missing at some of the times.

    Raises:
        InputError: no time is in all files with forcing.
    """
    parts = [_with_constant_forcing(one, parts) for one in _each_once(parts)]
    axis = _common_times(parts)
    if axis is None:
        return _joined(parts)
    return _joined([_at_times(one, axis) for one in parts])


def _calendar(files: Sequence[Fields]) -> str:
    """The calendar of the times of files."""
    found = {str(one.dataset[TIME].attrs.get("calendar", STANDARD)): one for one in files if TIME in one.dataset.dims}
    if len(found) > 1:
        (first, one), (other, another), *_ = found.items()
        raise InputError(
            f"{another.path}: times are in the calendar '{other}', expected '{first}' as in {one.path}, with which it "
            "is given"
        )
    return next(iter(found), STANDARD)


def timed(fields: Fields) -> list[str]:
    """Names of the variables with time."""
    return [str(name) for name, array in fields.dataset.data_vars.items() if TIME in array.dims]


def times_of(fields: Fields) -> Values | None:
    return fields.dataset[TIME].values if TIME in fields.dataset.dims else None


def _end_to_end(files: Sequence[Fields]) -> list[Fields]:
    """Files of the same variables, one after another in time, as one at the position of the first of them."""
    series: dict[frozenset[str], list[Fields]] = {}
    order: list[list[Fields]] = []
    for one in files:
        names = frozenset(timed(one))
        known = series.get(names)
        if names and known is not None and not any(_have_equal_times(one, other) for other in known):
            known.append(one)
        else:
            order.append([one])
            if names:
                series.setdefault(names, order[-1])
    return [_in_a_row(row) if len(row) > 1 else row[0] for row in order]


def _in_a_row(files: Sequence[Fields]) -> Fields:
    row = sorted(files, key=lambda one: one.dataset[TIME].values[0])
    first = files[0]
    for one in row:
        for name in timed(first):
            units = [part.dataset[name].attrs.get("units") for part in (first, one)]
            if units[0] != units[1] or first.meanings.get(name) != one.meanings.get(name):
                raise InputError(
                    f"{one.what(name)} has the unit '{units[1]}' and is a {_meaning(one, name)}, expected "
                    f"'{units[0]}' and a {_meaning(first, name)} as in {first.path}, which it follows in time"
                )
    together, more = concatenated(row, timed(first))
    static = first.dataset.drop_dims(TIME)
    span = " to ".join(time_text(together[TIME].values[end]) for end in (0, -1))
    note = f"{len(row)} files with the same variables are put end to end in time, {span}."
    notes = list(dict.fromkeys(note for one in files for note in one.notes))
    return dataclasses.replace(first, dataset=static.merge(together), notes=[*notes, note, *more])


def _meaning(fields: Fields, name: str) -> str:
    meaning = fields.meanings.get(name)
    return "value of unknown meaning" if meaning is None else f"{meaning.kind} ({meaning.label})"


def _have_equal_times(one: Fields, other: Fields) -> bool:
    """Whether both have the same times, or one of them has none."""
    times = times_of(one), times_of(other)
    return times[0] is None or times[1] is None or np.array_equal(times[0], times[1])


def _joined(files: Sequence[Fields]) -> Fields:
    """Variables of files at the same times as those of one file; of what several have, the first's."""
    files = _each_once(files)
    dataset = files[0].dataset
    for one in files[1:]:
        dataset = dataset.merge(one.dataset.drop_vars(_LOCATION), join="override", compat="override")
    return dataclasses.replace(
        files[0],
        dataset=dataset,
        own_names={name: own for one in reversed(files) for name, own in one.own_names.items()},
        meanings={name: meaning for one in reversed(files) for name, meaning in one.meanings.items()},
        notes=list(dict.fromkeys(note for one in files for note in one.notes)),
        convention=", ".join(dict.fromkeys(one.convention for one in files if one.convention)),
        lacking={name: why for one in reversed(files) for name, why in one.lacking.items()},
    )


def _each_once(files: Sequence[Fields]) -> list[Fields]:
    """The same without what a file given before has, which is said."""
    owner: dict[str, Fields] = {}
    result = []
    for one in files:
        names = [str(name) for name in one.dataset.data_vars if name not in _LOCATION]
        again = [name for name in names if name in owner]
        if again:
            notes = list(one.notes)
            for path in dict.fromkeys(owner[name].path for name in again):
                shown = ", ".join(name for name in again if owner[name].path == path)
                notes.append(f"Taken from {path}, given first, not from {one.path}: {shown}.")
            kept = one.dataset.drop_vars(again)
            one = dataclasses.replace(
                one,
                dataset=kept,
                notes=notes,
                own_names={name: own for name, own in one.own_names.items() if name not in again},
                meanings={name: meaning for name, meaning in one.meanings.items() if name not in again},
            )
        owner.update(dict.fromkeys((name for name in names if name not in again), one))
        result.append(one)
    return result


def is_forcing(name: str) -> bool:
    """Whether a window cannot be made without a variable, or without what follows from it."""
    return name in CATALOGUE and CATALOGUE[name].kind in _FORCING and CATALOGUE[name].time_meaning != "static"


def _common_times(parts: Sequence[Fields]) -> Values | None:
    """Times at which all of the forcing is there; without forcing, those of all parts; None where there is none."""
    forcing = [one for one in parts if any(map(is_forcing, timed(one)))]
    if not forcing:
        found = [times for one in parts if (times := times_of(one)) is not None]
        return np.unique(np.concatenate(found)) if found else None
    common = forcing[0].dataset[TIME].values
    for one in forcing[1:]:
        times = one.dataset[TIME].values
        shared = common[np.isin(common, times)]
        if not len(shared):
            spans = "; ".join(f"{part.path}: {_span(part.dataset[TIME].values)}" for part in forcing)
            raise InputError(f"no window is in all files with forcing ({spans}), expected files of the same period")
        common = shared
    return common


def _span(times: Values) -> str:
    step = f", every {step_text(np.diff(times).min())}" if len(times) > 1 else ""
    return f"{time_text(times[0])} to {time_text(times[-1])}{step}"


def _with_constant_forcing(fields: Fields, parts: Sequence[Fields]) -> Fields:
    """The same, forcing that has no time repeated in time."""
    constant = [str(name) for name in fields.dataset.data_vars if is_forcing(str(name)) and name not in timed(fields)]
    axis, calendar = times_of(fields), _calendar(parts)
    if axis is None:
        axis = next((times for one in parts if (times := times_of(one)) is not None), None)
    if not constant or axis is None:
        return fields
    data = fields.dataset.assign_coords({TIME: (TIME, axis, {"standard_name": "time", "calendar": calendar})})
    for name in constant:
        array = data[name]
        if MONTH in array.dims:
            data = data.drop_vars(name).assign({name: at_times(array, on_axis(axis, calendar))})
            continue
        values = dask.array.broadcast_to(array.chunk().data, (len(axis), *array.shape))
        data[name] = xr.Variable((TIME, *array.dims), values, array.attrs)
    monthly = [name for name in constant if MONTH in fields.dataset[name].dims]
    always = [name for name in constant if name not in monthly]
    notes = [
        f"{text}: {', '.join(names)}."
        for text, names in (
            (f"Without time in {fields.path}, taken as constant", always),
            (f"By calendar month in {fields.path}, linear between the middles of the months", monthly),
        )
        if names
    ]
    return dataclasses.replace(fields, dataset=data, notes=[*fields.notes, *notes])


def _at_times(fields: Fields, axis: Values) -> Fields:
    """The same at some times; missing where the file does not have them, fields that are static but for all times."""
    times = times_of(fields)
    if times is None or np.array_equal(times, axis):
        return fields
    static = [name for name in timed(fields) if name in CATALOGUE and CATALOGUE[name].kind == "static"]
    data, lacking = fields.dataset, dict(fields.lacking)
    if not np.isin(times, axis).any():
        states = [name for name in timed(fields) if name in CATALOGUE and CATALOGUE[name].kind == "state"]
        for name in states:
            lacking[name] = f"{fields.what(name)} has the times {_span(times)}, expected some of {_span(axis)}"
        data = data.drop_vars(states)
    for name in static:
        array = data[name]
        first = array.isel({TIME: 0}, drop=True)
        if not bool(((array == first) | (np.isnan(array) & np.isnan(first))).all()):
            raise InputError(f"{fields.what(name)} changes in time, expected a static field to be constant in time")
        data = data.assign({name: first})
    return dataclasses.replace(fields, dataset=data.reindex({TIME: axis}), lacking=lacking)
