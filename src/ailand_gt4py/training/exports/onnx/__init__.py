"""A model's whole step as a graph of ONNX (https://onnx.ai), which ONNX Runtime, OpenVINO and others run.

The graph is made of the program that the component itself compiles, read from the same field operators: normalisation,
network, soil heat, frost, bounds and processing are in it as they are there, whatever the architecture.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.exports import FORMATS, Columns, ExportFormat, Precision
from ailand_gt4py.weights.model import Model

#: What a file of protocol buffers holds, bytes, less what is not weights.
LARGEST = 2**31 - 2**24


def prepare(model: Model, columns: Columns, precision: Precision) -> Callable[[Path], None]:
    """See `ExportFormat`."""
    if columns.latitudes is not None or columns.longitudes is not None:
        raise InputError("a graph of ONNX runs on any columns, expected no latitudes and longitudes")
    if model.nodes is not None:
        raise InputError(
            f"the model is tied to its own {len(model.nodes.latitudes)} columns by numbers of each, which a graph of "
            "ONNX has no place for; expected one that runs anywhere"
        )
    size = model.parameter_count * np.dtype(precision).itemsize
    if size > LARGEST:
        raise InputError(f"the model has {size} bytes of weights in {precision}, expected at most {LARGEST} for ONNX")
    if importlib.util.find_spec("onnx") is None:
        raise InputError(
            "a graph of ONNX needs onnx, which is not installed; expected it: pip install 'ailand_gt4py[onnx-export]'"
        )
    from ailand_gt4py.training.exports.onnx import step

    built = step.made(model, precision)
    return lambda path: _write(built.SerializeToString(deterministic=True), path)


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


FORMAT = FORMATS.add(ExportFormat("onnx", "a graph of ONNX, which ONNX Runtime and others run", prepare))
