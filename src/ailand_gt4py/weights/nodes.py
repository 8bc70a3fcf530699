"""Inputs of anemoi's networks that no file needs to have: coordinates, what depends on time and location, and what a
network has learnt of each column."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import NODE_TRAINABLE, Model, ModelVariables

_FUNCTIONS = {
    "sin_latitude": lambda latitude, longitude: np.sin(latitude),
    "sin_longitude": lambda latitude, longitude: np.sin(longitude),
    "cos_latitude": lambda latitude, longitude: np.cos(latitude),
    "cos_longitude": lambda latitude, longitude: np.cos(longitude),
}
#: Name -> its function of latitude and longitude in radians; of anemoi's networks, which take ``node_...`` as they are,
#: and may have the others among the inputs of their data.
COORDINATES = {f"{prefix}{name}": function for prefix in ("node_", "") for name, function in _FUNCTIONS.items()}

#: Forcing by anemoi's name -> what derives it (`Variable.derived`, `ailand_gt4py.stencils.physics.solar`).
COMPUTED = {
    **{name: name for name in ("cos_julian_day", "sin_julian_day", "cos_local_time", "sin_local_time", "insolation")},
    "cos_solar_zenith_angle": "insolation",
}

#: Degrees by which a column may be away from one that a network is tied to: coordinates are stored in single precision.
TOLERANCE = 1e-3


def is_of_node(name: str) -> bool:
    """Whether a static input of this name follows from where a column is."""
    return name in COORDINATES or name.startswith(NODE_TRAINABLE)


def node_inputs(model: ModelVariables, latitude: Values, longitude: Values) -> dict[str, Values]:
    """Those static inputs of a model by name, (n,) each.

    Args:
        latitude, longitude: (n,) degrees.

    Raises:
        InputError: a column that is none of those that the model is tied to.
    """
    wanted = {variable.name for variable in model.static}
    radians = np.deg2rad(latitude), np.deg2rad(longitude)
    found = {name: function(*radians) for name, function in COORDINATES.items() if name in wanted}
    if isinstance(model, Model) and model.nodes is not None:
        nodes = _nodes_of(model.nodes.latitudes, model.nodes.longitudes, latitude, longitude)
        found |= {f"{NODE_TRAINABLE}{k}": numbers for k, numbers in enumerate(model.nodes.trainable[nodes].T)}
    return found


def _nodes_of(node_latitudes: Values, node_longitudes: Values, latitude: Values, longitude: Values) -> Values:
    """The node that each column is."""
    order = np.argsort(node_latitudes, kind="stable")
    first = np.searchsorted(node_latitudes[order], latitude - TOLERANCE)
    last = np.searchsorted(node_latitudes[order], latitude + TOLERANCE, side="right")
    result = np.empty(len(latitude), dtype=np.int64)
    for column, (begin, end) in enumerate(zip(first, last, strict=True)):
        candidates = order[begin:end]
        turn = np.abs((node_longitudes[candidates] - longitude[column] + 180.0) % 360.0 - 180.0)
        near = candidates[turn <= TOLERANCE]
        if not near.size:
            raise InputError(
                f"column {column} is at {latitude[column]:.4f} N, {longitude[column]:.4f} E, expected one of the "
                f"{len(node_latitudes)} columns that the model is tied to and has parameters for"
            )
        result[column] = near[0]
    return result
