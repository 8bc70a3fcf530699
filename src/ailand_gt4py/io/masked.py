"""Columns of a file without values: sea in a land file, points outside the domain of the model that made it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.request import Request

#: Beginnings of the names of states of the soil, which there is none of in the sea; snow there may be 0.
_SOIL = ("swvl", "stl")
#: So many labels are said.
_SHOWN = 5


def missing_columns(file: ColumnFile, request: Request, first: int, last: int) -> tuple[Values, list[str]]:
    """Whether columns have no values at all (n_columns,), and sentences on those that have none.

    A column has none where all static fields, or all states of the soil at the index ``first``, or all weather at both
    ``first`` and ``last`` are missing. Where some of them are there, the file is damaged, and not masked.
    """
    model = request.model
    states = [one.name for one in model.state if one.name.startswith(_SOIL) and request.initial_state == "file"]
    # Leaf area is often a map of all cells.
    weather = [one.name for one in model.forcing if not one.derived and one.time_meaning == "window mean"]
    groups: tuple[tuple[str, Sequence[str], Sequence[int]], ...] = (
        ("static fields", [one.name for one in model.static], [first]),
        ("soil moisture and temperature", states, [first]),
        ("weather", weather, [first, last]),
    )
    missing, notes = np.zeros(file.n_columns, dtype=bool), []
    for what, names, times in groups:
        found = [own for name in names if (own := file.find(name)) is not None]
        if not found:
            continue
        # Where one column has all values, which most have, no second field is read.
        none = np.ones(file.n_columns, dtype=bool)
        for own in found:
            for time in times:
                none &= np.isnan(file.field(own, time))
            if not none.any():
                break
        new = np.flatnonzero(none & ~missing)
        if new.size:
            labels = ", ".join(str(label) for label in file.labels()[new[:_SHOWN]])
            more = ", ..." if new.size > _SHOWN else ""
            notes.append(f"Left out, missing in the output: {new.size} columns without {what} (x = {labels}{more}).")
        missing |= none
    return missing, notes
