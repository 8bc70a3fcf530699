"""Inference checkpoints of anemoi, made with anemoi-models' own classes (Apache-2.0, github.com/ecmwf/anemoi-core)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.sources import check_names
from ailand_gt4py.training.exports import FORMATS, Columns, ExportFormat, Precision
from ailand_gt4py.weights.checkpoints.anemoi.as_anemoi import as_anemoi
from ailand_gt4py.weights.model import Model

#: Of anemoi-models, whose configuration is another one in each.
VERSION = "0.19"


def prepare(model: Model, columns: Columns, precision: Precision) -> Callable[[Path], None]:
    """See `ExportFormat`."""
    if precision != "float32":
        raise InputError(f"a checkpoint of anemoi is in single precision, found '{precision}', expected 'float32'")
    check_names(model)
    found = as_anemoi(model, *columns)
    _require_packages()
    from ailand_gt4py.training.exports.anemoi import interface, metadata

    def write(path: Path) -> None:
        made = interface.made(found)
        interface.save(made, path)
        metadata.add(path, found, made)

    return write


def _require_packages() -> None:
    how = "expected it: pip install 'ailand_gt4py[anemoi-export]'"
    for package in ("torch", "anemoi-models", "anemoi-utils"):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise InputError(f"a checkpoint of anemoi needs {package}, which is not installed; {how}") from None
        if package == "anemoi-models" and not f"{version}.".startswith(f"{VERSION}."):
            raise InputError(f"a checkpoint of anemoi needs anemoi-models {VERSION}, found {version}; {how}")


FORMAT = FORMATS.add(ExportFormat("anemoi", "an inference checkpoint, which anemoi-inference runs", prepare, True))
