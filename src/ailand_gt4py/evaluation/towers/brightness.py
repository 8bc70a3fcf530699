"""What a radiometer would observe of a run's soil and of ecLand's, beside what it did."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_heat import LIQUID_ABOVE
from ailand_gt4py.observations.operators import Columns, Situation, make_operator, position_of
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE

NAMES = ("tbh", "tbv")
#: What the operator is made of, beside static fields.
_NEEDED = ("swvl1", "stl1", "stl2", "lai_hv", "lai_lv", "snowc")
#: Snow cover from which on, 1, and temperature of the uppermost layer below which, K, the operator does not describe
#: a column: as assimilation screens them.
SNOW, FROZEN = 0.01, LIQUID_ABOVE


def observables(model: Model) -> tuple[Variable, ...]:
    """Brightness temperatures, of a model with the soil and leaves that they depend on."""
    names = {one.name for one in (*model.state, *model.forcing)}
    return tuple(CATALOGUE[name].variable() for name in NAMES) if names >= set(_NEEDED) else ()


def equivalents(model: Model, static: Values, clay: Values, forcing: Values, results: Values) -> dict[str, Values]:
    """Brightness temperatures at the ends of windows, (n, n_columns) K by name; NaN of snow and frozen soil.

    Args:
        static: (n_columns, n_static). clay: (n_columns,) mass fraction.
        forcing: (n, n_columns, n_forcing) of the windows. results: (n, n_columns, n_outputs), states first.
    """
    n, n_columns = results.shape[:2]
    # All at once: the operator's work is in calling it.
    operator = make_operator("tb", Columns(model, np.tile(static, (n, 1)), np.tile(clay, n)))
    state, diagnostics = np.split(results.reshape(n * n_columns, -1), [len(model.state)], axis=1)
    values = operator.values(Situation(forcing.reshape(n * n_columns, -1), state, diagnostics))
    snow, soil = (state[:, position_of(model.state, *one, "observation tb")] for one in (("snowc", "1"), ("stl1", "K")))
    values = np.where(((snow > SNOW) | (soil < FROZEN))[:, None], np.nan, values).reshape(n, n_columns, len(NAMES))
    return {name: values[..., k] for k, name in enumerate(NAMES)}
