"""``ailand model import``: a model file from a published checkpoint."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option


class Options(CommandOptions):
    """
    Make a model file from a checkpoint: an inference checkpoint of anemoi with a point-wise network, which describes
    all of its variables, or a published one of PyTorch or Lightning. The latter contain no names and no statistics;
    without --variables such a model works in normalised space.
    """

    program: ClassVar[str] = "ailand model import"

    checkpoint: File = option(..., "checkpoint of anemoi, PyTorch or Lightning", positional=True, metavar="CHECKPOINT")
    output: File = option(..., "model file to write", "-o", metavar="MODEL.nc")
    variables: File | None = option(
        None, "model file to take names, units, statistics, bounds and step from", metavar="MODEL.nc"
    )
    licence: str = option("", "licence of the weights, kept in the model file")
    citation: str = option("", "how to cite the weights, kept in the model file")


def run(options: Options) -> None:
    """Read the checkpoint, write the model file and print its summary."""
    from ailand_gt4py.weights.checkpoints import import_checkpoint
    from ailand_gt4py.weights.model_file import read_model, write_model
    from ailand_gt4py.weights.summary import summarise

    if options.output.exists():
        raise InputError(f"output {options.output} exists, expected a name that is free")
    taken = {}
    if options.variables is not None:
        like = read_model(options.variables)
        taken = {name: getattr(like, name) for name in ("static", "forcing", "state", "diagnostics", "step_seconds")}
    model = import_checkpoint(options.checkpoint, **taken)
    given = {key: getattr(options, key) for key in ("licence", "citation") if getattr(options, key)}
    model = dataclasses.replace(model, provenance={**model.provenance, **given})
    write_model(model, options.output)
    del model  # what is shown is what was written
    print(summarise(read_model(options.output), options.output))
