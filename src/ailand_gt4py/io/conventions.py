"""What a file says about the meaning of its time labels, against what the model takes it to be."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.times import step_text
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.weights.model import Variable

_CELL_METHOD = re.compile(r"\btime:\s*(\w+)")

#: CF cell methods that agree with a variable's time meaning in the model.
_AGREEING: dict[str, tuple[str, ...]] = {
    "window mean": ("mean",),
    "window start": ("point",),
    "window end": ("point",),
}


def is_public_store(file: ColumnFile) -> bool:
    """Whether a file is ec-land-db's public store.

    It is known by its global attributes (``SOURCE: ECMWF``, ``CONVERTED: from grib files ...``), by the GRIB attributes
    of its soil moisture and by the lack of cell_methods, which would say otherwise.
    """
    own_name = file.find("swvl1")
    if own_name is None:
        return False
    attributes = file.array(own_name).attrs
    return (
        str(file.attributes.get("SOURCE", "")).strip() == "ECMWF"
        and "from grib files" in str(file.attributes.get("CONVERTED", ""))
        and "GRIB_paramId" in attributes
        and "cell_methods" not in attributes
    )


def time_meaning_sentences(file: ColumnFile, forcing: Sequence[Variable], step: np.timedelta64) -> list[str]:
    """What is taken for granted about the time labels of the forcing.

    Nothing is ever shifted or averaged: a file with another convention is used as it is, and this says so.

    Args:
        file: open.
        forcing: variables that the file has.
        step: of the model.

    Returns:
        Sentences; none where the file's cell_methods agree with the model.
    """
    window = step_text(step)
    if is_public_store(file):
        return [
            "Time labels: recognised as ec-land-db's public store, whose meteorological forcing at label t is the mean "
            "over "
            "[t - 1 h, t + 5 h) and whose states are means of the hourly values from t to t + 5 h; the model takes "
            "forcing as the mean over "
            f"[t, t + {window}) and states as values at t. Used as they are, without shift."
        ]
    silent, other = [], []
    for variable in forcing:
        own_name = file.find(variable.name)
        methods = str(file.array(own_name).attrs.get("cell_methods", "")) if own_name else ""
        found = _CELL_METHOD.search(methods)
        if found is None:
            silent.append(variable)
        elif found[1] not in _AGREEING.get(variable.time_meaning, (found[1],)):
            other.append(f"{variable.name} ('{methods}', the model takes a {variable.time_meaning})")
    lines = []
    means = [variable.name for variable in silent if variable.time_meaning == "window mean"]
    points = [variable.name for variable in silent if variable.time_meaning != "window mean"]
    if means:
        lines.append(f"Time labels: no cell_methods, taken as means over [t, t + {window}): {', '.join(means)}.")
    if points:
        lines.append(f"Time labels: no cell_methods, taken as values at t: {', '.join(points)}.")
    if other:
        lines.append(f"Time labels: other cell_methods than the model's, used as they are: {', '.join(other)}.")
    return lines
