"""What the values of a file mean in time, as its metadata say; what they contradict each other in is refused or said.

In this order: CF's ``cell_methods``, GRIB's step type, the table of the convention, and what the model takes. Where in
its interval the label of a mean or sum is, CF's ``bounds`` of the time say before all others.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import time_labels, units
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.fields import CONTRADICTION, Meaning
from ailand_gt4py.weights.model import Described
from ailand_gt4py.weights.variables import CATALOGUE

Kind = Literal["point", "mean", "sum", "accumulated"]
Label = Literal["start", "middle", "end"]

#: Methods of CF (appendix E) that say what a value over an interval is.
_METHODS: dict[str, Kind] = {"point": "point", "mean": "mean", "average": "mean", "sum": "sum"}
#: GRIB's step types (ecCodes): those over an interval end at the label.
_STEP_TYPES: dict[str, Kind] = {
    "instant": "point",
    "avg": "mean",
    "avgua": "mean",
    "accum": "accumulated",
    "sum": "sum",
    "diff": "sum",
}
#: ``mean over [t, t+6h)`` and ``(t - 1 h, t]`` in comments.
_INTERVAL = re.compile(r"[\[(]\s*t\s*(?P<before>-[^,\])]*)?,\s*t\s*(?P<after>\+[^,\])]*)?[\])]")
#: Words of a long name that neither a mean nor a value at a time has.
_OTHER_STATISTIC = re.compile(r"\b(?:accumulat|maxim|minim)\w*|\b(?:max|min)\b", re.IGNORECASE)
#: What says nothing of its time is taken as the model takes it.
ASSUMED = "no cell_methods, taken for granted"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The intervals of a file's labels.

    Attributes:
        own_name: of the variable with the bounds. label: where in its interval each label is. interval: their length.
    """

    own_name: str
    label: Label
    interval: np.timedelta64


def meanings(
    path: Path,
    dataset: xr.Dataset,
    own_time: str | None,
    own_names: Mapping[str, str],
    convention: Convention,
    known: Mapping[str, Described] = CATALOGUE,
) -> tuple[dict[str, Meaning], list[str]]:
    """What each variable with time means, by name, and sentences on what was decided between contradictions.

    Args:
        dataset: as it is in the file. own_time: what the dimension of time is called there.
        own_names: variable -> what the file calls it. known: what is taken for granted, by name.

    Raises:
        InputError: metadata that cannot be true together, or a statistic that is none of point, mean and sum, naming
            the variable.
    """
    if own_time is None:
        return {}, []
    timed = {name: own for name, own in own_names.items() if own_time in dataset[own].dims}
    found: dict[str, Meaning] = {}
    notes: dict[str, list[str]] = {}
    for name, own in timed.items():
        what = f"{path}: variable '{own}'"
        try:
            found[name] = _meaning(known[name], dataset[own], own_time, convention, what, notes)
        except InputError as error:
            if name not in CATALOGUE or CATALOGUE[name].kind in ("forcing", "ingredient", "state"):
                raise
            notes.setdefault(f"Left out ({error})", []).append(name)
    if any(one.kind in ("mean", "sum") for one in found.values()):
        bounds = read_bounds(path, dataset, own_time)
        if bounds is not None:
            for name, meaning in found.items():
                found[name] = _within(meaning, bounds, f"{path}: variable '{timed[name]}'", name, notes)
    return found, [f"{text}: {', '.join(names)}." for text, names in notes.items()]


def _meaning(
    variable: Described,
    array: xr.DataArray,
    own_time: str,
    convention: Convention,
    what: str,
    notes: dict[str, list[str]],
) -> Meaning:
    """What the metadata of a variable itself and the convention say."""
    name, by_method = variable.name, _by_cell_methods(array, own_time, what)
    step_type = str(array.attrs.get("GRIB_stepType", ""))
    table = convention.meanings.get(name)
    if step_type and step_type not in _STEP_TYPES and by_method is None and table is None:
        raise InputError(
            f"{what} has the GRIB_stepType '{step_type}', expected one of {', '.join(_STEP_TYPES)}: what is over a "
            "time must be a mean or a sum"
        )
    by_grib = _STEP_TYPES.get(step_type)
    if step_type and by_grib is None:
        followed = "cell_methods are" if by_method is not None else f"{convention.name} is"
        notes.setdefault(f"{CONTRADICTION}, {followed} followed: GRIB_stepType says '{step_type}'", []).append(name)
    if by_method is not None:
        if by_grib is not None and not _agree(by_method, by_grib):
            text = f"cell_methods say '{by_method}', GRIB_stepType says '{step_type}'"
            text = f"{CONTRADICTION}, cell_methods are followed: {text}"
            notes.setdefault(text, []).append(name)
        result = Meaning(by_method, source="cell_methods")
        if table is not None and _agree(by_method, table.kind):
            result = dataclasses.replace(table, source=f"cell_methods, {table.source or convention.name}")
        label = _by_comment(array)
        if label is not None and by_method != "point":
            result = dataclasses.replace(result, label=label, source="cell_methods and comment")
    elif table is not None:
        if by_grib is not None and not _agree(by_grib, table.kind):
            text = f"GRIB_stepType says '{step_type}', {convention.name} has '{table.kind}'"
            text = f"{CONTRADICTION}, {convention.name} is followed: {text}"
            notes.setdefault(text, []).append(name)
        result = table if table.source else dataclasses.replace(table, source=convention.name)
    elif by_grib is not None:
        result = Meaning(by_grib, "start" if by_grib == "point" else "end", source=f"GRIB_stepType '{step_type}'")
        if by_grib == "accumulated":
            result = dataclasses.replace(result, reset="unknown")
    else:
        result = Meaning("mean" if variable.time_meaning == "window mean" else "point", source=ASSUMED)
    _require_amount(variable.units, result, array, what)
    words = str(array.attrs.get("long_name", ""))
    is_input = name in CATALOGUE and CATALOGUE[name].kind in ("forcing", "ingredient")
    if is_input and result.kind in ("mean", "point") and _OTHER_STATISTIC.search(words):
        text = f"taken as a {result.kind} ({result.source}), its long_name is '{words[:80]}'"
        notes.setdefault(f"{CONTRADICTION}, long_name is not followed: {text}", []).append(name)
    return result


def _agree(one: Kind, other: Kind) -> bool:
    """Whether two kinds may be said of the same values: a sum may be one since a reset."""
    return one == other or {one, other} == {"sum", "accumulated"}


def _by_cell_methods(array: xr.DataArray, own_time: str, what: str) -> Kind | None:
    """What ``cell_methods`` say of time; None where they do not."""
    text = str(array.attrs.get("cell_methods", ""))
    # "area: mean time: point (interval: 1 hour)": what is in parentheses says what the values were made from.
    plain = re.sub(r"\([^)]*\)", "", text)
    found = [
        (names, method)
        for names, method in re.findall(r"((?:\w+:\s*)+)(\w+)", plain)
        if {"time", own_time, "valid_time"} & set(re.findall(r"\w+", names))
    ]
    if not found:
        return None
    if len(found) > 1 or "within" in plain or "over" in plain or found[0][1] not in _METHODS:
        raise InputError(
            f"{what} has the cell_methods '{text}', expected 'time: point', 'time: mean' or 'time: sum': the model "
            "takes no other statistic"
        )
    return _METHODS[found[0][1]]


def _by_comment(array: xr.DataArray) -> Label | None:
    """Where a comment such as ``mean over [t, t+6h)`` has the label."""
    found = _INTERVAL.search(str(array.attrs.get("comment", "")))
    if found is None or bool(found["before"]) == bool(found["after"]):
        return None
    return "end" if found["before"] else "start"


def _require_amount(expected: str, meaning: Meaning, array: xr.DataArray, what: str) -> None:
    """Check that what is a sum has the unit of an amount."""
    if meaning.kind not in ("sum", "accumulated") or array.attrs.get("units") is None:
        return
    try:
        units.conversion(array.attrs["units"], expected, what)
    except InputError:
        return
    raise InputError(
        f"{what} is {'a sum' if meaning.kind == 'sum' else 'accumulated'} by {meaning.source}, but has the unit "
        f"'{array.attrs['units']}' of a rate; expected an amount, or metadata of a mean (is it divided by its time "
        "already?)"
    )


def read_bounds(path: Path, dataset: xr.Dataset, own_time: str) -> Bounds | None:
    """The intervals of the labels by CF's ``bounds`` of the time; None where there are none.

    Raises:
        InputError: bounds that are not there, that differ in length, or that do not have the labels at the start, in
            the middle or at the end.
    """
    time = dataset[own_time]
    own = str({**time.encoding, **time.attrs}.get("bounds", ""))
    if not own:
        return None
    what = f"{path}: variable '{own}', the bounds of '{own_time}',"
    if own not in dataset.variables:
        raise InputError(f"{what} is missing; expected the beginning and the end of the interval of each label")
    array = dataset[own]
    if array.dims[:1] != (own_time,) or array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"{what} has the shape {array.shape}, expected ({time.size}, 2)")
    labels = time_labels.instants(time.values, time.attrs, f"{path}: variable '{own_time}'")
    # Units and calendar are those of the time (CF 7.1).
    start, end = time_labels.instants(array.values, {**time.attrs, **array.attrs}, what).T
    lengths = end - start
    if not len(labels) or (np.isnat(lengths).any() or (lengths <= np.timedelta64(0, "ns")).any()):
        if len(labels) and (lengths == np.timedelta64(0, "ns")).all():
            return None  # all are instants
        raise InputError(f"{what} has intervals that do not end after they begin, expected such")
    if (lengths != lengths[0]).any():
        k = int(np.flatnonzero(lengths != lengths[0])[0])
        raise InputError(
            f"{what} has intervals of {step_text(lengths[0])} and, at {time_text(labels[k])}, {step_text(lengths[k])}; "
            "expected one length"
        )
    return Bounds(own, _label(labels, start, lengths[0], what), lengths[0])


def _label(labels: Values, start: Values, interval: np.timedelta64, what: str) -> Label:
    late = labels - start
    places: dict[Label, np.timedelta64] = {"start": interval * 0, "middle": interval // 2, "end": interval}
    for label, place in places.items():
        if (late == place).all():
            return label
    k = int(np.flatnonzero(late != late[0])[0]) if (late != late[0]).any() else 0
    raise InputError(
        f"{what} has [{time_text(start[k])}, {time_text(start[k] + interval)}] at the label {time_text(labels[k])}, "
        "expected all labels at the start, in the middle or at the end of their intervals"
    )


def _within(meaning: Meaning, bounds: Bounds, what: str, name: str, notes: dict[str, list[str]]) -> Meaning:
    """A meaning with the interval of the bounds, where it has one."""
    if meaning.kind not in ("mean", "sum"):
        return meaning
    is_told = meaning.source != ASSUMED and meaning.source != "cell_methods"
    if is_told and meaning.label != bounds.label:
        text = (
            f"the bounds '{bounds.own_name}' have the label at the {bounds.label} of its interval, {meaning.source} "
            f"at the {meaning.label}"
        )
        if "comment" in meaning.source:
            raise InputError(f"{what}: {text}; expected metadata that agree")
        notes.setdefault(f"{CONTRADICTION}, the bounds are followed: {text}", []).append(name)
    source = f"bounds '{bounds.own_name}'"
    if meaning.source != ASSUMED:
        source = f"{meaning.source.split(',')[0]} and {source}"
    return dataclasses.replace(meaning, label=bounds.label, interval=bounds.interval, source=source)
