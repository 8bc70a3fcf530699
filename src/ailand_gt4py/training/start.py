"""Training that starts from a model's weights and statistics, perhaps on other data (fine-tuning)."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.scaling import Scaling
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.schema import GROUPS, checksum


def scaling_of(model: Model, measured: Scaling) -> Scaling:
    """The statistics to train with: the model's normalisation, without which its weights mean nothing.

    Args:
        measured: of the training columns; their ranges extend those that the model was trained on.

    Raises:
        InputError: other variables, or in another order, or increments of something else.
    """
    groups = {}
    for group in GROUPS:
        of_model, of_data = getattr(model, group), getattr(measured, group)
        found, expected = ([variable.name for variable in variables] for variables in (of_model, of_data))
        if found != expected:
            raise InputError(
                f"option 'run.start_from': the model's {group} variables are {', '.join(found)}, expected those of the "
                f"configuration in the same order: {', '.join(expected)}"
            )
        for theirs, own in zip(of_model, of_data, strict=True):
            if theirs.increment_of != own.increment_of:
                raise InputError(
                    f"option 'run.start_from': the model's increments of '{own.name}' are of "
                    f"{_increment(theirs)}, those of the configuration of {_increment(own)} (variables.soil_heat), "
                    "expected the same"
                )
        groups[group] = tuple(_merged(*pair) for pair in zip(of_model, of_data, strict=True))
    return Scaling(**groups, increment_std=measured.increment_std)


def _increment(variable: Variable) -> str:
    return f"'{variable.increment_of}'" if variable.increment_of else "the variable itself"


def _merged(of_model: Variable, of_data: Variable) -> Variable:
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


@torch.no_grad()
def load_weights(network: LayerNormNetwork, model: Model) -> None:
    """Give a network the weights of a model; the reverse of `LayerNormNetwork.exported_parameters`.

    Raises:
        InputError: a network of another kind or size.
    """
    own = network.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    given = {name: array.shape for name, array in model.parameters.items()}
    if model.architecture != "layer_norm" or shapes != given:
        differing = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))
        what = f"'{model.architecture}', differing in {', '.join(differing[:3])}"
        raise InputError(
            f"option 'run.start_from': found a network {what}, expected 'layer_norm' of the configured width and depth"
        )
    scale = network.increment_scale.double().cpu().numpy()
    parameters = {name: array.astype(np.float64) for name, array in model.parameters.items()}
    parameters["prognostic.0.weight"] = parameters["prognostic.0.weight"] / scale[:, None]
    parameters["prognostic.0.bias"] = parameters["prognostic.0.bias"] / scale
    network.load_state_dict({name: torch.from_numpy(array).to(own[name]) for name, array in parameters.items()})
