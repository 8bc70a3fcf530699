"""Which observations take part, and how far an analysis may go."""

from __future__ import annotations

import numpy as np
import pytest
from linear_land import land_model

from ailand_gt4py.assimilation.control import Bounds, make_control
from ailand_gt4py.assimilation.settings import Limits, Screening
from ailand_gt4py.assimilation.window import REASONS, screened
from ailand_gt4py.core.errors import InputError

MODEL = land_model()


def reasons(
    departures, expected=0.1, soil=290.0, snow=0.0, screening: Screening | None = None, equivalents=0.0
) -> np.ndarray:
    """Of two observations, at the ends of two steps, in columns of these departures; snow and soil by step."""
    departures = np.asarray(departures, dtype=float)
    equivalents = np.broadcast_to(equivalents, departures.shape)
    states = np.zeros((3, len(departures), 5))
    states[..., 3] = np.reshape(np.broadcast_to(soil, 3), (3, 1))
    states[..., 4] = np.reshape(np.broadcast_to(snow, 3), (3, 1))
    spread = np.full(departures.shape, expected)
    observations = departures + np.nan_to_num(equivalents)
    return screened(MODEL, states[1:], observations, equivalents, spread, screening or Screening())


def test_ordinary_observations_take_part() -> None:
    np.testing.assert_array_equal(reasons([[0.1, -0.1], [0.0, 0.25]]), 0)


def test_snow_and_frost_count_at_the_time_of_the_observation() -> None:
    """The first entry is the window's start, where nothing is observed."""
    np.testing.assert_array_equal(reasons([[0.1, 0.1]], snow=[1.0, 0.0, 0.02]), [[0, REASONS["snow"]]])
    np.testing.assert_array_equal(reasons([[0.1, 0.1]], soil=[260.0, 274.0, 274.2]), [[REASONS["frozen_soil"], 0]])
    both = REASONS["snow"] | REASONS["frozen_soil"]
    np.testing.assert_array_equal(reasons([[0.1, 0.1]], soil=270.0, snow=1.0), both)
    lenient = Screening(largest_snow_cover=1.0, coldest_soil=0.0)
    np.testing.assert_array_equal(reasons([[0.1, 0.1]], soil=270.0, snow=1.0, screening=lenient), 0)


def test_departures_are_judged_by_what_is_expected_of_them() -> None:
    large = REASONS["departure_too_large"]
    np.testing.assert_array_equal(reasons([[0.29, -0.31]]), [[0, large]])
    np.testing.assert_array_equal(reasons([[0.29, -0.31]], expected=0.2), 0)
    np.testing.assert_array_equal(reasons([[0.29, -0.31]], screening=Screening(largest_departure=2.0)), large)
    with pytest.raises(InputError, match="option 'largest_departure': found 0, expected more than 0"):
        Screening(largest_departure=0.0)


def test_what_is_not_there_is_marked_and_not_judged() -> None:
    found = reasons(np.array([[np.nan, 0.2]]), equivalents=np.array([[0.2, np.nan]]))
    np.testing.assert_array_equal(found, [[REASONS["missing"], REASONS["operator_not_valid"]]])


def bounds(limits: Limits, names=("swvl1", "swvl2", "swvl3", "stl1")) -> Bounds:
    """Columns with porosity 0.45, field capacity 0.35 and wilting point 0.15."""
    return Bounds(MODEL, np.array([[0.45, 0.35, 0.15]]), make_control(MODEL, names), limits)


@pytest.mark.parametrize(
    ("background", "increment", "expected"),
    [
        ([0.25, 0.25, 0.25, 290.0], [0.05, 0.05, -0.05, 1.0], [0.05, 0.05, -0.05, 1.0]),
        ([0.25, 0.25, 0.25, 290.0], [0.3, 0.3, -0.3, -9.0], [0.1, 0.1, -0.1, -5.0]),  # sizes
        ([0.03, 0.18, 0.32, 290.0], [-0.08, -0.08, 0.08, 0.0], [-0.02, -0.03, 0.03, 0.0]),  # bounds
        ([0.42, 0.40, 0.10, 290.0], [0.08, 0.08, -0.08, 0.0], [0.03, 0.0, 0.0, 0.0]),  # out of bounds, and no farther
        ([0.42, 0.40, 0.10, 290.0], [-0.08, -0.08, 0.08, 0.0], [-0.08, -0.08, 0.08, 0.0]),  # but back
        ([0.005, 0.25, 0.25, 290.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_increments_are_limited(background: list, increment: list, expected: list) -> None:
    found = bounds(Limits()).limited(np.array([background]), np.array([increment]))
    np.testing.assert_allclose(found, [expected], atol=1e-12)


@pytest.mark.parametrize(("first", "expected"), [(4.0, [-0.05, -0.05, 0.05, 0.0]), (3.0, [-0.05, -0.05, 0.0, 0.0])])
def test_layers_without_the_plants_range_have_the_first_ones_bounds(first: float, expected: list) -> None:
    limits = Limits(plant_range_from=first, driest=0.0)
    found = bounds(limits).limited(np.array([[0.05, 0.05, 0.40, 290.0]]), np.array([[-0.1, -0.1, 0.1, 0.0]]))
    np.testing.assert_allclose(found, [expected], atol=1e-12)


def test_members_of_an_ensemble_are_limited_alike() -> None:
    background = np.full((3, 1, 4), 0.2)
    increment = np.array([0.2, 0.05, -0.2])[:, None, None] * np.ones((1, 1, 4))
    found = bounds(Limits()).limited(background, increment)
    np.testing.assert_allclose(found[:, 0, 1], [0.1, 0.05, -0.05])
