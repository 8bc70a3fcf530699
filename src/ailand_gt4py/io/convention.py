"""What a convention of files is; `io.conventions` has those that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import xarray as xr

from ailand_gt4py.io.fields import Fields, Meaning
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
        meanings: variable -> what its values mean in time where the file itself says nothing.
        adapt: path, dataset (unread, times undecoded) and what the user tells -> the fields in the catalogue's words;
            None: names, units and meanings above are all that there is to it. One that only has to change the data set
            as it is in the file hands it to `io.naming.named`.
    """

    name: str
    recognises: Callable[[xr.Dataset], bool] | None
    aliases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    units: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    time_labels: str = ""
    meanings: Mapping[str, Meaning] = dataclasses.field(default_factory=dict)
    adapt: Callable[[Path, xr.Dataset, Site], Fields] | None = None

    def names(self, name: str) -> set[str]:
        """All that a variable may be called, in lower case: ec-land-db's store writes ``clim_CLAKE``."""
        common = CATALOGUE[name].aliases.values() if name in CATALOGUE else ()
        return {alias.lower() for aliases in ((name,), *common, self.aliases.get(name, ())) for alias in aliases}
