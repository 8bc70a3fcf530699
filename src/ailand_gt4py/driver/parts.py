"""The parts of the columns of a run that several processes make, and the directory in which they stand.

A part is a slab of the output's grid, in whole chunks, so that nobody else writes what it writes. Its directory,
OUT.parts, is all that the processes of a run share beside the output: the plan, of each part where it begins, its last
checkpoint and how far it is, and the word to stop. So any processes, of any number, can go on with a run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import remove, sync_path, temporary_beside, writing
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.output import OutputLayout

FORMAT = "ailand_gt4py parts 1"
_PLAN, _STOP = "plan.json", "stop"

#: Parts of a worker, and of a part the columns, that are aimed at: several parts share the work evenly and lose little.
PARTS_OF_WORKER, COLUMNS_OF_PART = 4, 10_000
#: Chunks of a part that are tried, until no part has more columns than this times as many as were it even.
_CHUNKS_OF_PART, _UNEVEN = (1, 2, 4), 1.2


@dataclasses.dataclass(frozen=True)
class Part:
    """Columns that are run together.

    Attributes:
        number: from 0 on. columns: first and last + 1 of the run's columns.
        region: first and last + 1 along each dimension of the grid; a run of cells, the last dimension varying fastest.
    """

    number: int
    columns: tuple[int, int]
    region: tuple[tuple[int, int], ...]

    @property
    def n_columns(self) -> int:
        return self.columns[1] - self.columns[0]

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(*span) for span in self.region)

    def layout(self, whole: OutputLayout) -> OutputLayout:
        """Its output, of that of the run."""
        own, grid = slice(*self.columns), whole.grid
        first = int(np.ravel_multi_index([span[0] for span in self.region], grid.shape))
        sizes = {name: stop - start for name, (start, stop) in zip(grid.sizes, self.region, strict=True)}
        return dataclasses.replace(
            whole,
            latitude=whole.latitude[own],
            longitude=whole.longitude[own],
            x=whole.x[own],
            grid=Grid(sizes, {}, grid.index[own] - first),
            longest=(),
        )


def cut(layout: OutputLayout, n_workers: int) -> tuple[OutputLayout, list[Part]]:
    """The output with chunks such that several workers have something to do, and its parts, by number."""
    n_columns, shape = layout.shape[1], layout.grid.shape
    many = min(PARTS_OF_WORKER, n_columns // (n_workers * COLUMNS_OF_PART))
    n_parts = n_workers * max(1, many)
    # The dimension that is cut; of those before it, each index is a part of its own.
    axis = next((k for k in range(len(shape)) if math.prod(shape[: k + 1]) >= n_parts), len(shape) - 1)
    n_before = math.prod(shape[:axis])
    n_slabs = min(-(-n_parts // n_before), shape[axis])
    usual = -(-shape[axis] // layout.chunks[1 + axis])
    tried: list[tuple[bool, int, int, list[Part]]] = []
    for chunks_of_part in _CHUNKS_OF_PART:
        n_chunks = min(n_slabs * chunks_of_part, shape[axis])
        longest = -(-shape[axis] // (-(-usual // n_chunks) * n_chunks))
        parts = _parts(layout.grid, axis, longest, n_parts)
        most = max(part.n_columns for part in parts)
        tried.append((len(parts) < n_parts, most, longest, parts))
        if len(parts) >= n_parts and most * n_parts <= _UNEVEN * n_columns:
            break
    *_, longest, parts = min(tried, key=lambda one: one[:2])
    return dataclasses.replace(layout, longest=(*(1,) * axis, longest, *shape[axis + 1 :])), parts


def _parts(grid: Grid, axis: int, length: int, n_parts: int) -> list[Part]:
    """Runs of chunks of some length along a dimension, with about as many columns each."""
    shape, inner = grid.shape, math.prod(grid.shape[axis + 1 :])
    found: dict[tuple[Any, ...], list[tuple[int, int, int, int]]] = {}
    for before in itertools.product(*map(range, shape[:axis])):
        origin = int(np.ravel_multi_index((*before, *(0,) * (len(shape) - axis)), shape))
        for start in range(0, shape[axis], length):
            stop = min(start + length, shape[axis])
            first, last = np.searchsorted(grid.index, [origin + start * inner, origin + stop * inner]).tolist()
            if first < last:
                number = int((first + last) / 2 * n_parts / len(grid.index))
                found.setdefault((before, number), []).append((start, stop, first, last))
    return [
        Part(
            k,
            (chunks[0][2], chunks[-1][3]),
            (*((one, one + 1) for one in before), (chunks[0][0], chunks[-1][1]), *((0, n) for n in shape[axis + 1 :])),
        )
        for k, ((before, _), chunks) in enumerate(found.items())
    ]


class PartsDirectory:
    """The directory of the parts of a run, whether it is there or not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, number: int) -> Path:
        """The restart file with which a part begins."""
        return self.path / f"{number:05d}.start.nc"

    def checkpoint(self, number: int) -> Path:
        """Where a part goes on, or where it ended."""
        return self.path / f"{number:05d}.nc"

    def spin_up(self, number: int) -> Path:
        """Where the spin-up of a part goes on, or where it ended."""
        return self.path / f"{number:05d}.spin_up.nc"

    @property
    def has_checkpoints(self) -> bool:
        """Whether something has been computed that can be continued."""
        return any(self.path.glob("?????.nc")) or any(self.path.glob("?????.spin_up.nc"))

    def require_own(self) -> None:
        """Check that what is there, if anything, is of this program.

        Raises:
            InputError: it is not, and stays.
        """
        if not os.path.lexists(self.path):
            return
        known = re.compile(rf"{_PLAN}|{_STOP}|\d{{5}}\.(start\.nc|nc|spin_up\.nc|steps)|\..*\.ailand-.*")
        others = (
            ["it"]
            if not self.path.is_dir() or self.path.is_symlink()
            else sorted(item.name for item in self.path.iterdir() if not known.fullmatch(item.name))
        )
        if others or not self._is_planned():
            raise InputError(
                f"{self.path}: is not of this program (found '{(others or ['no plan'])[0]}') and stays; expected "
                "another output, or none"
            )

    def _is_planned(self) -> bool:
        try:
            return json.loads((self.path / _PLAN).read_text()).get("format") == FORMAT
        except (OSError, ValueError, AttributeError):
            return False

    # ------------------------------------------------------------------ plan

    def create(
        self,
        output: Path,
        identity: Mapping[str, str],
        longest: Sequence[int],
        parts: Sequence[Part],
        write_starts: Callable[[PartsDirectory], None],
    ) -> None:
        """Make the directory with all that parts begin with, completely or not at all.

        Args:
            write_starts: of a directory of this kind; writes the `start` of each part.
        """
        temporary = PartsDirectory(temporary_beside(output))
        with writing(self.path, "creating the directory of the parts"):
            temporary.path.mkdir()
            try:
                write_starts(temporary)
                content = {"format": FORMAT, "identity": dict(identity), "longest": longest,
                           "parts": [dataclasses.asdict(one) for one in parts]}  # fmt: skip
                (temporary.path / _PLAN).write_text(json.dumps(content))
                sync_path(temporary.path / _PLAN)
                sync_path(temporary.path)
                temporary.path.replace(self.path)
            except BaseException:
                remove(temporary.path)
                raise
            sync_path(self.path.parent)

    def plan(self) -> tuple[dict[str, str], tuple[int, ...], list[Part]]:
        """Identity of the run, longest chunks of its output, parts."""
        try:
            found = json.loads((self.path / _PLAN).read_text())
            parts = [
                Part(one["number"], tuple(one["columns"]), tuple(map(tuple, one["region"]))) for one in found["parts"]
            ]
            return found["identity"], tuple(found["longest"]), parts
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path / _PLAN}: cannot be read ({error}); expected the plan of a run; --overwrite starts over"
            ) from error

    # ------------------------------------------------------------------ on the way

    def report(self, number: int, n_done: int) -> None:
        """Say how many steps of a part are done."""
        with contextlib.suppress(OSError):
            (self.path / f"{number:05d}.steps").write_text(str(n_done))

    def reported(self, number: int) -> int:
        """The last `report`; 0 where there is none that can be read."""
        try:
            return int((self.path / f"{number:05d}.steps").read_text())
        except (OSError, ValueError):
            return 0

    def stop(self, signal_number: int) -> None:
        """Tell all parts to stop after their step, because of a signal, or 0."""
        if self.stopped() is None:
            with writing(self.path, "stopping the parts"):
                (self.path / _STOP).write_text(str(signal_number))

    def stopped(self) -> int | None:
        """The signal because of which parts are to stop; None: they are not."""
        try:
            text = (self.path / _STOP).read_text()
        except OSError:
            return None
        return int(text) if text.isdigit() else 0

    def go_on(self) -> None:
        """Take the word to stop back, and old reports."""
        for item in (self.path / _STOP, *self.path.glob("*.steps")):
            item.unlink(missing_ok=True)
