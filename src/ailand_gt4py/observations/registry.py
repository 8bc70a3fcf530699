"""Which kinds of observations there are.

A new kind is one file of this room that registers how its operator is made; `kinds` finds it there::

    @register("fapar", hours=240.0, errors={"fapar": 0.1})
    def make(columns: Columns) -> ObservationOperator:
        return FractionOfRadiation(columns.model, columns.static)

Its observables are entries of the catalogue of variables, or `Observable` objects of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import ObservationOperator
from ailand_gt4py.weights.model import Model


class Columns(NamedTuple):
    """What an operator is made for.

    Attributes:
        model: whose results are compared. static: (n_columns, n_static) in its order and units.
        clay: (n_columns,) mass fraction of clay in the soil, 0..1; None where it is not known.
    """

    model: Model
    static: Values
    clay: Values | None = None


class Kind(NamedTuple):
    """A kind of observation.

    Attributes:
        make: of its operator; raises `InputError` where the model or the columns lack something.
        hours: usual time between two observations of a location.
        errors: standard deviation of what instrument and location add, by observable, in its units.
    """

    make: Callable[[Columns], ObservationOperator]
    hours: float
    errors: Mapping[str, float]


_KINDS: dict[str, Kind] = {}


def register(
    name: str, hours: float, errors: Mapping[str, float]
) -> Callable[[Callable[[Columns], ObservationOperator]], Callable[[Columns], ObservationOperator]]:
    """Register the function below as that which makes the operator of a kind; arguments as of `Kind`."""

    def registered(make: Callable[[Columns], ObservationOperator]) -> Callable[[Columns], ObservationOperator]:
        if name in _KINDS:
            raise InputError(f"observation: '{name}' is registered already, expected another name")
        _KINDS[name] = Kind(make, hours, errors)
        return make

    return registered


def kinds() -> dict[str, Kind]:
    """All kinds by name, the most frequent first."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_KINDS.items(), key=lambda item: item[1].hours))


def make_operator(kind: str, columns: Columns) -> ObservationOperator:
    """The operator of a kind of observation.

    Raises:
        InputError: there is no such kind, or the model or the columns lack something.
    """
    known = kinds()
    if kind not in known:
        raise InputError(f"observation: found '{kind}', expected some of {', '.join(known)}")
    return known[kind].make(columns)
