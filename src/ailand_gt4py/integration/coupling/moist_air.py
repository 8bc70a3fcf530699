"""Water in ICON4Py's air: its virtual temperature and its heat capacity, with ICON4Py's own constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from icon4py.model.common import constants

#: Species that count as water in the air's heat capacity, with their specific heats at constant volume, J kg-1 K-1.
SPECIFIC_HEATS: dict[str, float] = {
    "qv": constants.CVV,
    "qc": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qr": constants.SPECIFIC_HEAT_CAPACITY_LIQUID_WATER,
    "qi": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qs": constants.SPECIFIC_HEAT_CAPACITY_ICE,
    "qg": constants.SPECIFIC_HEAT_CAPACITY_ICE,
}


def virtual_factor(tracers: Any, at: Callable[[Any], Any]) -> Any:
    """Tv / T = 1 + (Rv/Rd - 1) qv - qc - qi - qr - qs - qg.

    Args:
        tracers: ICON4Py's tracers; None, or a species that is None: there is none of it. at: picks the positions wanted
            out of a (Cell, K) field.
    """
    factor: Any = 1.0
    for name in SPECIFIC_HEATS:
        field = getattr(tracers, name, None)
        if field is not None:
            factor = factor + (constants.RV_O_RD_MINUS_1 if name == "qv" else -1.0) * at(field)
    return factor


def specific_heat(tracers: Any, at: Callable[[Any], Any]) -> Any:
    """Of the air at constant volume, J kg-1 K-1; arguments as for `virtual_factor`."""
    heat: Any = constants.CVD
    for name, of_species in SPECIFIC_HEATS.items():
        field = getattr(tracers, name, None)
        if field is not None:
            heat = heat + (of_species - constants.CVD) * at(field)
    return heat
