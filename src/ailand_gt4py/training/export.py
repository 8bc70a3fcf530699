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

#: Bytes hashed at a time.
HASH_BLOCK = 1 << 20


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
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(HASH_BLOCK):
            digest.update(block)
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
    return {
        **configuration.provenance,
        "data_files": "; ".join(f"{path.name} sha256:{sha256(path)}" for path in files),
        "columns": f"{n_training} columns for training, {n_validation} other columns for validation",
        "command": command,
        "code_version": f"ailand_gt4py {code_version}, PyTorch {torch.__version__}",
        "seed": str(configuration.run.seed),
        "training": (
            f"{length} in {seconds / 60.0:.0f} minutes on {configuration.run.threads} thread(s) "
            f"of a {platform.machine()} processor ({capability})"
        ),
        "normalisation_note": (
            "statistics are of the training columns; the std of met_rainf and met_snowf is of the values above zero"
        ),
    }
