"""Derived inputs: values, refusals, and the sentences that tell of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland import snow
from ailand_gt4py.io import derive
from ailand_gt4py.io.first_guess import DAMPING_DEPTH, FIRST_GUESSES, wave_below

FILE = "in.nc"


def derived(name: str, **inputs: list[float]) -> np.ndarray:
    return derive.DERIVATIONS[name].function({key: np.array(values) for key, values in inputs.items()}, FILE)


def test_soil_limits_follow_from_the_soil_type() -> None:
    capacity = derived("clim_theta_cap", clim_sotype=[1.0, 6.0, 7.0])
    np.testing.assert_allclose(capacity, [0.24234173, 0.66157967, 0.34593880], atol=1e-7)
    wilting = derived("clim_theta_pwp", clim_sotype=[1.0, 6.0, 7.0])
    porosity = derived("clim_theta_sat", clim_sotype=[1.0, 6.0, 7.0])
    assert (wilting < capacity).all()
    assert (capacity < porosity).all()


def test_conductivity_is_that_of_the_soil_type_or_of_the_type_with_the_nearest_water_contents() -> None:
    assert derived("clim_log_ksat", clim_sotype=[1.0, 6.0, 7.0]) == pytest.approx(np.log([6.94e-6, 0.93e-6, 1.16e-6]))
    assert derived("clim_connectivity", clim_sotype=[2.0, 4.0]).tolist() == [-2.3421, -1.9772]
    # Fine and very fine soil, of a field capacity that is a tenth less than the tables'.
    water = {"clim_theta_sat": [0.52, 0.614], "clim_theta_cap": [0.403, 0.486], "clim_theta_pwp": [0.279, 0.335]}
    inputs = {name: np.array(values) for name, values in water.items()}
    assert derive.ALTERNATIVES["clim_log_ksat"].function(inputs, FILE) == pytest.approx(np.log([2.87e-6, 1.74e-6]))
    assert derive.ALTERNATIVES["clim_connectivity"].function(inputs, FILE).tolist() == [-1.9772, 2.5]


@pytest.mark.parametrize(
    ("values", "column", "shown"), [([2.0, 0.0], 1, "0"), ([8.0], 0, "8"), ([1.0, 2.5], 1, "2.5"), ([np.nan], 0, "nan")]
)
def test_unusable_soil_type_is_named_with_its_column(values: list[float], column: int, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        derived("clim_theta_sat", clim_sotype=values)
    assert str(caught.value) == (
        f"in.nc: variable 'clim_sotype' is {shown} in column {column} (1 of {len(values)} columns are not usable), "
        f"expected a whole number from 1 to 7"
    )


def test_vegetation_without_type_and_cover_takes_the_values_of_no_vegetation() -> None:
    for types in ([0.0], [np.nan]):
        assert derived("clim_veg_rsminh", clim_tvh=types, clim_cvh=[0.0])[0] == 250.0
        assert derived("clim_veg_covl", clim_tvl=types, clim_cvl=[0.0])[0] == 0.0
        assert derived("clim_veg_z0ml", clim_tvl=types, clim_cvl=[0.0])[0] == 0.013


@pytest.mark.parametrize("types", [[0.0], [np.nan], [21.0], [-1.0], [3.5]])
def test_vegetation_with_cover_needs_a_type(types: list[float]) -> None:
    with pytest.raises(InputError, match=r"^in\.nc: variable 'clim_tvh' is .* in column 0 .*expected a .* to 20$"):
        derived("clim_veg_covh", clim_tvh=types, clim_cvh=[0.3])


def test_fill_types_touches_only_missing_types_without_cover() -> None:
    types, sentence = derive.fill_types(
        np.array([np.nan, np.nan, 5.0, 0.0]), np.array([0.0, 0.2, 0.0, 0.0]), "clim_tvh"
    )
    np.testing.assert_array_equal(types, [0.0, np.nan, 5.0, 0.0])
    assert sentence == "clim_tvh: missing in 1 columns without such vegetation, set to 0 (none) there."
    same, nothing = derive.fill_types(np.array([1.0, np.nan]), np.array([0.0, 0.1]), "clim_tvh")
    np.testing.assert_array_equal(same, [1.0, np.nan])
    assert nothing == ""


def test_geopotential_from_height() -> None:
    np.testing.assert_allclose(derived("clim_geopot", clim_orog=[0.0, 100.0]), [0.0, 980.665])


def test_snow_cover_formula() -> None:
    # 10 cm of snow at 200 kg m-3 is 20 mm of water: tanh(4000 * 0.1 / 200) = tanh(2); a metre covers all but the lake.
    cover = derived("snowc", sd=[0.02, 0.2, 0.0, -1e-13], rsn=[200.0] * 4, clim_clake=[0.0, 0.1, 0.0, 0.0])
    np.testing.assert_allclose(cover, [np.tanh(2.0), 0.9, 0.0, 0.0], atol=1e-12)
    with pytest.raises(InputError, match="variable 'rsn' is 0 kg m-3 in column 1, expected a positive density"):
        derived("snowc", sd=[0.0, 0.0], rsn=[100.0, 0.0], clim_clake=[0.0, 0.0])


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2), st.floats(50, 500), st.floats(0, 1), st.floats(1.0, 3.0))
def test_snow_cover_grows_with_snow_and_stays_a_fraction(
    water: float, density: float, lake: float, more: float
) -> None:
    less, greater = derive.snow_cover(np.array([water, water * more]), np.full(2, density), np.full(2, lake))
    assert 0.0 <= less <= greater <= 1.0 - lake


def test_sentences_group_what_has_the_same_source() -> None:
    wanted = ("clim_theta_cap", "clim_theta_pwp", "clim_geopot")
    lines = derive.sentences([derive.DERIVATIONS[name] for name in wanted])
    assert lines == [
        "Not in the file, derived from clim_sotype by ecLand's van Genuchten parameters by soil type (Balsamo et al. "
        "2009, doi:10.1175/2008JHM1068.1; IFS documentation, part IV): clim_theta_cap (at -0.1 bar), "
        "clim_theta_pwp (at -15 bar).",
        "Not in the file, derived from clim_orog by multiplication with 9.80665 m s-2: clim_geopot.",
    ]


def test_forcing_and_soil_state_are_not_derivable() -> None:
    names = ("met_lwdown", "met_ctpf", "met_qair", "swvl1", "stl1", "lai_hv")
    assert not set(names) & (set(derive.DERIVATIONS) | set(FIRST_GUESSES))
    assert not set(derive.DERIVATIONS) & set(FIRST_GUESSES)


def guessed(name: str, **inputs: list[float]) -> np.ndarray:
    return FIRST_GUESSES[name].function({key: np.array(values) for key, values in inputs.items()}, FILE)


def test_deepest_soil_water_is_that_of_the_layer_above() -> None:
    np.testing.assert_array_equal(guessed("swvl4", swvl3=[0.1, 0.4]), [0.1, 0.4])


def test_annual_wave_is_damped_and_late_in_the_ground() -> None:
    """Against heat conduction by finite differences, a layer of 2 cm and a step of two hours at a time."""
    year, spacing, step = 365 * 86400.0, 0.02, 7200.0
    omega = 2.0 * np.pi / year
    diffusivity = 0.5 * omega * DAMPING_DEPTH**2
    soil = np.zeros(int(15.0 / spacing))
    courant = diffusivity * step / spacing**2
    matrix = np.diag(np.full(len(soil), 1.0 + 2.0 * courant))
    matrix += np.diag(np.full(len(soil) - 1, -courant), 1) + np.diag(np.full(len(soil) - 1, -courant), -1)
    inverse = np.linalg.inv(matrix)
    found = []
    for time in np.arange(step, 3.0 * year, step):
        known = soil.copy()
        known[0] += courant * np.cos(omega * time)
        soil = inverse @ known
        if time > 2.0 * year:
            found.append((time, soil[round(1.945 / spacing) - 1]))
    times, values = np.array(found).T
    expected = (wave_below(1.945) * np.exp(1j * omega * times)).real
    np.testing.assert_allclose(values, expected, atol=0.01)
    assert np.abs(expected).max() == pytest.approx(np.exp(-1.945 / DAMPING_DEPTH), rel=1e-3)


def test_deepest_soil_temperature_follows_the_season() -> None:
    """In late winter, the air coldest now, the soil is warmer below; in late summer it is colder."""
    wave = {derive.wave_key("met_tair"): np.array([-10.0 + 0.0j, 10.0 + 0.0j, 0.0j])}
    found = FIRST_GUESSES["stl4"].function({"stl3": np.array([275.0, 290.0, 283.0])} | wave, FILE)
    assert found[0] > 275.0
    assert found[1] < 290.0
    assert found[2] == 283.0
    np.testing.assert_allclose(found[0] - 275.0, 290.0 - found[1])
    otherwise = FIRST_GUESSES["stl4"].otherwise
    assert otherwise is not None
    profile = {"stl2": np.array([280.0, 285.0]), "stl3": np.array([281.0, 283.0])}
    np.testing.assert_array_equal(otherwise.function(profile, FILE), [282.0, 281.0])
    assert FIRST_GUESSES["stl4"].needs == ("stl3", "met_tair", "stl2")


def test_snow_of_unknown_age_is_in_the_middle_and_no_snow_is_what_ecland_has() -> None:
    water = [0.0, -1e-13, 0.02, 0.02]
    np.testing.assert_array_equal(guessed("rsn", sd=water), [100.0, 100.0, 250.0, 250.0])
    np.testing.assert_array_equal(guessed("asn", sd=water), [0.85, 0.85, 0.675, 0.675])
    temperature = guessed("tsn", sd=water, stl1=[280.0, 270.0, 272.0, 275.0], met_tair=[285.0, 260.0, 262.0, 274.0])
    np.testing.assert_array_equal(temperature, [273.16, 273.16, 267.0, 273.16])
    np.testing.assert_array_equal(guessed("src"), [0.0])


def test_snow_under_a_cover_makes_that_cover() -> None:
    cover = np.array([0.0, 0.1, 0.5, 0.9, 0.98])
    water = snow.water_under(cover, 0.05)
    np.testing.assert_allclose(
        derive.snow_cover(water, np.full(5, snow.MIDDLE_DENSITY), np.zeros(5)), cover, atol=1e-12
    )
    assert snow.water_under(np.array([1.0]), 0.05)[0] == 0.05


def test_first_guesses_are_told_as_such() -> None:
    assert derive.sentences([FIRST_GUESSES[name] for name in ("stl4", "src")]) == [
        "Not in the file, first guess from stl3 and the annual wave of met_tair by damping and delay of the wave in "
        "the ground (Carslaw and Jaeger 1959; damping depth 2.2 m): stl4.",
        "Not in the file, first guess by assuming dry leaves and soil: src.",
    ]
    otherwise = FIRST_GUESSES["stl4"].otherwise
    assert otherwise is not None
    (line,) = derive.sentences([otherwise])
    assert line.startswith("Not in the file, first guess from stl2 and stl3 by extrapolating")
