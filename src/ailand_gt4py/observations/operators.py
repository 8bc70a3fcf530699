"""Observation operators: what an instrument would see of a model's state and diagnostics, and the derivatives of that.

Every operator has three faces: `values`, `tangent` (what they change by, to first order) and `adjoint` (gradients back
to state and diagnostics), each written by hand and on all columns at once. Arithmetic is float64 whatever the model's
type. They are GT4Py field operators where there is a formula (`stencils.humidity`, `stencils.brightness`), executed
embedded: the work of an observation time is small beside that of a step of the network, and nothing is to compile.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.stencils.physics import humidity
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE, Specification


class Situation(NamedTuple):
    """What is known at the end of a step.

    Attributes:
        forcing: (n_columns, n_forcing) of the step. state, diagnostics: (n_columns, n_features) that it gave, in the
            model's order and units.
    """

    forcing: Values
    state: Values
    diagnostics: Values


#: One number that is observed: an entry of the catalogue.
Observable = Specification


class ObservationOperator(Protocol):
    """See the module's docstring; n_outputs is the number of `observables`."""

    @property
    def observables(self) -> tuple[Observable, ...]:
        """What it gives, in order."""

    def values(self, situation: Situation) -> Values:
        """Float64 (n_columns, n_outputs), in the observables' units."""

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        """Changes of `values` for changes of state and diagnostics, float64 (n_columns, n_outputs)."""

    def adjoint(self, situation: Situation, gradient: Values) -> tuple[Values, Values]:
        """Gradients to state and diagnostics, float64 (n_columns, n_features), for gradients to `values`."""


def position_of(variables: Sequence[Variable], name: str, units: str, what: str) -> int:
    """Where a variable is among those of a group.

    Raises:
        InputError: it is not there, or in other units.
    """
    for position, variable in enumerate(variables):
        if variable.name == name:
            if variable.units != units:
                raise InputError(f"{what}: the model has '{name}' in '{variable.units}', expected '{units}'")
            return position
    raise InputError(f"{what}: the model has no variable '{name}'; found {', '.join(v.name for v in variables)}")


def diagnostic_position(model: Model, name: str, what: str) -> int:
    """Where a diagnostic that is a temperature at the end of the step is among the model's.

    Raises:
        InputError: it is not there, or means another time.
    """
    position = position_of(model.diagnostics, name, "K", what)
    meaning = model.diagnostics[position].time_meaning
    if meaning != "window end":
        raise InputError(f"{what}: the model's '{name}' is of the time '{meaning}', expected 'window end'")
    return position


def on_columns(operator: Any, inputs: Sequence[Any], n_results: int) -> tuple[Values, ...]:
    """A field operator over columns, executed embedded.

    Args:
        inputs: float64 arrays (n_columns,), and numbers. n_results: of the operator.

    Returns:
        Float64 (n_columns,) each.
    """
    n_columns = next(len(value) for value in inputs if np.ndim(value))
    results = tuple(np.empty(n_columns) for _ in range(n_results))
    fields = [arrays.wrap(value, (Column,), "input") if np.ndim(value) else value for value in inputs]
    out = tuple(arrays.wrap(result, (Column,), "result") for result in results)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        # GT4Py remarks that embedded execution is slow, and NumPy on NaN, which stands for what cannot be observed.
        warnings.simplefilter("ignore", category=UserWarning)
        operator(*fields, out=out if n_results > 1 else out[0], offset_provider={})
    return results


def column_of(values: Values, position: int) -> Values:
    """One feature, float64 (n_columns,), in memory of its own."""
    return np.array(values[:, position], dtype=np.float64)


class ScreenTemperature:
    """Temperature 2 m above the ground: the model's diagnostic itself.

    Raises:
        InputError: the model has none at the end of the step.
    """

    observables = (CATALOGUE["t2m"],)

    def __init__(self, model: Model) -> None:
        self._position = diagnostic_position(model, "t2m", "observation t2m")

    def values(self, situation: Situation) -> Values:
        return column_of(situation.diagnostics, self._position)[:, None]

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        return column_of(d_diagnostics, self._position)[:, None]

    def adjoint(self, situation: Situation, gradient: Values) -> tuple[Values, Values]:
        g_state, g_diagnostics = _zeros(situation)
        g_diagnostics[:, self._position] = gradient[:, 0]
        return g_state, g_diagnostics


class ScreenHumidity:
    """Relative humidity 2 m above the ground, over water, from the model's temperature and dew point.

    Raises:
        InputError: the model lacks one of them at the end of the step.
    """

    observables = (CATALOGUE["rh2m"],)

    def __init__(self, model: Model) -> None:
        self._positions = [diagnostic_position(model, name, "observation rh2m") for name in ("t2m", "d2m")]

    def values(self, situation: Situation) -> Values:
        (result,) = on_columns(humidity.relative_humidity, self._of(situation.diagnostics), 1)
        return result[:, None]

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        inputs = (*self._of(situation.diagnostics), *self._of(d_diagnostics))
        (result,) = on_columns(humidity.relative_humidity_tangent, inputs, 1)
        return result[:, None]

    def adjoint(self, situation: Situation, gradient: Values) -> tuple[Values, Values]:
        g_state, g_diagnostics = _zeros(situation)
        inputs = (*self._of(situation.diagnostics), column_of(gradient, 0))
        for position, result in zip(
            self._positions, on_columns(humidity.relative_humidity_adjoint, inputs, 2), strict=True
        ):
            g_diagnostics[:, position] = result
        return g_state, g_diagnostics

    def _of(self, diagnostics: Values) -> tuple[Values, Values]:
        temperature, dew_point = self._positions
        return column_of(diagnostics, temperature), column_of(diagnostics, dew_point)


class SurfaceSoilMoisture:
    """Soil moisture of the uppermost layer, as a scatterometer (ASCAT) gives it after rescaling to the model.

    Args:
        model: that has ``swvl1``.
        porosity: (n_columns,) m3 m-3, for the relative saturation (1), or None for the volumetric water content itself
            (m3 m-3). ECMWF rescales the instrument's index to the model's climatology (de Rosnay et al. 2013), so there
            the operator is the layer itself.

    Raises:
        InputError: the model has no ``swvl1`` in m3 m-3, or a porosity that is not positive.
    """

    def __init__(self, model: Model, porosity: Values | None = None) -> None:
        self._position = position_of(model.state, "swvl1", "m3 m-3", "observation ssm")
        self._scale: Values | float = 1.0
        self.observables: tuple[Observable, ...] = (CATALOGUE["ssm"],)
        if porosity is not None:
            if not (np.asarray(porosity) > 0.0).all():
                raise InputError(f"porosity: found {np.min(porosity):g}, expected more than 0")
            self._scale = 1.0 / np.asarray(porosity, dtype=np.float64)
            self.observables = (CATALOGUE["ssm_saturation"],)

    def values(self, situation: Situation) -> Values:
        return (self._scale * column_of(situation.state, self._position))[:, None]

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        return (self._scale * column_of(d_state, self._position))[:, None]

    def adjoint(self, situation: Situation, gradient: Values) -> tuple[Values, Values]:
        g_state, g_diagnostics = _zeros(situation)
        g_state[:, self._position] = self._scale * gradient[:, 0]
        return g_state, g_diagnostics


def _zeros(situation: Situation) -> tuple[Values, Values]:
    return np.zeros(situation.state.shape), np.zeros(situation.diagnostics.shape)
