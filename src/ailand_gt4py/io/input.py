"""Input of a run of columns: static fields, forcing and initial state in the model's order and units.

Two layouts are read: the one of ec-land-db's names with dimensions (time, x) and (x), and ec-land-db's public zarr
store as it is, with static fields repeated in time, other units and missing parameters. Everything done to the values
is told in `ColumnInput.history`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import derive, time_axis
from ailand_gt4py.io.annual_wave import read_annual_wave
from ailand_gt4py.io.blocks import BLOCK_BYTES, BlockReader, Source, tiles
from ailand_gt4py.io.column_file import MISWRITTEN_UNITS, ColumnFile
from ailand_gt4py.io.conventions import time_meaning_sentences
from ailand_gt4py.io.first_guess import FIRST_GUESSES
from ailand_gt4py.io.reference import Reference, open_reference
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.weights.model import ModelVariables, Variable
from ailand_gt4py.weights.variables import CATALOGUE, units_of

__all__ = ["ColumnInput", "Reference", "open_input", "open_reference"]


#: How to get a variable that a file lacks.
_WAYS = {**derive.DERIVATIONS, **FIRST_GUESSES}


class _Reader:
    """Reads fields of one time from a file, and notes what it did."""

    def __init__(
        self, file: ColumnFile, times: time_axis.Times, step: np.timedelta64, first: int, count: int, labels: Values
    ) -> None:
        self.file, self.labels = file, labels
        self._times, self._step = times, step
        self._first, self._count = first, count
        self.conversions: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.repeated: list[str] = []
        self.derived: dict[str, derive.Derivation] = {}
        self.miswritten: dict[str, str] = {}
        self.filled: dict[str, str] = {}

    def field(self, name: str, expected_units: str, *, is_static: bool) -> Values:
        """A field of the file, float64 (n,), in the units asked for; missing values are NaN."""
        own_name = self._note_name(name)
        straight = self._note_conversion(name, own_name, expected_units)
        if not is_static:
            self.file.require_timed(own_name)
        if self.file.is_timed(own_name):
            values = self.file.read(own_name, slice(self._first, self._first + 1))[0]
        else:
            values = self.file.read(own_name)
        if is_static and self.file.is_timed(own_name) and name not in self.repeated:
            self._require_constant(own_name, values)
            self.repeated.append(name)
        return straight.apply(values.astype(np.float64))

    def timed(self, name: str, expected_units: str) -> Source:
        """A variable that changes in time, unread."""
        own_name = self._note_name(name)
        straight = self._note_conversion(name, own_name, expected_units)
        self.file.require_timed(own_name)
        return Source(name, own_name, straight)

    def _note_name(self, name: str) -> str:
        own_name = self.file.find(name)
        if own_name is None:
            raise InputError(f"{self.file.path}: variable '{name}' is missing")
        if own_name != name:
            self.renamed[name] = own_name
        return own_name

    def _note_conversion(self, name: str, own_name: str, expected_units: str) -> Conversion:
        straight = self.file.conversion(own_name, name, expected_units)
        if self.file.is_miswritten(own_name, name):
            written, meant = MISWRITTEN_UNITS[name]
            self.miswritten[name] = (
                f"{name}: the unit '{written}' is read as '{meant}', which is meant in ec-land-db's store."
            )
        if not straight.is_identity:
            self.conversions[name] = straight.sentence(name)
        return straight

    def _require_constant(self, own_name: str, values: Values) -> None:
        for times, columns in tiles(self.file, own_name, self._first, self._count, BLOCK_BYTES):
            slab = self.file.read(own_name, times, columns)
            differs = (slab != values[columns]) & ~(np.isnan(slab) & np.isnan(values[columns]))
            if differs.any():
                row, column = (int(position) for position in np.argwhere(differs)[0])
                raise InputError(
                    f"{self.file.what(own_name)} is {slab[row, column]:g} at time index {times.start + row} in column "
                    f"{columns.start + column} (x = {self.labels[columns.start + column]}) and "
                    f"{values[columns.start + column]:g} at "
                    f"the start, expected a static field to be constant in time"
                )

    def require_finite(self, name: str, values: Values, where: str = "") -> Values:
        """The values, if all are finite numbers."""
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            column = int(wrong[0])
            own_name = self.file.find(name) or name
            raise InputError(
                f"{self.file.what(own_name)} is {values[column]:g}{where} in column {column} (x = "
                f"{self.labels[column]}; "
                f"{wrong.size} of {values.size} columns), expected a finite number"
            )
        return values

    def get(self, variable: Variable, *, is_static: bool, where: str = "") -> Values:
        """A variable at the start, from the file or derived; finite, float64 (n,)."""
        name = variable.name
        if self.file.find(name) is None:
            values = self._derive(variable, where)
        else:
            values = self.field(name, variable.units, is_static=is_static)
            cover_name = derive.VEGETATION_COVERS.get(name)
            if cover_name is not None and np.isnan(values).any() and self.file.find(cover_name) is not None:
                cover = self.field(cover_name, "1", is_static=True)
                values, sentence = derive.fill_types(values, cover, name)
                if sentence:
                    self.filled[name] = sentence
        return self.require_finite(name, values, where)

    def _derive(self, variable: Variable, where: str) -> Values:
        """A variable that the file lacks."""
        derivation = _WAYS[variable.name]
        inputs = self._waves(derivation)
        if inputs is None:
            assert derivation.otherwise is not None
            derivation, inputs = derivation.otherwise, {}
        for needed, unit in units_of(*derivation.inputs).items():
            inputs[needed] = self.field(needed, unit, is_static=needed.startswith("clim_"))
            # A type may be missing where there is no such vegetation: the derivation sees to it.
            if needed not in derive.VEGETATION_COVERS:
                self.require_finite(needed, inputs[needed], where)
        self.derived[variable.name] = derivation
        values = np.broadcast_to(derivation.function(inputs, str(self.file.path)), self.file.n_columns)
        return conversion(CATALOGUE[derivation.name].units, variable.units, variable.name).apply(values)

    def _waves(self, derivation: derive.Derivation) -> dict[str, Values] | None:
        """The annual waves that a derivation takes; None where the file has none for one of them."""
        waves = {}
        for needed, unit in units_of(*derivation.waves).items():
            wave = read_annual_wave(self.file, self.timed(needed, unit), self._times, self._step, self._first)
            if wave is None:
                return None
            waves[derive.wave_key(needed)] = wave
        return waves

    def sentences(self) -> list[str]:
        """What was done to the values."""
        lines = []
        if self.renamed:
            pairs = ", ".join(f"{name} from '{own}'" for name, own in self.renamed.items())
            lines.append(f"Read under another name: {pairs}.")
        if self.repeated:
            lines.append(f"Static fields repeated in time, checked to be constant: {', '.join(self.repeated)}.")
        return [
            *lines,
            *self.filled.values(),
            *self.miswritten.values(),
            *self.conversions.values(),
            *derive.sentences(self.derived.values()),
        ]


def _require_present(file: ColumnFile, model: ModelVariables, with_state: bool) -> None:
    """Name all variables that are neither in the file nor derivable."""
    wanted = [*model.static, *(variable for variable in model.forcing if not variable.derived)]
    wanted += model.state if with_state else ()
    forcing = {variable.name for variable in model.forcing}
    missing = []
    for variable in wanted:
        name = variable.name
        if file.find(name) is not None:
            continue
        derivation = _WAYS.get(name) if name not in forcing else None
        if derivation is None:
            missing.append(f"'{name}'")
            continue
        lacking = [needed for needed in derivation.needs if file.find(needed) is None]
        if lacking:
            missing.append(
                f"'{name}' (which would follow from {', '.join(derivation.needs)}; missing: {', '.join(lacking)})"
            )
    if missing:
        noun = "variable" if len(missing) == 1 else "variables"
        raise InputError(
            f"{file.path}: {noun} missing that cannot be derived: {', '.join(missing)}; expected in the file"
        )


def _position(reader: _Reader, name: str, lowest: float, highest: float) -> Values:
    unit = CATALOGUE[name].units
    if reader.file.find(name) is None:
        raise InputError(
            f"{reader.file.path}: variable '{name}' is missing; expected it with the dimension (x) in {unit}"
        )
    values = reader.require_finite(name, reader.field(name, unit, is_static=True))
    wrong = np.flatnonzero((values < lowest) | (values > highest))
    if wrong.size:
        column = int(wrong[0])
        raise InputError(
            f"{reader.file.what(name)} is {values[column]:g} in column {column}, expected {lowest:g} to {highest:g} "
            f"{unit}"
        )
    return values


class ColumnInput:
    """Static fields, forcing and initial state of a run; forcing is read as it is asked for.

    Attributes:
        path: of the file. model: whose order and units the values have.
        x: (n,) labels of the columns. latitude, longitude: float64 (n,), degrees.
        times: datetime64[ns] (n_steps,), starts of the windows. step: their length.
        static: float64 (n, n_static).
        initial_state: float64 (n, n_state) at the first of `times`, None where it was not asked for.
        forcing_names: variables that `forcing` gives: the model's forcing without those it derives from time and
            location.
        history: sentences, one for each thing done to the values or taken for granted.
    """

    def __init__(
        self,
        file: ColumnFile,
        model: ModelVariables,
        start: str | datetime.date | np.datetime64 | None,
        end: str | datetime.date | np.datetime64 | None,
        with_state: bool,
        block_bytes: int,
    ) -> None:
        self.path, self.model, self._file, self._block_bytes = file.path, model, file, block_bytes
        self.step = step_of(model.step_seconds)
        _require_present(file, model, with_state)
        all_times = time_axis.read_times(file)
        first, count = time_axis.select(all_times, self.step, start, end, str(file.path))
        self.times = all_times[first : first + count]
        self.x = file.labels()
        reader = _Reader(file, all_times, self.step, first, count, self.x)
        self.latitude = _position(reader, "lat", -90.0, 90.0)
        self.longitude = _position(reader, "lon", -180.0, 360.0)
        self.static = self._stack([reader.get(variable, is_static=True) for variable in model.static])
        self.initial_state: Values | None = None
        if with_state:
            where = f" at {time_text(self.times[0])}"
            self.initial_state = self._stack(
                [reader.get(variable, is_static=False, where=where) for variable in model.state]
            )
        forcing = [variable for variable in model.forcing if not variable.derived]
        self.forcing_names = tuple(variable.name for variable in forcing)
        sources = [reader.timed(variable.name, variable.units) for variable in forcing]
        self._forcing = BlockReader(
            file, sources, first, count, block_bytes=block_bytes, labels=self.x, times=self.times
        )
        self.history = [*reader.sentences(), *time_meaning_sentences(file, forcing, self.step)]
        if self._forcing.is_spooled:
            self.history.append(
                f"Forcing is stored with long stretches of time together; it is copied once to a temporary file of "
                f"{self._forcing.spool_bytes / 2**30:.3g} GiB in time order."
            )
        self._reference: Reference | None = None

    def _stack(self, fields: Sequence[Values]) -> Values:
        return np.stack(fields, axis=1) if fields else np.empty((self.n_columns, 0))

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self._file.n_columns

    def lacking(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of some names that no variable of the file has."""
        return tuple(name for name in names if self._file.find(name) is None)

    def forcing(self, first: int, last: int) -> Values:
        """Forcing of the windows `first` to `last` - 1.

        Returns:
            (last - first, n_columns, len(forcing_names)), model units; float32, or float64 where the file has it.
            Read-only, and a
            view of a buffer that the next call may replace: copy what has to stay.

        Raises:
            InputError: the file is damaged or has a value that is not finite.
        """
        return self._forcing.read(first, last)

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        """Variables of the file to compare the model's state and diagnostics with, at labels `first` to `last` - 1.

        Returns:
            (last - first, n_columns, len(names)), model units; missing values are NaN.

        Raises:
            InputError: a name is not among the model's state and diagnostics, or not in the file.
        """
        if self._reference is None or self._reference.names != tuple(names):
            if self._reference is not None:
                self._reference.close()
            known = {variable.name: variable for variable in (*self.model.state, *self.model.diagnostics)}
            for name in names:
                if name not in known:
                    raise InputError(
                        f"reference variable '{name}' is none of the model's: expected one of {', '.join(known)}"
                    )
            wanted = [known[name] for name in names]
            self._reference = open_reference(self.path, wanted, self.times, block_bytes=self._block_bytes)
            if self._reference.missing:
                raise InputError(f"{self.path}: reference variables missing: {', '.join(self._reference.missing)}")
        return self._reference.read(first, last)

    def close(self) -> None:
        """Close the file and give all buffers back."""
        self._forcing.close()
        if self._reference is not None:
            self._reference.close()
            self._reference = None
        self._file.close()

    def __enter__(self) -> ColumnInput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_input(
    path: str | Path,
    model: ModelVariables,
    *,
    start: str | datetime.date | np.datetime64 | None = None,
    end: str | datetime.date | np.datetime64 | None = None,
    initial_state: Literal["file", "none"] = "file",
    block_bytes: int = BLOCK_BYTES,
) -> ColumnInput:
    """Open and check the input of a run.

    Args:
        path: netCDF file or zarr store (directory or .zip) with the dimensions time and x.
        model: tells which variables are needed, in which units and with which step.
        start: label of the first window, UTC; None: the file's first.
        end: end of the last window; None: one step after the file's last label, so that N labels make N windows.
        initial_state: "file": taken from the file at the start; "none": not looked for (a restart has it).
        block_bytes: memory for the forcing's buffer.

    Returns:
        The input; close it or use it as a context manager.

    Raises:
        InputError: anything about the file that does not fit, on one line.
    """
    if model.normalised_space:
        raise InputError(
            "the model lives in normalised space (its statistics are unknown); expected a model with units to run on a "
            "file"
        )
    if not model.step_seconds > 0.0:
        raise InputError(
            f"the model's step is {model.step_seconds:g} s (unknown); expected a positive step to run on a file"
        )
    file = ColumnFile(path)
    try:
        return ColumnInput(file, model, start, end, initial_state == "file", block_bytes)
    except BaseException:
        file.close()
        raise
