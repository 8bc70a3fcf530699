"""The step on a CUDA device: agreement with the NumPy reference, whose memory is used, and on which stream."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from device_cases import SIZES, TOLERANCES, random_inputs, reference
from random_models import ARCHITECTURES, random_model

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, StateFeature
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.stencils.physics.solar import DERIVED_NAMES

pytestmark = pytest.mark.gpu

PRECISIONS = tuple(TOLERANCES)


def relative_norm(found: Any, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found.get().astype(np.float64) - expected) / np.linalg.norm(expected))


def make_emulator(n_columns: int, precision: Any = "float32", architecture: str = "layer_norm") -> Emulator:
    return Emulator(random_model(architecture, SIZES, seed=7, width=40), n_columns, "dace_gpu", precision)


def inputs_for(device: Any, emulator: Emulator, seed: int = 0) -> list[Any]:
    return [device.asarray(array) for array in random_inputs(emulator.n_columns, emulator.dtype.name, seed)]


def outputs_for(emulator: Emulator) -> tuple[Any, Any]:
    return emulator.allocate(SIZES[2]), emulator.allocate(SIZES[3])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_agrees_with_reference(device: Any, architecture: str, precision: str) -> None:
    for n_columns in (1, 2, 7, 1000):
        emulator = make_emulator(n_columns, precision, architecture)
        inputs = random_inputs(n_columns, emulator.dtype.name)
        for order in "CF":
            for _ in range(2):  # the first call goes through GT4Py, the second one does not
                results = emulator.step(*(device.asarray(array, order=order) for array in inputs))
                for found, expected in zip(results, reference(emulator.model, inputs), strict=True):
                    assert found.dtype == emulator.dtype
                    assert relative_norm(found, expected) <= TOLERANCES[precision], (n_columns, order)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_tensor_cores_round_the_factors(device: Any, precision: str) -> None:
    """Errors are those of the mode: below its bar, and well above those of float32."""
    emulator = make_emulator(1000, precision)
    inputs = random_inputs(1000, "float32")
    results = emulator.step(*(device.asarray(array) for array in inputs))
    for found, expected in zip(results, reference(emulator.model, inputs), strict=True):
        assert 5 * TOLERANCES["float32"] < relative_norm(found, expected) <= TOLERANCES[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_columns_in_chunks(device: Any, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks are as many columns as the environment says, the last one fewer."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "333")
    emulator = make_emulator(1000, precision)
    inputs = random_inputs(1000, emulator.dtype.name)
    results = emulator.step(*(device.asarray(array) for array in inputs))
    for found, expected in zip(results, reference(emulator.model, inputs), strict=True):
        assert relative_norm(found, expected) <= TOLERANCES[precision]


def test_more_columns_than_a_grid_has_blocks_in_its_second_dimension(device: Any) -> None:
    emulator = make_emulator(600_000)
    inputs = [device.tile(device.asarray(array), (600, 1)) for array in random_inputs(1000, "float32")]
    for found, expected in zip(
        emulator.step(*inputs), reference(emulator.model, random_inputs(1000, "float32")), strict=True
    ):
        assert relative_norm(found[:1000], expected) <= TOLERANCES["float32"]
        assert relative_norm(found[-1000:], expected) <= TOLERANCES["float32"]


def test_results_are_on_the_device_and_inputs_unchanged(device: Any) -> None:
    emulator = make_emulator(7)
    on_host = random_inputs(7, "float32")
    inputs = [device.asarray(array) for array in on_host]
    out = outputs_for(emulator)
    pointers = [array.data.ptr for array in out]
    results = emulator.step(*inputs, out=out)
    assert all(isinstance(array, device.ndarray) for array in results)
    assert [array.data.ptr for array in results] == pointers
    for before, after in zip(on_host, inputs, strict=True):
        np.testing.assert_array_equal(after.get(), before)
    with pytest.raises(InputError, match="new state: found memory shared with the input 'state'"):
        emulator.step(*inputs, out=(inputs[2], out[1]))


def test_host_memory_is_refused(device: Any) -> None:
    static, forcing, state = random_inputs(7, "float32")
    with pytest.raises(InputError, match="forcing: found a NumPy array in host memory, expected .* CUDA device"):
        make_emulator(7).step(device.asarray(static), forcing, device.asarray(state))


def test_wrap_shares_memory(device: Any) -> None:
    array = device.zeros((8, 6), dtype="float32")
    view = array[::2, 1:4]
    field = arrays.wrap(arrays.as_array(view, "cuda", "x"), (Column, StateFeature))
    assert field.ndarray.data.ptr == view.data.ptr
    assert field.ndarray.strides == view.strides


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nan_stays_in_its_column_and_is_not_lost(device: Any, precision: str) -> None:
    emulator = make_emulator(7, precision)
    inputs = random_inputs(7, emulator.dtype.name)
    clean = emulator.step(*(device.asarray(array) for array in inputs))
    inputs[1][3, 0] = np.nan
    for found, expected in zip(emulator.step(*(device.asarray(array) for array in inputs)), clean, strict=True):
        assert np.isnan(found.get()[3]).all()
        np.testing.assert_array_equal(np.delete(found.get(), 3, axis=0), np.delete(expected.get(), 3, axis=0))


@contextlib.contextmanager
def capture(device: Any, stream: Any) -> Iterator[list[Any]]:
    """What is called inside becomes a graph, the list's one element; allocating, copying from or to pageable host
    memory, waiting, and work on the default stream are errors then, by CUDA's own rules for this mode."""
    graphs: list[Any] = []
    with stream:
        stream.begin_capture(device.cuda.runtime.streamCaptureModeGlobal)
        try:
            yield graphs
        finally:
            graphs.append(stream.end_capture())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_captured_step_gives_the_same_bits(device: Any, architecture: str, precision: str) -> None:
    """That it can be captured also says that it allocates, transfers and waits for nothing."""
    emulator = make_emulator(500, precision, architecture)
    inputs = inputs_for(device, emulator)
    out = outputs_for(emulator)
    emulator.step(*inputs, out=out)
    eager = [array.copy() for array in emulator.step(*inputs, out=out)]
    stream = device.cuda.Stream(non_blocking=True)
    device.cuda.runtime.deviceSynchronize()
    with stream:
        emulator.step(*inputs, out=out)
    stream.synchronize()
    with capture(device, stream) as graphs:
        emulator.step(*inputs, out=out)
    for array in out:
        array.fill(0)
    device.cuda.runtime.deviceSynchronize()
    for seed in (0, 1):
        for array, new in zip(inputs, inputs_for(device, emulator, seed), strict=True):
            array[...] = new
        device.cuda.runtime.deviceSynchronize()
        graphs[0].launch(stream)
        stream.synchronize()
        expected = eager if seed == 0 else [array.copy() for array in emulator.step(*inputs)]
        for found, same in zip(out, expected, strict=True):
            device.testing.assert_array_equal(found, same)


def test_a_second_step_takes_no_device_memory(device: Any) -> None:
    emulator = make_emulator(20_000)
    inputs = inputs_for(device, emulator)
    out = outputs_for(emulator)
    emulator.step(*inputs, out=out)
    device.cuda.runtime.deviceSynchronize()
    free, in_pool = device.cuda.runtime.memGetInfo()[0], device.get_default_memory_pool().total_bytes()
    for _ in range(3):
        emulator.step(*inputs, out=out)
    device.cuda.runtime.deviceSynchronize()
    assert device.cuda.runtime.memGetInfo()[0] == free
    assert device.get_default_memory_pool().total_bytes() == in_pool


def test_the_callers_stream_is_used(device: Any) -> None:
    """A step waits for what its stream does before, and for that only."""
    emulator = make_emulator(1000)
    inputs, later = inputs_for(device, emulator), inputs_for(device, emulator, 1)
    expected = [array.copy() for array in emulator.step(*later)]
    stream = device.cuda.Stream(non_blocking=True)
    busy = device.random.standard_normal((4096, 4096), dtype="float32")
    device.cuda.runtime.deviceSynchronize()
    with stream:
        for _ in range(50):
            busy = busy @ busy
            busy /= device.abs(busy).max()
        for array, new in zip(inputs, later, strict=True):
            array[...] = new
        results = emulator.step(*inputs)
        finished = device.cuda.Event()
        finished.record()
        assert not finished.done, "the step has run before the work that was given to the stream first"
    stream.synchronize()
    for found, same in zip(results, expected, strict=True):
        device.testing.assert_array_equal(found, same)


def test_prepared_static_inputs(device: Any) -> None:
    emulator = make_emulator(100, architecture="two_branch")
    static, forcing, state = inputs_for(device, emulator)
    expected = emulator.step(static, forcing, state)
    for found, same in zip(emulator.step(emulator.prepare_static(static), forcing, state), expected, strict=True):
        device.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("backend", ["embedded", "dace_gpu"])
def test_derived_forcing(device: Any, backend: str) -> None:
    latitude, longitude = np.linspace(-90.0, 90.0, 37), np.linspace(-180.0, 180.0, 37)
    arguments = (latitude, longitude, np.datetime64("2021-05-03T06:00"), 21600.0, DERIVED_NAMES)
    expected = np.empty((37, len(DERIVED_NAMES)))
    derived_forcing(*arguments, expected)
    found = device.empty(expected.shape)
    derived_forcing(*arguments, found, backend=backends.make_backend(backend), device="cuda")
    np.testing.assert_allclose(found.get(), expected, rtol=1e-12, atol=1e-9)
