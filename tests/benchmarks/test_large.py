"""A network of 134 million parameters: its step beside peers and products alone, its files, its memory; `make bench`.

Each part is a process of its own: contestants have a copy of the weights each, and threads are chosen at its start.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import machine
import networks
import pytest
import race
import scale
from pytest_benchmark.fixture import BenchmarkFixture
from test_overheads import in_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.benchmark(timer=race.CLOCK.read),
    pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU"),
]
THREADS = scale.of(sorted({1, machine.threads()}), [1])


#: One thread for the columns of which a step takes a few seconds only; of toys, each is a process of many imports.
CASES = [
    (network, n_columns, threads)
    for network in networks.LARGE_NETWORKS
    for n_columns in (networks.LARGE_COLUMNS, networks.MANY_LARGE_COLUMNS)
    for threads in THREADS
    if threads == THREADS[-1] or n_columns == networks.LARGE_COLUMNS
][:: scale.of(1, 3)]


@pytest.mark.parametrize(("network", "n_columns", "threads"), CASES)
def test_large_step(
    benchmark: BenchmarkFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: str,
    n_columns: int,
    threads: int,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    found = in_process(tmp_path, "large", network, n_columns, has_own_programs=not scale.TOY)
    assert not found["failures"]
    extra = {
        "kind": "large", "name": "step", "network": network, "columns": n_columns, "threads": threads, **found,
    }  # fmt: skip
    race.CLOCK.show(benchmark, found["seconds"]["ailand"], f"{network}, {n_columns} columns", extra)
    assert len(found["seconds"]["ailand"]) >= race.MINIMUM_ROUNDS


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_large_files(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Reading a checkpoint, making a model file of it, reading that, an emulator and its step."""
    from anemoi_files import Recipe, recipe, write_checkpoint

    channels, depth, ratio = networks.LARGE.units["processor"]
    checkpoint, file = tmp_path / "large.ckpt", tmp_path / "large.nc"
    write_checkpoint(checkpoint, *recipe(Recipe(n_channels=channels, n_layers=depth, ratio=ratio)))
    found = {
        what: in_process(
            tmp_path, "large_file", what, networks.LARGE_COLUMNS, checkpoint, file, has_own_programs=not scale.TOY
        )
        for what in ("checkpoint", "command", "file")
    }
    found["checkpoint"]["size"] = checkpoint.stat().st_size
    extra = {"kind": "large", "name": "files", "columns": networks.LARGE_COLUMNS, "load": os.getloadavg()[0], **found}
    race.CLOCK.show(benchmark, [found["checkpoint"]["seconds"]], "the large network", json.loads(json.dumps(extra)))
    assert found["file"]["weights"] == found["checkpoint"]["weights"]
