"""The generated code through the emulator: widths, numbers of columns, threads, memory, another BLAS."""

import os
import pathlib
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from random_models import ARCHITECTURES, random_model
from test_networks import ONE_STEP, check_step, compiled, physical_reference, random_inputs, relative_norm

from ailand_gt4py.emulator.emulator import Emulator

SIZES = (5, 4, 3, 2)


def key(architecture: str = "simple") -> tuple:
    return (architecture, SIZES, 7, 24, 2)


def guarded(n_columns: int, n_features: int, dtype: str, order: str) -> tuple[np.ndarray, np.ndarray]:
    """(memory full of -9, a view (n_columns, n_features) in its middle)."""
    memory = np.full((n_columns + 80, n_features + 80), -9.0, dtype=dtype, order=order)
    return memory, memory[40 : 40 + n_columns, 40 : 40 + n_features]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_nothing_is_written_outside_of_the_results(architecture: str, order: str, precision: str) -> None:
    for n_columns in (1, 2, 7, 64, 1000):
        emulator = compiled(key(architecture), n_columns, precision)
        inputs = random_inputs(emulator.model, n_columns, precision)
        expected = emulator.step(*inputs)
        pairs = [guarded(n_columns, result.shape[1], precision, order) for result in expected]
        given = [guarded(n_columns, array.shape[1], precision, order) for array in inputs]
        for (memory, view), array in zip(given, inputs, strict=True):
            memory[...] = np.nan
            view[...] = array
        results = emulator.step(*(view for _, view in given), out=tuple(view for _, view in pairs))
        for (memory, view), result, wanted in zip(pairs, results, expected, strict=True):
            assert result is view
            np.testing.assert_array_equal(view, wanted)
            view[...] = -9.0
            assert (memory == -9.0).all(), "written outside of the results"


@pytest.mark.slow
def test_widths_that_are_no_multiple_of_a_vector() -> None:
    """13 and 14 units for vectors of 16, 8 or 4 numbers; more outputs than units, one diagnostic."""
    check_step(compiled(("layer_norm", (3, 2, 37, 1), 5, 13, 2), 129, "float32"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_columns_bits_do_not_depend_on_the_number_of_columns(architecture: str) -> None:
    """From a single column over one block to several, the last of them short."""
    n_most = 1500
    emulator = compiled(key(architecture), n_most, "float32")
    inputs = random_inputs(emulator.model, n_most, "float32")
    expected = emulator.step(*inputs)
    for n_columns in (1, 2, 5, 6, 7, 12, 13, 25, 385, 1001):
        few = Emulator(emulator.model, n_columns, "dace_cpu", "float32")
        first = n_most - n_columns
        for found, wanted in zip(few.step(*(array[first:] for array in inputs)), expected, strict=True):
            np.testing.assert_array_equal(found, wanted[first:])


OTHER_PROCESS = textwrap.dedent("""
    import hashlib, os, sys
    import numpy as np
    from random_models import random_model
    from ailand_gt4py import Emulator

    n_columns, width = map(int, sys.argv[1:3])
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=width), n_columns, "dace_cpu")
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(n_columns, size)).astype(np.float32) for size in emulator.model.sizes[:3]]
    results = emulator.step(*inputs)
    digest = hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()
    tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
    print(digest, tasks, flush=True)
    if sys.argv[3:] == ["fork"]:
        child = os.fork()
        if child == 0:
            again = emulator.step(*inputs)
            os._exit(0 if all((a == b).all() for a, b in zip(again, results)) else 3)
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
""")


def in_another_process(*arguments: str, **variables: str) -> tuple[str, int]:
    """Digest of the results, number of threads of the process afterwards."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | variables
    process = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    digest, tasks = process.stdout.split()
    return digest, int(tasks)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    ("n_columns", "width"),
    [pytest.param(20_000, 24, id="blocks of columns"), pytest.param(10, 1200, id="panels of weights beyond the cache")],
)
def test_the_number_of_threads_does_not_change_a_bit_and_a_fork_can_step(n_columns: int, width: int) -> None:
    size = str(n_columns), str(width)
    one, tasks_of_one = in_another_process(*size, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    two, tasks_of_two = in_another_process(*size, "fork", OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1")
    assert one == two
    if tasks_of_one:
        assert tasks_of_two == tasks_of_one + 1, "the second run was not shared by two threads"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_with_results_given_allocates_next_to_nothing(architecture: str) -> None:
    emulator = compiled(key(architecture), 1000, "float32")
    inputs = random_inputs(emulator.model, 1000, "float32")
    others = [array.copy() for array in inputs]
    out = emulator.step(*inputs)
    prepared = emulator.prepare_static(inputs[0])
    for given in (inputs, [prepared, *inputs[1:]]):
        emulator.step(*given, out=out)
        emulator.step(others[0], *others[1:], out=out)
        tracemalloc.start()
        try:
            emulator.step(*given, out=out)
            emulator.step(*given, out=out)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 16_000, f"{peak} bytes, where one input has {inputs[0].nbytes}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_intermediate_fields_have_no_memory(architecture: str) -> None:
    emulator = compiled(key(architecture), 7, "float32")
    names = []
    for call in (emulator._step, emulator._static_part):
        if call is None:
            continue
        for operand in call._constant.values():
            if not isinstance(operand, tuple) and operand.ndarray.shape[0] == 7 and operand.ndarray.ndim == 2:
                names.append(operand.domain.dims[1].value)
                assert operand.ndarray.strides == (0, 0)
    assert any(name.startswith("Units_") for name in names)


MEMORY = textwrap.dedent("""
    import resource
    import numpy as np
    from random_models import random_model
    from ailand_gt4py import Emulator

    n_columns = 300_000
    model = random_model("simple", (5, 4, 3, 2), seed=7, width=24)
    inputs = [np.ones((n_columns, size), np.float32) for size in model.sizes[:3]]
    results = tuple(np.zeros((n_columns, size), np.float32) for size in (3, 2))
    Emulator(model, 1, "dace_cpu").step(*(array[:1] for array in inputs))  # loads all that is needed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    emulator = Emulator(model, n_columns, "dace_cpu")
    for _ in range(3):
        emulator.step(*inputs, out=results)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
""")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the unit of the memory's size differs")
def test_many_columns_need_little_more_than_inputs_and_results() -> None:
    """Of 300 000 columns, one field of 24 units would have 29 MB."""
    compiled(key(), 7, "float32").compile()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.run(
        [sys.executable, "-c", MEMORY], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert process.returncode == 0, process.stderr
    # The results' pages are touched for the first time, too.
    results = 300_000 * (3 + 2) * 4
    assert int(process.stdout) * 1024 < results + 15e6, "a field over all columns and units was allocated"


@pytest.mark.slow
def test_another_blas_gives_the_same_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AILAND_BLAS", "openblas")
    with_blas = Emulator(random_model("simple", SIZES, seed=7, width=24), 1000, "dace_cpu", "float32")
    inputs = random_inputs(with_blas.model, 1000, "float32")
    found = with_blas.step(*inputs)
    monkeypatch.delenv("AILAND_BLAS")
    builtin = compiled(key(), 1000, "float32").step(*inputs)
    for of_blas, own, exact in zip(found, builtin, physical_reference(with_blas.model, *inputs), strict=True):
        assert relative_norm(of_blas, exact) <= ONE_STEP["float32"]
        assert relative_norm(of_blas, own) <= ONE_STEP["float32"]
    libraries = pathlib.Path("/proc/self/maps")
    if libraries.exists():
        assert "openblas" in libraries.read_text()
