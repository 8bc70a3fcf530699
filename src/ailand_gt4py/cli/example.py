"""``ailand example``: write the example that ships, to run, score and train with."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import ClassVar

from ailand_gt4py.core.errors import InputError, reason
from ailand_gt4py.core.files import claimed, whole_file
from ailand_gt4py.core.option_types import File
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.shipped import configuration_files, example_files


class Options(CommandOptions):
    """
    Write a small example into a directory: five columns of ecLand over three years (forcing, and the states and fluxes
    to compare with), the configuration of a training that takes less than a minute, and README.md with the commands to
    try. The directory configs gets the configurations that ship, of which default_model.yaml explains every option.
    """

    program: ClassVar[str] = "ailand example"
    #: The directory is none of the files to write, which `run` holds once it is there.
    written: ClassVar[tuple[str, ...]] = ("directory",)

    directory: File = option(Path("ailand_example"), "directory to write to", positional=True, metavar="DIR")
    overwrite: bool = option(False, "replace existing files of these names")

    @property
    def paths_written(self) -> list[Path]:
        return []

    @property
    def sources(self) -> dict[Path, Path]:
        """What is copied, by the path at which it is written."""
        configurations = {Path("configs", name): path for name, path in configuration_files().items()}
        files = {Path(name): path for name, path in example_files().items()} | configurations
        return {self.directory / name: path for name, path in files.items()}


def run(options: Options) -> None:
    """Write the files, and say what to do next."""
    sources = options.sources
    for path in sources:
        if path.exists() and not options.overwrite:
            raise InputError(f"output {path} exists, expected a directory without it, or --overwrite")
    for directory in sorted({path.parent for path in sources}):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"directory {directory}: cannot be made: {reason(error)}") from error
    with claimed(list(sources), sources.values()):
        for path, source in sources.items():
            with whole_file(path, "writing the example") as temporary:
                shutil.copyfile(source, temporary)
    size = sum(path.stat().st_size for path in sources)
    print(f"wrote {len(sources)} files ({size / 1e6:.1f} MB) to {options.directory}; next:")
    if options.directory != Path():
        print(f"  cd {shlex.quote(str(options.directory))}")
    print("  ailand-column-run ecland_columns.nc --reference same --plot columns.png")
    print("README.md there has more commands.")
