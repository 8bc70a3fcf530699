"""One step of a network on typical inputs, to see that it gives numbers at all."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.processing import PointWise

#: Inputs in the network's space: the training means, and all one standard deviation (or the like) to either side.
TYPICAL = (0.0, -1.0, 1.0)

#: Results of typical inputs are of order one there, and less than this in a network that was trained at all.
LARGEST_RESULT = 1e9


def check_step(model: Model) -> None:
    """Refuse parameters that make numbers overflow, or anything near it, in single precision.

    Bounds by other variables and soil heat are left out: they make nothing larger. Activations are leaky ones
    throughout, for the same reason.

    Raises:
        InputError: naming a result, what was found and what is expected.
    """
    with np.errstate(all="ignore"):
        for group, results in _step(model).items():
            variables = getattr(model, group)
            scalings = [variable.normalisation for variable in variables]
            lower = [(one.lower_bound - by.shift) / by.scale for one, by in zip(variables, scalings, strict=True)]
            upper = [(one.upper_bound - by.shift) / by.scale for one, by in zip(variables, scalings, strict=True)]
            n = results.shape[1]  # of a state, what the network gives: the newest
            for values in (results, np.clip(results, lower[:n], upper[:n])):
                wrong = np.argwhere(~(np.abs(values) < LARGEST_RESULT))
                if wrong.size:
                    column, index = wrong[0]
                    raise InputError(
                        f"a step on {'typical inputs' if column else 'the training means'} gives "
                        f"{values[column, index]:.3g} for '{variables[index].name}' in the network's space, expected a "
                        "number of order one; parameters or bounds are no trained network's"
                    )


def _step(model: Model) -> dict[str, np.ndarray]:
    """``state`` and ``diagnostics`` of the `TYPICAL` inputs in the network's space, (3, n) each, float32."""
    definition, parameters = architectures.find(model.architecture), model.parameters
    known: dict[str, np.ndarray] = {
        group: np.repeat(np.array(TYPICAL, np.float32)[:, None], size, axis=1)
        for group, size in model.sizes._asdict().items()
    }
    if model.point_wise is not None:
        return _point_wise_step(model, model.point_wise, np.concatenate(list(known.values())[:3], axis=1))
    results = {}
    for name, block in definition.blocks.items():
        values = np.concatenate([known[source] for source in (*block.of_variables, *block.of_blocks)], axis=1)
        count = architectures.layer_count(parameters, name)
        for layer in range(count):
            values = _linear(model, f"{name}.{layer}", values)
            if block.output and layer == count - 1:
                break
            if block.is_normalised:
                values = _normalised(model, f"{name}.{layer}", values, LAYER_NORM_EPSILON)
            values = _leaky(values)
        if block.output == "state":
            values = known["state"] + values
            known["new_state"] = values
        known[name] = values
        if block.output:
            results[block.output] = values
    return results


def _point_wise_step(model: Model, shape: PointWise, values: np.ndarray) -> dict[str, np.ndarray]:
    """The same of a network in which linear layers and normalisations stand in another order."""
    state = values[:, model.sizes.static + model.sizes.forcing :][:, : model.n_prognostic]
    encoded = values = _linear(model, "encoder.0", values)
    for layer in range(architectures.layer_count(model.parameters, "processor")):
        name = f"processor.{layer}"
        values = _leaky(_normalised(model, name, _linear(model, name, values), shape.epsilon))
        if f"{name}.weight_out" in model.parameters:
            values = _linear(model, name, values, "_out")
    values = values + encoded if shape.latent_skip else values
    values = _linear(model, "decoder.0", _normalised(model, "decoder.0", values, shape.epsilon))
    n = model.n_prognostic
    names = [variable.name for variable in (*model.state[:n], *model.diagnostics)]
    results = dict(zip(names, np.concatenate([state + values[:, :n], values[:, n:]], axis=1).T, strict=True))
    for bounding in model.boundings:
        for name, lower, upper in zip(bounding.variables, bounding.lower, bounding.upper, strict=True):
            total = results[bounding.total] if bounding.total else 1.0
            results[name] = np.clip(results[name], lower, upper) * total
    bounded = np.stack(list(results.values()), axis=1)
    return {"state": bounded[:, :n], "diagnostics": bounded[:, n:]}


def _linear(model: Model, layer: str, values: np.ndarray, suffix: str = "") -> np.ndarray:
    weight, bias = (model.parameters[f"{layer}.{kind}{suffix}"] for kind in ("weight", "bias"))
    result: np.ndarray = values @ weight.astype(np.float32, copy=False).T + bias.astype(np.float32, copy=False)
    return result


def _normalised(model: Model, layer: str, values: np.ndarray, epsilon: float) -> np.ndarray:
    gain, offset = (model.parameters[f"{layer}.{kind}"].astype(np.float32) for kind in ("gain", "offset"))
    values = values - values.mean(axis=1, keepdims=True)
    result: np.ndarray = values / np.sqrt((values**2).mean(axis=1, keepdims=True) + np.float32(epsilon)) * gain + offset
    return result


def _leaky(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, np.float32(LEAKY_RELU_SLOPE) * values)
