"""Random point-wise networks, and their step in NumPy float64 as anemoi makes it: what others are compared with.

Written from the description of anemoi's network, processors and boundings (`weights.architectures`,
`weights.processing`), variable by variable, without GT4Py; its error function is SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import erf

from ailand_gt4py.weights.model import Model, Normalisation, Variable, previous_name
from ailand_gt4py.weights.processing import Bounding, PointWise, Step, to_network, to_physical

Array = np.ndarray

ACTIVATIONS: dict[str, tuple[tuple[float, ...], Callable[..., Array]]] = {
    "gelu": ((), lambda x: 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))),
    "gelu_tanh": ((), lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))),
    "silu": ((), lambda x: x / (1.0 + np.exp(-x))),
    "relu": ((), lambda x: np.maximum(x, 0.0)),
    "leaky_relu": ((0.05,), lambda x, slope: np.where(x > 0.0, x, slope * x)),
    "elu": ((0.7,), lambda x, alpha: np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))),
    "tanh": ((), np.tanh),
    "softplus": ((1.5, 2.0), lambda x, beta, most: np.where(beta * x > most, x, np.log1p(np.exp(beta * x)) / beta)),
    "identity": ((), lambda x: x),
    "sine": ((1.3, 0.2), lambda x, w, phi: np.sin(w * x + phi)),
    "custom_relu": ((-0.1,), lambda x, threshold: np.maximum(x - threshold, 0.0) + threshold),
}

#: A processing of variables about 0.5, and what the network sees then is of order one.
PROCESSINGS: dict[str, tuple[Step, ...]] = {
    "plain": (),
    "affine": (Step("affine", (3.0, -1.5)),),
    "imputed": (Step("impute", (0.4,)), Step("affine", (3.0, -1.5))),
    "normalised first": (Step("affine", (3.0, -1.5)), Step("impute", (0.4,))),
    "log1p": (Step("log1p"), Step("affine", (3.0, -1.5))),
    "sqrt": (Step("impute", (0.3,)), Step("sqrt"), Step("affine", (3.0, -1.5))),
    "power": (Step("power", (0.33, 1.0, 0.0)), Step("affine", (3.0, -1.5))),
    "tangent": (Step("power", (0.33, 0.0, 1.0)), Step("affine", (3.0, -1.5))),
    "boxcox": (Step("boxcox", (0.5,)), Step("affine", (2.0, 1.0))),
    "logarithm": (Step("boxcox", (0.0,)), Step("affine", (1.0, 0.5))),
    "asinh": (Step("asinh", (4.0,)), Step("affine", (1.0, -1.5))),
    "atanh": (Step("atanh", (2.0,)), Step("affine", (0.7, 0.1))),
    "scale": (Step("scale", (2.0, 1.0)), Step("affine", (1.5, -3.0))),
    "atoms": (Step("boundary_atoms", (0.3, 0.1, 0.8, 1.0, 0.01)), Step("affine", (3.0, -1.5))),
    "lower atom": (Step("boundary_atoms", (0.3, 0.1, math.inf, math.inf, 0.0)), Step("affine", (3.0, -1.5))),
}


def point_wise_model(
    sizes: tuple[int, int, int, int] = (4, 3, 3, 3),
    *,
    n_times: int = 1,
    seed: int = 0,
    channels: int = 6,
    depth: int = 2,
    ratio: float = 2.0,
    network: PointWise | None = None,
    processings: Sequence[str] = ("plain",),
    boundings: tuple[Bounding, ...] = (),
    dtype: type = np.float32,
) -> Model:
    """A random model; sizes of one time each: static, forcing, prognostic, diagnostics.

    Variables are ``static_0``, ``forcing_0``, ``forcing_0_before``, ...; their processings are those of these names in
    turn.
    """
    rng = np.random.default_rng(seed)
    turn = 0

    def variable(name: str, **known: str) -> Variable:
        nonlocal turn
        steps = PROCESSINGS[processings[turn % len(processings)]]
        turn += 1
        return Variable(
            name, "1", **known, normalisation=Normalisation("mean-std", mean=0.5, std=0.3), processing=steps
        )

    def at_times(prefix: str, count: int, meaning: str) -> tuple[Variable, ...]:
        newest = [variable(f"{prefix}_{k}", time_meaning=meaning) for k in range(count)]
        found, suffixes = list(newest), ["", "_before", *(f"_before{k}" for k in range(2, n_times))]
        for earlier, later in zip(suffixes[1:n_times], suffixes[: n_times - 1], strict=True):
            found += [
                Variable(
                    f"{one.name}{earlier}", "1", derived=previous_name(f"{one.name}{later}"), time_meaning=meaning,
                    normalisation=one.normalisation, processing=one.processing,
                )
                for one in newest
            ]  # fmt: skip
        return tuple(found)

    n_static, n_forcing, n_new, n_diagnostics = sizes
    hidden, n_in = int(channels * ratio + 0.5), n_static + (n_forcing + n_new) * n_times
    shapes: dict[str, tuple[int, ...]] = {"encoder.0.weight": (channels, n_in), "encoder.0.bias": (channels,)}
    for k in range(depth):
        shapes[f"processor.{k}.weight"] = (hidden, channels)
        shapes |= {f"processor.{k}.{kind}": (hidden,) for kind in ("bias", "gain", "offset")}
        if hidden != channels:
            shapes |= {f"processor.{k}.weight_out": (channels, hidden), f"processor.{k}.bias_out": (channels,)}
    shapes |= {"decoder.0.gain": (channels,), "decoder.0.offset": (channels,)}
    shapes |= {"decoder.0.weight": (n_new + n_diagnostics, channels), "decoder.0.bias": (n_new + n_diagnostics,)}
    parameters = {name: rng.normal(size=shape) / np.sqrt(shape[-1]) for name, shape in shapes.items()}
    for name in parameters:
        if name.endswith("gain"):
            parameters[name] = 1.0 + parameters[name]
    # Results near enough to the state for the inverses of all processings.
    parameters["decoder.0.weight"] *= 0.3
    return Model(
        architecture="point_wise",
        static=tuple(variable(f"static_{k}", time_meaning="static") for k in range(n_static)),
        forcing=at_times("forcing", n_forcing, "window mean"),
        state=at_times("state", n_new, "window start"),
        diagnostics=tuple(variable(f"diagnostic_{k}", time_meaning="window end") for k in range(n_diagnostics)),
        parameters={name: array.astype(dtype) for name, array in parameters.items()},
        step_seconds=21600.0,
        point_wise=network or PointWise(),
        boundings=boundings,
    )


def some_inputs(model: Model, n_columns: int, precision: str = "float64", seed: int = 0) -> list[Array]:
    """Values within [0.05, 0.95], of which some are beyond atoms."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.05, 0.95, size=(n_columns, size)).astype(precision) for size in model.sizes[:3]]


def with_missing(model: Model, inputs: list[Array], share: float = 0.3, seed: int = 5) -> list[Array]:
    """The same, with values missing that are imputed."""
    rng = np.random.default_rng(seed)
    inputs = [values.copy() for values in inputs]
    for values, variables in zip(inputs, (model.static, model.forcing, model.state), strict=True):
        for k, variable in enumerate(variables):
            if any(step.kind == "impute" for step in variable.processing):
                values[rng.uniform(size=len(values)) < share, k] = np.nan
    return inputs


def _normalised(variables: Sequence[Variable], values: Array) -> Array:
    columns = [
        to_network(one.processing, values[:, k]) if one.processing else one.normalisation.apply(values[:, k])
        for k, one in enumerate(variables)
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))


def _physical(variable: Variable, values: Array) -> Array:
    if variable.processing:
        return to_physical(variable.processing, values)
    return values * variable.normalisation.scale + variable.normalisation.shift


def _layer_norm(model: Model, x: Array, name: str) -> Array:
    assert model.point_wise is not None
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + model.point_wise.epsilon)
    return centred / deviation * model.parameters[f"{name}.gain"] + model.parameters[f"{name}.offset"]


def reference_step(model: Model, static: Array, forcing: Array, state: Array) -> tuple[Array, Array]:
    """New state and diagnostics in physical units."""
    network, parameters = model.point_wise, {k: v.astype(np.float64) for k, v in model.parameters.items()}
    assert network is not None
    static, forcing, state = (np.asarray(one, np.float64) for one in (static, forcing, state))
    n_new = model.n_prognostic
    groups = zip((model.static, model.forcing, model.state), (static, forcing, state), strict=True)
    normalised = [_normalised(variables, values) for variables, values in groups]
    encoded = np.concatenate(normalised, axis=1) @ parameters["encoder.0.weight"].T + parameters["encoder.0.bias"]
    x = encoded
    for k in range(sum(name.startswith("processor.") and name.endswith(".gain") for name in parameters)):
        x = x @ parameters[f"processor.{k}.weight"].T + parameters[f"processor.{k}.bias"]
        x = ACTIVATIONS[network.activation][1](_layer_norm(model, x, f"processor.{k}"), *network.activation_parameters)
        if f"processor.{k}.weight_out" in parameters:
            x = x @ parameters[f"processor.{k}.weight_out"].T + parameters[f"processor.{k}.bias_out"]
    x = x + encoded if network.latent_skip else x
    out = _layer_norm(model, x, "decoder.0") @ parameters["decoder.0.weight"].T + parameters["decoder.0.bias"]
    out[:, :n_new] += normalised[2][:, :n_new]
    variables = (*model.state[:n_new], *model.diagnostics)
    position = {variable.name: k for k, variable in enumerate(variables)}
    for bounding in model.boundings:
        for name, lower, upper in zip(bounding.variables, bounding.lower, bounding.upper, strict=True):
            value = out[:, position[name]]
            bounded = np.clip(value, lower, upper)
            out[:, position[name]] = bounded + bounding.slope * (value - bounded)
        for name in bounding.variables if bounding.kind == "fraction" else ():
            out[:, position[name]] *= out[:, position[bounding.total]]
    results = np.stack([_physical(one, out[:, k]) for k, one in enumerate(variables)], axis=1)
    for k, variable in enumerate(model.state[:n_new]):
        if any(step.kind == "impute" for step in variable.processing):
            results[np.isnan(state[:, len(model.state) - n_new + k]), k] = np.nan
    return np.concatenate([results[:, :n_new], state[:, : len(model.state) - n_new]], axis=1), results[:, n_new:]
