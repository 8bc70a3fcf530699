"""Conventions of files: other names of variables, units that are meant, what time labels stand for.

A new input convention is one module of this package that registers a `Convention`. Names that are commonly used are in
the catalogue of variables (`ailand_gt4py.weights.variables`) and accepted in files of every convention.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import xarray as xr

from ailand_gt4py.core.registry import Registry
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.io.site import Site
from ailand_gt4py.weights.variables import CATALOGUE


@dataclasses.dataclass(frozen=True)
class Convention:
    """How files of one kind are to be read.

    Attributes:
        recognises: whether a file, unread, follows it; None: what no other convention recognises does.
        aliases: variable -> names it has in such files, beyond its own and those of the catalogue. Case never counts.
        units: variable -> (unit as written, unit meant), where such files are known to have it wrong.
        time_labels: what the labels of such files stand for, a sentence with ``{window}`` for the model's step; empty:
            each variable's ``cell_methods`` say it.
        adapt: path, dataset (unread, times undecoded) and what the user tells -> the fields in the catalogue's words;
            None: names, units and time labels above are all that there is to it.
    """

    name: str
    recognises: Callable[[xr.Dataset], bool] | None
    aliases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    units: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    time_labels: str = ""
    adapt: Callable[[Path, xr.Dataset, Site], Fields] | None = None

    def names(self, name: str) -> set[str]:
        """All that a variable may be called, in lower case: ec-land-db's store writes ``clim_CLAKE``."""
        common = CATALOGUE[name].aliases.values() if name in CATALOGUE else ()
        return {alias.lower() for aliases in ((name,), *common, self.aliases.get(name, ())) for alias in aliases}


CONVENTIONS: Registry[Convention] = Registry(__name__)


def convention_of(dataset: xr.Dataset) -> Convention:
    known = sorted(CONVENTIONS.items(), key=lambda convention: convention.recognises is None)
    return next(one for one in known if one.recognises is None or one.recognises(dataset))
