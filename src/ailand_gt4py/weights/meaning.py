"""Where a model's inputs and outputs have a meaning: properties of snow where there is snow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.snow import LEAST_WATER
from ailand_gt4py.weights.model import Model

SNOW_PROPERTIES = ("rsn", "tsn", "asn", "slw")
SNOW_AMOUNTS = ("sd", "snowc")
VEGETATION = {
    **dict.fromkeys(("lai_hv", "clim_veg_covh", "clim_veg_z0mh", "clim_veg_rsminh"), "clim_cvh"),
    **dict.fromkeys(("lai_lv", "clim_veg_covl", "clim_veg_z0ml", "clim_veg_rsminl"), "clim_cvl"),
}
Lookup = Callable[[str], "Values | None"]


def lookup(model: Model, static: Values, forcing: Values, state: Values) -> Lookup:
    """A function that gives the values (...,) of an input (..., n_features) by its name, None where there is none."""
    groups = ((model.static, static), (model.forcing, forcing), (model.state, state))
    found = {one.name: values[..., k] for variables, values in groups for k, one in enumerate(variables)}
    return found.get


def has_snow(get: Lookup) -> Values | None:
    """Whether there is snow; None where the model knows none."""
    water, cover = get("sd"), get("snowc")
    if water is not None:
        result: Values = water > LEAST_WATER
        return result
    return None if cover is None else np.asarray(cover > 0.0)


def snow_of_state(model: Model, state: Values) -> Values | None:
    """Whether there is snow in states (..., n_state); None where the model knows none."""
    names = [variable.name for variable in model.state]
    return has_snow(lambda name: state[..., names.index(name)] if name in names else None)


def meaningful_static(model: Model, static: Values, names: Sequence[str]) -> Values:
    """(n_columns, n_names): where static inputs of these names have a meaning; static: (n_columns, n_static)."""
    positions = {variable.name: position for position, variable in enumerate(model.static)}
    covers = [positions.get(VEGETATION.get(name, ""), -1) for name in names]
    rows = [np.ones(len(static), dtype=bool) if position < 0 else static[:, position] > 0.0 for position in covers]
    return np.stack(rows, axis=1)
