"""Sums over the windows of a model from the rows of a file, block by block of a dask array, whatever its chunks."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values

#: Bytes of a block of rows where an array has no chunks of its own.
BLOCK_BYTES = 2**24

#: Gives the windows of a block, (n, ...) float64, from its rows and the index of the first of them.
Kernel = Callable[[Values, int], Values]


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows that windows are made of.

    Attributes:
        first: (n_windows,) index of each window's first row, increasing. count: rows of a window. stride: from a
            window's first row to the next one's, where none is missing.
    """

    first: Values
    count: int
    stride: int

    def index(self) -> Any:
        """The first rows, as a slice where they are evenly apart: nothing is copied."""
        apart = np.diff(self.first)
        if len(self.first) and (not apart.size or (apart[0] > 0 and (apart == apart[0]).all())):
            return slice(int(self.first[0]), int(self.first[-1]) + 1, int(apart[0]) if apart.size else 1)
        return self.first

    def blocks(self, ends: Values) -> list[slice]:
        """Windows that are computed together: without a gap, and of one chunk of rows, which end at ``ends``."""
        chunk = np.searchsorted(ends, self.first, side="right")
        cuts = np.flatnonzero((np.diff(self.first) != self.stride) | (np.diff(chunk) != 0)) + 1
        edges = [0, *cuts.tolist(), len(self.first)]
        return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def over_windows(array: Any, rows: Rows, kernel: Kernel, dtype: np.dtype) -> Any:
    """A dask array (n_windows, ...) from one of rows (n_times, ...).

    The windows of a block are computed from all the rows that they need, so that results do not depend on chunks.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    ends = np.cumsum(array.chunks[0])
    blocks = rows.blocks(ends)
    name = f"windows-{tokenize(array.name, rows.first, rows.count, kernel, dtype)}"
    # One layer for all blocks: reading one of them takes no longer in a longer file.
    tasks: dict[Any, Any] = {}
    for position, block in enumerate(blocks):
        first, last = int(rows.first[block.start]), int(rows.first[block.stop - 1]) + rows.count
        chunks = range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(ends, last, "left")) + 1)
        begin = int(ends[chunks[0]]) - array.chunks[0][chunks[0]]
        needed = slice(first - begin, last - begin)
        for others in itertools.product(*(range(len(lengths)) for lengths in array.chunks[1:])):
            parts = [(array.name, chunk, *others) for chunk in chunks]
            tasks[name, position, *others] = (_block, parts, needed, kernel, first, dtype)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[array])
    lengths = tuple(block.stop - block.start for block in blocks)
    return da.Array(graph, name, (lengths, *array.chunks[1:]), meta=np.empty((0,) * array.ndim, dtype))


def _block(parts: list[Values], needed: slice, kernel: Kernel, first: int, dtype: np.dtype) -> Values:
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return kernel(rows[needed], first).astype(dtype)


def weighted(rows: Values, first: int, *, weights: Values, stride: int, scale: float, offset: float) -> Values:
    """``scale * sum(weights * rows of a window) + offset`` of windows whose first rows are `stride` apart."""
    n_windows = (len(rows) - len(weights)) // stride + 1
    total = np.zeros((n_windows, *rows.shape[1:]))
    for index, weight in enumerate(weights):
        if weight:
            total += np.multiply(rows[index : index + (n_windows - 1) * stride + 1 : stride], weight, dtype=np.float64)
    return total * scale + offset


def of_straight_lines(count: int, late: float, length: float) -> Values:
    """Weights of values at labels for the mean over a window of what follows straight lines between them.

    Args:
        count: number of labels, one apart. late: how long after the first of them the window begins. length: its.
    """
    edges = np.arange(count) - late
    weights: Values = (_hat(length - edges) - _hat(-edges)) / length
    return weights


def _hat(position: Values) -> Values:
    """Integral of the hat function, 1 at 0 and 0 at -1 and 1, up to a position."""
    up, down = np.clip(position + 1.0, 0.0, 1.0), np.clip(position, 0.0, 1.0)
    result: Values = 0.5 * up**2 + down - 0.5 * down**2
    return result


@dataclasses.dataclass(frozen=True)
class Increments:
    """Sums over windows of what is accumulated: a kernel on rows that begin at the labels where windows begin.

    Attributes:
        count: rows of a window after the one where it begins. stride: of `Rows`.
        times: (n_times,) labels of all rows. is_reset: (n_times,) whether the value after the label is the sum from it.
        factor: sum of the increments to result.
        tolerance: largest decrease between two labels that is taken for rounding of packed values, and for 0;
            infinite where what is accumulated may decrease.
        what: names file and variable, for messages. calendar: of the times.
    """

    count: int
    stride: int
    times: Values
    is_reset: Values
    factor: float
    tolerance: float
    what: str
    calendar: str

    def __call__(self, rows: Values, first: int) -> Values:
        reset = self.is_reset[first : first + len(rows) - 1]
        found = rows.astype(np.float64)
        # What is before a reset is no part of the sum, and may be missing.
        steps = found[1:] - np.where(reset.reshape(-1, *(1,) * (rows.ndim - 1)), 0.0, found[:-1])
        if np.isfinite(self.tolerance):
            self._require_increase(steps, found, first)
            steps = np.where(steps < 0.0, 0.0, steps)
        n_windows = (len(rows) - 1 - self.count) // self.stride + 1
        total = np.zeros((n_windows, *rows.shape[1:]))
        for index in range(self.count):
            total += steps[index : index + (n_windows - 1) * self.stride + 1 : self.stride]
        return total * self.factor

    def _require_increase(self, steps: Values, found: Values, first: int) -> None:
        wrong = np.argwhere(steps < -self.tolerance)
        if wrong.size:
            row, *others = (int(index) for index in wrong[0])
            before, after = found[(row, *others)], found[(row + 1, *others)]
            first_time, then = (time_text(self.times[first + row + k], self.calendar) for k in (0, 1))
            raise InputError(
                f"{self.what} is accumulated, but falls from {before:g} at {first_time} to {after:g} at {then} in "
                f"column {others[-1] if others else 0}; expected no decrease between resets: is it a sum over each "
                "step, or reset at other hours?"
            )
