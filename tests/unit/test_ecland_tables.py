"""ecLand's tables: values against runs of ecLand itself, and relations that hold whatever the values."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.ecland import soil_tables as tables

#: From an ecLand run (main branch of 2026-06-28): soil type -> field capacity, wilting point, porosity.
ECLAND_SOIL = {
    1: (0.24234173, 0.05910407, 0.403),
    2: (0.34593880, 0.15080439, 0.439),
    3: (0.38237226, 0.13270323, 0.430),
    4: (0.44768149, 0.27870774, 0.520),
    5: (0.54051834, 0.33476198, 0.614),
    6: (0.66157967, 0.26684389, 0.766),
    7: (0.34593880, 0.15080439, 0.439),
}


@pytest.mark.parametrize("number", sorted(ECLAND_SOIL))
def test_soil_values_are_ecland_s(number: int) -> None:
    types = np.array([number])
    capacity, wilting, porosity = ECLAND_SOIL[number]
    assert tables.soil_values("field_capacity", types)[0] == pytest.approx(capacity, abs=1e-7)
    assert tables.soil_values("wilting_point", types)[0] == pytest.approx(wilting, abs=1e-7)
    assert tables.soil_values("saturation", types)[0] == pytest.approx(porosity, abs=1e-12)


def test_the_nearest_soil_is_the_soil_itself() -> None:
    types = np.array([6, 1, 2, 3, 4, 5, 7])
    water = [tables.soil_values(name, types) for name in ("saturation", "field_capacity", "wilting_point")]
    assert tables.nearest_soil(*water).tolist() == [6, 1, 2, 3, 4, 5, 2]


def test_water_falls_with_suction_from_saturation_to_residual() -> None:
    for soil in tables.SOILS.values():
        water = [tables.van_genuchten_water(soil, suction) for suction in (0.0, 0.01, 0.1, 1.0, 15.0, 1e4, 1e30)]
        assert water[0] == soil.saturation
        assert all(wetter > drier for wetter, drier in itertools.pairwise(water))
        assert soil.residual < water[-1] < soil.residual + 0.01


def test_every_vegetation_type_has_plausible_values() -> None:
    assert sorted(tables.VEGETATIONS) == list(range(21))
    for vegetation in tables.VEGETATIONS.values():
        assert 0.0 <= vegetation.coverage <= 1.0
        assert 0.0 < vegetation.roughness <= 2.0
        assert 0.0 <= vegetation.stomatal_resistance <= 400.0
    assert tables.VEGETATIONS[0][1:] == tables.VEGETATIONS[8][1:]


def test_lookup_is_by_type_and_in_order() -> None:
    types = np.array([3, 0, 17, 3])
    np.testing.assert_array_equal(tables.vegetation_values("stomatal_resistance", types), [395.0, 250.0, 110.0, 395.0])
    np.testing.assert_array_equal(tables.vegetation_values("coverage", types), [0.9, 0.0, 0.4, 0.9])
    np.testing.assert_array_equal(tables.vegetation_values("roughness", types), [2.0, 0.013, 0.1, 2.0])


#: Files of unperturbed ecLand runs; the training files and the hold-out one together have all soils.
FILES = ("ecland_synth_6h_train.nc", "ecland_synth_6h_train_b.nc", "ecland_synth_6h_holdout.nc", "ecland_real10_6h.nc")


@pytest.mark.parametrize("name", FILES)
def test_tables_agree_with_the_static_fields_of_ecland_runs(shared: Path, name: str) -> None:
    with xr.open_dataset(shared / "data" / name, decode_times=False) as data:
        soil = data["clim_sotype"].values.astype(int)
        for variable, quantity in (("cap", "field_capacity"), ("pwp", "wilting_point"), ("sat", "saturation")):
            found = data[f"clim_theta_{variable}"].values
            np.testing.assert_allclose(tables.soil_values(quantity, soil), found, rtol=0.0, atol=1e-6)
        for kind in "hl":
            types = data[f"clim_tv{kind}"].values.astype(int)
            for variable, quantity in (("cov", "coverage"), ("z0m", "roughness"), ("rsmin", "stomatal_resistance")):
                found = data[f"clim_veg_{variable}{kind}"].values
                np.testing.assert_allclose(tables.vegetation_values(quantity, types), found, rtol=1e-6, atol=0.0)
