"""Inputs, reference results and bars that the tests on a device and those on the host share."""

from __future__ import annotations

import numpy as np
from network_reference import forward

from ailand_gt4py.weights.model import Model, Variable

SIZES = (5, 4, 3, 2)
#: Bars of the relative norm of a step's error to the float64 reference. Factors rounded to 11 bits (TF32) or 8 bits
#: (bfloat16) have relative errors to 5e-4 and 4e-3 each, of any sign.
TOLERANCES = {"float32": 5e-6, "float64": 1e-12, "tf32": 2e-3, "bf16": 2e-2}


def reference(model: Model, inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """New state and diagnostics in model units; float64."""

    def parts(variables: tuple[Variable, ...]) -> tuple[np.ndarray, np.ndarray]:
        shift, scale = (np.array([getattr(v.normalisation, name) for v in variables]) for name in ("shift", "scale"))
        return shift, scale

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


def random_inputs(n_columns: int, dtype: str, seed: int = 0) -> list[np.ndarray]:
    """Static inputs, forcing and state of order one."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(n_columns, size)).astype(dtype) for size in SIZES[:3]]
