"""What this program made, by the mark that it carries: nothing else is ever removed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import netCDF4

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.trial import try_netcdf
from ailand_gt4py.io import stores
from ailand_gt4py.io.output import QUALITY_FLAG

#: Beginning of the global attribute ``source`` of everything that this program writes.
SOURCE = "ailand_gt4py "
#: What a store of this program has beside its results, which refer to `QUALITY_FLAG`.
_IN_STORES = {".zgroup", ".zattrs", ".zmetadata", "time", "time_bnds", "x", "lat", "lon", QUALITY_FLAG}


def require_own(path: Path, attribute: str = "source", beginning: str = SOURCE) -> None:
    """Check that what is at a path, if anything, is this program's own.

    Args:
        attribute: global attribute of the netCDF file or zarr store that carries the mark.
        beginning: what its text begins with.
    """
    if not os.path.lexists(path):
        return
    found = "a symbolic link" if path.is_symlink() else _foreign(path, attribute, beginning)
    if found:
        raise InputError(f"{path}: is not of this program (found {found}) and stays; expected another output, or none")


def _foreign(path: Path, attribute: str, beginning: str) -> str:
    """What there is that this program did not make; nothing where all is its own."""
    if not (path.is_file() or path.is_dir()):
        return "a device, FIFO or socket"
    attributes = _attributes(path)
    text = str(attributes.get(attribute, ""))
    if not text.startswith(beginning):
        return f"attribute '{attribute}': '{text[:80]}', not '{beginning.strip()}...'"
    if path.is_dir():
        found = {item.name: _attributes(item) if item.is_dir() else {} for item in path.iterdir()}
        own = {name for name, attributes in found.items() if attributes.get("ancillary_variables") == QUALITY_FLAG}
        # The grid that results lie on has the names of the input's.
        grid = {name for result in own for name in _grid_of(found[result])}
        others = sorted(found.keys() - own - grid - _IN_STORES)
        return f"'{others[0]}' in it" if others else ""
    return ""


def _grid_of(attributes: Mapping[str, object]) -> list[str]:
    """Names of the dimensions, coordinates and grid mapping that a variable of a store tells of."""
    dimensions = attributes.get("_ARRAY_DIMENSIONS")
    others = (str(attributes.get(key, "")).split() for key in ("coordinates", "grid_mapping"))
    return [*map(str, dimensions if isinstance(dimensions, list) else ()), *itertools.chain(*others)]


def _attributes(path: Path) -> dict[str, object]:
    """Global attributes of a netCDF file or a zarr store; none where it cannot be read."""
    try:
        if path.is_dir():
            return dict(stores.attributes(path))
        try_netcdf(path, whole=False)
        with netCDF4.Dataset(path) as file:
            return dict(file.__dict__)
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}
