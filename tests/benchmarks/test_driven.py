"""A run of many columns from a zarr store to another one, beside its bare steps; `make bench-run`."""

from __future__ import annotations

import sys
from pathlib import Path

import machine
import numpy as np
import pytest
import race
import scale
from pytest_benchmark.fixture import BenchmarkFixture
from studies.large_run import write_forcing
from test_overheads import in_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.benchmark(timer=race.CLOCK.read),
    pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU"),
    pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc"),
]
COLUMNS, STEPS, ROUNDS = scale.of((200_000, 40, 9), (40, 3, 1))


def test_whole_run(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """In a process of its own, whose memory is the run's."""
    forcing = tmp_path / "forcing.zarr"
    write_forcing(forcing, COLUMNS, STEPS)
    found = in_process(tmp_path, "driven", forcing, tmp_path / "out.zarr", ROUNDS, has_own_programs=not scale.TOY)
    assert found["columns"] == COLUMNS
    assert len(found["run"]) == ROUNDS
    assert all(0.0 < part < whole for part, whole in zip(found["steps"], found["run"], strict=True))
    assert all(0.0 < part < whole for part, whole in zip(found["watched"], found["cpu"], strict=True))
    race.CLOCK.show(benchmark, found["run"], "a whole run", {"kind": "run", "name": "whole", **found})
    assert scale.TOY or np.median(found["run"]) > np.median(found["bare"])
