"""The host's clock and the emulator's: which sample comes next, and when a window is full."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.integration.clock import LandClock

START = np.datetime64("2020-01-01T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")


def clock(window: int = 6, step: int = 1, start: int = 0) -> LandClock:
    return LandClock(window * HOUR, step * HOUR, START + start * HOUR, START)


def sample(land: LandClock, time: np.datetime64) -> bool:
    """One host step as the component makes it; whether the emulator fired."""
    land.check_sample(time)
    if land.next_closes_window():
        land.close_window()
    land.count_sample()
    land.check_advance(time)
    fires = land.is_full
    if fires:
        land.fired()
    return fires


@given(samples=st.integers(1, 12), offset=st.integers(0, 11), n_steps=st.integers(1, 60))
def test_emulator_fires_at_the_end_of_every_window(samples: int, offset: int, n_steps: int) -> None:
    offset %= samples
    land = LandClock(samples * HOUR, HOUR, START + offset * HOUR, START)
    fired = [k for k in range(n_steps) if sample(land, START + (offset + k) * HOUR)]
    assert fired == [k for k in range(n_steps) if (offset + k) % samples == 0 and offset + k > 0]
    assert land.n_windows == len(fired)
    assert 0.0 <= land.fraction() < 1.0


def test_first_window_that_begins_before_the_start_is_shorter() -> None:
    land = clock(start=4)
    assert [sample(land, START + hour * HOUR) for hour in (4, 5, 6)] == [False, False, True]
    assert land.window_start == START + 6 * HOUR
    assert land.n_samples == 1


@pytest.mark.parametrize(
    ("window", "step", "start", "message"),
    [
        (6, 4, 0, "host step: found 14400 s, expected one that divides the emulator's step of 21600 s"),
        (6, 0, 0, "host step: found 0 s, expected more than 0 s"),
        (6, 2, 1, "start: found 2020-01-01T01:00, expected a whole number of host steps of 7200 s after the state"),
        (6, 1, 6, "start: found 2020-01-01T06:00, expected a time in the window of 21600 s that begins with the state"),
        (6, 1, -1, "start: found 2019-12-31T23:00, expected a time in the window"),
    ],
)
def test_clocks_that_do_not_fit(window: int, step: int, start: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        clock(window, step, start)


@pytest.mark.parametrize(
    ("window", "step", "expected"),
    [(6, 2, (7200.0, 3600.0, 21600.0)), (6, 1, (3600.0, 21600.0)), (1, 1, (3600.0,)), (6, 6, (21600.0, 3600.0))],
)
def test_lengths_are_named_once(window: int, step: int, expected: tuple[float, ...]) -> None:
    assert clock(window, step).seconds == expected


def test_wrong_calls_are_named() -> None:
    land = clock()
    with pytest.raises(InputError, match="'advance' to 2020-01-01T00:00, expected a sample of 2020-01-01T00:00 first"):
        land.check_advance(START)
    sample(land, START)
    with pytest.raises(InputError, match="found the sample of 2020-01-01T00:00 a second time, expected the sample of"):
        land.check_sample(START)
    with pytest.raises(InputError, match="found 2020-01-01T04:00, 3 calls were missed, expected the sample of"):
        land.check_sample(START + 4 * HOUR)
    with pytest.raises(InputError, match="the clock jumped to 2020-01-01T01:30, expected the sample of 2020-01-01T01"):
        land.check_sample(START + HOUR + HOUR // 2)
    with pytest.raises(InputError, match="the clock jumped to 2019-12-31T20:00"):
        land.check_sample(START - 4 * HOUR)
    with pytest.raises(InputError, match=r"time: found .*NaT.*, expected a time"):
        land.check_sample(np.datetime64("NaT", "ns"))
    with pytest.raises(InputError, match="'advance' to 2020-01-01T01:00, expected 2020-01-01T00:00, the last sample's"):
        land.check_advance(START + HOUR)


def test_full_window_must_be_advanced() -> None:
    land = clock(window=1)
    sample(land, START)
    land.check_sample(START + HOUR)
    land.close_window()
    land.count_sample()
    with pytest.raises(InputError, match="expected a call of 'advance' first: the window that ended at 2020-01-01T01"):
        land.check_sample(START + 2 * HOUR)


def test_restored_clock_goes_on() -> None:
    land, other = clock(), clock()
    for hour in range(8):
        sample(land, START + hour * HOUR)
    other.restore(land.as_dict())
    assert other.as_dict() == land.as_dict()
    assert [sample(other, START + hour * HOUR) for hour in range(8, 13)] == [False] * 4 + [True]


def test_times_are_shown_without_needless_digits() -> None:
    assert time_text(START) == "2020-01-01T00:00"
    assert time_text(START + np.timedelta64(30, "s")) == "2020-01-01T00:00:30"
    assert time_text(START + np.timedelta64(1_500_000_000, "ns")) == "2020-01-01T00:00:01.5"
