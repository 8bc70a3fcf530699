"""Which kinds of observations there are; a new one is one file of this room that registers how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.core.types import Values
from ailand_gt4py.observations.operators import ObservationOperator
from ailand_gt4py.weights.model import Model


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
    """All kinds by name, the most frequent first."""
    return {kind.name: kind for kind in sorted(KINDS.items(), key=lambda kind: kind.hours)}


def make_operator(kind: str, columns: Columns) -> ObservationOperator:
    """The operator of a kind of observation."""
    known = kinds()
    if kind not in known:
        raise InputError(f"observation: found '{kind}', expected some of {', '.join(known)}")
    return known[kind].make(columns)
