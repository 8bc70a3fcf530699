"""The step on a CUDA device: agreement with the NumPy reference, and whose memory is used."""

from typing import Any

import numpy as np
import pytest
from network_reference import forward
from random_models import ARCHITECTURES, random_model

from ailand_gt4py import arrays
from ailand_gt4py.derived_forcing import derived_forcing
from ailand_gt4py.dimensions import Column, StateFeature
from ailand_gt4py.emulator import Emulator
from ailand_gt4py.errors import InputError
from ailand_gt4py.lowering import backends
from ailand_gt4py.stencils.solar import DERIVED_NAMES
from ailand_gt4py.weights.model import Model, Variable

pytestmark = pytest.mark.gpu

SIZES = (5, 4, 3, 2)
#: Bars of relative norms to the float64 reference.
ONE_STEP = {"float32": 1e-5, "float64": 1e-12}


def relative_norm(found: Any, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found.get().astype(np.float64) - expected) / np.linalg.norm(expected))


def reference(model: Model, inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """New state and diagnostics in model units; float64."""

    def parts(variables: tuple[Variable, ...]) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.array([getattr(v.normalisation, name) for v in variables]) for name in ("shift", "scale"))

    scaled = []
    for values, variables in zip(inputs, (model.static, model.forcing, model.state), strict=True):
        shift, scale = parts(variables)
        scaled.append((values.astype(np.float64) - shift) / scale)
    step = forward(model, *scaled)
    results = []
    for values, variables in ((step.state, model.state), (step.diagnostics, model.diagnostics)):
        shift, scale = parts(variables)
        results.append(values * scale + shift)
    return results[0], results[1]


def random_inputs(n_columns: int, precision: str, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(n_columns, size)).astype(precision) for size in SIZES[:3]]


def make_emulator(n_columns: int, precision: str = "float32", architecture: str = "layer_norm") -> Emulator:
    return Emulator(random_model(architecture, SIZES, seed=7, width=24), n_columns, "dace_gpu", precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_agrees_with_reference(device: Any, architecture: str, precision: str) -> None:
    for n_columns in (1, 2, 7, 1000):
        emulator = make_emulator(n_columns, precision, architecture)
        inputs = random_inputs(n_columns, precision)
        for order in "CF":
            results = emulator.step(*(device.asarray(array, order=order) for array in inputs))
            for found, expected in zip(results, reference(emulator.model, inputs), strict=True):
                assert relative_norm(found, expected) <= ONE_STEP[precision], (n_columns, order)


def test_more_columns_than_a_grid_has_blocks_in_its_second_dimension(device: Any) -> None:
    emulator = make_emulator(600_000)
    inputs = [device.tile(device.asarray(array), (600, 1)) for array in random_inputs(1000, "float32")]
    for found, expected in zip(
        emulator.step(*inputs), reference(emulator.model, random_inputs(1000, "float32")), strict=True
    ):
        assert relative_norm(found[:1000], expected) <= ONE_STEP["float32"]
        assert relative_norm(found[-1000:], expected) <= ONE_STEP["float32"]


def test_results_are_on_the_device_and_inputs_unchanged(device: Any) -> None:
    emulator = make_emulator(7)
    on_host = random_inputs(7, "float32")
    inputs = [device.asarray(array) for array in on_host]
    out = (emulator.allocate(SIZES[2]), emulator.allocate(SIZES[3]))
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


def test_nan_stays_in_its_column_and_is_not_lost(device: Any) -> None:
    emulator = make_emulator(7)
    inputs = random_inputs(7, "float32")
    clean = emulator.step(*(device.asarray(array) for array in inputs))
    inputs[1][3, 0] = np.nan
    for found, expected in zip(emulator.step(*(device.asarray(array) for array in inputs)), clean, strict=True):
        assert np.isnan(found.get()[3]).all()
        np.testing.assert_array_equal(np.delete(found.get(), 3, axis=0), np.delete(expected.get(), 3, axis=0))


@pytest.mark.parametrize("backend", ["embedded", "dace_gpu"])
def test_derived_forcing(device: Any, backend: str) -> None:
    latitude, longitude = np.linspace(-90.0, 90.0, 37), np.linspace(-180.0, 180.0, 37)
    arguments = (latitude, longitude, np.datetime64("2021-05-03T06:00"), 21600.0, DERIVED_NAMES)
    expected = np.empty((37, len(DERIVED_NAMES)))
    derived_forcing(*arguments, expected)
    found = device.empty(expected.shape)
    derived_forcing(*arguments, found, backend=backends.make_backend(backend), device="cuda")
    np.testing.assert_allclose(found.get(), expected, rtol=1e-12, atol=1e-9)
