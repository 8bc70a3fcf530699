"""Derivatives of the published networks without any derivative written by hand: by complex numbers and by PyTorch.

The step is written once, for whatever numbers its operations take; `network_reference` says what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.ecland import soil_heat
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
    logarithm: Callable[[Array, float], Array]
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

    def normalised(values: Array, variables: Sequence[Variable]) -> Array:
        parts = [
            operations.logarithm(values[:, k], v.normalisation.minimum)
            if v.normalisation.is_logarithmic
            else values[:, k]
            for k, v in enumerate(variables)
        ]
        shift, scale = (of_variables(variables, lambda v, n=name: getattr(v.normalisation, n)) for name in _SCALING)
        return (operations.stack(parts) - shift) / scale

    static, forcing, state = (
        normalised(values, variables)
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
    change = chain("prognostic", hidden, leaky, leaky, ends_linear=True)
    free = operations.stack(
        [
            _heated(model, inputs, location, change[:, location], operations)
            if variable.increment_of == "soil_heat"
            else state[:, location] + change[:, location]
            for location, variable in enumerate(model.state)
        ]
    )
    new_state = operations.stack(
        [
            _held(model, state, free, change, location, operations)
            if variable.increment_of == "soil_water"
            else free[:, location]
            for location, variable in enumerate(model.state)
        ]
    )
    if model.architecture == "layer_norm":
        hidden = operations.concatenate([static, forcing, new_state])
        diagnostics = chain("diagnostic", hidden, relu, relu, ends_linear=True)
    else:
        diagnostics = chain("diagnostic", hidden, leaky, leaky, ends_linear=True)
    return finished(new_state, model.state), finished(diagnostics, model.diagnostics)


def _in_kelvin(values: Array, variable: Variable) -> Array:
    return values * float(variable.normalisation.scale) + float(variable.normalisation.shift)


def _thawed(temperature: Array, operations: Operations) -> Array:
    zero, one = (operations.constant(np.array(value)) for value in (0.0, 1.0))
    return operations.clip((temperature - 272.16) / 0.2, zero, one)


def _held(model: Model, before: Array, free: Array, change: Array, location: int, operations: Operations) -> Array:
    """Soil water of a layer, normalised, of which frost lets a part of the change through."""
    layer = int(model.state[location].name[-1])
    warmest = None
    for k, variable in enumerate(model.state):
        if variable.name in (f"stl{layer}", f"stl{layer - 1}"):
            for values in (before, free):
                here = _in_kelvin(values[:, k], variable)
                warmest = here if warmest is None else -operations.smaller(-warmest, -here)
    share = 0.1 + 0.9 * _thawed(warmest, operations)
    return before[:, location] + share * change[:, location]


def _heated(model: Model, inputs: Sequence[Array], location: int, change: Array, operations: Operations) -> Array:
    """A new soil temperature, normalised, by its heat in K; formulas of ecLand (`ailand_gt4py.ecland.soil_heat`)."""
    scaling = model.state[location].normalisation
    of_static = {variable.name: inputs[0][:, k] for k, variable in enumerate(model.static)}
    low, low_density, high, high_density, theta_cap, theta_sat = (of_static[name] for name in soil_heat.PROPERTIES)
    capacity = (1.0 - theta_sat) * 1.6e6 + theta_cap * 4.18e6
    latent = 333.7e6 * (low * low_density + high * high_density) * theta_cap / capacity
    zero, one = (operations.constant(np.array(value)) for value in (0.0, 1.0))
    temperatures = np.linspace(272.16, 274.16, 9)
    frozen = 0.5 * (1.0 - np.sin(0.5 * np.pi * (temperatures - 273.16)))

    def melted(value: Array, nodes: Sequence[Array]) -> Array:
        parts = [
            float(frozen[k] - frozen[k + 1])
            * operations.clip((value - nodes[k]) / (nodes[k + 1] - nodes[k]), zero, one)
            for k in range(8)
        ]
        return sum(parts[1:], parts[0])

    before = inputs[2][:, location]
    melted_before = melted(before, temperatures.tolist())
    heat = before + change * scaling.scale - latent * (1.0 - melted_before)
    melted_after = melted(heat, [float(t) - latent * float(f) for t, f in zip(temperatures, frozen, strict=True)])
    return (heat + latent * (1.0 - melted_after) - scaling.shift) / scaling.scale


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
    logarithm=lambda x, floor: np.log(np.where(x.real > floor, x, floor)),
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


def jacobian(model: Model, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """(n_columns, results, inputs), float64, by one complex step for each input."""
    sizes = [values.shape[1] for values in inputs]
    columns = []
    for location in range(sum(sizes)):
        changes = [np.zeros(values.shape) for values in inputs]
        group = int(np.searchsorted(np.cumsum(sizes), location, side="right"))
        changes[group][:, location - sum(sizes[:group])] = 1.0
        columns.append(np.concatenate(tangent_linear(model, inputs, changes), axis=1))
    return np.stack(columns, axis=2)


def torch_operations(torch: Any) -> Operations:
    """Those of PyTorch."""
    functional = torch.nn.functional
    return Operations(
        constant=lambda array: torch.from_numpy(np.array(array)),
        relu=torch.relu,
        leaky_relu=lambda x: functional.leaky_relu(x, LEAKY_RELU_SLOPE),
        normalise=lambda x: functional.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPSILON),
        concatenate=lambda parts: torch.cat(list(parts), dim=1),
        clip=torch.clamp,
        smaller=torch.minimum,
        logarithm=lambda x, floor: torch.log(torch.clamp(x, min=floor)),
        stack=lambda parts: torch.stack(list(parts), dim=1),
    )


def torch_tangent_linear(
    torch: Any, model: Model, inputs: Sequence[np.ndarray], changes: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Changes of the results by PyTorch's forward-mode differentiation in float64."""
    primals, tangents = (tuple(torch.from_numpy(a.astype(np.float64)) for a in group) for group in (inputs, changes))
    _, results = torch.func.jvp(lambda *x: step(model, x, torch_operations(torch)), primals, tangents)
    return results[0].numpy(), results[1].numpy()


def torch_adjoint(
    torch: Any, model: Model, inputs: Sequence[np.ndarray], gradients: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Gradients with respect to the inputs by PyTorch's reverse-mode differentiation in float64."""
    given = [torch.from_numpy(values.astype(np.float64)).requires_grad_() for values in inputs]
    results = step(model, given, torch_operations(torch))
    found = torch.autograd.grad(results, given, [torch.from_numpy(g.astype(np.float64)) for g in gradients])
    return tuple(gradient.numpy() for gradient in found)


def torch_jacobian(torch: Any, model: Model, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """(n_columns, results, inputs) by PyTorch's reverse-mode differentiation in float64, one result after another."""
    n_columns, sizes = len(inputs[0]), model.sizes
    n_results = sizes.state + sizes.diagnostics
    rows = []
    for location in range(n_results):
        gradient = np.zeros((n_columns, n_results))
        gradient[:, location] = 1.0
        parts = torch_adjoint(torch, model, inputs, (gradient[:, : sizes.state], gradient[:, sizes.state :]))
        rows.append(np.concatenate(parts, axis=1))
    return np.stack(rows, axis=1)
