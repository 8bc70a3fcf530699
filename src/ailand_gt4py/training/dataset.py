"""Reading sources of columns, lined up as (state at t, forcing over [t, t + step)) -> (state at t + step, diagnostics).

A source holds one label t per step: states and screen-level quantities are instantaneous at t, forcing and fluxes are
means over [t, t + step). What a step of the emulator gives for the window that starts at t is therefore compared with

* the state at label t + step,
* a diagnostic "window end" (t2m, d2m, skt) at label t + step,
* a diagnostic "window mean" (fluxes) at label t.

A source is read once, some times after the other, into arrays that may lie in files, so that data larger than the
memory can be learnt from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.first_guess import FIRST_GUESSES
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.training.windows import COLUMN_BLOCK, Values, WindowData, allocate
from ailand_gt4py.weights.variables import Specification, VariableSet

#: Values that are read at once, of all variables.
READ_VALUES = 32 << 20
#: Digits of a degree, after the point, to which locations are compared.
LOCATION_DIGITS = 4


class _Target:
    """Where one source's columns lie in the arrays of the whole."""

    def __init__(self, data: WindowData, columns: slice, times: Values) -> None:
        self.data, self.columns, self.times = data, columns, times
        n, length = columns.stop - columns.start, len(times) - 1
        row = int(data.first_row[columns.start])
        rows, state_rows = (
            slice(row, row + n * length),
            slice(row + columns.start, row + columns.start + n * (length + 1)),
        )
        self.forcing = data.forcing[rows].reshape(n, length, data.forcing.shape[1])
        self.state = data.state[state_rows].reshape(n, length + 1, data.state.shape[1])
        self.diagnostics = data.diagnostics[rows].reshape(n, length, data.diagnostics.shape[1])


def read_windows(
    paths: Sequence[str | Path],
    variables: VariableSet,
    *,
    exclude_boxes: Sequence[Sequence[float]] = (),
    exclude_locations_of: Sequence[str | Path] = (),
    may_lack: Sequence[str] = (),
    cache: Path | None = None,
) -> WindowData:
    """Read sources and put their columns one after the other.

    Args:
        paths: of the sources (see `ailand_gt4py.io.sources`); their steps must be equal, their times need not.
        variables: to read.
        exclude_boxes: (south, north, west, east), degrees: columns inside are left out.
        exclude_locations_of: columns at the locations of these sources' columns are left out, too.
        may_lack: states that a source need not have; what they are is guessed as `ailand-column-run` does for a first
            state (`io.first_guess`), by the values of the same label.
        cache: existing directory for the arrays; None: they are in memory.

    Raises:
        InputError: a source or variable is missing, a dimension, unit or time axis is not what is needed, no column is
            left, or a value is not finite.
    """
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(_open(path, variables, may_lack)) for path in paths]
        first = sources[0]
        for path, source in zip(paths, sources, strict=True):
            if source.step != first.step:
                raise InputError(f"{path}: its step is {source.step}, expected that of {paths[0]}, {first.step}")
            if len(source.times) < 2:
                raise InputError(f"{path}: {len(source.times)} times, expected at least 2")
        excluded = _locations_of(exclude_locations_of, variables, may_lack)
        taken = [_kept(source, exclude_boxes, excluded) for source in sources]
        if not any(len(columns) for columns in taken):
            raise InputError(
                f"{', '.join(map(str, paths))}: no column is left, expected some outside of what is excluded"
            )
        data = _empty(sources, taken, variables, cache)
        data.history = tuple(
            f"{Path(path).name}: {line}"
            for path, source in zip(paths, sources, strict=True)
            for line in (*source.history, *map(_guess_sentence, source.lacking))
        )
        start = 0
        for path, source, columns in zip(paths, sources, taken, strict=True):
            stop = start + len(columns)
            if stop > start:
                _read(path, source, columns, _Target(data, slice(start, stop), source.times), variables)
            start = stop
    return data


def _open(path: str | Path, variables: VariableSet, may_lack: Sequence[str]) -> ColumnSource:
    """A source of any step, with the states and diagnostics to learn from."""
    return open_source(path, variables.template(0.0), initial_state="none", own_step=True, may_lack=may_lack)


def _locations(source: ColumnSource) -> list[tuple[int, int]]:
    """Location of each column to `LOCATION_DIGITS`: the same from float32 and with longitudes from 0 to 360."""
    unit = 10**LOCATION_DIGITS
    latitude = np.rint(source.latitude * unit).astype(np.int64)
    longitude = np.rint(source.longitude * unit).astype(np.int64) % (360 * unit)
    return list(zip(latitude.tolist(), longitude.tolist(), strict=True))


def _locations_of(paths: Sequence[str | Path], variables: VariableSet, may_lack: Sequence[str]) -> set[tuple[int, int]]:
    """Locations of all columns of some sources."""
    found: set[tuple[int, int]] = set()
    for path in paths:
        with _open(path, variables, may_lack) as source:
            found.update(_locations(source))
    return found


def _kept(source: ColumnSource, boxes: Sequence[Sequence[float]], excluded: set[tuple[int, int]]) -> Values:
    """Numbers of the columns that are not excluded."""
    kept = np.array([location not in excluded for location in _locations(source)], dtype=bool)
    for south, north, west, east in boxes:
        # Eastward from the western edge: right across the date line and for longitudes from 0 to 360, too.
        from_west = (source.longitude - west) % 360.0
        kept &= ~((source.latitude >= south) & (source.latitude <= north) & (from_west <= east - west))
    return np.flatnonzero(kept)


def _empty(
    sources: Sequence[ColumnSource], taken: Sequence[Values], variables: VariableSet, cache: Path | None
) -> WindowData:
    """The arrays of the whole, values not read yet."""
    counts = [len(columns) for columns in taken]
    n_windows = np.repeat([len(source.times) - 1 for source in sources], counts).astype(np.int64)
    n_rows, n_columns = int(n_windows.sum()), len(n_windows)

    def joined(name: str) -> Values:
        return np.concatenate([getattr(source, name)[columns] for source, columns in zip(sources, taken, strict=True)])

    return WindowData(
        static=joined("static").astype(np.float32),
        forcing=allocate((n_rows, len(variables.forcing)), cache, "forcing"),
        state=allocate((n_rows + n_columns, len(variables.state)), cache, "state"),
        diagnostics=allocate((n_rows, len(variables.diagnostics)), cache, "diagnostics"),
        n_windows=n_windows,
        source=np.repeat(np.arange(len(sources)), counts),
        times=tuple(source.times for source in sources),
        step_seconds=float(sources[0].step / np.timedelta64(1, "s")),
        latitude=joined("latitude"),
        longitude=joined("longitude"),
        climate=joined("climate").astype(str),
        x=joined("x").astype(str),
        state_known=np.repeat(
            [[variable.name not in source.lacking for variable in variables.state] for source in sources],
            counts,
            axis=0,
        ),
    )


def _read(path: str | Path, source: ColumnSource, columns: Values, target: _Target, variables: VariableSet) -> None:
    """Read a source's columns into the target, a block of times at once."""
    assembler = ForcingAssembler(source.model.forcing, source.latitude[columns], source.longitude[columns])
    previous: Values | None = None
    known = [position for position, variable in enumerate(variables.state) if variable.name not in source.lacking]
    targets = (*(variables.state[position] for position in known), *variables.diagnostics)
    n_known, n_labels = len(known), len(source.times)
    per_time = max(source.n_columns * (len(assembler.given) + len(targets)), 1)
    step = max(1, READ_VALUES // per_time)
    for start in range(0, n_labels, step):
        stop = min(start + step, n_labels)
        windows = slice(start, min(stop, n_labels - 1))
        count = windows.stop - windows.start
        given = source.forcing(start, stop)[:count, columns]
        if count:
            forcing = target.forcing[:, windows].transpose(1, 0, 2)
            assembler.assemble(forcing, given, source.times[windows], target.data.step_seconds, previous)
            previous = assembler.of_window(forcing[-1])
        labelled = source.reference([variable.name for variable in targets], start, stop)[:, columns]
        _require_finite(path, source, targets, labelled, start)
        by_column = labelled.transpose(1, 0, 2)
        target.state[:, start:stop][..., known] = by_column[..., :n_known]
        line_up(target.diagnostics, by_column[..., n_known:], start, variables.diagnostics)
    for first in range(0, len(columns), COLUMN_BLOCK):
        for name in source.lacking:
            _guess(path, name, target.state[first : first + COLUMN_BLOCK], variables)


def _guess(path: str | Path, name: str, state: Values, variables: VariableSet) -> None:
    """Fill in the first guess of a state that a source lacks.

    Args:
        name: of the state; one of `io.first_guess.guessable`.
        state: (n, n_labels, n_state), the others read; written.
    """
    positions = {variable.name: position for position, variable in enumerate(variables.state)}
    guess = FIRST_GUESSES[name]
    inputs = {one: state[..., positions[one]] for one in guess.inputs}
    state[..., positions[name]] = guess.function(inputs, str(path))


def _guess_sentence(name: str) -> str:
    return f"{name} is not there: not learnt, where runs begin guessed by {FIRST_GUESSES[name].how}"


def line_up(windows: Values, labelled: Values, first: int, diagnostics: Sequence[Specification]) -> None:
    """Put diagnostics by label where their windows are.

    Args:
        windows: (n_columns, n_windows, n_diagnostics), window k from label k to label k + 1; written.
        labelled: (n_columns, n_labels, n_diagnostics) of the labels from ``first`` on.

    Raises:
        InputError: a time meaning other than ``window end`` or ``window mean``.
    """
    n_windows, last = windows.shape[1], first + labelled.shape[1]
    for position, variable in enumerate(diagnostics):
        shift = {"window end": 1, "window mean": 0}.get(variable.time_meaning)
        if shift is None:
            raise InputError(
                f"diagnostic '{variable.name}': time meaning '{variable.time_meaning}', expected 'window end' or "
                "'window mean'"
            )
        begin, end = max(first - shift, 0), min(last - shift, n_windows)
        windows[:, begin:end, position] = labelled[:, begin + shift - first : end + shift - first, position]


def _require_finite(
    path: str | Path, source: ColumnSource, targets: Sequence[Specification], labelled: Values, first: int
) -> None:
    finite = np.isfinite(labelled)
    if finite.all():
        return
    row, column, position = (int(part) for part in np.argwhere(~finite)[0])
    raise InputError(
        f"{path}: variable '{targets[position].name}' has {int((~finite[..., position]).sum())} values that are "
        f"not finite, the first at {str(source.times[first + row])[:16]} in column {column}; "
        "expected all it is to learn from"
    )


def location_groups(data: WindowData) -> Any:
    """(n_columns,) "class/location" of each column, for `windows.split_columns`."""
    locations = zip(data.climate, data.latitude, data.longitude, strict=True)
    return np.array([f"{climate}/{latitude:.4f},{longitude:.4f}" for climate, latitude, longitude in locations])
