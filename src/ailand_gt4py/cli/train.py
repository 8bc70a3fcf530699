"""``ailand train CONFIGURATION``: train a model and write its file."""

from __future__ import annotations

import importlib.util
import logging
import os
import shlex
from pathlib import Path
from typing import ClassVar

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.shipped import configuration_path
from ailand_gt4py.training.configuration import Configuration

logger = logging.getLogger(__name__)


class Options(Configuration, CommandOptions):
    """
    Train a model on ecLand runs with PyTorch and write it as a model file.

    The configuration is a YAML file, or the name of one that ships with the package. Of these, default_model documents
    every option and repeats the training of the shipped model; `ailand example` writes them to read and change. With
    --resume an interrupted run continues from its last checkpoint and gives the same results as an uninterrupted one.
    """

    program: ClassVar[str] = "ailand train"
    config: ClassVar[str] = "CONFIGURATION"
    config_meaning: ClassVar[str] = (
        "YAML file with any of these options, or one that ships: "
        "default_model, default_model_second_part, hourly_model, point_wise"
    )

    output: File = option(Path("model.nc"), "model file to write", "-o", metavar="MODEL.nc")
    resume: bool = option(False, "continue from the checkpoint in --directory")
    quiet: bool = option(False, "print errors only")

    @property
    def paths_read(self) -> list[Path]:
        points = self.data.exclude_points
        own = [Path(self.run.start_from)] if self.run.start_from else []
        own += [configuration_path(points)] if points else []
        beside = self.data.observation_files(Path(self.data.directory)).values()
        return [*super().paths_read, *own, *data_files(self), *(path for paths in beside for path in paths)]


def run(options: Options) -> None:
    """Train and write the model."""
    files = data_files(options)
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "training needs PyTorch, which is not installed; expected: pip install 'ailand_gt4py[training]'"
        )
    from ailand_gt4py.training import loop, session

    checkpoint = Path(options.run.directory) / loop.CHECKPOINT
    if options.resume and not checkpoint.exists():
        raise InputError(f"checkpoint {checkpoint}: no such file; start without --resume")
    session.train(
        options.part(Configuration),
        files,
        output=options.output,
        resume=options.resume,
        command=_command(options),
        report=lambda text: logger.info("%s", text),
        quiet=options.quiet,
    )


def data_files(configuration: Configuration) -> list[Path]:
    """Paths of the training files, which must be there, each once."""
    directory = Path(configuration.data.directory)
    if not directory.is_dir():
        raise InputError(f"data directory {directory}: no such directory; give it with --data")
    paths = [directory / name for name in configuration.data.train]
    known: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise InputError(
                f"data file {path}: no such file or store; option 'data.train' of the configuration asks for it"
            )
        earlier = known.setdefault(os.path.realpath(path), path)
        if earlier is not path:  # its columns would be learnt from and validate
            raise InputError(
                f"option 'data.train': found {path}, the same as {earlier}, expected each file once "
                "('data.frequency' draws a file's windows more often)"
            )
    return paths


def _command(options: Options) -> str:
    """The command with what changes the result, as typed; paths by their last part."""
    given = options.given
    words = ["ailand", "train", Path(given["CONFIGURATION"]).name]
    for path, flag in (("run.threads", "--threads"), ("run.start_from", "--start-from")):
        if path in given:
            words += [flag, Path(given[path]).name]
    for change in given.get("set", ()):
        words += ["--set", change]
    return shlex.join([*words, "--output", options.output.name])
