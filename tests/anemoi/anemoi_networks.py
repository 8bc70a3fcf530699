"""Point-wise networks made by anemoi-models itself, untrained, with every processor and bounding that is imported."""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anemoi.models.data_indices.collection import IndexCollection
from anemoi.models.interface import AnemoiModelInterface
from omegaconf import OmegaConf
from torch_geometric.data import HeteroData

VERSION = version("anemoi-models")
#: From 0.19 on encoders and decoders have names of their own, and a data set its part of the configuration.
HAS_NAMED_ENCODERS = tuple(map(int, VERSION.split(".")[:2])) >= (0, 19)

FORCING, CONSTANT = ["f0", "f1"], ["c0", "c1"]
PROGNOSTIC, DIAGNOSTIC = ["p0", "p1", "p2"], ["d0", "d1", "d2"]
IMPUTED = ["f0", "f1", "c0", *PROGNOSTIC]
N_NODES, N_CHANNELS = 7, 12

_LAYERS, _PREPROCESSING = "anemoi.models.layers", "anemoi.models.preprocessing"

ACTIVATIONS = [
    {"_target_": "torch.nn.GELU"},
    {"_target_": "torch.nn.SiLU"},
    {"_target_": "torch.nn.Softplus", "beta": 2.0},
    {"_target_": f"{_LAYERS}.activations.Sine", "w": 2.0, "phi": 0.1},
    {"_target_": "torch.nn.ELU", "alpha": 0.5},
    {"_target_": "torch.nn.GELU", "approximate": "tanh"},
    {"_target_": "torch.nn.LeakyReLU", "negative_slope": 0.3},
    {"_target_": f"{_LAYERS}.activations.CustomRelu", "threshold": -0.2},
]

PROCESSORS: dict[str, dict[str, Any]] = {
    "of statistics": {
        "_target_": f"{_PREPROCESSING}.imputer.InputImputer",
        "config": {"default": "none", "mean": ["f0", "p0"], "minimum": ["c0"], "maximum": ["p2"]},
    },
    "constant": {
        "_target_": f"{_PREPROCESSING}.imputer.ConstantImputer",
        "config": {"default": "none", 0.3: ["p1"], 0: ["f1"]},
    },
    "remapper": {
        "_target_": f"{_PREPROCESSING}.remapper.Remapper",
        "config": {
            "default": "none",
            "power": ["f1", "p1"],
            "boxcox": ["d0"],
            "atanh": ["p2"],
            "asinh": ["p0"],
            "affine": ["d1"],
            "displace_boundary_atoms": ["c1"],
            "log1p": ["c0"],
            "sqrt": ["d2"],
            "method_kwargs": {
                "power": {"lambd": 0.4, "clip_negative": True, "tangent_linear_above_one": True},
                "asinh": {"c": 3.0},
                "affine": {"scale": 2.0, "shift": 0.5},
                "displace_boundary_atoms": {
                    "lower_atom": 0.0,
                    "lower_target": -0.5,
                    "upper_atom": 1.0,
                    "upper_target": 1.5,
                },
                "boxcox": {"lambd": 0.3, "clip_negative": True},
            },
        },
    },
    "normaliser": {
        "_target_": f"{_PREPROCESSING}.normalizer.InputNormalizer",
        "config": {
            "default": "mean-std",
            "remap": {"d1": "d0"},
            "max": ["f1"],
            "std": ["p1"],
            "min-max": ["c0"],
            "none": ["c1"],
        },
    },
}

BOUNDINGS = [
    {"_target_": f"{_LAYERS}.bounding.{kind}Bounding", **options}
    for kind, options in (
        ("Relu", {"variables": ["p0", "d0"]}),
        ("LeakyRelu", {"variables": ["p1"]}),
        ("NormalizedRelu", {"variables": ["p2", "d1"], "min_val": [0.4, 0.3], "normalizer": ["mean-std", "std"]}),
        ("Hardtanh", {"variables": ["d0"], "min_val": -0.2, "max_val": 0.3}),
        ("LeakyHardtanh", {"variables": ["p0"], "min_val": 0.1, "max_val": 0.2}),
        ("NormalizedLeakyRelu", {"variables": ["d0"], "min_val": [0.5], "normalizer": ["mean-std"]}),
        ("Fraction", {"variables": ["d1"], "min_val": 0, "max_val": 1, "total_var": "d0"}),
        ("LeakyFraction", {"variables": ["d2"], "min_val": 0, "max_val": 1, "total_var": "p1"}),
    )
]


def _model(
    activation: dict[str, Any], ratio: int, latent_skip: bool, n_trainable: int, dropout: float
) -> dict[str, Any]:
    kernels = {
        "LayerNorm": {"_target_": "torch.nn.LayerNorm"},
        "Linear": {"_target_": "torch.nn.Linear"},
        "Activation": activation,
    }
    common = {"cpu_offload": False, "gradient_checkpointing": False, "layer_kernels": kernels}
    named = {"num_channels": N_CHANNELS} if HAS_NAMED_ENCODERS else {}
    processor = {"num_layers": 4, "num_chunks": 2, "mlp_hidden_ratio": ratio, "dropout_p": dropout}
    forward = {"_target_": f"{_LAYERS}.mapper.PointWiseForwardMapper", **common, **named}
    backward = {"_target_": f"{_LAYERS}.mapper.PointWiseBackwardMapper", **common, **named}
    residual = {"_target_": f"{_LAYERS}.residual.SkipConnection", "step": -1}
    target = "anemoi.models.models.AnemoiModelEncProcDec"
    made = {
        "num_channels": N_CHANNELS,
        "model": {"_target_": target, "hidden_nodes_name": "data", "latent_skip": latent_skip},
        "processor": {"_target_": f"{_LAYERS}.processor.PointWiseMLPProcessor", **processor, **common, **named},
    }
    if not HAS_NAMED_ENCODERS:
        numbers = {"data": n_trainable, "hidden": n_trainable}
        return made | {
            "encoder": forward, "decoder": backward, "residual": residual, "bounding": BOUNDINGS,
            "trainable_parameters": numbers,
        }  # fmt: skip
    encoder = {"source_datasets": ["data"], "dataset_fusing_strategy": "not_supported", "mapper": forward}
    decoder = {"target_datasets": ["data"], "target_node_features": ["encoded_data"], "mapper": backward}
    return made | {
        "encoders": {"0": encoder},
        "decoders": {"0": decoder},
        "latent_aggregator": {"_target_": f"{_LAYERS}.aggregator.SumAggregator"},
        "residual": {"datasets": {"data": residual}},
        "bounding": {"datasets": {"data": BOUNDINGS}},
        "node_trainable_parameters": {"data": n_trainable, "hidden": 0},
    }


def make_checkpoint(
    path: Path, seed: int, *, n_times: int, ratio: int, latent_skip: bool, n_trainable: int, dropout: float
) -> tuple[np.ndarray, np.ndarray]:
    """Write an inference checkpoint as anemoi-training does.

    Returns:
        Inputs (samples, n_times, nodes, variables) with values missing where they are imputed, and anemoi's results
        (samples, nodes, variables) for them in double precision.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    names = [str(one) for one in rng.permutation([*FORCING, *CONSTANT, *PROGNOSTIC, *DIAGNOSTIC])]
    order = list(PROCESSORS) if seed % 4 != 3 else ["normaliser", "of statistics", "constant"]
    data = {"forcing": [*FORCING, *CONSTANT], "diagnostic": DIAGNOSTIC}
    data |= {"processors": {name: PROCESSORS[name] for name in order}}
    model = _model(ACTIVATIONS[seed % len(ACTIVATIONS)], ratio, latent_skip, n_trainable, dropout)
    configuration = OmegaConf.create({"data": {"datasets": {"data": data}}, "model": model})
    graph, degrees = (
        HeteroData(),
        {"latitudes": np.linspace(-50, 60, N_NODES), "longitudes": np.linspace(2, 340, N_NODES)},
    )
    graph["data"].x = torch.tensor(np.radians(np.stack(list(degrees.values()), -1)), dtype=torch.float32)
    graph["data"].num_nodes = N_NODES
    _ = graph["data", "to", "data"]
    ranges = {"mean": (0.3, 0.6), "stdev": (0.1, 0.3), "minimum": (0.01, 0.1), "maximum": (0.9, 0.98)}
    indices = IndexCollection(configuration.data.datasets.data, {name: k for k, name in enumerate(names)})
    metadata: dict[str, Any] = {"metadata_inference": {"data": {}}}
    interface = AnemoiModelInterface(
        config=configuration, n_step_input=n_times, n_step_output=1, graph_data=graph, metadata=metadata,
        statistics={"data": {key: rng.uniform(*bounds, len(names)) for key, bounds in ranges.items()}},
        data_indices={"data": indices},
    )  # fmt: skip
    with torch.no_grad():
        for parameter in interface.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    orders = [getattr(indices.model, side).name_to_index for side in ("input", "output")]
    x = _inputs(rng, n_times, list(orders[0]))
    interface.predict_step({"data": torch.tensor(x)})
    interface.config = interface.metadata = None
    torch.save(interface, path)
    interface.eval().double()
    y = interface.predict_step({"data": torch.tensor(x).double()})["data"].numpy()[:, 0, 0]
    _add_metadata(path, names, *orders, n_times=n_times, degrees=degrees)
    return x, y


def _inputs(rng: np.random.Generator, n_times: int, names: list[str]) -> np.ndarray:
    x = rng.uniform(0.02, 0.98, size=(4, n_times, N_NODES, len(names))).astype(np.float32)
    x[..., names.index("c1")] = rng.choice([0.0, 0.5, 1.0], size=x.shape[:-1])
    for name in IMPUTED:
        x[..., names.index(name)][rng.uniform(size=x.shape[:-1]) < 0.2] = np.nan
    for name in CONSTANT:
        x[..., names.index(name)] = x[:, :1, :, names.index(name)]
    return x


def _add_metadata(
    path: Path, names: list[str], inputs: dict, outputs: dict, *, n_times: int, degrees: dict[str, np.ndarray]
) -> None:
    own = {
        "data_indices": {"input": inputs, "output": outputs},
        "variable_types": {"target": []},
        "timesteps": {
            "input_relative_date_indices": list(range(n_times)),
            "output_relative_date_indices": [n_times],
            "timestep": "6H",
        },
    }
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0] + "/anemoi-metadata"
        arrays = {
            name: {"path": f"{folder}/data/{name}.numpy", "dtype": "float64", "shape": [N_NODES]} for name in degrees
        }
        described = {name: {"units": "1", "constant_in_time": name in CONSTANT} for name in names}
        content = {
            "dataset": {"data": {"variables_metadata": described}},
            "provenance_training": {"module_versions": {"anemoi.models": {"version": VERSION}}},
            "metadata_inference": {"dataset_names": ["data"], "data": own},
            "supporting_arrays_paths": {"data": arrays},
        }
        for name, values in degrees.items():
            archive.writestr(arrays[name]["path"], values.astype("<f8").tobytes())
        archive.writestr(f"{folder}/anemoi.json", json.dumps(content))
