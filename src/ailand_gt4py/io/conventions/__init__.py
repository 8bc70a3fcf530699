"""Conventions of files: other names of variables, units that are meant, what time labels stand for.

A new input convention is one module of this package that registers a `Convention`. Names that are commonly used are in
the catalogue of variables (`ailand_gt4py.weights.variables`) and accepted in files of every convention.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.registry import Registry
from ailand_gt4py.io import opening
from ailand_gt4py.io.convention import Convention
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.naming import at_valid_times, named
from ailand_gt4py.io.site import Site

__all__ = ["CONVENTIONS", "Convention", "convention_named", "convention_of", "read"]


CONVENTIONS: Registry[Convention] = Registry(__name__)


def convention_of(dataset: xr.Dataset) -> Convention:
    known = sorted(CONVENTIONS.items(), key=lambda convention: convention.recognises is None)
    return next(one for one in known if one.recognises is None or one.recognises(dataset))


def convention_named(name: str) -> Convention:
    """The convention of a name, in any case.

    Raises:
        InputError: there is none; the message lists them.
    """
    known = {convention.name.lower(): convention for convention in CONVENTIONS.items()}
    if name.lower() not in known:
        names = ", ".join(convention.name for convention in known.values())
        raise InputError(f"option --convention: found '{name}', expected one of: {names}")
    return known[name.lower()]


def read(path: Path, forced: str | None = None, site: Site | None = None) -> Fields:
    """The fields of a file, of the convention that it follows or of one of this name.

    Raises:
        InputError: the file cannot be opened or read as such; naming file and variable.
    """
    dataset, size = opening.open_file(path)
    try:
        return adapted(path, dataset, size, forced, site)
    except BaseException:
        dataset.close()
        raise


def adapted(
    path: Path, dataset: xr.Dataset, size: int | None, forced: str | None = None, site: Site | None = None
) -> Fields:
    """`read` of a file that is open, of some bytes; None: of a data set in no file."""
    if size is not None:
        opening.require_root_variables(path, dataset)
        opening.require_plausible(path, dataset, size, {})
    dataset, notes = at_valid_times(path, dataset)
    convention = convention_of(dataset) if forced is None else convention_named(forced)
    if convention.adapt is None:
        fields = named(convention, path, dataset)
    else:
        fields = convention.adapt(path, dataset, site or Site())
    return dataclasses.replace(fields, notes=[*notes, *fields.notes])
