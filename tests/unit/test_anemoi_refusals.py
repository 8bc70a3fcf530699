"""What an anemoi checkpoint may not hold: refused in one line that names it; and nothing in the file is run."""

from __future__ import annotations

import contextlib
import json
import os
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anemoi_files import (
    Instance,
    Named,
    Recipe,
    Tensor,
    at,
    bounding,
    configured,
    module,
    recipe,
    rewritten,
    write_checkpoint,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights import Variable, import_checkpoint

LAYERS = "anemoi.models.layers"
PREPROCESSING = "anemoi.models.preprocessing"
ACTIVATION = "torch.nn.modules.activation"

MADE = Recipe(
    imputed={"stl1": 3.0},
    remapped={"swvl1": ("asinh_converter", "inverse_asinh_converter", {"c": 2.0})},
    boundings=[
        ("ReluBounding", {"variables": ["stl1"]}),
        ("FractionBounding", {"variables": ["d2m"], "min_val": 0.0, "max_val": 1.0, "total_variable": ["t2m"]}),
    ],
    n_trainable=2,
)

Change = Callable[[Instance], None]
MetadataChange = Callable[[dict[str, Any]], None]


def refusal(tmp_path: Path, change: Change | None = None, metadata_change: MetadataChange | None = None) -> str:
    """The message of what import says of a changed checkpoint."""
    tree, metadata = recipe(MADE)
    if change is not None:
        change(tree)
    if metadata_change is not None:
        metadata_change(metadata)
    return message_of(write_checkpoint(tmp_path / "a.ckpt", tree, metadata))


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"checkpoint '{path}': ")
    assert "\n" not in message
    assert len(message) < 700
    return message


def is_class(path: str, kind: str, **attributes: Any) -> Change:
    """The submodule there is of another class."""

    def change(tree: Instance) -> None:
        one = at(tree, path)
        one.kind = kind
        one.state |= attributes

    return change


def has(path: str, **attributes: Any) -> Change:
    """The submodule there has other attributes."""
    return lambda tree: at(tree, path).state.update(attributes)


def member(path: str, name: str, value: object) -> Change:
    """The container there has another member of that name."""
    return lambda tree: at(tree, path).state["_modules"].__setitem__(name, value)


def parameter(path: str, name: str, array: np.ndarray) -> Change:
    group = "_buffers" if name.startswith("_") or name == "norm_min_val" else "_parameters"
    return lambda tree: at(tree, path).state[group].__setitem__(name, Tensor(array))


def without(*names: str) -> Change:
    """An attribute, reached by the last name, is missing."""

    def change(tree: Instance) -> None:
        del at(tree, names[0]).state[names[1]]

    return change


def test_the_checkpoint_is_read_unchanged(tmp_path: Path) -> None:
    tree, metadata = recipe(MADE)
    assert import_checkpoint(write_checkpoint(tmp_path / "a.ckpt", tree, metadata)).architecture == "point_wise"


BLOCK = "model.processor.proc.1"
CLASSES: dict[str, tuple[Change, str]] = {
    "interface": (is_class("", "anemoi.models.interface.Other"), "found 'anemoi.models.interface.Other', expected"),
    "model": (
        is_class("model", "anemoi.models.models.hierarchical.AnemoiModelEncProcDecHierarchical"),
        "AnemoiModelEncProcDecHierarchical', expected 'anemoi.models.models.encoder_processor_decoder.",
    ),
    "encoder": (
        is_class("model.encoder.0", f"{LAYERS}.mapper.GraphTransformerForwardMapper"),
        "GraphTransformerForwardMapper', expected 'anemoi.models.layers.mapper.PointWiseForwardMapper'",
    ),
    "processor": (is_class("model.processor", f"{LAYERS}.processor.GNNProcessor"), "processor.GNNProcessor'"),
    "block": (is_class(BLOCK, f"{LAYERS}.block.TransformerProcessorBlock"), "block.TransformerProcessorBlock'"),
    "decoder": (is_class("model.decoder.0", f"{LAYERS}.mapper.GNNBackwardMapper"), "mapper.GNNBackwardMapper'"),
    "linear": (is_class(f"{BLOCK}.mlp.0", "transformer_engine.pytorch.Linear"), "'transformer_engine.pytorch.Linear'"),
    "encoder's linear": (is_class("model.encoder.0.emb_nodes_src", "mine.LoRA"), "found 'mine.LoRA', expected"),
    "batch normalisation": (
        is_class(f"{BLOCK}.mlp.1", "torch.nn.modules.batchnorm.BatchNorm1d"),
        "'checkpoint.model.processor.proc.1.mlp.1': found 'torch.nn.modules.batchnorm.BatchNorm1d', expected",
    ),
    "RMS": (is_class(f"{BLOCK}.mlp.1", "torch.nn.modules.normalization.RMSNorm"), "normalization.RMSNorm'"),
    "conditional": (
        is_class(f"{BLOCK}.mlp.1", f"{LAYERS}.normalization.ConditionalLayerNorm"),
        "normalization.ConditionalLayerNorm'",
    ),
    "no norm": (
        is_class("model.decoder.0.node_data_extractor.0", "torch.nn.modules.linear.Identity"),
        "found 'torch.nn.modules.linear.Identity', expected",
    ),
    "PReLU": (is_class(f"{BLOCK}.mlp.2", f"{ACTIVATION}.PReLU"), "activation.PReLU', expected one of"),
    "SwiGLU": (is_class(f"{BLOCK}.mlp.2", f"{LAYERS}.activations.SwiGLU"), "activations.SwiGLU', expected one of"),
    "GELU": (has(f"{BLOCK}.mlp.2", approximate="fast"), "approximate': found 'fast', expected 'none' or 'tanh'"),
    "two activations": (has(f"{BLOCK}.mlp.2", approximate="tanh"), "expected one for all"),
    "two epsilons": (has(f"{BLOCK}.mlp.1", eps=1e-6), "expected one for all"),
    "no epsilon": (without(f"{BLOCK}.mlp.1", "eps"), "mlp.1.eps': found nothing, expected a number"),
    "last layer": (
        member(f"{BLOCK}.mlp", "4", module("torch.nn.modules.dropout.AlphaDropout")),
        "AlphaDropout', expected 'torch.nn.modules.dropout.Dropout'",
    ),
    "too many layers": (
        lambda tree: at(tree, f"{BLOCK}.mlp").state["_modules"].update(
            {"4": module("torch.nn.modules.dropout.Dropout"), "5": module("torch.nn.modules.dropout.Dropout")}
        ),
        "has 6 layers, expected 1 fewer",
    ),
    "number of layers": (has("model.processor", num_layers=3), "found 2 blocks, expected as many as 'num_layers' says"),
    "edges": (
        member("model.encoder_graph_provider", "data", module(f"{LAYERS}.graph_provider.StaticGraphProvider")),
        "StaticGraphProvider', expected 'anemoi.models.layers.graph_provider.NoOpGraphProvider'",
    ),
    "aggregator": (
        is_class("model.latent_aggregator", f"{LAYERS}.aggregator.AttentionAggregator"),
        "AttentionAggregator', expected",
    ),
    "two encoders": (
        member("model.encoder", "1", module(f"{LAYERS}.mapper.PointWiseForwardMapper")),
        "model.encoder' has the members 0, 1, expected one alone",
    ),
    "order of layers": (
        lambda tree: at(tree, f"{BLOCK}.mlp").state.update(
            _modules=dict(reversed(at(tree, f"{BLOCK}.mlp").state["_modules"].items()))
        ),
        "proc.1.mlp' has the members 3, 2, 1, 0, expected 0, 1, 2, ...",
    ),
    "layers of the decoder": (
        member("model.decoder.0.node_data_extractor", "2", module("torch.nn.modules.activation.Tanh")),
        "node_data_extractor' has 3 layers, expected 2",
    ),
    "inverse": (has("pre_processors.data", inverse=True), "pre_processors.data.inverse': found True, expected False"),
    "truncated": (
        is_class("model.residual.data", f"{LAYERS}.residual.TruncatedConnection"),
        "TruncatedConnection', expected 'anemoi.models.layers.residual.SkipConnection'",
    ),
    "oldest time": (has("model.residual.data", step=0), "adds its result to the input time 0, expected the newest, -1"),
    "two results": (has("model", n_step_output=2), "n_step_output': found 2, expected 1"),
    "input times": (has("", n_step_input=3), "n_step_input': found 3, expected 2"),
    "hooks": (has(f"{BLOCK}.mlp.0", _forward_pre_hooks={1: Named("mine.hook")}), "has '_forward_pre_hooks', which may"),
    "forward": (has("model.processor", forward=Named("os.system")), "model.processor' has 'forward', which may change"),
    "latent skip": (has("model", latent_skip=1), "latent_skip': found 1, expected True or False"),
    "CopyImputer": (
        is_class("pre_processors.data.processors.imputer", f"{PREPROCESSING}.imputer.CopyImputer"),
        "the processor 'anemoi.models.preprocessing.imputer.CopyImputer', expected one of InputNormalizer",
    ),
    "post-processor": (
        is_class(
            "pre_processors.data.processors.remapper", f"{PREPROCESSING}.postprocessor.NormalizedReluPostprocessor"
        ),
        "NormalizedReluPostprocessor', expected one of",
    ),
    "tendencies": (
        member("pre_processors_tendencies", "data", module(f"{PREPROCESSING}.StepwiseProcessors")),
        "pre_processors_tendencies': found processors of tendencies, expected none",
    ),
    "stepwise": (is_class("pre_processors.data", f"{PREPROCESSING}.StepwiseProcessors"), "StepwiseProcessors', expect"),
    "other post-processors": (
        member("post_processors.data.processors", "remapper", module(f"{PREPROCESSING}.remapper.Remapper")),
        "the post-processors are not the pre-processors in reverse order",
    ),
    "order of post-processors": (
        lambda tree: at(tree, "post_processors.data.processors").state.update(
            _modules=dict(at(tree, "pre_processors.data.processors").state["_modules"])
        ),
        "the post-processors are not the pre-processors in reverse order",
    ),
    "bounding": (
        member("model.boundings.data", "0", module("mine.SoftBounding")),
        "found the bounding 'mine.SoftBounding', expected one of ReluBounding",
    ),
    "boundings of another": (
        member("model.boundings", "other", module("torch.nn.modules.container.ModuleList")),
        "model.boundings' has the members data, other, expected data alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASSES)
def test_what_is_no_point_wise_network_is_refused_by_its_class(tmp_path: Path, case: str) -> None:
    change, expected = CLASSES[case]
    assert expected in refusal(tmp_path, change)


REMAPPER, NORMALISER = (f"pre_processors.data.processors.{one}" for one in ("remapper", "normalizer"))
SWVL1 = MADE.names.index("swvl1")


def replaced(path: str, attribute: str, position: int, value: object) -> Change:
    """One item of a list."""

    def change(tree: Instance) -> None:
        at(tree, path).state[attribute][position] = value

    return change


def of_bounding(**attributes: Any) -> Change:
    """The last bounding has other indices."""
    given = {"variables": ["d2m"], "total_variable": ["t2m"], "min_val": 0.0, "max_val": 1.0} | attributes
    return member("model.boundings.data", "1", bounding(MADE, "FractionBounding", given))


VALUES: dict[str, tuple[Change, str]] = {
    "function": (
        replaced(REMAPPER, "remappers", SWVL1, Named("os.system")),
        f"remappers[{SWVL1}]': found 'os.system', expected a function of anemoi.models.preprocessing.mappings",
    ),
    "unknown mapping": (
        replaced(REMAPPER, "remappers", SWVL1, Named(f"{PREPROCESSING}.mappings.cube")),
        "found the functions 'cube' and 'inverse_asinh_converter', expected one of noop, log1p_converter",
    ),
    "argument": (replaced(REMAPPER, "remapper_kwargs", SWVL1, {"k": 1.0}), "found the argument 'k', expected only"),
    "no number": (replaced(REMAPPER, "remapper_kwargs", SWVL1, {"c": "2"}), "found '2' as 'c', expected a number"),
    "zero": (replaced(REMAPPER, "remapper_kwargs", SWVL1, {"c": 0.0}), "'asinh' has the parameters (0.0,), expected"),
    "arguments": (replaced(REMAPPER, "remapper_kwargs", SWVL1, [1]), "expected a dictionary"),
    "fewer": (has(REMAPPER, backmappers=[]), "0 backmappers, 9 remapper_kwargs"),
    "input alone": (
        replaced(REMAPPER, "index_inference_output", SWVL1, None),
        "variable 'swvl1' is processed in one way as input and in another as output",
    ),
    "index": (replaced(REMAPPER, "index_inference_input", SWVL1, 77), "found the index 77, expected less than 5"),
    "no index": (replaced(REMAPPER, "index_inference_input", SWVL1, -1), "expected a list of indices"),
    "replacement": (has("pre_processors.data.processors.imputer", replacement=[]), "found 0 replacements, expected 1"),
    "results of the imputer": (
        has("pre_processors.data.processors.imputer", index_inference_output=[None]),
        "index_inference_output': found 1 items, expected where the imputed inputs are among the outputs",
    ),
    "no gain": (has(f"{BLOCK}.mlp.1", _parameters={}), "mlp.1': found no 'weight', expected a tensor or None"),
    "no replacement": (has("pre_processors.data.processors.imputer", replacement=["a"]), "expected a list of numbers"),
    "NaN as replacement": (has("pre_processors.data.processors.imputer", replacement=[np.nan]), "a list of numbers"),
    "NaN in the normaliser": (
        parameter(NORMALISER, "_norm_mul", np.full(9, np.nan, np.float32)),
        "processing step 'affine' has the parameters (nan,",
    ),
    "zero in the normaliser": (
        parameter(NORMALISER, "_norm_mul", np.zeros(9, np.float32)),
        "expected multiply other than 0",
    ),
    "size of the normaliser": (
        parameter(NORMALISER, "_norm_mul", np.ones(8, np.float32)),
        "found (8,) multipliers and (9,) offsets, expected (9,) of each",
    ),
    "indices of the normaliser": (
        parameter(NORMALISER, "_input_idx", np.arange(5, dtype=np.int32)),
        "_input_idx': found indices of other variables than those of the network",
    ),
    "total": (of_bounding(total_variable=[]), "total_variable': found 0 variables, expected 1"),
    "total twice": (of_bounding(variables=["t2m"]), "found the total 't2m', expected another result"),
    "variable twice": (of_bounding(variables=["d2m", "d2m"]), "expected the names of results, each once"),
    "bounds": (of_bounding(min_val=2.0), "'d2m' has the bounds 2.0 to 1.0, expected"),
    "no bound": (of_bounding(max_val=None), "max_val': found None, expected a number"),
    "index of a bounding": (
        lambda tree: at(tree, "model.boundings.data.0").state.update(data_index=Tensor(np.array([5], np.int32))),
        "data_index': expected indices of the 5 outputs",
    ),
    "NaN weights": (
        parameter("model.processor.proc.0.mlp.0", "weight", np.full((12, 6), np.nan, np.float32)),
        "parameter 'processor.0.weight' holds 72 values that are not finite",
    ),
    "integer weights": (
        parameter("model.processor.proc.0.mlp.0", "weight", np.ones((12, 6), np.int32)),
        "parameter 'processor.0.weight' is of type int32, expected float32 or float64",
    ),
    "no weights": (lambda tree: at(tree, "model.encoder.0.emb_nodes_src").state["_parameters"].clear(), "expected a t"),
    "huge weights": (
        parameter("model.decoder.0.node_data_extractor.1", "weight", np.full((5, 6), 1e30, np.float32)),
        "parameters or bounds are no trained network's",
    ),
    "columns": (
        parameter("model.encoder.0.emb_nodes_src", "weight", np.ones((6, 13), np.float32)),
        "the network's 'encoder.0.weight' has the shape (6, 13), expected 16 inputs",
    ),
    "rows": (
        lambda tree: at(tree, "model.decoder.0.node_data_extractor.1").state.update(
            _parameters={"weight": Tensor(np.ones((4, 6), np.float32)), "bias": Tensor(np.ones(4, np.float32))}
        ),
        "'decoder.0.weight' has the shape (4, 6), expected 5 outputs",
    ),
    "width": (
        parameter("model.processor.proc.0.mlp.3", "weight", np.ones((6, 11), np.float32)),
        "parameter 'processor.0.weight_out' has the shape (6, 11), expected (6, 12)",
    ),
    "bias": (
        parameter("model.processor.proc.0.mlp.0", "bias", np.ones(3, np.float32)),
        "proc.0.mlp.0.bias': found the shape (3,), expected (12,)",
    ),
    "normalised shape": (has("model.processor.proc.0.mlp.1", normalized_shape=(4,)), "_shape': found 1 items, ex"),
    "coordinates": (
        lambda tree: at(tree, "model.node_attributes").state["_buffers"].update(
            latlons_data=Tensor(np.ones((5, 3), np.float32))
        ),
        "the coordinates of the nodes have the shape (5, 3), expected (nodes, 4)",
    ),
    "other coordinates": (
        lambda tree: at(tree, "model.node_attributes").state["_buffers"].update(
            latlons_data=Tensor(np.ones((5, 4), np.float32))
        ),
        "the latitudes in the archive are 5 others than those of the network's 5 nodes",
    ),
    "prognostic": (
        lambda tree: tree.state["_modules"]["model"].state.update(
            _internal_input_idx={"data": Tensor(np.array([0, 1], np.int32))}
        ),
        "_internal_input_idx': expected the variables that are both input and output",
    ),
    "statistics": (has("", statistics={"data": {}}), "statistics': found no 'mean' of the 9 variables"),
    "data sets": (has("", data_indices={"data": 1, "sea": 2}), "is of the data sets 'data', 'sea', expected"),
    "indices": (has("", data_indices={"data": 1}), "data_indices': found 1, expected"),
    "metadata": (has("", n_step_input="two"), "n_step_input': found 'two', expected a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, case: str) -> None:
    change, expected = VALUES[case]
    assert expected in refusal(tmp_path, change)


def entry(path: str, value: object) -> MetadataChange:
    """Another value at a dotted path; None: none."""

    def change(metadata: dict[str, Any]) -> None:
        *groups, last = path.split("/")
        for group in groups:
            metadata = metadata[group]
        metadata.pop(last) if value is None else metadata.__setitem__(last, value)

    return change


INFERENCE = "metadata_inference/data"
DESCRIBED = "dataset/data/variables_metadata"
METADATA: dict[str, tuple[MetadataChange, str]] = {
    "older": (
        entry("provenance_training/module_versions/anemoi.models", "0.13.1"),
        "found a checkpoint of anemoi-models '0.13.1', expected versions 0.14 to 0.19",
    ),
    "newer": (entry("provenance_training/module_versions/anemoi.models/version", "1.2"), "of anemoi-models '1.2'"),
    "no version": (entry("provenance_training/module_versions/anemoi.models/version", 7), "anemoi-models 7, expected"),
    "inference": (entry("metadata_inference", None), "metadata_inference': found nothing, expected a dictionary"),
    "two data sets": (entry("metadata_inference/dataset_names", ["data", "sea"]), "found 2 data sets, expected 1"),
    "task": (entry("task", "autoencoder"), "task': found 'autoencoder', expected 'forecaster'"),
    "target": (entry(f"{INFERENCE}/variable_types/target", ["stl1"]), "found target variables, expected none"),
    "types": (entry(f"{INFERENCE}/variable_types", None), "variable_types': found nothing, expected a dictionary"),
    "inputs": (
        entry(f"{INFERENCE}/data_indices/input", {name: k for k, name in enumerate(sorted(MADE.inputs))}),
        "the inputs of the network are others than the metadata say, expected the same in order",
    ),
    "order": (entry(f"{INFERENCE}/data_indices/output", {"a": 1, "b": 1}), "expected names and their indices 0, 1, 2"),
    "two times": (
        entry(f"{INFERENCE}/timesteps/output_relative_date_indices", [2, 3]),
        "found inputs at the steps 0, 1 and outputs at 2, 3, expected inputs at 0, 1, ... and one output a step after",
    ),
    "gap": (entry(f"{INFERENCE}/timesteps/input_relative_date_indices", [0, 2]), "inputs at the steps 0, 2 and"),
    "input times": (
        lambda metadata: metadata["metadata_inference"]["data"]["timesteps"].update(
            input_relative_date_indices=[0], output_relative_date_indices=[1]
        ),
        "n_step_input': found 2, expected 1",
    ),
    "step": (entry(f"{INFERENCE}/timesteps/timestep", "6 hours"), "found '6 hours', expected a time such as '6h'"),
    "no step": (entry(f"{INFERENCE}/timesteps/timestep", "0h"), "found '0h', expected a time such as '6h'"),
    "long step": (entry(f"{INFERENCE}/timesteps/timestep", "99999d"), "the model's step is 8639913600.0 s, expected"),
    "units": (entry(f"{DESCRIBED}/stl1/units", 1), "stl1.units': found 1, expected a short text"),
    "variable": (entry(f"{DESCRIBED}/stl1", None), "stl1': found nothing, expected a dictionary"),
    "constant": (entry(f"{DESCRIBED}/stl1/constant_in_time", 1), "constant_in_time': found 1, expected true or false"),
    "dtype": (entry("supporting_arrays_paths/data/latitudes/dtype", "int32"), "found 'int32', expected float64 or"),
    "array": (
        lambda metadata: metadata["supporting_arrays_paths"]["data"]["latitudes"].update(
            path=metadata["supporting_arrays_paths"]["data"]["longitudes"]["path"]
        ),
        "the longitudes in the archive are 5 others than those of the network's 5 nodes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", METADATA)
def test_metadata_that_do_not_fit_are_refused(tmp_path: Path, case: str) -> None:
    change, expected = METADATA[case]
    assert expected in refusal(tmp_path, metadata_change=change)


def test_an_archive_without_usable_metadata_is_refused(tmp_path: Path) -> None:
    tree, metadata = recipe(MADE)
    path = tmp_path / "a.ckpt"
    assert "no member 'anemoi.json' with anemoi's metadata" in message_of(write_checkpoint(path, tree, None))
    for content, expected in (
        (b"{", "anemoi.json' is no JSON"),
        (b"\xff\xfe", "anemoi.json' is no JSON"),
        (b"[" * 10_000_000, "anemoi.json' is no JSON"),
        (b"9" * 10_000, "anemoi.json' is no JSON"),
        (b"[]", "found 0 items, expected a dictionary"),
        (b" " * (2**24 + 1), "anemoi.json' has 16777217 bytes, expected at most"),
    ):
        message = message_of(write_checkpoint(path, tree, content))
        assert expected in message, message
    write_checkpoint(path, tree, metadata)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("inference-last/anemoi-metadata/ai-models.json", "{}")
    assert "holds 2 members 'anemoi.json' or 'ai-models.json', expected 1" in message_of(path)


@pytest.mark.parametrize("version", ["0.14.0", "0.15.1", None])
def test_blocks_that_had_no_effect_are_refused(tmp_path: Path, version: str | None) -> None:
    """Before 0.16, anemoi's decoder took what the encoder gave where there was no latent skip."""
    path = tmp_path / "a.ckpt"
    for latent_skip in (True, False):
        tree, metadata = recipe(Recipe(version=version or "0.14.0", latent_skip=latent_skip))
        if version is None:
            del metadata["provenance_training"]
        write_checkpoint(path, tree, metadata)
        if latent_skip:
            assert import_checkpoint(path).architecture == "point_wise"
        else:
            assert "found a network without latent skip, of a version of anemoi-models before 0.16" in message_of(path)
    tree, metadata = recipe(Recipe(version="0.16.0", latent_skip=False))
    assert not import_checkpoint(write_checkpoint(path, tree, metadata)).point_wise.latent_skip  # type: ignore[union-attr]


def test_a_state_of_training_is_refused_as_such(tmp_path: Path) -> None:
    tensors = {"model.model.node_attributes.latlons_data": Tensor(np.ones((5, 4), np.float32))}
    path = write_checkpoint(tmp_path / "last.ckpt", {"state_dict": tensors, "epoch": 3}, None)
    assert "found a state of training, expected an inference checkpoint" in message_of(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("static", ["a"]), ("state", [Variable("a", "K")]), ("step_seconds", 3600.0), ("n_forcing", 12), ("forcing", [])],
)
def test_what_the_checkpoint_says_itself_is_not_given(tmp_path: Path, name: str, value: Any) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", *recipe(MADE))
    with pytest.raises(InputError, match=f"'{name}' is given, expected nothing: a checkpoint of anemoi contains it"):
        import_checkpoint(path, **{name: value})


@pytest.mark.parametrize("odd", ["stl\n1", "\x1b[31m", "stl1" * 200, "\ud800"])
def test_names_that_cannot_be_printed_in_a_line_are_refused(tmp_path: Path, odd: str) -> None:
    for options in ({"prognostic": (odd,)}, {"dataset": odd}, {"processors": ("normalizer", odd)}):
        tree, metadata = recipe(Recipe(**options))  # type: ignore[arg-type]
        path = write_checkpoint(tmp_path / "a.ckpt", tree, metadata)
        assert "expected" in message_of(path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read("inference-last/data.pkl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a\nb/data.pkl", content)
    assert r"'a\nb/data.pkl' is compressed" in message_of(path)


def test_names_that_collide_are_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a.ckpt", *recipe(Recipe(diagnostic=("stl1_before",))))
    assert "model variables are named more than once: stl1_before" in message_of(path)


# ---------------------------------------------------------------------------------------------------------- hostility


class Attack:
    """Runs a command while a file is read by who runs what is in it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


PLACES: dict[str, Callable[[Instance, object], None]] = {
    "attribute of no use": lambda tree, attack: tree.state.update(callbacks=[attack]),
    "forward": lambda tree, attack: tree.state.update(forward=attack),
    "epsilon": lambda tree, attack: at(tree, f"{BLOCK}.mlp.1").state.update(eps=attack),
    "argument": lambda tree, attack: at(tree, REMAPPER).state["remapper_kwargs"].__setitem__(SWVL1, {"c": attack}),
    "weight": lambda tree, attack: at(tree, f"{BLOCK}.mlp.0").state["_parameters"].update(weight=attack),
    "layer": lambda tree, attack: at(tree, f"{BLOCK}.mlp").state["_modules"].update({"2": attack}),
    "statistics": lambda tree, attack: tree.state.update(statistics={"data": {"mean": attack}}),
}


@pytest.mark.parametrize("place", PLACES)
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, place: str) -> None:
    marker = tmp_path / "marker"
    tree, metadata = recipe(MADE)
    PLACES[place](tree, Attack(f"touch '{marker}'"))
    path = write_checkpoint(tmp_path / "a.ckpt", tree, metadata)
    if place in ("attribute of no use", "forward"):
        import_checkpoint(path)
    else:
        assert "system'" in message_of(path) or place == "statistics"
    assert not marker.exists()


def test_endless_values_are_not_followed(tmp_path: Path) -> None:
    """A list in itself, and lists of lists that would be larger than any memory."""
    endless = configured({"c": 1.0})
    endless.state["_content"]["c"] = endless
    own = configured(1.0)
    own.state["_val"] = own
    swollen: list[Any] = [0.5]
    for _ in range(60):
        swollen = [swollen, swollen]
    begin = time.process_time()
    for value in (endless, own, {"c": swollen}, swollen):
        message = refusal(tmp_path, replaced(REMAPPER, "remapper_kwargs", SWVL1, value))
        assert "expected a number" in message or "expected a dictionary" in message
        refusal(tmp_path, has(f"{BLOCK}.mlp.1", eps=value))
        refusal(tmp_path, has(f"{BLOCK}.mlp.1", normalized_shape=value))
        refusal(tmp_path, has("pre_processors.data.processors.imputer", replacement=value))
        refusal(tmp_path, lambda tree, value=value: tree.state["_modules"].update(model=value))
    assert time.process_time() - begin < 10.0


def test_sizes_that_are_only_claimed_take_no_memory(tmp_path: Path) -> None:
    """Neither a vector that is absent nor a member's size makes an array before there are so many bytes."""

    def claims(tree: Instance) -> None:
        layer = at(tree, f"{BLOCK}.mlp.0")
        layer.state["_parameters"] = {"weight": Tensor(np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1, 1)))}
        at(tree, f"{BLOCK}.mlp.1").state |= {"normalized_shape": (2**39,)}
        at(tree, f"{BLOCK}.mlp.1").state["_parameters"] = {}

    tracemalloc.start()
    refusal(tmp_path, claims)
    tree, metadata = recipe(MADE)
    path = write_checkpoint(tmp_path / "a.ckpt", tree, metadata)
    content = path.read_bytes()
    name = b"inference-last/data/0"
    entry_at = content.rindex(name) - 46
    claimed = content[: entry_at + 24] + (2**31).to_bytes(4, "little") + content[entry_at + 28 :]
    path.write_bytes(claimed)
    assert "expected" in message_of(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_a_damaged_pickle_never_does_more_than_refuse(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]]
) -> None:
    path = write_checkpoint(tmp_path_factory.mktemp("damaged") / "a.ckpt", *recipe(MADE))
    with zipfile.ZipFile(path) as archive:
        program = bytearray(archive.read("inference-last/data.pkl"))
    for position, replacement in changes:
        start = position % len(program)
        program[start : start + len(replacement)] = replacement
    rewritten(path, {"data.pkl": bytes(program)})
    with contextlib.suppress(InputError):
        import_checkpoint(path)


def holders(tree: object) -> list[tuple[Any, Any]]:
    """Every dictionary or list in a tree, each with a key of it."""
    found, seen, left = [], set(), [tree]
    while left:
        one = left.pop()
        one = one.state if isinstance(one, Instance) else one
        if id(one) in seen or not isinstance(one, (dict, list)):
            continue
        seen.add(id(one))
        keys = list(one) if isinstance(one, dict) else list(range(len(one)))
        found += [(one, key) for key in keys]
        left += [one[key] for key in keys]
    return found


def odd_values() -> list[Any]:
    return [
        None, True, -1, 0, 2**70, 10**5000, 1e308, np.nan, -np.inf, "", "x" * 600, "\ud800", "a\nb", b"bytes", [], {},
        (), [None], [[1.0]], {"a": 1}, {1: "a"}, configured({"c": "?"}), configured([1.0]), configured(None),
        Named("os.system"), Instance("mine.Thing", {}), Instance("omegaconf.nodes.AnyNode", {"_val": Named("a.b")}),
        Instance("numpy._core.multiarray._reconstruct", {}), Tensor(np.zeros((0,), np.float32)),
        Tensor(np.zeros((2, 3), np.int64)), Tensor(np.full(5, np.nan, np.float32)), np.arange(3), np.float32(2.0),
        np.array(["a"]), Tensor(np.array([True])),
    ]  # fmt: skip


def import_if_it_can_be_had(path: Path) -> None:
    """Whatever is in it: a refusal is one line."""
    message = ""
    try:
        import_checkpoint(path)
    except InputError as refused:
        message = str(refused)
    assert "\n" not in message
    assert len(message) < 2000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=2))
def test_any_value_may_be_odd(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]) -> None:
    """An attribute, item, submodule or tensor of another type or size: refused in one line, or of no use."""
    tree, metadata = recipe(MADE)
    values = odd_values()
    for position, value in changes:
        places = holders(tree)
        holder, key = places[position % len(places)]
        holder[key] = values[value % len(values)]
    path = write_checkpoint(tmp_path_factory.mktemp("odd") / "a.ckpt", tree, metadata)
    import_if_it_can_be_had(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    position=st.integers(0, 10**6),
    value=st.sampled_from([None, True, -1, 10**300, 1.5, "", "6h", "\ud800\n", [], [1], {}, {"a": 0}]),
)
def test_any_entry_of_the_metadata_may_be_odd(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: object
) -> None:
    tree, metadata = recipe(MADE)
    path = write_checkpoint(tmp_path_factory.mktemp("odd") / "a.ckpt", tree, metadata)
    places = holders(metadata)
    holder, key = places[position % len(places)]
    holder[key] = value
    rewritten(path, {"anemoi-metadata/anemoi.json": json.dumps(metadata).encode()})
    import_if_it_can_be_had(path)
