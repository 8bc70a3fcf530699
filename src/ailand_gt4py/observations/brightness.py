"""Observation operator of an L-band radiometer (SMOS, SMAP); the physics is in `stencils.brightness`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations import microwave
from ailand_gt4py.observations.microwave import Radiometer
from ailand_gt4py.observations.operators import Situation, column_of, on_columns, position_of
from ailand_gt4py.stencils.physics import brightness
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE, units_of

_WHAT = "observation tb"
#: State that is seen, in the order of the field operators, and its units.
_SEEN = units_of("swvl1", "stl1", "stl2")
_COVERS = ("clim_cvh", "clim_cvl", "clim_veg_covh", "clim_veg_covl")
_TYPES = ("clim_tvh", "clim_tvl")
_LEAF_AREAS = ("lai_hv", "lai_lv")


class BrightnessTemperature:
    """Brightness temperature above the canopy at L-band, H and V polarised.

    Neither the sky's reflection nor the atmosphere, a few K together, are in it. Snow, frozen soil, water and towns are
    not described: screen such columns. Columns without a clay fraction (organic soil) give NaN.

    Args:
        model: with ``swvl1``, ``stl1``, ``stl2``, leaf areas, covers and types of vegetation.
        static: (n_columns, n_static) in the model's order and units.
        clay: (n_columns,) mass fraction of clay in the soil, 0..1; see `microwave.clay_fraction`.
        radiometer: instrument and surface.

    Raises:
        InputError: the model lacks a variable, or arrays that do not fit.
    """

    observables = (CATALOGUE["tbh"], CATALOGUE["tbv"])

    def __init__(self, model: Model, static: Values, clay: Values, radiometer: Radiometer | None = None) -> None:
        self._radiometer = radiometer or Radiometer()
        self._positions = [position_of(model.state, name, units, _WHAT) for name, units in _SEEN.items()]
        self._leaf_positions = [position_of(model.forcing, name, "m2 m-2", _WHAT) for name in _LEAF_AREAS]
        if clay.shape != (len(static),):
            raise InputError(f"{_WHAT}: found a clay fraction of the shape {clay.shape}, expected ({len(static)},)")
        known: Mapping[str, Values] = {
            name: column_of(static, position_of(model.static, name, "1", _WHAT)) for name in (*_COVERS, *_TYPES)
        }
        self._covers = (known["clim_cvh"] * known["clim_veg_covh"], known["clim_cvl"] * known["clim_veg_covl"])
        self._types = tuple(known[name] for name in _TYPES)
        self._soil = microwave.soil_coefficients(clay, self._radiometer.frequency)
        self._scalars = self._radiometer.scalars()

    def values(self, situation: Situation) -> Values:
        return np.stack(on_columns(brightness.brightness_temperature, self._inputs(situation), 2), axis=1)

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        changes = [column_of(d_state, position) for position in self._positions]
        inputs = (*self._inputs(situation), *changes)
        return np.stack(on_columns(brightness.brightness_temperature_tangent, inputs, 2), axis=1)

    def adjoint(self, situation: Situation, gradient: Values) -> tuple[Values, Values]:
        g_state, g_diagnostics = np.zeros(situation.state.shape), np.zeros(situation.diagnostics.shape)
        inputs = (*self._inputs(situation), column_of(gradient, 0), column_of(gradient, 1))
        results = on_columns(brightness.brightness_temperature_adjoint, inputs, 3)
        for position, result in zip(self._positions, results, strict=True):
            g_state[:, position] = result
        return g_state, g_diagnostics

    def _inputs(self, situation: Situation) -> tuple[Any, ...]:
        """Arguments of the field operators but for changes and gradients."""
        leaf_areas = (column_of(situation.forcing, position) for position in self._leaf_positions)
        canopy = microwave.canopy_coefficients(self._radiometer, *self._covers, *self._types, *leaf_areas)
        seen = (column_of(situation.state, position) for position in self._positions)
        return (*seen, *self._soil, *canopy, *self._scalars)
