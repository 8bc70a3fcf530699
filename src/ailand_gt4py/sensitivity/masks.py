"""Where a derivative has no meaning, although the network has one: docs/jacobian.md, "What is left out".

The rules hold for those of the variables that a model has. A derivative that is zero because a result is at a bound,
such as dry soil, is the step's true derivative and stays; what is not finite never does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.sensitivity.quantities import Quantity
from ailand_gt4py.weights.meaning import SNOW_AMOUNTS, SNOW_PROPERTIES, VEGETATION, Lookup, has_snow, lookup
from ailand_gt4py.weights.model import Model, previous_name

#: Quantiles of the air's temperature over windows with precipitation in this project's ecLand runs (training columns):
#: 99.9 % for snowfall, rounded up; 0.1 % for rainfall, rounded down. K.
WARMEST_SNOWFALL, COLDEST_RAINFALL = 278.15, 267.15


def _within(values: Values | None, low: float, high: float) -> Values | None:
    return None if values is None else np.asarray((values >= low) & (values <= high))


def _is_positive(values: Values | None) -> Values | None:
    return None if values is None else np.asarray(values > 0.0)


def _of_input(quantity: Quantity, model: Model, get: Lookup) -> Values | None:
    """Where the derivative with respect to an input has a meaning; None: everywhere."""
    name, air = quantity.name, "met_tair"
    if name in (*SNOW_PROPERTIES, *SNOW_AMOUNTS):
        return has_snow(get)
    if name in VEGETATION:
        return _is_positive(get(VEGETATION[name]))
    if quantity.variable.is_previous:
        name = quantity.variable.previous_of
        air = next((one.name for one in model.forcing if one.derived == previous_name(air)), "")
    if name == "met_swdown":
        return _is_positive(get(quantity.name))
    if name == "met_snowf":
        return _within(get(air), -np.inf, WARMEST_SNOWFALL)
    return _within(get(air), COLDEST_RAINFALL, np.inf) if name == "met_rainf" else None


def _of_output(name: str, at_start: Lookup, at_end: Lookup) -> Values | None:
    """Where the derivative of an output has a meaning; None: everywhere."""
    if name == "ssr":
        return _is_positive(at_start("met_swdown"))
    if name not in (*SNOW_PROPERTIES, *SNOW_AMOUNTS):
        return None
    before, after = has_snow(at_start), has_snow(at_end)
    return after if before is None or after is None or name in SNOW_PROPERTIES else np.asarray(before | after)


def meaningful(
    outputs: Sequence[Quantity],
    inputs: Sequence[Quantity],
    model: Model,
    static: Values,
    forcing: Values,
    state: Values,
    new_state: Values,
) -> tuple[Values, Values]:
    """(n_outputs, ...) and (n_inputs, ...), where outputs and inputs have a meaning, finite or not."""
    at_start, at_end = (lookup(model, static, forcing, values) for values in (state, new_state))
    of_outputs = [_of_output(one.name, at_start, at_end) for one in outputs]
    of_inputs = [_of_input(one, model, at_start) for one in inputs]
    shape = state.shape[:-1]
    of_output, of_input = (
        np.stack([np.broadcast_to(True if one is None else one, shape) for one in found])
        for found in (of_outputs, of_inputs)
    )
    return of_output, of_input
