"""Arrays of the caller, wrapped as arrays of the emulator's device and as GT4Py fields, without copying."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common

from ailand_gt4py.core.errors import InputError, RunError

#: Of NumPy's search for an element that two arrays share, which may take exponential time: a few milliseconds.
_MOST_WORK = 100_000

Device = Literal["cpu", "cuda"]
Array = Any  # numpy.ndarray or cupy.ndarray: CuPy is optional, so the type cannot be named


def array_module(device: Device) -> Any:
    """NumPy for ``cpu``, CuPy for ``cuda``; `RunError` where it is not installed or there is no CUDA device."""
    if device == "cpu":
        return np
    try:
        import cupy
    except ImportError as error:
        raise RunError(
            "arrays on a CUDA device need CuPy, which is not installed: "
            "install the extra 'cuda12' or 'cuda13' (pip install 'ailand_gt4py[cuda13]')"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RunError(f"no CUDA device can be used, expected at least one: {error}") from error
    if count == 0:
        raise RunError("found no CUDA device, expected at least one")
    return cupy


def as_array(value: object, device: Device, name: str, missing: float | None = None) -> Array:
    """The array behind ``value``, on ``device``, sharing its memory; nothing is copied between devices silently.

    Args:
        missing: what stands for masked elements of an array of `numpy.ma`, in a copy of it (NaN or False, by its type);
            None: there must be none.
    """
    if isinstance(value, np.ndarray):
        if device != "cpu":
            raise InputError(f"{name}: found a NumPy array in host memory, expected an array on the CUDA device")
        return unmasked(value, name, missing)
    if isinstance(value, gtx_common.Field):
        return as_array(value.ndarray, device, name, missing)
    if hasattr(value, "__cuda_array_interface__"):
        if device != "cuda":
            raise InputError(f"{name}: found an array on a CUDA device, expected one in host memory")
        return array_module("cuda").asarray(value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        kind = int(value.__dlpack_device__()[0])
        on_host = kind == 1  # kDLCPU
        if on_host != (device == "cpu"):
            expected = "the CPU (1)" if device == "cpu" else "CUDA (2)"
            raise InputError(f"{name}: found an array on DLPack device type {kind}, expected {expected}")
        try:
            return array_module(device).from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:
            raise InputError(f"{name}: cannot be read through DLPack without a copy: {error}") from error
    raise InputError(
        f"{name}: found {type(value).__name__}, expected a NumPy or CuPy array, a GT4Py field, "
        "or an object with __cuda_array_interface__ or __dlpack__"
    )


def unmasked(array: np.ndarray, name: str, missing: float | None = None) -> np.ndarray:
    """An array, or the numbers of one of `numpy.ma`; see `as_array`."""
    if not isinstance(array, np.ma.MaskedArray):
        return array
    mask = np.ma.getmaskarray(array)
    if not mask.any():
        return array.data
    if missing is None or array.dtype.kind != ("b" if missing is False else "f"):
        index = tuple(map(int, np.argwhere(mask)[0]))
        raise InputError(
            f"{name}: found {int(mask.sum())} masked elements, the first at index {index}, expected none: "
            "what is masked is missing"
        )
    return array.filled(missing)


def check(array: Array, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check what a compiled program takes for granted about an array: shape, type, usable strides."""
    if array.shape != shape:
        raise InputError(f"{name}: found the shape {tuple(array.shape)}, expected {shape}")
    if array.dtype != dtype:
        raise InputError(f"{name}: found the type {array.dtype}, expected {dtype}")
    itemsize = array.dtype.itemsize
    if any(stride < 0 or stride % itemsize for stride in array.strides):
        raise InputError(
            f"{name}: found the strides {array.strides} bytes, expected non-negative multiples of {itemsize}"
        )


def check_result(array: Array, name: str, others: Mapping[str, Array]) -> None:
    """Check that results can be written into an array: not read-only, no element in memory of another one's.

    Args:
        others: what is read or written meanwhile, by what it is called in messages: "the input 'state'".
    """
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise InputError(f"{name}: found a read-only array, expected one into which results can be written")
    if _overlaps_itself(array):
        raise InputError(
            f"{name}: found the strides {array.strides} bytes, expected memory of its own for each element"
        )
    for other, given in others.items():
        try:
            shared = np.shares_memory(_in_memory(array), _in_memory(given), _MOST_WORK)  # type: ignore[arg-type]
        except np.exceptions.TooHardError as error:
            raise InputError(
                f"{name}: found the strides {array.strides} bytes beside {given.strides} of {other} in one block of "
                "memory, of which cannot be told whether they share elements, expected memory of its own"
            ) from error
        if shared:
            raise InputError(f"{name}: found memory shared with {other}, expected memory of its own")


def _overlaps_itself(array: Array) -> bool:
    """Whether two elements of an array have the same memory."""
    axes = sorted((stride, n) for stride, n in zip(element_strides(array), array.shape, strict=True) if n > 1)
    extent = 1
    for stride, n in axes:
        if stride < extent:
            break
        extent += (n - 1) * stride
    else:
        return False
    offsets = functools.reduce(np.add.outer, (np.arange(n) * stride for stride, n in axes))
    return np.unique(offsets).size < offsets.size


def _in_memory(array: Array) -> np.ndarray:
    """An array of NumPy at the same addresses, which on a GPU must not be read."""
    if isinstance(array, np.ndarray):
        return array
    interface = {"data": (address(array), True), "shape": array.shape, "strides": array.strides}
    interface |= {"typestr": array.dtype.str, "version": 3}
    return np.asarray(types.SimpleNamespace(__array_interface__=interface))


def wrap(
    array: Array, dimensions: Sequence[gtx.Dimension], name: str = "array", starts: Sequence[int] | None = None
) -> gtx.Field:
    """A GT4Py field over the memory of ``array``, whose domain begins at 0 or at ``starts`` along each dimension."""
    if array.ndim != len(dimensions):
        names = ", ".join(dimension.value for dimension in dimensions)
        raise InputError(f"{name}: found {array.ndim} axes, expected {len(dimensions)} ({names})")
    check(array, name, tuple(array.shape), array.dtype)
    starts = starts or (0,) * array.ndim
    ranges = [(start, start + extent) for start, extent in zip(starts, array.shape, strict=True)]
    domain = gtx_common.domain(dict(zip(dimensions, ranges, strict=True)))
    return gtx_common._field(array, domain=domain)  # private to GT4Py, whose public ``as_field`` always copies


def by_variable(shape: tuple[int, ...], dtype: np.dtype, xp: Any = np) -> Array:
    """A new array whose last axis, that of variables, is outermost in memory: each variable in one piece.

    So are they in files and in output, and sums and ranges over one of them run over neighbours.
    """
    return xp.moveaxis(xp.empty((shape[-1], *shape[:-1]), dtype=dtype), 0, -1)


def to_host(array: Array) -> np.ndarray:
    """The values in host memory; a NumPy array is returned as it is."""
    return array if isinstance(array, np.ndarray) else array.get()


def address(array: Array) -> int:
    """Address of the first element."""
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    return int(array.data.ptr)


def element_strides(array: Array) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(stride // array.itemsize for stride in array.strides)
