"""What anemoi-models makes a point-wise network of: its configuration of network, processors and bounding layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ailand_gt4py.weights.checkpoints.anemoi.as_anemoi import hidden_width
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint, AnemoiVariable
from ailand_gt4py.weights.checkpoints.anemoi.network import ACTIVATIONS, MODEL
from ailand_gt4py.weights.checkpoints.anemoi.processing import UNBOUNDED
from ailand_gt4py.weights.processing import Bounding, PointWise, Step

DATASET = "data"
_LAYERS, _PREPROCESSING = "anemoi.models.layers", "anemoi.models.preprocessing"
_CLASSES = {
    "imputer": f"{_PREPROCESSING}.imputer.ConstantImputer",
    "normalizer": f"{_PREPROCESSING}.normalizer.InputNormalizer",
    "remapper": f"{_PREPROCESSING}.remapper.Remapper",
}

#: Kind of a step -> anemoi's method and the names of its arguments, in the order of the step's.
_REMAPPINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "log1p": ("log1p", ()),
    "sqrt": ("sqrt", ()),
    "power": ("power", ("lambd", "clip_negative", "tangent_linear_above_one")),
    "boxcox": ("boxcox", ("lambd",)),
    "asinh": ("asinh", ("c",)),
    "atanh": ("atanh", ("rho",)),
    "scale": ("affine", ("scale", "shift")),
    "boundary_atoms": (
        "displace_boundary_atoms", ("lower_atom", "lower_target", "upper_atom", "upper_target", "eps")
    ),
}  # fmt: skip
_FLAGS = ("clip_negative", "tangent_linear_above_one")


class Processor:
    """One processor and the step that it is of some variables.

    Attributes:
        kind: of `_CLASSES`. steps: by variable.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.steps = kind, dict[str, Step]()

    def admits(self, step: Step) -> bool:
        """Whether it can be this step, too: a remapper has one set of arguments for each of its methods."""
        if self.kind != _kind_of(step):
            return False
        return self.kind != "remapper" or all(one == step for one in self.steps.values() if one.kind == step.kind)

    def configuration(self, variables: Mapping[str, AnemoiVariable]) -> dict[str, Any]:
        found: dict[Any, Any] = {"default": "none"}
        arguments = {}
        for name, step in self.steps.items():
            method: str | float = variables[name].method
            if self.kind == "imputer":
                method = step.parameters[0]
            elif self.kind == "remapper":
                method, names = _REMAPPINGS[step.kind]
                given = zip(names, step.parameters, strict=True)
                arguments[method] = {key: _argument(key, value) for key, value in given}
            if method != "none":
                found.setdefault(method, []).append(name)
        if arguments:
            found["method_kwargs"] = arguments
        return {"_target_": _CLASSES[self.kind], "config": found}


def _kind_of(step: Step) -> str:
    return {"impute": "imputer", "affine": "normalizer"}.get(step.kind, "remapper")


def _argument(name: str, value: float) -> float | bool | None:
    return bool(value) if name in _FLAGS else value if math.isfinite(value) else None


def processors(found: AnemoiCheckpoint) -> dict[str, Processor]:
    """Processors by name, in order, so that every variable goes through its own steps in their order."""
    merged = [Processor("normalizer")]
    for variable in found.variables.values():
        position = 0
        for step in variable.processing:
            fitting = (k for k in range(position, len(merged)) if merged[k].admits(step))
            place = next(fitting, None)
            if place is None:
                place = position
                merged.insert(place, Processor(_kind_of(step)))
            merged[place].steps[variable.name] = step
            position = place + 1
    names: dict[str, Processor] = {}
    for one in merged:
        count = sum(other.kind == one.kind for other in names.values())
        names[f"{one.kind}_{count + 1}" if count else one.kind] = one
    return names


def boundings(bounding: Bounding) -> list[dict[str, Any]]:
    """A bounding as anemoi's layers, one for all variables that have the same bounds."""
    groups: dict[tuple[float, float], list[str]] = {}
    for name, lower, upper in zip(bounding.variables, bounding.lower, bounding.upper, strict=True):
        groups.setdefault((lower, upper), []).append(name)
    leaky, layers = "Leaky" if bounding.slope else "", []
    for (lower, upper), names in groups.items():
        kind = "Relu" if (lower, upper) == (0.0, math.inf) else "Hardtanh"
        options: dict[str, Any] = {}
        if bounding.total or kind == "Hardtanh":
            limits = (min(max(one, -UNBOUNDED), UNBOUNDED) for one in (lower, upper))
            options = dict(zip(("min_val", "max_val"), limits, strict=True))
        if bounding.total:
            kind, options["total_var"] = "Fraction", bounding.total
        layers.append({"_target_": f"{_LAYERS}.bounding.{leaky}{kind}Bounding", "variables": names, **options})
    return layers


def _kernels(network: PointWise) -> dict[str, Any]:
    name = "gelu" if network.activation == "gelu_tanh" else network.activation
    target, attributes = next((target, known[1]) for target, known in ACTIVATIONS.items() if known[0] == name)
    activation = {"_target_": target, **dict(zip(attributes, network.activation_parameters, strict=True))}
    if network.activation == "gelu_tanh":
        activation["approximate"] = "tanh"
    return {
        "LayerNorm": {"_target_": "torch.nn.LayerNorm", "eps": network.epsilon},
        "Linear": {"_target_": "torch.nn.Linear"},
        "Activation": activation,
    }


def model(found: AnemoiCheckpoint) -> dict[str, Any]:
    """The configuration of the network."""
    channels = len(found.parameters["encoder.0.bias"])
    common = {
        "num_channels": channels, "cpu_offload": False, "gradient_checkpointing": False,
        "layer_kernels": _kernels(found.network),
    }  # fmt: skip
    processor = {
        "_target_": f"{_LAYERS}.processor.PointWiseMLPProcessor",
        "num_layers": sum(name.startswith("processor.") and name.endswith(".gain") for name in found.parameters),
        "num_chunks": 1,
        "mlp_hidden_ratio": hidden_width(found.parameters) / channels,
    }
    encoder = {"_target_": f"{_LAYERS}.mapper.PointWiseForwardMapper", **common}
    decoder = {"_target_": f"{_LAYERS}.mapper.PointWiseBackwardMapper", **common}
    return {
        "num_channels": channels,
        "model": {"_target_": MODEL, "hidden_nodes_name": DATASET, "latent_skip": found.network.latent_skip},
        "processor": {**processor, **common},
        "encoders": {
            "0": {"source_datasets": [DATASET], "dataset_fusing_strategy": "not_supported", "mapper": encoder}
        },
        "decoders": {"0": {"target_datasets": [DATASET], "target_node_features": ["encoded_data"], "mapper": decoder}},
        "latent_aggregator": {"_target_": f"{_LAYERS}.aggregator.SumAggregator"},
        "residual": {"datasets": {DATASET: {"_target_": f"{_LAYERS}.residual.SkipConnection", "step": -1}}},
        "bounding": {"datasets": {DATASET: [layer for one in found.boundings for layer in boundings(one)]}},
        "node_trainable_parameters": {DATASET: found.trainable.shape[1], "hidden": 0},
    }
