"""Moist air: against formulas of others and published values; each measure of humidity is the inverse of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.ecland import humidity
from ailand_gt4py.ecland.humidity import OVER_ICE, OVER_WATER, saturation_pressure

TEMPERATURES = st.floats(223.0, 323.0)
SHARES = st.floats(0.01, 1.0)
PRESSURES = st.floats(45_000.0, 108_000.0)


def murphy_koop_water(t: np.ndarray) -> np.ndarray:
    """Murphy and Koop 2005, doi:10.1256/qj.04.94, eq. 10."""
    logarithm = np.log(t)
    return np.exp(
        54.842763
        - 6763.22 / t
        - 4.21 * logarithm
        + 0.000367 * t
        + np.tanh(0.0415 * (t - 218.8)) * (53.878 - 1331.22 / t - 9.44523 * logarithm + 0.014025 * t)
    )


def murphy_koop_ice(t: np.ndarray) -> np.ndarray:
    """The same, eq. 7."""
    return np.exp(9.550426 - 5723.265 / t + 3.53068 * np.log(t) - 0.00728332 * t)


def test_saturation_pressure_is_near_that_of_others() -> None:
    warm, cold = np.linspace(243.0, 323.0, 81), np.linspace(223.0, 273.0, 51)
    np.testing.assert_allclose(saturation_pressure(warm), murphy_koop_water(warm), rtol=6e-3)
    np.testing.assert_allclose(saturation_pressure(cold, OVER_ICE), murphy_koop_ice(cold), rtol=6e-3)
    assert saturation_pressure(273.16) == 611.21
    assert saturation_pressure(273.16, OVER_ICE) == 611.21
    # 20 degrees Celsius: 2339 Pa (WMO guide to instruments, annex 4.B, eq. 4.B.1).
    assert saturation_pressure(293.15) == pytest.approx(2339.0, rel=2e-3)


def test_there_is_less_vapour_over_ice() -> None:
    cold = np.linspace(223.0, 273.0, 51)
    assert (saturation_pressure(cold, OVER_ICE) < saturation_pressure(cold)).all()


@given(TEMPERATURES, SHARES, PRESSURES)
def test_humidity_there_and_back(temperature: float, share: float, pressure: float) -> None:
    vapour = share * saturation_pressure(temperature)
    specific = humidity.specific_humidity(vapour, pressure)
    assert humidity.vapour_pressure(specific, pressure) == pytest.approx(vapour, rel=1e-12)
    for over in (OVER_WATER, OVER_ICE):
        dew = humidity.dew_point(vapour, over)
        assert saturation_pressure(dew, over) == pytest.approx(vapour, rel=1e-10)
    assert humidity.dew_point(vapour) <= temperature + 1e-9
    # Specific humidity is the mass of vapour in that of moist air, both ideal gases.
    dry, moist = (pressure - vapour) * 28.9644, vapour * 18.0153
    assert specific == pytest.approx(moist / (dry + moist), rel=1e-5)


@given(TEMPERATURES, SHARES, PRESSURES)
def test_wet_bulb_is_between_dew_point_and_temperature(temperature: float, share: float, pressure: float) -> None:
    vapour = share * saturation_pressure(temperature)
    wet = humidity.wet_bulb(temperature, vapour, pressure)
    assert humidity.dew_point(vapour) - 1e-9 <= wet <= temperature + 1e-9
    cooled = humidity.DRY_AIR_HEAT * pressure / (humidity.EPSILON * humidity.VAPORISATION_HEAT) * (temperature - wet)
    assert saturation_pressure(wet) - vapour == pytest.approx(cooled, abs=1e-6 * pressure)


def test_wet_bulb_of_stull_s_example() -> None:
    # Stull 2011, doi:10.1175/JAMC-D-11-0143.1: 20 degrees Celsius, 50 %, 1013.25 hPa: 13.7 degrees Celsius.
    wet = humidity.wet_bulb(293.15, 0.5 * saturation_pressure(293.15), 101_325.0)
    assert wet - 273.15 == pytest.approx(13.7, abs=0.15)
