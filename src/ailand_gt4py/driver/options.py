"""Every option of ``ailand-column-run``: its type, default and meaning, for the command line, YAML and `run.run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.option_types import FigureFile, File, Location, Time, suffixed
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.times import time_text

#: Stands for the forcing file where ``--reference`` names a file.
SAME_FILE = "same"


class RunOptions(CommandOptions):
    """
    Run aiLand, an emulator of the land-surface model ecLand, over the columns of a forcing file: from the state in the
    file at the start time (or in a restart file) through all its time steps.
    """

    program: ClassVar[str] = "ailand-column-run"
    epilog: ClassVar[str] = f"""\
example:
  {program} forcing.nc --start 2021-01-01 --end 2021-07-01 -o run.nc --reference same --plot run.png --at 51.6,4.9

The rows of the output carry the labels of the forcing: row t holds the state and the instantaneous diagnostics (2 m
and skin temperature) AT t and the fluxes averaged over [t, t + step), so it can be compared with the input label by
label. The state after the last step is in the restart file beside the output.

A run writes OUT.partial and, now and then, OUT.resume; at the end OUT.partial is renamed to OUT. After an interruption
the same command with --resume continues there and gives the same file, bit for bit.

Every option can also be given in a YAML file (--config), under its long name without the dashes; the command line takes
precedence. File names in it are relative to the current directory:
  forcing: forcing.nc
  start: 2021-01-01
  at: [51.6, 4.9]

exit status: 0 done; 1 failed while running; 2 input or usage is wrong; 130, 143 interrupted.
"""

    forcing: File = option(
        ..., "forcing, static fields and initial state: netCDF file or zarr store", positional=True, metavar="FORCING"
    )
    model: File | None = option(None, "model file (default: the model shipped with the package)", metavar="MODEL")
    backend: Literal["embedded", "dace_cpu", "dace_gpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64", "tf32", "bf16"] = option(
        "float32", "precision of the computation; tf32 and bf16 on dace_gpu only"
    )
    start: Time | None = option(
        None, "label of the first step, UTC (default: first of the file, or the restart's time)", metavar="TIME"
    )
    end: Time | None = option(
        None, "time at which the run ends: the end of its last step (default: end of the file)", metavar="TIME"
    )
    output: Annotated[File, suffixed(".nc", ".zarr")] | None = option(
        None,
        "output, .nc (netCDF-4) or .zarr (default: <forcing's name>.ailand.nc in the current directory)",
        "-o",
        metavar="OUT",
    )
    restart: File | None = option(
        None, "start from this restart file of an earlier run, not from the state in FORCING", metavar="FILE"
    )
    restart_out: Annotated[File, suffixed(".nc")] | None = option(
        None, "restart file written at the end (default: <output's name>.restart.nc beside it)", metavar="FILE"
    )
    resume: bool = option(False, "continue an interrupted run; starts a new one where there is none")
    reference: File | None = option(
        None, f"print scores against ecLand in this file; '{SAME_FILE}': the forcing file holds it", metavar="REF"
    )
    plot: FigureFile | None = option(
        None, "draw states and fluxes of one column through time (.png, .pdf, .svg)", metavar="FIG"
    )
    at: Location | None = option(
        None, "column to draw: the one nearest to this location (default: the first)", metavar="LAT,LON"
    )
    overwrite: bool = option(False, "replace existing output, restart and figure files")
    block_steps: int | None = option(
        None, "steps held in memory and written at once (default: as many as fit 64 MiB, at most 512)", ge=1
    )
    checkpoint_seconds: float = option(
        30.0, "least time between two resume checkpoints; 0: one with every block", metavar="SECONDS", ge=0.0
    )
    quiet: bool = option(False, "print only errors and the score table")

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise InputError(
                f"--end: found {time_text(self.end)}, expected a time after --start {time_text(self.start)}"
            )
        if self.at is not None and self.plot is None:
            raise InputError("--at is given without --plot, which it belongs to")
        return self

    @property
    def output_path(self) -> Path:
        """Where the output goes, given or by default."""
        return self.output if self.output is not None else Path(f"{self.forcing.stem}.ailand.nc")

    @property
    def restart_out_path(self) -> Path:
        """Where the restart file goes, given or by default."""
        if self.restart_out is not None:
            return self.restart_out
        return self.output_path.with_name(f"{self.output_path.stem}.restart.nc")

    @property
    def reference_path(self) -> Path | None:
        """The reference file, if there is one."""
        return self.forcing if self.reference == Path(SAME_FILE) else self.reference
