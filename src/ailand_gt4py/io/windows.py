"""From the times of a file to the windows of a model: means over [t, t + step) and values at t, lazily.

What is instantaneous is taken to follow straight lines between its labels, so that its mean over a window comes from
the values in it and at both ends (the trapezoidal rule). Means and sums over shorter intervals are averaged and summed,
wherever in its interval the label is. Nothing is made up: a window of which something is missing is left off at the
ends of a file, and refused inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import parse_time, step_of, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import units
from ailand_gt4py.io.column_file import TIME
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.resets import is_reset, with_known_resets
from ailand_gt4py.io.window_sums import BLOCK_BYTES, Increments, Kernel, Rows, of_straight_lines, over_windows, weighted
from ailand_gt4py.weights.variables import CATALOGUE

#: Kinds of variables that a model may need.
INPUTS = ("forcing", "ingredient", "state", "static")
NO_TIME = np.timedelta64(0, "ns")
DAY = np.timedelta64(86_400_000_000_000, "ns")
SECOND = np.timedelta64(1_000_000_000, "ns")

#: Largest decrease of an accumulated amount that is rounding of packed values, by unit of the rate: a thousandth of a
#: sunny hour, 0.02 mm.
_ROUNDING = {"W m-2": 1000.0, "kg m-2 s-1": 0.02}


@dataclasses.dataclass(frozen=True)
class Series:
    """A timed variable of a file and what its rows stand for.

    Attributes:
        array: lazy (dask), time first. times: (n_times,) its labels. distance: of the labels.
        interval: that a row stands for; 0 of values at labels and of what is accumulated.
        starts: (n_times,) beginnings of the intervals.
        is_mean: whether the model takes its mean over a window, else its value at the start.
        required: whether windows need it, as they do forcing.
        conversion: to the catalogue's units, of amounts to rates.
    """

    name: str
    what: str
    array: xr.DataArray
    meaning: Meaning
    times: Values
    distance: np.timedelta64
    interval: np.timedelta64
    starts: Values
    is_mean: bool
    required: bool
    conversion: units.Conversion

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """When what it tells begins and ends."""
        return self.starts[0], self.starts[-1] + self.interval

    def labels_of(self, window: np.datetime64, step: np.timedelta64) -> Values:
        """The labels that a window needs."""
        shift = self.times[0] - self.starts[0]
        if not self.is_mean:
            return np.array([window + shift])
        if self.interval == NO_TIME:
            late = (window - self.times[0]) % self.distance
            return np.arange(window - late, window + step + self.distance - SECOND / 1000, self.distance)
        return np.arange(window, window + step, self.interval) + shift


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
    dataset, step = fields.dataset, step_of(request.model.step_seconds)
    series, notes = _all_series(fields, request, step)
    windows, rows = _windows(series, request, step, str(fields.path))
    timed = {one.name: _at_windows(one, rows[one.name], windows, step) for one in series}
    result = dataset.drop_dims(TIME).assign_coords({TIME: (TIME, windows, _time_attributes(dataset))}).assign(timed)
    return dataclasses.replace(
        fields,
        dataset=result,
        meanings={one.name: _result_meaning(one, step) for one in series},
        notes=[*fields.notes, *notes, *_sentences(series, step), *_left_off(series, windows, step)],
    )


def are_windows(fields: Fields, step: np.timedelta64) -> bool:
    """Whether values are as a model of some step takes them: labelled at the starts of its windows.

    States may be means, from their label on, and what is no input of a model may be anything.
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
        if entry.kind in ("forcing", "ingredient") and not (is_interval if is_mean else meaning.kind == "point"):
            return False
        if entry.kind == "state" and not (is_interval or meaning.kind == "point"):
            return False
    return True


def _all_series(fields: Fields, request: Request, step: np.timedelta64) -> tuple[list[Series], list[str]]:
    """The timed variables, and what is said of those that are left out: others than forcing and states."""
    series, notes = [], []
    for name in map(str, fields.dataset.data_vars):
        if TIME not in fields.dataset[name].dims or name not in fields.meanings:
            continue
        try:
            series.append(_series(fields, name, request, step))
        except InputError as error:
            if CATALOGUE[name].kind in INPUTS:
                raise
            notes.append(f"Left out: {name} ({error}).")
    return series, notes


def _time_attributes(dataset: xr.Dataset) -> dict[str, Any]:
    calendar = dataset[TIME].attrs.get("calendar")
    return {"standard_name": "time", **({"calendar": calendar} if calendar else {})}


def _result_meaning(series: Series, step: np.timedelta64) -> Meaning:
    return Meaning("mean", "start", step, source="windows") if series.is_mean else Meaning("point", source="windows")


def _series(fields: Fields, name: Any, request: Request, step: np.timedelta64) -> Series:
    """A variable of the fields, checked to have a meaning that can be brought to windows."""
    array, meaning, times = fields.dataset[name], fields.meanings[name], fields.dataset[TIME].values
    model = request.model
    known = {one.name: one for group in (model.forcing, model.state, model.diagnostics) for one in group}
    is_mean = known.get(name, CATALOGUE[name]).time_meaning == "window mean"
    distance = np.diff(times).min() if len(times) > 1 else meaning.interval or step
    is_interval = meaning.kind in ("mean", "sum")
    interval = meaning.interval or distance if is_interval else NO_TIME
    late = {"start": NO_TIME, "middle": interval // 2, "end": interval}[meaning.label]
    if not is_mean and meaning.kind in ("sum", "accumulated"):
        raise InputError(
            f"{fields.what(name)} is {'a sum' if is_interval else 'accumulated'} by {meaning.source}, expected values "
            "at the labels"
        )
    convert = units.rate_conversion if meaning.kind in ("sum", "accumulated") else units.conversion
    if array.chunks is None:
        row_bytes = max(array.dtype.itemsize * array.size // max(len(times), 1), 1)
        array = array.chunk({TIME: max(1, BLOCK_BYTES // row_bytes)})
    array = array.transpose(TIME, ...)
    if meaning.kind == "accumulated" and is_reset(times[:1] - distance, meaning.reset).all():
        # The first value is the sum from the label before, where nothing needs to be known.
        array = array.pad({TIME: (1, 0)}, constant_values=np.nan)
        times = np.concatenate([times[:1] - distance, times])
    return Series(
        name=name,
        what=fields.what(name),
        array=array,
        meaning=meaning,
        times=times,
        distance=distance,
        interval=interval,
        starts=times - late,
        is_mean=is_mean,
        required=CATALOGUE[name].kind in ("forcing", "ingredient"),
        conversion=convert(array.attrs.get("units"), CATALOGUE[name].units, fields.what(name)),
    )


def _windows(
    series: Sequence[Series], request: Request, step: np.timedelta64, what: str
) -> tuple[Values, dict[str, Rows]]:
    """Starts of all windows that are whole, and the rows of each variable in them, -1 where it is not there."""
    needed = [one for one in series if one.required] or [one for one in series if one.is_mean]
    if not needed:  # states alone are as they are
        windows = np.unique(np.concatenate([one.starts for one in series]))
        return windows, {one.name: _rows(one, windows, step) for one in series}
    for one in needed:
        _require_fitting(one, step)
    begin, end = min(one.span[0] for one in needed), max(one.span[1] for one in needed)
    origin = _origin(needed, request, step)
    grid = np.arange(origin + (begin - origin) // step * step, end + SECOND / 1000, step)
    rows = {one.name: _rows(one, grid, step) for one in series}
    is_whole = np.all([rows[one.name].first >= 0 for one in needed], axis=0)
    if not is_whole.any():
        short = ", ".join(sorted({one.name for one in needed if not (rows[one.name].first >= 0).any()}))
        raise InputError(
            f"{what}: has the times {time_text(begin)} to {time_text(end)}, which hold no whole window of "
            f"{step_text(step)} that begins at {time_text(origin)} or whole steps from it"
            f"{f' ({short})' if short else ''}; expected at least one (or another start)"
        )
    _require_no_holes(needed, rows, grid, is_whole, request, step)
    return grid[is_whole], {
        name: dataclasses.replace(found, first=found.first[is_whole]) for name, found in rows.items()
    }


def _origin(needed: Sequence[Series], request: Request, step: np.timedelta64) -> np.datetime64:
    """Where a window begins."""
    if request.start is not None:
        return parse_time(request.start)
    means = [one for one in needed if one.is_mean]
    whole = [one for one in means if one.interval == step]
    if means and all(max(one.interval, one.distance) == step for one in means):
        first: np.datetime64 = (whole or means)[0].starts[0]
        return first
    return needed[0].times[0].astype("datetime64[D]").astype("datetime64[ns]")


def _require_fitting(one: Series, step: np.timedelta64) -> None:
    """Check that means over windows can be made of a variable."""
    if not one.is_mean:
        return
    length = max(one.interval, one.distance)
    is_interval = one.interval > NO_TIME
    meaning = f"{one.meaning.kind}s over {step_text(length)}" if is_interval else f"values {step_text(length)} apart"
    if length > step:
        raise InputError(
            f"{one.what}: {meaning}, coarser than the model's step of {step_text(step)}; expected at least as fine, as "
            "the file does not tell how the weather changes in between"
        )
    if one.interval % one.distance if one.interval > one.distance else step % length:
        raise InputError(f"{one.what}: {meaning}, which do not divide the model's step of {step_text(step)}")
    if is_interval and one.interval < one.distance:
        raise InputError(
            f"{one.what}: {one.meaning.kind}s over {step_text(one.interval)}, but labels are "
            f"{step_text(one.distance)} apart; expected intervals without gaps"
        )
    apart = np.diff(one.times) % one.distance
    if apart.any():
        index = int(np.flatnonzero(apart)[0])
        raise InputError(
            f"{one.what}: times at index {index} ({time_text(one.times[index])}) and {index + 1} "
            f"({time_text(one.times[index + 1])}) are no multiple of {step_text(one.distance)} apart, expected regular "
            "times"
        )
    if one.meaning.kind == "accumulated" and one.meaning.reset != "never":
        resets = _reset_interval(one.meaning)
        if resets % one.distance or DAY % resets or not is_reset(one.times, one.distance).all():
            raise InputError(
                f"{one.what} is accumulated and begins anew each {step_text(resets)} from 00 UTC, but has the times "
                f"{time_text(one.times[0])}, {step_text(one.distance)} apart; expected the times of the resets"
            )


def _reset_interval(meaning: Meaning) -> np.timedelta64:
    return DAY if isinstance(meaning.reset, str) else meaning.reset


def _late(one: Series, window: np.datetime64) -> np.timedelta64:
    """How long before a window begins the last label, or interval, begins."""
    late: np.timedelta64 = (window - one.starts[0]) % one.distance
    return late


def _rows(one: Series, windows: Values, step: np.timedelta64) -> Rows:
    """The rows that windows need; first is -1 where some are missing."""
    stride = max(int(step // one.distance), 1)
    count = 1
    late: np.timedelta64 = NO_TIME
    if one.is_mean and one.interval == NO_TIME:
        late = _late(one, windows[0])
        if late and one.meaning.kind == "accumulated":
            raise InputError(
                f"{one.what} is accumulated up to {time_text(one.times[0])} and every {step_text(one.distance)} from "
                f"there, expected a time where the window from {time_text(windows[0])} begins"
            )
        count = stride + (1 if not late else 2)
    elif one.is_mean:
        count = int((step - one.interval) // one.distance) + 1
    wanted = windows - late
    first = np.searchsorted(one.starts, wanted)
    last = first + count - 1
    inside = last < len(one.starts)
    first[~inside], last[~inside] = 0, 0
    whole = inside & (one.starts[first] == wanted) & (one.starts[last] == wanted + (count - 1) * one.distance)
    return Rows(np.where(whole, first, -1), count, stride)


def _require_no_holes(
    needed: Sequence[Series],
    rows: dict[str, Rows],
    grid: Values,
    is_whole: Values,
    request: Request,
    step: np.timedelta64,
) -> None:
    """Check that no window is missing within the period that is asked for."""
    whole = grid[is_whole]
    first = whole[0] if request.start is None else max(whole[0], parse_time(request.start))
    last = whole[-1] if request.end is None else min(whole[-1], parse_time(request.end) - step)
    holes = np.flatnonzero(~is_whole & (grid > first) & (grid < last))
    if not holes.size:
        return
    one = next(one for one in needed if rows[one.name].first[holes[0]] < 0)
    labels = one.labels_of(grid[holes[0]], step)
    missing = labels[~np.isin(labels, one.times)]
    raise InputError(
        f"{one.what} has no value at {time_text(missing[0] if missing.size else grid[holes[0]])}, which the window of "
        f"{step_text(step)} from {time_text(grid[holes[0]])} needs; {holes.size} windows between "
        f"{time_text(first)} and {time_text(last + step)} are not whole; expected none, or a period without them"
    )


def _at_windows(one: Series, rows: Rows, windows: Values, step: np.timedelta64) -> xr.Variable:
    """A variable at the starts of the windows, NaN where it is missing."""
    there = rows.first >= 0
    rows = dataclasses.replace(rows, first=rows.first[there])
    stored = np.dtype(one.array.encoding.get("dtype", one.array.dtype))
    dtype = np.dtype(np.float64 if stored == np.float64 else np.float32)
    kernel, data = _kernel(one, rows, windows, step), one.array.data
    data = data[rows.index()].astype(dtype) if kernel is None else over_windows(data, rows, kernel, dtype)
    attributes = {"units": one.conversion.expected, "cell_methods": "time: mean" if one.is_mean else "time: point"}
    result = xr.Variable((TIME, *one.array.dims[1:]), data, attributes)
    if there.all():
        return result
    return result[{TIME: np.maximum(np.cumsum(there) - 1, 0)}].where(xr.Variable((TIME,), there))


def _kernel(one: Series, rows: Rows, windows: Values, step: np.timedelta64) -> Kernel | None:
    """What makes windows of rows; None where each is a row as it is."""
    conversion, seconds = one.conversion, float(step / SECOND)
    if one.meaning.kind == "accumulated":
        packed = abs(float(one.array.encoding.get("scale_factor", 0.0)))
        rounding = max(_ROUNDING.get(conversion.expected, 0.0) / conversion.scale, packed)
        return Increments(
            count=rows.count - 1,
            stride=rows.stride,
            times=one.times,
            is_reset=is_reset(one.times, one.meaning.reset),
            factor=conversion.scale / seconds,
            tolerance=rounding if CATALOGUE[one.name].valid_range[0] >= 0.0 else np.inf,
            what=one.what,
        )
    weights = _weights(one, rows, windows, step)
    scale = conversion.scale / seconds if one.meaning.kind == "sum" else conversion.scale
    if len(weights) == 1 and weights[0] * scale == 1.0 and not conversion.offset:
        return None
    return partial(weighted, weights=weights, stride=rows.stride, scale=scale, offset=conversion.offset)


def _weights(one: Series, rows: Rows, windows: Values, step: np.timedelta64) -> Values:
    """Weights of a window's rows; of what is instantaneous from the integral of straight lines between them."""
    if not one.is_mean:
        return np.ones(1)
    if one.meaning.kind == "point":
        return of_straight_lines(rows.count, float(_late(one, windows[0]) / one.distance), float(step / one.distance))
    weights = np.zeros(rows.count)
    weights[:: int(one.interval // one.distance)] = 1.0 if one.meaning.kind == "sum" else one.interval / step
    return weights


def _sentences(series: Sequence[Series], step: np.timedelta64) -> list[str]:
    """What was done, for the history; nothing where values are what the model takes."""
    groups: dict[str, list[str]] = {}
    window = step_text(step)
    for one in series:
        source = f" ({one.meaning.source})" if one.meaning.source else ""
        at = {"start": "begin", "middle": "are centred", "end": "end"}[one.meaning.label]
        length = step_text(one.interval)
        if one.meaning.kind == "accumulated":
            reset = one.meaning.reset
            since = "the first label" if reset == "never" else f"each {step_text(_reset_interval(one.meaning))}"
            text = f"Means over [t, t + {window}) of increments of amounts accumulated from {since} on{source}"
        elif one.meaning.kind == "point" and one.is_mean:
            text = f"Means over [t, t + {window}) of values at labels {step_text(one.distance)} apart{source}"
        elif one.meaning.kind == "point":
            continue
        elif not one.is_mean:
            text = f"Taken as values at t, but means over {length} that {at} at the label{source}"
        elif one.meaning.kind == "mean" and one.interval == step and one.meaning.label == "start":
            continue
        else:
            text = f"Means over [t, t + {window}) of {one.meaning.kind}s over {length} that {at} at the label{source}"
        groups.setdefault(text, []).append(one.name)
    lines = [f"{text}: {', '.join(names)}." for text, names in groups.items()]
    return lines + [one.conversion.sentence(one.name) for one in series if not one.conversion.is_identity]


def _left_off(series: Sequence[Series], windows: Values, step: np.timedelta64) -> list[str]:
    """What is left off at the ends."""
    means = [one for one in series if one.is_mean and one.required] or [one for one in series if one.is_mean]
    if not means:
        return []
    begin, end = min(one.span[0] for one in means), max(one.span[1] for one in means)
    parts = [
        f"{time_text(start)} to {time_text(stop)}"
        for start, stop in ((begin, windows[0]), (windows[-1] + step, end))
        if start < stop
    ]
    return [f"Left off, as it fills no window of {step_text(step)}: {' and '.join(parts)}."] if parts else []
