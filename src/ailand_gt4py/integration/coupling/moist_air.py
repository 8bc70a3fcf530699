"""Water in a host's air: its virtual temperature and its heat capacity, with the host's own constants."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ailand_gt4py.core import arrays


@dataclasses.dataclass(frozen=True)
class MoistAir:
    """A host's constants for air with water in it; water is given as species -> mass over that of the air, kg kg-1.

    Attributes:
        vapour: name of the species that is vapour.
        virtual: gas constant of vapour over that of dry air, less 1.
        dry_heat, water_heats: specific heats at constant volume of dry air and of the species, J kg-1 K-1.
    """

    vapour: str
    virtual: float
    dry_heat: float
    water_heats: Mapping[str, float]

    def virtual_factor(self, water: Mapping[str, arrays.Array]) -> Any:
        """Virtual temperature over temperature: 1 + virtual times vapour, less liquid and frozen water."""
        factor: Any = 1.0
        for name, content in water.items():
            factor = factor + (self.virtual if name == self.vapour else -1.0) * content
        return factor

    def specific_heat(self, water: Mapping[str, arrays.Array]) -> Any:
        """At constant volume, J kg-1 K-1."""
        heat: Any = self.dry_heat
        for name, content in water.items():
            heat = heat + (self.water_heats[name] - self.dry_heat) * content
        return heat
