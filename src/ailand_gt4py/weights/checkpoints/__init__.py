"""Models from checkpoints of other programs, read without PyTorch and without executing anything in them.

A kind of checkpoint is one module of this package that registers a `CheckpointKind`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ailand_gt4py.core.registry import Registry
from ailand_gt4py.weights.checkpoints.torch_archive import TorchArchive, opened
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.typical_step import check_step

#: The published files do not say their step (the prototype's is 6 h).
UNKNOWN_STEP = 0.0


class Wanted(NamedTuple):
    """What the caller says of a checkpoint's variables; see `import_checkpoint`."""

    static: Sequence[Variable | str] | None = None
    forcing: Sequence[Variable | str] | None = None
    state: Sequence[Variable | str] | None = None
    diagnostics: Sequence[Variable | str] | None = None
    step_seconds: float = UNKNOWN_STEP
    n_forcing: int | None = None


class CheckpointKind(NamedTuple):
    """How archives become models; ``recognises`` None: those that no other kind recognises.

    ``model`` gives the provenance without file name and checksum.
    """

    recognises: Callable[[TorchArchive], bool] | None
    model: Callable[[TorchArchive, Wanted], Model]


KINDS: Registry[CheckpointKind] = Registry(__name__)


def is_checkpoint(path: Path) -> bool:
    return path.suffix in {".ckpt", ".pt", ".pth"}


def read_model_or_checkpoint(path: Path | None) -> Model:
    """The model in a model file (None: the package's own) or, by the file's suffix, in a published checkpoint."""
    return import_checkpoint(path) if path is not None and is_checkpoint(path) else read_model(path)


def import_checkpoint(
    path: str | os.PathLike[str],
    *,
    static: Sequence[Variable | str] | None = None,
    forcing: Sequence[Variable | str] | None = None,
    state: Sequence[Variable | str] | None = None,
    diagnostics: Sequence[Variable | str] | None = None,
    step_seconds: float = UNKNOWN_STEP,
    n_forcing: int | None = None,
) -> Model:
    """Read a checkpoint: anemoi's of a point-wise network, or PyTorch's or Lightning's of a published network shape.

    Neither PyTorch nor anemoi is needed. An inference checkpoint of anemoi describes all of its variables; no arguments
    are accepted for it, and the model works in physical units (`weights.checkpoints.anemoi`). The rest of this text
    applies to the other checkpoints.

    Numbers of variables: states and diagnostics are the rows of the heads; ``two_branch`` shows the static inputs too.
    For the other shapes only the sum of static and forcing inputs is known. The split is taken, in this order, from
    ``forcing``, ``static``, ``n_forcing``, or 12 forcing variables as in the prototype. A ``layer_norm`` network with
    as many outputs as the prototype gets the prototype's bounds for outputs that are not described.

    Args:
        static, forcing, state, diagnostics: the variables in the network's order, as names or as `Variable` with
            units, statistics and bounds. None: ``static_0``, ``forcing_0``, ... If any variable has a
            normalisation, all four groups must be given as `Variable`, and the model works in physical units; otherwise
            it works in normalised space, and bounds are normalised values.
        step_seconds: the step, s; 0 if unknown.
        n_forcing: number of forcing variables, if neither ``forcing`` nor ``static`` gives it.

    Returns:
        The model; parameters in the file's precision (float16 and bfloat16 become float32).

    Raises:
        InputError: an unusable file, tensors that fit no published shape, classes that are not those of a point-wise
            network, or variables that do not fit the tensors.
    """
    wanted = Wanted(static, forcing, state, diagnostics, step_seconds, n_forcing)
    with opened(path) as archive:
        kinds = sorted(KINDS.items(), key=lambda kind: kind.recognises is None)
        kind = next(kind for kind in kinds if kind.recognises is None or kind.recognises(archive))
        model = kind.model(archive, wanted)
        check_step(model)
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    source = {"source": f"checkpoint {Path(path).name}", "source_sha256": digest}
    return dataclasses.replace(model, provenance={**source, **model.provenance})
