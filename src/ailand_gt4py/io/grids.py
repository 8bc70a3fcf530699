"""Horizontal grids as columns and back: any dimensions, members of an ensemble, masked points, a part of the globe.

Columns lie one after another along ``x``, the last dimension of the grid varying fastest, each member's after the one's
before. What is left out on the way in (sea, what a box or a list of points does not have) is missing on the way out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import Fields

TIME, COLUMN = "time", "x"
#: Names of the dimension along which the members of an ensemble lie.
MEMBERS = ("member", "number", "realization", "ensemble", "ens")
#: How far a file's cell may be from another file's to be the same, degrees.
LOCATION_TOLERANCE = 0.01
#: Of points that are asked for, where a file has one cell only, degrees; else the distance of its cells counts.
POINT_TOLERANCE = 1.0
#: Part of a cell that has to be land, as in the IFS.
LEAST_LAND = 0.5

#: South, north, west and east, degrees.
Box = tuple[float, float, float, float]


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
        coordinates: variables over these dimensions, or over none, by the names in the file.
        index: int64 (n_columns,), the position of each column among all points, the last dimension varying fastest.
        mapping: name of the variable of `coordinates` that is the grid's mapping; empty where there is none.
    """

    sizes: Mapping[str, int]
    coordinates: Mapping[str, xr.Variable]
    index: Values
    mapping: str = ""

    @classmethod
    def plain(cls, x: Values, latitude: Values, longitude: Values) -> Grid:
        """That of columns that are points along ``x``, (n_columns,) each."""
        from ailand_gt4py.io.whole_files import columns  # which other modules of this room import first

        return cls({COLUMN: len(x)}, columns(x, latitude, longitude), np.arange(len(x)))

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

    @property
    def is_plain(self) -> bool:
        """Whether all points are columns along ``x``."""
        return self.is_whole and tuple(self.sizes) == (COLUMN,)

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


def to_columns(files: Sequence[Fields], selection: Selection = ALL) -> tuple[list[Fields], Grid]:
    """The fields of files as columns of one grid, that of the first of them that has locations.

    Every file has all columns then: dimensions ``time`` and ``x``, or ``x`` alone; ``x`` has labels, ``lat`` and
    ``lon`` are (x,) float64. Sea (``land_sea_mask`` below `LEAST_LAND` in any of the files) is left out.

    Raises:
        InputError: naming the file whose cells are others, or the variable whose dimensions cannot be placed.
    """
    raise NotImplementedError
