"""One step of a network on typical inputs, to see that it gives numbers at all."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import architectures
from ailand_gt4py.weights.model import Model

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
            for values in (results, np.clip(results, lower, upper)):
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
                values = values - values.mean(axis=1, keepdims=True)
                values = values / np.sqrt((values**2).mean(axis=1, keepdims=True) + np.float32(LAYER_NORM_EPSILON))
                gain, offset = (parameters[f"{name}.{layer}.{kind}"].astype(np.float32) for kind in ("gain", "offset"))
                values = values * gain + offset
            values = np.maximum(values, np.float32(LEAKY_RELU_SLOPE) * values)
        if block.output == "state":
            values = known["state"] + values
            known["new_state"] = values
        known[name] = values
        if block.output:
            results[block.output] = values
    return results
