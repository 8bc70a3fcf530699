"""Fields of a host model as fields over land columns, without copying."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import Column
from ailand_gt4py.errors import InputError


def host_field_as_column(
    field: Any,
    name: str,
    device: arrays.Device = "cpu",
    levels: Mapping[gtx.Dimension, int] | None = None,
    columns: slice | None = None,
) -> gtx.Field:
    """A host's field, seen as a field over `Column`; the same memory, in the host's type.

    Args:
        field: a GT4Py field with one horizontal dimension of any name (``Cell``), or with further ones of which
            ``levels`` picks one position each; or a one-dimensional array (NumPy, CuPy,
            ``__cuda_array_interface__``, DLPack), of any stride.
        name: what to call it in an error.
        device: where the field must be.
        levels: dimension -> position in the field's own numbering, for instance {KDim: num_levels - 1}.
        columns: part of the horizontal dimension, as positions from its start (owned cells without halo); None: all.

    Returns:
        Field over `Column` with the domain (0, n).

    Raises:
        InputError: another device, no or more than one dimension left, a level or column outside the field, a type
            other than float32 or float64.
    """
    array = arrays.as_array(field, device, name)
    chosen: tuple[Any, ...] = (slice(None),) * array.ndim
    if levels:
        if not isinstance(field, gtx_common.Field):
            raise InputError(
                f"{name}: found {type(field).__name__} and levels, expected a GT4Py field with named dimensions"
            )
        remaining = dict(levels)
        positions: list[Any] = []
        for dimension in field.domain.dims:
            if dimension not in remaining:
                positions.append(slice(None))
                continue
            extent = field.domain[dimension].unit_range
            level = remaining.pop(dimension)
            if not extent.start <= level < extent.stop:
                raise InputError(
                    f"{name}: found level {level} of {dimension.value}, expected {extent.start} to {extent.stop - 1}"
                )
            positions.append(level - extent.start)
        if remaining:
            missing = ", ".join(dimension.value for dimension in remaining)
            found = ", ".join(dimension.value for dimension in field.domain.dims)
            raise InputError(f"{name}: found the dimensions {found}, expected {missing} among them")
        chosen = tuple(positions)
    column_array = array[chosen]
    if column_array.ndim != 1:
        raise InputError(f"{name}: found {column_array.ndim} dimensions, expected the columns alone")
    if column_array.dtype not in (np.float32, np.float64):
        raise InputError(f"{name}: found the type {column_array.dtype}, expected float32 or float64")
    if columns is not None:
        start, stop, step = columns.start or 0, columns.stop, columns.step or 1
        stop = len(column_array) if stop is None else stop
        if step != 1 or not 0 <= start <= stop <= len(column_array):
            raise InputError(
                f"{name}: found the columns {start}:{stop}:{step}, expected a part of 0:{len(column_array)}"
            )
        column_array = column_array[start:stop]
    return arrays.wrap(column_array, (Column,), name)
