"""What no tower measures: vegetation by land cover, soil, and a first state, only where no file has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.land_cover import CLASSES, number_of
from ailand_gt4py.ecland.soil_tables import VEGETATIONS, soil_values
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.first_guess import wave_below
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_guesses import completed
from ailand_gt4py.weights.variables import DEFAULT

MODEL = DEFAULT.template(21_600.0)
STEP = np.timedelta64(6, "h")
#: A quarter of what the net radiation could evaporate, kg m-2 s-1.
RAIN = 0.25 * 0.6 * 125.0 / 2.5e6


def fields(n_times: int = 8, air: Values | None = None, **more: float) -> Fields:
    times = np.datetime64("2020-03-01", "ns") + np.arange(n_times) * STEP
    air = np.full(n_times, 280.0) if air is None else air
    weather = {"met_tair": air, "met_swdown": np.full(n_times, 125.0), "met_precipitation": np.full(n_times, RAIN)}
    data = xr.Dataset(
        {name: (("time", "x"), one[:, np.newaxis]) for name, one in weather.items()}, {"time": times, "x": [0]}
    )
    more = {"igbp_class": 1.0} | more
    return Fields(Path("f.nc"), data.assign({name: ("x", [value]) for name, value in more.items()}), {}, {})


def value(found: Fields, name: str) -> float:
    assert found.dataset[name].dims == ("x",)
    assert "units" in found.dataset[name].attrs
    return float(found.dataset[name][0])


def test_types_and_covers_of_a_class() -> None:
    found = completed(fields(), MODEL, Site(), True)
    assert [value(found, f"clim_{name}") for name in ("tvh", "cvh", "tvl", "cvl")] == [3.0, 0.9, 2.0, 0.1]
    assert value(found, "clim_sotype") == 2.0
    assert any("by the land cover ENF (evergreen needleleaf forest, IGBP)" in note for note in found.notes)


@pytest.mark.parametrize("number", CLASSES)
def test_all_classes_are_vegetation_of_ecland(number: int) -> None:
    one = CLASSES[number]
    assert number_of(one.short.lower()) == number
    assert {one.high_type, one.low_type} <= set(VEGETATIONS)
    assert 0.0 <= one.high_cover + one.low_cover <= 1.0
    assert (one.high_type == 0) == (one.high_cover == 0.0)


def test_what_is_there_stays() -> None:
    found = completed(fields(clim_tvl=9.0, clim_sotype=4.0, swvl1=0.3), MODEL, Site(), True)
    assert found.dataset["clim_tvl"].values.tolist() == [9.0]
    assert found.dataset["swvl1"].values.tolist() == [0.3]
    dry, wet = (float(soil_values(one, np.array([4]))[0]) for one in ("wilting_point", "field_capacity"))
    assert value(found, "swvl2") == pytest.approx(dry + 0.25 * (wet - dry))
    assert not any("clim_tvl" in note or "swvl1" in note for note in found.notes)


def test_without_land_cover_nothing_is_guessed() -> None:
    one = fields()
    other = Fields(one.path, one.dataset.drop_vars("igbp_class"), {}, {})
    assert completed(other, MODEL, Site(), True) is other
    assert set(completed(other, MODEL, Site(soil_type=4), True).dataset.data_vars) == {
        "met_tair",
        "met_swdown",
        "met_precipitation",
        "clim_sotype",
    }


def test_a_wet_climate_fills_the_soil() -> None:
    one = fields()
    wet = one.dataset.assign(met_precipitation=100.0 * one.dataset["met_precipitation"])
    found = completed(Fields(one.path, wet, {}, {}), MODEL, Site(), True)
    assert value(found, "swvl3") == pytest.approx(float(soil_values("field_capacity", np.array([2]))[0]))
    separate = wet.rename(met_precipitation="met_rainf").assign(met_snowf=0.0 * wet["met_precipitation"])
    assert value(completed(Fields(one.path, separate, {}, {}), MODEL, Site(), True), "swvl3") == value(found, "swvl3")


def test_snow() -> None:
    found = completed(fields(), MODEL, Site(), True)
    assert [value(found, name) for name in ("sd", "snowc", "rsn", "tsn", "asn")] == [0.0, 0.0, 100.0, 273.16, 0.85]
    found = completed(fields(sd=0.05), MODEL, Site(), True)
    assert value(found, "rsn") == 250.0
    assert "snowc" not in found.dataset  # follows from these


def test_no_state_where_none_is_wanted() -> None:
    found = completed(fields(), MODEL, Site(), False)
    assert "stl1" not in found.dataset
    assert "clim_tvh" in found.dataset


def test_the_soil_type_is_told_or_contradicted() -> None:
    assert value(completed(fields(), MODEL, Site(soil_type=5), True), "clim_sotype") == 5.0
    with pytest.raises(InputError, match="option --soil-type: found 5, but"):
        completed(fields(clim_sotype=4.0), MODEL, Site(soil_type=5), True)


def test_temperatures_of_less_than_a_year() -> None:
    air = np.concatenate([np.full(120, 275.0), np.full(100, 295.0)])
    found = completed(fields(220, air), MODEL, Site(), True)
    assert [value(found, f"stl{layer}") for layer in range(1, 5)] == [275.0] * 4


def test_temperatures_under_an_annual_wave() -> None:
    n_times = 4 * 365
    angle = 2.0 * np.pi * np.arange(n_times) / n_times
    found = completed(fields(n_times, 283.0 + 10.0 * np.cos(angle - 1.0)), MODEL, Site(), True)
    wave = 10.0 * np.exp(-1j)
    for layer, depth in enumerate((0.035, 0.175, 0.64, 1.945), start=1):
        assert value(found, f"stl{layer}") == pytest.approx(283.0 + (wave * wave_below(depth)).real, abs=1e-6)


def test_an_unknown_class() -> None:
    with pytest.raises(InputError, match="'igbp_class' is 17, expected one of 1, 2"):
        completed(fields(igbp_class=17.0), MODEL, Site(), True)
