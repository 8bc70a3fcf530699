"""What derivatives of a step cost beside the step itself; `make bench-derivatives`.

The tangent-linear and the adjoint are timed in turn with the step, blocks of the Jacobian with the one-sided finite
differences of that step that would give the same numbers, on one thread and on all.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator

import machine
import networks
import numpy as np
import pytest
import race
import scale
from contestants import Contestant
from pytest_benchmark.fixture import BenchmarkFixture

from ailand_gt4py import read_model
from ailand_gt4py.emulator.derivatives.jacobian import Block, block_of
from ailand_gt4py.emulator.emulator import Emulator, Precision
from ailand_gt4py.weights.model import Model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.benchmark(timer=race.CLOCK.read),
    pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU"),
]
COLUMNS = scale.of(10_000, 200)
#: Blocks of the Jacobian are timed of the default model alone.
NETWORKS = scale.of(("default", "simple_172", "layer_norm_4x256"), ("simple_172",))
#: See `blocks_of`; the toy has one.
BLOCKS = ("three soil waters by all inputs", "state by state", "all results by three soil waters")[: scale.of(3, 1)]
#: Size of finite differences, in standard deviations of the input.
DIFFERENCE = 1e-2
#: Of the inputs' spread about their means, in standard deviations: all independent, farther away they lead to 200 K.
NEARNESS = 0.2
#: Of a block of the Jacobian and finite differences of the step in float64: norm of the difference over norm. The
#: kinks between both points cost about this much; a wrong row, column or unit would cost more.
AGREEMENT = 0.1
#: Of the largest finite difference of a result: where it is fewer roundings of that result, it tells nothing. In
#: float32 that is so of every second one of the default model.
ROUNDINGS = 100.0


@functools.cache
def model_of(network: str) -> Model:
    return read_model() if network == "default" else networks.NETWORKS[network].model()


@functools.cache
def prepared(network: str, precision: Precision = "float32") -> tuple[Emulator, tuple[np.ndarray, ...]]:
    """An emulator and inputs near the means, where few bounds are active and no soil freezes.

    Where it does, a finite difference goes across many of its kinks.
    """
    model = model_of(network)
    inputs = networks.random_inputs(model, COLUMNS)
    for array, group in zip(inputs, (model.static, model.forcing, model.state), strict=True):
        means = np.array([variable.normalisation.shift for variable in group], dtype=array.dtype)
        array[...] = means + NEARNESS * (array - means)
    for position, variable in enumerate(model.forcing):
        if variable.normalisation.is_logarithmic:
            inputs[1][:, position] = np.exp(inputs[1][:, position])
    return Emulator(model, COLUMNS, "dace_cpu", precision), tuple(array.astype(precision) for array in inputs)


def thread_counts() -> list[int]:
    """One, and all."""
    return sorted({1, machine.threads()})


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many threads for compiled programs that this thread calls."""
    openmp = ctypes.CDLL("libgomp.so.1")
    before = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(count)
    try:
        yield
    finally:
        openmp.omp_set_num_threads(before)


def blocks_of(model: Model) -> dict[str, Block]:
    """The blocks of the Jacobian that are timed."""
    state, water = [variable.name for variable in model.state], ["swvl1", "swvl2", "swvl3"]
    return {
        "state by state": block_of(model, state, state),
        "three soil waters by all inputs": block_of(model, water, None),
        "all results by three soil waters": block_of(model, None, water),
    }


class FiniteDifferences:
    """A block of a Jacobian by one step more than it has inputs."""

    def __init__(self, emulator: Emulator, inputs: tuple[np.ndarray, ...], block: Block) -> None:
        self.emulator, self.block = emulator, block
        self.inputs = [array.copy() for array in inputs]
        model = emulator.model
        groups = (model.static, model.forcing, model.state)
        positions = [(group, position) for group, variables in enumerate(groups) for position in range(len(variables))]
        self.positions = [positions[position] for position in block.inputs]
        self.sizes = [DIFFERENCE * inputs[group][:, position].std() for group, position in self.positions]
        extents = (len(model.state), len(model.diagnostics))
        self.base, self.moved = (tuple(emulator.allocate(extent) for extent in extents) for _ in range(2))
        self.jacobian = np.empty((emulator.n_columns, len(block.outputs), len(block.inputs)), emulator.dtype)

    def __call__(self) -> np.ndarray:
        n_state = len(self.emulator.model.state)
        self.emulator.step(*self.inputs, out=self.base)
        for column, ((group, position), size) in enumerate(zip(self.positions, self.sizes, strict=True)):
            values = self.inputs[group][:, position]
            before = values.copy()
            values += size
            self.emulator.step(*self.inputs, out=self.moved)
            values[...] = before
            for row, output in enumerate(self.block.outputs):
                kind, result = (0, output) if output < n_state else (1, output - n_state)
                self.jacobian[:, row, column] = (self.moved[kind][:, result] - self.base[kind][:, result]) / size
        return self.jacobian

    def roundings(self) -> np.ndarray:
        """(n_outputs,) what the largest value of each result may be off by, being rounded."""
        results = np.concatenate(self.base, axis=1)[:, list(self.block.outputs)]
        return np.finfo(self.emulator.dtype).eps * np.abs(results).max(axis=0)


def show(benchmark: BenchmarkFixture, network: str, threads: int, timings: dict[str, race.Timing], base: str) -> None:
    """Hand over the times of a race, and of each rival the median of the rounds' ratios to the base."""
    reference = np.array(timings[base].seconds)
    rivals = {
        name: {
            "median": timing.median,
            "ratio": float(np.median(np.array(timing.seconds) / reference)),
        }
        for name, timing in timings.items()
    }
    extra = {"kind": "derivative", "network": network, "columns": COLUMNS, "threads": threads, "base": base}
    race.CLOCK.show(benchmark, timings[base].seconds, "derivatives", {**extra, "rivals": rivals})


@pytest.mark.parametrize("threads", thread_counts())
@pytest.mark.parametrize("network", NETWORKS)
def test_tangent_linear_and_adjoint(benchmark: BenchmarkFixture, network: str, threads: int) -> None:
    emulator, inputs = prepared(network)
    sizes = emulator.model.sizes
    random = np.random.default_rng(2)
    normal = [random.standard_normal((COLUMNS, size), dtype=np.float32) for size in sizes]
    changes, gradients = normal[:3], normal[2:]
    step_out, change_out = ((emulator.allocate(sizes.state), emulator.allocate(sizes.diagnostics)) for _ in range(2))
    gradient_out = tuple(emulator.allocate(size) for size in sizes[:3])
    calls = {
        "step": functools.partial(emulator.step, *inputs, out=step_out),
        "tangent_linear": functools.partial(emulator.tangent_linear, *inputs, *changes, out=change_out),
        "adjoint": functools.partial(emulator.adjoint, *inputs, *gradients, out=gradient_out),
    }
    during = functools.partial(on_threads, threads)
    timings = race.run([Contestant(name, call, during=during) for name, call in calls.items()])
    show(benchmark, network, threads, timings, "step")
    forward = sum(np.einsum("cf,cf->c", a, b, dtype=np.float64) for a, b in zip(gradients, change_out, strict=True))
    backward = sum(np.einsum("cf,cf->c", a, b, dtype=np.float64) for a, b in zip(changes, gradient_out, strict=True))
    assert np.linalg.norm(forward - backward) <= 1e-5 * np.linalg.norm(forward)


@pytest.mark.parametrize("threads", thread_counts())
@pytest.mark.parametrize("what", BLOCKS)
@pytest.mark.parametrize("network", ["default"])
def test_block_of_the_jacobian(benchmark: BenchmarkFixture, network: str, what: str, threads: int) -> None:
    emulator, inputs = prepared(network)
    block = blocks_of(emulator.model)[what]
    outputs = [[*emulator.model.state, *emulator.model.diagnostics][position].name for position in block.outputs]
    names = [variable.name for variable in (*emulator.model.static, *emulator.model.forcing, *emulator.model.state)]
    differences = FiniteDifferences(emulator, inputs, block)
    out = np.empty_like(differences.jacobian)
    analytic = functools.partial(
        emulator.jacobian, *inputs, outputs, [names[position] for position in block.inputs], out=out
    )
    during = functools.partial(on_threads, threads)
    rivals = {
        f"jacobian, {what}": analytic,
        "finite differences": differences,
        "step": functools.partial(emulator.step, *inputs, out=differences.moved),
    }
    timings = race.run([Contestant(name, call, during=during) for name, call in rivals.items()])
    show(benchmark, network, threads, timings, "finite differences")
    # In units of the results' spread over that of the inputs, so that no large unit hides the others.
    exact = FiniteDifferences(*prepared(network, "float64"), block)
    expected, sizes, largest = exact(), np.array(exact.sizes), np.abs(out).max(axis=0)
    is_told = largest * sizes > ROUNDINGS * exact.roundings()[:, None]
    assert is_told.mean() > 0.9
    scales = np.where(is_told, sizes / np.maximum(largest, 1e-30).max(axis=1, keepdims=True), 0.0)
    found, expected = out * scales, expected * scales
    assert np.linalg.norm(found - expected) <= AGREEMENT * np.linalg.norm(found)
