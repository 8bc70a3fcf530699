"""Imports inference checkpoints of anemoi whose network is point-wise, as aiLand's is today, without anemoi.

The model is in physical units. A variable that is constant in time is a static input, as are the coordinates of the
columns (``node_sin_latitude``, ...); the other forcing variables of the newest input time are the forcing, those of
the time before ``NAME_before``, of that before ``NAME_before2``, ..., and earlier prognostic variables likewise in the
state. What anemoi computes from time and location is derived here, too, where its formula is known (`weights.nodes`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.architectures import POINT_WISE
from ailand_gt4py.weights.checkpoints import KINDS, CheckpointKind, Wanted
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, AnemoiVariable, read_checkpoint
from ailand_gt4py.weights.checkpoints.anemoi.metadata import member
from ailand_gt4py.weights.checkpoints.anemoi.pickled import class_of
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive
from ailand_gt4py.weights.model import (
    METHODS,
    NODE_TRAINABLE,
    Model,
    Normalisation,
    TimeMeaning,
    Variable,
)
from ailand_gt4py.weights.nodes import COMPUTED
from ailand_gt4py.weights.processing import Nodes
from ailand_gt4py.weights.variables import CATALOGUE, NODE_COORDINATES, at_all_times

#: A name that only networks of anemoi have among those of their tensors.
_MARK = ".node_attributes.latlons_"


def recognises(archive: TorchArchive) -> bool:
    """Whether it is of anemoi: by its metadata, its class, or the tensors of a state of training."""
    content = archive.content
    tensors = content.get("state_dict") if isinstance(content, dict) else None
    is_state = isinstance(tensors, dict) and any(_MARK in name for name in tensors if isinstance(name, str))
    return is_state or class_of(content).startswith("anemoi.") or member(archive) is not None


def model(archive: TorchArchive, wanted: Wanted) -> Model:
    """The model in an inference checkpoint, which itself says all there is about its variables."""
    for name, value in wanted._asdict().items():
        if value != Wanted._field_defaults[name]:
            raise InputError(f"'{name}' is given, expected nothing: a checkpoint of anemoi contains it")
    return converted(read_checkpoint(archive))


KIND = KINDS.add(CheckpointKind(recognises=recognises, model=model))


def converted(found: AnemoiCheckpoint) -> Model:
    """The same network as a model of this package."""
    dynamic = [one for one in found.inputs if not one.is_output and not one.is_constant]
    constant = [one for one in found.inputs if not one.is_output and one.is_constant]
    prognostic = [one for one in found.inputs if one.is_output]
    diagnostic = [one for one in found.outputs if not one.is_input]
    n_trainable = found.trainable.shape[1]
    static = [_variable(one, "static") for one in constant]
    static += [CATALOGUE[name].variable() for name in NODE_COORDINATES]
    static += [Variable(f"{NODE_TRAINABLE}{k}", "1", time_meaning="static") for k in range(n_trainable)]
    return Model(
        architecture=POINT_WISE,
        static=tuple(static),
        forcing=at_all_times([_variable(one, "window start") for one in dynamic], found.n_times),
        state=at_all_times([_variable(one, "window start") for one in prognostic], found.n_times),
        diagnostics=tuple(_variable(one, "window mean" if one.is_mean else "window end") for one in diagnostic),
        parameters=_parameters(found, constant, dynamic, prognostic, diagnostic),
        step_seconds=found.step_seconds,
        provenance=found.provenance,
        point_wise=found.network,
        boundings=found.boundings,
        nodes=Nodes(found.latitudes, found.longitudes, found.trainable) if n_trainable else None,
    )


def _parameters(
    found: AnemoiCheckpoint,
    constant: Sequence[AnemoiVariable],
    dynamic: Sequence[AnemoiVariable],
    prognostic: Sequence[AnemoiVariable],
    diagnostic: Sequence[AnemoiVariable],
) -> dict[str, np.ndarray]:
    """The parameters with columns and rows in the model's order; a constant variable's columns are added up."""
    n_inputs, n_times = len(found.inputs), found.n_times
    position = {one.name: k for k, one in enumerate(found.inputs)}
    row = {one.name: k for k, one in enumerate(found.outputs)}
    weight = found.parameters["encoder.0.weight"]
    by_time = [weight[:, k * n_inputs : (k + 1) * n_inputs] for k in reversed(range(n_times))]

    def columns(variables: Sequence[AnemoiVariable]) -> list[np.ndarray]:
        """Of each time, the newest first."""
        return [of_time[:, [position[one.name] for one in variables]] for of_time in by_time]

    of_constant = columns(constant)
    # Their sum is rounded to nothing in double precision.
    added = of_constant[0] if n_times == 1 else np.sum(of_constant, axis=0, dtype=np.float64)
    of_nodes = weight[:, n_times * n_inputs :]
    rows = [row[one.name] for one in (*prognostic, *diagnostic)]
    encoder = np.concatenate([added, of_nodes, *columns(dynamic), *columns(prognostic)], axis=1)
    return {
        **found.parameters,
        "encoder.0.weight": encoder,
        **{f"decoder.0.{kind}": found.parameters[f"decoder.0.{kind}"][rows] for kind in ("weight", "bias")},
    }


def _variable(one: AnemoiVariable, meaning: TimeMeaning) -> Variable:
    """A variable; what the catalogue says of one of that name and unit holds of this one, too.

    A checkpoint does not say whether forcing is of the label's time or a mean from then on.
    """
    known = CATALOGUE.get(one.name)
    known = known if known is not None and known.units == one.units else None
    is_forcing = one.is_input and not one.is_output and not one.is_constant
    return Variable(
        name=one.name,
        units=one.units,
        long_name=known.long_name if known else "",
        standard_name=known.standard_name if known else "",
        time_meaning=known.time_meaning if known and is_forcing and known.kind == "forcing" else meaning,
        derived=COMPUTED.get(one.name, "") if one.is_computed and not one.is_constant else "",
        normalisation=_statistics(one),
        training_minimum=one.statistics["minimum"],
        training_maximum=one.statistics["maximum"],
        processing=one.processing,
    )


def _statistics(one: AnemoiVariable) -> Normalisation:
    """Statistics, with anemoi's method where it is one that they admit."""
    statistics = Normalisation("none", *(one.statistics[name] for name in ("mean", "std", "minimum", "maximum")))
    if one.method in METHODS:
        try:
            return dataclasses.replace(statistics, method=one.method)  # type: ignore[arg-type]  # one of METHODS
        except InputError:
            pass
    return statistics
