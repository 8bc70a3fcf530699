"""Files that follow one another in time as one: in the order of their labels, each label once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.fields import TIME, Fields


def concatenated(files: Sequence[Fields], names: Sequence[str]) -> tuple[xr.Dataset, list[str]]:
    """Timed variables of files put together in time, and sentences on labels that several files have.

    A value that is missing in one file is taken from another one that has the label.

    Raises:
        InputError: a label with other values in another file, naming files, variable and time.
    """
    pieces: list[xr.Dataset] = []
    owners: list[Fields] = []
    notes = []
    for one in files:
        data = one.dataset[list(names)]
        for k, earlier in enumerate(pieces):
            shared = np.intersect1d(earlier[TIME].values, data[TIME].values)
            if not shared.size:
                continue
            both = [piece.isel({TIME: np.isin(piece[TIME].values, shared)}) for piece in (earlier, data)]
            _require_equal(owners[k], one, *both)
            notes.append(
                f"{one.path} repeats {shared.size} labels of {owners[k].path} with the same values "
                f"({time_text(shared[0])} to {time_text(shared[-1])}): taken once."
            )
            rest = ~np.isin(earlier[TIME].values, shared)
            pieces[k] = xr.concat([earlier.isel({TIME: rest}), both[0].fillna(both[1])], TIME, **_AS_THEY_ARE)
            data = data.isel({TIME: ~np.isin(data[TIME].values, shared)})
        pieces.append(data)
        owners.append(one)
    together = xr.concat([piece for piece in pieces if piece.sizes[TIME]], TIME, **_AS_THEY_ARE)
    order = np.argsort(together[TIME].values, kind="stable")
    is_sorted = np.array_equal(order, np.arange(len(order)))
    return together if is_sorted else together.isel({TIME: order}), notes


_AS_THEY_ARE: dict[str, Any] = {
    "coords": "minimal",
    "compat": "override",
    "join": "override",
    "combine_attrs": "override",
}


def _require_equal(one: Fields, other: Fields, values: xr.Dataset, again: xr.Dataset) -> None:
    for name in map(str, values.data_vars):
        arrays = [data[name].transpose(TIME, ...) for data in (values, again)]
        # Values may have been rounded once more by who wrote one of the files.
        differs = abs(arrays[0] - arrays[1]) > 1e-6 * abs(arrays[0])
        at: Values = differs.any([axis for axis in differs.dims if axis != TIME]).values
        if at.any():
            k = int(np.flatnonzero(at)[0])
            raise InputError(
                f"{other.what(name)} has other values at {time_text(differs[TIME].values[k])} than {one.path} "
                f"({int(at.sum())} of {at.size} labels that both have); expected the same, or each label in one file"
            )
