"""From the times of a file to windows: against plain NumPy, and what must be conserved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.windows import are_windows, to_windows
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


def hours(n, first=0):
    return START + (first + np.arange(n)) * HOUR


def refusal(given_fields, wanted=None):
    with pytest.raises(InputError) as error:
        to_windows(given_fields, wanted or request())
    return str(error.value)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 49), st.sampled_from(["sum", "accumulated"]))
def test_energy_and_water_are_conserved(chunks, kind):
    """What falls in all windows is what falls in the hours that they have."""
    amounts = np.random.default_rng(chunks).gamma(0.1, 1.0, (49, 3))
    values = amounts if kind == "sum" else np.cumsum(amounts, axis=0)
    meaning = Meaning(kind, "end", reset="never")
    result = to_windows(fields({"met_rainf": (values, "mm")}, hours(49), chunks, met_rainf=meaning), request())
    total = result.dataset.met_rainf.values.sum(axis=0) * 21_600.0
    assert list(result.dataset.time.values) == list(hours(48)[::6])
    np.testing.assert_allclose(total, amounts[1:].sum(axis=0), rtol=1e-13)


def test_sun_of_the_right_hours():
    """Means of a sun that rises at 6 and sets at 18 UTC, as instants, as means and as sums of three hours."""

    def integral(hour):
        hour = np.clip(hour, 6.0, 18.0)
        return 800.0 * 12.0 / np.pi * (1.0 - np.cos((hour - 6.0) / 12.0 * np.pi))

    edges = np.arange(0.0, 25.0, 6.0)
    expected = np.diff(integral(edges)) / 6.0
    minutes = np.arange(0, 24 * 60 + 1, 10)
    now = 800.0 * np.maximum(0.0, np.sin((minutes / 60.0 - 6.0) / 12.0 * np.pi))[:, None]
    instants = fields({"met_swdown": (now, "W m-2")}, START + minutes * MINUTE, met_swdown=Meaning("point"))
    ends = np.arange(3.0, 25.0, 3.0)
    three_hours = np.diff(integral(np.arange(0.0, 25.0, 3.0)))[:, None]
    means = fields(
        {"met_swdown": (three_hours / 3.0, "W m-2")},
        START + (60.0 * ends).astype(int) * MINUTE,
        met_swdown=Meaning("mean", "end"),
    )
    sums = fields(
        {"met_swdown": (three_hours * 3600.0, "J m**-2")},
        START + (60.0 * ends).astype(int) * MINUTE,
        met_swdown=Meaning("sum", "end"),
    )
    for one, tolerance in ((instants, 0.5), (means, 1e-9), (sums, 1e-9)):
        result = to_windows(one, request()).dataset
        assert list(result.time.values) == list(hours(24)[::6])
        np.testing.assert_allclose(result.met_swdown.values[:, 0], expected, atol=tolerance)


def test_what_are_windows_stays_bit_for_bit():
    values = numbers(8).astype(np.float32)
    for first in (0, 3):
        times = hours(48, first)[::6]
        given_fields = fields({"met_tair": (values, "K")}, times, 3, met_tair=Meaning("mean", source="cell_methods"))
        result = to_windows(given_fields, request())
        np.testing.assert_array_equal(result.dataset.time.values, times)
        np.testing.assert_array_equal(result.dataset.met_tair.values, values)
        assert result.dataset.met_tair.dtype == np.float32
        assert result.notes == []
        assert are_windows(given_fields, 6 * HOUR)


@pytest.mark.parametrize(
    ("meaning", "is_window"),
    [
        (Meaning("mean"), True),
        (Meaning("mean", interval=6 * HOUR), True),
        (Meaning("mean", interval=HOUR), False),
        (Meaning("mean", "end"), False),
        (Meaning("point"), False),
        (Meaning("sum"), False),
    ],
)
def test_are_windows(meaning, is_window):
    given_fields = fields({"met_tair": (numbers(8), "K")}, hours(48)[::6], met_tair=meaning)
    assert are_windows(given_fields, 6 * HOUR) is is_window
    assert not are_windows(given_fields, HOUR)


def test_fluxes_of_unknown_resets_are_left_out():
    """They are no inputs, and a file is read without them."""
    unknown = Meaning("accumulated", reset="unknown", source="GRIB_stepType")
    given = fields(
        {"met_tair": (numbers(8), "K"), "sro": (np.zeros((8, 2)), "m")},
        hours(48)[::6],
        met_tair=Meaning("mean", "end"),
        sro=unknown,
    )
    result = to_windows(given, request())
    assert "sro" not in result.dataset
    assert any(one.startswith("Left out: sro (in.nc: variable 'sro' is accumulated by") for one in result.notes)


def test_ends_are_left_off_and_said():
    result = to_windows(fields({"met_tair": (numbers(30), "K")}, hours(30, 4), met_tair=Meaning("mean")), request())
    assert list(result.dataset.time.values) == list(hours(24, 6)[::6])
    assert "Left out, as it fills no window of 6 h: 2020-06-01T04:00 to 2020-06-01T06:00 and" in result.notes[-1]


def test_the_start_that_is_asked_for_begins_a_window():
    given_fields = fields({"met_tair": (numbers(30), "K")}, hours(30), met_tair=Meaning("mean"))
    result = to_windows(given_fields, request(start="2020-06-01T03:00"))
    assert list(result.dataset.time.values) == list(hours(27, 3)[:-3:6])
    half = fields({"met_tair": (numbers(30), "K")}, hours(30) + 30 * MINUTE, met_tair=Meaning("mean"))
    assert "hold no whole window of 6 h that begins at 2020-06-01T00:00" in refusal(half)
    assert to_windows(half, request(start="2020-06-01T01:30")).dataset.sizes["time"] == 4


def test_holes_are_refused_within_the_period():
    kept = np.delete(np.arange(48), 20)
    given_fields = fields({"met_tair": (numbers(47), "K")}, hours(48)[kept], met_tair=Meaning("mean"))
    assert refusal(given_fields) == (
        "in.nc: variable 'met_tair' has no value at 2020-06-01T20:00, which the window of 6 h from 2020-06-01T18:00 "
        "needs; 1 windows between 2020-06-01T00:00 and 2020-06-03T00:00 are not whole, expected none, or a period "
        "without them"
    )
    result = to_windows(given_fields, request(start="2020-06-02")).dataset
    assert list(result.time.values) == [*hours(18)[::6], *hours(24, 24)[::6]]
    to_windows(given_fields, request(end="2020-06-01T18:00"))
    instants = fields({"met_tair": (numbers(47), "K")}, hours(48)[kept], met_tair=Meaning("point"))
    assert "has no value at 2020-06-01T20:00" in refusal(instants)


@pytest.mark.parametrize(
    ("apart", "meaning", "message"),
    [
        (6, Meaning("mean"), "means over 6 h, coarser than the model's step of 1 h"),
        (3, Meaning("point"), "values 3 h apart, coarser than the model's step of 1 h"),
        (1, Meaning("mean", interval=30 * MINUTE), "means over 0.5 h, but labels are 1 h apart"),
    ],
)
def test_too_coarse_for_an_hourly_model(apart, meaning, message):
    message_found = refusal(
        fields({"met_tair": (numbers(8), "K")}, hours(48)[::apart][:8], met_tair=meaning), request(1)
    )
    assert message in message_found


def test_steps_that_do_not_divide_the_models():
    given_fields = fields({"met_tair": (numbers(8), "K")}, hours(32)[::4], met_tair=Meaning("point"))
    assert "values 4 h apart, which do not divide the model's step of 6 h" in refusal(given_fields)
    times = np.concatenate([hours(6), hours(6, 6) + 20 * MINUTE])
    given_fields = fields({"met_tair": (numbers(12), "K")}, times, met_tair=Meaning("mean"))
    assert "1.33333 h apart" in refusal(given_fields) or "no multiple of 1 h apart" in refusal(given_fields)


def test_states_are_sampled_and_may_be_missing():
    values = numbers(30)
    given_fields = fields(
        {"met_tair": (values, "K"), "stl1": (values - 273.15, "degC"), "swvl1": (values, "m3 m-3")},
        hours(30),
        met_tair=Meaning("mean"),
        stl1=Meaning("point"),
        swvl1=Meaning("mean", "end", source="cell_methods"),
    )
    result = to_windows(given_fields, request())
    np.testing.assert_allclose(result.dataset.stl1.values, values[::6])
    np.testing.assert_array_equal(result.dataset.swvl1.values, values[1::6])  # the hour from t on
    assert any("Taken as values at t, but means over 1 h that end at the label (cell_methods): swvl1" in note
               for note in result.notes)  # fmt: skip
    late = fields({"met_tair": (values, "K"), "stl1": (values, "K")}, hours(30) + 30 * MINUTE,
                  met_tair=Meaning("mean", "middle"), stl1=Meaning("point"))  # fmt: skip
    assert np.isnan(to_windows(late, request()).dataset.stl1.values).all()


def test_leaves_between_labels():
    weather = fields({"met_tair": (numbers(49), "K")}, hours(49), met_tair=Meaning("mean"))
    leaves = fields({"lai_hv": (np.array([[1.0], [3.0], [2.0]]), "1")}, hours(49)[::24], lai_hv=Meaning("point"))
    result = to_windows(leaves, request())
    np.testing.assert_allclose(result.dataset.lai_hv.values[:, 0], [1.0, 1.5, 2.0, 2.5, 3.0, 2.75, 2.5, 2.25, 2.0])
    assert result.notes == ["Linear between labels 24 h apart: lai_hv."]
    held = to_windows(
        fields({"lai_hv": (np.array([[1.0], [3.0]]), "1")}, hours(48)[::24], lai_hv=Meaning("mean")), request()
    )
    assert held.dataset.lai_hv.values[:, 0].tolist() == [1.0] * 4 + [3.0] * 4
    assert to_windows(weather, request()).dataset.sizes["time"] == 8


def test_diagnostics_that_cannot_be_had_are_left_out():
    given_fields = fields(
        {"met_tair": (numbers(12), "K"), "sro": (numbers(12), "kg m-2 s-1")},
        hours(12),
        met_tair=Meaning("mean"),
        sro=Meaning("accumulated", reset="never", source="GRIB_stepType"),
    )
    result = to_windows(given_fields, request())
    assert "sro" not in result.dataset
    assert result.notes[0].startswith("Left out: sro (in.nc: variable 'sro': unit 'kg m-2 s-1' is not one of amounts")


def test_amounts_that_fall_are_refused_as_they_are_read():
    values = np.cumsum(numbers(49), axis=0) * 1e5
    values[30:] -= values[30] - 1000.0
    meaning = Meaning("accumulated", reset="never")
    result = to_windows(fields({"met_swdown": (values, "J m-2")}, hours(49), 10, met_swdown=meaning), request())
    result.dataset.met_swdown[:4].compute()
    with pytest.raises(InputError, match=r"falls from .* at 2020-06-02T05:00 to 1000 at 2020-06-02T06:00 in column 0"):
        result.dataset.met_swdown.compute()
    noisy = np.cumsum(numbers(49), axis=0) * 1e5
    noisy[30] = noisy[29] - 300.0  # rounding of packed values
    result = to_windows(fields({"met_swdown": (noisy, "J m-2")}, hours(49), 10, met_swdown=meaning), request())
    assert (result.dataset.met_swdown.values >= 0.0).all()


def test_fluxes_that_may_be_negative_may_fall():
    values = np.cumsum(numbers(13) - 0.5, axis=0)
    given_fields = fields({"sshf": (values, "J m-2")}, hours(13), sshf=Meaning("accumulated", reset="never"))
    result = to_windows(given_fields, request()).dataset
    np.testing.assert_allclose(result.sshf.values, np.diff(values[::6], axis=0) / 21_600.0, rtol=1e-12)


def test_other_calendars():
    times = hours(48)
    given_fields = fields({"met_tair": (numbers(47), "K")}, np.delete(times, 20), met_tair=Meaning("mean"))
    given_fields.dataset.time.attrs["calendar"] = "noleap"
    message = refusal(given_fields)
    assert "has no value at 2020-06-14T20:00" in message  # thirteen 29ths of February later
    result = to_windows(given_fields, request(start="2020-06-15T00:00"))
    assert result.dataset.time.attrs["calendar"] == "noleap"
    assert times[24] in result.dataset.time.values
