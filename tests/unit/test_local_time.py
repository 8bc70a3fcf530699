"""Clocks of sites against the sun: offsets of made-up short wave are found, contradictions said or refused."""

from __future__ import annotations

import numpy as np
import pytest

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io.local_time import clock, longitude_offset, sun_offset

HALF_HOUR = np.timedelta64(1800, "s")
LOCATION = (50.2, 7.8)


def labels(days: int = 12, start: str = "2020-06-01") -> Values:
    return np.datetime64(start, "ns") + np.arange(48 * days) * HALF_HOUR


def shortwave(utc: Values, location: tuple[float, float] = LOCATION, seed: int = 0) -> Values:
    """Of a cloudy site: part of the insolation, by a random cloudiness that lasts for some hours."""
    sun = np.empty((len(utc), 1, 1))
    where = (np.array([one]) for one in location)
    derived_forcing(*where, utc, 1800.0, ["toa_incoming_shortwave_flux"], sun)
    clouds = np.repeat(np.random.default_rng(seed).uniform(0.2, 0.8, len(utc) // 6 + 1), 6)[: len(utc)]
    return sun[:, 0, 0] * clouds


@pytest.mark.parametrize(
    ("longitude", "hours"), [(7.8, 1), (7.4, 0), (-121.5, -8), (179.0, 12), (352.6, 0), (-7.6, -1)]
)
def test_standard_time_follows_from_the_longitude(longitude: float, hours: float) -> None:
    assert longitude_offset(longitude) == hours


@pytest.mark.parametrize("offset", [-7.5, -3.0, 0.0, 1.0, 5.5, 11.0])
def test_the_sun_finds_the_offset_of_a_clock(offset: float) -> None:
    times = labels()
    values = shortwave(times - np.timedelta64(round(offset * 3600), "s"))
    values[5:9] = np.nan
    offsets, found = sun_offset(times, HALF_HOUR, values, *LOCATION)
    assert abs(offsets[np.argmax(found)] - offset) <= 0.25


def test_a_right_clock_is_checked() -> None:
    found = clock(labels(), HALF_HOUR, shortwave(labels() - 2 * HALF_HOUR), LOCATION, None, "f.nc")
    assert found.offset == 1.0
    assert found.note.startswith("Time labels: local standard time by the longitude, UTC+1; checked against the sun")


def test_legal_time_of_the_next_zone_is_taken_and_said() -> None:
    where = (46.0, 2.0)  # France: one hour ahead of its longitude
    times = labels(40)
    found = clock(times, HALF_HOUR, shortwave(times - 2 * HALF_HOUR, where), where, None, "f.nc")
    assert found.offset == 1.0
    assert "UTC+1, not UTC (local standard time by the longitude)" in found.note


def test_a_few_cloudy_days_do_not_move_a_clock() -> None:
    """Clouds in all mornings make the sun seem an hour late."""
    times = labels(3)
    cloudy = shortwave(times - 2 * HALF_HOUR) * np.where((np.arange(len(times)) % 48) < 26, 0.75, 1.0)
    offsets, found = sun_offset(times, HALF_HOUR, cloudy, *LOCATION)
    assert offsets[np.argmax(found)] >= 1.75
    kept = clock(times, HALF_HOUR, cloudy, LOCATION, None, "f.nc")
    assert kept.offset == 1.0
    assert "which is within chance" in kept.note


@pytest.mark.parametrize("hours", [-6.0, -4.0, 3.0, 4.0])
def test_a_clock_that_is_hours_off_is_refused(hours: float) -> None:
    values = shortwave(labels() - np.timedelta64(round((1 + hours) * 3600), "s"))
    with pytest.raises(InputError, match=rf"f.nc: its clock should be UTC\+1 .* --utc-offset {1 + hours:g}"):
        clock(labels(), HALF_HOUR, values, LOCATION, None, "f.nc")


def test_what_the_user_tells_is_taken_and_a_contradiction_said() -> None:
    values = shortwave(labels())
    assert "checked" in clock(labels(), HALF_HOUR, values, LOCATION, 0.0, "f.nc").note
    found = clock(labels(), HALF_HOUR, values, LOCATION, 3.0, "f.nc")
    assert found.offset == 3.0
    assert "but the short wave fits the sun best at UTC " in found.note


def test_a_format_in_utc() -> None:
    found = clock(labels(), HALF_HOUR, shortwave(labels()), LOCATION, None, "f.nc", is_utc=True)
    assert found.offset == 0.0
    assert found.note.startswith("Time labels: as by the format, UTC; checked")
    with pytest.raises(InputError, match=r"its clock should be UTC \(as by the format; .* --utc-offset 3"):
        clock(labels(), HALF_HOUR, shortwave(labels() - 6 * HALF_HOUR), LOCATION, None, "f.nc", is_utc=True)


def test_what_cannot_be_checked_is_said() -> None:
    night = np.zeros(len(labels()))
    assert "not checked" in clock(labels(), HALF_HOUR, night, LOCATION, None, "f.nc").note
    assert "not checked" in clock(labels(), HALF_HOUR, None, LOCATION, None, "f.nc").note
    polar = labels(start="2020-12-10")
    assert "does not rise" in clock(polar, HALF_HOUR, np.arange(len(polar)) % 50.0, (80.0, 7.8), None, "f.nc").note


def test_short_wave_of_another_site_is_refused() -> None:
    noise = np.random.default_rng(1).uniform(0.0, 800.0, len(labels()))
    with pytest.raises(InputError, match="fits the sun at 50.2, 7.8 with no clock"):
        clock(labels(), HALF_HOUR, noise, LOCATION, None, "f.nc")
