"""A step by this component and by its peers, for the published networks, from one column to N320; `make bench`.

Rivals of a network and a size are timed in interleaved rounds (see `race`), the matrix products alone among them
(`limits`). Every contestant's results are checked against float64 NumPy before it may take part.
"""

from __future__ import annotations

import functools
import gc
from typing import Any, NamedTuple

import contestants
import limits
import machine
import networks
import numpy as np
import pytest
import race
import scale
from networks import NETWORKS
from pytest_benchmark.fixture import BenchmarkFixture

SIZES = scale.of((1, 100, 10_000, networks.N320_COLUMNS), (1, 41))
DEVICE = machine.device()


class Outcome(NamedTuple):
    """Of a race: times and relative errors by contestant, why others could not take part, and whose results are wrong.

    A contestant with wrong results does not race.
    """

    timings: dict[str, race.Timing]
    errors: dict[str, tuple[float, float]]
    reasons: dict[str, str]
    failures: dict[str, str]


@functools.lru_cache(maxsize=1)
def outcome(name: str, n_columns: int) -> Outcome:
    """The race of a network and a number of columns: run once for all tests of its group, which follow one another.

    A function that remembers, for pytest sets a module's parametrised fixture up again for each of its parameters'
    positions, even where the parameter is the same.
    """
    gc.collect()  # Networks and arrays of the race before hold each other.
    _forget_compiled()
    network = NETWORKS[name]
    model = network.model()
    inputs = networks.random_inputs(model, n_columns)
    columns = networks.sample_columns(n_columns)
    expected = networks.reference(model, [array[columns] for array in inputs])
    rivals: list[contestants.Contestant] = []
    found = Outcome({}, {}, {}, {})
    for contestant in contestants.names(DEVICE, n_columns):
        try:
            rival = contestants.build(contestant, model, inputs, DEVICE)
        except contestants.UnavailableError as error:
            found.reasons[contestant] = str(error)
            continue
        results = rival.results()
        errors = networks.relative_errors(model, [result[columns] for result in results], expected)
        if not all(np.isfinite(result).all() for result in results):
            found.failures[contestant] = "results that are not finite"
        elif max(errors) > rival.tolerance:
            found.failures[contestant] = f"relative errors {errors}, expected at most {rival.tolerance}"
        else:
            found.errors[contestant] = errors
            rivals.append(rival)
    for limit in limits.names(DEVICE, n_columns):
        try:
            rivals.append(limits.build(limit, network, n_columns))
        except contestants.UnavailableError as error:
            found.reasons[limit] = str(error)
    found.timings.update(race.run(rivals))
    return found


def _forget_compiled() -> None:
    """PyTorch compiles a module's code at most eight times and then runs it uncompiled."""
    try:
        import torch
    except ImportError:
        return
    torch._dynamo.reset()


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
    }
    if name in found.errors:
        extra["error_state"], extra["error_diagnostics"] = found.errors[name]
    race.CLOCK.show(benchmark, timing.seconds, f"{network}, {n_columns} columns", extra)
    assert len(timing.seconds) >= race.MINIMUM_ROUNDS
    assert scale.TOY or benchmark.stats.stats.median == pytest.approx(timing.median)
