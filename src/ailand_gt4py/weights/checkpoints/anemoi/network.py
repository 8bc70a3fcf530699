"""The layers of a point-wise network in an anemoi checkpoint, each of a class that is known, and their tensors.

What a module computes follows from its class, not from the names and shapes of its tensors: those of a batch
normalisation are like those of a layer normalisation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.checkpoints.anemoi.pickled import Thing
from ailand_gt4py.weights.checkpoints.inert_pickle import Tensor
from ailand_gt4py.weights.processing import PointWise

MODEL = "anemoi.models.models.encoder_processor_decoder.AnemoiModelEncProcDec"
_MAPPERS = "anemoi.models.layers.mapper"
_CONTAINERS = "torch.nn.modules.container"
_DICTIONARY, _LIST, _SEQUENCE = (f"{_CONTAINERS}.{name}" for name in ("ModuleDict", "ModuleList", "Sequential"))
_LINEAR = "torch.nn.modules.linear.Linear"
_NORMS = ("torch.nn.modules.normalization.LayerNorm", "anemoi.models.layers.normalization.AutocastLayerNorm")
_DROPOUT = "torch.nn.modules.dropout.Dropout"
_NO_EDGES = "anemoi.models.layers.graph_provider.NoOpGraphProvider"

#: Class of an activation -> its name here, and the attributes that are its parameters.
_TORCH, _ANEMOI = "torch.nn.modules.activation", "anemoi.models.layers.activations"
ACTIVATIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    f"{_TORCH}.GELU": ("gelu", ()),
    f"{_TORCH}.SiLU": ("silu", ()),
    f"{_TORCH}.ReLU": ("relu", ()),
    f"{_TORCH}.LeakyReLU": ("leaky_relu", ("negative_slope",)),
    f"{_TORCH}.ELU": ("elu", ("alpha",)),
    f"{_TORCH}.Tanh": ("tanh", ()),
    f"{_TORCH}.Softplus": ("softplus", ("beta", "threshold")),
    "torch.nn.modules.linear.Identity": ("identity", ()),
    f"{_ANEMOI}.Sine": ("sine", ("w", "phi")),
    f"{_ANEMOI}.CustomRelu": ("custom_relu", ("threshold",)),
}
_GELU_FORMS = {"none": "gelu", "tanh": "gelu_tanh"}


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers: what of them is no tensor, and the tensors by the names of this package's parameters.

    Attributes:
        shape: activation, latent skip and epsilon.
        tensors: of the encoder with the columns, of the decoder with the rows in anemoi's order.
        absent: sizes of vectors that the network does without, and the number that has no effect.
    """

    shape: PointWise
    tensors: Mapping[str, Tensor]
    absent: Mapping[str, tuple[int, float]]


def read_layers(model: Thing) -> Layers:
    """The layers of a model of class `MODEL`; anything that is more than a point-wise network is refused."""
    found = _Collected()
    _check_parts(model)
    encoder = model.module("encoder", _DICTIONARY).only(f"{_MAPPERS}.PointWiseForwardMapper")
    found.linear(encoder.module("emb_nodes_src", _LINEAR), "encoder.0")
    processor = model.module("processor", "anemoi.models.layers.processor.PointWiseMLPProcessor")
    chain = processor.module("proc", _LIST)
    blocks = chain.numbered()
    if not blocks or (processor.has("num_layers") and processor.count("num_layers") != len(blocks)):
        raise InputError(
            f"'{chain.path}': found {len(blocks)} blocks, expected as many as 'num_layers' says, 1 or more"
        )
    for i, name in enumerate(blocks):
        found.block(chain.module(name, "anemoi.models.layers.block.PointWiseMLPProcessorBlock"), f"processor.{i}")
    decoder = model.module("decoder", _DICTIONARY).only(f"{_MAPPERS}.PointWiseBackwardMapper")
    extractor = decoder.module("node_data_extractor", _SEQUENCE)
    if len(extractor.numbered()) != 2:
        raise InputError(f"'{extractor.path}' has {len(extractor.numbered())} layers, expected 2")
    _, n_channels = found.linear(extractor.module("1", _LINEAR), "decoder.0")
    found.norm(extractor.module("0", *_NORMS), "decoder.0", n_channels)
    return Layers(found.shape(model.flag("latent_skip")), found.tensors, found.absent)


def residual_step(model: Thing, dataset: str) -> int:
    """Index of the input time, negative from the end, whose prognostic variables are added to the result."""
    residual = model.module("residual", _DICTIONARY)
    return residual.only("anemoi.models.layers.residual.SkipConnection", name=dataset).count("step")


def coordinates(model: Thing, dataset: str) -> dict[str, Tensor]:
    """``coordinates`` (nodes, 4), sines of latitude and longitude, their cosines; ``trainable`` (nodes, k) if any."""
    attributes = model.module("node_attributes", "anemoi.models.layers.graph.NamedNodesAttributes")
    tensors = {"coordinates": attributes.tensor(f"latlons_{dataset}")}
    trainable = attributes.module("trainable_tensors", _DICTIONARY).module(
        dataset, "anemoi.models.layers.graph.TrainableTensor"
    )
    numbers = trainable.optional_tensor("trainable")
    return tensors if numbers is None else {**tensors, "trainable": numbers}


def _check_parts(model: Thing) -> None:
    """Whether the network has no edges, and what its encoder gives goes on as it is."""
    for name in ("encoder_graph_provider", "decoder_graph_provider"):
        model.module(name, _DICTIONARY).only(_NO_EDGES)
    model.module("processor_graph_provider", _NO_EDGES)
    if "latent_aggregator" in model.modules():
        model.module("latent_aggregator", "anemoi.models.layers.aggregator.SumAggregator")


class _Collected:
    """What the layers hold, collected one by one."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.absent: dict[str, tuple[int, float]] = {}
        self._activations: dict[tuple[str, tuple[float, ...]], str] = {}
        self._epsilons: dict[float, str] = {}

    def linear(self, layer: Thing, name: str, weight: str = "weight", bias: str = "bias") -> tuple[int, int]:
        """A linear layer; returns the numbers of outputs and inputs."""
        matrix = layer.tensor("weight")
        if len(matrix.shape) != 2:
            raise InputError(f"'{layer.path}.weight': found the shape {matrix.shape}, expected a matrix")
        self.tensors[f"{name}.{weight}"] = matrix
        self._vector(layer, "bias", f"{name}.{bias}", matrix.shape[0], 0.0)
        return matrix.shape[0], matrix.shape[1]

    def norm(self, layer: Thing, name: str, size: int) -> None:
        """A layer normalisation over all of as many features."""
        if list(layer.sequence("normalized_shape")) != [size]:
            raise layer.refuse("normalized_shape", f"({size},)")
        self._epsilons.setdefault(layer.number("eps"), layer.path)
        self._vector(layer, "weight", f"{name}.gain", size, 1.0)
        self._vector(layer, "bias", f"{name}.offset", size, 0.0)

    def block(self, block: Thing, name: str) -> None:
        """Linear layer, normalisation, activation and, where the width of the block is another, a linear layer."""
        layers = block.module("mlp", _SEQUENCE)
        n_hidden, n_channels = self.linear(layers.module("0", _LINEAR), name)
        self.norm(layers.module("1", *_NORMS), name, n_hidden)
        self._activation(layers.module("2"), f"{layers.path}.2")
        rest = layers.numbered()[3:]
        if n_hidden != n_channels:
            self.linear(layers.module("3", _LINEAR), name, "weight_out", "bias_out")
            rest = rest[1:]
        for one in rest[:1]:
            layers.module(one, _DROPOUT)
        if len(rest) > 1:
            raise InputError(f"'{layers.path}' has {len(layers.modules())} layers, expected {len(rest) - 1} fewer")

    def shape(self, latent_skip: bool) -> PointWise:
        """What all blocks have in common, refused where they differ."""
        for what, values in (("activation", self._activations), ("eps", self._epsilons)):
            if len(values) > 1:
                one, other = list(values.items())[:2]
                raise InputError(
                    f"the {what} of '{other[1]}' is {other[0]}, that of '{one[1]}' {one[0]}, expected one for all"
                )
        (activation, parameters), epsilon = next(iter(self._activations)), next(iter(self._epsilons))
        return PointWise(activation, parameters, latent_skip, epsilon)

    def _activation(self, layer: Thing, path: str) -> None:
        if layer.kind not in ACTIVATIONS:
            names = ", ".join(kind.rpartition(".")[2] for kind in ACTIVATIONS)
            raise InputError(f"'{path}': found the activation '{layer.kind[:100]}', expected one of {names}")
        name, attributes = ACTIVATIONS[layer.kind]
        if name == "gelu":
            form = layer.text("approximate")
            if form not in _GELU_FORMS:
                raise layer.refuse("approximate", "'none' or 'tanh'")
            name = _GELU_FORMS[form]
        self._activations.setdefault((name, tuple(layer.number(one) for one in attributes)), path)

    def _vector(self, layer: Thing, attribute: str, name: str, size: int, neutral: float) -> None:
        tensor = layer.optional_tensor(attribute)
        if tensor is None and attribute not in layer.mapping("_parameters"):
            raise InputError(f"'{layer.path}': found no '{attribute}', expected a tensor or None")
        if tensor is None:
            self.absent[name] = (size, neutral)
        elif tensor.shape != (size,):
            raise InputError(f"'{layer.path}.{attribute}': found the shape {tensor.shape}, expected ({size},)")
        else:
            self.tensors[name] = tensor
