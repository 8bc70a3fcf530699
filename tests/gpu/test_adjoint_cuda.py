"""The adjoint and Jacobians as a GPU runs them: compiled for the host (`host_cuda`), and on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivative_cases import changes_of, dot_product_error, gradients_of, inputs_of
from host_cuda import backend_of
from random_models import ARCHITECTURES, random_model
from tangent_reference import jacobian

from ailand_gt4py.emulator.derivatives.jacobian import block_of
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.operands import step_operands
from ailand_gt4py.weights.model import Model

SIZES = (5, 4, 3, 3)
#: Bars of the dot-product test in each column, and of the Jacobian's relative error.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def model_of(architecture: str) -> Model:
    bounded = architecture != "two_branch"
    return random_model(architecture, SIZES, seed=7, width=40, bounded_by_others=bounded)


def adjoint_backend(model: Model, precision: str) -> Any:
    """The host's."""
    operands = step_operands(model, np.dtype(precision), "cpu")
    return backend_of(operands.complete_tables, operands.broadcast_tables)


@pytest.mark.slow
def test_adjoint_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine columns, four at a time, with layers wider than a warp, in rows and in columns; also row by row."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    precision = "float64"
    model = model_of("layer_norm")
    emulator = Emulator(model, 9, adjoint_backend(model, precision), precision)
    inputs = inputs_of(model, 9, precision)
    exact = Emulator(model, 9, "embedded", "float64")
    in_double = [array.astype(np.float64) for array in inputs]
    gradients = [g.astype(precision) for g in gradients_of(exact.step(*in_double))]
    expected = np.concatenate(exact.adjoint(*in_double, *(g.astype(np.float64) for g in gradients)), axis=1)
    for order in "CF":
        found = emulator.adjoint(*(np.asarray(array, order=order) for array in (*inputs, *gradients)))
        error = np.linalg.norm(np.concatenate(found, axis=1) - expected) / np.linalg.norm(expected)
        assert error <= TOLERANCES[precision]
    outputs, names = ["diagnostic_1", "state_0"], None
    block = block_of(model, outputs, names)
    wanted = jacobian(model, inputs)[:, block.outputs]
    difference = emulator.jacobian(*inputs, outputs, names) - wanted
    assert np.linalg.norm(difference) / np.linalg.norm(wanted) <= TOLERANCES[precision]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adjoint_on_a_device(device: Any, architecture: str, precision: Any) -> None:
    model = model_of(architecture)
    for n_columns in (1, 7, 1000):
        emulator = Emulator(model, n_columns, "dace_gpu", precision)
        inputs = inputs_of(model, n_columns, precision)
        changes = changes_of(inputs)
        exact = jacobian(model, inputs)
        on_device = [device.asarray(array) for array in inputs]
        gradients = gradients_of([result.get() for result in emulator.step(*on_device)])
        for _ in range(2):  # the first call goes through GT4Py, the second one does not
            forward = emulator.tangent_linear(*on_device, *map(device.asarray, changes))
            backward = emulator.adjoint(*on_device, *map(device.asarray, gradients))
            of_changes, of_gradients = ([result.get() for result in results] for results in (forward, backward))
            error = dot_product_error(changes, of_changes, gradients, of_gradients)
            assert error.max() <= TOLERANCES[precision]
        found = emulator.jacobian(*on_device).get()
        assert np.linalg.norm(found - exact) / np.linalg.norm(exact) <= 10.0 * TOLERANCES[precision]
