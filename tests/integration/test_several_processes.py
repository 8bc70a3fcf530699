"""``ailand-column-run`` on Dask's workers and on MPI's ranks: the bits of one process, and nothing lost that dies."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_column_run_interrupted import names, same_as_whole
from test_many_ranks import mpiexec

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from helpers import Bench

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="distributed is not installed (extra 'dask')"
)
needs_mpi = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or not mpiexec(), reason="no MPI (extra 'mpi')"
)
pytestmark = pytest.mark.slow

#: Blocks of two rows and a checkpoint after each: a process can be killed on its way.
OFTEN = ("--block-steps", 2, "--checkpoint-seconds", 0)
COMMAND = "import sys; from ailand_gt4py.cli.column_run import main; sys.exit(main())"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("whole"), n_times=24, n_columns=7)
    assert bench.run(*OFTEN, output="out.zarr") == 0
    return bench


@pytest.fixture
def bench(whole: Bench, tmp_path: Path) -> Bench:
    result = object.__new__(Bench)
    result.path, result.model, result.forcing = tmp_path, whole.model, whole.forcing
    return result


def start(bench: Bench, *more: object, ranks: int = 0) -> subprocess.Popen[str]:
    """The command in processes of its own."""
    launcher = [mpiexec(), "-n", str(ranks)] if ranks else []
    words = [*launcher, sys.executable, "-c", COMMAND, *bench.arguments(*OFTEN, *more, output="out.zarr")]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def checkpoints(bench: Bench) -> list[Path]:
    """Of parts."""
    return list(bench.path.glob("out.zarr.parts/?????.nc"))


def once_on_its_way(bench: Bench, action: Callable[[int], object], ended: Callable[[], bool], after: int = 0) -> None:
    """Do something with the process that runs a part of which there is a checkpoint, newer than a time (ns)."""
    for _ in range(60_000):
        for checkpoint in checkpoints(bench):
            lock = checkpoint.with_name(f".{checkpoint.name}.ailand-lock")
            try:
                if checkpoint.stat().st_mtime_ns <= after:
                    continue
                holder = re.match(r"process (\d+) on", lock.read_text())
            except FileNotFoundError:
                continue
            if holder:
                action(int(holder[1]))
                return
        assert not ended(), "the run ended before a process could be killed"
        time.sleep(0.002)
    pytest.fail("no part came to a checkpoint")


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


@needs_dask
def test_a_worker_that_dies_is_replaced(bench: Bench, whole: Bench, capfd: pytest.CaptureFixture) -> None:
    """From Python, which takes the options of the command."""
    killed: list[int] = []
    done = threading.Event()

    def look() -> None:
        once_on_its_way(bench, lambda process: (kill(process), killed.append(process)), done.is_set)

    killer = threading.Thread(target=look)
    killer.start()
    try:
        found = ailand_gt4py.run(
            bench.forcing, bench.model, output=bench.path / "out.zarr", workers=2, backend="embedded",
            block_steps=2, checkpoint_seconds=0.0,
        )  # fmt: skip
    finally:
        done.set()
        killer.join()
    assert found == bench.path / "out.zarr"
    assert killed
    assert killed[0] != os.getpid()
    same_as_whole(bench, whole, "out.zarr")
    assert names(bench) == {"out.zarr", "out.zarr.restart.nc"}
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(InputError, match="option 'workers' is for a run that writes a file"):
        ailand_gt4py.run(bench.forcing, bench.model, workers=2)


@needs_dask
@needs_mpi
def test_dead_ranks_then_interrupted_workers_then_ranks(bench: Bench, whole: Bench) -> None:
    """A rank that dies ends the run; a terminal interrupts all processes of one; each goes on from where it stood."""
    running = start(bench, ranks=2)
    once_on_its_way(bench, kill, lambda: running.poll() is not None)
    running.communicate(timeout=120)
    assert running.returncode != 0
    assert {"out.zarr.partial", "out.zarr.parts"} <= names(bench)
    assert "out.zarr" not in names(bench)

    stood = max(checkpoint.stat().st_mtime_ns for checkpoint in checkpoints(bench))
    running = start(bench, "--resume", "--workers", 3)
    once_on_its_way(bench, lambda _: os.killpg(running.pid, signal.SIGINT), lambda: running.poll() is not None, stood)
    _, error = running.communicate(timeout=300)
    assert running.returncode == 130, error
    assert "resuming 2 parts" in error
    assert "Traceback" not in error
    assert error.splitlines()[-1].endswith("interrupted; the same command with --resume continues there")

    resumed = start(bench, "--resume", "--reference", "same", ranks=2)
    output, error = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, error
    assert output.count("stl1") == 1
    assert error.count("resuming 2 parts") == 1
    same_as_whole(bench, whole, "out.zarr")
    assert names(bench) == {"out.zarr", "out.zarr.restart.nc"}


@needs_mpi
def test_ranks_end_together_when_the_input_is_wrong(bench: Bench) -> None:
    running = start(bench, "--end", "2031-01-01", ranks=2)
    _, error = running.communicate(timeout=120)
    assert running.returncode == 2
    assert error.count("ailand-column-run: error: ") == 1


@needs_dask
def test_the_workers_of_a_cluster(bench: Bench, whole: Bench, capsys: pytest.CaptureFixture) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0, local_directory=bench.path / "dask"
    ) as found:
        assert bench.run(*OFTEN, "--scheduler", found.scheduler_address, output="out.zarr") == 0
    assert "2 parts of about 4 columns for 2 processes" in capsys.readouterr().err
    same_as_whole(bench, whole, "out.zarr")


@needs_dask
def test_a_cluster_that_is_not_there(bench: Bench, capsys: pytest.CaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr("ailand_gt4py.driver.dask_workers.WAIT_SECONDS", 8)
    assert bench.run("--scheduler", "tcp://127.0.0.1:9", output="out.zarr") == 2
    assert "option --scheduler: tcp://127.0.0.1:9 cannot be reached" in capsys.readouterr().err
