"""From a trained network to a model, and from a model to a network that training begins with (fine-tuning)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.scaling import Scaling
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.schema import GROUPS, checksum


def to_model(network: LayerNormNetwork, scaling: Scaling, step_seconds: float, provenance: Mapping[str, str]) -> Model:
    """The model in physical units, with the precision of the network."""
    own = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    parameters = {name: array.astype(np.float64) for name, array in own.items()}
    _scale_increments(parameters, network.increment_scale.double().cpu().numpy())
    return Model(
        architecture="layer_norm",
        parameters={name: array.astype(own[name].dtype) for name, array in parameters.items()},
        step_seconds=step_seconds,
        provenance=dict(provenance),
        **{group: getattr(scaling, group) for group in GROUPS},
    )


@torch.no_grad()
def load_weights(network: LayerNormNetwork, model: Model) -> None:
    """Give a network the weights of a model of its kind and size; the reverse of `to_model`."""
    own = network.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    given = {name: array.shape for name, array in model.parameters.items()}
    if model.architecture != "layer_norm" or shapes != given:
        differing = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
        what = f"'{model.architecture}', differing in {', '.join(differing[:3])}"
        raise InputError(
            f"option 'run.start_from': found a network {what}, expected 'layer_norm' of the configured width and depth"
        )
    parameters = {name: array.astype(np.float64) for name, array in model.parameters.items()}
    _scale_increments(parameters, 1.0 / network.increment_scale.double().cpu().numpy())
    network.load_state_dict({name: torch.from_numpy(array).to(own[name]) for name, array in parameters.items()})


def _scale_increments(parameters: dict[str, np.ndarray], scale: np.ndarray) -> None:
    parameters["prognostic.0.weight"] *= scale[:, None]
    parameters["prognostic.0.bias"] *= scale


def scaling_of(model: Model, measured: Scaling) -> Scaling:
    """The statistics to train with: the model's normalisation, without which its weights mean nothing; all ranges."""
    groups = {}
    for group in GROUPS:
        of_model, of_data = getattr(model, group), getattr(measured, group)
        found, expected = ([variable.name for variable in variables] for variables in (of_model, of_data))
        if found != expected:
            raise InputError(
                f"option 'run.start_from': the model's {group} variables are {', '.join(found)}, expected those of the "
                f"configuration in the same order: {', '.join(expected)}"
            )
        groups[group] = tuple(_merged(*pair) for pair in zip(of_model, of_data, strict=True))
    return Scaling(**groups, increment_std=measured.increment_std)


def _merged(of_model: Variable, of_data: Variable) -> Variable:
    theirs, own = (
        f"'{one.increment_of}'" if one.increment_of else "the variable itself" for one in (of_model, of_data)
    )
    if theirs != own:
        raise InputError(
            f"option 'run.start_from': the model's increments of '{of_data.name}' are of {theirs}, those of the "
            f"configuration of {own} (variables.soil_heat), expected the same"
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
