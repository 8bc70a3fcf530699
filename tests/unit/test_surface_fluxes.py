"""The fluxes for the air at a step's end: backward Euler on the network's lines."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.integration.coupling.surface_fluxes import (
    LATENT,
    LATENT_LINE,
    SENSIBLE,
    SENSIBLE_LINE,
    WATER,
    LandCells,
    SurfaceFluxes,
    for_air_at_end_of_step,
    held,
)

CELLS = np.array([0, 2])
LAND = LandCells(CELLS, np.ones(2), n_cells=3)
LATENT_HEAT = 2.6e6


def outputs(
    sensible: float = 200.0, slope: float = -15.0, latent: float = 150.0, latent_slope: float = -4e4
) -> dict[str, np.ndarray]:
    values = {
        SENSIBLE: sensible,
        SENSIBLE_LINE.slope: slope,
        SENSIBLE_LINE.reference: 290.0,
        LATENT: latent,
        LATENT_LINE.slope: latent_slope,
        LATENT_LINE.reference: 8e-3,
        WATER: latent / LATENT_HEAT,
    }
    return {name: np.array([value, np.nan, 1.1 * value]) for name, value in values.items()}


def solve(
    fields: dict[str, np.ndarray], temperature: Any = 292.0, humidity: Any = 9e-3, seconds: float = 300.0
) -> SurfaceFluxes:
    air = [None if value is None else np.full(2, value) for value in (temperature, humidity)]
    capacity, mass = np.full(2, 7.2e4), np.full(2, 100.0)
    return for_air_at_end_of_step(fields, LAND, air[0], air[1], capacity, mass, seconds)


@settings(deadline=None)
@given(
    slope=st.floats(-100.0, 0.0),
    latent_slope=st.floats(-1e6, 0.0),
    temperature=st.floats(250.0, 330.0),
    humidity=st.floats(0.0, 0.03),
    seconds=st.floats(1.0, 1e5),
)
def test_flux_is_the_line_at_the_air_that_it_makes(
    slope: float, latent_slope: float, temperature: float, humidity: float, seconds: float
) -> None:
    fields = outputs(slope=slope, latent_slope=latent_slope)
    fluxes = solve(fields, temperature, humidity, seconds)
    at = {name: values[CELLS] for name, values in fields.items()}
    warmed = temperature + seconds * fluxes.sensible / 7.2e4
    np.testing.assert_allclose(
        fluxes.sensible,
        at[SENSIBLE] + at[SENSIBLE_LINE.slope] * (warmed - at[SENSIBLE_LINE.reference]),
        rtol=1e-9,
        atol=1e-6,
    )
    moistened = humidity + seconds * (fluxes.latent / LATENT_HEAT) / 100.0
    np.testing.assert_allclose(
        fluxes.latent,
        at[LATENT] + at[LATENT_LINE.slope] * (moistened - at[LATENT_LINE.reference]),
        rtol=1e-9,
        atol=1e-6,
    )
    np.testing.assert_allclose(fluxes.water, fluxes.latent / LATENT_HEAT, rtol=1e-9, atol=1e-15)


def test_air_comes_to_rest_where_the_flux_is_zero() -> None:
    """However long a step: 200 W m-2 at 290 K with -15 W m-2 K-1 is none at 303.3 K."""
    warmed = 292.0 + 1e9 * solve(outputs(), seconds=1e9).sensible / 7.2e4
    np.testing.assert_allclose(warmed[0], 290.0 + 200.0 / 15.0, rtol=1e-6)


def test_a_positive_slope_is_no_slope() -> None:
    fluxes, constant = solve(outputs(slope=5.0)), solve(outputs(slope=0.0))
    np.testing.assert_array_equal(fluxes.sensible, constant.sensible)
    np.testing.assert_array_equal(constant.sensible, held(outputs(), LAND).sensible)


def test_moisture_is_as_held_where_the_air_has_none() -> None:
    fluxes = solve(outputs(), humidity=None)
    np.testing.assert_array_equal(fluxes.latent, outputs()[LATENT][CELLS])
    np.testing.assert_array_equal(fluxes.water, outputs()[WATER][CELLS])


@pytest.mark.parametrize(("latent", "water"), [(0.0, 0.0), (1.0, -1e-6), (1.0, 1e-12)])
def test_latent_heat_of_water_stays_physical(latent: float, water: float) -> None:
    """Also where latent heat and water pass through zero apart from each other, or both are zero."""
    fields = outputs(latent=latent)
    fields[WATER] = np.full(3, water)
    fluxes = solve(fields)
    change = (fluxes.latent - fields[LATENT][CELLS]) / (fluxes.water - water)
    assert (change >= 2.5e6).all()
    assert (change <= 2.84e6).all()
