"""Water of ecLand's soil layers, and variables that know that frozen water stays where it is.

A layer that is frozen takes and loses next to no water in ecLand (``srfwdif_mod``: ice blocks the pores; Viterbo et al.
1999, doi:10.1002/qj.49712555904), unless it comes from a layer above that has thawed; above 272.2 K its changes in 6
hours are as large as in warm ground. A network that is to give none gives little, and over a winter that adds up.

`PASSING` and `THAWING_RANGE` are this project's, chosen on the changes in ecLand's runs (`docs/studies/frost.md`).

A variable that is said to change by `SOIL_WATER` changes by the network's output times the share of it that the frost
lets through. With T the highest of the layer's temperature and that of the layer above, each before and after the step:

    share = PASSING + (1 - PASSING) min(1, max(0, (T - FROZEN_BELOW) / THAWING_RANGE))

What passes nevertheless lets the network give the rain that seeps into frozen ground.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland.soil_heat import FROZEN_BELOW, WATER_DENSITY
from ailand_gt4py.ecland.soil_tables import LAYER_THICKNESS

#: What a state variable's increment may be one of.
SOIL_WATER = "soil_water"

#: The share of its usual changes that frozen ground lets through.
PASSING = 0.1
#: So far above `FROZEN_BELOW`, K, all of it passes.
THAWING_RANGE = 0.2

#: The volumetric soil water of each layer, by the names of ec-land-db, and what a unit of it holds, kg m-2.
WATER_HELD = {f"swvl{layer}": WATER_DENSITY * thickness for layer, thickness in enumerate(LAYER_THICKNESS, start=1)}


def temperature_positions(water: str, state: Sequence[str]) -> tuple[int, int]:
    """Positions among the state's names of a layer's own temperature and that of the layer above, if there is one.

    Raises:
        InputError: one of them is not there.
    """
    layer = list(WATER_HELD).index(water) + 1
    names = f"stl{layer}", f"stl{max(layer - 1, 1)}"
    if missing := sorted({name for name in names if name not in state}):
        raise InputError(f"frost holds the water of '{water}' by {' and '.join(missing)}, expected it among the state")
    own, above = (list(state).index(name) for name in names)
    return own, above


def thawed(is_temperature: Sequence[bool], shift: Values, scale: Values) -> tuple[Values, Values]:
    """Factor and offset (n,) by which a normalised temperature becomes (T - FROZEN_BELOW) / THAWING_RANGE.

    Both are 0 for what is none.
    """
    factor = np.where(is_temperature, scale / THAWING_RANGE, 0.0)
    return factor, np.where(is_temperature, (shift - FROZEN_BELOW) / THAWING_RANGE, 0.0)


def temperature_choices(names: Sequence[str], is_held: Sequence[bool]) -> tuple[Values, Values]:
    """Matrices (n, n) with a 1 where a variable's own temperature is, and that of the layer above, of those held."""
    own, above = np.zeros((2, len(names), len(names)))
    for variable in np.flatnonzero(is_held).tolist():
        for choice, temperature in zip((own, above), temperature_positions(names[variable], names), strict=True):
            choice[variable, temperature] = 1.0
    return own, above
