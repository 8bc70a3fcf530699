"""Variables of a file along time: what their rows stand for, and which of them a model's windows need."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import units
from ailand_gt4py.io.fields import TIME, Fields, Meaning
from ailand_gt4py.io.resets import HOUR, is_reset
from ailand_gt4py.io.window_sums import BLOCK_BYTES, Rows
from ailand_gt4py.weights.model import ModelVariables
from ailand_gt4py.weights.variables import CATALOGUE

NO_TIME = np.timedelta64(0, "ns")
DAY = np.timedelta64(86_400_000_000_000, "ns")
#: Kinds of variables without which no window can be made.
FORCING = ("forcing", "ingredient")


@dataclasses.dataclass(frozen=True)
class Series:
    """A timed variable of a file.

    Attributes:
        what: names file and variable, for messages.
        array: lazy (dask), time first. times: (n_times,) its labels. distance: of the labels, the least.
        interval: that a row stands for; 0 of values at labels and of what is accumulated.
        starts: (n_times,) beginnings of the intervals.
        is_mean: whether the model takes its mean over a window, else its value at the start.
        required: whether windows need it, as they do forcing.
        conversion: to the catalogue's units, of amounts to rates. calendar: of the times.
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
    calendar: str

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """When what it tells begins and ends."""
        return self.starts[0], self.starts[-1] + self.interval

    @property
    def reset_interval(self) -> np.timedelta64:
        """After which what is accumulated begins anew, where it does."""
        return DAY if isinstance(self.meaning.reset, str) else self.meaning.reset

    def text(self, time: np.datetime64) -> str:
        return time_text(time, self.calendar)

    def late(self, window: np.datetime64) -> np.timedelta64:
        """How long before a window begins the last label, or interval, begins."""
        result: np.timedelta64 = (window - self.starts[0]) % self.distance
        return result

    def labels_of(self, window: np.datetime64, step: np.timedelta64) -> Values:
        """The labels that a window needs."""
        if not self.is_mean:
            return np.array([window])
        if self.interval == NO_TIME:
            first = window - self.late(window)
            return first + np.arange(-((first - window - step) // self.distance) + 1) * self.distance
        return np.arange(window, window + step, self.interval) + (self.times[0] - self.starts[0])

    def rows(self, windows: Values, step: np.timedelta64) -> Rows:
        """The rows that windows need, whose starts are whole steps apart; first is -1 where some are missing."""
        if not self.is_mean:
            return Rows(self._row_at(windows), 1, max(int(step // self.distance), 1))
        stride = int(step // self.distance)
        late: np.timedelta64 = NO_TIME
        if self.interval == NO_TIME:
            late = self.late(windows[0])
            if late and self.meaning.kind == "accumulated":
                raise InputError(
                    f"{self.what} is accumulated up to {self.text(self.times[0])} and every {step_text(self.distance)} "
                    f"from there, expected a time where the window from {self.text(windows[0])} begins"
                )
            count = stride + (2 if late else 1)
        else:
            count = int((step - self.interval) // self.distance) + 1
        wanted = windows - late
        first = np.searchsorted(self.starts, wanted)
        last = first + count - 1
        inside = last < len(self.starts)
        first[~inside], last[~inside] = 0, 0
        whole = inside & (self.starts[first] == wanted)
        whole &= self.starts[last] == wanted + (count - 1) * self.distance
        return Rows(np.where(whole, first, -1), count, stride)

    def _row_at(self, windows: Values) -> Values:
        """The row with the value at the start of each window, -1 where there is none.

        Forcing that is sampled, leaf area, changes slowly: it is also had between two labels, or within its interval.
        """
        row = np.searchsorted(self.starts, windows, side="right") - 1
        found = self.starts[np.maximum(row, 0)]
        there = (row >= 0) & (found == windows)
        if self.required:
            after = self.starts[np.minimum(row + 1, len(self.starts) - 1)]
            between = (windows < after) & (after - found < 2 * self.distance)
            there |= (row >= 0) & (windows < found + self.interval if self.interval else between)
        return np.where(there, row, -1)


def series_of(fields: Fields, name: str, model: ModelVariables, step: np.timedelta64) -> Series:
    """A timed variable of the fields, checked that it can be brought to windows of a length.

    Raises:
        InputError: it cannot; the message names it.
    """
    array, meaning, time = fields.dataset[name], fields.meanings[name], fields.dataset[TIME]
    times, what = time.values, fields.what(name)
    known = {one.name: one for group in (model.forcing, model.state, model.diagnostics) for one in group}
    is_mean = known.get(name, CATALOGUE[name]).time_meaning == "window mean"
    is_amount, is_interval = meaning.kind in ("sum", "accumulated"), meaning.kind in ("mean", "sum")
    if is_amount and not is_mean:
        kind = "a sum" if is_interval else "accumulated"
        raise InputError(f"{what} is {kind} by {meaning.source}, expected values at the labels")
    if meaning.kind == "accumulated" and meaning.reset == "unknown":
        raise InputError(
            f"{what} is accumulated by {meaning.source}, but from when on neither metadata nor values tell; expected "
            "time bounds, cell_methods or a known convention (--convention)"
        )
    distance = np.diff(times).min() if len(times) > 1 else meaning.interval or step
    interval = meaning.interval or distance if is_interval else NO_TIME
    late = {"start": NO_TIME, "middle": interval // 2, "end": interval}[meaning.label]
    if array.chunks is None:
        row_bytes = max(array.dtype.itemsize * array.size // max(len(times), 1), 1)
        array = array.chunk({TIME: max(1, BLOCK_BYTES // row_bytes)})
    array = array.transpose(TIME, ...)
    if meaning.kind == "accumulated" and is_reset(times[:1] - distance, meaning.reset, meaning.reset_at).all():
        # The first value is the sum from the label before, where nothing needs to be known.
        array = array.pad({TIME: (1, 0)}, constant_values=np.nan)
        times = np.concatenate([times[:1] - distance, times])
    convert = units.rate_conversion if is_amount else units.conversion
    result = Series(
        name=name,
        what=what,
        array=array,
        meaning=meaning,
        times=times,
        distance=distance,
        interval=interval,
        starts=times - late,
        is_mean=is_mean,
        required=CATALOGUE[name].kind in FORCING,
        conversion=convert(array.attrs.get("units"), CATALOGUE[name].units, what),
        calendar=str(time.attrs.get("calendar", STANDARD)),
    )
    if is_mean:
        _require_fitting(result, step)
    return result


def _require_fitting(one: Series, step: np.timedelta64) -> None:
    """Check that means over windows can be made of a variable."""
    length = max(one.interval, one.distance)
    is_interval = one.interval > NO_TIME
    meaning = f"{one.meaning.kind}s over {step_text(length)}" if is_interval else f"values {step_text(length)} apart"
    if length > step:
        raise InputError(
            f"{one.what}: {meaning}, coarser than the model's step of {step_text(step)}; expected at least as fine, as "
            "the file does not tell how the weather changes in between"
        )
    if step % length or step % one.distance or length % one.distance:
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
            f"{one.what}: times at index {index} ({one.text(one.times[index])}) and {index + 1} "
            f"({one.text(one.times[index + 1])}) are no multiple of {step_text(one.distance)} apart, expected regular "
            "times"
        )
    if one.meaning.kind == "accumulated" and one.meaning.reset != "never":
        resets = one.reset_interval
        if resets % one.distance or DAY % resets or not is_reset(one.times, one.distance, one.meaning.reset_at).all():
            raise InputError(
                f"{one.what} is accumulated and restarts every {step_text(resets)} from "
                f"{one.meaning.reset_at // HOUR:02d} UTC, but has the times "
                f"{one.text(one.times[0])}, {step_text(one.distance)} apart; expected the times of the resets"
            )
