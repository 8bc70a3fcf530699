"""Which cells and members of one file are which of another: by location, by their labels, else by their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import positions_of, require_same, texts
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import TIME, Fields
from ailand_gt4py.io.lattices import Lattice
from ailand_gt4py.io.monthly import MONTH

#: Names of the dimension along which the members of an ensemble lie, in lower case.
MEMBERS = ("member", "number", "realization", "realisation", "ensemble", "ensemble_member", "ens")
#: So many labels are shown.
_SHOWN = 5


def is_member(name: object) -> bool:
    """Whether members of an ensemble lie along a dimension of this name."""
    return str(name).lower() in MEMBERS


def with_members_in_order(files: Sequence[Fields]) -> list[Fields]:
    """The same with the members of all files in the order of the first that labels them.

    Raises:
        InputError: a file has other members than the first.
    """
    result: list[Fields] = []
    known: dict[str, tuple[Fields, list[str]]] = {}
    for one in files:
        names = [str(name) for name in one.dataset.sizes if is_member(name) and name in one.dataset.variables]
        for name in names:
            labels = texts(one.dataset[name].values)
            first, expected = known.setdefault(name, (one, labels))
            if labels == expected or len(labels) != len(expected):  # `grids` refuses other numbers of them
                continue
            order = positions_of(expected, labels)
            if order is None:
                raise InputError(
                    f"{one.path}: has the members {_short(labels)} ({name}), expected those of {first.path}, "
                    f"{_short(expected)}"
                )
            note = f"{one.path}: members are put in the order of those of {first.path}, by their labels '{name}'."
            one = _said(dataclasses.replace(one, dataset=one.dataset.isel({name: order})), note)
        result.append(one)
    return result


def _short(labels: Sequence[str]) -> str:
    return ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")


def matched_cells(
    fields: Fields,
    lattice: Lattice | None,
    first: Fields,
    base: Lattice,
    part: Lattice,
    chosen: Values,
    points: Sequence[tuple[float, float]] | None,
) -> tuple[Fields, Values | None]:
    """A file, perhaps with a sentence on it, and positions of the wanted cells in it; None: what it has is for all.

    Args:
        fields, lattice: the file and its horizontal dimensions; None if it has no latitude and longitude.
        first: the file of the lattice ``base``, of which ``part`` is wanted, at the positions ``chosen`` (n_chosen,).
        points: latitudes and longitudes, degrees, whose nearest cells are wanted; None: the cells of ``part``.

    Returns:
        The file and positions (n_chosen,) among its cells.

    Raises:
        InputError: cells of other labels, locations or dimensions than those of ``base``.
    """
    if lattice is base:
        return fields, chosen
    if lattice is not None:
        if points is not None:
            return fields, lattice.nearest(*np.array(points, dtype=np.float64).T)[0]
        positions = lattice.positions(part.latitude, part.longitude)
        return _among_twins(fields, lattice, first, base, part, chosen, positions)
    skipped = (TIME, MONTH)
    others = {str(name): size for name, size in fields.dataset.sizes.items() if name not in skipped}
    others = {name: size for name, size in others.items() if not is_member(name)}
    if not others:
        return fields, None
    if others != dict(base.sizes):
        raise InputError(
            f"{fields.path}: has the dimensions {sizes_text(others)} and no latitude and longitude, expected them, or "
            f"the dimensions of {base.what}, {sizes_text(base.sizes)}"
        )
    for name in others if len(others) > 1 else ():
        if name in first.dataset.variables and name in fields.dataset.variables:
            labels, expected = (one.dataset[name].values for one in (fields, first))
            require_same(f"{fields.path}: has", name, labels, expected, f"as in {base.what}")
    wanted, known = _cell_labels(first, base.sizes), _cell_labels(fields, others)
    if wanted is None or known is None:
        what = "latitude, longitude and labels" if len(others) == 1 else "latitude and longitude"
        note = f"Without {what} in {fields.path}, its cells are taken in the order of {base.what}."
        return _said(fields, note), chosen
    if wanted == known:
        return fields, chosen
    by_label = positions_of(wanted, known)
    if by_label is None:
        raise InputError(_other_labels(fields, base, wanted, known, "no latitude and longitude"))
    return _by_labels(fields, base), by_label[chosen]


def _among_twins(
    fields: Fields,
    lattice: Lattice,
    first: Fields,
    base: Lattice,
    part: Lattice,
    chosen: Values,
    positions: Values,
) -> tuple[Fields, Values]:
    """`matched_cells` by location, where only labels may tell several cells at one location from each other."""
    all_wanted, known = _cell_labels(first, base.sizes), _cell_labels(fields, lattice.sizes)
    if all_wanted is None or known is None or not lattice.has_twins(positions):
        return fields, positions
    wanted = [all_wanted[position] for position in chosen]
    if wanted == [known[position] for position in positions]:
        return fields, positions
    by_label = positions_of(wanted, known)
    if by_label is None or not lattice.is_at(by_label, part.latitude, part.longitude):
        raise InputError(_other_labels(fields, base, wanted, known, "several cells at one location"))
    return _by_labels(fields, base), by_label


def _cell_labels(fields: Fields, sizes: Mapping[str, int]) -> list[str] | None:
    """Labels of cells in a row; None where they are on a grid or have none."""
    (name, *others) = sizes
    if others or name in ("lat", "lon") or name not in fields.dataset.variables:
        return None
    return texts(fields.dataset[name].values)


def _other_labels(fields: Fields, base: Lattice, wanted: list[str], found: list[str], why: str) -> str:
    k = next((k for k, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), 0)
    return (
        f"{fields.path}: has {why} and other labels than {base.what} ('{found[k]}' at index {k}, not '{wanted[k]}'), "
        "expected the same labels, each once"
    )


def _by_labels(fields: Fields, base: Lattice) -> Fields:
    return _said(fields, f"{fields.path}: cells are matched with those of {base.what} by their labels.")


def _said(fields: Fields, note: str) -> Fields:
    return dataclasses.replace(fields, notes=[*fields.notes, note])


def sizes_text(sizes: Mapping[Any, int]) -> str:
    """Dimensions and their lengths, for messages."""
    return f"({', '.join(f'{name}: {size}' for name, size in sizes.items()) or 'none'})"
