"""One step of a network on typical inputs, to see that it gives numbers at all."""

from __future__ import annotations

import math

import numpy as np

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import Model, Variable

#: Inputs in the network's space: the training means, and all one standard deviation (or the like) to either side.
TYPICAL = (0.0, -1.0, 1.0)

#: Results of typical inputs are of order one there, and less than this in a network that was trained at all.
LARGEST_RESULT = 1e9


def check_step(model: Model) -> None:
    """Refuse parameters that make numbers overflow, or anything near it, in single precision.

    Bounds by other variables, boundings and soil heat are left out: they make nothing larger. Activations are leaky
    ones throughout, for the same reason.

    Raises:
        InputError: naming a result, what was found and what is expected.
    """
    with np.errstate(all="ignore"):
        made = _point_wise_step(model) if model.architecture == architectures.POINT_WISE else _step(model)
        for group, results in made.items():
            variables = getattr(model, group)[: results.shape[1]]
            lower, upper = ([_in_network(one, bound) for one in variables] for bound in ("lower_bound", "upper_bound"))
            for values in (results, np.clip(results, lower, upper)):
                wrong = np.argwhere(~(np.abs(values) < LARGEST_RESULT))
                if wrong.size:
                    column, index = wrong[0]
                    raise InputError(
                        f"a step on {'typical inputs' if column else 'the training means'} gives "
                        f"{values[column, index]:.3g} for '{variables[index].name}' in the network's space, expected a "
                        "number of order one; parameters or bounds are no trained network's"
                    )


def _in_network(variable: Variable, bound: str) -> float:
    """A variable's bound in the network's space; of one with steps of its own none, whose inverses are bounded."""
    value = float(getattr(variable, bound))
    if variable.processing:
        return math.copysign(math.inf, -1.0 if bound == "lower_bound" else 1.0)
    return (value - variable.normalisation.shift) / variable.normalisation.scale


def _step(model: Model) -> dict[str, np.ndarray]:
    """``state`` and ``diagnostics`` of the `TYPICAL` inputs in the network's space, (3, n) each, float32."""
    definition, parameters = architectures.find(model.architecture), model.parameters
    known = _typical(model)
    results = {}
    for name, block in definition.blocks.items():
        values = np.concatenate([known[source] for source in (*block.of_variables, *block.of_blocks)], axis=1)
        count = architectures.layer_count(parameters, name)
        for layer in range(count):
            weight, bias = (parameters[f"{name}.{layer}.{kind}"].astype(np.float32) for kind in ("weight", "bias"))
            values = values @ weight.T + bias
            if block.output and layer == count - 1:
                break
            if block.is_normalised:
                values = _normalised(model, f"{name}.{layer}", values)
            values = np.maximum(values, np.float32(LEAKY_RELU_SLOPE) * values)
        if block.output == "state":
            values = known["state"] + values
            known["new_state"] = values
        known[name] = values
        if block.output:
            results[block.output] = values
    return results


def _typical(model: Model) -> dict[str, np.ndarray]:
    """The `TYPICAL` inputs of each group, (3, n)."""
    typical = np.array(TYPICAL, np.float32)[:, None]
    return {group: np.repeat(typical, size, axis=1) for group, size in model.sizes._asdict().items()}


def _normalised(model: Model, layer: str, values: np.ndarray) -> np.ndarray:
    """After the layer normalisation of a layer."""
    epsilon = LAYER_NORM_EPSILON if model.point_wise is None else model.point_wise.epsilon
    values = values - values.mean(axis=1, keepdims=True)
    values = values / np.sqrt((values**2).mean(axis=1, keepdims=True) + np.float32(epsilon))
    gain, offset = (model.parameters[f"{layer}.{kind}"].astype(np.float32) for kind in ("gain", "offset"))
    return values * gain + offset


def _point_wise_step(model: Model) -> dict[str, np.ndarray]:
    """As `_step`, of that architecture; the state is that of the newest time."""
    known = _typical(model)

    def linear(layer: str, values: np.ndarray, kind: str = "") -> np.ndarray:
        weight, bias = (
            model.parameters[f"{layer}.{part}{kind}"].astype(np.float32, copy=False) for part in ("weight", "bias")
        )
        return values @ weight.T + bias

    values = encoded = linear(
        "encoder.0", np.concatenate([known[group] for group in ("static", "forcing", "state")], 1)
    )
    for k in range(architectures.layer_count(model.parameters, "processor")):
        values = _normalised(model, f"processor.{k}", linear(f"processor.{k}", values))
        values = np.maximum(values, np.float32(LEAKY_RELU_SLOPE) * values)
        if f"processor.{k}.weight_out" in model.parameters:
            values = linear(f"processor.{k}", values, "_out")
    values = _normalised(model, "decoder.0", values + encoded)
    state, diagnostics = np.split(linear("decoder.0", values), [model.n_prognostic], axis=1)
    return {"state": known["state"][:, : model.n_prognostic] + state, "diagnostics": diagnostics}
