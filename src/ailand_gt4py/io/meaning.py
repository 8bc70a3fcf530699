"""What the values of a file mean in time, as its metadata say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.fields import Meaning
from ailand_gt4py.weights.variables import CATALOGUE

_CELL_METHOD = re.compile(r"\btime:\s*(\w+)")
_KINDS = {"point": "point", "mean": "mean", "sum": "sum"}


def meanings(
    path: Path, dataset: xr.Dataset, own_time: str | None, own_names: Mapping[str, str], convention: Convention
) -> dict[str, Meaning]:
    """What each variable with time means, by name.

    Args:
        dataset: as it is in the file. own_time: what the dimension of time is called there.
        own_names: variable -> what the file calls it.
    """
    found: dict[str, Meaning] = {}
    for name, own in own_names.items():
        if own_time is None or own_time not in dataset[own].dims:
            continue
        method = _CELL_METHOD.search(str(dataset[own].attrs.get("cell_methods", "")))
        if method is not None and method[1] in _KINDS:
            found[name] = Meaning(_KINDS[method[1]], source="cell_methods")  # type: ignore[arg-type]
        elif name in convention.meanings:
            found[name] = convention.meanings[name]
        else:
            is_mean = CATALOGUE[name].time_meaning == "window mean"
            found[name] = Meaning("mean" if is_mean else "point")
    return found
