"""``ailand train CONFIGURATION``: train a model and write its file."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import shlex
import sys
from pathlib import Path

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.training.configuration import Configuration, read_configuration

DESCRIPTION = """\
Train a model on ecLand runs, with PyTorch on the processor, and write it as a model file.

The configuration is a YAML file; configs/default_model.yaml documents every option and repeats the training of the
model that ships with the package. An interrupted run goes on from its last checkpoint with --resume and gives the
same numbers as one that was never interrupted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("configuration", type=Path, metavar="CONFIGURATION", help="YAML file with the options")
    parser.add_argument("--data", type=Path, metavar="DIR", help="directory of the data files (default: as configured)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("model.nc"),
        metavar="MODEL.nc",
        help="model file to write (default: %(default)s)",
    )
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="directory for checkpoint and log (default: as configured)"
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="MODEL.nc",
        help="model whose weights training begins with (default: as configured)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in that directory")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: as configured)")


def run(arguments: argparse.Namespace) -> int:
    """Train and write the model; returns the exit status.

    Raises:
        InputError: PyTorch is missing, or configuration, data, paths or checkpoint are not usable.
        RunError: the loss is not a number, or writing fails.
    """
    configuration = read_configuration(arguments.configuration)
    if arguments.start_from is not None:
        options = dataclasses.replace(configuration.run, start_from=str(arguments.start_from))
        configuration = dataclasses.replace(configuration, run=options)
    if arguments.threads is not None and arguments.threads < 1:
        raise InputError(f"option --threads is {arguments.threads}, expected at least 1")
    files = data_files(configuration, arguments.data)
    _check_output(arguments.output)
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "training needs PyTorch, which is not installed; expected: pip install 'ailand_gt4py[training]'"
        )
    from ailand_gt4py.training import session

    session.train(
        configuration,
        files,
        output=arguments.output,
        directory=arguments.directory or Path(configuration.run.directory),
        resume=arguments.resume,
        threads=arguments.threads or configuration.run.threads,
        command=shlex.join(["ailand", "train", arguments.configuration.name, *_given(arguments)]),
        code_version=ailand_gt4py.__version__,
        report=_print_line,
    )
    return 0


def data_files(configuration: Configuration, directory: Path | None) -> list[Path]:
    """Paths of the training files.

    Raises:
        InputError: the directory or a file is not there.
    """
    position = directory or Path(configuration.data.directory)
    if not position.is_dir():
        raise InputError(f"data directory {position}: no such directory; give it with --data")
    paths = [position / name for name in configuration.data.train]
    for path in paths:
        if not path.exists():
            raise InputError(
                f"data file {path}: no such file or store; option 'data.train' of the configuration asks for it"
            )
    return paths


def _check_output(path: Path) -> None:
    """Find out now, not after an hour, that the model cannot be written."""
    parent = path.resolve().parent
    if path.is_dir() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"output {path}: cannot be written, expected a file name in an existing, writable directory")


def _given(arguments: argparse.Namespace) -> list[str]:
    """Options that change the result, as typed; paths by their last part."""
    words = ["--threads", str(arguments.threads)] if arguments.threads else []
    words += ["--start-from", arguments.start_from.name] if arguments.start_from else []
    return [*words, "--output", arguments.output.name]


def _print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
