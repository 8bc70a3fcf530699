"""The cells of one file's grid: where they are, which of them are wanted, and which are those of another file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import TIME, Fields
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

#: How far a file's cell may be from another file's to be the same, degrees.
LOCATION_TOLERANCE = 0.01
#: How far the nearest cell may be from a point that is asked for, times the distance of that cell's neighbours ...
POINT_SPACINGS = 1.5
#: ... and in degrees where there is one cell only.
POINT_DEGREES = 1.0


_NOT_KEPT = {"bounds", "coordinates", "_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"}

#: South, north, west and east, degrees.
Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Lattice:
    """The cells of a file.

    Attributes:
        what: the file, for messages. sizes: lengths of the horizontal dimensions, in the order of the file's fields.
        latitude, longitude: float64 (n_cells,), degrees, the last dimension varying fastest; NaN where masked.
        axes: dimensions of latitude and of longitude.
        coordinates: variables over these dimensions or over none, by their names in the file.
        mapping: name of the one that is the grid's mapping, or empty.
    """

    what: str
    sizes: Mapping[str, int]
    latitude: Values
    longitude: Values
    axes: tuple[tuple[str, ...], tuple[str, ...]]
    coordinates: Mapping[str, xr.Variable]
    mapping: str = ""

    @property
    def n_cells(self) -> int:
        return math.prod(self.sizes.values())

    @property
    def is_rectilinear(self) -> bool:
        """Whether all cells in a row have one latitude, and all in a column one longitude, or the other way round."""
        return len(self.sizes) == 2 and all(len(axis) == 1 for axis in self.axes) and self.axes[0] != self.axes[1]

    def part(self, kept: Mapping[str, Values]) -> tuple[Lattice, Values]:
        """The cells at these indices of dimensions, and their positions among all cells."""
        cells = np.arange(self.n_cells).reshape(tuple(self.sizes.values()))
        indices = [kept.get(name, np.arange(size)) for name, size in self.sizes.items()]
        chosen = cells[np.ix_(*indices)].reshape(-1)
        coordinates = {
            name: variable.isel({axis: found for axis, found in kept.items() if axis in variable.dims})
            for name, variable in self.coordinates.items()
        }
        lattice = dataclasses.replace(
            self,
            sizes={name: len(found) for name, found in zip(self.sizes, indices, strict=True)},
            latitude=self.latitude[chosen],
            longitude=self.longitude[chosen],
            coordinates=coordinates,
        )
        return lattice, chosen

    def in_box(self, box: Box) -> tuple[Lattice, Values]:
        """The smallest part with all cells in a box, and its positions; locations of others in it are NaN.

        Rows of a rectilinear grid that the edge of the file cuts are put together again from west to east.
        """
        south, north, west, east = box
        offset = _east_of(west, self.longitude)
        inside = (self.latitude >= south) & (self.latitude <= north) & (offset <= ((east - west) % 360.0 or 360.0))
        if not inside.any():
            raise InputError(
                f"option --box: {self.what} has no cell in {south:g} to {north:g} N, {west:g} to {east:g} E, "
                "expected a box with some of its cells"
            )
        cells = inside.reshape(tuple(self.sizes.values()))
        kept = {
            name: np.flatnonzero(cells.any(axis=tuple(other for other in range(cells.ndim) if other != axis)))
            for axis, name in enumerate(self.sizes)
        }
        if self.is_rectilinear:
            name = self.axes[1][0]
            along = np.moveaxis(self.longitude.reshape(cells.shape), list(self.sizes).index(name), 0)
            along = along.reshape(len(along), -1)[:, 0]
            sign = np.sign(np.median((np.diff(along) + 180.0) % 360.0 - 180.0)) if len(along) > 1 else 1.0
            kept[name] = kept[name][np.argsort(sign * _east_of(west, along[kept[name]]), kind="stable")]
        part, chosen = self.part(kept)
        latitude = np.where(inside[chosen], part.latitude, np.nan)
        return dataclasses.replace(part._in_one_piece(west), latitude=latitude), chosen

    def _in_one_piece(self, west: float) -> Lattice:
        """The same with longitudes from a western edge on, where a rectilinear grid's jump."""
        names = [name for name, variable in self.coordinates.items() if variable.dims == self.axes[1]]
        name = next((one for one in names if _is_longitude(self.coordinates[one])), None)
        if not self.is_rectilinear or name is None:
            return self
        variable = self.coordinates[name]
        steps = np.diff(variable.values)
        if (steps > 0).all() or (steps < 0).all():
            return self
        turned = west + _east_of(west, variable.values)
        turned = (turned - 360.0 if turned.max() > 360.0 else turned).astype(variable.dtype)
        straight = xr.Variable(variable.dims, turned, variable.attrs, variable.encoding)
        longitude = straight.set_dims(dict(self.sizes)).transpose(*self.sizes).values.reshape(-1).astype(np.float64)
        return dataclasses.replace(self, longitude=longitude, coordinates={**self.coordinates, name: straight})

    def positions(self, latitude: Values, longitude: Values) -> Values:
        """Positions of the cells at locations (n,), degrees, which must be there within `LOCATION_TOLERANCE`."""
        if len(latitude) == self.n_cells and self.is_at(np.arange(self.n_cells), latitude, longitude):
            return np.arange(self.n_cells)
        distance, nearest = self._nearest(latitude, longitude)
        limit = np.full(len(nearest), LOCATION_TOLERANCE)
        self._require_near(latitude, longitude, distance, limit, "the cells of the first file")
        return nearest

    def has_twins(self, positions: Values) -> bool:
        """Whether another cell is where one of those at these positions is."""
        locations = np.stack([self.latitude, self.longitude], axis=1)
        _, group, sizes = np.unique(locations, axis=0, return_inverse=True, return_counts=True)
        return bool((sizes[group.reshape(-1)[positions]] > 1).any())

    def nearest(self, latitude: Values, longitude: Values) -> tuple[Values, Values]:
        """Positions of the cells nearest to points (n,), degrees, and how far these are from them, degrees.

        Raises:
            InputError: a point is not on the grid.
        """
        distance, nearest = self._nearest(latitude, longitude)
        limit = np.full(len(nearest), POINT_DEGREES)
        if self.n_cells > 1:
            here = self.latitude[nearest], self.longitude[nearest]
            neighbours = self._nearest(*here, count=min(5, self.n_cells))[0]
            limit = np.maximum(POINT_SPACINGS * neighbours.max(axis=1), LOCATION_TOLERANCE)
        self._require_near(latitude, longitude, distance, limit, "points on the grid")
        return nearest, distance

    def _require_near(
        self, latitude: Values, longitude: Values, distance: Values, limit: Values, expected: str
    ) -> None:
        """Check that the nearest cells of locations (n,) are near."""
        far = np.flatnonzero(~(distance <= limit))
        if far.size:
            k = far[0]
            raise InputError(
                f"{self.what}: has no cell at {latitude[k]:.4f} N, {longitude[k]:.4f} E ({far.size} of "
                f"{len(latitude)} such cells; the nearest is {distance[k]:.3g} degrees away), expected {expected}"
            )

    def is_at(self, positions: Values, latitude: Values, longitude: Values) -> bool:
        """Whether the cells at some positions are those at locations (n,), within `LOCATION_TOLERANCE`."""
        own = self.latitude[positions], self.longitude[positions]
        turn = np.abs((own[1] - longitude + 180.0) % 360.0 - 180.0)
        is_near = (np.abs(own[0] - latitude) <= LOCATION_TOLERANCE) & (turn <= LOCATION_TOLERANCE)
        is_masked = np.isnan(own[0]) & np.isnan(latitude)
        return bool((is_near | is_masked).all())

    def _nearest(self, latitude: Values, longitude: Values, count: int = 1) -> tuple[Values, Values]:
        """Distances on the globe, degrees, and positions of the nearest cells: (n,), or (n, count)."""
        from scipy.spatial import KDTree  # takes its time, and most runs need none

        known = np.flatnonzero(np.isfinite(self.latitude) & np.isfinite(self.longitude))
        if not known.size:
            raise InputError(f"{self.what}: no cell has a latitude and longitude, expected them in degrees")
        tree = KDTree(unit_vectors(self.latitude[known], self.longitude[known]))
        chord, found = tree.query(unit_vectors(np.nan_to_num(latitude), np.nan_to_num(longitude)), k=count)
        return np.degrees(2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))), known[found]


def _east_of(west: float, longitude: Values) -> Values:
    """How far longitudes are to the east of one, 0 to 360 degrees; rounding does not send its own around the globe."""
    offset = (longitude - west) % 360.0
    return np.where(offset > 360.0 - 1e-4, offset - 360.0, offset)


def _is_longitude(variable: xr.Variable) -> bool:
    return str(variable.attrs.get("units", "")).startswith("degree") and variable.attrs.get("standard_name") in (
        None, "longitude"
    )  # fmt: skip


def unit_vectors(latitude: Values, longitude: Values) -> Values:
    """Unit vectors (n, 3) of locations, degrees."""
    phi, theta = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=-1)


def lattice_of(fields: Fields) -> Lattice | None:
    """The cells of a file; None where it says nothing of latitude and longitude."""
    data = fields.dataset
    if "lat" not in data.variables or "lon" not in data.variables:
        return None
    latitude, longitude = (_degrees(fields, name) for name in ("lat", "lon"))
    axes = tuple(map(str, latitude.dims)), tuple(map(str, longitude.dims))
    sizes = _in_order(data, {**latitude.sizes, **longitude.sizes})
    flat = [variable.set_dims(sizes).transpose(*sizes).values.reshape(-1).copy() for variable in (latitude, longitude)]
    own = {name: fields.own_names.get(name, name) for name in ("lat", "lon")}
    coordinates = {
        own.get(str(name), str(name)): _plain(variable)
        for name, variable in data.variables.items()
        if name in (*own, *data.coords) and name != TIME and set(map(str, variable.dims)) <= set(sizes)
    }
    for name, variable in (("lat", latitude), ("lon", longitude)):
        if TIME in data[name].dims:
            coordinates[own[name]] = _plain(variable)
        located = coordinates[own[name]]
        located.attrs = {**cf_attributes(CATALOGUE[name]), **located.attrs}  # CF, where the file says less
    mappings = {str(data[name].attrs.get("grid_mapping", "")) for name in data.data_vars} & set(coordinates)
    return Lattice(str(fields.path), sizes, flat[0], flat[1], axes, coordinates, next(iter(mappings), ""))


def _degrees(fields: Fields, name: str) -> xr.Variable:
    """Latitude or longitude, float64; where it is repeated in time, that has to be the same throughout."""
    variable = fields.dataset[name].variable
    straight = conversion(variable.attrs.get("units"), CATALOGUE[name].units, fields.what(name))
    if TIME in variable.dims:
        first = variable.isel({TIME: 0})
        if not bool((((variable == first) | (variable != variable)).all()).values):
            raise InputError(f"{fields.what(name)} changes in time, expected cells with fixed locations")
        variable = first
    values = straight.apply(np.asarray(variable.values, dtype=np.float64))
    return xr.Variable(variable.dims, values, {**variable.attrs, "units": CATALOGUE[name].units})


def _in_order(data: xr.Dataset, sizes: Mapping[Any, int]) -> dict[str, int]:
    """Horizontal dimensions in the order in which the file's fields have them."""
    for variable in data.variables.values():
        order = [name for name in variable.dims if name in sizes]
        if len(order) == len(sizes):
            return {str(name): int(sizes[name]) for name in order}
    return {str(name): int(length) for name, length in sizes.items()}


def _plain(variable: xr.Variable) -> xr.Variable:
    """The same in memory, to be written as it is; without attributes that stand for other variables or for encoding."""
    values = np.asarray(variable.values)
    if values.ndim == 0 and values.dtype.kind not in "iuf":  # of a grid's mapping, which is often a letter
        values = np.zeros((), dtype=np.int32)
    values = values.astype(object) if values.dtype.kind in "UO" else values.astype(values.dtype.newbyteorder("="))
    attributes = {str(key): value for key, value in variable.attrs.items() if key not in _NOT_KEPT}
    return xr.Variable(variable.dims, values, attributes, {"_FillValue": None})
