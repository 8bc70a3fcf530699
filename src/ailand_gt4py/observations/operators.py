"""Observation operators: what an instrument would measure of a model's state and diagnostics, and its derivatives.

Arithmetic is float64 whatever the model's type. Where there is a formula, it and its derivatives are GT4Py field
operators (`stencils.physics.humidity`, `stencils.physics.brightness`), executed embedded: the work of an observation
time is small beside that of a step of the network, and nothing is to compile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import CATALOGUE, Specification


class Situation(NamedTuple):
    """Forcing of a step, and the state and diagnostics that it gave: (n_columns, n_features), model order and units."""

    forcing: Values
    state: Values
    diagnostics: Values


#: One number that is observed: an entry of the catalogue, or a variable of the model itself.
Observable = Specification | Variable


class ObservationOperator:
    """What an instrument measures of all columns at once, here of a few of a step's results.

    A kind gives `values` and `slopes`; one that depends on more than some results gives `tangent` and `adjoint` itself.
    n_outputs is the number of `observables`.

    Args:
        inputs: of each result the group, "state" or "diagnostics", and the position in it.

    Attributes:
        observables: what it gives, in order: names and units.
    """

    observables: Sequence[Observable]

    def __init__(self, inputs: Sequence[tuple[str, int]]) -> None:
        self._inputs = tuple(inputs)

    def values(self, situation: Situation) -> Values:
        """Float64 (n_columns, n_outputs), in the observables' units."""
        raise NotImplementedError

    def slopes(self, situation: Situation) -> Values:
        """Derivatives of `values` with respect to the inputs, (n_columns or 1, n_outputs, n_inputs)."""
        raise NotImplementedError

    def tangent(self, situation: Situation, d_state: Values, d_diagnostics: Values) -> Values:
        """Tangents of `values`, float64 (n_columns, n_outputs), for tangents of state and diagnostics.

        Of several tangents of each column (n_columns, n, n_features): (n_columns, n, n_outputs).
        """
        tangents = self._gathered(d_state, d_diagnostics)
        slopes = np.broadcast_to(self.slopes(situation), (len(tangents), len(self.observables), len(self._inputs)))
        return np.einsum("coi,c...i->c...o", slopes, tangents)

    def adjoint(self, situation: Situation, g_values: Values) -> tuple[Values, Values]:
        """Adjoints of state and diagnostics, float64 (n_columns, n_features), for adjoints of `values`."""
        found = {"state": np.zeros(situation.state.shape), "diagnostics": np.zeros(situation.diagnostics.shape)}
        slopes = np.broadcast_to(self.slopes(situation), (*g_values.shape, len(self._inputs)))
        for (group, position), values in zip(self._inputs, np.einsum("coi,co->ic", slopes, g_values), strict=True):
            found[group][:, position] = values
        return found["state"], found["diagnostics"]

    def _gathered(self, state: Values, diagnostics: Values) -> Values:
        """(..., n_inputs) float64 of results or their tangents."""
        groups = {"state": state, "diagnostics": diagnostics}
        return np.stack([groups[group][..., position] for group, position in self._inputs], axis=-1, dtype=np.float64)

    def _columns(self, situation: Situation) -> list[Values]:
        """(n_columns,) float64 of each input."""
        return list(np.ascontiguousarray(self._gathered(situation.state, situation.diagnostics).T))


class Columns(NamedTuple):
    """What an operator is made for: static inputs (n_columns, n_static), and mass fraction of clay 0..1 if known."""

    model: Model
    static: Values
    clay: Values | None = None


class Kind(NamedTuple):
    """A kind of observation.

    Attributes:
        hours: usual time between two observations of a location. make: the operator.
        errors: standard deviation of what instrument and location add, by observable, in its units.
    """

    name: str
    hours: float
    errors: Mapping[str, float]
    make: Callable[[Columns], ObservationOperator]


KINDS: Registry[Kind] = Registry("ailand_gt4py.observations")


def register(
    name: str, hours: float, errors: Mapping[str, float]
) -> Callable[[Callable[[Columns], ObservationOperator]], Kind]:
    """Register the function below as that which makes the operator of a kind; arguments as of `Kind`."""
    return lambda make: KINDS.add(Kind(name, hours, errors, make))


def kinds() -> dict[str, Kind]:
    """All kinds by name, the most frequent first, then by the alphabet."""
    return {kind.name: kind for kind in sorted(KINDS.items(), key=lambda kind: (kind.hours, kind.name))}


def make_operator(kind: str, columns: Columns) -> ObservationOperator:
    known = kinds()
    if kind not in known:
        raise InputError(f"observation: found '{kind}', expected some of {', '.join(known)}")
    return known[kind].make(columns)


class Direct(ObservationOperator):
    """Some of the results themselves, times a factor: one, or (n_columns, 1)."""

    def __init__(
        self, observables: Sequence[Observable], inputs: Sequence[tuple[str, int]], factor: Values | float = 1.0
    ) -> None:
        super().__init__(inputs)
        self.observables, self._factor = observables, factor

    def values(self, situation: Situation) -> Values:
        return self._factor * self._gathered(situation.state, situation.diagnostics)

    def slopes(self, situation: Situation) -> Values:
        return np.eye(len(self._inputs)) * np.atleast_1d(self._factor)[..., None]


def model_variables(model: Model, names: Sequence[str]) -> Direct:
    """The operator of states and diagnostics of these names, as the model has them."""
    known = {one.name: (group, k) for group in ("state", "diagnostics") for k, one in enumerate(getattr(model, group))}
    inputs = [known[name] for name in names]
    return Direct([getattr(model, group)[position] for group, position in inputs], inputs)


def position_of(variables: Sequence[Variable], name: str, units: str, what: str) -> int:
    """Where a variable is among those of a group; `InputError` where it is not there, or in other units."""
    for position, variable in enumerate(variables):
        if variable.name == name:
            if variable.units != units:
                raise InputError(f"{what}: the model has '{name}' in '{variable.units}', expected '{units}'")
            return position
    raise InputError(f"{what}: the model has no variable '{name}'; found {', '.join(v.name for v in variables)}")


def diagnostic(model: Model, name: str, what: str) -> tuple[str, int]:
    """Group and position of a diagnostic; `InputError` where it is not there, or not of the end of the step."""
    position = position_of(model.diagnostics, name, CATALOGUE[name].units, what)
    meaning = model.diagnostics[position].time_meaning
    if meaning != "window end":
        raise InputError(f"{what}: the model's '{name}' is of the time '{meaning}', expected 'window end'")
    return "diagnostics", position


def column_of(values: Values, position: int) -> Values:
    """One feature, float64 (n_columns,), in memory of its own."""
    return np.array(values[:, position], dtype=np.float64)


def on_columns(operator: Any, inputs: Sequence[Any], n_results: tuple[int, ...]) -> Values:
    """A field operator over columns, executed embedded: float64 (*n_results, n_columns).

    Inputs: float64 arrays (n_columns,), scalars, named tuples of them, an array first; ``n_results``: of its tuples.
    """
    first = inputs[0][0] if isinstance(inputs[0], tuple) else inputs[0]
    results = np.empty((*n_results, len(first)))

    def field(value: Any) -> Any:
        if isinstance(value, tuple):
            return type(value)(*map(field, value))
        return arrays.wrap(value, (Column,), "input") if np.ndim(value) else value

    def out(values: Values) -> Any:
        return arrays.wrap(values, (Column,), "result") if values.ndim == 1 else tuple(map(out, values))

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        # GT4Py remarks that embedded execution is slow, and NumPy on NaN, which stands for what cannot be observed.
        warnings.simplefilter("ignore", category=UserWarning)
        operator(*map(field, inputs), out=out(results), offset_provider={})
    return results
