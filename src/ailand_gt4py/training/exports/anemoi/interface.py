"""anemoi's own object of a network, its processors and bounding layers, as an inference checkpoint holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.types import Values
from ailand_gt4py.training.exports.anemoi import configuration
from ailand_gt4py.training.exports.anemoi.configuration import DATASET
from ailand_gt4py.weights.checkpoints.anemoi.checkpoint import AnemoiCheckpoint

_STATISTICS = {"mean": "mean", "stdev": "std", "minimum": "minimum", "maximum": "maximum"}


class Made(NamedTuple):
    """anemoi's object, its configuration and the indices of variables."""

    interface: torch.nn.Module
    configuration: dict[str, Any]
    indices: Any


def made(found: AnemoiCheckpoint) -> Made:
    """The object, with the numbers of a checkpoint."""
    from anemoi.models.data_indices.collection import IndexCollection
    from anemoi.models.interface import AnemoiModelInterface
    from omegaconf import OmegaConf

    variables = found.variables
    processors = configuration.processors(found)
    data = {
        "forcing": [one.name for one in found.inputs if not one.is_output],
        "diagnostic": [one.name for one in found.outputs if not one.is_input],
        "processors": {name: one.configuration(variables) for name, one in processors.items()},
    }
    content = {"data": {"datasets": {DATASET: data}}, "model": configuration.model(found)}
    config = OmegaConf.create(content)
    indices = IndexCollection(config.data.datasets[DATASET], {name: k for k, name in enumerate(variables)})
    statistics = {
        theirs: np.array([variables[name].statistics[own] for name in variables]) for theirs, own in _STATISTICS.items()
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        interface = AnemoiModelInterface(
            config=config,
            n_step_input=found.n_times,
            n_step_output=1,
            graph_data=_graph(found),
            statistics={DATASET: statistics},
            data_indices={DATASET: indices},
            metadata={"metadata_inference": {DATASET: {}}},
        )
    _fill(interface, found, processors, list(variables))
    # As anemoi-training leaves them where it saves one.
    interface.config = interface.metadata = interface.supporting_arrays = None
    return Made(interface.eval(), content, indices)


def save(made: Made, path: Path) -> None:
    """Write the object."""
    with path.open("wb") as stream:
        torch.save(made.interface, stream)


def _graph(found: AnemoiCheckpoint) -> Any:
    from torch_geometric.data import HeteroData

    graph = HeteroData()
    degrees = np.stack([found.latitudes, found.longitudes], axis=-1)
    graph[DATASET].x = torch.from_numpy(np.radians(degrees).astype(np.float32))
    graph[DATASET].num_nodes = len(degrees)
    _ = graph[DATASET, "to", DATASET]  # there, without edges
    return graph


def _fill(
    interface: torch.nn.Module,
    found: AnemoiCheckpoint,
    processors: dict[str, configuration.Processor],
    names: list[str],
) -> None:
    """Put the numbers in, of all that is trained, and of the normalisers."""
    own, filled = interface.state_dict(), set()
    for name, values in (*_weights(found), *_normalisers(processors, names)):
        own[name].copy_(torch.from_numpy(np.array(values, dtype=np.float32)).view_as(own[name]))
        filled.add(name)
    left = sorted({name for name, _ in interface.named_parameters()} - filled)
    if left:
        raise RunError(f"anemoi-models made the parameters {', '.join(left[:5])}, expected none beside those given")


def _weights(found: AnemoiCheckpoint) -> Iterator[tuple[str, Values]]:
    layers = {
        "encoder": ("model.encoder.0.emb_nodes_src", {"weight": "weight", "bias": "bias"}),
        "processor": (
            "model.processor.proc.{}.mlp",
            {
                "weight": "0.weight", "bias": "0.bias", "gain": "1.weight", "offset": "1.bias",
                "weight_out": "3.weight", "bias_out": "3.bias",
            },
        ),
        "decoder": (
            "model.decoder.0.node_data_extractor",
            {"gain": "0.weight", "offset": "0.bias", "weight": "1.weight", "bias": "1.bias"},
        ),
    }  # fmt: skip
    for name, values in found.parameters.items():
        block, layer, kind = name.split(".")
        prefix, kinds = layers[block]
        yield f"{prefix.format(layer)}.{kinds[kind]}", values
    if found.trainable.shape[1]:
        yield f"model.node_attributes.trainable_tensors.{DATASET}.trainable", found.trainable


def _normalisers(processors: dict[str, configuration.Processor], names: list[str]) -> Iterator[tuple[str, Values]]:
    """Multipliers and what is added, of all variables."""
    for name, one in processors.items():
        if one.kind == "normalizer":
            pairs = np.array(
                [one.steps[variable].parameters if variable in one.steps else (1.0, 0.0) for variable in names]
            )
            for kind, values in zip(("mul", "add"), pairs.T, strict=True):
                yield f"pre_processors.{DATASET}.processors.{name}._norm_{kind}", values
