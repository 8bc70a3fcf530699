"""Every option of ``ailand-column-run``: its type, default and meaning, for the command line, YAML and `run.run`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import check_no_input, expanded
from ailand_gt4py.core.option_types import (
    Box,
    FigureFile,
    File,
    Files,
    FileTime,
    Location,
    NamedTimes,
    Points,
    SiteLocation,
    suffixed,
)
from ailand_gt4py.core.settings import CommandOptions, option
from ailand_gt4py.core.times import given_text, time_text
from ailand_gt4py.io import targets

if TYPE_CHECKING:  # `--help` must not wait for GT4Py
    from ailand_gt4py.emulator.emulator import Emulator
    from ailand_gt4py.io.request import Reading
    from ailand_gt4py.io.site import Site
    from ailand_gt4py.weights.model import Model

#: Stands for the forcing file where ``--reference`` names a file.
SAME_FILE = "same"


class EmulatorOptions(CommandOptions):
    """Options of a command that runs the emulator on any backend."""

    model: File | None = option(None, "model file (default: the model in the package)", metavar="MODEL.nc")
    backend: Literal["embedded", "dace_cpu", "dace_gpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64", "tf32", "bf16"] = option(
        "float32", "precision of the computation; tf32 only on dace_gpu, bf16 on dace_gpu and dace_cpu"
    )
    quiet: bool = option(False, "print results and errors only")

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        modes = {"tf32": ("dace_gpu",), "bf16": ("dace_gpu", "dace_cpu")}.get(self.precision)
        if modes and self.backend not in modes:
            raise InputError(
                f"option --precision: found '{self.precision}' on '{self.backend}', expected float32 or float64; "
                f"{self.precision} is a mode of {' and '.join(modes)}"
            )
        return self

    def check_device(self) -> None:
        """Refuse, before input is read, a backend whose device, library or instructions cannot be had."""
        from ailand_gt4py.core.arrays import array_module  # only now: `--help` must not wait for GT4Py

        array_module("cuda" if self.backend == "dace_gpu" else "cpu")
        if self.backend == "dace_cpu" and self.precision == "bf16":
            from ailand_gt4py.lowering.calls.backends import require_bfloat16

            require_bfloat16()

    def emulator(self, model: Model, n_columns: int) -> Emulator:
        from ailand_gt4py.emulator.emulator import Emulator

        return Emulator(model, n_columns, self.backend, self.precision)

    def attributes(self, model: Model, title: str | None, notes: Sequence[str]) -> dict[str, str]:
        """Global attributes of the file of results."""
        from ailand_gt4py.io.output import attributes

        return attributes(model, title, self.command_line(), notes, self.backend, self.precision)


class FigureOptions(CommandOptions):
    """Options of a command that draws one column."""

    plot: FigureFile | None = option(None, "draw a figure (.png, .pdf or .svg)", metavar="FIGURE")
    at: Location | None = option(
        None, "location of the column in the figure (default: the first column)", metavar="LAT,LON"
    )

    @model_validator(mode="after")
    def _check_figure(self) -> Self:
        if self.at is not None and self.plot is None:
            raise InputError("option --at is given without --plot, which it belongs to")
        return self


class InputOptions(CommandOptions):
    """Options of a command that reads files of any convention on any grid."""

    convention: str | None = option(
        None, "convention of the files (default: recognised from their content)", metavar="NAME"
    )
    box: Box | None = option(
        None, "box of the grid in degrees north and east; may cross the date line", metavar="S,N,W,E"
    )
    points: Points | None = option(
        None, "cells nearest to LAT,LON;LAT,LON... or to the points in a file", metavar="POINTS"
    )

    site: SiteLocation | None = option(
        None, "location of a tower, if not in its files; elevation in m", metavar="LAT,LON[,ELEVATION]"
    )
    utc_offset: float | None = option(
        None, "a tower's local time minus UTC (default: from its longitude)", metavar="HOURS", ge=-12.0, le=14.0
    )
    land_cover: str | None = option(None, "IGBP land cover class, such as GRA, if in no file", metavar="CLASS")
    soil_type: int | None = option(None, "soil texture class, 1 (coarse) to 7, if in no file (default: 2)", ge=1, le=7)
    estimate_longwave: bool = option(False, "estimate downward long-wave radiation where it is missing")
    measured_only: bool = option(False, "leave out gap-filled observations")

    @model_validator(mode="after")
    def _check_part(self) -> Self:
        if self.box is not None and self.points is not None:
            raise InputError("options --box and --points are both given, expected one of them")
        return self

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        from ailand_gt4py.io.grids import Selection  # only now: `--help` must not wait for xarray
        from ailand_gt4py.io.points import read_points
        from ailand_gt4py.io.request import Reading

        points = read_points(self.points) if isinstance(self.points, Path) else self.points
        return Reading(self.convention, Selection(self.box, points), self.of_site)

    @property
    def of_site(self) -> Site:
        """What is told of a site."""
        from ailand_gt4py.io.site import Site

        latitude, longitude, elevation = self.site or (None, None, None)
        return Site(
            latitude=latitude,
            longitude=longitude,
            elevation=elevation,
            utc_offset=self.utc_offset,
            igbp=self.land_cover,
            soil_type=self.soil_type,
            estimates_longwave=self.estimate_longwave,
            measured_only=self.measured_only,
        )


class StateOptions(InputOptions):
    """Options of a command that reads the input of a run."""

    initial_state: Literal["file", "guess"] = option(
        "file", "initial state: from FORCING, or a first guess of all of it from the climate in FORCING"
    )

    @property
    def reading(self) -> Reading:
        return dataclasses.replace(super().reading, guesses_ground=self.initial_state == "guess")


class PeriodOptions(EmulatorOptions, StateOptions):
    """Options of a run through a period: when, and from which state."""

    start: FileTime | None = option(
        None, "label of the first step, UTC (default: the file's or restart's)", metavar="TIME"
    )
    end: FileTime | None = option(None, "end of the last step (default: the end of the file)", metavar="TIME")
    restart: File | None = option(None, "start from this restart file instead of the state in FORCING", metavar="FILE")
    restart_as_start: bool = option(False, "use the restart file's state at the start, whatever its time")
    spin_up: int = option(
        0, "repeat the period N times before the run, keeping the state; reports the drift", metavar="N", ge=0
    )
    block_steps: int | None = option(None, "steps written at once (default: as many as fit 64 MiB, at most 512)", ge=1)

    @model_validator(mode="after")
    def _check_period(self) -> Self:
        start, end = self.start, self.end
        if isinstance(start, np.datetime64) and isinstance(end, np.datetime64) and not start < end:
            raise InputError(f"--end: found {time_text(end)}, expected a time after --start {time_text(start)}")
        if self.restart_as_start and self.restart is None:
            raise InputError("option --restart-as-start is given without --restart, which it belongs to")
        if self.initial_state == "guess" and self.restart is not None:
            raise InputError(
                "option --initial-state: found 'guess' beside --restart, which has a state; expected one of them"
            )
        return self


class RunOptions(PeriodOptions, FigureOptions):
    """
    Run aiLand, an emulator of the land-surface model ecLand, over the land of one or several forcing files on any grid,
    from the state in them at the start (or from a restart file) through all their time steps.
    """

    program: ClassVar[str] = "ailand-column-run"
    written: ClassVar[tuple[str, ...]] = ("output", "restart_out", "plot")
    epilog: ClassVar[str] = f"""\
example:
  {program} forcing.nc --start 2021-01-01 --end 2021-07-01 -o run.nc --reference same --plot run.png --at 51.6,4.9
  {program} 'era5_2021*.nc' fields.nc --box 35,72,-12,45 -o europe.nc --plot-map swvl1
  {program} FLX_CH-Cha_FLUXNET2015_FULLSET_HH.csv --site 47.21,8.41,393 --land-cover GRA --reference same

FORCING is one or several files that belong together, or a quoted pattern ('era5_2021*.nc'). Files of the same variables
are joined in time; a variable found in several files is taken from the one given first. Conventions, units, steps and
grids are recognised (docs/input_files.md). Sea and masked points are left out and are missing in the output, which has
the grid of the first file.

The rows of the output carry the labels of the forcing: row t holds the state and the instantaneous diagnostics (2 m
and skin temperature) AT t and the fluxes averaged over [t, t + step), so it can be compared with the input label by
label. The restart file written with the output holds the state after the last step.

A run writes OUT.partial and, at intervals, OUT.resume; at the end OUT.partial is renamed to OUT. After an interruption
the same command with --resume continues and gives the same file, bit for bit. A second run on OUT is refused while the
first is running. --overwrite replaces files and stores of this program, and files named in options; nothing else.

With --workers N, N processes of this machine share the columns of the run; with --scheduler, the workers of a Dask
cluster that see the same files; with "mpirun -n N {program} ...", the MPI ranks. OUT must then be a zarr store, and its
values are bit for bit those of a single process. A worker that dies is replaced, and its part continues from its last
checkpoint in OUT.parts. With --resume the whole run continues, with any number of workers or ranks, or none.

A restart file of a run on another forcing file is accepted if its state is valid where this forcing begins; otherwise
confirm its time with --start. With --restart-as-start its state is used at the start of this run, whatever its time.

--initial-state guess starts every column from a first guess, whatever state FORCING has: the soil follows from the mean
and annual wave of air temperature, precipitation and short wave over a year of FORCING, and there is no snow
(docs/input_files.md). The soil forgets the guess over months, so --spin-up is recommended.

--spin-up N runs the period N times before the run, each time from the final state of the time before, with the forcing
(and the sun) of the period. The first window of a loop takes the last window as its previous one. The drift of the
state in the last loop is printed and kept in the history.

Every option can also be given in a YAML file (--config), by its long name without the leading dashes; the command line
takes precedence. File names in it are relative to the current directory:
  forcing: forcing.nc
  start: 2021-01-01
  at: [51.6, 4.9]

exit status: 0 done; 1 failed while running; 2 input or usage is wrong; 130, 143 interrupted.
"""

    forcing: Files = option(
        ..., "files with forcing, static fields and state", positional=True, metavar="FORCING", min_length=1
    )
    output: Annotated[File, suffixed(".nc", ".zarr")] | None = option(
        None, "output, .nc or .zarr (default: <forcing's name>.ailand.nc in this directory)", "-o", metavar="OUT"
    )
    restart_out: Annotated[File, suffixed(".nc")] | None = option(
        None, "restart file written at the end (default: OUT.restart.nc, OUT.zarr.restart.nc)", metavar="FILE"
    )
    resume: bool = option(False, "continue an interrupted run, or start a new one if there is none")
    reference: File | None = option(None, f"score against ecLand in this file; '{SAME_FILE}': FORCING", metavar="REF")
    plot_map: NamedTimes = option(
        (), "draw a map of a variable, at the end or at TIME, as OUT.VARIABLE[.TIME].png; repeatable", "--plot-map",
        metavar="VARIABLE[,TIME]", repeated=True,
    )  # fmt: skip
    overwrite: bool = option(False, "replace existing output, restart and figure files")
    checkpoint_seconds: float = option(
        30.0, "least time between checkpoints; 0: after every block", metavar="SECONDS", ge=0.0
    )
    workers: int | None = option(
        None, "processes of this machine that share the run's columns (extra 'dask')", metavar="N", ge=1
    )
    scheduler: str | None = option(None, "share the columns among the workers of this Dask cluster", metavar="ADDRESS")

    @model_validator(mode="after")
    def _check_workers(self) -> Self:
        if self.workers is not None and self.scheduler is not None:
            raise InputError("options --workers and --scheduler are both given, expected one of them")
        if self.workers is not None or self.scheduler is not None:
            self.check_shared("option --workers" if self.scheduler is None else "option --scheduler")
        return self

    def check_shared(self, what: str) -> None:
        """Check that several processes can make this run; ``what`` asks for that.

        Raises:
            InputError: they cannot.
        """
        if self.output_path.suffix.lower() != ".zarr":
            raise InputError(
                f"{what}: found the output {self.output_path}, expected a store, NAME.zarr, of which each process "
                "writes its own part"
            )
        if self.backend == "dace_gpu":
            raise InputError(
                f"{what}: found the backend dace_gpu, expected dace_cpu or embedded: one process makes a run on a GPU"
            )

    def for_workers(self) -> Self:
        """What other processes, maybe in other directories, have to know of these options."""

        def absolute(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(absolute, value))
            return value.absolute() if isinstance(value, Path) else value

        found = {name: absolute(value) for name, value in dict(self, output=self.output_path, reference=None).items()}
        return self.model_copy(update={**found, "quiet": True})

    @property
    def output_path(self) -> Path:
        return self.output or Path(f"{self.forcing[0].stem.strip('*?')}.ailand.nc")

    @property
    def restart_out_path(self) -> Path:
        return self.restart_out or targets.restart_path(self.output_path)

    @property
    def partial_path(self) -> Path:
        """The output while it is written."""
        return targets.partial_path(self.output_path)

    @property
    def checkpoint_path(self) -> Path:
        """Where an interrupted run continues."""
        return self.output_path.with_name(f"{self.output_path.name}.resume")

    @property
    def spin_up_path(self) -> Path:
        """Where an interrupted spin-up continues."""
        return self.output_path.with_name(f"{self.output_path.name}.spin_up")

    @property
    def parts_path(self) -> Path:
        """The directory of the parts of a run that several processes make."""
        return self.output_path.with_name(f"{self.output_path.name}.parts")

    @property
    def reference_paths(self) -> tuple[Path, ...]:
        """Files of the reference; none where there is none."""
        if self.reference == Path(SAME_FILE):
            return self.forcing
        return () if self.reference is None else (self.reference,)

    @property
    def reference_reading(self) -> Reading:
        """How these are read: all of their grid, of which the run's columns are looked for."""
        from ailand_gt4py.io.request import Reading  # only now: `--help` must not wait for xarray

        # Where they are is what they say, or where the run's column is.
        site = dataclasses.replace(self.of_site, latitude=None, longitude=None)
        return Reading(self.convention if self.reference == Path(SAME_FILE) else None, site=site)

    @property
    def map_paths(self) -> list[Path]:
        """Of `plot_map`."""
        beginning = self.output_path.name.removesuffix(".nc")
        times = ("" if time is None else f".{given_text(time)}" for _, time in self.plot_map)
        names = (name for name, _ in self.plot_map)
        return [
            self.output_path.with_name(f"{beginning}.{name}{time}.png") for name, time in zip(names, times, strict=True)
        ]

    @property
    def paths_read(self) -> list[Path]:
        return [path for one in super().paths_read for path in (expanded(one) if one in self.forcing else [one])]

    @property
    def paths_written(self) -> list[Path]:
        return [*self._results, self.checkpoint_path, self.spin_up_path]

    @property
    def _results(self) -> list[Path]:
        named = [path for path in (self.output_path, self.restart_out_path, self.plot) if path is not None]
        return [*named, *self.map_paths]

    def check_targets(self) -> bool:
        """Check that the run may replace what is there of its `claimed` files; returns whether it continues one."""
        from ailand_gt4py.driver.parts import PartsDirectory
        from ailand_gt4py.io import marks, restart  # only now: `--help` must not wait for xarray

        output, partial, written = self.output_path, self.partial_path, self._results
        check_no_input(partial, self.paths_read)
        targets.check_output(output)
        for path in (self.checkpoint_path, self.spin_up_path):
            marks.require_own(path, "title", restart.CHECKPOINT_TITLE)
        PartsDirectory(self.parts_path).require_own()
        of_one = self.checkpoint_path.is_file() and partial.exists()
        is_resumed = self.resume and (of_one or self.parts_path.exists())
        if self.resume and output.exists() and not partial.exists() and not self.overwrite:
            raise InputError(f"{output}: is complete, nothing to resume; expected --overwrite to run again")
        unfinished = next((path for path in (partial, self.spin_up_path, self.parts_path) if path.exists()), None)
        if unfinished is not None and not (self.resume or self.overwrite):
            raise InputError(
                f"{unfinished}: an unfinished run; expected --resume to continue it, or --overwrite to start over"
            )
        # The restart file and the figure of a run that is resumed at its very end may be its own.
        unnamed = self.restart_out_path if self.restart_out is None and not is_resumed else None
        targets.check_replaced(written[:1] if is_resumed else written, output, unnamed, self.overwrite, "--overwrite")
        return is_resumed
