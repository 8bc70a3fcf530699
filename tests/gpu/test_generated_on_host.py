"""Whole steps as the GPU runs them, compiled for the host (`host_cuda`): numbers, memory and layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivative_cases import inputs_of
from device_cases import SIZES, TOLERANCES, random_inputs, reference
from host_cuda import allocations, backend_of, host_backend
from random_models import random_model
from small_programs import BROADCAST, COMPLETE, PROGRAMS, SmallProgram

from ailand_gt4py.emulator.emulator import Emulator


@pytest.mark.parametrize(
    "what", ["conditions", "layers", "statistics of a row", "a layer of what is alike in a row", "columns alone"]
)
def test_small_programs_on_the_host(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five columns, two at a time."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "2")
    small = SmallProgram(*PROGRAMS[what], name=what.replace(" ", "_"))
    small.check_compiled(backend_of(COMPLETE, BROADCAST))


@pytest.mark.slow
def test_soil_heat_and_water_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    model = random_model("layer_norm", (8, 4, 4, 3), seed=7, width=24, soil_heat=True, soil_water=True)
    inputs = inputs_of(model, 9)
    results = Emulator(model, 9, host_backend(model, "float64", "full"), "float64").step(*inputs)
    for found, exact in zip(results, reference(model, inputs), strict=True):
        assert np.linalg.norm(found - exact) <= 1e-12 * np.linalg.norm(exact)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "precision"),
    [
        ("layer_norm", "float32"),
        ("layer_norm", "bf16"),
        ("two_branch", "tf32"),
        ("simple", "float64"),
    ],
)
def test_step_on_the_host(architecture: str, precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine columns, four at a time, with layers wider than a warp, in rows, in columns and strided; NaN in a column."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    model = random_model(architecture, SIZES, seed=7, width=40)
    dtype = np.dtype("float64" if precision == "float64" else "float32")
    products = precision if precision in ("tf32", "bf16") else "full"
    emulator = Emulator(model, 9, host_backend(model, dtype.name, products), dtype.name)  # type: ignore[arg-type]
    inputs = random_inputs(9, dtype.name)
    expected = reference(model, inputs)
    bar = TOLERANCES[precision]
    results = emulator.step(*inputs)
    count = allocations(emulator)
    assert count > 0
    for order in "CF":
        out = tuple(np.full((9, 2 * array.shape[1]), np.nan, dtype, order=order)[:, ::2] for array in results)
        emulator.step(*(np.asarray(array, order=order) for array in inputs), out=out)
        for found, first, exact in zip(out, results, expected, strict=True):
            assert np.linalg.norm(found - exact) <= bar * np.linalg.norm(exact)
            np.testing.assert_array_equal(found, first)
    assert allocations(emulator) == count, "a later step allocates"
    if products != "full":
        for found, exact in zip(results, expected, strict=True):
            assert np.linalg.norm(found - exact) > bar / 100 * np.linalg.norm(exact), "the factors are not rounded"

    inputs[1][3, 0] = np.nan
    for found, before in zip(emulator.step(*inputs), results, strict=True):
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(before, 3, axis=0))
