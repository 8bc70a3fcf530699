"""``ailand model export``: a file that another program runs from a model."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option


class Options(CommandOptions):
    """
    Export a model for another program. anemoi: a point-wise network as an inference checkpoint, which anemoi-inference
    runs on the columns of --grid; needs anemoi-models (pip install 'ailand_gt4py[anemoi-export]'). onnx: the whole step
    of any model as a graph, physical units in and out, which ONNX Runtime, OpenVINO and others run on any number of
    columns; needs onnx (pip install 'ailand_gt4py[onnx-export]').
    """

    program: ClassVar[str] = "ailand model export"

    model: File = option(..., "model file or importable checkpoint", positional=True, metavar="MODEL")
    output: File = option(..., "file to write", positional=True, metavar="OUT")
    format: str = option("anemoi", "kind of file: anemoi or onnx")
    precision: Literal["float32", "float64"] = option("float32", "precision of an onnx file")
    grid: File | None = option(
        None, "file or store of the columns that an anemoi checkpoint runs on; not for a model with its own columns",
        metavar="FILE",
    )  # fmt: skip
    overwrite: bool = option(False, "replace an existing file")

    @property
    def paths_written(self) -> list[Path]:
        return [self.output]


def run(options: Options) -> None:
    """Read the model, and write the file."""
    from ailand_gt4py.training.exports import Columns, export_checkpoint, find_format
    from ailand_gt4py.weights.checkpoints import read_model_or_checkpoint

    chosen = find_format(options.format)
    if options.output.exists() and not options.overwrite:
        raise InputError(f"output {options.output} exists, expected a name that is free, or --overwrite")
    model = read_model_or_checkpoint(options.model)
    if options.grid is None and model.nodes is None and chosen.of_columns:
        raise InputError("option --grid is missing; expected a file of the columns that the checkpoint is to run on")
    columns = Columns() if options.grid is None else Columns.of_file(options.grid)
    export_checkpoint(
        model, options.output, **columns._asdict(), format=options.format, precision=options.precision,
        overwrite=options.overwrite,
    )  # fmt: skip
    print(f"wrote {options.output}: {model.parameter_count} parameters")
