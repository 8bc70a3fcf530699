"""From a trained network to a model file's contents."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.training.network import LayerNormNetwork
from ailand_gt4py.training.scaling import Scaling
from ailand_gt4py.weights.model import Model


def to_model(
    network: LayerNormNetwork,
    scaling: Scaling,
    step_seconds: float,
    provenance: Mapping[str, str],
    dtype: type[np.floating] = np.float32,
) -> Model:
    """The model in physical units, the increments' scale folded into the last layer of the trunk.

    Args:
        network: trained.
        scaling: variables and statistics that it was trained with.
        step_seconds: length of a window.
        provenance: texts by key.
        dtype: of the parameters; float32 is what they were trained in.
    """
    return Model(
        architecture="layer_norm",
        static=scaling.static,
        forcing=scaling.forcing,
        state=scaling.state,
        diagnostics=scaling.diagnostics,
        parameters={name: array.astype(dtype) for name, array in network.exported_parameters().items()},
        step_seconds=step_seconds,
        provenance=dict(provenance),
    )


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; of a directory, of its files' names and bytes, in the order of names."""
    digest = hashlib.sha256()
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    for file in files:
        if file != path:
            digest.update(f"{file.relative_to(path).as_posix()}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def describe_training(
    configuration: Configuration,
    files: Sequence[Path],
    n_training: int,
    n_validation: int,
    iterations: tuple[int, int],
    seconds: float,
    command: str,
    code_version: str,
) -> dict[str, str]:
    """The provenance of a trained model: the configuration's own texts and what the run itself knows.

    Args:
        files: read for training.
        n_training, n_validation: numbers of columns.
        iterations: the one exported and that of the run's end.
        seconds: of the whole run, resumed parts included.
        command: as typed.
        code_version: of this package.
    """
    last = f"{iterations[1]} iterations"
    length = (
        f"iteration {iterations[0]} of {iterations[1]}, the best on the validation columns," if n_validation else last
    )
    capability = torch.backends.cpu.get_cpu_capability()
    device = (
        f"{torch.get_num_threads()} thread(s) of a {platform.machine()} processor ({capability})"
        if configuration.run.device == "cpu"
        else f"one {torch.cuda.get_device_name()}"
    )
    groups = configuration.variable_set.groups.values()
    wet = [variable.name for group in groups for variable in group if variable.wet_only]
    return {
        **configuration.provenance,
        "data_files": "; ".join(f"{path.name} sha256:{sha256(path)}" for path in files),
        "columns": f"{n_training} columns for training, {n_validation} other columns for validation",
        "command": command,
        "code_version": f"ailand_gt4py {code_version}, PyTorch {torch.__version__}",
        "seed": str(configuration.run.seed),
        "training": (f"{length} in {seconds / 60.0:.0f} minutes on {device}"),
        "normalisation_note": (
            f"statistics are of the training columns; those of {', '.join(wet)} are of the values above zero"
            if wet
            else "statistics are of the training columns"
        ),
    }
