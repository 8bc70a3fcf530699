"""What the land is made of and its first state: as the host gives them, and what follows from that."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.description import Ground
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.integration.inspection import check_units, require_possible
from ailand_gt4py.io.derive import ALTERNATIVES, Derivation, sentences
from ailand_gt4py.io.first_guess import MODES, at_start
from ailand_gt4py.io.ground_albedo import NAME as ALBEDO
from ailand_gt4py.io.units import conversion
from ailand_gt4py.io.ways import WAYS
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.nodes import node_inputs
from ailand_gt4py.weights.variables import CATALOGUE

logger = logging.getLogger(__name__)


class GroundColumns:
    """Static inputs and first state at the land points, (n_land, n_variables), possible all of them.

    What the host does not give is derived as it is for files (`io.derive`, `io.first_guess`), which the log says, or
    follows from latitude and longitude (n_land,) in degrees.

    Of a variable that is imputed single values may be missing, NaN.

    Raises:
        InputError: a field that is missing and does not follow from others, is unknown, or has impossible values.
    """

    def __init__(
        self, model: Model, points: HostPoints, ground: Ground, coordinates: Sequence[arrays.Array], dtype: np.dtype
    ) -> None:
        self._model, self._points = model, points
        self._of_nodes = node_inputs(model, *map(arrays.to_host, coordinates))
        self._given = {**ground.static, **ground.initial_state}
        self._derived: list[Derivation] = []
        self.static = self._columns(ground.static, model.static, "static input", dtype)
        self.state = self._columns(ground.initial_state, model.state, "initial state", dtype)
        for sentence in sentences(self._derived, "Not given by the host"):
            logger.info(sentence)

    def _columns(
        self, given: Mapping[str, Any], variables: Sequence[Variable], what: str, dtype: np.dtype
    ) -> arrays.Array:
        names = {variable.name: None for variable in variables}
        ways = {name: self._way(name) for name in names if name in MODES and name not in given}
        names |= dict.fromkeys(needed for way in ways.values() for needed in way.inputs)
        for unknown in sorted(given.keys() - names.keys()):
            raise InputError(f"{unknown}: is no {what} of the model, expected {', '.join(names)}")
        xp = arrays.array_module(self._points.device)
        result = xp.empty((self._points.n_land, len(variables)), dtype=dtype)
        for position, variable in enumerate(variables):
            if variable.name in given:
                result[:, position] = self._values(given[variable.name], variable, dtype)
            elif variable.name in self._of_nodes:
                result[:, position] = xp.asarray(self._of_nodes[variable.name])
            elif variable.is_previous:
                result[:, position] = result[:, list(names).index(variable.previous_of)]
                self._derived.append(at_start(variable.name))
            elif variable.name in ways and self._given.keys() >= set(ways[variable.name].inputs):
                result[:, position] = xp.asarray(self._derive(ways[variable.name], variable, f"{what}s"))
            else:
                needed = f", or {' and '.join(ways[variable.name].inputs)}" if variable.name in ways else ""
                raise InputError(
                    f"{variable.name}: found no such {what}, expected {variable.long_name or variable.name} "
                    f"in {variable.units}{needed}"
                )
        return result

    def _way(self, name: str) -> Derivation:
        """How a variable is derived: as always, unless only another way's inputs are given."""
        other = ALTERNATIVES.get(name)
        usual = _without_year(MODES[name])
        if other is None or self._given.keys() >= set(usual.inputs) or not self._given.keys() >= set(other.inputs):
            return usual
        return other

    def _values(self, field: Any, variable: Variable, dtype: np.dtype) -> arrays.Array:
        check_units(field, variable.name, variable.units)
        values = self._points.land_values(field, variable.name, dtype, variable.is_imputed)
        require_possible(self._points, values, variable)
        return values

    def _derive(self, way: Derivation, variable: Variable, what: str) -> np.ndarray:
        known = {one.name: one for group in (self._model.static, self._model.state) for one in group}
        inputs = {}
        for name in way.inputs:
            one = known.get(name) or CATALOGUE[name].variable()
            values = arrays.to_host(self._values(self._given[name], one, np.dtype(np.float64)))
            if np.isnan(values).any():
                raise InputError(
                    f"{name}: found missing values, expected none where {variable.name} is derived from it"
                )
            inputs[name] = conversion(one.units, CATALOGUE[name].units, name).apply(values)
        self._derived.append(way)
        values = np.broadcast_to(way.function(inputs, what), self._points.n_land)
        return conversion(CATALOGUE[way.name].units, variable.units, variable.name).apply(values)


def guessed_forcing(model: Model, static: arrays.Array, points: HostPoints) -> dict[str, arrays.Array]:
    """Forcing that a host need not give, by name, as fields of the mask's shape that stand for it all the time.

    That is the albedo of the ground without snow, 1, as it is guessed for files (`io.ways`).

    Args:
        static: (n_land, n_static).
    """
    names = [variable.name for variable in model.static]
    (way,) = WAYS[ALBEDO]
    if not set(way.inputs) <= set(names) or not any(variable.name == ALBEDO for variable in model.forcing):
        return {}
    of_land = arrays.to_host(static)
    inputs = {name: of_land[:, names.index(name)] for name in way.inputs}
    xp = arrays.array_module(points.device)
    field = xp.zeros(points.is_land.size, dtype=np.float64)
    field[points.columns] = xp.asarray(way.function(inputs, ALBEDO))
    return {ALBEDO: field.reshape(points.shape)}


def _without_year(way: Derivation) -> Derivation:
    """A host has no year of weather before it starts."""
    if way.waves:
        assert way.otherwise is not None
        return way.otherwise
    return way
