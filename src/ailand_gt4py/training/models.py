"""From a trained network to a model, and from a model to a network that training begins with (fine-tuning)."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Network
from ailand_gt4py.training.network import StepNetwork
from ailand_gt4py.training.point_wise import PointWiseNetwork
from ailand_gt4py.training.scaling import Scaling, scale
from ailand_gt4py.weights.checkpoints.anemoi.as_anemoi import logarithm
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.processing import PointWise, Variability
from ailand_gt4py.weights.schema import GROUPS, checksum
from ailand_gt4py.weights.variables import at_all_times


def to_model(
    network: StepNetwork,
    scaling: Scaling,
    step_seconds: float,
    provenance: Mapping[str, str],
    variability: Variability | None = None,
) -> Model:
    """The model in physical units, with the precision of the network."""
    own = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    parameters = {name: array.astype(np.float64) for name, array in own.items()}
    _scale_increments(parameters, network, network.increment_scale.double().cpu().numpy())
    groups = {group: getattr(scaling, group) for group in GROUPS}
    return Model(
        architecture=network.architecture,
        parameters={name: array.astype(own[name].dtype) for name, array in parameters.items()},
        step_seconds=step_seconds,
        provenance=dict(provenance),
        point_wise=_shape(network),
        variability=variability,
        **groups | {"state": at_all_times(scaling.state, network.input_steps)},
    )


def _shape(network: StepNetwork) -> PointWise | None:
    return network.shape if isinstance(network, PointWiseNetwork) else None


@torch.no_grad()
def load_weights(network: StepNetwork, model: Model) -> None:
    """Give a network the weights of a model of its kind and size; the reverse of `to_model`."""
    own = network.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    given = {name: array.shape for name, array in model.parameters.items()}
    if model.architecture != network.architecture or shapes != given:
        differing = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
        what = f"'{model.architecture}', differing in {', '.join(differing[:3])}"
        raise InputError(
            f"option 'run.start_from': found a network {what}, expected '{network.architecture}' of the configured "
            "width and depth"
        )
    if model.point_wise != _shape(network):
        raise InputError(
            f"option 'run.start_from': found {model.point_wise}, expected that of the configuration, {_shape(network)}"
        )
    parameters = {name: array.astype(np.float64) for name, array in model.parameters.items()}
    _scale_increments(parameters, network, 1.0 / network.increment_scale.double().cpu().numpy())
    network.load_state_dict({name: torch.from_numpy(array).to(own[name]) for name, array in parameters.items()})


def _scale_increments(parameters: dict[str, np.ndarray], network: StepNetwork, scale: np.ndarray) -> None:
    rows = slice(len(scale))
    parameters[f"{network.scaled_layer}.weight"][rows] *= scale[:, None]
    parameters[f"{network.scaled_layer}.bias"][rows] *= scale


def scaling_of(model: Model, measured: Scaling, options: Network) -> Scaling:
    """The statistics to train with: the model's normalisation, without which its weights mean nothing; all ranges."""
    model = _as_trained(model)
    groups = {}
    expected_groups = {group: getattr(measured, group) for group in GROUPS}
    expected_groups["state"] = at_all_times(measured.state, options.input_steps)
    for group, of_data in expected_groups.items():
        of_model = getattr(model, group)
        found, expected = ([variable.name for variable in variables] for variables in (of_model, of_data))
        if found != expected:
            raise InputError(
                f"option 'run.start_from': the model's {group} variables are {', '.join(found)}, expected the "
                f"order of networks that are trained here: {', '.join(expected)}"
            )
        groups[group] = tuple(_merged(*pair) for pair in zip(of_model, getattr(measured, group), strict=False))
    usual = measured.increment_std if model.variability is None else model.variability.changes[0]
    # By powers of two: weights that are not learnt come out to the bit as they went in.
    own = scale(groups["state"])
    return Scaling(**groups, increment_std=own * 2.0 ** np.round(np.log2(usual / own)))


def _as_trained(model: Model) -> Model:
    """An imported model as one that was trained here: normalisers alone, and bounds, which are the catalogue's."""
    if model.nodes is not None:
        raise InputError("option 'run.start_from': the model is tied to its own columns, expected one that is not")
    for bounding in model.boundings:
        if bounding.kind != "clip" or bounding.slope:
            raise InputError(
                f"option 'run.start_from': the model has a bounding '{bounding.kind}' of '{bounding.variables[0]}' "
                f"with the slope {bounding.slope:g}, expected 'clip' with the slope 0"
            )
    groups: dict[str, Any] = {group: tuple(map(_normalised_alone, getattr(model, group))) for group in GROUPS}
    return dataclasses.replace(model, boundings=(), **groups)


def _normalised_alone(variable: Variable) -> Variable:
    if not variable.processing:
        return variable
    *core, last = variable.processing
    floor = core[0].parameters[1] if core and core[0].kind == "boundary_atoms" else math.nan
    is_logarithm = floor > 0.0 and tuple(core) == logarithm(floor)
    multiply, add = last.parameters if last.kind == "affine" else (0.0, 0.0)
    if not multiply > 0.0 or (core and not is_logarithm):
        kinds = ", ".join(step.kind for step in variable.processing)
        raise InputError(
            f"option 'run.start_from': the model's '{variable.name}' is processed by {kinds}, expected a normaliser "
            "alone"
        )
    statistics = {"mean": -add / multiply, "std": 1.0 / multiply}
    normalisation = Normalisation("mean-std", **statistics)
    if is_logarithm:
        normalisation = Normalisation("log", minimum=floor, **statistics)
    return dataclasses.replace(variable, normalisation=normalisation, processing=())


def _merged(of_model: Variable, of_data: Variable) -> Variable:
    if of_model.units != of_data.units:
        raise InputError(
            f"option 'run.start_from': the model has '{of_data.name}' in '{of_model.units}', expected "
            f"'{of_data.units}', the unit of the configuration"
        )
    return dataclasses.replace(
        of_data,
        normalisation=of_model.normalisation,
        training_minimum=float(np.fmin(of_model.training_minimum, of_data.training_minimum)),
        training_maximum=float(np.fmax(of_model.training_maximum, of_data.training_maximum)),
    )


def described(model: Model) -> str:
    """Which model training began with, for the provenance of what it gives."""
    known = [f"its {key}: {model.provenance[key]}" for key in ("command", "training") if key in model.provenance]
    return "; ".join([f"weights of a model with the checksum {checksum(model)}", *known])


def file_digest(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; of a directory, of its files' names and bytes, in the order of names."""
    digest = hashlib.sha256()
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    for file in files:
        if file != path:
            digest.update(f"{file.relative_to(path).as_posix()}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()
