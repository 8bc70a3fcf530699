"""Derivatives of the published networks without any derivative written by hand: by complex numbers and by PyTorch.

The step is written once, for whatever numbers its operations take; `network_reference` says what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.weights.architectures import layer_count
from ailand_gt4py.weights.model import Model, Variable

Array = Any
#: Of the imaginary part: no difference is taken, so nothing is lost however small it is.
_STEP = 1e-30


class Operations(NamedTuple):
    """What differs from one kind of numbers to another."""

    constant: Callable[[np.ndarray], Array]
    relu: Callable[[Array], Array]
    leaky_relu: Callable[[Array], Array]
    normalise: Callable[[Array], Array]
    concatenate: Callable[[Sequence[Array]], Array]
    clip: Callable[[Array, Array, Array], Array]
    smaller: Callable[[Array, Array], Array]
    stack: Callable[[Sequence[Array]], Array]


def step(model: Model, inputs: Sequence[Array], operations: Operations) -> tuple[Array, Array]:
    """New state and diagnostics in model units, of inputs in model units."""

    def parameter(name: str) -> Array:
        return operations.constant(np.asarray(model.parameters[name], dtype=np.float64))

    def of_variables(variables: Sequence[Variable], get: Callable[[Variable], float]) -> Array:
        return operations.constant(np.array([get(variable) for variable in variables]))

    def linear(layer: str, x: Array) -> Array:
        return x @ parameter(f"{layer}.weight").T + parameter(f"{layer}.bias")

    def chain(block: str, x: Array, first: Callable, others: Callable, ends_linear: bool = False) -> Array:
        count = layer_count(model.parameters, block)
        for k in range(count):
            x = linear(f"{block}.{k}", x)
            if k == count - 1 and ends_linear:
                return x
            if f"{block}.{k}.gain" in model.parameters:
                x = operations.normalise(x) * parameter(f"{block}.{k}.gain") + parameter(f"{block}.{k}.offset")
            x = (first if k == 0 else others)(x)
        return x

    def finished(x: Array, variables: Sequence[Variable]) -> Array:
        shift, scale = (of_variables(variables, lambda v, n=name: getattr(v.normalisation, n)) for name in _SCALING)
        lower, upper = (of_variables(variables, lambda v, n=name: getattr(v, n)) for name in _BOUNDS)
        clipped = operations.clip(x * scale + shift, lower, upper)
        known = dict(zip((v.name for v in (*model.static, *model.forcing)), bounds, strict=True))
        known |= {v.name: clipped[:, k] for k, v in enumerate(variables)}
        limited = [
            operations.smaller(clipped[:, k], known[v.bounded_by]) if v.bounded_by else clipped[:, k]
            for k, v in enumerate(variables)
        ]
        return operations.stack(limited)

    bounds = [inputs[group][:, k] for group in (0, 1) for k in range(inputs[group].shape[1])]

    static, forcing, state = (
        (values - of_variables(variables, lambda v: v.normalisation.shift))
        / of_variables(variables, lambda v: v.normalisation.scale)
        for values, variables in zip(inputs, (model.static, model.forcing, model.state), strict=True)
    )
    relu, leaky = operations.relu, operations.leaky_relu
    if model.architecture == "two_branch":
        branches = [chain("static", static, relu, relu)]
        branches.append(chain("dynamic", operations.concatenate([forcing, state]), relu, relu))
        hidden = chain("combine", operations.concatenate(branches), leaky, leaky)
    else:
        others = leaky if model.architecture == "simple" else relu
        hidden = chain("trunk", operations.concatenate([static, forcing, state]), relu, others)
    new_state = state + chain("prognostic", hidden, leaky, leaky, ends_linear=True)
    if model.architecture == "layer_norm":
        hidden = operations.concatenate([static, forcing, new_state])
        diagnostics = chain("diagnostic", hidden, relu, relu, ends_linear=True)
    else:
        diagnostics = chain("diagnostic", hidden, leaky, leaky, ends_linear=True)
    return finished(new_state, model.state), finished(diagnostics, model.diagnostics)


_SCALING, _BOUNDS = ("shift", "scale"), ("lower_bound", "upper_bound")


def _normalise(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPSILON)


COMPLEX = Operations(
    constant=lambda array: array,
    relu=lambda x: np.where(x.real > 0.0, x, 0.0),
    leaky_relu=lambda x: np.where(x.real > 0.0, x, LEAKY_RELU_SLOPE * x),
    normalise=_normalise,
    concatenate=lambda parts: np.concatenate(parts, axis=1),
    clip=lambda x, lower, upper: np.where(
        (x.real > lower) & (x.real < upper), x, np.minimum(upper, np.maximum(lower, x.real))
    ),
    smaller=lambda x, bound: np.where(x.real < bound.real, x, bound),
    stack=lambda parts: np.stack(parts, axis=1),
)


def tangent_linear(
    model: Model, inputs: Sequence[np.ndarray], changes: Sequence[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of new state and diagnostics, float64, by a complex step.

    Squire and Trapp (1998), doi:10.1137/S003614459631241X.
    """
    moved = [
        values.astype(np.complex128) + (0.0 if change is None else 1j * _STEP * change.astype(np.float64))
        for values, change in zip(inputs, changes, strict=True)
    ]
    new_state, diagnostics = step(model, moved, COMPLEX)
    return new_state.imag / _STEP, diagnostics.imag / _STEP


def torch_tangent_linear(
    torch: Any, model: Model, inputs: Sequence[np.ndarray], changes: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The same by PyTorch's forward-mode differentiation in float64."""
    functional = torch.nn.functional
    operations = Operations(
        constant=lambda array: torch.from_numpy(np.array(array)),
        relu=torch.relu,
        leaky_relu=lambda x: functional.leaky_relu(x, LEAKY_RELU_SLOPE),
        normalise=lambda x: functional.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPSILON),
        concatenate=lambda parts: torch.cat(list(parts), dim=1),
        clip=torch.clamp,
        smaller=torch.minimum,
        stack=lambda parts: torch.stack(list(parts), dim=1),
    )
    primals, tangents = (tuple(torch.from_numpy(a.astype(np.float64)) for a in group) for group in (inputs, changes))
    _, results = torch.func.jvp(lambda *x: step(model, x, operations), primals, tangents)
    return results[0].numpy(), results[1].numpy()
