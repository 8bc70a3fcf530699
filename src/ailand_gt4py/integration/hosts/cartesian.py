"""Fields of (I, J, K) models, gt4py.cartesian storages and PyFV3's quantities, as `LandComponent` takes them.

Such a model's field has two horizontal dimensions with halo, and perhaps a vertical one. What the land needs of it is
one level, which is viewed in the host's own memory; the component's mask has the halo, False there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError

#: How the vertical dimension's name begins where a field has names (PyFV3: ``z``, ``z_interface``; GT4Py: ``K``).
VERTICAL = ("z", "k", "K")


def horizontal_fields(fields: Mapping[str, Any], level: int = -1, device: arrays.Device = "cpu") -> dict[str, Any]:
    """One level of each field, sharing its memory; of masked fields a copy that is NaN where they are masked.

    Args:
        fields: name -> an array of two or three dimensions (NumPy, CuPy, anything with ``__cuda_array_interface__`` or
            DLPack), or an object that has such an array as ``data``, as PyFV3's ``Quantity`` has. With ``dims`` (names)
            the vertical dimension is found by its name, else it is the last of three.
        level: position along the vertical dimension, from its end where negative.
        device: where the arrays are.

    Returns:
        Name -> (I, J) array, halo included.

    Raises:
        InputError: no array, another number of dimensions, or a level that is not there.
    """
    result = {}
    for name, field in fields.items():
        is_quantity = hasattr(field, "dims") and hasattr(field, "data")
        array = arrays.as_array(field.data if is_quantity else field, device, name, missing=np.nan)
        dims = tuple(map(str, field.dims)) if is_quantity else ("i", "j", "k")[: array.ndim]
        if len(dims) != array.ndim or array.ndim not in (2, 3):
            raise InputError(f"{name}: found {array.ndim} dimensions, expected (I, J) or (I, J, K)")
        vertical = [axis for axis, dim in enumerate(dims) if dim.startswith(VERTICAL)]
        if len(vertical) != array.ndim - 2:
            found = ", ".join(dims)
            raise InputError(f"{name}: found the dimensions {found}, expected two horizontal ones and one level")
        for axis in vertical:
            n_levels = array.shape[axis]
            if not -n_levels <= level < n_levels:
                raise InputError(f"{name}: found level {level}, expected {-n_levels} to {n_levels - 1}")
            array = array[(slice(None),) * axis + (level,)]
        result[name] = array
    return result


def declared_units(fields: Mapping[str, Any]) -> dict[str, str]:
    """Name -> unit of the fields that say theirs (``units``), for the ``units`` of `LandComponent`."""
    return {name: str(field.units) for name, field in fields.items() if getattr(field, "units", "")}
