"""Import of anemoi's point-wise checkpoints: the same numbers as anemoi's own, and refusals by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from point_wise_reference import checkpoint_step, model_step

from ailand_gt4py.weights import Model, import_checkpoint
from ailand_gt4py.weights.checkpoints.anemoi import converted
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, read_checkpoint
from ailand_gt4py.weights.checkpoints.torch_archive import opened

#: Trained by anemoi-training, with reference results of anemoi itself.
REFERENCES = ("A", "B", "E")


def read(path: Path) -> AnemoiCheckpoint:
    with opened(path) as archive:
        return read_checkpoint(archive)


def reference(shared: Path, name: str) -> tuple[AnemoiCheckpoint, dict[str, np.ndarray]]:
    directory = shared / "anemoi"
    if not directory.is_dir():
        pytest.skip("no checkpoints of anemoi in the shared data")
    with np.load(directory / f"{name}.npz") as stored:
        return read(directory / f"{name}.ckpt"), dict(stored)


def error(found: np.ndarray, expected: np.ndarray, spread: np.ndarray) -> float:
    """Largest difference in standard deviations of the variable; NaN must be alike."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    return float(np.nanmax(np.abs(found - expected) / spread))


def spread(expected: np.ndarray) -> np.ndarray:
    return np.nanstd(expected.reshape(-1, expected.shape[-1]), axis=0)


def inputs(model: Model, found: AnemoiCheckpoint, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A model's static, forcing and state in anemoi's inputs (n_times, n_columns, n_inputs)."""
    known = {one.name: x[-1, :, k] for k, one in enumerate(found.inputs)}
    for back, suffix in enumerate(("_before", "_before2")[: found.n_times - 1], start=2):
        known |= {f"{one.name}{suffix}": x[-back, :, k] for k, one in enumerate(found.inputs)}
    for k, name in enumerate(("sin_latitude", "sin_longitude", "cos_latitude", "cos_longitude")):
        known[f"node_{name}"] = found.coordinates[:, k]
    known |= {f"node_trainable_{k}": found.trainable[:, k] for k in range(found.trainable.shape[1])}
    groups = (model.static, model.forcing, model.state)
    static, forcing, state = (np.stack([known[one.name] for one in group], axis=-1) for group in groups)
    return static, forcing, state


# ------------------------------------------------------------------------------------- checkpoints that anemoi trained


@pytest.mark.parametrize("name", REFERENCES)
def test_a_step_is_that_of_anemoi(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    assert [one.name for one in found.inputs] == expected["in_names"].tolist()
    assert [one.units for one in found.inputs] == expected["in_units"].tolist()
    assert [one.is_constant for one in found.inputs] == expected["in_constant"].tolist()
    assert [one.is_computed for one in found.inputs] == expected["in_computed"].tolist()
    assert [one.name for one in found.outputs] == expected["out_names"].tolist()
    assert found.step_seconds == 21600.0
    results = np.stack([checkpoint_step(found, x)["y"] for x in expected["x"]])
    scale = spread(expected["y64"])
    assert error(results, expected["y64"], scale) <= 1e-12
    assert error(results, expected["y32"].astype(np.float64), scale) <= 2e-5


@pytest.mark.parametrize("name", REFERENCES)
def test_every_stage_of_a_step_is_that_of_anemoi(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    columns = expected["jac_columns"]
    results = checkpoint_step(found, expected["x"][int(expected["jac_date_index"])][:, columns], columns)
    stages = [key.removeprefix("mid_") for key in expected if key.startswith("mid_")]
    assert len(stages) >= 6
    for stage in stages:
        np.testing.assert_allclose(results[stage], expected[f"mid_{stage}"], rtol=1e-13, atol=1e-13, err_msg=stage)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_rollout_of_the_model_is_that_of_anemoi(shared: Path, name: str) -> None:
    """The model keeps earlier states itself; forcing is anemoi's, of every input time."""
    found, expected = reference(shared, name)
    model = converted(found)
    n = model.n_prognostic
    order = [one.name for one in (*model.state[:n], *model.diagnostics)]
    columns = [order.index(one.name) for one in found.outputs]
    _, _, state = inputs(model, found, expected["rollout_x"][0].astype(np.float64))
    steps = []
    for x in expected["rollout_x"]:
        static, forcing, _ = inputs(model, found, x)
        state, diagnostics = model_step(model, static, forcing, state)
        steps.append(np.concatenate([state[:, :n], diagnostics], axis=-1)[:, columns])
    results, scale = np.stack(steps), spread(expected["y64"])
    assert error(results, expected["rollout_y64"], scale) <= 1e-12
    assert error(results, expected["rollout_y32"].astype(np.float64), scale) <= 5e-5


@pytest.mark.parametrize("name", REFERENCES)
def test_the_model_is_complete(shared: Path, name: str) -> None:
    found, expected = reference(shared, name)
    model = import_checkpoint(shared / "anemoi" / f"{name}.ckpt")
    assert (model.architecture, model.normalised_space, model.step_seconds) == ("point_wise", False, 21600.0)
    constant = expected["in_names"][expected["in_constant"]].tolist()
    nodes = [f"node_{one}" for one in ("sin_latitude", "sin_longitude", "cos_latitude", "cos_longitude")]
    trainable = [f"node_trainable_{k}" for k in range(8 if name == "E" else 0)]
    assert [one.name for one in model.static] == [*constant, *nodes, *trainable]
    dynamic = expected["in_names"][~expected["in_constant"] & (expected["in_role"] == "forcing")].tolist()
    prognostic = expected["in_names"][expected["in_role"] == "prognostic"].tolist()
    for group, names in ((model.forcing, dynamic), (model.state, prognostic)):
        earlier = [f"{one}_before" for one in names] if found.n_times == 2 else []
        assert [one.name for one in group] == [*names, *earlier]
    assert [one.name for one in model.diagnostics] == [
        one for one in expected["out_names"] if one not in prognostic
    ]
    assert (model.nodes is not None) == (name == "E")
    assert model.provenance["source_anemoi_models"] == "0.19.0"
    results = []
    for x in expected["x"]:
        new_state, diagnostics = model_step(model, *inputs(model, found, x))
        values = dict(zip([one.name for one in model.state], new_state.T, strict=True))
        values |= dict(zip([one.name for one in model.diagnostics], diagnostics.T, strict=True))
        results.append(np.stack([values[one.name] for one in found.outputs], axis=-1))
    assert error(np.stack(results), expected["y64"], spread(expected["y64"])) <= 1e-12
