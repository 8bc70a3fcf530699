"""What a model file holds, format version 1: names, columns, and the checksum of a model's contents."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.processing import Step

FORMAT_NAME = "ailand-gt4py-model"
FORMAT_VERSION = 1

GROUPS = ("static", "forcing", "state", "diagnostics")

#: Text columns beside the names: attribute of `Variable` (or ``normalisation``) -> meaning.
TEXT_COLUMNS = {
    "units": "units of the values that the model takes and gives",
    "long_name": "description",
    "standard_name": "CF standard name, empty where there is none",
    "time_meaning": "what a value stands for in a step over the window [t, t + step)",
    "normalisation": "method: mean-std, max, std, min-max, log or none",
    "derived": "what fills this input: a quantity of time and location, before:NAME of the previous window, empty",
    "bounded_by": "another variable whose value the result does not exceed in each column, empty where there is none",
    "increment_of": "soil_heat or soil_water: what the network's increment is one of, else empty",
    "processing": "steps from the value to the network's, each a kind and its parameters; empty: normalisation alone",
}

#: Text columns that older files lack; an empty text, which stands for nothing there, leaves the checksum as it was.
LATER_COLUMNS = ("bounded_by", "increment_of", "processing")

#: Columns of values in the variable's units, float64.
NUMBER_COLUMNS = {
    "mean": "mean, for the normalisation",
    "std": "standard deviation, for the normalisation",
    "minimum": "minimum, for the normalisation",
    "maximum": "maximum, for the normalisation",
    "epsilon": "number added to the standard deviation in the normalisation mean-std",
    "training_minimum": "smallest value seen in training, NaN where unknown",
    "training_maximum": "largest value seen in training, NaN where unknown",
    "lower_bound": "values below are clipped to it, -infinity where there is none",
    "upper_bound": "values above are clipped to it, infinity where there is none",
}

COLUMNS = {**TEXT_COLUMNS, **NUMBER_COLUMNS}

#: The columns of numbers that belong to `Normalisation`; the others belong to `Variable`.
STATISTICS = ("mean", "std", "minimum", "maximum", "epsilon")


def checksum(model: Model) -> str:
    """SHA-256, in hexadecimal, of all that the model means: metadata and parameters in a canonical order.

    Numbers enter exactly (not as decimal text), parameters as little-endian bytes with type and shape; all NaNs of
    the metadata count as equal.
    """

    def exact(variable: Variable) -> dict[str, str]:
        known = {key: value for key, value in row(variable).items() if value != "" or key not in LATER_COLUMNS}
        return {key: value.hex() if key in NUMBER_COLUMNS else value for key, value in known.items()}

    metadata = {
        "architecture": model.architecture,
        "step_seconds": float(model.step_seconds).hex(),
        "normalised_space": bool(model.normalised_space),
        "provenance": dict(model.provenance),
        "variables": {group: [exact(variable) for variable in getattr(model, group)] for group in GROUPS},
        "parameters": {
            name: [np.dtype(array.dtype).newbyteorder("<").str, list(array.shape)]
            for name, array in model.parameters.items()
        },
    }
    if model.point_wise is not None:
        metadata["point_wise"] = point_wise_texts(model)
    if model.nodes is not None:
        metadata["nodes"] = {key: values.tolist() for key, values in vars(model.nodes).items()}
    if model.variability is not None:
        metadata["variability"] = {key: _exact(values) for key, values in vars(model.variability).items()}
    digest = hashlib.sha256(f"{FORMAT_NAME} {FORMAT_VERSION}\n".encode())
    digest.update(json.dumps(metadata, sort_keys=True, ensure_ascii=True).encode())
    for name in sorted(model.parameters):
        array = model.parameters[name]
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _exact(values: Values) -> list[str]:
    return [float(value).hex() for value in values.ravel()]


def row(variable: Variable) -> dict[str, Any]:
    """What a variable's columns hold, the name first: texts, and values as float."""
    texts = {key: getattr(variable, key) for key in ("name", *TEXT_COLUMNS)}
    texts["processing"] = processing_text(variable.processing)
    numbers = {key: getattr(variable.normalisation if key in STATISTICS else variable, key) for key in NUMBER_COLUMNS}
    return {**texts, "normalisation": variable.normalisation.method, **{key: float(numbers[key]) for key in numbers}}


def processing_text(steps: Iterable[Step]) -> str:
    """Steps as ``impute 281.2; sqrt; affine 0.1 -28.0``; numbers with all digits."""
    return "; ".join(" ".join([step.kind, *(repr(float(one)) for one in step.parameters)]) for step in steps)


def processing_of(text: str) -> tuple[Step, ...]:
    """The steps of such a text."""
    steps = []
    for part in text.split(";") if text else []:
        kind, *numbers = part.split() or [""]
        try:
            steps.append(Step(kind, tuple(map(float, numbers))))
        except ValueError as error:
            raise InputError(f"processing '{part.strip()}': {error}; expected a kind and numbers") from error
    return tuple(steps)


def point_wise_texts(model: Model) -> dict[str, str]:
    """What a point-wise network is beside its parameters, as JSON by attribute of the file."""
    assert model.point_wise is not None
    return {
        "point_wise": json.dumps(dataclasses.asdict(model.point_wise)),
        "boundings": json.dumps([dataclasses.asdict(bounding) for bounding in model.boundings]),
    }
