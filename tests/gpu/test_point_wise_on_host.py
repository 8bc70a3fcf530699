"""The point-wise network as the GPU runs it, compiled for the host (`host_cuda`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_cases import TOLERANCES
from host_cuda import host_backend
from point_wise_models import PROCESSINGS, point_wise_model, reference_step, some_inputs, with_missing

from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.processing import Bounding

BOUNDINGS = (
    Bounding("clip", ("state_0", "diagnostic_1"), (-0.2, -0.3), (0.4, np.inf), slope=0.01),
    Bounding("fraction", ("diagnostic_0", "state_2"), (0.0, 0.0), (1.0, 1.0), total="diagnostic_1"),
)
N_COLUMNS = 9


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64", "tf32", "bf16"])
def test_step_on_the_host(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine columns, four at a time; what is kept of the state is exact whatever the products are."""
    monkeypatch.setenv("AILAND_DEVICE_COLUMNS", "4")
    names = list(PROCESSINGS)
    model = point_wise_model(
        n_times=2, seed=3, channels=20, processings=names[8:] + names[:8], boundings=BOUNDINGS, ratio=2.0
    )
    dtype = "float64" if precision == "float64" else "float32"
    products = precision if precision in ("tf32", "bf16") else "full"
    emulator = Emulator(model, N_COLUMNS, host_backend(model, dtype, products), dtype)  # type: ignore[arg-type]
    inputs = with_missing(model, some_inputs(model, N_COLUMNS, dtype))
    results, expected = emulator.step(*inputs), reference_step(model, *inputs)
    n_new = model.n_prognostic
    np.testing.assert_array_equal(results[0][:, n_new:], inputs[2][:, :n_new])
    assert np.isnan(results[0][:, :n_new]).any()
    for found, exact in zip(results, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))
        error = np.nan_to_num(found) - np.nan_to_num(exact)
        assert np.linalg.norm(error) <= TOLERANCES[precision] * np.linalg.norm(np.nan_to_num(exact))
