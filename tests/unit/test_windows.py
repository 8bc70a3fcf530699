"""From the times of a file to windows: against plain NumPy, and what must be conserved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.windows import to_windows
from ailand_gt4py.weights.variables import DEFAULT

MINUTE = np.timedelta64(60_000_000_000, "ns")
HOUR = 60 * MINUTE
START = np.datetime64("2020-06-01", "ns")


def fields(variables, times, chunks=None, coords=None, **meanings):
    """Fields of values (time, x) with their units; chunks: along time."""
    data = xr.Dataset(
        {name: (("time", "x"), values, {"units": unit}) for name, (values, unit) in variables.items()},
        coords={"time": times, **(coords or {})},
    )
    return Fields(Path("in.nc"), data if chunks is None else data.chunk(time=chunks), {}, meanings)


def request(hours=6, **more):
    return Request(DEFAULT.template(3600.0 * hours), **more)


def numbers(n, columns=2, seed=0):
    return np.random.default_rng(seed).uniform(0.0, 1.0, (n, columns))


@st.composite
def native(draw):
    """Distance of labels in minutes, dividing the step; the step in hours; number of labels; offset; chunks."""
    step = draw(st.sampled_from([1, 3, 6]))
    distance = draw(st.sampled_from([d for d in (10, 20, 30, 60, 180, 360) if 60 * step % d == 0]))
    k = 60 * step // distance
    n = draw(st.integers(2 * k + 2, 5 * k + 3))
    offset = draw(st.integers(-10, 10))
    chunks = draw(st.one_of(st.none(), st.integers(max(n // 12, 1), n)))
    return step, distance, n, offset, chunks


def reference(values, begins, interval, step, total):
    """Windows of intervals in plain NumPy: start -> sum (or mean) of the intervals in it where all are there."""
    at = {int(begin): row for begin, row in zip(begins.astype(np.int64), values, strict=True)}
    first = begins[0].astype("datetime64[D]").astype("datetime64[ns]")
    result = {}
    for window in np.arange(first, begins[-1] + interval, step):
        needed = np.arange(window, window + step, interval).astype(np.int64)
        if all(int(one) in at for one in needed):
            rows = np.stack([at[int(one)] for one in needed])
            result[window] = rows.sum(0) if total else rows.mean(0)
    return result


@settings(max_examples=40, deadline=None)
@given(native(), st.sampled_from(["start", "middle", "end"]), st.sampled_from(["mean", "sum"]))
def test_intervals(case, label, kind):
    step, distance, n, offset, chunks = case
    interval, window = distance * MINUTE, step * HOUR
    if interval == window:
        offset = 0  # where a row is a window, windows begin where rows do
    begins = START + (offset + np.arange(n)) * interval
    late = {"start": 0 * MINUTE, "middle": interval // 2, "end": interval}[label]
    values = numbers(n)
    name, unit = ("met_rainf", "mm") if kind == "sum" else ("met_tair", "K")
    result = to_windows(
        fields({name: (values, unit)}, begins + late, chunks, **{name: Meaning(kind, label)}), request(step)
    )
    expected = reference(values, begins, interval, window, kind == "sum")
    assert list(result.dataset.time.values) == list(expected)
    seconds = step * 3600.0 if kind == "sum" else 1.0
    found = result.dataset[name].values
    np.testing.assert_allclose(found, np.stack(list(expected.values())) / seconds, rtol=1e-12)
    assert result.dataset[name].attrs["units"] == ("kg m-2 s-1" if kind == "sum" else "K")
    assert result.meanings[name] == Meaning("mean", "start", window, source="windows")


@settings(max_examples=40, deadline=None)
@given(native(), st.integers(0, 9))
def test_instantaneous_values_are_averaged_over_straight_lines(case, tenths):
    step, distance, n, offset, chunks = case
    apart, window = distance * MINUTE, step * HOUR
    times = START + (offset + np.arange(n)) * apart + tenths * apart // 10
    values = numbers(n)
    found = to_windows(fields({"met_tair": (values, "K")}, times, chunks, met_tair=Meaning("point")), request(step))
    result = found.dataset
    phase = result.time.values[0] - START
    assert apart == window or phase % window == 0 * HOUR
    for row, start in enumerate(result.time.values):
        edges = (times - start) / window
        points = np.unique(np.concatenate([[0.0, 1.0], edges[(edges > 0.0) & (edges < 1.0)]]))
        for column in range(2):
            lines = np.interp(points, edges, values[:, column])
            assert result.met_tair.values[row, column] == pytest.approx(np.trapezoid(lines, points), rel=1e-9)
    whole = [
        start
        for start in np.arange(result.time.values[0] - 3 * window, times[-1], window)
        if start >= times[0] and start + window <= times[-1]
    ]
    assert list(result.time.values) == whole


@settings(max_examples=40, deadline=None)
@given(native(), st.sampled_from(["daily", "never", 3, 6, 12]), st.booleans())
def test_accumulated_amounts(case, reset, begins_with_reset):
    step, distance, n, offset, chunks = case
    apart = distance * MINUTE
    reset_hours = reset if isinstance(reset, int) else 24
    if reset_hours * 60 % distance:
        reset, reset_hours = "daily", 24
    begins = START + (0 if begins_with_reset else offset) * apart + np.arange(n) * apart
    amounts, total = numbers(n), np.zeros(2)
    accumulated = []
    for begin, amount in zip(begins, amounts, strict=True):
        if reset != "never" and (begin - START) % (reset_hours * HOUR) == 0 * HOUR:
            total = np.zeros(2)
        total = total + amount
        accumulated.append(total)
    meaning = Meaning("accumulated", reset=reset if isinstance(reset, str) else np.timedelta64(reset, "h"))
    given_fields = fields({"met_swdown": (np.array(accumulated), "J m-2")}, begins + apart, chunks, met_swdown=meaning)
    if apart == step * HOUR and offset:
        return
    result = to_windows(given_fields, request(step)).dataset
    is_known = begins_with_reset and reset != "never"
    known = slice(
        0 if is_known or (reset != "never" and (begins[0] - START) % (reset_hours * HOUR) == 0 * HOUR) else 1, None
    )
    expected = reference(amounts[known], begins[known], apart, step * HOUR, True)
    assert list(result.time.values) == list(expected)
    np.testing.assert_allclose(
        result.met_swdown.values, np.stack(list(expected.values())) / (3600.0 * step), rtol=0, atol=1e-13
    )
