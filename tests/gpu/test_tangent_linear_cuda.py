"""The tangent-linear as a GPU runs it: compiled for the host (`host_cuda`), and on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_cases import SIZES, TOLERANCES, random_inputs
from host_cuda import host_backend
from random_models import ARCHITECTURES, random_model
from tangent_reference import tangent_linear

from ailand_gt4py.emulator.emulator import Emulator


def relative_error(found: Any, expected: Any) -> float:
    together, exact = np.concatenate(found, axis=1), np.concatenate(expected, axis=1)
    return float(np.linalg.norm(together - exact) / np.linalg.norm(exact))


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "precision"), [("layer_norm", "float32"), ("two_branch", "float64")])
def test_tangent_linear_on_the_host(architecture: str, precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine columns, four at a time, with layers wider than a warp, in rows and in columns."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    model = random_model(architecture, SIZES, seed=7, width=40)
    emulator = Emulator(model, 9, host_backend(model, precision), precision)
    inputs, changes = random_inputs(9, precision), random_inputs(9, precision, seed=1)
    expected = tangent_linear(model, inputs, changes)
    for order in "CF":
        found = emulator.tangent_linear(*(np.asarray(array, order=order) for array in (*inputs, *changes)))
        assert relative_error(found, expected) <= TOLERANCES[precision]
    expected = tangent_linear(model, inputs, (None, changes[1], None))
    assert relative_error(emulator.tangent_linear(*inputs, d_forcing=changes[1]), expected) <= TOLERANCES[precision]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float64", "tf32", "bf16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tangent_linear_on_a_device(device: Any, architecture: str, precision: Any) -> None:
    model = random_model(architecture, SIZES, seed=7, width=40)
    for n_columns in (1, 7, 1000):
        emulator = Emulator(model, n_columns, "dace_gpu", precision)
        dtype = emulator.dtype.name
        inputs, changes = random_inputs(n_columns, dtype), random_inputs(n_columns, dtype, seed=1)
        expected = tangent_linear(model, inputs, changes)
        for _ in range(2):  # the first call goes through GT4Py, the second one does not
            found = emulator.tangent_linear(*(device.asarray(array) for array in (*inputs, *changes)))
            # Rounded factors turn units near a kink on or off: a change of first order, in a few columns.
            bar = TOLERANCES[precision] * (1 if precision.startswith("float") else 10)
            assert relative_error([result.get() for result in found], expected) <= bar


@pytest.mark.slow
def test_bounds_that_other_variables_are_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their products are small matrices of zeros and ones, in the step and in its tangent-linear."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    model = random_model("layer_norm", SIZES, seed=7, width=40, bounded_by_others=True)
    inputs, changes = random_inputs(9, "float64"), random_inputs(9, "float64", seed=1)
    emulator = Emulator(model, 9, host_backend(model, "float64"), "float64")
    exact = Emulator(model, 9, "embedded", "float64").step(*inputs)
    assert relative_error(emulator.step(*inputs), exact) <= TOLERANCES["float64"]
    assert (exact[0][:, 1] == inputs[0][:, 1]).any()
    expected = tangent_linear(model, inputs, changes)
    assert relative_error(emulator.tangent_linear(*inputs, *changes), expected) <= TOLERANCES["float64"]
