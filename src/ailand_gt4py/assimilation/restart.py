"""Where a cycle stands at the end of its last window, as a file from which another goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import label_text
from ailand_gt4py.core.times import time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.groups import ColumnLocations
from ailand_gt4py.io.restart import LOCATION_TOLERANCE
from ailand_gt4py.io.whole_files import columns, plain, read_sealed, write_sealed

FORMAT = "ailand_gt4py assimilation restart 1"
_WHAT = "a restart file of ailand assimilate"
#: Begin the names of what a filter's snapshot has, and of factors of rescaling by observable.
_SNAPSHOT, _RESCALING = "filter:", "rescaling:"


class Standing(NamedTuple):
    """Where a cycle stands.

    Attributes:
        time: end of the last window. identity: what must be the same in the cycle that goes on, by name.
        snapshot: `Cycle.snapshot`. rescaling: gain and shift (2, n_columns) by observable.
    """

    time: np.datetime64
    identity: Mapping[str, str]
    where: ColumnLocations
    snapshot: Mapping[str, Values]
    rescaling: Mapping[str, Values]


def write(path: Path, standing: Standing) -> None:
    """Write a restart file, completely or not at all."""
    where = standing.where
    data = xr.Dataset(columns(where.x, where.latitude, where.longitude))
    data.attrs = {
        "title": _WHAT.removeprefix("a "),
        "source": f"ailand_gt4py {ailand_gt4py.__version__}",
        "format": FORMAT,
        **standing.identity,
    }
    time = {"standard_name": "time", "units": "nanoseconds since 1970-01-01", "calendar": "standard"}
    data["time"] = plain((), standing.time.astype("datetime64[ns]").astype(np.int64), time)
    for prefix, values in ((_SNAPSHOT, standing.snapshot), (_RESCALING, standing.rescaling)):
        for name, one in values.items():
            dimensions = [f"{prefix}{name}:{number}" for number in range(one.ndim)]
            data[f"{prefix}{name}"] = plain(dimensions, one, {"long_name": f"{prefix}{name}"})
    write_sealed(path, data, "writing the restart file")


def read(path: Path, identity: Mapping[str, str], where: ColumnLocations) -> Standing:
    """Read the restart file of a cycle of the same model, settings and columns.

    Raises:
        InputError: it is none, or of another cycle.
    """
    data = read_sealed(path, FORMAT, _WHAT)
    for name, expected in identity.items():
        if data.attrs.get(name) != expected:
            raise InputError(f"{path}: was written with the {name} '{data.attrs.get(name)}', expected '{expected}'")
    found = ColumnLocations(data["x"].values, data["lat"].values, data["lon"].values, ())
    if [label_text(one) for one in found.x] != [label_text(one) for one in where.x] or any(
        (np.abs(one - other) > LOCATION_TOLERANCE).any()
        for one, other in ((found.latitude, where.latitude), (found.longitude, where.longitude))
    ):
        raise InputError(f"{path}: has {len(found.x)} columns, expected the {len(where.x)} of this cycle, in its order")
    snapshot, rescaling = (
        {name.removeprefix(prefix): data[name].values for name in map(str, data.variables) if name.startswith(prefix)}
        for prefix in (_SNAPSHOT, _RESCALING)
    )
    return Standing(np.datetime64(int(data["time"]), "ns"), identity, where, snapshot, rescaling)


def check_start(path: Path, standing: Standing, start: np.datetime64) -> None:
    if start != standing.time:
        raise InputError(f"{path}: is valid at {time_text(standing.time)}, expected the start {time_text(start)}")
