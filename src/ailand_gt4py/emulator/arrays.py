"""The arrays that an emulator takes and returns, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError

#: An array of the caller on the device: NumPy, CuPy, or anything with DLPack or ``__cuda_array_interface__``.
ArrayLike: TypeAlias = Any


class EmulatorArrays:
    """Knows what arrays of one emulator must be: device and type of all, shapes by name."""

    def __init__(self, device: arrays.Device, dtype: np.dtype, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.device, self.dtype, self.shapes = device, dtype, shapes
        self._xp = arrays.array_module(device)

    def checked(self, value: ArrayLike, name: str) -> arrays.Array:
        """A caller's array; `InputError` where it has another shape, type or device than is expected of that name."""
        array = arrays.as_array(value, self.device, name)
        arrays.check(array, name, self.shapes[name], self.dtype)
        return array

    def given(self, names: Sequence[str], values: Sequence[ArrayLike]) -> dict[str, arrays.Array]:
        """The caller's arrays by name, as `checked`, without those that are None."""
        return {name: self.checked(value, name) for name, value in zip(names, values, strict=True) if value is not None}

    def results(
        self, out: Sequence[ArrayLike] | None, inputs: Mapping[str, arrays.Array], names: Sequence[str]
    ) -> list[arrays.Array]:
        """Arrays for results of these names, the caller's if there are any that can be used."""
        if out is None:
            return [self._xp.empty(self.shapes[name], dtype=self.dtype) for name in names]
        results = [self.checked(array, name) for array, name in zip(out, names, strict=True)]
        for result_name, result in zip(names, results, strict=True):
            for name, array in inputs.items():
                if self._xp.may_share_memory(result, array):
                    raise InputError(
                        f"{result_name}: found memory shared with the input '{name}', expected memory of its own"
                    )
        return results
