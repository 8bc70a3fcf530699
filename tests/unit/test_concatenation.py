"""Files one after another in time: in order, each label once, and nothing of it unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.merging import of_equal_times

HOURS = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(1, "h")
VALUES = np.random.default_rng(1).normal(280.0, 5.0, (40, 3)).astype(np.float32)


def part(labels, name="a.nc", change=None):
    values = VALUES[labels].copy()
    if change is not None:
        change(values)
    data = xr.Dataset(
        {"met_tair": (("time", "x"), values, {"units": "K"})},
        coords={"time": HOURS[labels], "x": np.arange(3), "lat": ("x", np.zeros(3)), "lon": ("x", np.zeros(3))},
    )
    return Fields(Path(name), data.chunk(time=5), {"met_tair": "t2m"}, {"met_tair": Meaning("point")})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=40, max_size=40), st.sets(st.integers(0, 39)), st.permutations(range(3)))
def test_any_order_and_overlap(owner, shared, order):
    labels = [[k for k in range(40) if owner[k] == n or k in shared] for n in range(3)]
    parts = [part(labels[n], f"{n}.nc") for n in order if labels[n]]
    if len({tuple(one.dataset.time.values) for one in parts}) < len(parts):
        return  # the same times: not one after another
    (result,) = of_equal_times(parts)
    np.testing.assert_array_equal(result.dataset.time.values, HOURS)
    np.testing.assert_array_equal(result.dataset.met_tair.values, VALUES)
    if shared and len(parts) > 1:
        assert any("with the same values" in note for note in result.notes)


def test_a_label_with_two_values_is_refused():
    def warmer(values):
        values[2, 1] += 0.5

    with pytest.raises(InputError) as error:
        of_equal_times([part(range(20)), part(range(16, 40), "b.nc", warmer)])
    assert str(error.value) == (
        "b.nc: variable 't2m' has other values at 2020-01-01T18:00 than a.nc (1 of 4 labels that both have); expected "
        "the same, or each label in one file"
    )


def test_a_value_that_is_missing_in_one_file():
    def lost(values):
        values[0] = np.nan

    (result,) = of_equal_times([part(range(20)), part(range(19, 40), "b.nc", lost)])
    np.testing.assert_array_equal(result.dataset.met_tair.values, VALUES)
    (result,) = of_equal_times([part(range(19, 40), "b.nc", lost), part(range(20))])
    np.testing.assert_array_equal(result.dataset.met_tair.values, VALUES)
