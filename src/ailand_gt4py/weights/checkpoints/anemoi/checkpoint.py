"""A point-wise network of anemoi with all that its inference checkpoint says of it, in anemoi's own order.

An inference checkpoint is a pickled ``AnemoiModelInterface`` and, in the same archive, metadata as JSON. From the
pickle come classes, tensors and what is in no other place (replacements of imputers, arguments of remappers, normalised
bounds), from the metadata units, step and which variables are constant; names are in both and must agree.

The map, with x over (time, column, variable) and the oldest time first (anemoi-models 0.14 to 0.19, Apache-2.0,
https://github.com/ecmwf/anemoi-core): each variable goes through its processing. The network's input is all variables
of the oldest time, those of the next, ..., sines of latitude and longitude, their cosines, the numbers of the column if
it has some. Encoder (linear), blocks, latent skip, decoder; the newest prognostic variables are added to theirs;
boundings; the processing back. Where an imputed prognostic variable was missing at the oldest time, so is the result.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.matrices import for_products
from ailand_gt4py.weights.checkpoints.anemoi import metadata, network, processing
from ailand_gt4py.weights.checkpoints.anemoi.pickled import Thing, shown, vector
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive
from ailand_gt4py.weights.processing import Bounding, PointWise, Step

INTERFACE = "anemoi.models.interface.AnemoiModelInterface"

_STATISTICS = {"mean": "mean", "std": "stdev", "minimum": "minimum", "maximum": "maximum"}
_INDICES = "anemoi.models.data_indices"


@dataclasses.dataclass(frozen=True)
class AnemoiVariable:
    """An input or output of the network.

    Attributes:
        name, units: as in the data set.
        is_input, is_output: a prognostic variable is both.
        is_constant: whether it does not change in time. is_computed: whether it follows from time and place.
        is_mean: whether it is said to be a mean over the step that ends with its date.
        processing: steps from the physical value to the network's.
        method: anemoi's normalisation method.
        statistics: ``mean``, ``std``, ``minimum``, ``maximum`` of the data set; NaN where they are another variable's.
    """

    name: str
    units: str
    is_input: bool
    is_output: bool
    is_constant: bool
    is_computed: bool
    is_mean: bool
    processing: tuple[Step, ...]
    method: str
    statistics: Mapping[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class AnemoiCheckpoint:
    """See the module.

    Attributes:
        inputs: variables at each input time. outputs: variables of the result.
        boundings: in their order.
        network: activation, latent skip, epsilon.
        parameters: named as those of `weights.architectures`, columns of the encoder and rows of the decoder as in the
            map above.
        n_times: number of input times, one step apart. step_seconds: the step.
        coordinates: (nodes, 4), sines of latitude and longitude and their cosines, as the network takes them.
        trainable: (nodes, k), numbers of each node; k may be 0.
        latitudes, longitudes: (nodes,) in degrees; as precise as the coordinates where k is 0.
        provenance: short texts.
    """

    inputs: tuple[AnemoiVariable, ...]
    outputs: tuple[AnemoiVariable, ...]
    boundings: tuple[Bounding, ...]
    network: PointWise
    parameters: Mapping[str, np.ndarray]
    n_times: int
    step_seconds: float
    coordinates: np.ndarray
    trainable: np.ndarray
    latitudes: np.ndarray
    longitudes: np.ndarray
    provenance: Mapping[str, str]

    @property
    def variables(self) -> dict[str, AnemoiVariable]:
        """All by name, the inputs first."""
        return {one.name: one for one in (*self.inputs, *self.outputs)}


def read_checkpoint(archive: TorchArchive) -> AnemoiCheckpoint:
    """Read an inference checkpoint; what is more than a point-wise network of one data set is refused by its name."""
    interface = _interface(archive)
    said = metadata.read_metadata(archive)
    model = interface.module("model", network.MODEL)
    names = _names(interface, model, said)
    _check_times(archive, interface, model, said, names)
    layers = network.read_layers(model)
    if not layers.shape.latent_skip and (said.version is None or said.version < metadata.FIRST_WITHOUT_SKIP):
        first = ".".join(map(str, metadata.FIRST_WITHOUT_SKIP))
        raise InputError(
            f"found a network without latent skip, of a version of anemoi-models before {first} or not said, in which "
            f"its blocks have no effect; expected a latent skip, or version {first} or later"
        )
    steps = processing.read_processing(archive, interface, said.dataset, names)
    boundings = processing.read_boundings(archive, model, said.dataset, names)
    variables = _variables(interface, said, names, steps)
    nodes = archive.arrays(network.coordinates(model, said.dataset))
    # Only what is tied to its columns needs to know where they are.
    degrees = metadata.read_degrees(archive, said) if "trainable" in nodes else {}
    coordinates, trainable, latitudes, longitudes = _nodes(nodes, degrees)
    # One by one, so that no more than one is there twice.
    parameters = archive.arrays(layers.tensors)
    for name, array in parameters.items():
        parameters[name] = for_products(array, array.dtype) if array.ndim == 2 else array
    parameters |= {name: np.full(size, neutral, np.float32) for name, (size, neutral) in layers.absent.items()}
    n_features = said.n_times * len(names.inputs) + coordinates.shape[1] + trainable.shape[1]
    expected = {"encoder.0.weight": (1, n_features), "decoder.0.weight": (0, len(names.outputs))}
    for name, (axis, size) in expected.items():
        if parameters[name].shape[axis] != size:
            raise InputError(
                f"the network's '{name}' has the shape {parameters[name].shape}, expected {size} "
                f"{'inputs' if axis else 'outputs'}"
            )
    return AnemoiCheckpoint(
        inputs=tuple(variables[name] for name in names.inputs),
        outputs=tuple(variables[name] for name in names.outputs),
        boundings=boundings,
        network=layers.shape,
        parameters=parameters,
        n_times=said.n_times,
        step_seconds=said.step_seconds,
        coordinates=coordinates,
        trainable=trainable,
        latitudes=latitudes,
        longitudes=longitudes,
        provenance=said.provenance,
    )


def _interface(archive: TorchArchive) -> Thing:
    content = archive.content
    if isinstance(content, dict):
        raise InputError(
            "found a state of training, expected an inference checkpoint, which anemoi-training writes next to it "
            "('inference-...ckpt')"
        )
    return Thing.of(content, "checkpoint", (INTERFACE,))


def _names(interface: Thing, model: Thing, said: metadata.Metadata) -> processing.Names:
    """The variables, in whose order pickle and metadata must agree."""
    collections = interface.mapping("data_indices")
    if list(collections) != [said.dataset]:
        raise InputError(
            f"the network is of the data sets {', '.join(map(shown, list(collections)[:5]))}, expected "
            f"{shown(said.dataset)} alone"
        )
    indices = Thing.of(
        collections[said.dataset], "checkpoint.data_indices", (f"{_INDICES}.collection.IndexCollection",)
    )
    own = indices.thing("model", f"{_INDICES}.index.ModelIndex")
    found = processing.Names(
        dataset=indices.thing("data", f"{_INDICES}.index.DataIndex").thing("input").order("name_to_index"),
        inputs=own.thing("input").order("name_to_index"),
        outputs=own.thing("output").order("name_to_index"),
    )
    for group in ("inputs", "outputs"):
        if getattr(found, group) != getattr(said, group):
            raise InputError(f"the {group} of the network are others than the metadata say, expected the same in order")
        unknown = [name for name in getattr(found, group) if name not in found.dataset]
        if unknown:
            raise InputError(f"the {group} of the network have '{unknown[0][:60]}', which is not in the data set")
    return found


def _check_times(
    archive: TorchArchive, interface: Thing, model: Thing, said: metadata.Metadata, names: processing.Names
) -> None:
    """Whether times and prognostic variables of the network are those that the metadata and names say."""
    for thing in (interface, model):
        for attribute, expected in (("n_step_input", said.n_times), ("n_step_output", 1)):
            if thing.count(attribute) != expected:
                raise thing.refuse(attribute, str(expected))
    step = network.residual_step(model, said.dataset)
    if step not in (-1, said.n_times - 1):
        raise InputError(f"the network adds its result to the input time {step}, expected the newest, -1")
    prognostic = set(names.inputs) & set(names.outputs)
    for attribute, group in (("_internal_input_idx", names.inputs), ("_internal_output_idx", names.outputs)):
        tensor = model.mapping(attribute).get(said.dataset)
        indices = archive.arrays({attribute: Thing("", "", {"": tensor}).tensor("")})[attribute]
        if indices.tolist() != [position for position, name in enumerate(group) if name in prognostic]:
            raise InputError(f"'{model.path}.{attribute}': expected the variables that are both input and output")
    ordered = [[name for name in group if name in prognostic] for group in (names.inputs, names.outputs)]
    if ordered[0] != ordered[1]:
        raise InputError("the prognostic variables have another order in the outputs than in the inputs")


def _variables(
    interface: Thing, said: metadata.Metadata, names: processing.Names, steps: Mapping[str, tuple[Step, ...]]
) -> dict[str, AnemoiVariable]:
    methods, default, borrowed = processing.normalisation_methods(interface, said.dataset)
    found = interface.mapping("statistics").get(said.dataset)
    statistics = {}
    for own, theirs in _STATISTICS.items():
        values = vector(found.get(theirs)) if isinstance(found, dict) else None
        if values is None or values.size != len(names.dataset):
            raise InputError(
                f"'{interface.path}.statistics': found no '{theirs}' of the {len(names.dataset)} variables"
            )
        statistics[own] = dict(zip(names.dataset, values.tolist(), strict=True))
    return {
        name: AnemoiVariable(
            name=name,
            units=said.units[name],
            is_input=name in names.inputs,
            is_output=name in names.outputs,
            is_constant=name in said.constant,
            is_computed=name in said.computed,
            is_mean=name in said.means,
            processing=steps[name],
            method=methods.get(name, default),
            statistics={key: math.nan if name in borrowed else float(of[name]) for key, of in statistics.items()},
        )
        for name in dict.fromkeys((*names.inputs, *names.outputs))
    }


def _nodes(
    nodes: Mapping[str, np.ndarray], degrees: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, trainable numbers, latitudes and longitudes of the nodes, seen to be of the same columns."""
    coordinates = nodes["coordinates"]
    if coordinates.ndim != 2 or coordinates.shape[1] != 4:
        raise InputError(f"the coordinates of the nodes have the shape {coordinates.shape}, expected (nodes, 4)")
    n = len(coordinates)
    trainable = nodes.get("trainable", np.zeros((n, 0), np.float32))
    if trainable.ndim != 2 or len(trainable) != n:
        raise InputError(f"the numbers of the nodes have the shape {trainable.shape}, expected ({n}, k)")
    angles = np.degrees(np.arctan2(coordinates[:, :2], coordinates[:, 2:]).astype(np.float64))
    latitudes, longitudes = (degrees.get(name, angles[:, i]) for i, name in enumerate(("latitudes", "longitudes")))
    for name, own, given in (("latitudes", angles[:, 0], latitudes), ("longitudes", angles[:, 1], longitudes)):
        # The nodes' are rounded to single precision, in radians.
        if given.shape != (n,) or not (np.abs((given - own + 180.0) % 360.0 - 180.0) <= 1e-3).all():
            raise InputError(f"the {name} in the archive are {given.size} others than those of the network's {n} nodes")
    return coordinates, trainable, latitudes, longitudes
