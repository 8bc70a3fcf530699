"""Restart files: the state and the last diagnostics of a run, bit for bit, with what they belong to.

A restart file is netCDF-4: one variable (x) for each state and diagnostic variable, and for each input of the previous
window, in the emulator's precision. The checkpoint of an interrupted run is the same with the index of the next step,
the identity of the run's inputs and its counts added.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.labels import label_text
from ailand_gt4py.core.times import CALENDARS, STANDARD, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.output import OutputLayout, variable_attributes
from ailand_gt4py.io.whole_files import CALENDAR, columns, plain, read_sealed, write_sealed
from ailand_gt4py.weights.model import ModelVariables, Variable

FORMAT = "ailand_gt4py restart 2"
#: The attribute ``title`` of a restart file, and of the checkpoint of an interrupted run.
TITLE = "restart file of ailand-column-run"
CHECKPOINT_TITLE = "checkpoint of ailand-column-run"

#: Begins the names of what `Restart.host` has; no variable of a model has a colon in its name.
_HOST = "host:"

#: How far a restart's column may be from the run's, degrees: locations are stored in float32 in many files.
LOCATION_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Restart:
    """Where a run stands.

    Attributes:
        diagnostics: (n_columns, n_diagnostics) of the step that ended at `valid_time`, NaN where no step was made.
        before: (n_columns, n_previous), that step's forcing that the next one takes.
        calendar: of the time. forcing: name of the run's forcing file. extra: plain JSON of a checkpoint.
        host: name -> (n_columns,) of what a coupled atmosphere is to remember; nothing where there is none.
    """

    state: Values
    diagnostics: Values
    before: Values
    valid_time: np.datetime64
    latitude: Values
    longitude: Values
    x: Values
    model_checksum: str
    precision: str
    forcing: str
    calendar: str = STANDARD
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    host: Mapping[str, Values] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_run(cls, layout: OutputLayout, n_done: int, **values: Any) -> Self:
        """After the first steps of a run whose output has this layout; ``values``: what that does not tell."""
        return cls(
            valid_time=layout.times[0] + n_done * layout.step,
            calendar=layout.calendar,
            latitude=layout.latitude,
            longitude=layout.longitude,
            x=layout.x,
            model_checksum=layout.attributes["model_checksum"],
            precision=layout.attributes["precision"],
            **values,
        )

    def digest(self) -> str:
        """SHA-256 of the values and the valid time."""
        result = hashlib.sha256(str(self.valid_time).encode())
        for values in (self.state, self.diagnostics, self.before):
            result.update(np.ascontiguousarray(values).tobytes())
        return result.hexdigest()


def write_restart(path: Path, restart: Restart, model: ModelVariables) -> None:
    """Write a restart file, completely or not at all; an older one of that name is replaced."""
    data = xr.Dataset(
        columns(restart.x, restart.latitude, restart.longitude),
        attrs={
            "Conventions": "CF-1.11",
            "title": CHECKPOINT_TITLE if restart.extra else TITLE,
            "source": f"ailand_gt4py {ailand_gt4py.__version__}",
            "format": FORMAT,
            "model_checksum": restart.model_checksum,
            "precision": restart.precision,
            "forcing": restart.forcing,
            "extra": json.dumps(restart.extra, sort_keys=True),
        },
    )
    # Nanoseconds: the time must come back exactly whatever the model's step is.
    calendar = CALENDAR if restart.calendar == STANDARD else restart.calendar
    time = {"standard_name": "time", "units": "nanoseconds since 1970-01-01", "calendar": calendar}
    data["time"] = plain((), restart.valid_time.astype("datetime64[ns]").astype(np.int64), time)
    for name, group in _groups(model):
        values = getattr(restart, name)
        for index, variable in enumerate(group):
            attributes = variable_attributes(variable)
            del attributes["ancillary_variables"]
            attributes["coordinates"] = "time lat lon"
            if variable.time_meaning == "window mean":
                attributes["comment"] = "mean over the step that ended at time"
            data[variable.name] = xr.Variable(("x",), values[:, index], attributes, {"_FillValue": np.nan})
    for name, values in restart.host.items():
        data[f"{_HOST}{name}"] = plain(("x",), values, {"long_name": f"{name} of the coupled atmosphere"})
    write_sealed(path, data, "writing the restart file")


def _groups(model: ModelVariables) -> tuple[tuple[str, Sequence[Variable]], ...]:
    """The values of a `Restart` by name, and the variables that they are of."""
    before = [variable for variable in model.forcing if variable.is_previous]
    return ("state", model.state), ("diagnostics", model.diagnostics), ("before", before)


def read_restart(path: Path, model: ModelVariables) -> Restart:
    """Read a restart file of a model; `InputError` says what is wrong with it."""
    data = read_sealed(path, FORMAT, "a restart file of ailand-column-run")
    try:
        extra = json.loads(data.attrs["extra"])
        # Before its first step, a run has none of a window before; `emulator.forcing` marks that by infinity.
        unknown = {"diagnostics", *(["before"] if extra.get("next_step") == 0 else [])}
        return Restart(
            **{name: _values(path, data, group, name in unknown) for name, group in _groups(model)},
            valid_time=np.datetime64(int(data["time"]), "ns"),
            calendar=CALENDARS[data["time"].attrs["calendar"]],
            latitude=data["lat"].values,
            longitude=data["lon"].values,
            x=data["x"].values,
            model_checksum=data.attrs["model_checksum"],
            precision=data.attrs["precision"],
            forcing=data.attrs["forcing"],
            extra=extra,
            host={
                str(name).removeprefix(_HOST): variable.values
                for name, variable in data.variables.items()
                if str(name).startswith(_HOST)
            },
        )
    except (KeyError, AttributeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); expected a restart file") from error


def _values(path: Path, data: xr.Dataset, group: Sequence[Variable], may_be_unknown: bool) -> Values:
    """(n_columns, n_variables) of one of the `_groups`; no step may have made them yet."""
    missing = [variable.name for variable in group if variable.name not in data.variables]
    if missing:
        raise InputError(f"{path}: variable '{missing[0]}' is missing, expected all that the model remembers")
    if not group:
        return np.empty((data.sizes["x"], 0))
    values = np.stack([data[variable.name].values for variable in group], axis=1)
    may_be_missing = np.array([may_be_unknown or variable.is_imputed for variable in group])
    wrong = np.argwhere(~np.isfinite(values) & ~may_be_missing)
    if wrong.size:
        column, index = wrong[0]
        raise InputError(
            f"{path}: variable '{group[index].name}' is {values[column, index]} in column {column}, "
            "expected a finite number"
        )
    return values


def check_run(path: Path, restart: Restart, model_checksum: str, precision: str, start: np.datetime64 | None) -> None:
    """Check that a restart was made by the same model in the same precision, and stands where a run starts."""
    if restart.model_checksum != model_checksum:
        raise InputError(
            f"{path}: was written by the model with the checksum {restart.model_checksum[:12]}..., "
            f"expected this run's model {model_checksum[:12]}..."
        )
    if restart.precision != precision:
        raise InputError(f"{path}: was written in {restart.precision}, expected this run's precision {precision}")
    if start is not None and start != restart.valid_time:
        valid, wanted = (time_text(time, restart.calendar) for time in (restart.valid_time, start))
        raise InputError(f"{path}: is valid at {valid}, expected the start {wanted}")


def check_columns(path: Path, restart: Restart, x: Values, latitude: Values, longitude: Values) -> None:
    if len(restart.x) != len(x):
        raise InputError(f"{path}: has {len(restart.x)} columns, expected the run's {len(x)}")
    same_label = np.array([label_text(a) == label_text(b) for a, b in zip(restart.x, x, strict=True)])
    turn = np.abs((restart.longitude - longitude + 180.0) % 360.0 - 180.0)
    same = same_label & (np.abs(restart.latitude - latitude) <= LOCATION_TOLERANCE) & (turn <= LOCATION_TOLERANCE)
    if not same.all():
        k = int(np.argmin(same))
        raise InputError(
            f"{path}: column {k} is x = {restart.x[k]} at {restart.latitude[k]:.4f} N, {restart.longitude[k]:.4f} E, "
            f"expected the run's x = {x[k]} at {latitude[k]:.4f} N, {longitude[k]:.4f} E"
        )


def next_step(path: Path, checkpoint: Restart, times: Values) -> int:
    """Index of the step with which the run of a checkpoint continues."""
    found = np.flatnonzero(times == checkpoint.valid_time)
    if found.size != 1 or checkpoint.extra.get("next_step") != found[0]:
        raise InputError(
            f"{path}: next step {checkpoint.extra.get('next_step')} at "
            f"{time_text(checkpoint.valid_time, checkpoint.calendar)}, expected that of one of the run's labels; "
            "--overwrite starts over"
        )
    return int(found[0])


def file_identity(path: Path) -> str:
    """What tells a file from a changed one without reading it: name, size, time of change; of a store, its parts'."""

    def stamp(item: Path) -> str:
        status = item.stat()
        return f"{item.name} {status.st_size if item.is_file() else 0} {status.st_mtime_ns}"

    if not path.is_dir():
        return stamp(path)
    members = sorted(item for item in [path, *path.iterdir(), *path.glob("*/.z*"), *path.glob("*/zarr.json")])
    return f"{path.name} {hashlib.sha256('|'.join(map(stamp, members)).encode()).hexdigest()}"


def check_identity(path: Path, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Check that a checkpoint is of this run."""
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"{path}: cannot be resumed: {name} was '{found.get(name)}', now it is '{expected.get(name)}'; "
                "expected the same, or --overwrite to start over"
            )
