"""``ailand model``: show a model file, or make one from a published checkpoint."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.weights.checkpoints.importing import import_checkpoint, is_checkpoint
from ailand_gt4py.weights.model_file import read_model, write_model
from ailand_gt4py.weights.summary import summarise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser(
        "show", help="print what a model file holds", description="Print what a model file holds."
    )
    show.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="model file or published checkpoint (default: the package's model)",
    )
    show.set_defaults(action=_show)
    convert = actions.add_parser(
        "import",
        help="make a model file from a published checkpoint",
        description="Make a model file from a published PyTorch or Lightning checkpoint. Without names and statistics, "
        "which such files do not hold, the model lives in normalised space.",
    )
    convert.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="PyTorch or Lightning checkpoint")
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL.nc", help="model file to write")
    convert.add_argument(
        "--variables",
        type=Path,
        metavar="MODEL.nc",
        help="take names, units, statistics, bounds and step from this model file",
    )
    convert.add_argument("--licence", default="", help="licence of the weights, kept in the model file")
    convert.add_argument("--citation", default="", help="how to cite the weights, kept in the model file")
    convert.set_defaults(action=_import)


def run(arguments: argparse.Namespace) -> int:
    """Run the action; returns the exit status."""
    arguments.action(arguments)
    return 0


def _show(arguments: argparse.Namespace) -> None:
    if arguments.file is not None and is_checkpoint(arguments.file):
        print(summarise(import_checkpoint(arguments.file)))
    else:
        print(summarise(read_model(arguments.file), arguments.file))


def _import(arguments: argparse.Namespace) -> None:
    if arguments.output.exists():
        raise InputError(f"output {arguments.output} exists, expected a name that is free")
    if arguments.variables is None:
        model = import_checkpoint(arguments.checkpoint)
    else:
        like = read_model(arguments.variables)
        model = import_checkpoint(
            arguments.checkpoint,
            static=like.static,
            forcing=like.forcing,
            state=like.state,
            diagnostics=like.diagnostics,
            step_seconds=like.step_seconds,
        )
    given = {key: getattr(arguments, key) for key in ("licence", "citation") if getattr(arguments, key)}
    model = dataclasses.replace(model, provenance={**model.provenance, **given})
    write_model(model, arguments.output)
    print(summarise(model, arguments.output))
