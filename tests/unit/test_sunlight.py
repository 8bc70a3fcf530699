"""The most short-wave radiation that the sun can give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io.quality import Inspector
from ailand_gt4py.io.sunlight import ABSOLUTE, RELATIVE, SunLimit
from ailand_gt4py.weights.variables import CATALOGUE

RANDOM = np.random.default_rng(0)
LATITUDE, LONGITUDE = RANDOM.uniform(-90.0, 90.0, 500), RANDOM.uniform(-180.0, 360.0, 500)
TIMES = np.array(["2020-03-10T06", "2021-06-21T00", "2022-12-30T18"], "datetime64[ns]")


def above_the_atmosphere(time: np.datetime64, hours: float) -> np.ndarray:
    """Of the window and of those an hour earlier and later, the largest: by the emulator's own inputs."""
    means = np.empty((3, len(LATITUDE), 1))
    for mean, shift in zip(means, (-1, 0, 1), strict=True):
        start = time + np.timedelta64(shift, "h")
        derived_forcing(LATITUDE, LONGITUDE, start, 3600.0 * hours, ["toa_incoming_shortwave_flux"], mean)
    return means[..., 0].max(axis=0)


@pytest.mark.parametrize("hours", [0.5, 1.0, 3.0, 6.0, 24.0])
def test_limit_is_what_is_above_the_atmosphere_and_the_room(hours: float) -> None:
    limit = SunLimit(LATITUDE, LONGITUDE, step_of(3600.0 * hours))
    for time in TIMES:
        expected = (1.0 + RELATIVE) * above_the_atmosphere(time, hours) + ABSOLUTE
        more = limit.at(time) - expected
        assert more.min() > (-9.0 if hours in (6.0, 24.0) else -20.0)
        assert more.max() < (12.0 if hours >= 6.0 else 50.0)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from((1.0, 6.0, 24.0)), st.integers(0, 8760), st.floats(0.5, 1.5))
def test_quick_look_finds_what_the_limit_says(hours: float, hour: int, factor: float) -> None:
    limit = SunLimit(LATITUDE, LONGITUDE, step_of(3600.0 * hours))
    time = np.datetime64("2020-01-01", "ns") + np.timedelta64(hour, "h")
    values = (factor * limit.at(time)).astype(np.float32)
    found = limit.exceeding(np.array([time, time]), np.stack([0.0 * values, values]))
    assert found == [(1, int(column)) for column in np.flatnonzero(values > limit.at(time))]


def test_radiation_at_night_is_named() -> None:
    """Local time taken for UTC, far from Greenwich."""
    sunlight = SunLimit(np.array([40.0, 40.0]), np.array([-105.0, -105.0]), step_of(21_600.0))
    inspector = Inspector(np.array(["a", "b"]), 21_600.0, sunlight)
    times = np.datetime64("2021-06-21T00", "ns") + np.arange(4) * np.timedelta64(6, "h")
    local = np.array([[0.0, 0.0], [300.0, 0.0], [700.0, 0.0], [100.0, 0.0]])
    inspector.require_possible("f: v", CATALOGUE["met_swdown"].variable(), np.roll(local, 1, axis=0), times)
    with pytest.raises(InputError) as caught:
        inspector.require_possible("f: v", CATALOGUE["met_swdown"].variable(), local, times)
    message = str(caught.value)
    assert message.startswith("f: v is 300 W m-2 at 2021-06-21T06:00 in column 0 (x = a), expected at most ")
    assert message.endswith("(times may not be UTC, or labels of other windows)")


def test_an_amount_that_is_taken_for_a_rate_is_named() -> None:
    inspector = Inspector(np.arange(2), 21_600.0, SunLimit(np.zeros(2), np.zeros(2), step_of(21_600.0)))
    values = np.array([[100.0, 1500.0]])
    with pytest.raises(InputError, match="is 1500 W m-2 at 2021-06-21T12:00 in column 1 .x = 1., expected at most 1"):
        inspector.require_possible(
            "f: v", CATALOGUE["met_swdown"].variable(), values, np.array(["2021-06-21T12"], "datetime64[ns]")
        )


def test_single_values_are_told_and_used(caplog: pytest.LogCaptureFixture) -> None:
    inspector = Inspector(np.arange(2), 21_600.0, SunLimit(np.zeros(2), np.zeros(2), step_of(21_600.0)))
    times = np.datetime64("2021-06-21", "ns") + np.arange(120) * np.timedelta64(6, "h")
    values = np.zeros((120, 2))
    values[[0, 4], 1] = 300.0
    for _ in range(2):
        inspector.require_possible("f: v", CATALOGUE["met_swdown"].variable(), values, times)
    (record,) = caplog.records
    assert "f: v is 300 W m-2 at 2021-06-21T00:00 in column 1 (x = 1) and 1 more of 240 values" in record.getMessage()
    values[0] = 2500.0
    with pytest.raises(InputError, match="is 2500 W m-2 at .* expected -18 to 1980 W m-2"):
        inspector.require_possible("f: v", CATALOGUE["met_swdown"].variable(), values, times)
