"""Observations at 2 m: temperature and relative humidity, of every step of six hours.

Errors of instrument and location: de Rosnay et al. 2013 (doi:10.1002/qj.2023), after Drusch et al. 2009
(doi:10.1029/2009GL037716).
"""

from __future__ import annotations

from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import (
    Columns,
    Direct,
    ObservationOperator,
    Situation,
    diagnostic,
    on_columns,
    register,
)
from ailand_gt4py.stencils.physics import humidity
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE


class ScreenTemperature(Direct):
    """Temperature 2 m above the ground: the model's diagnostic itself."""

    def __init__(self, model: Model) -> None:
        super().__init__((CATALOGUE["t2m"],), [diagnostic(model, "t2m", "observation t2m")])


class ScreenHumidity(ObservationOperator):
    """Relative humidity 2 m above the ground, over water, from the model's temperature and dew point."""

    observables = (CATALOGUE["rh2m"],)

    def __init__(self, model: Model) -> None:
        super().__init__([diagnostic(model, name, "observation rh2m") for name in ("t2m", "d2m")])

    def values(self, situation: Situation) -> Values:
        return on_columns(humidity.relative_humidity, self._columns(situation), ())[:, None]

    def slopes(self, situation: Situation) -> Values:
        return on_columns(humidity.relative_humidity_slopes, self._columns(situation), (2,)).T[:, None]


@register("t2m", hours=6.0, errors={"t2m": 1.0})
def _temperature(columns: Columns) -> ScreenTemperature:
    return ScreenTemperature(columns.model)


@register("rh2m", hours=6.0, errors={"rh2m": 4.0})
def _humidity(columns: Columns) -> ScreenHumidity:
    return ScreenHumidity(columns.model)
