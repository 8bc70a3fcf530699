"""The study of transfer: groups, files and distances."""

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("torch", reason="PyTorch is not installed; the studies need it")

from studies.transfer import __main__ as study
from training_files import columns

N_COLUMNS = 16


def write(path, climates: list[str], warmth: float = 0.0, box: bool = False) -> None:
    data = columns(len(climates), 260, seed=len(climates))
    data["climate"] = (("x",), np.array(climates))
    data["region"] = (("x",), np.array(["africa", "asia"] * len(climates))[: len(climates)])
    data["met_tair"] = data.met_tair + warmth
    if box:
        data["europe_box"] = (("x",), np.arange(len(climates)) % 2)
    data.to_netcdf(path)


def test_every_climate_of_the_data_is_in_one_group() -> None:
    members = [climate for group in study.CLIMATES.values() for climate in group]
    assert len(members) == len(set(members)) == 12
    groups = study.groups_of("climate", np.array(["x", "y"]), np.array(["tundra", "boreal"]))
    assert groups.tolist() == ["tundra and mountain", "continental"]
    assert study.groups_of("region", np.array(["x", "y"]), np.array(["tundra", "boreal"])).tolist() == ["x", "y"]


def test_files_keep_columns_for_training_and_testing_apart(tmp_path) -> None:
    climates = ["tundra", "boreal"] * (N_COLUMNS // 2)
    for name in study.FILES:
        write(tmp_path / name, climates)
    write(tmp_path / study.HOLD_OUT, climates, box=True)
    work = tmp_path / "work"
    work.mkdir()
    names = study.split_file("climate", tmp_path, work)
    assert names == ["continental", "tundra and mountain"]
    for stem, climate in (("continental", "boreal"), ("tundra_and_mountain", "tundra")):
        parts = {}
        for what in ("train", "test"):
            with xr.open_dataset(work / f"{stem}_{what}.nc") as data:
                assert set(data.climate.values) == {climate}
                parts[what] = [tuple(column) for column in data.met_tair.values.T[:, :5]]
        assert len(parts["test"]) == N_COLUMNS // study.TEST_EVERY
        # Both files hold the same columns here, so each is there twice.
        assert len(parts["train"]) + len(parts["test"]) == N_COLUMNS
    with xr.open_dataset(work / "europe_test.nc") as held:
        assert held.sizes["x"] == N_COLUMNS // 2
        assert held.europe_box.values.all()


def test_distance_in_climate_space(tmp_path) -> None:
    """None to the columns themselves; the farther the warmer, in standard deviations of the training columns."""
    for name, warmth in (("a.nc", 0.0), ("b.nc", 5.0), ("c.nc", 10.0)):
        write(tmp_path / name, ["tundra"] * 6, warmth)
    same, warm, warmer = (study.climate_distance(tmp_path / "a.nc", tmp_path / f"{one}.nc") for one in "abc")
    assert same == 0.0
    assert 0.0 < warm < warmer
    space = study.climate_space(tmp_path / "a.nc")
    assert space.shape == (6, 2 * len(study.CLIMATE_SPACE))
    moved = study.climate_space(tmp_path / "c.nc") - space
    np.testing.assert_allclose(moved[:, 0], 10.0, rtol=1e-4)
    np.testing.assert_allclose(moved[:, 1], 0.0, atol=1e-4)


def test_inputs_that_do_not_vary_are_not_learnt_from(tmp_path) -> None:
    write(tmp_path / "a.nc", ["tundra"] * 4)
    with xr.open_dataset(tmp_path / "a.nc") as file:
        data = file.load()
    constant = {"static": "clim_veg_covh", "forcing": "met_snowf", "state": "snowc"}
    for name in constant.values():
        data[name] = data[name] * 0.0
    data.to_netcdf(tmp_path / "b.nc")
    found, before = (study.varying_inputs(tmp_path / name) for name in ("b.nc", "a.nc"))
    for group, name in constant.items():
        assert [one for one in before[group] if one not in found[group]] == [name]
    assert "toa_incoming_shortwave_flux" in found["forcing"]


def test_the_configuration_is_one_that_training_takes() -> None:
    from ailand_gt4py.core.settings import read_settings, read_yaml
    from ailand_gt4py.training.configuration import Configuration

    configuration = read_settings(Configuration, read_yaml(study.CONFIGURATION))
    outputs = {variable.name for variable in configuration.variable_set.state + configuration.variable_set.diagnostics}
    assert set(study.VARIABLES) <= outputs
