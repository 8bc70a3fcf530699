"""``ailand model import``: a model file from a published checkpoint."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option


class Options(CommandOptions):
    """
    Make a model file from a published PyTorch or Lightning checkpoint. Without names and statistics, which such files
    do not hold, the model lives in normalised space.
    """

    program: ClassVar[str] = "ailand model import"

    checkpoint: File = option(..., "PyTorch or Lightning checkpoint", positional=True, metavar="CHECKPOINT")
    output: File = option(..., "model file to write", "-o", metavar="MODEL.nc")
    variables: File | None = option(
        None, "take names, units, statistics, bounds and step from this model file", metavar="MODEL.nc"
    )
    licence: str = option("", "licence of the weights, kept in the model file")
    citation: str = option("", "how to cite the weights, kept in the model file")


def run(options: Options) -> None:
    """Read the checkpoint, write the model file and print its summary.

    Raises:
        InputError: the checkpoint does not fit, or there is a file of the output's name.
        RunError: writing fails.
    """
    from ailand_gt4py.weights.checkpoints import import_checkpoint
    from ailand_gt4py.weights.model_file import read_model, write_model
    from ailand_gt4py.weights.summary import summarise

    if options.output.exists():
        raise InputError(f"output {options.output} exists, expected a name that is free")
    if options.variables is None:
        model = import_checkpoint(options.checkpoint)
    else:
        like = read_model(options.variables)
        model = import_checkpoint(
            options.checkpoint,
            static=like.static,
            forcing=like.forcing,
            state=like.state,
            diagnostics=like.diagnostics,
            step_seconds=like.step_seconds,
        )
    given = {key: getattr(options, key) for key in ("licence", "citation") if getattr(options, key)}
    model = dataclasses.replace(model, provenance={**model.provenance, **given})
    write_model(model, options.output)
    print(summarise(model, options.output))
