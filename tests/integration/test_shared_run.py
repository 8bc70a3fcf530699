"""A run in parts: the bits of one process; here one process makes the parts of three, one after another."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from test_column_run_interrupted import in_child, kill_at, names, same_as_whole

from ailand_gt4py.cli.column_run import main
from ailand_gt4py.driver import part_run
from ailand_gt4py.driver import run as driver_run
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.driver.shared_run import Alone
from ailand_gt4py.io.stepping import Stepper
from helpers import Bench, small_dataset

N_TIMES = 8
OFTEN = ("--block-steps", 3, "--checkpoint-seconds", 0)
#: Columns of the grid are 12 cells less the sea.
SHAPE, SEA = (4, 3), (1, 3, 4, 5, 9)


class Three(Alone):
    size = 3


def write_grid(folder: Path) -> list[Path]:
    """The weather and the ground of a grid with sea, in two files."""
    data = small_dataset(N_TIMES, SHAPE[0] * SHAPE[1])
    data["land_sea_mask"] = ("x", np.where(np.isin(np.arange(12), SEA), 0.0, 1.0), {"units": "1"})
    grid = xr.Dataset({
        name: ((*one.dims[:-1], "latitude", "longitude"), one.values.reshape(*one.shape[:-1], *SHAPE), one.attrs)
        for name, one in data.data_vars.items() if name not in ("lat", "lon")
    }, {"time": data["time"]}).assign_coords(
        latitude=("latitude", [52.0, 51.0, 50.0, 49.0], {"units": "degrees_north"}),
        longitude=("longitude", [5.0, 6.0, 7.0], {"units": "degrees_east"}),
    )  # fmt: skip
    weather = [name for name in grid.data_vars if str(name).startswith(("met_", "lai_"))]
    grid[weather].to_netcdf(folder / "weather.nc")
    grid.drop_vars(weather).to_netcdf(folder / "ground.nc")
    return [folder / "weather.nc", folder / "ground.nc"]


def grid_run(bench: Bench, *more: object) -> int:
    """Exit status of the command on the files of `write_grid`, from the third label on after two loops of spin-up."""
    words = [*write_grid(bench.path), "--model", bench.model, "--backend", "embedded", "-o", bench.path / "grid.zarr"]
    return main([*map(str, (*words, *OFTEN, "--spin-up", 2, "--start", "2021-01-01T12", *more))])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Inputs, and the outputs of one process."""
    bench = Bench(tmp_path_factory.mktemp("whole"), n_times=N_TIMES, n_columns=7)
    assert bench.run(*OFTEN, output="out.zarr") == 0
    assert grid_run(bench) == 0
    return bench


@pytest.fixture
def bench(whole: Bench, tmp_path: Path) -> Bench:
    result = object.__new__(Bench)
    result.path, result.model, result.forcing = tmp_path, tmp_path / "model.nc", tmp_path / "forcing.nc"
    for name in ("model.nc", "forcing.nc"):
        shutil.copy2(whole.path / name, tmp_path / name)
    return result


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_run, "_team", lambda options, ranks: contextlib.nullcontext(Three()))


def summary(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[next(k for k, line in enumerate(lines) if line.startswith("inputs outside")) :]


def test_columns_of_a_file(bench, whole, in_parts, capsys):
    """Short chunks, one column in some part, and what was out of range added up."""
    data = xr.load_dataset(bench.forcing)
    data["met_qair"].values[2:4, 3:6] = 0.035
    data.to_netcdf(bench.forcing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver_run, "_team", lambda options, ranks: contextlib.nullcontext(None))
        assert bench.run(*OFTEN, output="one.zarr") == 0
    expected = summary(capsys.readouterr().err)
    assert any("met_qair: 6 above" in line for line in expected)
    assert bench.run(*OFTEN, output="out.zarr") == 0
    found = summary(capsys.readouterr().err)
    assert [line.replace("out.zarr", "one.zarr") for line in found] == expected
    one, several = bench.open("one.zarr"), bench.open("out.zarr")
    for name in one.variables:
        assert one[name].values.tobytes() == several[name].values.tobytes(), name
    assert (bench.path / "one.zarr.restart.nc").read_bytes() == (bench.path / "out.zarr.restart.nc").read_bytes()
    assert {name for name in names(bench) if "one" not in name} == {"out.zarr", "out.zarr.restart.nc"}


def test_a_grid_with_sea_in_two_files_after_a_spin_up(bench, whole, in_parts, capsys):
    assert grid_run(bench, "--reference", "same") == 0
    assert capsys.readouterr().out.count("stl1") == 1
    same_as_whole(bench, whole, "grid.zarr")
    history, expected = (one.open("grid.zarr").attrs["history"].splitlines()[1:] for one in (bench, whole))
    assert history == expected
    assert "was run 2 times before; the state changed" in history[-1]


def test_from_a_restart_file(bench, whole, in_parts):
    assert bench.run(*OFTEN, "--end", "2021-01-02", output="first.zarr") == 0
    assert bench.run(*OFTEN, "--restart", bench.path / "first.zarr.restart.nc", output="rest.zarr") == 0
    expected = whole.open("out.zarr").isel(time=slice(4, None))
    found = bench.open("rest.zarr")
    for name in ("stl1", "swvl2", "skt", "sshf", "quality_flag"):
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name


@pytest.mark.parametrize(
    ("owner", "name", "call", "before"),
    [
        (driver_run.restarts, "write_restart", 1, False),  # while what parts begin with is written
        (driver_run.restarts, "write_restart", 5, True),  # rows flushed, no checkpoint of them
        (driver_run.restarts, "write_restart", 9, False),  # in the second part
    ],
)
def test_killed_and_resumed(bench, whole, in_parts, monkeypatch, capsys, owner, name, call, before):
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, call, before=before)
        assert in_child(lambda: bench.run(*OFTEN, output="out.zarr")) == -signal.SIGKILL
    assert "out.zarr" not in names(bench)
    if call > 1:
        assert "out.zarr.parts" in names(bench)
        assert bench.run(*OFTEN, output="out.zarr") == 2
        assert "an unfinished run; expected --resume" in capsys.readouterr().err
    assert bench.run(*OFTEN, "--resume", output="out.zarr") == 0
    assert ("resuming 3 parts" in capsys.readouterr().err) == (call > 1)
    same_as_whole(bench, whole, "out.zarr")
    assert names(bench) == {"out.zarr", "out.zarr.restart.nc"}


def interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: int = 4) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, Stepper, "_step", call)
        assert in_child(lambda: bench.run(*OFTEN, output="out.zarr")) == -signal.SIGKILL


def test_one_process_goes_on_alone_and_another_run_does_not(bench, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(driver_run, "_team", lambda options, ranks: contextlib.nullcontext(Three()))
        interrupted(bench, monkeypatch)
    assert bench.run("--block-steps", 2, "--resume", output="out.zarr") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "out.zarr.parts: cannot be resumed: --block-steps was '3', now it is '2'" in error
    assert bench.run(*OFTEN, "--resume", output="out.zarr") == 0
    assert "resuming 3 parts, 16.1 % of their steps are done" in capsys.readouterr().err
    same_as_whole(bench, whole, "out.zarr")


def test_a_run_of_one_process_is_not_resumed_by_several(bench, whole, monkeypatch, capsys):
    interrupted(bench, monkeypatch)
    assert bench.run(*OFTEN, "--resume", "--workers", 2, output="out.zarr") == 2
    assert "belongs to a run of one process; expected --resume without other processes" in capsys.readouterr().err
    assert bench.run(*OFTEN, "--resume", output="out.zarr") == 0
    same_as_whole(bench, whole, "out.zarr")


def test_overwrite_starts_anew(bench, whole, in_parts, monkeypatch):
    interrupted(bench, monkeypatch)
    monkeypatch.undo()
    assert bench.run(*OFTEN, "--overwrite", output="out.zarr") == 0
    assert names(bench) == {"out.zarr", "out.zarr.restart.nc"}
    same_as_whole(bench, whole, "out.zarr")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_and_resumed(bench, whole, in_parts, monkeypatch, capsys, number):
    original, calls = Stepper._step, []

    def step(self, forcing):
        original(self, forcing)
        calls.append(1)
        if len(calls) == N_TIMES + 4:
            os.kill(os.getpid(), number)

    monkeypatch.setattr("ailand_gt4py.driver.part_run.REPORT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "_step", step)
        assert bench.run("--block-steps", 3, output="out.zarr") == 128 + number
    assert len(calls) == N_TIMES + 4
    assert "the same command with --resume continues" in capsys.readouterr().err.splitlines()[-1]
    assert bench.run("--block-steps", 3, "--resume", output="out.zarr") == 0
    same_as_whole(bench, whole, "out.zarr")


def test_what_is_wrong_in_a_part_stops_the_run(bench, in_parts, capsys):
    data = xr.load_dataset(bench.forcing)
    data["met_tair"].values[6, 5] = np.nan
    data.to_netcdf(bench.forcing)
    reading = ("--start", "2021-01-01", *OFTEN)
    assert bench.run(*reading, output="out.zarr") == 2
    error = capsys.readouterr().err
    assert "'met_tair' is missing at 2021-01-02T12:00 in column 5 (x = 105)" in error.splitlines()[-1]
    assert "out.zarr" not in names(bench)


def test_parts_of_the_same_size_share_an_emulator(bench, in_parts, monkeypatch):
    made: list[int] = []
    original = RunOptions.emulator

    def emulator(self, model, n_columns):
        made.append(n_columns)
        return original(self, model, n_columns)

    part_run._emulators.clear()
    monkeypatch.setattr(RunOptions, "emulator", emulator)
    assert bench.run(*OFTEN, "--end", "2021-01-01T12", output="out.zarr") == 0
    assert made == [7, 3, 1]  # of all columns, and of parts of 3, 3 and 1
