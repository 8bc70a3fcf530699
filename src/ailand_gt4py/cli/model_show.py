"""``ailand model show``: what a model file holds."""

from __future__ import annotations

from typing import ClassVar

from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option


class Options(CommandOptions):
    """Print the contents of a model file: variables, units, network, provenance."""

    program: ClassVar[str] = "ailand model show"

    file: File | None = option(
        None, "model file or checkpoint (default: the model in the package)", positional=True, metavar="FILE"
    )


def run(options: Options) -> None:
    """Print the summary."""
    from ailand_gt4py.weights.checkpoints import import_checkpoint, is_checkpoint
    from ailand_gt4py.weights.model_file import read_model
    from ailand_gt4py.weights.summary import summarise

    if options.file is not None and is_checkpoint(options.file):
        print(summarise(import_checkpoint(options.file)))
    else:
        print(summarise(read_model(options.file), options.file))
