"""What no tower measures: vegetation by land cover, and soil, only where no file has it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.land_cover import CLASSES, number_of
from ailand_gt4py.ecland.soil_tables import VEGETATIONS
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.site import Site
from ailand_gt4py.io.site_guesses import completed
from ailand_gt4py.weights.variables import DEFAULT

MODEL = DEFAULT.template(21_600.0)
STEP = np.timedelta64(6, "h")


def fields(**more: float) -> Fields:
    times = np.datetime64("2020-03-01", "ns") + np.arange(8) * STEP
    weather = {"met_tair": 280.0, "met_swdown": 125.0, "met_precipitation": 1e-5}
    data = xr.Dataset(
        {name: (("time", "x"), np.full((8, 1), one)) for name, one in weather.items()}, {"time": times, "x": [0]}
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
    found = completed(fields(clim_tvl=9.0, clim_sotype=4.0), MODEL, Site(), False)
    assert found.dataset["clim_tvl"].values.tolist() == [9.0]
    assert found.dataset["clim_sotype"].values.tolist() == [4.0]
    assert not any("clim_tvl" in note for note in found.notes)


def test_without_land_cover_nothing_is_guessed() -> None:
    one = fields()
    other = Fields(one.path, one.dataset.drop_vars("igbp_class"), {}, {})
    weather = {"met_tair", "met_swdown", "met_precipitation"}
    assert set(completed(other, MODEL, Site(), False).dataset.data_vars) == weather
    told = completed(other, MODEL, Site(soil_type=4), False)
    assert set(told.dataset.data_vars) == weather | {"clim_sotype"}


def test_the_soil_is_guessed_where_it_is_asked_for() -> None:
    one = fields()
    other = Fields(one.path, one.dataset.drop_vars("igbp_class"), {}, {})
    found = completed(other, MODEL, Site(), True)
    assert (value(found, "clim_sotype"), value(found, "clim_clake")) == (2.0, 0.0)
    assert "clim_tvl" not in found.dataset


def test_each_column_has_the_vegetation_of_its_class() -> None:
    one = fields()
    data = xr.concat([one.dataset] * 3, "x").assign(igbp_class=("x", [10.0, 1.0, 10.0]))
    found = completed(dataclasses.replace(one, dataset=data), MODEL, Site(), False)
    assert found.dataset["clim_tvh"].values.tolist() == [0.0, 3.0, 0.0]
    assert any("by the land cover ENF (evergreen needleleaf forest, IGBP), GRA" in note for note in found.notes)


def test_land_cover_that_is_told_is_that_of_all_columns() -> None:
    one = fields()
    data = xr.concat([one.dataset.drop_vars("igbp_class")] * 2, "x")
    found = completed(dataclasses.replace(one, dataset=data), MODEL, Site(igbp="ENF"), False)
    assert found.dataset["clim_tvh"].values.tolist() == [3.0, 3.0]


def test_the_soil_type_is_told_or_contradicted() -> None:
    assert value(completed(fields(), MODEL, Site(soil_type=5), True), "clim_sotype") == 5.0
    with pytest.raises(InputError, match="option --soil-type: found 5, but"):
        completed(fields(clim_sotype=4.0), MODEL, Site(soil_type=5), True)


def test_an_unknown_class() -> None:
    with pytest.raises(InputError, match="'igbp_class' is 17, expected one of 1, 2"):
        completed(fields(igbp_class=17.0), MODEL, Site(), True)
