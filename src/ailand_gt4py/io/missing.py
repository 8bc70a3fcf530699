"""What stands for missing values in netCDF files and zarr stores, brought to where xarray makes NaN of it.

xarray knows the attributes ``_FillValue`` and ``missing_value``. It does not know netCDF's default fill values, of
which rows consist that were never written; ``valid_range``, ``valid_min`` and ``valid_max``; what converters of GRIB
leave; codes written as texts; nor chunks that a store has lost. And it takes the fill value 0 of a zarr array for a
code.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.stores import LostChunks

#: Attributes that hold codes, in the stored values' type.
_CODES = ("_FillValue", "missing_value", "GRIB_missingValue")
#: Attributes that hold limits of what is valid -> number of them.
_LIMITS = {"valid_range": 2, "valid_min": 1, "valid_max": 1}

#: Attributes of packed variables; of those that were decoded before, they are no longer attributes.
_PACKING = frozenset(("scale_factor", "add_offset"))

_WORD = re.compile(r"[^\s,;\[\]()]+")


def decoded(raw: xr.Dataset, path: Path, lost: Mapping[str, LostChunks]) -> xr.Dataset:
    """A netCDF file or zarr store that was opened without decoding, with NaN for missing values; times undecoded.

    What cannot be read of a variable, because of its attributes or of chunks that are ``lost``, is an `InputError`
    once it is read.
    """
    for name, variable in raw.variables.items():
        if variable.dtype.kind in "fiu" and name not in raw.dims and _PACKING.isdisjoint(variable.encoding):
            _prepare(variable, f"{path}: variable '{name}'", lost.get(str(name)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more than one code
        result = xr.decode_cf(raw, decode_times=False)
    result.set_close(raw.close)
    return result


def _prepare(variable: xr.Variable, what: str, lost: LostChunks | None) -> None:
    """Make xarray see what is missing in a variable."""
    is_other_sign = _with_its_sign(variable)
    original, problem, limits = variable.copy(deep=False), "", None
    try:
        _make_numbers(variable, what)
        codes, limits = _codes(variable, what, has_default=not is_other_sign), _limits(variable, what)
        if limits is not None and variable.dtype.kind != "f" and not len(codes):
            codes = np.array([_default_fill(variable.dtype)], variable.dtype)
    except InputError as error:
        codes, problem = np.array([]), str(error)
        for name in _PACKING:
            variable.attrs.pop(name, None)
    if len(codes):
        variable.encoding.pop("missing_value", None)  # of a data set that was decoded before: told once more
        variable.attrs["missing_value"] = codes
    if problem or lost is not None or limits is not None:
        code = codes[0] if len(codes) and variable.dtype.kind != "f" else np.nan
        variable.data = indexing.LazilyIndexedArray(_Checked(original, what, problem, lost, limits, code))


def _make_numbers(variable: xr.Variable, what: str) -> None:
    """Make numbers of the attributes of packing, which some tools write as text."""
    for name in _PACKING & variable.attrs.keys():
        found = variable.attrs[name]
        numbers = _numbers(found, f"{what}: attribute '{name}'")
        if len(numbers) != 1:
            raise InputError(f"{what}: attribute '{name}': found {str(found)[:60]!r}, expected a number")
        if isinstance(found, str):
            variable.attrs[name] = numbers[0]


def _with_its_sign(variable: xr.Variable) -> bool:
    """Whether integers were of the other sign than their type says, by the attribute ``_Unsigned``; now they are not.

    Formats without unsigned integers have it, and xarray heeds it for values and ``_FillValue`` alone.
    """
    told = {"true": "u", "false": "i"}.get(str(variable.attrs.get("_Unsigned", "")).lower())
    if told is None or variable.dtype.kind not in "iu" or variable.dtype.kind == told:
        return False
    dtype = np.dtype(f"{told}{variable.dtype.itemsize}")
    del variable.attrs["_Unsigned"]
    for name in (*_CODES, *_LIMITS):
        value = np.asarray(variable.attrs.get(name))
        if value.dtype.kind in "iu":
            variable.attrs[name] = value.astype(dtype)
    variable.data = indexing.LazilyIndexedArray(_Viewed(variable.copy(deep=False), dtype))
    return True


def _codes(variable: xr.Variable, what: str, has_default: bool) -> Values:
    """All codes for missing values of a variable, in its type; ``has_default``: whether netCDF's default is one."""
    attributes, dtype = variable.attrs, variable.dtype
    is_zarr = "chunks" in variable.encoding
    is_packed = not _PACKING.isdisjoint(attributes)
    if is_zarr and dtype.kind == "f" and np.all(attributes.get("_FillValue", np.nan) == 0.0):
        del attributes["_FillValue"]  # with which zarr fills a new array: as no rain, it is data
    found = [code for name in _CODES for code in _numbers(attributes.get(name), f"{what}: attribute '{name}'")]
    if (
        has_default
        and "_FillValue" not in attributes
        and (dtype.kind == "f" or (is_packed and dtype.itemsize > 1 and not is_zarr))
    ):
        found.append(_default_fill(dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        codes = np.array(found, dtype=np.float64).astype(dtype)
    # A code that the type cannot hold, such as a large one of integers, is none of its values.
    return np.unique(codes if dtype.kind == "f" else codes[codes.astype(np.float64) == np.array(found)])


def _default_fill(dtype: np.dtype[Any]) -> float:
    return float(netCDF4.default_fillvals.get(f"{dtype.kind}{dtype.itemsize}", netCDF4.default_fillvals["f4"]))


def _limits(variable: xr.Variable, what: str) -> tuple[float, float] | None:
    """Smallest and largest valid value, as stored, with room for rounding; None where no attribute says any.

    Those of a packed variable are packed, too, if they are whole numbers (NetCDF Users' Guide, appendix A).
    """
    attributes = variable.attrs
    found = {name: attributes[name] for name in _LIMITS if name in attributes}
    if not found:
        return None
    numbers = {name: _numbers(value, f"{what}: attribute '{name}'") for name, value in found.items()}
    for name, count in _LIMITS.items():
        if len(numbers.get(name, range(count))) != count:
            raise InputError(f"{what}: attribute '{name}': found {found[name]!s}, expected {count} numbers")
    low, high = numbers.get("valid_range", (-math.inf, math.inf))
    low, high = numbers.get("valid_min", [low])[0], numbers.get("valid_max", [high])[0]
    are_whole = all(np.asarray(value).dtype.kind in "iu" for value in found.values())
    if variable.dtype.kind != "f" and not are_whole:
        scale, offset = (float(attributes.get(name, usual)) for name, usual in (("scale_factor", 1), ("add_offset", 0)))
        low, high = sorted(((low - offset) / scale, (high - offset) / scale))
    largest = max((abs(limit) for limit in (low, high) if math.isfinite(limit)), default=0.0)
    slack = 1e-6 * largest if variable.dtype.kind == "f" else 0.5
    return low - slack, high + slack


def _numbers(found: Any, what: str) -> list[float]:
    """The numbers that an attribute holds, which some tools write as text."""
    if found is None:
        return []
    try:
        return [float(part) for part in (_WORD.findall(found) if isinstance(found, str) else np.ravel(found))]
    except (TypeError, ValueError):
        raise InputError(f"{what}: found {str(found)[:60]!r}, expected a number") from None


class _Viewed(BackendArray):  # type: ignore[misc]
    """Stored integers with another sign: the same bits."""

    def __init__(self, variable: xr.Variable, dtype: np.dtype[Any]) -> None:
        self._variable, self.shape, self.dtype = variable, variable.shape, dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        return np.array(self._variable[key].values).astype(self.dtype)


class _Checked(BackendArray):  # type: ignore[misc]
    """Stored values, the code for missing ones where they are out of limits; an error where they cannot be read."""

    def __init__(
        self,
        variable: xr.Variable,
        what: str,
        problem: str,
        lost: LostChunks | None,
        limits: tuple[float, float] | None,
        code: Any,
    ) -> None:
        self._variable, self._what, self._problem = variable, what, problem
        self._lost, self._limits, self._code = lost, limits, code
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        if self._problem:
            raise InputError(self._problem)
        if self._lost is not None:
            self._require_chunks(self._lost, key)
        values = np.array(self._variable[key].values)
        if self._limits is not None:
            low, high = self._limits
            values[(values < low) | (values > high)] = self._code
        return values

    def _require_chunks(self, lost: LostChunks, key: tuple[Any, ...]) -> None:
        spans = []
        for part, length, chunk in zip(key, self.shape, lost.chunks, strict=True):
            rows = range(length)[part] if isinstance(part, slice) else range(part, part + 1)
            spans.append(range(min(rows) // chunk, max(rows) // chunk + 1) if len(rows) else rows)
        for position in itertools.product(*spans):
            if position in lost.positions:
                indices = ", ".join(
                    f"{name} {k * chunk} to {min((k + 1) * chunk, length) - 1}"
                    for name, k, chunk, length in zip(
                        self._variable.dims, position, lost.chunks, self.shape, strict=True
                    )
                )
                raise InputError(
                    f"{self._what}: a chunk is missing in the store (indices {indices}), and no fill value says what "
                    f"stands for it ({len(lost.positions)} chunks are missing), expected all chunks"
                )
