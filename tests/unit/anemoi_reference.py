"""A step of anemoi's point-wise networks in plain NumPy float64, with all stages, from a checkpoint as it is read.

Written from the map in `ailand_gt4py.weights.checkpoints.anemoi.checkpoint`; `point_wise_models` has that of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from point_wise_models import ACTIVATIONS

from ailand_gt4py.weights import Model
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, read_checkpoint
from ailand_gt4py.weights.checkpoints.torch_archive import opened
from ailand_gt4py.weights.processing import Bounding, PointWise, to_network, to_physical

Array = np.ndarray


def layer_norm(x: Array, gain: Array, offset: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon) * gain + offset


def network(parameters: Mapping[str, Array], shape: PointWise, vector: Array) -> dict[str, Array]:
    """``embed``, ``block0``, ..., ``latent``, ``decoded`` of inputs in the network's space, (..., n_inputs)."""
    p = {name: np.asarray(array, np.float64) for name, array in parameters.items()}

    def linear(x: Array, layer: str, suffix: str = "") -> Array:
        return x @ p[f"{layer}.weight{suffix}"].T + p[f"{layer}.bias{suffix}"]

    def normalised(x: Array, layer: str) -> Array:
        return layer_norm(x, p[f"{layer}.gain"], p[f"{layer}.offset"], shape.epsilon)

    found = {"embed": linear(vector, "encoder.0")}
    h = found["embed"]
    for k in range(layer_count(parameters, "processor")):
        h = normalised(linear(h, f"processor.{k}"), f"processor.{k}")
        h = ACTIVATIONS[shape.activation][1](h, *shape.activation_parameters)
        h = linear(h, f"processor.{k}", "_out") if f"processor.{k}.weight_out" in p else h
        found[f"block{k}"] = h
    found["latent"] = h + found["embed"] if shape.latent_skip else h
    found["decoded"] = linear(normalised(found["latent"], "decoder.0"), "decoder.0")
    return found


def bounded(values: dict[str, Array], boundings: Sequence[Bounding]) -> dict[str, Array]:
    """Results by name after all boundings in turn."""
    values = dict(values)
    for one in boundings:
        for name, lower, upper in zip(one.variables, one.lower, one.upper, strict=True):
            v = values[name]
            clipped = np.clip(v, lower, upper)
            values[name] = clipped + one.slope * (v - clipped)
        for name in one.variables if one.total else ():
            values[name] = values[name] * values[one.total]
    return values


def checkpoint_step(found: AnemoiCheckpoint, x: Array, nodes: slice | Array = slice(None)) -> dict[str, Array]:
    """One step from inputs (n_times, n_columns, n_inputs) in physical units, the oldest time first.

    Returns:
        ``y`` (n_columns, n_outputs) in physical units, ``vector``, what `network` gives, and ``bounded``.
    """
    x = np.asarray(x, np.float64)
    normal = np.stack([to_network(one.processing, x[..., k]) for k, one in enumerate(found.inputs)], axis=-1)
    of_nodes = [np.asarray(one[nodes], np.float64) for one in (found.coordinates, found.trainable)]
    vector = np.concatenate([*normal, *of_nodes], axis=-1)
    results = {"vector": vector, **network(found.parameters, found.network, vector)}
    position = {one.name: k for k, one in enumerate(found.inputs)}
    values = {one.name: results["decoded"][:, k] for k, one in enumerate(found.outputs)}
    values |= {one.name: values[one.name] + normal[-1, :, position[one.name]] for one in found.outputs if one.is_input}
    values = bounded(values, found.boundings)
    results["bounded"] = np.stack([values[one.name] for one in found.outputs], axis=-1)
    y = []
    for one in found.outputs:
        result = to_physical(one.processing, values[one.name])
        is_imputed = one.is_input and any(step.kind == "impute" for step in one.processing)
        y.append(np.where(np.isnan(x[0, :, position[one.name]]), np.nan, result) if is_imputed else result)
    return {**results, "y": np.stack(y, axis=-1)}


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
