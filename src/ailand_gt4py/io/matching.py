"""Columns of another file matched with a run's: by their order, their labels or their locations."""

from __future__ import annotations

import dataclasses

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import positions_of, texts
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.fields import COLUMN
from ailand_gt4py.io.lattices import Lattice
from ailand_gt4py.weights.variables import CATALOGUE

#: How far a reference column may be from the run's column, degrees.
LOCATION_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Columns:
    """Labels and locations, degrees, of columns; None where they are not known."""

    x: Values | None
    latitude: Values | None
    longitude: Values | None

    @property
    def labels(self) -> list[str] | None:
        return None if self.x is None else texts(self.x)

    def distance(self, other: Columns, chosen: Values) -> Values:
        """How far each is from those chosen of others, the larger of latitude and longitude; 0 where not known."""
        result = np.zeros(len(chosen))
        for mine, theirs in ((self.latitude, other.latitude), (self.longitude, other.longitude)):
            if mine is not None and theirs is not None:
                result = np.maximum(result, np.abs((mine - theirs[chosen] + 180.0) % 360.0 - 180.0))
        return result


def _columns_of(file: ColumnFile) -> Columns:
    found: list[Values | None] = []
    for name in ("lat", "lon"):
        own_name, unit = file.find(name), CATALOGUE[name].units
        if own_name is None:
            found.append(None)
            continue
        straight = file.conversion(own_name, name, unit)
        found.append(straight.apply(file.field(own_name).astype(np.float64)))
    has_labels = COLUMN in file.dataset.variables
    return Columns(file.labels() if has_labels else None, *found)


def match(file: ColumnFile, run: Columns) -> list[str]:
    """Keep the run's columns of a file, in the run's order; sentences on what was not as in the run.

    Columns of the same number and order are taken as they are, others by their labels or, where they have others, by
    their locations.
    """
    if run.latitude is None:
        return []
    own, count = _columns_of(file), len(run.latitude)
    in_order = np.arange(count)
    if file.n_columns == count and (run.distance(own, in_order) <= LOCATION_TOLERANCE).all():
        labels = run.labels, own.labels
        if labels[0] is None or labels[1] is None or labels[0] == labels[1]:
            return []
        if sorted(labels[0]) != sorted(labels[1]):
            return [f"{file.path}: columns have other labels x than the run's; they are compared in their order."]
    by_label = _by_label(run, own)
    if by_label is not None and (run.distance(own, by_label) <= LOCATION_TOLERANCE).all():
        file.keep(by_label)
        return [f"{file.path}: columns are matched with the run's by their labels x."]
    file.keep(_by_location(file, run, own))
    return [f"{file.path}: {count} columns are matched with the run's by their locations."]


def _by_label(run: Columns, own: Columns) -> Values | None:
    """Which column of a file has each of the run's labels; None where they are not all there, each once."""
    if run.labels is None or own.labels is None:
        return None
    return positions_of(run.labels, own.labels)


def _by_location(file: ColumnFile, run: Columns, own: Columns) -> Values:
    assert run.latitude is not None
    assert run.longitude is not None
    if own.latitude is None or own.longitude is None:
        raise InputError(f"{file.path}: has {file.n_columns} columns, expected the run's {len(run.latitude)}")
    cells = Lattice(str(file.path), {COLUMN: file.n_columns}, own.latitude, own.longitude, ((COLUMN,), (COLUMN,)), {})
    positions = cells.positions(run.latitude, run.longitude)
    if cells.has_twins(positions):
        raise InputError(
            f"{file.path}: has several columns at one location and other labels x than the run's, expected the same "
            "labels"
        )
    return positions
