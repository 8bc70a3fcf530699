"""What a step costs beyond its arithmetic: Python, compiling, starting, memory, and the driver around it; `make bench`.

Each figure is recorded; what is asserted is only what no machine should break. The bars are judged in the report.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine
import networks
import numpy as np
import pytest
import race
import scale
from contestants import Contestant
from pytest_benchmark.fixture import BenchmarkFixture

import ailand_gt4py
import helpers
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.weights.architectures import Sizes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.benchmark(timer=race.CLOCK.read),
    pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU"),
]
HERE = Path(__file__).parent
#: Processes of each kind of which the median is taken.
PROCESSES = scale.of(7, 1)
#: Time steps of one call of the driver.
DRIVER_STEPS, DRIVER_COLUMNS = scale.of((8, 10_000), (3, 7))
USUAL, LARGEST = scale.of(("default", "layer_norm_6x512"), ("simple_172", "simple_172"))
#: Columns of the largest network's step.
MANY_COLUMNS = scale.of(networks.N320_COLUMNS, 100)


@pytest.fixture(scope="module")
def program_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory for compiled programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def first_compile(program_directory: Path) -> Callable[[str], float]:
    """Compiles a network of this name there, once for all tests, in the seconds that it gives."""
    return functools.cache(lambda model: in_process(program_directory, "compile", model)["seconds"])


def in_process(directory: Path, *arguments: object, has_own_programs: bool = True) -> dict[str, Any]:
    """What `child.py` measures, with compiled programs kept in a directory, or where all tests' are."""
    own = {"GT4PY_BUILD_CACHE_LIFETIME": "persistent", "GT4PY_BUILD_CACHE_DIR": str(directory)}
    environment = os.environ | {
        **(own if has_own_programs else {}),
        **({} if scale.TOY else {"AILAND_BENCH_FULL": "1"}),
        "PYTHONPATH": os.pathsep.join(str(path) for path in (HERE, HERE.parent / "unit")),
    }
    command = [sys.executable, str(HERE / "child.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def record(benchmark: BenchmarkFixture, seconds: list[float], name: str, **extra: object) -> None:
    """Hand over what was measured under a name."""
    race.CLOCK.show(benchmark, seconds, "overheads", {"kind": "overhead", "name": name, **extra})


def test_python_and_dispatch(benchmark: BenchmarkFixture) -> None:
    """A network whose arithmetic takes less than a microsecond, for one column: what its step takes is overhead."""
    network = networks.Network("simple", Sizes(2, 2, 2, 2), {"trunk": (8, 8)})
    model = network.model()
    emulator = ailand_gt4py.Emulator(model, 1, "dace_cpu", "float32")
    emulator.compile()
    inputs = networks.random_inputs(model, 1)
    static, forcing, state = inputs
    states, diagnostics = (state.copy(), emulator.allocate(2)), emulator.allocate(2)
    out = (emulator.allocate(2), emulator.allocate(2))
    windows = np.tile(forcing, (16, 1, 1))

    def in_turn(forcings: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """A rollout, the state in two arrays in turn."""
        now, new = states
        for window in forcings:
            emulator.step(static, window, now, out=(new, diagnostics))
            now, new = new, now
        return now, diagnostics

    def with_new_windows() -> tuple[np.ndarray, np.ndarray]:
        return in_turn(list(windows))

    timings = race.run(
        [
            Contestant("given", functools.partial(emulator.step, *inputs, out=out)),
            Contestant("allocated", functools.partial(emulator.step, *inputs)),
            Contestant("in turn", functools.partial(in_turn, [forcing] * len(windows))),
            Contestant("new windows", with_new_windows),
        ]
    )
    record(
        benchmark,
        list(timings["given"].seconds),
        "step_overhead",
        flops=network.flops(),
        seconds_with_allocation=timings["allocated"].median,
        seconds_in_turn=timings["in turn"].median / len(windows),
        seconds_with_new_windows=timings["new windows"].median / len(windows),
    )
    assert network.flops() < 1000
    assert scale.TOY or timings["given"].median < 0.01


@pytest.mark.parametrize("model", sorted({USUAL, LARGEST}))
def test_first_compile(
    benchmark: BenchmarkFixture, program_directory: Path, first_compile: Callable[[str], float], model: str
) -> None:
    first = first_compile(model)
    again = in_process(program_directory, "compile", model)["seconds"]
    record(benchmark, [first], f"first_compile_{model}", seconds_cached=again)
    assert again < first, "the compiled program was not kept"


def test_cached_start(
    benchmark: BenchmarkFixture, program_directory: Path, first_compile: Callable[[str], float]
) -> None:
    """From `import ailand_gt4py` to the first result, less what GT4Py and its DaCe backend take to import."""
    first_compile(USUAL)
    starts, imports = [], []
    for _ in range(PROCESSES):
        starts.append(in_process(program_directory, "start", USUAL)["seconds"])
        imports.append(in_process(program_directory, "imports")["seconds"])
    beyond = float(np.median(starts) - np.median(imports))
    record(
        benchmark,
        starts,
        "cached_start",
        seconds_imports=float(np.median(imports)),
        seconds_beyond_imports=beyond,
    )
    assert scale.TOY or beyond > 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory(
    benchmark: BenchmarkFixture, program_directory: Path, first_compile: Callable[[str], float]
) -> None:
    """Of a float32 step of the largest network on all N320 land columns, inputs and results included."""
    first_compile(LARGEST)
    measured = in_process(program_directory, "memory", LARGEST, MANY_COLUMNS)
    extra = {"network": LARGEST, "columns": MANY_COLUMNS, **measured}
    # pytest-benchmark knows times only: what it shows for this entry is bytes, under another name.
    record(benchmark, [measured["bytes"]], "peak_memory_bytes", **extra)
    assert measured["bytes"] > measured["arrays"], "the inputs and results alone take more"


def test_driver_step(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A time step of `ailand-column-run` with packing, range check and unpacking, beside the emulator's bare step."""
    model = ailand_gt4py.read_model()
    path = tmp_path / "forcing.nc"
    helpers.small_dataset(DRIVER_STEPS, DRIVER_COLUMNS).to_netcdf(path)
    emulator = ailand_gt4py.Emulator(model, DRIVER_COLUMNS, "dace_cpu", "float32")
    emulator.compile()
    with open_source(path, model) as source:
        assert source.initial_state is not None
        stepper = Stepper(emulator, source, None)
        n_variables = len(model.state) + len(model.diagnostics)
        values = np.empty((DRIVER_STEPS, n_variables, DRIVER_COLUMNS), dtype=np.float32)
        flags = np.empty((DRIVER_STEPS, DRIVER_COLUMNS), dtype=np.uint8)
        static, state = source.static.astype(np.float32), source.initial_state.astype(np.float32)
        forcing = np.zeros((DRIVER_COLUMNS, len(model.forcing)), dtype=np.float32)
        out = (emulator.allocate(len(model.state)), emulator.allocate(len(model.diagnostics)))

        def bare() -> tuple[np.ndarray, np.ndarray]:
            for _ in range(DRIVER_STEPS):
                emulator.step(static, forcing, state, out=out)
            return out

        def driven() -> tuple[np.ndarray, np.ndarray]:
            stepper.fill(0, values, flags, lambda _: False)
            return values, flags

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            timings = race.run([Contestant("bare", bare), Contestant("driver", driven)])
    record(
        benchmark,
        [seconds / DRIVER_STEPS for seconds in timings["driver"].seconds],
        "driver_step",
        columns=DRIVER_COLUMNS,
        seconds_bare_step=timings["bare"].median / DRIVER_STEPS,
    )
    assert scale.TOY or timings["driver"].median > timings["bare"].median
