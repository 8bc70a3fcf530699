"""A step by this component and by its peers, for the published networks, from one column to N320; `make bench`.

Rivals of a network and a size are timed in interleaved rounds (see `race`), the matrix products alone among them
(`limits`). Every contestant's results are checked against float64 NumPy before it may take part.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, NamedTuple

import contestants
import limits
import machine
import networks
import numpy as np
import pytest
import race
from networks import NETWORKS
from pytest_benchmark.fixture import BenchmarkFixture

SIZES = (1, 100, 10_000, networks.N320_COLUMNS)
DEVICE = machine.device()
GROUPS = [(network, n_columns) for network in NETWORKS for n_columns in SIZES]


class Outcome(NamedTuple):
    """Of a race: times and relative errors by contestant, and why others could not take part."""

    network: str
    n_columns: int
    timings: dict[str, race.Timing]
    errors: dict[str, tuple[float, float]]
    reasons: dict[str, str]


@pytest.fixture(scope="module")
def outcome(request: pytest.FixtureRequest, benchmarks_enabled: None) -> Iterator[Outcome]:
    """The race of a network and a number of columns."""
    name, n_columns = request.param
    _forget_compiled()
    network = NETWORKS[name]
    model = network.model()
    inputs = networks.random_inputs(model, n_columns)
    columns = networks.sample_columns(n_columns)
    expected = networks.reference(model, [array[columns] for array in inputs])
    rivals: list[contestants.Contestant] = []
    errors: dict[str, tuple[float, float]] = {}
    reasons: dict[str, str] = {}
    for contestant in contestants.names(DEVICE, n_columns):
        try:
            rival = contestants.build(contestant, model, inputs, DEVICE)
        except contestants.UnavailableError as error:
            reasons[contestant] = str(error)
            continue
        results = rival.results()
        assert all(np.isfinite(result).all() for result in results), f"{contestant}: results that are not finite"
        errors[contestant] = networks.relative_errors(model, [result[columns] for result in results], expected)
        assert max(errors[contestant]) <= rival.tolerance, f"{contestant}: relative errors {errors[contestant]}"
        rivals.append(rival)
    for limit in limits.names(DEVICE, n_columns):
        try:
            rivals.append(limits.build(limit, network, n_columns))
        except contestants.UnavailableError as error:
            reasons[limit] = str(error)
    yield Outcome(name, n_columns, race.run(rivals), errors, reasons)
    # The next race needs the memory of this one's networks and arrays.
    del rivals, inputs, rival, results
    gc.collect()


def _forget_compiled() -> None:
    """PyTorch compiles a module's code at most eight times and then runs it uncompiled."""
    try:
        import torch
    except ImportError:
        return
    torch._dynamo.reset()


CASES = [
    pytest.param(group, name, id=f"{group[0]}-{group[1]}-{name}")
    for group in GROUPS
    for name in (*contestants.names(DEVICE, group[1]), *limits.names(DEVICE, group[1]))
]


@pytest.mark.parametrize(("outcome", "name"), CASES, indirect=["outcome"])
@pytest.mark.benchmark(timer=race.CLOCK.read)
def test_step(benchmark: BenchmarkFixture, outcome: Outcome, name: str) -> None:
    if name in outcome.reasons:
        pytest.skip(f"{name}: {outcome.reasons[name]}")
    timing, flops = outcome.timings[name], NETWORKS[outcome.network].flops()
    extra: dict[str, Any] = {
        "kind": "step" if name in outcome.errors else "limit",
        "device": DEVICE,
        "network": outcome.network,
        "columns": outcome.n_columns,
        "contestant": name,
        "threads": machine.threads(),
        "calls_per_round": timing.calls,
        "flops_per_column": flops,
        "gflops": flops * outcome.n_columns / timing.median / 1e9,
    }
    if name in outcome.errors:
        extra["error_state"], extra["error_diagnostics"] = outcome.errors[name]
    race.CLOCK.show(benchmark, timing.seconds, f"{outcome.network}, {outcome.n_columns} columns", extra)
    assert len(timing.seconds) >= race.MINIMUM_ROUNDS
    assert benchmark.stats.stats.median == pytest.approx(timing.median)
