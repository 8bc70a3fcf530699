"""Files of others: no pipe, device or hole is read, and what the netCDF library cannot bear it meets elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from random_models import random_model

from ailand_gt4py.cli.main import main
from ailand_gt4py.core import trial
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.settings import read_yaml
from ailand_gt4py.core.trial import UnusableFileError, try_netcdf
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.stores import check_store
from ailand_gt4py.weights import import_checkpoint, read_model, write_model

SOURCES = str(Path(trial.__file__).parents[2])


@pytest.mark.parametrize("read", [read_model, import_checkpoint, ColumnFile, read_yaml])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_refused_unread(tmp_path: Path, read: object, kind: str) -> None:
    path = tmp_path / "a.nc" if kind == "pipe" else Path("/dev/zero")
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(InputError, match=f"{path}.*found a (named pipe|device), expected a regular file"):
        read(path)  # type: ignore[operator]


def test_holes_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    write_model(random_model("simple"), path)
    os.truncate(path, 10**12)
    with pytest.raises(InputError, match="found 1000000000000 bytes, nearly all of them a hole"):
        read_model(path)
    assert trial.require_regular(path) < 10**6


def test_a_file_of_zeros_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    path.write_bytes(bytes(1_000_000))
    with pytest.raises(InputError, match="is not readable: found 1000000 bytes that netCDF refuses"):
        read_model(path)


def test_a_good_file_passes_whole_and_in_part(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": (("time", "x"), np.ones((5, 4)))}).to_netcdf(path)
    try_netcdf(path, whole=True)
    try_netcdf(path, whole=False)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        ("while True: pass", "does not come to an end"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"crashes on it \(SIGSEGV\)"),
        ("bytes(10**9)", "takes more than .* MiB"),
        ("1 / 0", "division by zero"),
        ("import ctypes; ctypes.CDLL(None).on_exit(ctypes.CDLL(None).abort, None)", r"crashes on it \(SIGABRT\)"),
    ],
)
def test_what_the_library_does_is_said_and_this_process_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, expected: str
) -> None:
    """The library stands in for one that meets a file it cannot bear; the next file is read again."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "netCDF4.py").write_text(
        f"import os, signal\nclass Dataset:\n    def __init__(self, path):\n        {harm}\n"
    )
    path = tmp_path / "a.nc"
    path.write_bytes(b"anything")
    monkeypatch.setattr(trial, "_HELPER", trial._Helper())
    monkeypatch.setattr(trial, "CPU_SECONDS", 1)
    monkeypatch.setattr(sys, "path", [str(modules), *sys.path])
    for _ in range(2):
        begin = time.monotonic()
        with pytest.raises(UnusableFileError, match=expected):
            try_netcdf(path, whole=True)
        assert time.monotonic() - begin < 60.0
    assert trial._HELPER._process is not None
    trial._stop(trial._HELPER._process)


def test_the_helper_takes_no_module_of_the_working_directory(tmp_path: Path) -> None:
    """A directory of data may hold a file netCDF4.py, too."""
    (tmp_path / "netCDF4.py").write_text("import pathlib; pathlib.Path('run').touch()")
    xr.Dataset({"a": ("x", np.ones(4))}).to_netcdf(tmp_path / "a.nc")
    code = "import sys; sys.path[:] = [p for p in sys.path if p]\n"
    code += "from ailand_gt4py.core.trial import try_netcdf; try_netcdf('a.nc', whole=True)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={"PYTHONPATH": SOURCES})
    assert not (tmp_path / "run").exists()


def test_a_process_that_is_forked_has_a_helper_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": ("x", np.ones(4))}).to_netcdf(path)
    try_netcdf(path, whole=True)
    child = os.fork()
    if not child:
        try:
            try_netcdf(path, whole=True)
        finally:
            os._exit(int(trial._HELPER._owner != os.getpid()))
    assert os.waitpid(child, 0)[1] == 0
    try_netcdf(path, whole=True)


def test_a_helper_that_died_is_said_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"a": ("x", np.ones(4))}).to_netcdf(path)
    try_netcdf(path, whole=True)
    assert trial._HELPER._process is not None
    trial._HELPER._process.send_signal(signal.SIGKILL)
    trial._HELPER._process.wait()
    with pytest.raises(UnusableFileError, match="the process that was to open it first has died"):
        try_netcdf(path, whole=True)
    try_netcdf(path, whole=True)


def _bomb(path: Path, n_times: int, n_columns: int, chunk: int) -> Path:
    """A file of a few kB that says it has so many columns and times."""
    with netCDF4.Dataset(path, "w") as data:
        data.createDimension("time", n_times)
        data.createDimension("x", n_columns)
        sizes = (("x", n_columns), ("lat", n_columns), ("time", n_times))
        for name, length in sizes:
            dimension = "time" if name == "time" else "x"
            data.createVariable(name, "f8", (dimension,), zlib=True, fill_value=1.0, chunksizes=(min(chunk, length),))
        chunks = (1, min(chunk, n_columns))
        data.createVariable("met_tair", "f4", ("time", "x"), zlib=True, fill_value=280.0, chunksizes=chunks)
    return path


@pytest.mark.parametrize(
    ("n_times", "n_columns", "chunk", "expected"),
    [
        (4, 4 * 10**9, 1000, "takes more than|columns, .* MiB to hold at once"),
        (4 * 10**9, 4, 1000, "takes more than|times, .* MiB to hold at once"),
        (4, 10**6, 1000, "1000000 columns, 458 MiB to hold at once, in a file of"),
        (4, 200_000_000, 200_000_000, "takes more than|in chunks of"),
        # HDF5 holds 7 kB for each chunk of what is read at once.
        (150_000, 4, 4, "takes more than 100 MiB"),
    ],
)
def test_what_an_input_says_it_has_is_held_against_its_size(
    tmp_path: Path, n_times: int, n_columns: int, chunk: int, expected: str
) -> None:
    path = _bomb(tmp_path / "bomb.nc", n_times, n_columns, chunk)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=expected):
        ColumnFile(path)


def test_a_model_file_of_huge_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    write_model(random_model("simple"), path)
    with netCDF4.Dataset(path, "a") as data:
        data.createDimension("long", 30_000)
        array = data.createVariable("more", "f4", ("long", "long"), zlib=True)
        array.setncattr("parameter_name", "trunk.2.weight")
    with pytest.raises(InputError, match=r"reading it takes more than \d+ MiB, which is too much for its size"):
        read_model(path)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ('{"zarr_format": 2, "shape": [3], "filters": [{"id": "pickle"}]}', "asks for the codec 'pickle', which runs"),
        ('{"codecs": [{"name": "numcodecs.pickle"}]}', "asks for the codec 'numcodecs.pickle', which runs"),
        ('{"shape": [9, 9], "chunks": [100000, 100000], "dtype": "<f8"}', "tells of an array"),
        ('{"shape": [1000000000], "chunks": [10], "dtype": "<f8"}', "tells of an array"),
        ('{"shape": [3], "chunks": [3], "dtype": "|S1000000000"}', "tells of an array"),
        ("[" * 100_000, "nested too deeply"),
        ("no", "is no JSON"),
    ],
)
def test_metadata_of_a_store_that_ask_for_too_much_are_refused(tmp_path: Path, metadata: str, expected: str) -> None:
    (tmp_path / "a.zarr" / "b").mkdir(parents=True)
    (tmp_path / "a.zarr" / "b" / ".zarray").write_text(metadata)
    with pytest.raises(UnusableFileError, match=expected):
        check_store(tmp_path / "a.zarr")


def test_what_is_no_file_within_a_store_is_refused(tmp_path: Path) -> None:
    data = xr.Dataset({"a": (("time", "x"), np.ones((5, 4)))})
    data.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    check_store(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr" / "a" / "0.0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(InputError, match="'a/0.0': found a named pipe, expected a regular file"):
        ColumnFile(tmp_path / "a.zarr")


def test_a_command_names_the_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "m.nc")
    assert main(["model", "show", str(tmp_path / "m.nc")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
