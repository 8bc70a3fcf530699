"""Point-wise networks in plain NumPy float64, of an anemoi checkpoint as it is read and of the model made of it.

Written from the map in `ailand_gt4py.weights.checkpoints.anemoi.checkpoint`, without GT4Py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.processing import Bounding, PointWise, Step

Array = np.ndarray

_erf = np.vectorize(math.erf, otypes=[np.float64])

ACTIVATIONS: Mapping[str, Callable[..., Array]] = {
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x, slope: np.where(x > 0.0, x, slope * x),
    "elu": lambda x, alpha: np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    "tanh": np.tanh,
    "softplus": lambda x, beta, threshold: np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / beta),
    "identity": lambda x: x,
    "sine": lambda x, w, phi: np.sin(w * x + phi),
    "custom_relu": lambda x, threshold: np.maximum(x, threshold),
}


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
        h = ACTIVATIONS[shape.activation](h, *shape.activation_parameters)
        h = linear(h, f"processor.{k}", "_out") if f"processor.{k}.weight_out" in p else h
        found[f"block{k}"] = h
    found["latent"] = h + found["embed"] if shape.latent_skip else h
    found["decoded"] = linear(normalised(found["latent"], "decoder.0"), "decoder.0")
    return found


def to_network(chain: Sequence[Step], values: Array) -> Array:
    for step in chain:
        values = step.apply(values)
    return values


def to_physical(chain: Sequence[Step], values: Array, was_missing: Array | None = None) -> Array:
    for step in reversed(chain):
        values = step.invert(values)
    is_imputed = any(step.kind == "impute" for step in chain)
    return np.where(was_missing, np.nan, values) if is_imputed and was_missing is not None else values


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
    physical = [
        to_physical(one.processing, values[one.name], np.isnan(x[0, :, position[one.name]]) if one.is_input else None)
        for one in found.outputs
    ]
    return {**results, "y": np.stack(physical, axis=-1)}


def model_step(model: Model, static: Array, forcing: Array, state: Array) -> tuple[Array, Array]:
    """New state and diagnostics in physical units; inputs (n_columns, n_features)."""
    assert model.point_wise is not None
    variables = (*model.static, *model.forcing, *model.state)
    given = np.concatenate([static, forcing, state], axis=-1).astype(np.float64)
    normal = np.stack([to_network(one.processing, given[:, k]) for k, one in enumerate(variables)], axis=-1)
    decoded = network(model.parameters, model.point_wise, normal)["decoded"]
    n = model.n_prognostic
    oldest = state[:, len(model.state) - n :]
    results = (*model.state[:n], *model.diagnostics)
    decoded[:, :n] += normal[:, len(model.static) + len(model.forcing) :][:, :n]
    values = bounded({one.name: decoded[:, k] for k, one in enumerate(results)}, model.boundings)
    physical = [
        to_physical(one.processing, values[one.name], np.isnan(oldest[:, k]) if k < n else None)
        for k, one in enumerate(results)
    ]
    found = np.stack(physical, axis=-1)
    earlier = state[:, : len(model.state) - n]
    return np.concatenate([found[:, :n], earlier], axis=-1), found[:, n:]
