"""Where a derivative has no meaning, although the network has one.

A network can be differentiated anywhere. Where ecLand, which it was trained on, never varied an input, or keeps a value
only to have one, its derivative is an artefact. The rules, for those of the variables that a model has:

* Properties and amount of snow as inputs: only where there is snow at the start (``sd`` above `LEAST_WATER`; without
  ``sd`` in the model, ``snowc`` above zero). A cover without an amount of snow occurs nowhere.
* Density, temperature, albedo and liquid water of snow as outputs: only where there is snow at the end; amount and
  cover where there is some at the start or at the end.
* Short-wave radiation as an input, and what is absorbed of it: only where it shines.
* Snowfall as an input: only where the air is at most `WARMEST_SNOWFALL`; rainfall: only where it is at least
  `COLDEST_RAINFALL`. In ecLand's data 0.1 % of snowfall is warmer, 0.1 % of rainfall colder.
* Leaf area, roughness length, least stomatal resistance and density of a kind of vegetation: only where its cover is
  above zero.
* Whatever is not finite.

A derivative that is zero because a result is at a bound, such as dry soil, is the step's true derivative and stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.sensitivity.quantities import Quantity
from ailand_gt4py.weights.meaning import SNOW_AMOUNTS, SNOW_PROPERTIES, VEGETATION, Lookup, Values, has_snow, lookup
from ailand_gt4py.weights.model import PREVIOUS, Model, previous_name

#: Quantiles of the air's temperature over windows with precipitation in this project's ecLand runs (training columns):
#: 99.9 % for snowfall, rounded up; 0.1 % for rainfall, rounded down. K.
WARMEST_SNOWFALL, COLDEST_RAINFALL = 278.15, 267.15


def _of_input(quantity: Quantity, model: Model, get: Lookup) -> Values | None:
    name = quantity.name
    if name in (*SNOW_PROPERTIES, *SNOW_AMOUNTS):
        return has_snow(get)
    if name in VEGETATION:
        cover = get(VEGETATION[name])
        return None if cover is None else np.asarray(cover > 0.0)
    is_before = quantity.variable.is_previous
    plain = quantity.variable.derived.removeprefix(PREVIOUS) if is_before else name
    if plain == "met_swdown":
        values = get(name)
        return None if values is None else np.asarray(values > 0.0)
    if plain in ("met_snowf", "met_rainf"):
        air = get(_name_before(model, "met_tair") if is_before else "met_tair")
        if air is None:
            return None
        return np.asarray(air <= WARMEST_SNOWFALL if plain == "met_snowf" else air >= COLDEST_RAINFALL)
    return None


def _name_before(model: Model, name: str) -> str:
    """Name of the input that is a variable's value of the previous window; empty where the model has none."""
    return next((one.name for one in model.forcing if one.derived == previous_name(name)), "")


def _of_output(name: str, at_start: Lookup, at_end: Lookup) -> Values | None:
    if name == "ssr":
        sun = at_start("met_swdown")
        return None if sun is None else np.asarray(sun > 0.0)
    if name not in (*SNOW_PROPERTIES, *SNOW_AMOUNTS):
        return None
    before, after = has_snow(at_start), has_snow(at_end)
    if before is None or after is None or name in SNOW_PROPERTIES:
        return after
    return np.asarray(before | after)


def _stacked(found: Sequence[Values | None], shape: tuple[int, ...]) -> Values:
    everywhere = np.ones(shape, dtype=bool)
    return np.stack([everywhere if one is None else np.broadcast_to(one, shape) for one in found])


def meaningful(
    outputs: Sequence[Quantity],
    inputs: Sequence[Quantity],
    model: Model,
    static: Values,
    forcing: Values,
    state: Values,
    new_state: Values,
) -> tuple[Values, Values]:
    """Where derivatives have a meaning, by the rules above but the last.

    Args:
        static, forcing, state, new_state: (..., n_features), inputs of the steps and the states after them.

    Returns:
        (n_outputs, ...) and (n_inputs, ...), bool; a derivative has one where both are true.
    """
    at_start = lookup(model, static, forcing, state)
    at_end = lookup(model, static, forcing, new_state)
    shape = state.shape[:-1]
    return (
        _stacked([_of_output(one.name, at_start, at_end) for one in outputs], shape),
        _stacked([_of_input(one, model, at_start) for one in inputs], shape),
    )
