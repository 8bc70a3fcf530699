"""Arrays of xarray in and out of an emulator, by the names of dimensions and variables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import require_same
from ailand_gt4py.weights.model import Variable

#: The dimension of a model's variables, as ``xarray.Dataset.to_array`` calls it; the other one is that of columns.
VARIABLE = "variable"
#: The coordinate of their units, as results have it.
UNITS = "units"


def is_labelled(value: object) -> bool:
    """Whether a value is a DataArray; who has one has imported xarray."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def in_order(value: Any, what: str, variables: Sequence[Variable], *, is_result: bool = False) -> Any:
    """The array (n_columns, n_features) of a DataArray, its variables in a model's order.

    A view where they are in it already, which they must be where results are to be written.

    Raises:
        InputError: other dimensions, variables or units (of a coordinate ``units`` along them), naming them.
    """
    if value.ndim != 2 or VARIABLE not in value.dims:
        dims = ", ".join(map(str, value.dims)) or "none"
        raise InputError(f"{what}: found the dimensions ({dims}), expected that of columns and '{VARIABLE}'")
    ordered = value.transpose(..., VARIABLE)
    if VARIABLE in ordered.coords:
        found, expected = list(map(str, ordered[VARIABLE].values)), [one.name for one in variables]
        wrong = sorted(set(found) ^ set(expected)) or [name for name in expected if found.count(name) > 1]
        if wrong:
            where = (
                "is missing" if wrong[0] not in found else "is unknown" if wrong[0] not in expected else "is repeated"
            )
            raise InputError(f"{what}: variable '{wrong[0]}' {where}, expected {', '.join(expected)}")
        if found != expected and is_result:
            raise InputError(
                f"{what}: found the variables {', '.join(found)}, expected the order {', '.join(expected)}"
            )
        if found != expected:
            ordered = ordered.isel({VARIABLE: [found.index(name) for name in expected]})
    if UNITS in ordered.coords and ordered[UNITS].dims == (VARIABLE,):
        for unit, one in zip(ordered[UNITS].values, variables, strict=False):
            if str(unit) != one.units:
                raise InputError(f"{what}: variable '{one.name}': found the unit '{unit}', expected '{one.units}'")
    return ordered.data


def check_columns(values: Mapping[str, Any]) -> None:
    """Check that DataArrays among inputs, by name, have the same columns in the same order where these have labels.

    Raises:
        InputError: naming the input and the first label that differs.
    """
    first: tuple[str, np.ndarray] | None = None
    for name, value in values.items():
        column = next((one for one in value.dims if one != VARIABLE), None) if is_labelled(value) else None
        if column is None or column not in value.coords:
            continue
        labels = np.asarray(value[column].values)
        first = first or (name, labels)
        require_same(f"{name}: found", column, labels, first[1], f"as of {first[0]}")


def labelled_like(state: Any, values: Any, variables: Sequence[Variable], name: str) -> Any:
    """Results (n_columns, n_features) as a DataArray over the columns of a state."""
    xarray = sys.modules["xarray"]
    (column,) = (one for one in state.dims if one != VARIABLE)
    coordinates = {key: one for key, one in state.coords.items() if VARIABLE not in one.dims}
    texts = {
        VARIABLE: [one.name for one in variables],
        UNITS: (VARIABLE, [one.units for one in variables]),
        "long_name": (VARIABLE, [one.long_name for one in variables]),
    }
    return xarray.DataArray(values, dims=(column, VARIABLE), coords={**coordinates, **texts}, name=name)
