"""The machine's rates: of copying, of one large matrix product, and of multiply-adds alone; `make bench`.

The matrix products of each network are timed in the races of `test_step`, next to the contestants.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import limits
import machine
import multiply_adds
import networks
import numpy as np
import pytest
import race
import scale
from contestants import Contestant, UnavailableError
from networks import NETWORKS, Network
from pytest_benchmark.fixture import BenchmarkFixture

from ailand_gt4py.weights.architectures import Sizes

#: Of the copied array: much more than any cache.
COPIED_BYTES = scale.of(512 << 20, 1 << 20)
#: Of the square matrices of one layer.
LARGE = scale.of(2048, 32)


@pytest.mark.benchmark(timer=race.CLOCK.read)
@pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU")
def test_copy_rate(benchmark: BenchmarkFixture) -> None:
    """By PyTorch, which copies with all threads, or by NumPy, which has one; bytes read and written."""
    source, target = (np.ones(COPIED_BYTES // 4, dtype=np.float32) for _ in range(2))

    def by_numpy() -> tuple[Any, Any]:
        np.copyto(target, source)
        return target, source

    rivals = [Contestant("numpy", by_numpy)]
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(machine.threads())
        tensors = torch.from_numpy(source), torch.from_numpy(target)

        def by_torch() -> tuple[Any, Any]:
            tensors[1].copy_(tensors[0])
            return tensors

        rivals.append(Contestant("torch", by_torch))
    timings = race.run(rivals)
    best = min(timings, key=lambda name: timings[name].median)
    rate = 2 * COPIED_BYTES / timings[best].median / 1e9
    extra = {"kind": "copy", "by": best, "bytes": COPIED_BYTES, "gbytes_per_second": rate}
    race.CLOCK.show(benchmark, timings[best].seconds, "the machine", extra)
    assert rate > 0.0


@pytest.mark.benchmark(timer=race.CLOCK.read)
def test_large_product(benchmark: BenchmarkFixture) -> None:
    """One product of many columns with a large square matrix, by the fastest BLAS: as fast as products get here."""
    network = Network("simple", Sizes(LARGE, 0, 0, 0), {"trunk": (LARGE,)})
    rivals, n_columns = [], limits.BLOCK
    for name in limits.names(machine.device(), n_columns):
        try:
            rivals.append(limits.build(name, network, n_columns))
        except UnavailableError:
            continue
    if not rivals:
        pytest.skip("no BLAS at hand")
    timings = race.run(rivals)
    best = min(timings, key=lambda name: timings[name].median)
    gflops = network.flops() * n_columns / timings[best].median / 1e9
    extra = {"kind": "large_product", "by": best, "size": LARGE, "columns": n_columns, "gflops": gflops}
    race.CLOCK.show(benchmark, timings[best].seconds, "the machine", extra)


@pytest.mark.benchmark(timer=race.CLOCK.read)
@pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU")
def test_multiply_adds(benchmark: BenchmarkFixture) -> None:
    """Operations that wait for no memory: a limit, so the fastest round counts."""
    try:
        contestant, operations = multiply_adds.build()
    except UnavailableError as error:
        pytest.skip(str(error))
    timing = race.run([contestant])[contestant.name]
    extra = {"kind": "multiply_adds", "gflops": operations / min(timing.seconds) / 1e9}
    race.CLOCK.show(benchmark, timing.seconds, "the machine", extra)


def test_multiply_adds_are_counted() -> None:
    try:
        _, operations = multiply_adds.build()
    except UnavailableError as error:
        pytest.skip(str(error))
    assert operations % (2e7 * machine.threads()) == 0.0
    assert operations > 0.0


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_the_parameters(name: str) -> None:
    network = NETWORKS[name]
    weights = [array for key, array in network.model().parameters.items() if key.endswith(".weight")]
    assert network.flops() == 2 * sum(weight.size for weight in weights)
    assert network.flops() == 2 * sum(n_in * n_out for n_in, n_out in network.gemms())


def test_sizes_of_published_networks() -> None:
    """Numbers of parameters that the papers and the published checkpoints give."""
    counts = {name: network.model().parameter_count for name, network in NETWORKS.items()}
    assert counts["simple_172"] == 39 * 172 + 2 * 172 * 172 + 10 * 172 + 3 * 172 + 10
    assert 1.3e6 < counts["layer_norm_6x512"] < 1.4e6
    assert NETWORKS["layer_norm_6x512"].flops() * networks.N320_COLUMNS == pytest.approx(0.47e12, rel=0.02)


@pytest.mark.parametrize("name", limits.names("cpu", limits.BLOCK))
def test_limit_multiplies(name: str) -> None:
    """Blocks that do not divide the columns, and results of the right shapes."""
    network = Network("simple", Sizes(3, 2, 2, 2), {"trunk": (4, 5)})
    n_columns = limits.BLOCK + 7
    try:
        limit = limits.build(name, network, n_columns)
    except UnavailableError as error:
        pytest.skip(str(error))
    first, last = limit.results()
    assert first.shape == (limits.BLOCK, 4)
    assert last.shape[1] == 4
    assert np.isfinite(first).all()
