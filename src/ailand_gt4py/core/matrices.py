"""Matrices of weights in memory: as matrix kernels read them, so that a model and its programs can share them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values

#: Of x86 processors and of most others.
CACHE_LINE_BYTES = 64
#: Numbers in the longest vector of any processor here, in single precision.
_VECTOR = 16


def for_products(values: Values, dtype: np.dtype, xp: Any = np) -> Any:
    """Weights (outputs, inputs) as matrix kernels read them; an array that is so already is returned as it is.

    In memory (inputs, outputs), for they are read of many outputs at once. Rows are padded to whole vectors, and by
    some more: a stride that is a power of two crowds in few cache sets.

    Args:
        xp: NumPy, or CuPy for a copy on the device.
    """
    n_outputs, n_inputs = values.shape
    whole = -(-n_outputs // _VECTOR) * _VECTOR
    if xp is np and values.dtype == dtype and values.strides[0] == dtype.itemsize:
        stride = values.strides[1] // dtype.itemsize
        if stride % _VECTOR == 0 and stride > whole and values.ctypes.data % CACHE_LINE_BYTES == 0:
            return values
    array = _aligned_zeros((n_inputs, whole + _VECTOR), dtype)
    # Some outputs at a time, or each number would be written to another cache line than the one before.
    for first in range(0, n_outputs, _VECTOR):
        rows = slice(first, min(first + _VECTOR, n_outputs))
        array[:, rows] = values[rows].T
    return xp.asarray(array)[:, :n_outputs].T


def packed(values: Values) -> Values:
    """Weights (outputs, inputs) rounded to bfloat16, in half the memory, as `lowering/cpu/rounded.hpp` reads them.

    In memory panels of 16 outputs, each (pairs of inputs, outputs, the two of a pair), inputs padded to a multiple of
    32. Rounded to the nearest, ties to even, as IEEE 754 does.

    Returns:
        An array of the shape of the weights that cannot be read: it begins where the memory does, with strides of zero,
        and keeps that alive. It is float32 since GT4Py has no bfloat16.
    """
    n_outputs, n_inputs = values.shape
    panels, pairs = -(-n_outputs // _VECTOR), -(-n_inputs // (2 * _VECTOR)) * _VECTOR
    bits = np.zeros((panels * _VECTOR, pairs * 2), dtype=np.uint32)
    bits[:n_outputs, :n_inputs] = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    memory = _aligned_zeros((panels, pairs, _VECTOR, 2), np.dtype(np.uint16))
    memory[...] = rounded.reshape(panels, _VECTOR, pairs, 2).transpose(0, 2, 1, 3)
    words = memory.view(np.float32).reshape(-1)
    return np.lib.stride_tricks.as_strided(words, values.shape, (0, 0))


def _aligned_zeros(shape: tuple[int, ...], dtype: np.dtype) -> Values:
    """Zeros in memory that starts with a cache line, so that no vector of a row of whole vectors lies in two."""
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.zeros(n_bytes + CACHE_LINE_BYTES, dtype=np.uint8)
    first = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[first : first + n_bytes].view(dtype).reshape(shape)
