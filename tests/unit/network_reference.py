"""The published networks in plain NumPy float64: what every other implementation is compared with.

Written from the description of the wiring in `ailand_gt4py.weights.architectures`, layer by layer, without GT4Py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model, Variable

Array = np.ndarray
Activation = Callable[[Array], Array]


class Step(NamedTuple):
    """One step in normalised space; each (n_columns, n_features), float64.

    Attributes:
        state: the new state within its bounds.
        diagnostics: the diagnostics within their bounds.
        raw_prognostic: the prognostic head's own output, the increment of the normalised state.
    """

    state: Array
    diagnostics: Array
    raw_prognostic: Array


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def leaky_relu(x: Array) -> Array:
    return np.where(x > 0.0, x, LEAKY_RELU_SLOPE * x)


def layer_norm(x: Array) -> Array:
    """(x - mean) / sqrt(biased variance + eps) over the features."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPSILON)


def linear(model: Model, layer: str, x: Array) -> Array:
    """x W^T + b with the layer's parameters cast up to float64."""
    weight = np.asarray(model.parameters[f"{layer}.weight"], dtype=np.float64)
    return x @ weight.T + np.asarray(model.parameters[f"{layer}.bias"], dtype=np.float64)


def chain(model: Model, block: str, x: Array, activation: Activation) -> Array:
    """All layers of a block with the activation between them, the last one linear."""
    count = layer_count(model.parameters, block)
    for layer in range(count):
        x = linear(model, f"{block}.{layer}", x)
        x = activation(x) if layer < count - 1 else x
    return x


def normalised_layers(model: Model, block: str, x: Array, count: int) -> Array:
    """``count`` times linear, layer normalisation with gain and offset, ReLU."""
    for layer in range(count):
        gain, offset = (np.float64(model.parameters[f"{block}.{layer}.{kind}"]) for kind in ("gain", "offset"))
        x = relu(layer_norm(linear(model, f"{block}.{layer}", x)) * gain + offset)
    return x


def clip(values: Array, variables: Sequence[Variable], inputs: dict[str, Array] | None = None) -> Array:
    """Values in normalised space, clipped to the variables' bounds; ``inputs`` by name in model units."""
    lower = [(v.lower_bound - v.normalisation.shift) / v.normalisation.scale for v in variables]
    upper = [(v.upper_bound - v.normalisation.shift) / v.normalisation.scale for v in variables]
    clipped = np.clip(values, lower, upper)
    known = (inputs or {}) | in_model_units(clipped, variables)
    for location, v in enumerate(variables):
        if v.bounded_by:
            bound = (known[v.bounded_by] - v.normalisation.shift) / v.normalisation.scale
            clipped[:, location] = np.minimum(clipped[:, location], bound)
    return clipped


def in_model_units(values: Array, variables: Sequence[Variable]) -> dict[str, Array]:
    """The columns of normalised values by name."""
    return {v.name: values[:, k] * v.normalisation.scale + v.normalisation.shift for k, v in enumerate(variables)}


def advanced(model: Model, static: Array, state: Array, raw: Array) -> Array:
    """The new state before its bounds: the state plus an increment, which of some variables is one of soil heat,
    or of soil water that frost holds (`ailand_gt4py.ecland.soil_water`).

    That heat, in K, as `ailand_gt4py.ecland.soil_heat` describes it, is looked up in a table of each column.
    """
    new = state + raw
    for location in (k for k, variable in enumerate(model.state) if variable.increment_of == "soil_heat"):
        scaling, known = model.state[location].normalisation, in_model_units(static, model.static)
        vegetated = known["clim_cvl"] * known["clim_veg_covl"] + known["clim_cvh"] * known["clim_veg_covh"]
        capacity = (1.0 - known["clim_theta_sat"]) * 1.6e6 + known["clim_theta_cap"] * 4.18e6
        latent = 1000.0 * (2.8345e6 - 2.5008e6) * vegetated * known["clim_theta_cap"] / capacity
        nodes = np.array([0.0, *np.linspace(272.16, 274.16, 9), 1000.0])
        frozen = np.array([1.0, *(0.5 - 0.5 * np.sin(0.5 * np.pi * np.linspace(-1.0, 1.0, 9))), 0.0])
        for column, value in enumerate(state[:, location] * scaling.scale + scaling.shift):
            heat_of_nodes = nodes - latent[column] * frozen
            heat = np.interp(value, nodes, heat_of_nodes) + raw[column, location] * scaling.scale
            new[column, location] = (np.interp(heat, heat_of_nodes, nodes) - scaling.shift) / scaling.scale
    before, after = (in_model_units(values, model.state) for values in (state, new))
    for location in (k for k, variable in enumerate(model.state) if variable.increment_of == "soil_water"):
        layer = int(model.state[location].name[-1])
        layers = {f"stl{k}" for k in (layer, layer - 1) if k > 0}
        warmest = np.max([values[name] for name in layers for values in (before, after)], axis=0)
        share = np.interp(warmest, [272.16, 272.36], [0.1, 1.0])
        new[:, location] = state[:, location] + share * raw[:, location]
    return new


def forward(model: Model, static: Array, forcing: Array, state: Array) -> Step:
    """One step of the model in normalised space.

    Args:
        static, forcing, state: normalised inputs, (n_columns, n_features) in the model's order.
    """
    static, forcing, state = (np.asarray(x, dtype=np.float64) for x in (static, forcing, state))
    inputs = np.concatenate([static, forcing, state], axis=1)
    if model.architecture == "simple":
        hidden = relu(linear(model, "trunk.0", inputs))
        for layer in range(1, layer_count(model.parameters, "trunk")):
            hidden = leaky_relu(linear(model, f"trunk.{layer}", hidden))
        raw, diagnostics = linear(model, "prognostic.0", hidden), linear(model, "diagnostic.0", hidden)
    elif model.architecture == "two_branch":
        branches = [
            relu(linear(model, "static.0", static)),
            relu(linear(model, "dynamic.0", np.concatenate([forcing, state], axis=1))),
        ]
        hidden = leaky_relu(linear(model, "combine.0", np.concatenate(branches, axis=1)))
        raw = chain(model, "prognostic", hidden, leaky_relu)
        diagnostics = chain(model, "diagnostic", hidden, leaky_relu)
    else:
        trunk = normalised_layers(model, "trunk", inputs, layer_count(model.parameters, "trunk"))
        raw = linear(model, "prognostic.0", trunk)
        last = layer_count(model.parameters, "diagnostic") - 1
        diagnostic_inputs = np.concatenate([static, forcing, advanced(model, static, state, raw)], axis=1)
        hidden = normalised_layers(model, "diagnostic", diagnostic_inputs, last)
        diagnostics = linear(model, f"diagnostic.{last}", hidden)
    known = in_model_units(static, model.static) | in_model_units(forcing, model.forcing)
    return Step(
        clip(advanced(model, static, state, raw), model.state, known), clip(diagnostics, model.diagnostics, known), raw
    )


def rollout(model: Model, static: Array, forcing: Array, state: Array) -> tuple[Array, Array]:
    """Free run over forcing (n_steps, n_columns, n_forcing).

    Returns:
        The states at the START of every step and the diagnostics of every step, each (n_steps, n_columns, n_features).
    """
    states, diagnostics = [], []
    for window in forcing:
        step = forward(model, static, window, state)
        states.append(np.asarray(state, dtype=np.float64))
        diagnostics.append(step.diagnostics)
        state = step.state
    return np.stack(states), np.stack(diagnostics)
