"""Reading ecLand runs, lined up as (state at t, forcing over [t, t + step)) -> (state at t + step, diagnostics).

A data file holds one label t per step: states and screen-level quantities are instantaneous at t, forcing and fluxes
are means over [t, t + step). What a step of the emulator gives for the window that starts at t is therefore compared
with

* the state at label t + step,
* a diagnostic "window end" (t2m, d2m, skt) at label t + step,
* a diagnostic "window mean" (fluxes) at label t.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.derived_forcing import derived_forcing
from ailand_gt4py.driver import units
from ailand_gt4py.errors import InputError
from ailand_gt4py.training.variables import DIAGNOSTICS, FORCING, STATE, STATIC, Specification

#: Columns converted at a time: bounds the memory above that of the result.
COLUMN_BLOCK = 64


@dataclasses.dataclass
class WindowData:
    """Columns through time, in model units, one entry per window; what the network reads and should give.

    Attributes:
        static: (n_columns, n_static).
        forcing: (n_columns, n_windows, n_forcing), of the window [t, t + step), derived inputs included.
        state: (n_columns, n_windows + 1, n_state); entry k is the state at the start of window k.
        diagnostics: (n_columns, n_windows, n_diagnostics): entry k is what window k should give.
        times: (n_windows + 1,) datetime64: the windows' starts and the last one's end.
        step_seconds: length of a window.
        climate: (n_columns,) climate class, or "" where the file has none.
        source: (n_columns,) index of the file that a column comes from.
    """

    static: np.ndarray
    forcing: np.ndarray
    state: np.ndarray
    diagnostics: np.ndarray
    times: np.ndarray
    step_seconds: float
    climate: np.ndarray
    source: np.ndarray

    @property
    def n_columns(self) -> int:
        return self.static.shape[0]

    @property
    def n_windows(self) -> int:
        return self.forcing.shape[1]

    def select(self, columns: np.ndarray) -> WindowData:
        """The data of some columns (a copy)."""
        return dataclasses.replace(
            self,
            static=self.static[columns],
            forcing=self.forcing[columns],
            state=self.state[columns],
            diagnostics=self.diagnostics[columns],
            climate=self.climate[columns],
            source=self.source[columns],
        )


def align_diagnostics(labelled: np.ndarray, time_meanings: Sequence[str]) -> np.ndarray:
    """Diagnostics by window from diagnostics by label.

    Args:
        labelled: (n_columns, n_labels, n_diagnostics) as in the file.
        time_meanings: per diagnostic, ``window end`` or ``window mean``.

    Returns:
        (n_columns, n_labels - 1, n_diagnostics): window k starts at label k and ends at label k + 1.

    Raises:
        InputError: another time meaning.
    """
    result = np.empty((labelled.shape[0], labelled.shape[1] - 1, labelled.shape[2]), dtype=labelled.dtype)
    for index, meaning in enumerate(time_meanings):
        if meaning == "window end":
            result[..., index] = labelled[:, 1:, index]
        elif meaning == "window mean":
            result[..., index] = labelled[:, :-1, index]
        else:
            raise InputError(f"diagnostic {index}: time meaning '{meaning}', expected 'window end' or 'window mean'")
    return result


def read_windows(paths: Sequence[str | Path]) -> WindowData:
    """Read files with the same time axis and put their columns one after the other.

    Raises:
        InputError: a file or variable is missing, a dimension, unit or time axis is not what is needed, or NaN.
    """
    parts = [_read_file(Path(path), index) for index, path in enumerate(paths)]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if not np.array_equal(part.times, first.times):
            raise InputError(
                f"{path}: times {part.times[0]} to {part.times[-1]} ({part.times.size}), "
                f"expected those of {paths[0]}: {first.times[0]} to {first.times[-1]} ({first.times.size})"
            )
    if len(parts) == 1:
        return first
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("static", "forcing", "state", "diagnostics", "climate", "source")
    }
    return dataclasses.replace(first, **joined)


def _read_file(path: Path, index: int) -> WindowData:
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a file in the layout of ecLand runs")
    try:
        dataset = xr.open_dataset(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as netCDF: {' '.join(str(error).split())}") from error
    with dataset:
        times, step_seconds = _times(dataset, path)
        static = np.stack([_variable(dataset, path, variable, ("x",)) for variable in STATIC], axis=-1)
        n_columns, n_labels = static.shape[0], times.size
        read_forcing = [variable for variable in FORCING if not variable.derived]
        derived = [variable.name for variable in FORCING if variable.derived]
        forcing = np.empty((n_columns, n_labels, len(FORCING)), dtype=np.float32)
        for k, variable in enumerate(read_forcing):
            forcing[..., k] = _variable(dataset, path, variable, ("x", "time"))
        latitude, longitude = (_place(dataset, path, name) for name in ("lat", "lon"))
        for start in range(0, n_columns, COLUMN_BLOCK):
            block = slice(start, min(start + COLUMN_BLOCK, n_columns))
            buffer = np.empty((n_labels, block.stop - block.start, len(derived)), dtype=np.float32)
            derived_forcing(latitude[block], longitude[block], times, step_seconds, derived, buffer)
            forcing[block, :, len(read_forcing) :] = buffer.transpose(1, 0, 2)
        state = np.stack([_variable(dataset, path, variable, ("x", "time")) for variable in STATE], axis=-1)
        labelled = np.stack([_variable(dataset, path, variable, ("x", "time")) for variable in DIAGNOSTICS], axis=-1)
        climate = dataset["climate"].values.astype(str) if "climate" in dataset else np.full(n_columns, "")
    return WindowData(
        static=static,
        forcing=np.ascontiguousarray(forcing[:, :-1]),
        state=state,
        diagnostics=align_diagnostics(labelled, [variable.time_meaning for variable in DIAGNOSTICS]),
        times=times,
        step_seconds=step_seconds,
        climate=climate,
        source=np.full(n_columns, index),
    )


def _times(dataset: xr.Dataset, path: Path) -> tuple[np.ndarray, float]:
    """Time labels and their constant step in seconds."""
    if "time" not in dataset.coords or not np.issubdtype(dataset["time"].dtype, np.datetime64):
        raise InputError(f"{path}: no coordinate 'time' with dates")
    times = dataset["time"].values.astype("datetime64[ns]")
    if times.size < 2:
        raise InputError(f"{path}: {times.size} times, expected at least 2")
    steps = np.diff(times)
    if (steps != steps[0]).any() or steps[0] <= np.timedelta64(0, "ns"):
        where = int(np.flatnonzero((steps != steps[0]) | (steps <= np.timedelta64(0, "ns")))[0])
        raise InputError(f"{path}: time {times[where + 1]} follows {times[where]}, expected a constant positive step")
    return times, float(steps[0] / np.timedelta64(1, "s"))


def _place(dataset: xr.Dataset, path: Path, name: str) -> np.ndarray:
    if name not in dataset.variables or dataset[name].dims != ("x",):
        raise InputError(f"{path}: variable '{name}' (x) is missing; it is needed for the derived inputs")
    return dataset[name].values.astype(np.float64)


def _variable(dataset: xr.Dataset, path: Path, variable: Specification, dimensions: tuple[str, ...]) -> np.ndarray:
    """A variable in model units, float32, in the order of dimensions given."""
    if variable.name not in dataset.variables:
        raise InputError(f"{path}: variable '{variable.name}' is missing")
    array = dataset[variable.name]
    if set(array.dims) != set(dimensions):
        raise InputError(
            f"{path}: variable '{variable.name}' has the dimensions ({', '.join(map(str, array.dims))}), "
            f"expected ({', '.join(dimensions)})"
        )
    found = array.attrs.get("units")
    change = units.conversion(found, variable.units, f"{path}: variable '{variable.name}'")
    values = change.apply(array.transpose(*dimensions).values).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(
            f"{path}: variable '{variable.name}' holds {int((~np.isfinite(values)).sum())} values that are not finite"
        )
    return values


def split_columns(climate: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation columns: whole columns, drawn within each climate class.

    Columns are kept apart, not times: a column's weather repeats itself from year to year.

    Args:
        climate: (n_columns,) class of each column.
        fraction: of each class for validation, rounded, at least one column where it is above 0 and the class has two.

    Returns:
        two sorted index arrays.
    """
    generator = np.random.default_rng(seed)
    chosen = []
    for name in np.unique(climate):
        members = generator.permutation(np.flatnonzero(climate == name))
        count = round(fraction * members.size)
        if fraction > 0.0 and members.size > 1:
            count = max(count, 1)
        chosen.append(members[:count])
    validation = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(climate.size), validation), validation
