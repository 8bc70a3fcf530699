"""Horizontal grids as columns and back: any dimensions, members of an ensemble, masked points, a part of the globe.

Columns lie one after another along ``x``, the last dimension of the grid varying fastest, all of a member before those
of the next. What is left out on the way in (sea, what a file masks) is missing on the way out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence

import dask.array
import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.cells import is_member, matched_cells, sizes_text, with_members_in_order
from ailand_gt4py.io.fields import COLUMN, TIME, Fields
from ailand_gt4py.io.lattices import Box, Lattice, lattice_of
from ailand_gt4py.io.monthly import MONTH
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

LAND = "land_sea_mask"
#: By how much a land-sea mask may be out of 0 to 1: packing and interpolation.
_MASK_SLACK = 0.05
#: Part of a cell that has to be land, as in the IFS.
LEAST_LAND = 0.5


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which part of the files' grid is wanted.

    Attributes:
        box: south, north, west, east, degrees; it goes from west to east, across the date line, too.
        points: (latitude, longitude), degrees; of each the nearest cell.
    """

    box: Box | None = None
    points: tuple[tuple[float, float], ...] | None = None

    @property
    def is_all(self) -> bool:
        return self.box is None and self.points is None


#: All of it.
ALL = Selection()


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where columns lie.

    Attributes:
        sizes: lengths of the dimensions, in the order of a file's.
        coordinates: variables over these dimensions, or over none, by their names in the file.
        index: int64 (n_columns,), the position of each column among all points, the last dimension varying fastest.
        mapping: name of the variable of `coordinates` that is the grid's mapping; empty where there is none.
    """

    sizes: Mapping[str, int]
    coordinates: Mapping[str, xr.Variable]
    index: Values
    mapping: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.sizes.values())

    @property
    def n_points(self) -> int:
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether the columns are all points, in order."""
        return len(self.index) == self.n_points

    def part(self, kept: Values) -> Grid:
        """The same with these of its columns only."""
        return dataclasses.replace(self, index=self.index[kept])

    def spread(self, values: Values, missing: float = np.nan) -> Values:
        """(..., n_columns) as (..., *shape)."""
        if not self.is_whole:
            points = np.full((*values.shape[:-1], self.n_points), missing, dtype=values.dtype)
            points[..., self.index] = values
            values = points
        return values.reshape(*values.shape[:-1], *self.shape)

    def gather(self, values: Values) -> Values:
        """(..., *shape) as (..., n_columns)."""
        flat = values.reshape(*values.shape[: values.ndim - len(self.shape)], self.n_points)
        return flat if self.is_whole else flat[..., self.index]


def to_columns(
    files: Sequence[Fields], selection: Selection = ALL, positions: Values | None = None
) -> tuple[list[Fields], Grid]:
    """The fields of files as columns of one grid, that of the first of them that has locations.

    ``positions``: int64, increasing, which of these columns are wanted; None: all.

    Every file has all columns then: dimensions ``time`` and ``x``, or ``x`` alone; ``x`` has labels, ``lat`` and
    ``lon`` are (x,) float64. Sea (``land_sea_mask`` below `LEAST_LAND` in any of the files) is left out.

    Raises:
        InputError: naming the file whose cells are others, or the variable whose dimensions cannot be placed.
    """
    files = with_members_in_order([_without_single(one) for one in files])
    lattices = [lattice_of(one) for one in files]
    base = next((lattice for lattice in lattices if lattice is not None), None)
    if base is None:
        names = ", ".join(str(one.path) for one in files)
        unit = CATALOGUE["lat"].units
        raise InputError(f"{names}: variable 'lat' is missing; expected it for each column or point, in {unit}")
    part, chosen, notes = _chosen(base, selection)
    first = files[lattices.index(base)]
    placed = [
        matched_cells(*pair, first, base, part, chosen, selection.points) for pair in zip(files, lattices, strict=True)
    ]
    files, places = [one for one, _ in placed], [where for _, where in placed]
    is_land, sentence = _land(files, places, part)
    kept = np.flatnonzero(is_land)
    notes += sentence
    member, n_members = _members(files)
    index = _repeated(kept, part.n_cells, n_members)
    index = index if positions is None else index[positions]
    grid = _grid(files, part, index, member, n_members)
    labels = _labels(first, part, selection, member, index)
    members, cells = np.divmod(index, part.n_cells)
    location = part.latitude[cells], part.longitude[cells]
    columns = []
    for one, lattice, found in zip(files, lattices, places, strict=True):
        sizes = {} if found is None else dict(part.sizes if lattice is None else lattice.sizes)
        own = None if found is None else found[cells]
        flattened = _flattened(one, sizes, own, member, members)
        columns.append(_with_location(flattened, labels, *location))
    columns[0] = dataclasses.replace(columns[0], notes=[*columns[0].notes, *notes])
    return columns, grid


def _without_single(fields: Fields) -> Fields:
    """The same without dimensions of length one that are neither time nor horizontal; they are said.

    One location without a dimension becomes one of columns.
    """
    data = fields.dataset
    if all(name in data.variables and set(data[name].dims) <= {TIME} for name in ("lat", "lon")):
        data = data.expand_dims({COLUMN: 1}, axis=-1)
        fields = dataclasses.replace(fields, dataset=data)
    horizontal = {name for one in ("lat", "lon") if one in data.variables for name in data[one].dims}
    if not horizontal and COLUMN in data.dims:
        horizontal = {COLUMN}
    single = [name for name, size in data.sizes.items() if size == 1 and name not in (TIME, *horizontal)]
    if not single:
        return fields
    notes = [f"Dimension of length 1 left out: {', '.join(_with_value(data, str(name)) for name in single)}."]
    return dataclasses.replace(fields, dataset=data.squeeze(single, drop=True), notes=[*fields.notes, *notes])


def _with_value(data: xr.Dataset, name: str) -> str:
    """The name of a dimension of length one and, where it has one, its label."""
    if name not in data.variables or data[name].size != 1:
        return name
    return f"{name} ({data[name].values.item()} {data[name].attrs.get('units', '')}".rstrip() + ")"


def _chosen(base: Lattice, selection: Selection) -> tuple[Lattice, Values, list[str]]:
    """The part of a grid that is wanted, its positions in the whole of it, and sentences on that."""
    if selection.points is not None:
        return _at_points(base, selection.points)
    if selection.box is None:
        return base, np.arange(base.n_cells), []
    part, chosen = base.in_box(selection.box)
    south, north, west, east = selection.box
    n_inside = int(np.isfinite(part.latitude).sum())
    text = f"{south:g} to {north:g} N, {west:g} to {east:g} E"
    return part, chosen, [f"Of {base.n_cells} cells, {n_inside} lie in the box {text}."]


def _at_points(base: Lattice, points: Sequence[tuple[float, float]]) -> tuple[Lattice, Values, list[str]]:
    asked = np.array(points, dtype=np.float64).reshape(-1, 2).T
    chosen, distance = base.nearest(*asked)
    latitude, longitude = base.latitude[chosen], base.longitude[chosen]
    units = {name: cf_attributes(CATALOGUE[name]) for name in ("lat", "lon")}
    coordinates = {
        "lat": xr.Variable((COLUMN,), latitude, units["lat"], {"_FillValue": None}),
        "lon": xr.Variable((COLUMN,), longitude, units["lon"], {"_FillValue": None}),
        COLUMN: xr.Variable((COLUMN,), np.arange(len(chosen)), {"long_name": "label of the column", "units": "1"}),
    }
    part = Lattice(base.what, {COLUMN: len(chosen)}, latitude, longitude, ((COLUMN,), (COLUMN,)), coordinates)
    k = int(np.argmax(distance))
    note = (
        f"Nearest cells to {len(chosen)} points of {base.n_cells} cells are taken, at most {distance[k]:.3g} degrees "
        f"away (that of {asked[0, k]:g} N, {asked[1, k]:g} E is at {latitude[k]:g} N, {longitude[k]:g} E)."
    )
    return part, chosen, [note]


def _land(files: Sequence[Fields], places: Sequence[Values | None], part: Lattice) -> tuple[Values, list[str]]:
    """Whether cells are land and have a location, and sentences on those that have not."""
    is_located = np.isfinite(part.latitude) & np.isfinite(part.longitude)
    is_land, notes = is_located, list[str]()
    for one, found in zip(files, places, strict=True):
        if LAND in one.dataset.variables and found is not None:
            mask = one.dataset[LAND].variable
            mask = mask.isel({TIME: 0}) if TIME in mask.dims else mask
            lattice = lattice_of(one)
            order = list(part.sizes if lattice is None else lattice.sizes)
            if set(mask.dims) != set(order):
                raise InputError(f"{one.what(LAND)} has the dimensions {sizes_text(mask.sizes)}, expected {order}")
            values = _fraction(one, np.asarray(mask.transpose(*order).values, dtype=np.float64).reshape(-1)[found])
            is_land = is_land & (values >= LEAST_LAND)
    n_sea = int(is_located.sum() - is_land.sum())
    if n_sea:
        notes.append(
            f"Sea is left out: {n_sea} of {int(is_located.sum())} cells, where the land-sea mask is below {LEAST_LAND}."
        )
    if not is_land.any():
        raise InputError(f"{part.what}: none of {part.n_cells} cells is land, expected at least one")
    return is_land, notes


def _fraction(fields: Fields, values: Values) -> Values:
    """Values of the land-sea mask as a fraction; missing where they are. Masks have many units, or none."""
    with contextlib.suppress(InputError):
        values = conversion(fields.dataset[LAND].attrs.get("units"), "1", LAND).apply(values)
    wrong = np.flatnonzero((values < -_MASK_SLACK) | (values > 1.0 + _MASK_SLACK))
    if wrong.size:
        raise InputError(
            f"{fields.what(LAND)} is {values[wrong[0]]:g} in cell {wrong[0]} ({wrong.size} of {values.size} such "
            "cells), expected a fraction of land, 0 to 1 (the unit may be %)"
        )
    return values


def _members(files: Sequence[Fields]) -> tuple[str, int]:
    """Name of the dimension of members and their number; none: an empty name and one."""
    found = {
        (str(name), size): one.path for one in files for name, size in one.dataset.sizes.items() if is_member(name)
    }
    if len(found) > 1:
        texts = ", ".join(f"{name}: {size} in {path}" for (name, size), path in found.items())
        raise InputError(f"dimensions of members: found {texts}; expected the same in all files that have members")
    return next(iter(found), ("", 1))


def _repeated(index: Values, size: int, count: int) -> Values:
    """Positions among `size` points as those among the points of each of `count` members."""
    return (index + size * np.arange(count)[:, np.newaxis]).reshape(-1)


def _grid(files: Sequence[Fields], part: Lattice, index: Values, member: str, n_members: int) -> Grid:
    if not member:
        return Grid(part.sizes, part.coordinates, index, part.mapping)
    labels = next((one.dataset[member].variable for one in files if member in one.dataset.variables), None)
    if labels is None:
        labels = xr.Variable((member,), np.arange(n_members), {"units": "1"})
    labels = xr.Variable((member,), labels.values, {"long_name": "member of the ensemble", **labels.attrs})
    return Grid({member: n_members, **part.sizes}, {**part.coordinates, member: labels}, index, part.mapping)


def _labels(fields: Fields, part: Lattice, selection: Selection, member: str, index: Values) -> Values:
    """Labels of columns: those of the file where that is one of columns, else the positions on the grid."""
    data = fields.dataset
    if tuple(part.sizes) != (COLUMN,) or member or COLUMN not in data.variables or selection.points is not None:
        return index
    own = part.coordinates[COLUMN].values[index]
    if own.dtype.kind == "S":
        own = np.array([text.decode(errors="backslashreplace") for text in own.tolist()], dtype=object)
    return own


def _flattened(fields: Fields, sizes: Mapping[str, int], own: Values | None, member: str, members: Values) -> Fields:
    """Fields of a file whose horizontal dimensions have these sizes, at positions among its cells, as columns.

    ``members``: (n_columns,), of each column the number of its member.
    """
    n_columns = len(members)
    variables: dict[str, xr.Variable] = {}
    same: list[str] = []
    for name, variable in fields.dataset.variables.items():
        name = str(name)
        if name not in fields.own_names or name in ("lat", "lon"):
            continue
        lead = [name for name in (TIME, MONTH) if name in variable.dims]
        has_members = bool(member) and member in variable.dims
        order = [*lead, *([member] if has_members else []), *sizes]
        is_placed = set(map(str, variable.dims)) == set(order)
        if not (is_placed or set(map(str, variable.dims)) == set(lead)):
            expected = {axis: size for axis, size in fields.dataset.sizes.items() if axis == TIME} | dict(sizes)
            raise InputError(
                f"{fields.what(name)} has the dimensions {sizes_text(variable.sizes)}, expected {sizes_text(expected)}"
            )
        if is_placed and own is not None:
            index = own + math.prod(sizes.values()) * members if has_members else own
            data = _taken(variable.transpose(*order).chunk().data, len(lead), index)
        else:
            same += [name] if n_columns > 1 else []
            data = variable.transpose(*lead).chunk().data
            data = dask.array.broadcast_to(data[..., np.newaxis], (*data.shape, n_columns))
        stored = {"dtype": variable.encoding["dtype"]} if "dtype" in variable.encoding else {}
        variables[name] = xr.Variable((*lead, COLUMN), data, variable.attrs, stored)
    result = xr.Dataset(variables)
    if TIME in fields.dataset.variables:
        result = result.assign_coords({TIME: fields.dataset[TIME].variable})
    notes = [f"One value of {fields.path} for all columns: {', '.join(same)}."] if same else []
    return dataclasses.replace(fields, dataset=result, notes=[*fields.notes, *notes])


def _taken(data: dask.array.Array, n_lead: int, index: Values) -> dask.array.Array:
    """(time, ...) or (...), whole in all dimensions after time, at positions among all of these: (time, n) or (n,)."""
    if len(index) and data.ndim > n_lead:
        # No more is read than what holds them all.
        where = np.unravel_index(index, data.shape[n_lead:])
        corner = [(int(axis.min()), int(axis.max()) + 1) for axis in where]
        data = data[(..., *(slice(*span) for span in corner))]
        inside = tuple(axis - first for axis, (first, _) in zip(where, corner, strict=True))
        index = np.ravel_multi_index(inside, data.shape[n_lead:])
    data = data.rechunk(dict.fromkeys(range(n_lead, data.ndim), -1))
    n_points = math.prod(data.shape[n_lead:])
    is_all = np.array_equal(index, np.arange(n_points))

    def take(block: Values) -> Values:
        flat = block.reshape(*block.shape[:n_lead], n_points)
        return flat if is_all else flat[..., index]

    return dask.array.map_blocks(
        take,
        data,
        dtype=data.dtype,
        drop_axis=list(range(n_lead + 1, data.ndim)) if data.ndim > n_lead else [],
        chunks=(*data.chunks[:n_lead], (len(index),)),
        meta=np.empty((0,) * (n_lead + 1), dtype=data.dtype),
    )


def _with_location(fields: Fields, labels: Values, latitude: Values, longitude: Values) -> Fields:
    place = {
        name: ((COLUMN,), values, cf_attributes(CATALOGUE[name]))
        for name, values in (("lat", latitude), ("lon", longitude))
    }
    return dataclasses.replace(fields, dataset=fields.dataset.assign(place).assign_coords({COLUMN: labels}))
