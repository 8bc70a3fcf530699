"""The files that a run writes: checked before anything is computed, under temporary names until they are complete."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from pathlib import Path

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import check_target
from ailand_gt4py.driver.options import RunOptions
from ailand_gt4py.io.writers import remove


@dataclasses.dataclass(frozen=True)
class Targets:
    """Names of the files of a run.

    Attributes:
        output, restart: what is left at the end.
        plot: the figure, if there is one.
        partial: the output while it is written. checkpoint: where an interrupted run continues.
    """

    output: Path
    restart: Path
    plot: Path | None
    partial: Path
    checkpoint: Path

    @classmethod
    def of(cls, options: RunOptions) -> Targets:
        """The files of a run with these options."""
        output = options.output_path
        return cls(
            output=output,
            restart=options.restart_out_path,
            plot=options.plot,
            partial=output.with_name(f"{output.name}.partial"),
            checkpoint=output.with_name(f"{output.name}.resume"),
        )

    def check(self, options: RunOptions) -> bool:
        """Check that all files can be written.

        Returns:
            Whether the run continues an interrupted one.

        Raises:
            InputError: naming the file, what is wrong with it and what was expected.
        """
        inputs = [options.forcing, options.model, options.restart, options.reference_path]
        written = [path for path in (self.output, self.restart, self.plot) if path is not None]
        if len({os.path.realpath(path) for path in written}) < len(written):
            raise InputError(
                f"{written[-1]}: is to be written twice, expected different names for output, restart and plot"
            )
        for path in written:
            check_target(path, inputs)
        is_resumed = options.resume and self.checkpoint.is_file() and self.partial.exists()
        _check_store(self.output)
        if options.resume and self.output.exists() and not self.partial.exists() and not options.overwrite:
            raise InputError(f"{self.output}: is complete, nothing to resume; expected --overwrite to run again")
        if self.partial.exists() and not (options.resume or options.overwrite):
            raise InputError(
                f"{self.partial}: an unfinished run; expected --resume to continue it, or --overwrite to start anew"
            )
        # The restart file and the figure of a run that is resumed at its very end may be its own.
        for path in written[:1] if is_resumed else written:
            if path.exists() and not options.overwrite:
                raise InputError(f"{path}: exists; expected a new name, or --overwrite")
        return is_resumed

    def remove_partial(self) -> None:
        """Remove what an unfinished run has left."""
        remove(self.checkpoint)
        remove(self.partial)


def _check_store(output: Path) -> None:
    """Never replace a directory that is no zarr store; and write a store only if we can."""
    if output.suffix.lower() != ".zarr":
        return
    # anemoi-datasets holds zarr at version 2: stores are read with it, not written.
    found = importlib.metadata.version("zarr")
    if int(found.partition(".")[0]) < 3:
        raise InputError(f"{output}: found zarr {found}, expected zarr 3 to write a store, or a name ending in .nc")
    if output.exists() and not any((output / name).exists() for name in (".zgroup", "zarr.json")):
        raise InputError(f"{output}: exists and is no zarr store, expected a new name")
