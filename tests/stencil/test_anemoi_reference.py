"""The emulator of networks that anemoi trained, against results and Jacobians of anemoi itself."""

from pathlib import Path

import numpy as np
import pytest
from anemoi_reference import REFERENCES, error, inputs, reference, spread

from ailand_gt4py import Emulator, import_checkpoint
from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.weights import Model
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint

#: (backend, precision, checkpoints): compiled, that of one input time and that whose columns have numbers of their own.
RUNS = [
    *(pytest.param("embedded", "float64", name, id=f"embedded-float64-{name}") for name in REFERENCES),
    *(pytest.param("embedded", "float32", name, id=f"embedded-float32-{name}") for name in REFERENCES),
    pytest.param("dace_cpu", "float32", "B", id="dace_cpu-float32-B", marks=pytest.mark.slow),
    pytest.param("dace_cpu", "float64", "E", id="dace_cpu-float64-E", marks=pytest.mark.slow),
]
#: In standard deviations: of a step, and of ten.
TOLERANCES = {"float64": (1e-11, 1e-11), "float32": (2e-5, 5e-5)}


def outputs(model: Model, found: AnemoiCheckpoint, state: np.ndarray, diagnostics: np.ndarray) -> np.ndarray:
    """Results in anemoi's order."""
    names = [one.name for one in (*model.state, *model.diagnostics)]
    results = np.concatenate([state, diagnostics], axis=-1)
    return results[:, [names.index(one.name) for one in found.outputs]].astype(np.float64)


@pytest.mark.parametrize(("backend", "precision", "name"), RUNS)
def test_steps_and_rollouts_are_those_of_anemoi(shared: Path, backend: str, precision: Precision, name: str) -> None:
    found, expected = reference(shared, name)
    model = import_checkpoint(shared / "anemoi" / f"{name}.ckpt")
    emulator = Emulator(model, expected["x"].shape[2], backend, precision)
    scale, suffix = spread(expected["y64"]), precision.removeprefix("float")
    of_step, of_ten = TOLERANCES[precision]
    steps = []
    for x in expected["x"]:
        given = (one.astype(precision) for one in inputs(model, found, x))
        steps.append(outputs(model, found, *emulator.step(*given)))
    assert error(np.stack(steps), expected[f"y{suffix}"].astype(np.float64), scale) <= of_step
    _, _, state = (one.astype(precision) for one in inputs(model, found, expected["rollout_x"][0]))
    steps = []
    for x in expected["rollout_x"]:
        static, forcing, _ = (one.astype(precision) for one in inputs(model, found, x))
        state, diagnostics = (one.copy() for one in emulator.step(static, forcing, state))
        steps.append(outputs(model, found, state, diagnostics))
    assert error(np.stack(steps), expected[f"rollout_y{suffix}"].astype(np.float64), scale) <= of_ten


@pytest.mark.parametrize("name", REFERENCES)
def test_jacobians_are_those_of_autograd(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    model = import_checkpoint(shared / "anemoi" / f"{name}.ckpt")
    emulator = Emulator(model, expected["x"].shape[2], "embedded", "float64")
    x = expected["x"][int(expected["jac_date_index"])]
    jacobian = emulator.jacobian(*(one.astype(np.float64) for one in inputs(model, found, x)))
    jacobian = jacobian[expected["jac_columns"]]
    rows = {one.name: k for k, one in enumerate((*model.state, *model.diagnostics))}
    columns = {one.name: k for k, one in enumerate((*model.static, *model.forcing, *model.state))}
    scale, n_times = spread(expected["y64"]), found.n_times
    for k, one in enumerate(found.inputs):
        of_times = expected["jac"][..., k]  # columns, results, times, the newest last
        spread_of_input = np.nanstd(expected["x"][..., k]) or 1.0
        suffixes = ("",) if one.is_constant else ("", "_before", "_before2")[:n_times]
        for back, suffix in enumerate(suffixes):
            wanted = of_times.sum(axis=-1) if one.is_constant else of_times[..., n_times - 1 - back]
            made = jacobian[:, [rows[result.name] for result in found.outputs], columns[f"{one.name}{suffix}"]]
            assert np.abs((made - wanted) * spread_of_input / scale).max() <= 1e-10, f"{one.name}{suffix}"
