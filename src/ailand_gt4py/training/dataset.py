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

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.evaluation.scores.groups import soil_types
from ailand_gt4py.io.first_guess import FIRST_GUESSES
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.training.observed_data import Wanted, read_brightness, read_diagnostics
from ailand_gt4py.training.windows import Block, Values, WindowData, line_up
from ailand_gt4py.weights.variables import VariableSet

#: Values that are read at once, of all variables.
READ_VALUES = 32 << 20
#: Digits of a degree, after the point, to which locations are compared.
LOCATION_DIGITS = 4


def read_windows(
    paths: Sequence[str | Path],
    variables: VariableSet,
    *,
    exclude_boxes: Sequence[Sequence[float]] = (),
    exclude_locations_of: Sequence[str | Path] = (),
    exclude_points: Sequence[tuple[float, float]] = (),
    may_lack: Sequence[str] = (),
    observed: Wanted = Wanted(),  # noqa: B008  # frozen
    only_observed: Sequence[str | Path] = (),
    brightness: Sequence[str] = (),
    cache: Path | None = None,
) -> WindowData:
    """Read sources of one step (see `ailand_gt4py.io.sources`) and put their columns one after the other.

    Args:
        exclude_boxes: (south, north, west, east), degrees: columns inside are left out.
        exclude_locations_of: columns at the locations of these sources' columns are left out, too.
        exclude_points: (latitude, longitude), degrees: so are columns at these.
        may_lack: states that a source need not have: guessed by the values of the same label (`io.first_guess`).
        observed: diagnostics that are those observed in sources that have such, NaN in gaps.
        only_observed: those of the sources of which only what was observed is learnt: their states are first guesses
            from which runs begin, their diagnostics (which they need not have) are those observed.
        brightness: names of the brightness temperatures that are read where sources have them (obs_tbh).
        cache: existing directory for the arrays; None: they are in memory.
    """
    with contextlib.ExitStack() as stack:
        guesses = [Path(path) in set(map(Path, only_observed)) for path in paths]
        opened = zip(paths, guesses, strict=True)
        sources = [stack.enter_context(_open(path, variables, may_lack, is_guess)) for path, is_guess in opened]
        first = sources[0]
        for source in sources:
            if source.step != first.step:
                steps = step_text(source.step), step_text(first.step)
                raise InputError(f"{source.path}: its step is {steps[0]}, expected that of {first.path}, {steps[1]}")
            if len(source.times) < 2:
                raise InputError(f"{source.path}: {len(source.times)} times, expected at least 2")
        excluded = at_points = _locations(*np.reshape(exclude_points, (-1, 2)).T)
        for path in exclude_locations_of:
            with _open(path, variables, may_lack) as source:
                excluded = np.union1d(excluded, _locations(source.latitude, source.longitude))
        taken = [_kept(source, exclude_boxes, excluded) for source in sources]
        if not any(map(len, taken)):
            raise InputError(
                f"{', '.join(map(str, paths))}: no column is left, expected some outside of what is excluded"
            )
        data = _empty(sources, taken, guesses, variables, cache)
        if at_points.size:
            count = sum(np.isin(_locations(source.latitude, source.longitude), at_points).sum() for source in sources)
            data.history += (f"{count} columns are at the {at_points.size} points that are left out",)
        for number, (source, columns) in enumerate(zip(sources, taken, strict=True)):
            guessed = (
                f"{name} is missing: not learnt; guessed at the start of rollouts by {FIRST_GUESSES[name].how}"
                for name in source.lacking
            )
            data.history += tuple(f"{Path(source.path).name}: {line}" for line in (*source.history, *guessed))
            if len(columns):
                block = data.block(np.flatnonzero(data.source == number))
                _read(source, columns, block, variables, guesses[number])
        if observed.names:
            data.observed = read_diagnostics(sources, taken, data, variables, observed)
        positions = {variable.name: position for position, variable in enumerate(variables.state)}
        for block in data.blocks():
            source = sources[block.source]
            for name in source.lacking:
                guess = FIRST_GUESSES[name]
                inputs = {one: block.state[..., positions[one]] for one in guess.inputs}
                block.state[..., positions[name]] = guess.function(inputs, str(source.path))
        if brightness:
            data.brightness = read_brightness(sources, taken, data, variables, brightness)
    return data


def _open(
    path: str | Path, variables: VariableSet, may_lack: Sequence[str], only_observed: bool = False
) -> ColumnSource:
    """A source of any step, with the states and diagnostics to learn from."""
    template = (variables._replace(diagnostics=()) if only_observed else variables).template(0.0)
    return open_source(path, template, initial_state="none", own_step=True, may_lack=may_lack)


def _locations(latitude: Values, longitude: Values) -> Values:
    """(n,) a number of each location to `LOCATION_DIGITS`: the same from float32 and with 0 to 360 degrees."""
    unit = 10**LOCATION_DIGITS
    latitude, longitude = (np.rint(one * unit).astype(np.int64) for one in (latitude, longitude))
    return latitude * (360 * unit) + longitude % (360 * unit)


def _kept(source: ColumnSource, boxes: Sequence[Sequence[float]], excluded: Values) -> Values:
    kept = ~np.isin(_locations(source.latitude, source.longitude), excluded)
    for south, north, west, east in boxes:
        # Eastward from the western edge: right across the date line and for longitudes from 0 to 360, too.
        from_west = (source.longitude - west) % 360.0
        kept &= ~((source.latitude >= south) & (source.latitude <= north) & (from_west <= east - west))
    return np.flatnonzero(kept)


def _empty(
    sources: Sequence[ColumnSource],
    taken: Sequence[Values],
    guesses: Sequence[bool],
    variables: VariableSet,
    cache: Path | None,
) -> WindowData:
    """The arrays of the whole, values not read yet; ``guesses``: whether a source's states are no more than that."""
    source = np.repeat(np.arange(len(sources)), [len(columns) for columns in taken])
    n_windows = np.array([len(one.times) - 1 for one in sources])[source]
    n_rows = int(n_windows.sum())
    known = [
        [not is_guess and variable.name not in one.lacking for variable in variables.state]
        for one, is_guess in zip(sources, guesses, strict=True)
    ]

    def joined(name: str) -> Values:
        return np.concatenate([getattr(one, name)[columns] for one, columns in zip(sources, taken, strict=True)])

    def allocated(group: str, n_rows: int) -> Values:
        shape = (n_rows, len(variables.groups[group]))
        if cache is None:
            return np.empty(shape, dtype=np.float32)
        return np.lib.format.open_memmap(cache / f"{group}.npy", mode="w+", dtype=np.float32, shape=shape)

    return WindowData(
        static=joined("static").astype(np.float32),
        forcing=allocated("forcing", n_rows),
        state=allocated("state", n_rows + len(n_windows)),
        diagnostics=allocated("diagnostics", n_rows),
        n_windows=n_windows,
        source=source,
        times=tuple(one.times for one in sources),
        step_seconds=float(sources[0].step / np.timedelta64(1, "s")),
        latitude=joined("latitude"),
        longitude=joined("longitude"),
        climate=joined("climate").astype(str),
        soil=np.concatenate([_soils(one)[columns] for one, columns in zip(sources, taken, strict=True)]),
        state_known=np.array(known)[source],
    )


def _soils(source: ColumnSource) -> Values:
    """(n_columns,) class of the soil, "" where the source does not have it."""
    types = source.field("clim_sotype", "1")
    if types is None or not np.isfinite(types).all():
        return np.full(source.n_columns, "")
    return soil_types(types).labels


def _read(
    source: ColumnSource, columns: Values, target: Block, variables: VariableSet, only_observed: bool = False
) -> None:
    """Read a source's columns into the target, a block of times at once."""
    location = source.latitude[columns], source.longitude[columns]
    assembler = ForcingAssembler(source.model.forcing, *location, calendar=source.calendar)
    step_seconds = float(source.step / np.timedelta64(1, "s"))
    previous: Values | None = None
    there = np.array([k for k, one in enumerate(variables.state) if one.name not in source.lacking])
    diagnostics = () if only_observed else variables.diagnostics
    if only_observed:
        target.diagnostics[...] = np.nan
    wanted = (*(variables.state[position] for position in there), *diagnostics)
    n_labels = len(source.times)
    per_time = max(source.n_columns * (len(assembler.given) + len(wanted)), 1)
    step = max(1, READ_VALUES // per_time)
    for start in range(0, n_labels, step):
        stop = min(start + step, n_labels)
        windows = slice(start, min(stop, n_labels - 1))
        count = windows.stop - windows.start
        given = source.forcing(start, stop)[:count, columns]
        if count:
            forcing = target.forcing[:, windows].transpose(1, 0, 2)
            assembler.assemble(forcing, given, source.times[windows], step_seconds, previous)
            previous = assembler.of_window(forcing[-1])
        labelled = source.reference([variable.name for variable in wanted], start, stop)[:, columns]
        missing = ~np.isfinite(labelled)
        if missing.any():
            row, column, position = np.argwhere(missing)[0].tolist()
            raise InputError(
                f"{source.path}: variable '{wanted[position].name}' has {missing[..., position].sum()} values that are "
                f"not finite, the first at {time_text(source.times[start + row])} in column {column}; expected none"
            )
        by_column = labelled.transpose(1, 0, 2)
        target.state[:, start:stop][..., there] = by_column[..., : there.size]
        line_up(target.diagnostics, by_column[..., there.size :], start, diagnostics)
