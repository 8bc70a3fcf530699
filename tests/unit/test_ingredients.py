"""Forcing that follows from what files have instead: formulas, which way is taken, and when."""

from __future__ import annotations

from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray as xr
from column_files import driver_model
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland import humidity
from ailand_gt4py.io.fields import Fields, Meaning
from ailand_gt4py.io.ingredients import at_own_times, of_windows
from ailand_gt4py.io.ways import WAYS, alternatives
from ailand_gt4py.weights.variables import CATALOGUE

MODEL = driver_model()
POINT, HOUR = Meaning("point"), Meaning("sum", "end", np.timedelta64(1, "h"))
MEAN = Meaning("mean", "start")
N_TIMES, N_COLUMNS = 6, 3

#: Made-up weather in the catalogue's units.
random = np.random.default_rng(3)
WEATHER = {
    "met_tair": 280.0 + 10.0 * random.random((N_TIMES, N_COLUMNS)),
    "met_qair": 0.004 + 0.001 * random.random((N_TIMES, N_COLUMNS)),
    "met_psurf": 98_000.0 + 1000.0 * random.random((N_TIMES, N_COLUMNS)),
    "met_wind_e": random.normal(0.0, 3.0, (N_TIMES, N_COLUMNS)),
    "met_wind_n": random.normal(0.0, 3.0, (N_TIMES, N_COLUMNS)),
    "met_rainf": 1e-4 * random.random((N_TIMES, N_COLUMNS)),
    "met_snowf": 1e-5 * random.random((N_TIMES, N_COLUMNS)),
}


def fields(meaning: Meaning = MEAN, meanings: dict[str, Meaning] | None = None, **values: object) -> Fields:
    """Fields of some values, (time, x), (x,) or pairs of one with a unit, lazy."""
    dataset = xr.Dataset(
        coords={"time": np.datetime64("2020-06-01", "ns") + np.arange(N_TIMES) * np.timedelta64(1, "h")}
    )
    for name, one in values.items():
        array, units = one if isinstance(one, tuple) else (one, CATALOGUE[name].units)
        array = np.asarray(array)
        lazy = dask.array.from_array(array, chunks=(2, -1) if array.ndim == 2 else -1)
        dataset[name] = (("time", "x")[2 - array.ndim :], lazy, {"units": units})
    timed = {name: meaning for name in values if "time" in dataset[name].dims} | (meanings or {})
    return Fields(Path("in.nc"), dataset, {}, timed, ["before"])


def value(result: Fields, name: str) -> np.ndarray:
    array = result.dataset[name]
    assert array.attrs["units"] == CATALOGUE[name].units
    assert dask.is_dask_collection(array.data), "lazy"
    assert array.dims == ("time", "x")
    return array.values


def said(result: Fields) -> str:
    assert result.notes[0] == "before"
    return " ".join(result.notes[1:])


VAPOUR = humidity.vapour_pressure(WEATHER["met_qair"], WEATHER["met_psurf"])
SATURATION = humidity.saturation_pressure(WEATHER["met_tair"])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("met_dewpoint", humidity.dew_point(VAPOUR)),
        ("met_dewpoint", (humidity.dew_point(VAPOUR) - 273.15, "degC")),
        ("met_vapour_pressure", (VAPOUR / 1000.0, "kPa")),
        ("met_relative_humidity", (100.0 * VAPOUR / SATURATION, "%")),
        ("met_vapour_pressure_deficit", ((SATURATION - VAPOUR) / 100.0, "hPa")),
        ("met_mixing_ratio", (1000.0 * WEATHER["met_qair"] / (1.0 - WEATHER["met_qair"]), "g kg-1")),
    ],
)
@pytest.mark.parametrize("meaning", [POINT, MEAN])
def test_humidity_of_any_measure_gives_the_specific_humidity(name: str, values: object, meaning: Meaning) -> None:
    given = fields(meaning, met_tair=WEATHER["met_tair"], met_psurf=WEATHER["met_psurf"], **{name: values})
    result = at_own_times(given, MODEL)
    np.testing.assert_allclose(value(result, "met_qair"), WEATHER["met_qair"], rtol=1e-5)
    assert result.meanings["met_qair"] == meaning
    assert f"derived from {name}" in said(result)
    assert "of means over the windows" not in said(result)


def test_values_are_computed_in_float64_and_given_in_the_file_s_precision() -> None:
    exact = {"met_dewpoint": humidity.dew_point(VAPOUR), "met_psurf": WEATHER["met_psurf"]}
    single = at_own_times(fields(**{name: one.astype(np.float32) for name, one in exact.items()}), MODEL)
    double = at_own_times(fields(**exact), MODEL)
    assert single.dataset["met_qair"].dtype == np.float32
    assert double.dataset["met_qair"].dtype == np.float64
    np.testing.assert_allclose(value(double, "met_qair"), WEATHER["met_qair"], rtol=1e-12)
    np.testing.assert_allclose(value(single, "met_qair"), WEATHER["met_qair"], rtol=2e-5)


def test_what_is_of_other_times_is_derived_from_means_over_windows_and_said() -> None:
    weather = {"met_dewpoint": humidity.dew_point(VAPOUR), "met_psurf": WEATHER["met_psurf"]}
    early = at_own_times(fields(POINT, {"met_psurf": MEAN}, **weather), MODEL)
    assert "met_qair" not in early.dataset
    assert early.notes == ["before"] or "met_qair" not in said(early)
    late = of_windows(as_windows(early), MODEL)
    np.testing.assert_allclose(value(late, "met_qair"), WEATHER["met_qair"], rtol=1e-5)
    assert "met_qair (of means over the windows)" in said(late)
    assert "met_dewpoint" not in late.dataset, "ingredients are left out"


def as_windows(given: Fields) -> Fields:
    """As if windows had been made of it."""
    given.meanings.update(dict.fromkeys(given.meanings, MEAN))
    return given


def test_accumulations_since_a_reset_are_not_combined_at_the_labels() -> None:
    daily = Meaning("accumulated")
    weather = {"met_precipitation": (WEATHER["met_rainf"], "kg m-2"), "met_tair": (WEATHER["met_tair"], "K")}
    assert "met_snowf" not in at_own_times(fields(daily, **weather), MODEL).dataset


def test_snow_is_the_cold_part_of_the_total_and_rain_the_rest() -> None:
    total = np.full((N_TIMES, N_COLUMNS), 1e-4)
    temperature = 273.15 + np.linspace(-10.0, 10.0, N_TIMES * N_COLUMNS).reshape(N_TIMES, N_COLUMNS)
    result = at_own_times(fields(met_precipitation=total, met_tair=temperature), MODEL)
    result = of_windows(result, MODEL)
    rain, snow = value(result, "met_rainf"), value(result, "met_snowf")
    np.testing.assert_allclose(rain + snow, total, rtol=1e-6)
    np.testing.assert_array_equal(snow > 0.0, temperature < 274.15)
    assert "met_snowf" in said(result)
    assert "all snow below 1 degree Celsius" in said(result)


def test_dry_air_has_snow_at_higher_temperatures() -> None:
    total, temperature = np.full((N_TIMES, N_COLUMNS), 1e-4), np.full((N_TIMES, N_COLUMNS), 275.65)
    pressure = np.full((N_TIMES, N_COLUMNS), 90_000.0)
    snow = {}
    for share in (0.4, 1.0):
        vapour = share * humidity.saturation_pressure(temperature)
        given = fields(met_precipitation=total, met_tair=temperature, met_psurf=pressure, met_vapour_pressure=vapour)
        result = of_windows(at_own_times(given, MODEL), MODEL)
        assert "wet-bulb" in said(result)
        snow[share] = float(value(result, "met_snowf")[0, 0])
        np.testing.assert_allclose(value(result, "met_rainf") + value(result, "met_snowf"), total, rtol=1e-6)
    assert snow[0.4] > 0.6e-4 > 0.1e-4 > snow[1.0]


def test_sums_keep_their_unit_and_meaning() -> None:
    warm = {"met_tair": np.full((N_TIMES, N_COLUMNS), 263.15)}
    given = fields(HOUR, {"met_tair": Meaning("mean", "end")}, met_precipitation=(WEATHER["met_rainf"], "m"), **warm)
    result = at_own_times(given, MODEL)
    assert result.meanings["met_snowf"] == HOUR
    assert result.dataset["met_snowf"].attrs["units"] == "kg m-2"
    np.testing.assert_allclose(result.dataset["met_snowf"].values, 1000.0 * WEATHER["met_rainf"], rtol=1e-6)


def test_rain_is_the_total_without_snow_and_never_negative() -> None:
    total, snow = WEATHER["met_rainf"].copy(), WEATHER["met_snowf"]
    total[0, 0] = snow[0, 0] - 1e-7  # packing
    result = of_windows(fields(met_precipitation=total, met_snowf=snow), MODEL)
    np.testing.assert_allclose(value(result, "met_rainf"), np.maximum(total - snow, 0.0), atol=1e-12)
    with pytest.raises(InputError, match=r"in\.nc: met_snowf is .* larger than met_precipitation"):
        value(of_windows(fields(met_precipitation=total, met_snowf=1000.0 * snow), MODEL), "met_rainf")


def test_convective_fraction_is_of_window_means_and_zero_where_dry() -> None:
    total = WEATHER["met_rainf"] + WEATHER["met_snowf"]
    part = 0.25 * total
    part[1, 1] = np.nan
    parts = {"met_rainf": WEATHER["met_rainf"].copy(), "met_snowf": WEATHER["met_snowf"].copy()}
    for one in parts.values():
        one[2] = 0.0
    result = of_windows(at_own_times(fields(met_convective_precipitation=part, **parts), MODEL), MODEL)
    found = value(result, "met_ctpf")
    assert np.isnan(found[1, 1])
    np.testing.assert_array_equal(found[2], 0.0)
    np.testing.assert_allclose(found[3], 0.25, rtol=1e-5)


def test_without_convective_precipitation_its_fraction_is_zero_and_said() -> None:
    result = of_windows(fields(met_rainf=WEATHER["met_rainf"], met_snowf=WEATHER["met_snowf"]), MODEL)
    np.testing.assert_array_equal(value(result, "met_ctpf"), 0.0)
    assert "first guess by assuming large-scale precipitation only (0): met_ctpf" in said(result)


def test_pressure_follows_from_elevation_only_where_there_is_none() -> None:
    # ISO 2533: pressure and temperature at 0, 1000 and 3000 m.
    heights, expected = np.array([0.0, 1000.0, 3000.0]), np.array([101_325.0, 89_874.6, 70_108.5])
    temperature = np.broadcast_to(288.15 - 0.0065 * heights, (N_TIMES, N_COLUMNS))
    result = at_own_times(fields(met_tair=temperature, clim_orog=heights), MODEL)
    np.testing.assert_allclose(value(result, "met_psurf"), np.broadcast_to(expected, temperature.shape), rtol=3e-4)
    assert "hypsometric" in said(result)
    by_geopotential = at_own_times(fields(met_tair=temperature, clim_geopot=9.80665 * heights), MODEL)
    np.testing.assert_allclose(value(by_geopotential, "met_psurf"), value(result, "met_psurf"), rtol=1e-6)
    given = at_own_times(fields(met_tair=temperature, clim_orog=heights, met_psurf=WEATHER["met_psurf"]), MODEL)
    np.testing.assert_array_equal(value(given, "met_psurf"), WEATHER["met_psurf"])


@settings(deadline=None, max_examples=20)
@given(st.floats(-30.0, 30.0), st.floats(-30.0, 30.0))
def test_wind_there_and_back(east: float, north: float) -> None:
    speed = np.hypot(east, north)
    direction = np.rad2deg(np.arctan2(-east, -north)) % 360.0  # where it comes from
    shape = (N_TIMES, N_COLUMNS)
    result = at_own_times(
        fields(met_wind_speed=np.full(shape, speed), met_wind_direction=np.full(shape, direction)), MODEL
    )
    np.testing.assert_allclose(value(result, "met_wind_e"), east, atol=1e-5)
    np.testing.assert_allclose(value(result, "met_wind_n"), north, atol=1e-5)


def test_westerly_wind_blows_to_the_east_and_speed_alone_is_eastward() -> None:
    shape = (N_TIMES, N_COLUMNS)
    west = at_own_times(fields(met_wind_speed=np.full(shape, 2.0), met_wind_direction=np.full(shape, 270.0)), MODEL)
    alone = at_own_times(fields(met_wind_speed=np.full(shape, 2.0)), MODEL)
    for result in (west, alone):
        np.testing.assert_allclose(value(result, "met_wind_e"), 2.0, atol=1e-6)
        np.testing.assert_allclose(value(result, "met_wind_n"), 0.0, atol=1e-6)
    assert "eastward" in said(alone)
    one_component = at_own_times(fields(met_wind_speed=np.full(shape, 2.0), met_wind_e=np.full(shape, 1.0)), MODEL)
    assert "met_wind_n" not in one_component.dataset, "not made up beside a component that is known"


def test_leaf_area_is_the_file_s_or_ecland_s_by_type() -> None:
    types = {"clim_tvh": np.array([5.0, 6.0, np.nan]), "clim_tvl": np.array([7.0, 1.0, 0.0])}
    guessed = of_windows(fields(met_tair=WEATHER["met_tair"], **types), MODEL)
    np.testing.assert_array_equal(value(guessed, "lai_hv"), np.broadcast_to([5.0, 6.0, 0.5], (N_TIMES, N_COLUMNS)))
    np.testing.assert_array_equal(value(guessed, "lai_lv"), np.broadcast_to([2.0, 3.0, 0.5], (N_TIMES, N_COLUMNS)))
    assert "first guess from clim_tvh" in said(guessed)
    leaves = np.full((N_TIMES, N_COLUMNS), 2.5)
    measured = of_windows(fields(POINT, lai=leaves, **types), MODEL)
    for name in ("lai_hv", "lai_lv"):
        np.testing.assert_array_equal(value(measured, name), leaves)


def test_what_era5_does_not_tell_of_the_ground_is_guessed_and_said() -> None:
    result = of_windows(fields(met_tair=WEATHER["met_tair"]), MODEL)
    np.testing.assert_array_equal(result.dataset["clim_cu"].values, np.zeros(N_COLUMNS))
    np.testing.assert_array_equal(result.dataset["clim_ctype"].values, np.full(N_COLUMNS, 3.0))
    np.testing.assert_array_equal(result.dataset["clim_sdor"].values, np.full(N_COLUMNS, 20.0, np.float32))
    for name in ("clim_cu", "clim_ctype", "clim_sdor"):
        assert name in said(result)


def test_long_wave_radiation_is_estimated_only_if_asked_for() -> None:
    air = {
        "met_tair": np.full((N_TIMES, N_COLUMNS), 288.15),
        "met_vapour_pressure": np.full((N_TIMES, N_COLUMNS), 1000.0),
    }
    assert "met_lwdown" not in of_windows(at_own_times(fields(**air), MODEL), MODEL).dataset
    clear = at_own_times(fields(**air), MODEL, estimates_longwave=True)
    assert "estimate" in said(clear)
    # Brutsaert 1975 (doi:10.1029/WR011i005p00742): 1.24 (e / T)**(1/7), e in hPa.
    brutsaert = 1.24 * (10.0 / 288.15) ** (1.0 / 7.0) * 5.670374419e-8 * 288.15**4
    assert value(clear, "met_lwdown")[0, 0] == pytest.approx(brutsaert, rel=0.03)
    black = at_own_times(fields(met_cloud_cover=np.ones((N_TIMES, N_COLUMNS)), **air), MODEL, estimates_longwave=True)
    assert value(black, "met_lwdown")[0, 0] == pytest.approx(5.670374419e-8 * 288.15**4)


def test_gaps_of_the_long_wave_are_estimated_of_windows_where_labels_mean_something_else() -> None:
    measured = np.full((N_TIMES, N_COLUMNS), 300.0)
    measured[2, 1] = np.nan
    air = {
        "met_tair": np.full((N_TIMES, N_COLUMNS), 288.15),
        "met_vapour_pressure": np.full((N_TIMES, N_COLUMNS), 1000.0),
        "met_lwdown": measured,
    }
    at_labels = fields(meanings=dict.fromkeys(("met_tair", "met_vapour_pressure"), Meaning("point")), **air)
    of_labels = at_own_times(at_labels, MODEL, estimates_longwave=True)
    np.testing.assert_array_equal(value(of_labels, "met_lwdown"), measured)
    result = of_windows(of_labels, MODEL, estimates_longwave=True)
    found = value(result, "met_lwdown")
    assert (found[~np.isnan(measured)] == 300.0).all()
    assert found[2, 1] == pytest.approx(303.44, abs=0.01)
    once = of_windows(at_own_times(fields(**air), MODEL, estimates_longwave=True), MODEL, estimates_longwave=True)
    np.testing.assert_array_equal(value(once, "met_lwdown"), found)
    assert said(once).count("met_lwdown: missing values are estimated from") == 1
    assert np.isnan(value(of_windows(at_own_times(fields(**air), MODEL), MODEL), "met_lwdown")[2, 1])


def test_ways_are_of_the_catalogue() -> None:
    for name, ways in WAYS.items():
        assert name in CATALOGUE
        for way in ways:
            assert {*way.inputs, *way.unless} <= set(CATALOGUE)
    assert alternatives("met_swdown") == ""
    assert alternatives("met_qair") == (
        "met_vapour_pressure (or met_dewpoint, met_relative_humidity, met_vapour_pressure_deficit, met_mixing_ratio) "
        "and met_psurf"
    )


@pytest.mark.parametrize(
    ("name", "given", "wrong", "says"),
    [
        ("met_wind_speed", (3.0, "m s-1"), -2.0, "is -2 m s-1 at 2020-06-01T04:00 in column 1 .*expected -0.01 to 132"),
        ("met_wind_direction", (90.0, "degree"), 999.0, "is 999 degree at .*it may stand for a missing value"),
        ("met_relative_humidity", (0.6, "1"), 60.0, "is 60 at .* expected -0.015 to 1.65 .the unit may be %"),
        ("met_dewpoint", (5.0, "degC"), -999.0, r"is -725.85 K \(-999 in 'degC'\) at .*missing value"),
        ("met_precipitation", (1.0, "mm h-1"), -5.0, r"is -0.00138889 kg m-2 s-1 \(-5 in 'mm h-1'\) at"),
    ],
)
def test_what_cannot_be_is_named_though_what_follows_from_it_could_be(name, given, wrong, says):
    values = np.full((N_TIMES, N_COLUMNS), given[0])
    values[4, 1] = wrong
    weather = {one: array for one, array in WEATHER.items() if one in ("met_tair", "met_psurf")}
    more = {"met_wind_speed": values * 0.0 + 3.0} if name == "met_wind_direction" else {}
    result = at_own_times(fields(POINT, **weather, **more, **{name: (values, given[1])}), MODEL)
    result = of_windows(result, MODEL)
    with pytest.raises(InputError, match=f"in.nc: variable '{name}' {says}"):
        result.dataset.compute()
    values[4, 1] = np.nan  # is looked at where it is needed
    of_windows(
        at_own_times(fields(POINT, **weather, **more, **{name: (values, given[1])}), MODEL), MODEL
    ).dataset.compute()
