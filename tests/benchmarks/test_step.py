"""A step by this component and by its peers, for the published networks, from one column to N320; `make bench`.

Rivals of a network and a size are timed in interleaved rounds (see `race`), the matrix products alone among them
(`limits`). Every contestant's results are checked against float64 NumPy before it may take part.
"""

from __future__ import annotations

import functools
from typing import Any

import contest
import contestants
import limits
import machine
import networks
import pytest
import race
import scale
from contest import Outcome
from networks import NETWORKS
from pytest_benchmark.fixture import BenchmarkFixture

SIZES = scale.of((1, 10, 100, 10_000, networks.N320_COLUMNS), (1, 41))
DEVICE = machine.device()


@functools.lru_cache(maxsize=1)
def outcome(name: str, n_columns: int) -> Outcome:
    """The race of a network and a number of columns: run once for all tests of its group, which follow one another.

    A function that remembers, for pytest sets a module's parametrised fixture up again for each of its parameters'
    positions, even where the parameter is the same.
    """
    names = contestants.names(DEVICE, n_columns), limits.names(DEVICE, n_columns)
    return contest.run(NETWORKS[name], n_columns, *names, DEVICE)


CASES = [
    pytest.param(network, n_columns, name, id=f"{network}-{n_columns}-{name}")
    for network in scale.of(tuple(NETWORKS), ("simple_172",))
    for n_columns in SIZES
    for name in (*contestants.names(DEVICE, n_columns), *limits.names(DEVICE, n_columns))
]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "n_columns", "name"), CASES)
@pytest.mark.benchmark(timer=race.CLOCK.read)
def test_step(benchmark: BenchmarkFixture, network: str, n_columns: int, name: str) -> None:
    found = outcome(network, n_columns)
    if name in found.reasons:
        pytest.skip(f"{name}: {found.reasons[name]}")
    assert name not in found.failures, f"{name}: {found.failures[name]}"
    timing, flops = found.timings[name], NETWORKS[network].flops()
    extra: dict[str, Any] = {
        "kind": "step" if name in found.errors else "limit",
        "device": DEVICE,
        "network": network,
        "columns": n_columns,
        "contestant": name,
        "threads": machine.threads(),
        "calls_per_round": timing.calls,
        "flops_per_column": flops,
        "gflops": flops * n_columns / timing.median / 1e9,
        "reasons": found.reasons,
    }
    if name in found.errors:
        extra["error_state"], extra["error_diagnostics"] = found.errors[name]
    race.CLOCK.show(benchmark, timing.seconds, f"{network}, {n_columns} columns", extra)
    assert len(timing.seconds) >= race.MINIMUM_ROUNDS
    assert scale.TOY or benchmark.stats.stats.median == pytest.approx(timing.median)
