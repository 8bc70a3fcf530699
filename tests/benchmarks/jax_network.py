"""A step of each architecture in JAX, in model units, as one would write it for inference."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from networks import scales, shifts

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model

Array = jax.Array
Parameters = Mapping[str, Array]


def jax_step(model: Model, *, is_frozen: bool) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    """(static, forcing, state) -> (new state, diagnostics), compiled; each (n, n_features) in model units, float32.

    Args:
        is_frozen: whether the weights are constants of the compiled code, which is up to four times as fast for one
            column and no faster for many, or arguments.
    """
    outputs = _OUTPUTS[model.architecture]
    groups = {"static": model.static, "forcing": model.forcing, "state": model.state, "diagnostics": model.diagnostics}
    constants = {
        name: (
            _single(shifts(group)),
            _single(scales(group)),
            *(_single([getattr(one, f"{bound}_bound") for one in group]) for bound in ("lower", "upper")),
        )
        for name, group in groups.items()
    }

    def step(parameters: Parameters, static: Array, forcing: Array, state: Array) -> tuple[Array, Array]:
        inputs = {
            name: (values - constants[name][0]) / constants[name][1]
            for name, values in (("static", static), ("forcing", forcing), ("state", state))
        }
        results = outputs(model, parameters, inputs)
        new_state, diagnostics = (
            jnp.clip(values * scale + shift, lower, upper)
            for values, (shift, scale, lower, upper) in zip(
                results, (constants["state"], constants["diagnostics"]), strict=True
            )
        )
        return new_state, diagnostics

    parameters = {name: _single(array) for name, array in model.parameters.items()}
    if is_frozen:
        return jax.jit(functools.partial(step, parameters))
    return functools.partial(jax.jit(step), parameters)


def _single(values: Any) -> Array:
    return jnp.asarray(np.asarray(values, np.float32))


def _linear(parameters: Parameters, layer: str, x: Array, suffix: str = "") -> Array:
    return x @ parameters[f"{layer}.weight{suffix}"].T + parameters[f"{layer}.bias{suffix}"]


def _layer_norm(parameters: Parameters, layer: str, x: Array, epsilon: float) -> Array:
    x = jax.nn.standardize(x, epsilon=epsilon)
    return x * parameters[f"{layer}.gain"] + parameters[f"{layer}.offset"]


def _leaky(parameters: Parameters, layer: str, x: Array) -> Array:
    return jax.nn.leaky_relu(_linear(parameters, layer, x), LEAKY_RELU_SLOPE)


def _heads(model: Model, parameters: Parameters, x: Array, state: Array) -> tuple[Array, Array]:
    """New state and diagnostics by prognostic and diagnostic blocks on one input."""
    results = []
    for block in ("prognostic", "diagnostic"):
        hidden, last = x, layer_count(model.parameters, block) - 1
        for k in range(last):
            hidden = _leaky(parameters, f"{block}.{k}", hidden)
        results.append(_linear(parameters, f"{block}.{last}", hidden))
    return state + results[0], results[1]


def _simple(model: Model, parameters: Parameters, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    x = jax.nn.relu(_linear(parameters, "trunk.0", jnp.concatenate(list(inputs.values()), axis=1)))
    for k in range(1, layer_count(model.parameters, "trunk")):
        x = _leaky(parameters, f"trunk.{k}", x)
    return _heads(model, parameters, x, inputs["state"])


def _two_branch(model: Model, parameters: Parameters, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    static = jax.nn.relu(_linear(parameters, "static.0", inputs["static"]))
    dynamic = jnp.concatenate([inputs["forcing"], inputs["state"]], axis=1)
    dynamic = jax.nn.relu(_linear(parameters, "dynamic.0", dynamic))
    x = _leaky(parameters, "combine.0", jnp.concatenate([static, dynamic], axis=1))
    return _heads(model, parameters, x, inputs["state"])


def _layer_normalised(model: Model, parameters: Parameters, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    def chain(block: str, n_hidden: int, x: Array) -> Array:
        for k in range(n_hidden):
            x = _linear(parameters, f"{block}.{k}", x)
            x = jax.nn.relu(_layer_norm(parameters, f"{block}.{k}", x, LAYER_NORM_EPSILON))
        return x

    everything = jnp.concatenate(list(inputs.values()), axis=1)
    x = chain("trunk", layer_count(model.parameters, "trunk"), everything)
    new_state = inputs["state"] + _linear(parameters, "prognostic.0", x)
    last = layer_count(model.parameters, "diagnostic") - 1
    x = chain("diagnostic", last, jnp.concatenate([inputs["static"], inputs["forcing"], new_state], axis=1))
    return new_state, _linear(parameters, f"diagnostic.{last}", x)


def _point_wise(model: Model, parameters: Parameters, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    """Of a network with GELU, latent skip and one input time."""
    assert model.point_wise is not None
    epsilon = model.point_wise.epsilon
    x = encoded = _linear(parameters, "encoder.0", jnp.concatenate(list(inputs.values()), axis=1))
    for k in range(layer_count(model.parameters, "processor")):
        x = _layer_norm(parameters, f"processor.{k}", _linear(parameters, f"processor.{k}", x), epsilon)
        x = _linear(parameters, f"processor.{k}", jax.nn.gelu(x, approximate=False), "_out")
    results = _linear(parameters, "decoder.0", _layer_norm(parameters, "decoder.0", x + encoded, epsilon))
    n_state = inputs["state"].shape[1]
    return inputs["state"] + results[:, :n_state], results[:, n_state:]


_OUTPUTS = {"simple": _simple, "two_branch": _two_branch, "layer_norm": _layer_normalised, "point_wise": _point_wise}
