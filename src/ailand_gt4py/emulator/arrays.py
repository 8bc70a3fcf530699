"""The arrays that an emulator takes and returns, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from gt4py.next import common as gtx_common

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.labels import in_order, is_labelled
from ailand_gt4py.weights.model import Variable

#: An array of the caller on the device: NumPy, CuPy, xarray's, or anything with DLPack or ``__cuda_array_interface__``.
ArrayLike: TypeAlias = Any


class EmulatorArrays:
    """Knows what arrays of one emulator must be: device and type of all, shapes and variables by name."""

    def __init__(
        self,
        device: arrays.Device,
        dtype: np.dtype,
        shapes: Mapping[str, tuple[int, ...]],
        variables: Mapping[str, Sequence[Variable]] = MappingProxyType({}),
    ) -> None:
        self.device, self.dtype, self.shapes, self._variables = device, dtype, shapes, variables
        self._xp = arrays.array_module(device)

    def checked(self, value: ArrayLike, name: str, *, is_result: bool = False) -> arrays.Array:
        """A caller's array; `InputError` where it has another shape, type or device than is expected of that name.

        Nor may an element of it be masked, or a GT4Py field begin elsewhere than at 0: columns are counted in memory.
        """
        if name in self._variables and is_labelled(value):
            value = in_order(value, name, self._variables[name], is_result=is_result)
        array = arrays.as_array(value, self.device, name)
        if not isinstance(value, self._xp.ndarray) and isinstance(value, gtx_common.Field):
            starts = tuple(extent.start for extent in value.domain.ranges)
            if any(starts):
                raise InputError(
                    f"{name}: found a GT4Py field that begins at {starts}, expected one that begins at 0, or its array"
                )
        arrays.check(array, name, self.shapes[name], self.dtype)
        return array

    def given(self, names: Sequence[str], values: Sequence[ArrayLike]) -> dict[str, arrays.Array]:
        """The caller's arrays by name, as `checked`, without those that are None."""
        return {name: self.checked(value, name) for name, value in zip(names, values, strict=True) if value is not None}

    def results(
        self, out: Sequence[ArrayLike] | None, inputs: Mapping[str, arrays.Array], names: Sequence[str]
    ) -> list[arrays.Array]:
        """Arrays for results of these names, the caller's if there are any that can be used (`arrays.check_result`)."""
        if out is None:
            return [self._xp.empty(self.shapes[name], dtype=self.dtype) for name in names]
        if len(out) != len(names):
            raise InputError(f"out: found {len(out)} arrays, expected {len(names)}: {', '.join(names)}")
        results = [self.checked(array, name, is_result=True) for array, name in zip(out, names, strict=True)]
        others = {f"the input '{name}'": array for name, array in inputs.items()}
        for name, result in zip(names, results, strict=True):
            arrays.check_result(result, name, others)
            others[f"the result '{name}'"] = result
        return results
