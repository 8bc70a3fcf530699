"""Fields as one file gives them, in the catalogue's words: still at the file's own times and on its own grid.

What reads files of some kind (`io.conventions`) ends with `Fields`, and what makes columns of them (`io.preparation`)
begins with them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

#: Dimensions of columns through time.
TIME, COLUMN = "time", "x"

#: After 00 UTC.
MIDNIGHT = np.timedelta64(0, "ns")


#: Begins the sentence on metadata that cannot be true together: "Contradiction, X is followed: ...".
CONTRADICTION = "Contradiction"
#: Words of standard names for the direction in which a flux is positive, and the opposite.
_OPPOSITE = {"upward": "downward", "downward": "upward", "upwelling": "downwelling", "downwelling": "upwelling"}


def contradictions(history: Sequence[str]) -> list[str]:
    """Those sentences of a history that are on contradictions, for a closing summary."""
    return [sentence for sentence in history if sentence.startswith(CONTRADICTION)]


def opposite(standard_name: str) -> str:
    """The CF standard name of a flux that is positive in the opposite direction; the same where there is none."""
    return "_".join(_OPPOSITE.get(word, word) for word in standard_name.split("_"))


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a value at a time label stands for.

    Attributes:
        kind: ``point``: the value at the label. ``mean``, ``sum``: over an interval at the label. ``accumulated``: the
            sum from the last reset to the label.
        label: where in its interval the label of a mean or a sum is.
        interval: its length; None: the distance of the labels.
        reset: of what is accumulated: at 00 UTC of each day, so that the value at 00 UTC is the whole day before;
            never in the file; each so many hours from 00 UTC, as in files of forecasts one after the other; or not
            known but by the values.
        reset_at: when after 00 UTC the first reset of a day is.
        source: what says so, for messages: ``cell_methods``, ``bounds``, ``GRIB_stepType``, a convention's name.
    """

    kind: Literal["point", "mean", "sum", "accumulated"]
    label: Literal["start", "middle", "end"] = "start"
    interval: np.timedelta64 | None = None
    reset: Literal["daily", "never", "unknown"] | np.timedelta64 = "daily"
    reset_at: np.timedelta64 = MIDNIGHT
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Fields:
    """The fields of a file.

    Attributes:
        path: of the file, for messages.
        dataset: lazy; variables by the catalogue's names, of models and of `ingredients`, with ``units`` as the file
            means them; ``time`` decoded to datetime64[ns], UTC, where there is one; latitude and longitude as ``lat``
            and ``lon``, degrees; missing values are NaN. Other variables are left out.
        own_names: variable -> what the file calls it, for messages.
        meanings: of all that have the dimension ``time``.
        notes: sentences for the history: one for each thing done to the values or taken for granted.
        convention: its name, for messages and the history.
        lacking: variable that cannot be had of what the file has of it -> why, for messages.
    """

    path: Path
    dataset: xr.Dataset
    own_names: dict[str, str]
    meanings: dict[str, Meaning]
    notes: list[str] = dataclasses.field(default_factory=list)
    convention: str = ""
    lacking: dict[str, str] = dataclasses.field(default_factory=dict)

    def what(self, name: str) -> str:
        """Names file and variable, for messages."""
        return f"{self.path}: variable '{self.own_names.get(name, name)}'"
