# mypy: ignore-errors
"""Files of any convention, time step and grid as one file of columns: (time, x), the windows of the model.

Each step takes fields and gives fields, lazily, so that a run reads block by block what it needs: convention (names,
units, meaning in time), grid to columns, forcing that follows from what is there, windows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from ailand_gt4py.io import conventions, grids, ingredients, merging, windows
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.sources import Request


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Columns of some files.

    Attributes:
        dataset: lazy, (time, x) or (x,), labels at the starts of the model's windows. grid: on which they lie.
        notes: sentences for the history.
    """

    dataset: xr.Dataset
    grid: Grid
    notes: list[str]


def prepare(paths: Sequence[Path], request: Request) -> Prepared:
    """Columns of files that belong together, in the order given: what a file has, those after it need not have.

    Raises:
        InputError: naming file and variable.
    """
    files = [conventions.read(path, request.convention) for path in paths]
    columns, grid = grids.to_columns(files, request.selection)
    fields = [ingredients.at_own_times(one, request.model) for one in merging.of_equal_times(columns)]
    parts = [windows.to_windows(one, request) for one in fields]
    merged = ingredients.of_windows(merging.of_windows(parts), request.model)
    return Prepared(merged.dataset, grid, merged.notes)
