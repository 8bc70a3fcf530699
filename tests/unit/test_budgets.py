"""Residuals of budgets that close by construction, and counts of values outside physical ranges."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from evaluation_files import STEP_SECONDS, closing_dataset, full_model, perfect_run, write_closing

from ailand_gt4py.ecland.soil_heat import frozen_fraction
from ailand_gt4py.evaluation import budgets, fields, ranges
from ailand_gt4py.io.sources import open_source

N_WINDOWS = 39


@pytest.fixture(scope="module")
def data():
    return closing_dataset(n_times=N_WINDOWS + 1)


@pytest.fixture(scope="module")
def truth(data, tmp_path_factory):
    path = write_closing(tmp_path_factory.mktemp("closing") / "data.nc", data)
    with open_source(path, full_model(), initial_state="none") as source:
        return fields.read_truth(source)


def changed(truth: fields.Fields, **values: np.ndarray) -> fields.Fields:
    return dataclasses.replace(truth, values={**truth.values, **values})


def test_fields_are_at_their_windows(truth, data):
    assert truth.values["swvl1"].shape == (N_WINDOWS + 1, 6)
    assert truth.values["slhf"].shape == (N_WINDOWS, 6)
    assert truth.values["clim_theta_sat"].shape == (6,)
    assert np.allclose(truth.values["snowc"], data["snowc"].values / 100.0)


def test_closing_columns_have_no_residual(truth):
    """The file's drainage and latent heat were computed from formulas of the test's own."""
    water, energy = budgets.water_residual(truth), budgets.energy_residual(truth)
    assert water.values.shape == (N_WINDOWS, 6)
    assert np.abs(water.values).max() < 1e-9
    assert np.abs(energy.values).max() < 1e-6
    # So small against what moves: the test would not show it otherwise.
    assert np.abs(truth.values["ssro"]).max() * STEP_SECONDS > 1.0
    assert np.abs(truth.values["slhf"]).max() > 100.0
    assert (budgets.is_snowy(truth)).any()
    assert (frozen_fraction(truth.values["stl1"]) % 1.0 > 0.0).any()


def test_a_wrong_flux_or_storage_shows_with_its_size_and_sign(truth):
    more_rain = changed(truth, met_rainf=truth.values["met_rainf"] + 1e-5)
    assert budgets.water_residual(more_rain).values == pytest.approx(np.full((N_WINDOWS, 6), 0.864))
    more_evaporation = changed(truth, e=truth.values["e"] - 1e-5)
    assert budgets.water_residual(more_evaporation).values == pytest.approx(np.full((N_WINDOWS, 6), -0.864))
    wetter = truth.values["swvl3"].copy()
    wetter[20:] += 0.01
    residual = budgets.water_residual(changed(truth, swvl3=wetter)).values
    assert residual[19] == pytest.approx(np.full(6, -7.2))  # 0.72 m, 1000 kg m-3, 1 %
    assert np.abs(np.delete(residual, 19, axis=0)).max() < 1e-9
    sunny = changed(truth, ssr=truth.values["ssr"] + 3.0)
    assert budgets.energy_residual(sunny).values == pytest.approx(np.full((N_WINDOWS, 6), 3.0))


def test_a_perfect_run_closes_as_the_truth_does(truth, data):
    model = full_model()
    run = fields.of_run(model, perfect_run(data, model), truth)
    assert not set(truth.values) - set(run.values)
    assert np.abs(budgets.water_residual(run).values).max() < 1e-9
    assert np.abs(budgets.energy_residual(run).values).max() < 1e-6


def test_what_a_model_lacks_is_named(truth):
    without = truth.without(["e", "ssro", "src", "ssr"])
    water, energy = budgets.water_residual(without), budgets.energy_residual(without)
    assert water.values is None
    assert water.missing == ("e", "ssro")
    assert water.left_out == ("src",)
    assert energy.values is None
    assert energy.missing == ("ssr",)
    no_soil = budgets.water_residual(truth.without(budgets.SOIL_WATER))
    assert no_soil.missing == budgets.SOIL_WATER


def test_storages_that_are_left_out(truth):
    """Without the interception its change is what remains, and likewise for the heat of the fourth layer."""
    water = budgets.water_residual(truth.without(["src"]))
    assert water.left_out == ("src",)
    assert water.values == pytest.approx(np.diff(truth.values["src"], axis=0), abs=1e-9)
    energy = budgets.energy_residual(truth.without(["stl4"]))
    assert energy.left_out == ("stl4",)
    assert np.abs(energy.values).max() > 1.0


def test_frozen_fraction():
    found = frozen_fraction(np.array([250.0, 272.16, 272.66, 273.16, 274.16, 290.0]))
    assert found == pytest.approx([1.0, 1.0, 0.5 * (1.0 + math.sqrt(0.5)), 0.5, 0.0, 0.0])


def test_land_only_leaves_lakes_and_towns_out(truth):
    cover = np.array([0.0, 0.5, 0.0, 0.0, 5e-4, 0.0])
    town = np.array([0.0, 0.0, 0.2, 0.0, 0.0, 0.0])
    chosen = budgets.land_only(changed(truth, clim_clake=cover, clim_cu=town))
    assert chosen.tolist() == [True, False, False, True, True, True]


def test_scores_of_residuals():
    residual = np.array([[1.0], [-1.0], [3.0], [1.0], [2.0], [2.0], [2.0], [2.0], [9.0]])  # six-hourly: two days
    sums = budgets.score(residual, 21_600.0, is_sum=True)
    assert sums.n == 9
    assert sums.rms == pytest.approx(math.sqrt((1 + 1 + 9 + 1 + 16 + 81) / 9))
    assert sums.mean == pytest.approx(21.0 / 9.0)
    assert sums.rms_day == pytest.approx(math.sqrt((4.0**2 + 8.0**2) / 2.0))
    assert sums.worst == 9.0
    means = budgets.score(residual, 21_600.0, is_sum=False)
    assert means.rms_day == pytest.approx(math.sqrt((1.0 + 4.0) / 2.0))
    chosen = np.ones(residual.shape, dtype=bool)
    chosen[0] = False
    part = budgets.score(residual, 21_600.0, True, chosen)
    assert part.n == 8
    assert part.rms_day == pytest.approx(8.0), "the first day is not whole"
    assert math.isnan(budgets.score(residual, 21_600.0, True, ~np.ones_like(chosen)).rms)


# -------------------------------------------------------------------------------------------------------- ranges


def counts_of(run: fields.Fields) -> dict[str, ranges.RangeCount]:
    return {count.name: count for count in ranges.count(run)}


def test_nothing_is_outside_in_the_closing_columns(truth):
    found = counts_of(truth.without(["sro", "ssro"]))  # drainage closes the budget, whatever its sign
    assert {count.violations for count in found.values()} == {0}
    assert "swvl4 within 0 and porosity" in found


def test_violations_are_counted(truth):
    water = truth.values["swvl2"].copy()
    water[3, 1], water[4, 1], water[5, 2] = 0.53, -0.02, np.nan
    water[6, 0] = 0.5 + 5e-4  # rounding
    dew = truth.values["t2m"].copy()
    dew[0, 0] += 2.0
    net = np.full((N_WINDOWS, 6), 10.0)
    net[7] = 400.0
    net[8, 0] = -3.0
    found = counts_of(changed(truth, swvl2=water, d2m=dew, ssr=net))
    of_water = found["swvl2 within 0 and porosity"]
    assert (of_water.violations, of_water.columns, of_water.n) == (3, 2, 40 * 6)
    of_dew = found["d2m not above t2m"]
    assert (of_dew.violations, of_dew.columns) == (1, 1)
    assert of_dew.worst == pytest.approx(2.0)
    of_sun = found["ssr within 0 and the incoming"]
    assert (of_sun.violations, of_sun.columns) == (7, 6)
    assert found["swvl1 within 0 and porosity"].violations == 0


def test_worst_excess_is_finite_where_a_value_is_not(truth):
    water = truth.values["swvl1"].copy()
    water[0, 0], water[1, 0] = np.nan, 0.6
    worst = counts_of(changed(truth, swvl1=water))["swvl1 within 0 and porosity"]
    assert worst.violations == 2
    assert worst.worst == pytest.approx(0.1)
