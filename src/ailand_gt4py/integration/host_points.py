"""A host's horizontal grid: where land is in its fields, and how they are read where they are.

GT4Py gathers from a field of one horizontal dimension. A host's field may have one (cells) or two (I, J), be one level
of a field with more, and lie in memory with any strides. Each is viewed here as a field over `HostPoint`, the
positions in memory between its first and its last element, and a table says at which of them the land columns
are. The table depends on the strides alone, so that fields of one layout share it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import gt4py.next as gtx
import numpy as np
from gt4py.next import common as gtx_common

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import LandPoint, point_connectivity
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import require_same
from ailand_gt4py.emulator.labels import is_labelled

#: Strides of a layout in units of their greatest common divisor.
Layout = tuple[int, ...]


class HostView(NamedTuple):
    """A host's field: the same memory over `HostPoint`, and the key of the table that says where land is in it."""

    points: arrays.Array
    layout: Layout


def others_text(count: int) -> str:
    """Of so many points those that a message does not name."""
    return f" and {count - 1} more land points" if count > 1 else ""


class HostPoints:
    """The land points of a host's horizontal grid, by `HostGrid`'s mask, levels and dims; all fields are on the device.

    The points of GT4Py fields are those of their domains. All must have the domain of the first one, which is that of
    the mask where that is a field.

    Attributes:
        shape: of the mask. is_land: the mask, flat and in C order; columns: (n_land,) where it is True.
    """

    def __init__(
        self,
        land_mask: Any,
        device: arrays.Device = "cpu",
        levels: Mapping[gtx.Dimension, int] | None = None,
        dims: Sequence[gtx.Dimension] = (),
    ) -> None:
        #: Names of the horizontal dimensions of DataArrays, in the mask's order; of the first one, if it has none.
        self._names: tuple[Any, ...] | None = tuple(dimension.value for dimension in dims) or None
        #: Those of DataArrays along these dimensions, where they have any.
        self._labels: dict[Any, np.ndarray] = {}
        self._levels, self._dims = dict(levels or {}), tuple(dims)
        land_mask = self._by_name(land_mask, "land mask")
        mask = arrays.as_array(land_mask, device, "land mask", missing=False)
        if mask.dtype != np.bool_:
            raise InputError(f"land mask: found the type {mask.dtype}, expected bool")
        if mask.ndim not in (1, 2) or mask.size == 0:
            raise InputError(f"land mask: found the shape {mask.shape}, expected points over one or two dimensions")
        self.shape = tuple(int(extent) for extent in mask.shape)
        self.device = device
        self._starts: tuple[int, ...] | None = None
        self._xp = arrays.array_module(device)
        self.is_land = self._xp.ascontiguousarray(mask).reshape(-1).copy()
        self.columns = self._xp.flatnonzero(self.is_land)
        self.n_land = int(self.columns.size)
        self._positions = self._xp.unravel_index(self.columns, self.shape)
        self._tables: dict[Layout, gtx.Connectivity] = {}
        if dims and len(dims) != mask.ndim:
            raise InputError(f"horizontal: found {len(dims)} dimensions, expected the land mask's {mask.ndim}")
        if self._is_gt4py(land_mask):
            self._check_domain(land_mask, "land mask")

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the domain of the host's GT4Py fields begins; from now on 0 if there were none yet."""
        self._starts = self._starts or (0,) * len(self.shape)
        return self._starts

    def view(self, field: Any, name: str) -> HostView:
        """A field of the host, as `arrays.as_array` takes it, of any non-negative strides, where it is, not a copy.

        Masked elements are NaN, in a copy. A DataArray is taken by the names of its dimensions, in any order.
        """
        field = self._by_name(field, name)
        array = arrays.as_array(field, self.device, name, missing=np.nan)
        has_domain = self._is_gt4py(field)
        if has_domain:
            array = self._level_of(field, array, name)
        if tuple(array.shape) != self.shape:
            raise InputError(f"{name}: found the shape {tuple(array.shape)}, expected the land mask's {self.shape}")
        if has_domain:
            self._check_domain(field, name, self._levels)
        if array.dtype not in (np.float32, np.float64):
            raise InputError(f"{name}: found the type {array.dtype}, expected float32 or float64")
        arrays.check(array, name, self.shape, array.dtype)
        if array.ndim == 1:
            return HostView(array, (1,))
        strides = arrays.element_strides(array)
        unit = math.gcd(*strides) or 1
        layout = tuple(stride // unit for stride in strides)
        extent = 1 + sum((n - 1) * stride for n, stride in zip(self.shape, layout, strict=True))
        as_strided = self._xp.lib.stride_tricks.as_strided
        return HostView(as_strided(array, shape=(extent,), strides=(unit * array.itemsize,)), layout)

    def table(self, layout: Layout) -> gtx.Connectivity:
        """Where land columns are in fields of a layout: connectivity of `LandPoint`."""
        if layout not in self._tables:
            positions = sum(position * stride for position, stride in zip(self._positions, layout, strict=True))
            self._tables[layout] = point_connectivity(LandPoint, positions, self._xp)
        return self._tables[layout]

    def land_values(self, value: Any, name: str, dtype: np.dtype, may_be_missing: bool = False) -> arrays.Array:
        """A copy of a host's field at the land points, or of one scalar for all of them: (n_land,).

        All are finite, but NaN (or masked) where they may be missing.
        """
        if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
            result = self._xp.full(self.n_land, value, dtype=dtype)
        else:
            points = self.view(value, name)
            result = points.points[self.table(points.layout).ndarray[:, 0]].astype(dtype)
        is_wrong = self._xp.isinf(result) if may_be_missing else ~self._xp.isfinite(result)
        wrong = self._xp.flatnonzero(is_wrong)
        if wrong.size:
            column = int(wrong[0])
            raise InputError(
                f"{name}: found {float(result[column])} at {self.location_text(column)}{others_text(int(wrong.size))}, "
                "expected finite numbers"
            )
        return result

    def location_text(self, column: int) -> str:
        """A land column's index in the host's fields, for messages."""
        indices = [str(int(position[column])) for position in self._positions]
        return f"point {indices[0]}" if len(indices) == 1 else f"point ({', '.join(indices)})"

    def _by_name(self, field: Any, name: str) -> Any:
        """The array of a DataArray over the horizontal dimensions in their order; anything else as it is."""
        if not is_labelled(field):
            return field
        found = ", ".join(map(str, field.dims)) or "none"
        for dimension, level in self._levels.items():
            if dimension.value in field.dims:
                extent = field.sizes[dimension.value]
                if not 0 <= level < extent:
                    what = f"level {level} of {dimension.value}"
                    raise InputError(f"{name}: found {what}, expected 0 to {extent - 1}")
                field = field.isel({dimension.value: level})
        self._names = self._names or tuple(field.dims)
        if set(field.dims) != set(self._names):
            expected = ", ".join(map(str, self._names))
            raise InputError(f"{name}: found the dimensions ({found}), expected ({expected})")
        for dimension in self._names:
            if dimension in field.coords:
                labels = np.asarray(field[dimension].values)
                known = self._labels.setdefault(dimension, labels)
                require_same(f"{name}: found", dimension, labels, known, "as of the other fields")
        return field.transpose(*self._names).data

    def _is_gt4py(self, field: Any) -> bool:
        # GT4Py's ``Field`` is a protocol, which takes long to look for in an object that is none.
        return not isinstance(field, self._xp.ndarray) and isinstance(field, gtx_common.Field)

    def _level_of(self, field: gtx.Field, array: arrays.Array, name: str) -> arrays.Array:
        """The chosen levels of a GT4Py field."""
        index: list[Any] = [slice(None)] * array.ndim
        for axis, dimension in enumerate(field.domain.dims):
            if dimension in self._levels:
                extent, level = field.domain[dimension].unit_range, self._levels[dimension]
                if not extent.start <= level < extent.stop:
                    found = f"level {level} of {dimension.value}"
                    raise InputError(f"{name}: found {found}, expected {extent.start} to {extent.stop - 1}")
                index[axis] = level - extent.start
        return array[tuple(index)]

    def _check_domain(self, field: gtx.Field, name: str, vertical: Collection[gtx.Dimension] = ()) -> None:
        """Check that a GT4Py field's horizontal domain is that of all others: else points would be taken for others."""
        horizontal = [one for one in field.domain if one.dim not in vertical]
        dims, starts = tuple(one.dim for one in horizontal), tuple(one.unit_range.start for one in horizontal)
        expected = self._dims or dims, self._starts or starts
        if (dims, starts) != expected:
            found, wanted = (
                ", ".join(f"{dim.value} from {start}" for dim, start in zip(*pair, strict=True))
                for pair in ((dims, starts), expected)
            )
            raise InputError(f"{name}: found a GT4Py field over {found}, expected {wanted} as of the others")
        self._dims, self._starts = expected
