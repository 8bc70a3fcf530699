"""``ailand-column-run`` stopped on the way: nothing half-written, and resumed it gives the same file."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from ailand_gt4py.driver import run as driver_run
from ailand_gt4py.io import output as outputs
from ailand_gt4py.io import writers
from ailand_gt4py.io.restart import write_restart
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.io.writers import NetcdfWriter, ZarrWriter
from ailand_gt4py.weights.model_file import write_model
from fuzz import kill_runs
from helpers import Bench, small_dataset, small_model

N_TIMES = 11
#: Blocks of two rows and a checkpoint after each.
OFTEN = ("--block-steps", 2, "--checkpoint-seconds", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Input, and the outputs of runs that nobody stopped."""
    bench = Bench(tmp_path_factory.mktemp("whole"), n_times=N_TIMES)
    for output in ("out.nc", "out.zarr"):
        assert bench.run(*OFTEN, output=output) == 0
    return bench


@pytest.fixture
def bench(whole: Bench, tmp_path: Path) -> Bench:
    return whole.beside(tmp_path)


def names(bench: Bench) -> set[str]:
    return {item.name for item in bench.path.iterdir()} - {"model.nc", "forcing.nc"}


def in_child(action: Callable[[], int]) -> int:
    """What `action` does in a process of its own: its return value, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # a child that hangs must not hang the suite
        try:
            os._exit(action())
        finally:
            os._exit(99)  # an exception that got through
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int, *, before: bool = False) -> None:
    """The process is killed in, or before, the given call of a function (counted from 0)."""
    original, calls = getattr(owner, name), []

    def lethal(*arguments, **options):
        calls.append(1)
        if len(calls) == call + 1 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if len(calls) == call + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    monkeypatch.setattr(owner, name, lethal)


def same_as_whole(bench: Bench, whole: Bench, output: str = "out.nc") -> None:
    found, expected = bench.open(output), whole.open(output)
    assert set(found.variables) == set(expected.variables)
    for name in expected.variables:
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name
    name = f"{output.removesuffix('.nc')}.restart.nc"
    restart, expected_restart = bench.open(name), whole.open(name)
    for name in expected_restart.variables:
        assert restart[name].values.tobytes() == expected_restart[name].values.tobytes(), name


@pytest.mark.parametrize(
    ("owner", "name", "call", "before"),
    [
        (Stepper, "_step", 7, False),  # in the middle of a block
        (NetcdfWriter, "write", 2, False),  # rows written, not flushed, no checkpoint of them
        (NetcdfWriter, "flush", 2, False),  # rows flushed, no checkpoint of them
        (driver_run.restarts, "write_restart", 2, True),
        (driver_run.restarts, "write_restart", 2, False),
        (driver_run, "move_into_place", 0, True),  # complete but for its name
    ],
)
def test_killed_and_resumed(bench, whole, monkeypatch, capsys, owner, name, call, before):
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, call, before=before)
        assert in_child(lambda: bench.run(*OFTEN)) == -signal.SIGKILL
    assert {"out.nc.partial", "out.nc.resume"} <= names(bench)
    assert "out.nc" not in names(bench)
    capsys.readouterr()
    assert bench.run(*OFTEN) == 2
    assert "an unfinished run; expected --resume to continue it" in capsys.readouterr().err
    assert bench.run(*OFTEN, "--resume") == 0
    assert "resuming at step" in capsys.readouterr().err
    assert names(bench) == {"out.nc", "out.restart.nc"}
    same_as_whole(bench, whole)


def test_killed_in_the_middle_of_a_variable(bench, whole, monkeypatch):
    """Half the variables of a block are in the file, the others not: the file opens, and the block is written again."""

    def half(self, first, values, flags):
        for index, variable in enumerate(self._values[:5]):
            variable[first : first + len(values)] = -values[:, index]
        os.kill(os.getpid(), signal.SIGKILL)

    original = NetcdfWriter.write
    calls = []

    def write(self, *arguments):
        calls.append(1)
        (half if len(calls) == 4 else original)(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(NetcdfWriter, "write", write)
        assert in_child(lambda: bench.run(*OFTEN)) == -signal.SIGKILL
    assert bench.run(*OFTEN, "--resume") == 0
    same_as_whole(bench, whole)


def test_zarr_killed_and_resumed(bench, whole, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, ZarrWriter, "write", 3)
        assert in_child(lambda: bench.run(*OFTEN, output="out.zarr")) == -signal.SIGKILL
    assert {name for name in names(bench) if name[0] != "."} == {"out.zarr.partial", "out.zarr.resume"}
    leftover = bench.path / "out.zarr.partial" / "stl1" / "0.abc.partial"
    leftover.write_bytes(b"half a chunk")
    assert bench.run(*OFTEN, "--resume", output="out.zarr") == 0
    assert not list((bench.path / "out.zarr").rglob("*.partial"))
    same_as_whole(bench, whole, "out.zarr")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("output", ["out.nc", "out.zarr"])
def test_stopped_by_a_signal_and_resumed(bench, whole, monkeypatch, capsys, number, output):
    """The run stops after the step, in the middle of a block, and saves it though no checkpoint was due."""
    original, calls = Stepper._step, []

    def step(self, forcing):
        original(self, forcing)
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), number)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "_step", step)
        assert bench.run("--block-steps", 2, output=output) == 128 + number
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert "the same command with --resume continues" in capsys.readouterr().err.splitlines()[-1]
    assert names(bench) == {f"{output}.partial", f"{output}.resume"}
    counted = []
    with monkeypatch.context() as patch:
        patch.setattr(RangeCounter, "sentences", lambda counter: counted.append(counter.n_values) or [])
        assert bench.run("--block-steps", 2, "--resume", output=output) == 0
    assert counted[1:] == [11 * bench.open(output).sizes["x"]] * 2  # forcing and states, of each step once
    assert "resuming at step 5 of 11" in capsys.readouterr().err
    same_as_whole(bench, whole, output)


def test_the_resumed_file_is_the_same_to_the_byte(bench, monkeypatch):
    """With the clock stopped, so that the history's time is the same."""

    monkeypatch.setattr(outputs, "now", lambda: "2026-01-01T00:00:00Z")
    assert bench.run(*OFTEN) == 0
    expected = (bench.path / "out.nc").read_bytes()
    (bench.path / "out.nc").unlink()
    (bench.path / "out.restart.nc").unlink()
    with monkeypatch.context() as patch:
        kill_at(patch, Stepper, "_step", 6)
        assert in_child(lambda: bench.run(*OFTEN)) == -signal.SIGKILL
    assert bench.run(*OFTEN, "--resume") == 0
    assert (bench.path / "out.nc").read_bytes() == expected


def interrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, Stepper, "_step", 5)
        assert in_child(lambda: bench.run(*OFTEN)) == -signal.SIGKILL


def test_another_run_is_not_resumed(bench, monkeypatch, capsys):
    interrupted(bench, monkeypatch)

    def refused(message: str, *arguments: object) -> None:
        capsys.readouterr()
        assert bench.run("--resume", *arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "cannot be resumed" in error
        assert message in error
        assert {"out.nc.partial", "out.nc.resume"} <= names(bench)

    refused("--block-steps was '2', now it is '3'", "--block-steps", 3)
    refused("--precision was 'float32', now it is 'float64'", *OFTEN, "--precision", "float64")
    refused("the last label was", *OFTEN, "--end", "2021-01-02T00:00")
    write_model(small_model(seed=3), bench.path / "other.nc")
    refused("the model's checksum", *OFTEN, "--model", bench.path / "other.nc")
    small_dataset(N_TIMES, seed=2).to_netcdf(bench.forcing)
    refused("the forcing file was", *OFTEN)


def test_resume_starts_a_run_that_never_came_to_a_checkpoint(bench, whole, capsys):
    assert bench.run(*OFTEN, "--resume") == 0
    assert "nothing to resume: starting at the first step" in capsys.readouterr().err
    same_as_whole(bench, whole)
    assert bench.run(*OFTEN, "--resume") == 2
    assert "out.nc: is complete, nothing to resume" in capsys.readouterr().err


def test_overwrite_starts_anew(bench, whole, monkeypatch):
    interrupted(bench, monkeypatch)
    assert bench.run(*OFTEN, "--overwrite") == 0
    assert names(bench) == {"out.nc", "out.restart.nc"}
    same_as_whole(bench, whole)


@pytest.mark.parametrize("output", ["out.nc", "out.zarr"])
def test_the_disk_fills_up_on_the_way(bench, whole, monkeypatch, capsys, output):
    kind = ZarrWriter if output.endswith("zarr") else NetcdfWriter
    write = kind.write
    calls = []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) == 4:
            with writers.writing(self._path, "writing the rows 6 to 7"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "write", failing)
        assert bench.run(*OFTEN, output=output) == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"{output}.partial: writing the rows 6 to 7 failed: No space left on device" in lines[-1]
    assert "Traceback" not in "".join(lines)
    assert "--resume continues" in lines[-2]
    assert names(bench) == {f"{output}.partial", f"{output}.resume"}
    assert bench.run(*OFTEN, "--resume", output=output) == 0
    same_as_whole(bench, whole, output)


@pytest.mark.parametrize(("output", "is_close"), [("out.nc", False), ("out.nc", True), ("out.zarr", False)])
def test_a_disk_that_is_too_small_shows_before_anything_is_computed(bench, whole, monkeypatch, output, is_close):
    """The system itself refuses files that are too large."""
    limit = (whole.path / output).stat().st_size - (1 << 10) if is_close else 200  # bytes; texts differ in length

    def run() -> int:
        sys.stderr = io.StringIO()  # pytest's own file would be too large
        monkeypatch.setattr(Stepper, "fill", lambda *_: os._exit(77))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        status = bench.run(*OFTEN, output=output)
        last = sys.stderr.getvalue().splitlines()[-1]
        return status if f"{output}.partial: creating the output failed" in last else 50

    assert in_child(run) == 1
    assert names(bench) == set()


@pytest.mark.parametrize("fails", [".zattrs", "stl1/0.0"])
def test_a_store_that_fails_is_removed_only_when_nothing_writes_into_it_any_more(bench, monkeypatch, capsys, fails):
    """Zarr writes the files of a store side by side; the others are slow here."""
    original = zarr.storage.LocalStore.set

    async def some_fail(self, key, value):
        if key == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await asyncio.sleep(0.05)
        await original(self, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(zarr.storage.LocalStore, "set", some_fail)
        assert bench.run("--block-steps", 2, output="out.zarr") == 1
        time.sleep(0.3)
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert names(bench) == set()


def test_no_room_for_the_restart_file_leaves_nothing_half_written(bench, monkeypatch, capsys):
    def full(path, *arguments):
        with writers.writing(path, "writing the restart file"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(driver_run.restarts, "write_restart", full)
        assert bench.run() == 1
    assert "writing the restart file failed: No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert names(bench) == set()
    assert driver_run.restarts.write_restart is write_restart


@pytest.mark.parametrize(
    ("prepare", "arguments", "output", "message"),
    [
        (None, (), "none/out.nc", "'none' is no directory, expected an existing one"),
        (lambda path: (path / "file").write_text(""), (), "file/out.nc", "is no directory"),
        (lambda path: (path / "out.nc").write_text("old"), (), "out.nc", "out.nc: exists; expected a new name"),
        (lambda path: (path / "out.restart.nc").write_text("old"), (), "out.nc", "out.restart.nc: exists"),
        (lambda path: (path / "out.nc").mkdir(), ("--overwrite",), "out.nc", "is a directory, expected a file name"),
        (lambda path: (path / "o.zarr").mkdir(), ("--overwrite",), "o.zarr", "is no zarr store, expected a new name"),
        (None, ("--overwrite",), "forcing.nc", "is both an input and to be written"),
        (None, ("--restart-out", "{path}/out.nc"), "out.nc", "is to be written twice"),
        (None, ("--plot", "{path}/none/p.png"), "out.nc", "none' is no directory"),
        (None, ("--backend", "cuda"), "out.nc", "'cuda'"),
        (None, ("--precision", "float16"), "out.nc", "precision: found 'float16', expected"),
        (None, ("--model", "{path}/none.nc"), "out.nc", "none.nc"),
        (None, ("--restart", "{path}/none.nc"), "out.nc", "none.nc: no such file"),
        (None, ("--reference", "{path}/none.nc"), "out.nc", "none.nc: no such file"),
        (None, ("--start", "2031-01-01"), "out.nc", "start: found 2031-01-01"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_computed(
    bench, monkeypatch, capsys, prepare, arguments, output, message
):
    monkeypatch.setattr(Stepper, "fill", lambda *_: pytest.fail("computed"))
    if prepare is not None:
        prepare(bench.path)
    before = {item.name: item.stat().st_mtime_ns for item in bench.path.iterdir()}
    assert bench.run(*(str(word).format(path=bench.path) for word in arguments), output=output) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("ailand-column-run: error: ")
    assert message.format(path=bench.path) in lines[-1].replace(str(bench.path) + "/", "")
    assert before == {item.name: item.stat().st_mtime_ns for item in bench.path.iterdir()}


def test_a_directory_that_cannot_be_written_to(bench, capsys):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    bench.path.chmod(0o500)
    try:
        assert bench.run() == 2
    finally:
        bench.path.chmod(0o700)
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def tree(path: Path) -> dict[str, bytes | None]:
    """Everything below a directory."""
    return {str(item.relative_to(path)): item.read_bytes() if item.is_file() else None for item in path.rglob("*")}


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "precious.txt").write_text("of the user")


def add_group(path: Path) -> None:
    (path / "analysis").mkdir()
    (path / "analysis" / ".zgroup").write_text("{}")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("out.nc.partial", make_directory, "out.nc.partial: is not of this program (found attribute 'source': ''"),
        ("out.nc.partial", lambda path: small_dataset(2).to_netcdf(path), "out.nc.partial: is not of this program"),
        ("out.nc.partial", lambda path: path.symlink_to("forcing.nc"), "is both an input and to be written"),
        ("out.nc.partial", lambda path: path.symlink_to("some.restart.nc"), "(found a symbolic link)"),
        ("out.nc.partial", os.mkfifo, "out.nc.partial: is not of this program (found a device, FIFO or socket)"),
        ("out.nc.resume", lambda path: path.write_text("mine"), "out.nc.resume: is not of this program"),
        ("out.nc.resume", make_directory, "out.nc.resume: exists and is a directory"),
        ("out.nc.resume", os.mkfifo, "out.nc.resume: exists and is a FIFO"),
        ("out.nc.resume", lambda path: shutil.copy(path.with_name("some.restart.nc"), path), "'restart file of ailand"),
    ],
)
def test_what_is_not_of_this_program_stays(bench, whole, monkeypatch, capsys, name, make, message):
    monkeypatch.setattr(Stepper, "fill", lambda *_: pytest.fail("computed"))
    shutil.copy(whole.path / "out.restart.nc", bench.path / "some.restart.nc")
    make(bench.path / name)
    before = tree(bench.path)
    for options in ((), ("--overwrite",), ("--resume",)):
        assert bench.run(*options) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
        assert tree(bench.path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_group, "o.zarr: is not of this program (found 'analysis' in it) and stays"),
        (lambda path: (path / "notes.txt").write_text("mine"), "(found 'notes.txt' in it)"),
        (lambda path: (path / ".zattrs").write_text("{}"), "(found attribute 'source': ''"),
        (lambda path: (path / ".zattrs").unlink(), "(found attribute 'source': ''"),
    ],
)
def test_a_store_with_more_than_this_program_made_is_not_replaced(bench, whole, capsys, change, message):
    shutil.copytree(whole.path / "out.zarr", bench.path / "o.zarr")
    change(bench.path / "o.zarr")
    before = tree(bench.path)
    assert bench.run("--overwrite", output="o.zarr") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert tree(bench.path) == before


def test_a_store_is_replaced_and_what_only_looks_like_ours_stays(bench, whole):
    shutil.copytree(whole.path / "out.zarr", bench.path / "out.zarr")
    make_directory(bench.path / "out.zarr.old")
    (bench.path / "out.zarr" / "stl1" / "0.0").unlink()
    assert bench.run(*OFTEN, "--overwrite", output="out.zarr") == 0
    assert tree(bench.path / "out.zarr.old") == {"precious.txt": b"of the user"}
    assert names(bench) == {"out.zarr", "out.zarr.old", "out.zarr.restart.nc"}
    same_as_whole(bench, whole, "out.zarr")


def test_a_restart_file_that_nobody_named_is_the_users(bench, capsys):
    (bench.path / "out.restart.nc").write_text("mine")
    assert bench.run("--overwrite") == 2
    assert "out.restart.nc: is not of this program" in capsys.readouterr().err
    assert bench.run("--overwrite", "--restart-out", bench.path / "out.restart.nc") == 0


def test_a_run_does_not_start_from_its_own_files(bench, monkeypatch, capsys):
    interrupted(bench, monkeypatch)
    for name in ("out.nc.resume", "out.nc.partial"):
        capsys.readouterr()
        assert bench.run(*OFTEN, "--overwrite", "--restart", bench.path / name) == 2
        assert f"{name}: is both an input and to be written" in capsys.readouterr().err
        assert {"out.nc.partial", "out.nc.resume"} <= names(bench)


def test_killed_stopped_and_started_twice_at_random_moments():
    """`make fuzz` does so more often."""
    assert kill_runs.run(3, seed=1).total() == 3


def test_bad_values_found_on_the_way_leave_nothing(bench, capsys):
    data = small_dataset(N_TIMES)
    data["met_tair"][9, 1] = np.nan
    data.to_netcdf(bench.forcing)
    assert bench.run(*OFTEN) == 2
    assert "met_tair" in capsys.readouterr().err.splitlines()[-1]
    assert "out.nc" not in names(bench)
    assert "out.restart.nc" not in names(bench)


def test_a_result_that_is_not_finite_stops_the_run(bench, monkeypatch, capsys):
    original = Stepper._step

    def step(self, forcing):
        original(self, forcing)
        self.diagnostics[0, 2] = np.inf

    monkeypatch.setattr(Stepper, "_step", step)
    assert bench.run() == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "result '" in error
    assert "is not finite in column 0 (x = 100) at 2021-01-01T" in error
    assert names(bench) == set()


def test_unforeseen_errors_are_one_line_and_a_traceback_on_demand(bench, monkeypatch, capsys):
    def broken(*_):
        raise KeyError("unforeseen")

    monkeypatch.setattr(Stepper, "_step", broken)
    assert bench.run() == 1
    text = capsys.readouterr().err
    assert "error: KeyError: 'unforeseen'" in text.splitlines()[-1]
    assert "Traceback" not in text
    assert bench.run("--debug") == 1
    assert "Traceback" in capsys.readouterr().err
