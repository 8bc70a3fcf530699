"""Writes inference checkpoints as anemoi-training does, without anemoi and PyTorch: stand-ins under the right names.

`recipe` makes the object tree of a small network and its metadata; tests change either before `write_checkpoint`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch_files import STORAGES

MODELS = "anemoi.models"
MAPPINGS = f"{MODELS}.preprocessing.mappings"


@dataclasses.dataclass(eq=False)
class Named:
    """A class or function by its full name."""

    name: str


@dataclasses.dataclass(eq=False)
class Instance:
    """An object of a class, with its attributes."""

    kind: str
    state: dict[Any, Any]


@dataclasses.dataclass(eq=False)
class Tensor:
    """A tensor of PyTorch's with a storage of its own."""

    array: np.ndarray


@dataclasses.dataclass(eq=False)
class _Stored:
    identifier: tuple[object, ...]


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes names without looking them up, and tensors as PyTorch does."""

    dispatch: ClassVar[dict[type, Callable[..., None]]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: list[np.ndarray] = []

    def save_name(self, one: Named) -> None:
        module, _, name = one.name.rpartition(".")
        self.write(b"c" + module.encode() + b"\n" + name.encode() + b"\n")

    def save_instance(self, one: Instance) -> None:
        self.save(Named(one.kind))
        self.save(())
        self.write(pickle.NEWOBJ)
        self.memoize(one)
        self.save(one.state)
        self.write(pickle.BUILD)

    def save_stored(self, one: _Stored) -> None:
        self.save(one.identifier)
        self.write(pickle.BINPERSID)

    def save_tensor(self, one: Tensor) -> None:
        array = np.ascontiguousarray(one.array)
        kind = Named(f"torch.{STORAGES[array.dtype.name]}")
        stored = _Stored(("storage", kind, str(len(self.storages)), "cpu", array.size))
        self.storages.append(array)
        strides = tuple(stride // array.itemsize for stride in array.strides)
        self.save(Named("torch._utils._rebuild_tensor_v2"))
        self.save((stored, 0, array.shape, strides, False, {}))
        self.write(pickle.REDUCE)
        self.memoize(one)

    dispatch[Named] = save_name
    dispatch[Instance] = save_instance
    dispatch[_Stored] = save_stored
    dispatch[Tensor] = save_tensor


def write_checkpoint(
    path: Path, content: object, metadata: object, *, member: str = "anemoi.json", root: str = "inference-last"
) -> Path:
    """``metadata`` None: without; bytes: as they are."""
    program = io.BytesIO()
    pickler = _Pickler(program)
    pickler.dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", program.getvalue())
        archive.writestr(f"{root}/byteorder", "little")
        for key, array in enumerate(pickler.storages):
            with archive.open(f"{root}/data/{key}", "w", force_zip64=True) as storage:
                storage.write(memoryview(array).cast("B") if array.size else b"")
        if metadata is not None:
            text = metadata if isinstance(metadata, bytes) else json.dumps(metadata)
            archive.writestr(f"{root}/anemoi-metadata/{member}", text)
            arrays = metadata.get("supporting_arrays_paths", {}) if isinstance(metadata, dict) else {}
            for name, one in (next(iter(arrays.values()), None) or {}).items():
                if one["path"] not in archive.namelist():
                    archive.writestr(one["path"], np.asarray(DEGREES[name](one["shape"][0]), "<f8").tobytes())
    return path


def rewritten(path: Path, changed: Mapping[str, bytes]) -> Path:
    """The same archive with other members; names are those after the root."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, changed.get(name.partition("/")[2], content))
    return path


#: Coordinates of the nodes by their number.
DEGREES: Mapping[str, Callable[[int], np.ndarray]] = {
    "latitudes": lambda n: np.linspace(-60.0, 70.0, n),
    "longitudes": lambda n: np.linspace(3.0, 350.0, n),
}


def module(kind: str, modules: Mapping[str, Any] | None = None, **attributes: Any) -> Instance:
    """A module of PyTorch's; attributes that are tensors are parameters."""
    state = {
        "training": True,
        "_parameters": {key: value for key, value in attributes.items() if isinstance(value, Tensor)},
        "_buffers": {},
        "_forward_hooks": {},
        "_forward_pre_hooks": {},
        "_modules": dict(modules or {}),
    }
    return Instance(kind, state | {key: value for key, value in attributes.items() if not isinstance(value, Tensor)})


def at(tree: Instance, path: str) -> Instance:
    """The submodule at a dotted path."""
    for name in path.split(".") if path else ():
        tree = tree.state["_modules"][name]
    return tree


def configured(value: object) -> Instance:
    """A dictionary, list or value as omegaconf holds it."""
    held = {"_metadata": Instance("omegaconf.base.Metadata", {}), "_parent": None}
    if isinstance(value, dict):
        entries = {key: configured(one) for key, one in value.items()}
        return Instance("omegaconf.dictconfig.DictConfig", {**held, "_content": entries})
    if isinstance(value, list):
        return Instance("omegaconf.listconfig.ListConfig", {**held, "_content": [configured(one) for one in value]})
    return Instance("omegaconf.nodes.AnyNode", {**held, "_val": value})


@dataclasses.dataclass
class Recipe:
    """What a checkpoint is made of; see `recipe`.

    ``remapped``: variable -> names of anemoi's function and its inverse, and arguments. ``imputed``: variable -> value.
    ``processors``: their order. ``boundings``: classes and what `bounding` takes.
    """

    forcing: Sequence[str] = ("met_tair", "cos_julian_day")
    constant: Sequence[str] = ("clim_cvh",)
    prognostic: Sequence[str] = ("stl1", "swvl1")
    diagnostic: Sequence[str] = ("t2m", "d2m", "skt")
    n_times: int = 2
    n_nodes: int = 5
    n_channels: int = 6
    n_layers: int = 2
    ratio: int = 2
    n_trainable: int = 0
    activation: tuple[str, Mapping[str, Any]] = ("torch.nn.modules.activation.GELU", {"approximate": "none"})
    latent_skip: bool = True
    epsilon: float = 1e-5
    dropout: float = 0.0
    version: str = "0.19.0"
    dataset: str = "data"
    imputed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    remapped: Mapping[str, tuple[str, str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
    processors: Sequence[str] = ("imputer", "remapper", "normalizer")
    boundings: Sequence[tuple[str, Mapping[str, Any]]] = ()
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """The variables in the data set's order: roles are mixed, and one is of no use."""
        by_role = [*self.diagnostic, *self.forcing, *self.prognostic, "unused", *self.constant]
        order = np.random.default_rng(self.seed + 1).permutation(len(by_role))
        return [by_role[k] for k in order]

    @property
    def inputs(self) -> list[str]:
        return [one for one in self.names if one in (*self.forcing, *self.constant, *self.prognostic)]

    @property
    def outputs(self) -> list[str]:
        return [one for one in self.names if one in (*self.prognostic, *self.diagnostic)]


def recipe(made: Recipe) -> tuple[Instance, dict[str, Any]]:
    """The pickled interface and the metadata."""
    rng = np.random.default_rng(made.seed)
    indices = _indices(made)
    processors = {name: _processor(made, name, indices) for name in made.processors}

    def chain(names: Sequence[str], inverse: bool) -> Instance:
        inner = module("torch.nn.modules.container.ModuleDict", {name: processors[name] for name in names})
        outer = module(f"{MODELS}.preprocessing.Processors", {"processors": inner}, inverse=inverse, first_run=False)
        return module("torch.nn.modules.container.ModuleDict", {made.dataset: outer})

    statistics = {made.dataset: {key: np.array(values) for key, values in _statistics(made).items()}}
    interface = module(
        f"{MODELS}.interface.AnemoiModelInterface",
        {
            "pre_processors": chain(made.processors, inverse=False),
            "post_processors": chain(made.processors[::-1], inverse=True),
            "pre_processors_tendencies": module("torch.nn.modules.container.ModuleDict"),
            "post_processors_tendencies": module("torch.nn.modules.container.ModuleDict"),
            "model": _network(made, rng),
        },
        config=None, statistics=statistics, data_indices={made.dataset: indices},
        n_step_input=made.n_times, n_step_output=1,
    )  # fmt: skip
    return interface, _metadata(made)


def _statistics(made: Recipe) -> dict[str, list[float]]:
    n = len(made.names)
    mean = [1.0 + 0.1 * k for k in range(n)]
    stdev = [0.5 + 0.01 * k for k in range(n)]
    return {
        "mean": mean,
        "stdev": stdev,
        "maximum": [one + 2.0 for one in mean],
        "minimum": [one - 3.0 for one in mean],
    }


def _indices(made: Recipe) -> Instance:
    def group(names: Sequence[str]) -> Instance:
        return Instance(f"{MODELS}.data_indices.tensor.InputTensorIndex", {"name_to_index": _order(names)})

    both = {"input": group(made.inputs), "output": group(made.outputs)}
    data = {"input": group(made.names), "output": group(made.names)}
    return Instance(
        f"{MODELS}.data_indices.collection.IndexCollection",
        {
            "data": Instance(f"{MODELS}.data_indices.index.DataIndex", data),
            "model": Instance(f"{MODELS}.data_indices.index.ModelIndex", both),
        },
    )


def _order(names: Sequence[str]) -> dict[str, int]:
    return {name: k for k, name in enumerate(names)}


def _within(names: Sequence[str], group: Sequence[str]) -> list[int | None]:
    return [group.index(name) if name in group else None for name in names]


def _processor(made: Recipe, name: str, indices: Instance) -> Instance:
    kinds = {"imputer": "imputer.ConstantImputer", "remapper": "remapper.Remapper"}
    kind = f"{MODELS}.preprocessing.{kinds.get(name, 'normalizer.InputNormalizer')}"
    common = {"default": "none", "remap": {}, "method_kwargs": {}, "data_indices": indices}
    if name == "imputer":
        names = [one for one in made.names if one in made.imputed]
        return module(
            kind, **common, replacement=[made.imputed[one] for one in names],
            index_inference_input=_within(names, made.inputs), index_inference_output=_within(names, made.outputs),
        )  # fmt: skip
    if name == "remapper":
        functions = [made.remapped.get(one, ("noop", "noop", {})) for one in made.names]
        return module(
            kind, **common, remappers=[Named(f"{MAPPINGS}.{one[0]}") for one in functions],
            backmappers=[Named(f"{MAPPINGS}.{one[1]}") for one in functions],
            remapper_kwargs=[configured(one[2]) if one[2] else {} for one in functions],
            index_inference_input=_within(made.names, made.inputs),
            index_inference_output=_within(made.names, made.outputs),
        )  # fmt: skip
    statistics = _statistics(made)
    multiply = (1.0 / np.array(statistics["stdev"])).astype(np.float32)
    add = (-np.array(statistics["mean"]) / np.array(statistics["stdev"])).astype(np.float32)
    made_of = module(kind, **common | {"default": "mean-std"}, methods={})
    made_of.state["_buffers"] = {
        "_norm_mul": Tensor(multiply),
        "_norm_add": Tensor(add),
        "_input_idx": Tensor(np.array(_within(made.inputs, made.names), np.int32)),
        "_model_output_idx": Tensor(np.array(_within(made.outputs, made.names), np.int32)),
    }
    return made_of


def linear(rng: np.random.Generator, n_out: int, n_in: int) -> Instance:
    weight = rng.standard_normal((n_out, n_in), dtype=np.float32) / np.float32(np.sqrt(n_in))
    bias = rng.standard_normal(n_out, dtype=np.float32)
    return module("torch.nn.modules.linear.Linear", weight=Tensor(weight), bias=Tensor(bias))


def norm(rng: np.random.Generator, n: int, epsilon: float) -> Instance:
    gain = np.float32(1.0) + np.float32(0.1) * rng.standard_normal(n, dtype=np.float32)
    offset = np.float32(0.1) * rng.standard_normal(n, dtype=np.float32)
    kind = "torch.nn.modules.normalization.LayerNorm"
    return module(kind, weight=Tensor(gain), bias=Tensor(offset), normalized_shape=(n,), eps=epsilon)


def numbered(kind: str, members: Sequence[Instance]) -> Instance:
    return module(f"torch.nn.modules.container.{kind}", {str(k): one for k, one in enumerate(members)})


def _network(made: Recipe, rng: np.random.Generator) -> Instance:
    n_hidden = made.n_channels * made.ratio
    data = made.dataset
    key = "0" if made.version.startswith("0.19") else data

    def block() -> Instance:
        layers = [linear(rng, n_hidden, made.n_channels), norm(rng, n_hidden, made.epsilon)]
        layers.append(module(made.activation[0], **made.activation[1]))
        layers += [linear(rng, made.n_channels, n_hidden)] if made.ratio != 1 else []
        layers += [module("torch.nn.modules.dropout.Dropout", p=made.dropout)] if made.dropout else []
        return module(f"{MODELS}.layers.block.PointWiseMLPProcessorBlock", {"mlp": numbered("Sequential", layers)})

    def mapping(members: Mapping[str, Instance]) -> Instance:
        return module("torch.nn.modules.container.ModuleDict", members)

    n_in = made.n_times * len(made.inputs) + 4 + made.n_trainable
    no_edges = module(f"{MODELS}.layers.graph_provider.NoOpGraphProvider")
    encoder = {"emb_nodes_src": linear(rng, made.n_channels, n_in)}
    blocks = numbered("ModuleList", [block() for _ in range(made.n_layers)])
    extractor = [norm(rng, made.n_channels, made.epsilon), linear(rng, len(made.outputs), made.n_channels)]
    decoder = {"node_data_extractor": numbered("Sequential", extractor)}
    radians = np.radians(np.stack([DEGREES[one](made.n_nodes) for one in DEGREES], axis=-1)).astype(np.float32)
    trainable = module(f"{MODELS}.layers.graph.TrainableTensor")
    if made.n_trainable:
        numbers = rng.standard_normal((made.n_nodes, made.n_trainable), dtype=np.float32)
        trainable.state["_parameters"]["trainable"] = Tensor(numbers)
    attributes = module(
        f"{MODELS}.layers.graph.NamedNodesAttributes", {"trainable_tensors": mapping({data: trainable})}
    )
    attributes.state["_buffers"][f"latlons_{data}"] = Tensor(
        np.concatenate([np.sin(radians), np.cos(radians)], axis=-1)
    )
    processor = f"{MODELS}.layers.processor.PointWiseMLPProcessor"
    members = {
        "node_attributes": attributes,
        "encoder_graph_provider": mapping({data: no_edges}),
        "encoder": mapping({key: module(f"{MODELS}.layers.mapper.PointWiseForwardMapper", encoder)}),
        "latent_aggregator": module(f"{MODELS}.layers.aggregator.SumAggregator"),
        "processor_graph_provider": no_edges,
        "processor": module(processor, {"proc": blocks}, num_layers=made.n_layers),
        "decoder_graph_provider": mapping({data: no_edges}),
        "decoder": mapping({key: module(f"{MODELS}.layers.mapper.PointWiseBackwardMapper", decoder)}),
        "residual": mapping({data: module(f"{MODELS}.layers.residual.SkipConnection", step=-1)}),
        "boundings": mapping({data: numbered("ModuleList", [bounding(made, *one) for one in made.boundings])}),
    }
    if key != "0":
        del members["latent_aggregator"]
    prognostic = {
        f"_internal_{side}_idx": {made.dataset: Tensor(np.array(_within(_both(made), group), np.int32))}
        for side, group in (("input", made.inputs), ("output", made.outputs))
    }
    kind = f"{MODELS}.models.encoder_processor_decoder.AnemoiModelEncProcDec"
    n_steps = {"n_step_input": made.n_times, "n_step_output": 1}
    return module(kind, members, latent_skip=made.latent_skip, **n_steps, **prognostic)


def _both(made: Recipe) -> list[str]:
    return [one for one in made.names if one in made.prognostic]


def bounding(made: Recipe, kind: str, attributes: Mapping[str, Any]) -> Instance:
    """``attributes``: ``variables``, ``total_variable`` by name; ``norm_min_val`` as numbers; others as they are."""
    found = module(f"{MODELS}.layers.bounding.{kind}")
    for key, value in attributes.items():
        if key == "norm_min_val":
            found.state["_buffers"][key] = Tensor(np.array(value, np.float32))
        elif key in ("variables", "total_variable"):
            name = "data_index" if key == "variables" else key
            found.state[name] = Tensor(np.array([made.outputs.index(one) for one in value], np.int32))
        else:
            found.state[key] = value
    return found


def _metadata(made: Recipe) -> dict[str, Any]:
    roles = {role: list(getattr(made, role)) for role in ("prognostic", "diagnostic")}
    own = {
        "data_indices": {"input": _order(made.inputs), "output": _order(made.outputs)},
        "variable_types": {**roles, "forcing": [*made.forcing, *made.constant], "target": []},
        "timesteps": {
            "input_relative_date_indices": list(range(made.n_times)),
            "output_relative_date_indices": [made.n_times],
            "timestep": "6h",
        },
    }
    described = {one: {"units": "K", "constant_in_time": one in made.constant} for one in made.names}
    described["cos_julian_day"] = {"units": "1", "computed_forcing": True, "constant_in_time": False}
    paths = {
        name: {"path": f"inference-last/anemoi-metadata/data/{name}.numpy", "shape": [made.n_nodes], "dtype": "float64"}
        for name in DEGREES
    }
    data = made.dataset
    return {
        "version": "2.0",
        "config": {"training": {"precision": "16-mixed"}},
        "task": "forecaster",
        "run_id": "a-run",
        "dataset": {data: {"variables": made.names, "variables_metadata": described}},
        "provenance_training": {"module_versions": {"anemoi.models": {"version": made.version}}},
        "metadata_inference": {"dataset_names": [data], "task": None, data: own},
        "supporting_arrays_paths": {data: paths},
    }
