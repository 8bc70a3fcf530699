"""Options of the land beside an atmosphere, as they stand in anemoi-inference's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from ailand_gt4py.core.option_types import File, suffixed
from ailand_gt4py.core.settings import Settings, dotted, option, read_settings
from ailand_gt4py.io import targets
from ailand_gt4py.weights.checkpoints import read_model_or_checkpoint
from ailand_gt4py.weights.model import Model

Kind = TypeVar("Kind", bound="LandOptions")


class LandOptions(Settings):
    """What the land is, where its results go, and what of them the atmosphere takes."""

    ground: File = option(..., "columns of the land: static fields, leaf area, initial state; netCDF or zarr (time, x)")
    model: File | None = option(None, "model file, or checkpoint to import (.ckpt); default: the model in the package")
    backend: Literal["embedded", "dace_cpu", "dace_gpu"] = option("dace_cpu", "GT4Py backend")
    precision: Literal["float32", "float64", "tf32", "bf16"] = option("float32", "precision of the computation")
    output: Annotated[File, suffixed(".nc", ".zarr")] | None = option(None, "the land's output, .nc or .zarr")
    restart: File | None = option(None, "start from this restart file instead of the state in the ground file")
    restart_out: Annotated[File, suffixed(".nc")] | None = option(
        None, "restart file written at the end (default: OUT.restart.nc)"
    )
    forcing_out: Annotated[File, suffixed(".nc")] | None = option(
        None, "write the forcing of the land, as an input file of ailand-column-run"
    )
    overwrite: bool = option(False, "replace existing files")
    names: dict[str, str] = option({}, "the atmosphere's names of fields, if they are not ECMWF's short names")
    units: dict[str, str] = option({}, "units of the atmosphere's fields, if missing or wrong in its checkpoint")
    to_forcing_height: bool = option(True, "bring the temperature from 2 m to the 10 m of the model's forcing")
    lead_time: str | int | None = option(None, "lead time of the forecast, such as 240h; default: the atmosphere's")

    @property
    def restart_path(self) -> Path | None:
        if self.restart_out is not None or self.output is None:
            return self.restart_out
        return targets.restart_path(self.output)

    @property
    def partial_path(self) -> Path | None:
        """The output while it is written."""
        return None if self.output is None else targets.partial_path(self.output)

    @property
    def paths_written(self) -> list[Path]:
        return [path for path in (self.output, self.restart_path, self.forcing_out) if path is not None]

    @property
    def paths_read(self) -> list[Path]:
        return [path for path in (self.ground, self.model, self.restart) if path is not None]

    def check_targets(self) -> None:
        """Check that the files to be written may be put where they are to be (`io.targets`)."""
        if self.output is not None:
            targets.check_output(self.output)
        unnamed = self.restart_path if self.restart_out is None else None
        targets.check_replaced(self.paths_written, self.output, unnamed, self.overwrite, "the option 'overwrite'")

    def read_model(self) -> Model:
        model = read_model_or_checkpoint(self.model)
        model.require_physical(str(self.model))
        return model


class ProcessorOptions(LandOptions):
    """Those of the mid-processor."""

    give_back: tuple[str, ...] = option(
        (), "fields of the atmosphere's next input that the land replaces, at its points"
    )
    first_window: Literal["input", "end"] = option(
        "input", "forcing of the first window: from the atmosphere's input, read once more, to its end; or its end only"
    )


class TaskOptions(LandOptions):
    """Those of the task of a coupled run."""

    checkpoint: File = option(..., "checkpoint of the atmosphere, for its grid, units and step")
    date: str | None = option(None, "start of the forecast; default: the coupled run's")
    elsewhere: dict[str, float] = option({}, "values sent at points that are not land, by field")


def read_options(kind: type[Kind], content: Mapping[str, Any]) -> Kind:
    """Options from a configuration."""
    return read_settings(kind, content, lambda path: f"ailand: option '{dotted(path)}'" if path else "ailand: ")
