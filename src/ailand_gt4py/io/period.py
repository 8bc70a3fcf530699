"""Columns of a file over a period, in memory: for what goes through the same windows many times, unlike a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import expanded
from ailand_gt4py.core.times import STANDARD, parse_time, step_of, time_text, whole_steps
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.before_start import previous_forcing
from ailand_gt4py.io.preparation import labels_of
from ailand_gt4py.io.reference import Reference
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.weights.model import Model, ModelVariables, Variable

#: Times read at once.
TIME_BLOCK = 256

#: Most bytes that the columns may take in memory.
LARGEST_BYTES = 8 * 2**30


@dataclasses.dataclass(frozen=True)
class Period:
    """Forcing of some columns over windows that follow one another; locations and columns (n_columns,).

    Attributes:
        times: (n_steps,) datetime64[ns], starts of the windows. step: their length.
        static: (n_columns, n_static). forcing: (n_steps, n_columns, n_forcing), derived inputs included.
        initial_state: (n_columns, n_state) at the first of ``times``. history: what was done to the input.
    """

    path: Path
    x: Values
    latitude: Values
    longitude: Values
    times: Values
    step: np.timedelta64
    static: Values
    forcing: Values
    initial_state: Values
    history: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        return len(self.times)

    @property
    def n_columns(self) -> int:
        return len(self.x)

    @property
    def ends(self) -> Values:
        """(n_steps,) datetime64[ns], ends of the windows."""
        return self.times + self.step


def read_period(
    path: str | Path,
    model: Model,
    dtype: np.dtype,
    start: str | np.datetime64 | None = None,
    end: str | np.datetime64 | None = None,
) -> Period:
    """Read the windows from ``start`` to ``end`` (see `io.sources.open_source`), if memory allows."""
    with open_source(path, model, start=start, end=end) as source:
        if source.calendar != STANDARD:
            raise InputError(
                f"{source.path}: has the calendar '{source.calendar}', expected times of the standard calendar; "
                "ailand-column-run takes others"
            )
        require_memory(source, len(model.forcing), dtype, "give fewer columns or a shorter period")
        forcing = read_forcing(source, model, dtype)
        assert source.initial_state is not None  # it was asked for
        return Period(
            path=Path(path),
            x=source.x,
            latitude=source.latitude,
            longitude=source.longitude,
            times=source.times,
            step=source.step,
            static=source.static.astype(dtype),
            forcing=forcing,
            initial_state=source.initial_state.astype(dtype),
            history=tuple(source.history),
        )


def require_memory(source: ColumnSource, n_variables: int, dtype: np.dtype, advice: str) -> None:
    """Check that so many variables of all columns and windows fit `LARGEST_BYTES`."""
    n_windows, n_columns = len(source.times), source.n_columns
    size = n_windows * n_columns * n_variables * np.dtype(dtype).itemsize
    if size > LARGEST_BYTES:
        raise InputError(
            f"{source.path}: {n_columns} columns over {n_windows} windows need {size / 2**30:.1f} GiB, "
            f"expected at most {LARGEST_BYTES / 2**30:.0f}; {advice}"
        )


def read_forcing(source: ColumnSource, model: Model, dtype: np.dtype) -> Values:
    """All forcing of a source, complete: (n_times, n_columns, n_forcing)."""
    assembler = ForcingAssembler(model.forcing, source.latitude, source.longitude, calendar=source.calendar)
    previous = previous_forcing(source, assembler, dtype)
    forcing = np.empty((len(source.times), source.n_columns, len(model.forcing)), dtype=dtype)
    for first in range(0, len(forcing), TIME_BLOCK):
        block = forcing[first : first + TIME_BLOCK]
        last = first + len(block)
        assembler.assemble(block, source.forcing(first, last), source.times[first:last], model.step_seconds, previous)
        previous = assembler.of_window(block[-1])
    return forcing


def read_values(
    path: str | Path, variables: Sequence[Variable], times: Values, period: Period, dtype: np.dtype
) -> Values:
    """States or diagnostics at labels of a file with a period's columns: (n_times, n_columns, n_variables), finite."""
    with Reference(path, variables, times, latitude=period.latitude, longitude=period.longitude) as reference:
        if reference.missing:
            raise InputError(f"{path}: variable '{reference.missing[0]}' is missing, expected it at every label")
        result = np.array(reference.read(0, len(times)), dtype=dtype)
    wrong = np.argwhere(~np.isfinite(result))
    if wrong.size:
        time, column, position = wrong[0]
        raise InputError(
            f"{path}: variable '{variables[position].name}' is {result[time, column, position]} "
            f"at {time_text(times[time])} in column {column} (x = {period.x[column]}), expected a finite number"
        )
    return result


def end_after(path: str | Path, days: float, start: str | np.datetime64 | None, model: ModelVariables) -> np.datetime64:
    """End of a run of some days, a multiple of the model's step, from a start; None: from the file's first label."""
    step = step_of(model.step_seconds)
    length = whole_steps(step_of(SECONDS_PER_DAY * days), step, "--days") * step
    if start is None:
        start = labels_of(expanded(path), Request(model, initial_state="none"))[0][0]
    begin = parse_time(start)
    end: np.datetime64 = begin + length
    return end
