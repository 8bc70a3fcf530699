"""From the times of a file to the windows of a model: means over [t, t + step) and values at t, lazily.

What is instantaneous is taken to follow straight lines between its labels, so that its mean over a window comes from
the values in it and at both ends (the trapezoidal rule). Means and sums over shorter intervals are averaged and summed,
wherever in its interval the label is. Nothing is made up: a window of which something is missing is left off at the
ends of a file, and refused inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import end_of, parse_time, step_of, step_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import TIME, Fields, Meaning
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.resets import is_reset, with_known_resets
from ailand_gt4py.io.series import FORCING, Series, series_of
from ailand_gt4py.io.window_sums import Increments, Kernel, Rows, of_straight_lines, over_windows, weighted
from ailand_gt4py.weights.variables import CATALOGUE

#: Kinds of variables that a model may need.
INPUTS = (*FORCING, "state", "static")
SECOND = np.timedelta64(1_000_000_000, "ns")
TICK = np.timedelta64(1, "ns")

#: Largest decrease of an accumulated amount that is rounding of packed values, by unit of the rate: a thousandth of a
#: sunny hour, 0.02 mm.
_ROUNDING = {"W m-2": 1000.0, "kg m-2 s-1": 0.02}


def to_windows(fields: Fields, request: Request) -> Fields:
    """Fields at the starts of a model's windows: means over them and values at their starts, in the catalogue's units.

    Windows begin at multiples of the model's step from 00 UTC or, where a row of the file is as long as a window, where
    rows begin; ``request.start`` is the beginning of one in any case. What has no time stays as it is.

    Raises:
        InputError: naming variable and time: what is coarser than the model's windows, does not fill them, or is
            missing in the period of the request; an amount without its unit.
    """
    if TIME not in fields.dataset.dims:
        return fields
    fields = with_known_resets(fields)
    dataset = fields.dataset
    step = own_step(dataset[TIME].values) if request.own_step else step_of(request.model.step_seconds)
    series, notes = _all_series(fields, request, step)
    if not series:  # whoever needs any says so
        return dataclasses.replace(fields, dataset=dataset.drop_dims(TIME), notes=[*fields.notes, *notes])
    windows, rows = _windows(series, request, step, str(fields.path))
    timed = {one.name: _at_windows(one, rows[one.name], windows, step) for one in series}
    time = xr.Variable((TIME,), windows, dataset[TIME].attrs)
    return dataclasses.replace(
        fields,
        dataset=dataset.drop_dims(TIME).assign_coords({TIME: time}).assign(timed),
        meanings={one.name: _result_meaning(one, step) for one in series},
        notes=[*fields.notes, *notes, *_sentences(series, windows, step), *_left_off(series, windows, step)],
    )


def own_step(times: Values) -> np.timedelta64:
    """The distance of the labels of a file; of a single one, a model's usual step."""
    step: np.timedelta64 = np.diff(times).min() if len(times) > 1 else step_of(21_600.0)
    return step


def are_windows(fields: Fields, step: np.timedelta64) -> bool:
    """Whether values are as a model of some step takes them: labelled at the starts of its windows.

    States may be means, from their label on, and what is no input of a model may be anything but a mean with another
    label.
    """
    if TIME not in fields.dataset.dims:
        return True
    times = fields.dataset[TIME].values
    if len(times) > 1 and np.diff(times).min() != step:
        return False
    for name, meaning in fields.meanings.items():
        entry = CATALOGUE[name]
        is_mean = entry.time_meaning == "window mean"
        is_interval = meaning.kind == "mean" and meaning.label == "start" and meaning.interval in (None, step)
        if entry.kind in FORCING and not (is_interval if is_mean else meaning.kind == "point"):
            return False
        if entry.kind == "state" and not (is_interval or meaning.kind == "point"):
            return False
        if entry.kind == "diagnostic" and meaning.kind == "mean" and not is_interval:
            return False
    return True


def _all_series(fields: Fields, request: Request, step: np.timedelta64) -> tuple[list[Series], list[str]]:
    """The timed variables, and what is said of those that are left out: others than inputs, unless all are."""
    series, notes = [], []
    wanted = {one.name for one in (*request.model.state, *request.model.diagnostics)}
    for name in map(str, fields.dataset.data_vars):
        if TIME not in fields.dataset[name].dims or name not in fields.meanings:
            continue
        try:
            series.append(series_of(fields, name, request.model, step))
        except InputError as error:
            is_wanted = name.removesuffix("_error") in wanted
            if CATALOGUE[name].kind in INPUTS or (is_wanted and not request.leaves_out):
                raise
            notes.append(f"Left out: {name} ({error}).")
            problem = error
    if notes and not series:
        raise problem
    return series, notes


def _result_meaning(series: Series, step: np.timedelta64) -> Meaning:
    return Meaning("mean", "start", step, source="windows") if series.is_mean else Meaning("point", source="windows")


def _windows(
    series: Sequence[Series], request: Request, step: np.timedelta64, what: str
) -> tuple[Values, dict[str, Rows]]:
    """Starts of all windows that are whole, and the rows of each variable in them, -1 where it is not there."""
    needed = [one for one in series if one.required] or [one for one in series if one.is_mean]
    if not needed:  # states alone are as they are, or at the starts of the windows that are asked for
        windows = np.unique(np.concatenate([one.starts for one in series])) if series else np.empty(0, "datetime64[ns]")
        if series and request.start is not None and not request.own_step:
            is_start = (windows - parse_time(request.start, calendar=series[0].calendar)) % step == np.timedelta64(
                0, "ns"
            )
            windows = windows[is_start] if is_start.any() else windows
        return windows, {one.name: one.rows(windows, step) for one in series}
    begin, end = _span(needed)
    origin = _origin(needed, request, step)
    grid = np.arange(origin + (begin - origin) // step * step, end + TICK, step)
    rows = {one.name: one.rows(grid, step) for one in series}
    is_whole = np.all([rows[one.name].first >= 0 for one in needed], axis=0)
    if not is_whole.any():
        short = ", ".join(one.name for one in needed if not (rows[one.name].first >= 0).any())
        text = needed[0].text
        raise InputError(
            f"{what}: has the times {text(begin)} to {text(end)}, which hold no whole window of {step_text(step)} that "
            f"begins at {text(origin)} or whole steps from it{f' ({short})' if short else ''}; expected at least one "
            "(or another start)"
        )
    _require_no_holes(needed, rows, grid, is_whole, request)
    return grid[is_whole], {
        name: dataclasses.replace(found, first=found.first[is_whole]) for name, found in rows.items()
    }


def _span(needed: Sequence[Series]) -> tuple[np.datetime64, np.datetime64]:
    """When what is averaged, or else sampled, begins and ends."""
    means = [one for one in needed if one.is_mean] or needed
    return min(one.span[0] for one in means), max(one.span[1] for one in means)


def _origin(needed: Sequence[Series], request: Request, step: np.timedelta64) -> np.datetime64:
    """Where a window begins."""
    if request.start is not None:
        return parse_time(request.start, calendar=needed[0].calendar)
    means = [one for one in needed if one.is_mean]
    whole = [one for one in means if one.interval == step]
    if means and all(max(one.interval, one.distance) == step for one in means):
        first: np.datetime64 = (whole or means)[0].starts[0]
        return first
    return needed[0].times[0].astype("datetime64[D]").astype("datetime64[ns]")


def _require_no_holes(
    needed: Sequence[Series], rows: Mapping[str, Rows], grid: Values, is_whole: Values, request: Request
) -> None:
    """Check that no window is missing within the period that is asked for."""
    if len(grid) < 2:
        return
    whole, step, calendar = grid[is_whole], grid[1:2] - grid[:1], needed[0].calendar
    first = whole[0] if request.start is None else max(whole[0], parse_time(request.start, calendar=calendar))
    last, end = whole[-1], end_of(request.end, first, calendar)
    if end is not None:
        last = min(last, end - step[0])
    holes = np.flatnonzero(~is_whole & (grid > first) & (grid < last))
    if not holes.size:
        return
    window = grid[holes[0]]
    one = next(one for one in needed if rows[one.name].first[holes[0]] < 0)
    labels = one.labels_of(window, step[0])
    missing = labels[~np.isin(labels, one.times)]
    raise InputError(
        f"{one.what} has no value at {one.text(missing[0] if missing.size else window)}, which the window of "
        f"{step_text(step[0])} from {one.text(window)} needs; {holes.size} windows between {one.text(first)} and "
        f"{one.text(last + step[0])} are not whole, expected none, or a period without them"
    )


def _at_windows(one: Series, rows: Rows, windows: Values, step: np.timedelta64) -> xr.Variable:
    """A variable at the starts of the windows, NaN where it is missing."""
    there = rows.first >= 0
    rows, own = dataclasses.replace(rows, first=rows.first[there]), windows[there]
    stored = np.dtype(one.array.encoding.get("dtype", one.array.dtype))
    dtype = np.dtype(np.float64 if stored == np.float64 else np.float32)
    data = one.array.data
    if not there.any():
        data = data[:1].astype(dtype) * np.nan  # a row to stand for what is nowhere
    elif not one.is_mean:
        data = _sampled(one, rows, own, dtype)
    else:
        kernel = _kernel(one, rows, own, step)
        data = data[rows.index()].astype(dtype) if kernel is None else over_windows(data, rows, kernel, dtype)
    attributes = {"units": one.conversion.expected, "cell_methods": "time: mean" if one.is_mean else "time: point"}
    result = xr.Variable((TIME, *one.array.dims[1:]), data, attributes)
    if there.all():
        return result
    return result[{TIME: np.maximum(np.cumsum(there) - 1, 0)}].where(xr.Variable((TIME,), there))


def _sampled(one: Series, rows: Rows, windows: Values, dtype: np.dtype) -> Any:
    """Values at the starts of windows, between labels on the straight line (dask)."""
    values = one.array.data[rows.index()]
    if not one.interval and (one.starts[rows.first] != windows).any():
        late = (windows - one.starts[rows.first]) / np.diff(one.starts, append=one.starts[-1:] + TICK)[rows.first]
        weight = late.reshape(-1, *(1,) * (values.ndim - 1))
        values = values * (1.0 - weight) + one.array.data[rows.first + (late > 0.0)] * weight
    elif one.conversion.is_identity:
        return values.astype(dtype)
    return (values.astype(np.float64) * one.conversion.scale + one.conversion.offset).astype(dtype)


def _kernel(one: Series, rows: Rows, windows: Values, step: np.timedelta64) -> Kernel | None:
    """What makes means over windows of rows; None where each is a row as it is."""
    conversion, seconds = one.conversion, float(step / SECOND)
    if one.meaning.kind == "accumulated":
        packed = abs(float(one.array.encoding.get("scale_factor", 0.0)))
        return Increments(
            count=rows.count - 1,
            stride=rows.stride,
            times=one.times,
            is_reset=is_reset(one.times, one.meaning.reset, one.meaning.reset_at),
            factor=conversion.scale / seconds,
            tolerance=max(_ROUNDING.get(conversion.expected, 0.0) / conversion.scale, packed)
            if CATALOGUE[one.name].valid_range[0] >= 0.0
            else np.inf,
            what=one.what,
            calendar=one.calendar,
        )
    if one.meaning.kind == "point":
        late = float(one.late(windows[0]) / one.distance)
        weights = of_straight_lines(rows.count, late, float(step / one.distance))
    else:
        weights = np.zeros(rows.count)
        weights[:: int(one.interval // one.distance)] = 1.0 if one.meaning.kind == "sum" else one.interval / step
    scale = conversion.scale / seconds if one.meaning.kind == "sum" else conversion.scale
    if len(weights) == 1 and weights[0] * scale == 1.0 and not conversion.offset:
        return None
    return partial(weighted, weights=weights, stride=rows.stride, scale=scale, offset=conversion.offset)


def _sentences(series: Sequence[Series], windows: Values, step: np.timedelta64) -> list[str]:
    """What was done, for the history; nothing where values are what the model takes."""
    groups: dict[str, list[str]] = {}
    for one in series:
        text = _mean_text(one, step) if one.is_mean else _sample_text(one, windows)
        if text:
            source = f" ({one.meaning.source})" if one.meaning.source else ""
            groups.setdefault(f"{text}{source}", []).append(one.name)
    lines = [f"{text}: {', '.join(names)}." for text, names in groups.items()]
    return lines + [one.conversion.sentence(one.name) for one in series if not one.conversion.is_identity]


def _mean_text(one: Series, step: np.timedelta64) -> str:
    meaning = one.meaning
    if meaning.kind == "mean" and one.interval == step and meaning.label == "start" and "granted" not in meaning.source:
        return ""
    if meaning.kind == "accumulated":
        since = "the first label" if meaning.reset == "never" else f"each {step_text(one.reset_interval)}"
        of = f"increments of amounts accumulated from {since} on"
    elif meaning.kind == "point":
        of = f"values at labels {step_text(one.distance)} apart"
    else:
        of = f"{meaning.kind}s over {step_text(one.interval)} that {_where(meaning)} at the label"
    return f"Means over [t, t + {step_text(step)}) of {of}"


def _sample_text(one: Series, windows: Values) -> str:
    if one.interval:
        return f"Taken as values at t, but means over {step_text(one.interval)} that {_where(one.meaning)} at the label"
    if one.required and not np.isin(windows, one.times).all():
        return f"Linear between labels {step_text(one.distance)} apart"
    return ""


def _where(meaning: Meaning) -> str:
    return {"start": "begin", "middle": "are centred", "end": "end"}[meaning.label]


def _left_off(series: Sequence[Series], windows: Values, step: np.timedelta64) -> list[str]:
    """What is left off at the ends."""
    needed = [one for one in series if one.required and one.is_mean] or [one for one in series if one.is_mean]
    if not needed:
        return []
    (begin, end), text = _span(needed), needed[0].text
    parts = [
        f"{text(start)} to {text(stop)}"
        for start, stop in ((begin, windows[0]), (windows[-1] + step, end))
        if start < stop
    ]
    return [f"Left out, as it fills no window of {step_text(step)}: {' and '.join(parts)}."] if parts else []
