"""The commands beside ailand-column-run on files of other conventions, grids and calendars; how far they are."""

from __future__ import annotations

import json
from pathlib import Path

import era5_files
import numpy as np
import pytest
import tower_files
import xarray as xr
from column_files import dataset, driver_model, write
from test_gridded_run import columns, gridded

from ailand_gt4py.cli import main as cli
from ailand_gt4py.weights.model_file import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose results differ from column to column, and files of all kinds that it takes."""
    path = tmp_path_factory.mktemp("any")
    model, random = driver_model(), np.random.default_rng(5)
    for values in model.parameters.values():
        values[...] = random.normal(size=values.shape, scale=0.02)
    write_model(model, path / "model.nc")
    era5_files.cds_files(path, 72)
    tower_files.plumber2(path / "met.nc", tower_files.MET)
    gaps = {"Qle": np.r_[np.zeros(40, int), np.ones(20, int), np.zeros(84, int)]}
    tower_files.plumber2(path / "flux.nc", tower_files.FLUX, flags=gaps)
    data = columns()
    data["guess"] = data["clim_theta_cap"] * 1.1
    data["guess"].attrs = data["clim_theta_cap"].attrs
    write(data, path / "columns.nc")
    write(gridded(data), path / "grid.nc")
    days = dataset(n_times=13)
    days["time"] = days["time"].copy(data=days["time"].values + 24 * (31 + 26))
    days["time"].attrs["calendar"] = "noleap"
    write(days, path / "noleap.nc")
    return path


ERA5 = "data_stream-oper_stepType-instant.nc data_stream-oper_stepType-accum.nc static.nc"
JACOBIAN = "--outputs stl1,slhf --inputs met_tair,stl1 --every 24h"
UNCERTAINTY = "--days 0.5 --members 3"
ESTIMATE = "--parameters clim_theta_cap --days 0.5 --every 6h --observe slhf --iterations 2"


def call(folder: Path, command: str, files: str, words: str = "", quiet: bool = True) -> int:
    own = ["--model", folder / "model.nc", "--backend", "embedded", *(["--quiet"] if quiet else [])]
    paths = [str(folder / one) for one in files.split()]
    return cli.main([command, *paths, *map(str, own), *words.split()])


def result(folder: Path, tmp_path: Path, command: str, files: str, words: str) -> xr.Dataset:
    assert call(folder, command, files, f"{words} -o {tmp_path / 'out.nc'}") == 0
    with xr.open_dataset(tmp_path / "out.nc", decode_times=False) as data:
        (tmp_path / "out.nc").unlink()
        return data.load()


@pytest.mark.parametrize(
    ("command", "words"),
    [("jacobian", JACOBIAN), ("uncertainty", UNCERTAINTY), ("estimate", ESTIMATE), ("assimilate", "--days 1")],
)
def test_a_grid_gives_what_its_columns_give(folder: Path, tmp_path: Path, command: str, words: str) -> None:
    alone = result(folder, tmp_path, command, "columns.nc", words)
    found = result(folder, tmp_path, command, "grid.nc", words)
    xr.testing.assert_allclose(found, alone)
    part = result(folder, tmp_path, command, "grid.nc", f"{words} --box 50,51,7.5,9")
    np.testing.assert_allclose(part["lon"], alone["lon"][1:3])
    assert "2 lie in the box" in part.attrs["history"]
    if command == "jacobian":
        np.testing.assert_allclose(part["d_slhf_d_met_tair"], alone["d_slhf_d_met_tair"][:, 1:3], rtol=1e-5)


def test_first_guesses_and_clay_are_those_of_the_grid(folder: Path, tmp_path: Path) -> None:
    words = f"{ESTIMATE} --first-guess clim_theta_cap=guess --observations twin"
    alone, found = (result(folder, tmp_path, "estimate", name, words) for name in ("columns.nc", "grid.nc"))
    np.testing.assert_allclose(alone["clim_theta_cap_first_guess"], 1.1 * alone["clim_theta_cap_file"], rtol=1e-6)
    xr.testing.assert_allclose(found, alone)
    words = "--days 1 --observations tb"
    alone, found = (result(folder, tmp_path, "assimilate", name, words) for name in ("columns.nc", "grid.nc"))
    assert np.isfinite(alone["observation_tbh"]).any()
    xr.testing.assert_allclose(found, alone)


@pytest.mark.parametrize(("command", "words"), [("jacobian", JACOBIAN), ("assimilate", "--days 1")])
def test_era5_is_taken_as_it_comes(folder: Path, tmp_path: Path, command: str, words: str) -> None:
    found = result(folder, tmp_path, command, ERA5, words)
    np.testing.assert_array_equal(found["x"], [1, 2, 3, 4, 5])  # the first cell is sea
    np.testing.assert_allclose(found["lat"], [50.5, 50.5, 50.25, 50.25, 50.25])
    assert "Sea is left out" in found.attrs["history"]


def test_a_tower_is_observed_with_gaps(folder: Path, tmp_path: Path, capsys) -> None:
    words = "--parameters clim_theta_cap --days 2 --every 6h --observe slhf --iterations 1 --measured-only"
    found = result(folder, tmp_path, "estimate", "met.nc flux.nc", words)
    # 10 hours of 20 half-hours are filled in: two of eight windows are not whole.
    assert int(found["observations"][0]) == 6
    assert call(folder, "jacobian", "met.nc", JACOBIAN) == 2
    assert "variables missing: swvl1, swvl2" in (said := capsys.readouterr().err)
    assert "or --trajectory run" in said
    assert call(folder, "jacobian", "met.nc", f"{JACOBIAN} --trajectory run") == 0
    assert call(folder, "evaluate", "met.nc flux.nc", "--leads 1") == 2
    assert "expected at all times, from which runs start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words"),
    [("jacobian", JACOBIAN), ("uncertainty", UNCERTAINTY), ("estimate", ESTIMATE), ("assimilate", "--days 1")],
)
def test_other_calendars_are_kept(folder: Path, tmp_path: Path, command: str, words: str) -> None:
    found = result(folder, tmp_path, command, "noleap.nc", f"{words} --start 2021-03-01 --plot {tmp_path / 'out.png'}")
    assert (tmp_path / "out.png").exists()
    if "time" in found:
        assert found["time"].attrs["calendar"] == "noleap"
        first = xr.coding.times.decode_cf_datetime(found["time"].values[:1], found["time"].attrs["units"], "noleap")[0]
        assert str(first).startswith("2021-03-01")


def test_evaluation_scores_what_has_a_truth(folder: Path, tmp_path: Path, capsys) -> None:
    words = f"--leads 0.25,1 --starts 3 -o {tmp_path / 't.json'} -o {tmp_path / 'r.html'}"
    assert call(folder, "evaluate", ERA5, words) == 0
    said = capsys.readouterr()
    absent = ("snowc", "skt", "sshf", "slhf")
    assert f"Not scored, having no truth: {', '.join(f'{name} (not there)' for name in absent)}." in said.out
    assert said.err == ""
    content = json.loads((tmp_path / "t.json").read_text())
    assert not {one["variable"] for one in content["lead_time"]} & set(absent)
    assert content["report"]["not_scored"] == dict.fromkeys(absent, "not there")
    assert content["report"]["locations"]["x"] == [1, 2, 3, 4, 5]
    assert "Not scored" in (tmp_path / "r.html").read_text()


def test_evaluation_of_a_grid_another_calendar_and_gaps(folder: Path, tmp_path: Path, capsys) -> None:
    words = f"--leads 1 --starts 3 -o {tmp_path / 't.json'}"
    tables = []
    for name in ("columns.nc", "grid.nc"):
        assert call(folder, "evaluate", name, words) == 0
        tables.append(json.loads((tmp_path / "t.json").read_text()))
    assert tables[0] == tables[1]
    with xr.open_dataset(folder / "noleap.nc", decode_times=False) as data:
        data["skt"].values[3, 1] = np.nan
        data.to_netcdf(tmp_path / "gap.nc")
    assert call(tmp_path, "evaluate", "gap.nc", f"{words} --model {folder / 'model.nc'}") == 0
    assert "skt (lacks 1 of 39 values)" in capsys.readouterr().out


def test_how_far_an_evaluation_is_goes_to_standard_error(folder: Path, capsys) -> None:
    assert call(folder, "evaluate", "columns.nc", "--leads 1 --starts 2", quiet=False) == 0
    said = capsys.readouterr()
    assert "100.0 %  4/4 steps, 2 starts" in said.err
    assert "100.0 %  8/8 steps, at 2021-01-03T00:00" in said.err
    assert "%  " not in said.out
