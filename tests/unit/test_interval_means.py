"""Means over intervals that do not end where windows do, against integrals by hand and by fine sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.io.interval_means import of_instants, of_means

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-06-01", "ns")
LABELS = START + 6 * HOUR * np.arange(12)
DAYS = START - 2 * HOUR + 24 * HOUR * np.arange(4)


def test_a_local_day_has_a_part_of_the_windows_at_its_ends():
    """A day from 22 to 22 UTC has four hours of the last window."""
    fluxes = np.arange(12.0)[:, None] ** 2
    found = of_means(LABELS, 6 * HOUR, fluxes, DAYS, 24 * HOUR)
    assert np.isnan(found[[0, 3], 0]).all()  # two hours are missing, and all but two
    assert found[1, 0] == pytest.approx((2 * 9 + 6 * (16 + 25 + 36) + 4 * 49) / 24)
    covered = of_means(LABELS, 6 * HOUR, fluxes, DAYS, 24 * HOUR, least=0.75)
    assert covered[0, 0] == pytest.approx((6 * (0 + 1 + 4) + 4 * 9) / 22)
    assert np.isnan(covered[3, 0])


def test_what_is_instantaneous_follows_straight_lines():
    """The mean of a straight line is its value in the middle, wherever the interval begins."""
    line = 280.0 + (LABELS - START)[:, None] / (24 * HOUR)
    found = of_instants(LABELS, line, DAYS + 25 * HOUR, 24 * HOUR)
    assert found[0, 0] == pytest.approx(280.0 + (23 + 12) / 24)
    assert np.isfinite(found[:, 0]).tolist() == [True, False, False, False]
    kink = np.array([0.0, 6.0, 0.0])[:, None]
    assert of_instants(LABELS[:3], kink, LABELS[:1] + 3 * HOUR, 6 * HOUR)[0, 0] == pytest.approx(4.5)


@pytest.mark.parametrize("of", ["means", "instants"])
def test_a_gap_is_no_value(of):
    values = np.arange(12.0)[:, None] * [1.0, 2.0]
    values[5, 0] = np.nan

    def found(least):
        if of == "means":
            return of_means(LABELS, 6 * HOUR, values, LABELS[::4], 24 * HOUR, least)
        return of_instants(LABELS, values, LABELS[::4], 24 * HOUR, least)

    assert np.isfinite(found(1.0)).tolist() == [[True, True], [False, True], [of == "means"] * 2]
    # Without the window from 06 UTC; of straight lines two of four are unknown.
    assert found(0.5)[1, 0] == pytest.approx((4 + 6 + 7) / 3 if of == "means" else (6.5 + 7.5) / 2)


@given(shift=st.integers(-40, 80), length=st.integers(1, 40), seed=st.integers(0, 1000))
def test_sums_by_hours_agree(shift, length, seed):
    values = np.random.default_rng(seed).normal(size=(12, 2))
    start = np.array([START + shift * HOUR])
    hours = np.arange(shift, shift + length)
    is_inside = hours[0] >= 0 and hours[-1] < 72
    found = of_means(LABELS, 6 * HOUR, values, start, length * HOUR)
    expected = values[hours // 6].mean(axis=0) if is_inside else np.full(2, np.nan)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)
    middles, fine = shift + (np.arange(60 * length) + 0.5) / 60, np.arange(0.0, 72.0, 6.0)
    lines = np.stack([np.interp(middles, fine, one) for one in values.T], axis=1).mean(axis=0)
    is_inside = hours[0] >= 0 and hours[-1] < 66
    expected = lines if is_inside else np.full(2, np.nan)
    np.testing.assert_allclose(of_instants(LABELS, values, start, length * HOUR)[0], expected, atol=1e-4)
