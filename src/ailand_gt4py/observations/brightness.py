"""Observations of an L-band radiometer (SMOS, SMAP); the physics is in `stencils.physics.brightness`.

SMAP observes a mid-latitude location every two to three days. Error: 4 K, of instrument and forward model together, as
in NASA's level-4 soil moisture of SMAP (Reichle et al. 2017, doi:10.1175/JHM-D-17-0063.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations import microwave
from ailand_gt4py.observations.microwave import Radiometer
from ailand_gt4py.observations.operators import ObservationOperator, Situation, column_of, on_columns, position_of
from ailand_gt4py.observations.registry import Columns, register
from ailand_gt4py.stencils.physics import brightness
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE, units_of

_WHAT = "observation tb"


class BrightnessTemperature(ObservationOperator):
    """Brightness temperature above the canopy at L-band, H and V polarised.

    Neither the sky's reflection nor the atmosphere, a few K together, are in it. Snow, frozen soil, water and towns are
    not described: screen such columns. Columns without a clay fraction (organic soil) give NaN.

    Args:
        model: with ``swvl1``, ``stl1``, ``stl2``, leaf areas, covers and types of vegetation.
        static: (n_columns, n_static) in the model's order and units.
        clay: (n_columns,) mass fraction of clay in the soil, 0..1; see `microwave.clay_fraction`.
    """

    observables = (CATALOGUE["tbh"], CATALOGUE["tbv"])

    def __init__(self, model: Model, static: Values, clay: Values, radiometer: Radiometer | None = None) -> None:
        def positions(group: str, *names: str) -> list[int]:
            return [position_of(getattr(model, group), *known, _WHAT) for known in units_of(*names).items()]

        super().__init__([("state", position) for position in positions("state", "swvl1", "stl1", "stl2")])
        if clay.shape != (len(static),):
            raise InputError(f"{_WHAT}: found a clay fraction of the shape {clay.shape}, expected ({len(static)},)")
        self._radiometer = radiometer or Radiometer()
        self._leaf_positions = positions("forcing", "lai_hv", "lai_lv")
        names = ("clim_cvh", "clim_veg_covh", "clim_tvh", "clim_cvl", "clim_veg_covl", "clim_tvl")
        high, dense_high, type_high, low, dense_low, type_low = (
            column_of(static, position) for position in positions("static", *names)
        )
        self._covers, self._types = (high * dense_high, low * dense_low), (type_high, type_low)
        self._soil = microwave.soil_coefficients(clay, self._radiometer.frequency)

    def values(self, situation: Situation) -> Values:
        return on_columns(brightness.brightness_temperature, self._arguments(situation), (2,)).T

    def slopes(self, situation: Situation) -> Values:
        found = on_columns(brightness.brightness_temperature_slopes, self._arguments(situation), (2, 3))
        return np.moveaxis(found, -1, 0)

    def _arguments(self, situation: Situation) -> tuple[Any, ...]:
        """Of the field operators."""
        high, low = (column_of(situation.forcing, position) for position in self._leaf_positions)
        canopies = microwave.canopy_coefficients(self._radiometer, self._covers, self._types, (high, low))
        return brightness.Land(*self._columns(situation)), self._soil, *canopies, self._radiometer.view()


@register("tb", hours=48.0, errors={"tbh": 4.0, "tbv": 4.0})
def _make(columns: Columns) -> BrightnessTemperature:
    if columns.clay is None:
        raise InputError(f"{_WHAT}: found no clay fraction of the columns, expected clim_sotype, or one of all columns")
    return BrightnessTemperature(columns.model, columns.static, columns.clay)
