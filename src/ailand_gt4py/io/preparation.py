"""Files of any convention, time step and grid as one file of columns: dimensions ``time`` and ``x``, a model's windows.

Each step takes fields and gives fields, lazily, so that a run reads block by block what it needs: convention (names,
units, meaning in time), grid to columns, forcing that follows from what is there, windows. A file that is one of
columns already is read as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import STANDARD, end_of, named_time, parse_time, step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import (
    conventions,
    grids,
    ground_albedo,
    ingredients,
    meaning,
    merging,
    naming,
    opening,
    site_guesses,
    time_labels,
    windows,
)
from ailand_gt4py.io.blocks import YEAR
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.conventions import Convention, convention_of
from ailand_gt4py.io.field_reader import gaps_of, require_present
from ailand_gt4py.io.fields import COLUMN, TIME, Fields
from ailand_gt4py.io.lattices import lattice_of
from ailand_gt4py.io.request import Reading, Request
from ailand_gt4py.io.resets import has_unknown_resets, with_known_resets
from ailand_gt4py.io.site_files import FILLED, UnknownSiteError
from ailand_gt4py.weights.model import ModelVariables, Template
from ailand_gt4py.weights.nodes import is_of_node
from ailand_gt4py.weights.variables import CATALOGUE


def open_columns(
    paths: Sequence[Path], request: Request, given: Mapping[Path, xr.Dataset] = MappingProxyType({})
) -> ColumnFile:
    """Columns of files that belong together, in the order given: what a file has, those after it need not have.

    Args:
        given: path -> data set in the place of what is in the file, which need not be there.

    Raises:
        InputError: a file cannot be read, naming it and the variable.
    """
    reading, opened = request.reading, list[tuple[xr.Dataset, int | None]]()
    try:
        for path in paths:
            opened.append((opening.as_in_file(given[path], path), None) if path in given else opening.open_file(path))
        dataset, size = opened[0]
        if len(paths) == 1 and size is not None and reading.convention is None and reading.selection.is_all:
            file = _as_it_is(paths[0], dataset, size, request)
            if file is not None:
                if reading.columns is not None:
                    file.keep(reading.columns.positions)
                return file
        file = _prepared(paths, opened, request)
        file.dataset.set_close(partial(_close, opened))  # what is made of data sets does not close them
        return file
    except BaseException:
        _close(opened)
        raise


def _close(opened: Sequence[tuple[xr.Dataset, int | None]]) -> None:
    for dataset, _ in opened:
        dataset.close()


def _prepared(paths: Sequence[Path], opened: Sequence[tuple[xr.Dataset, int | None]], request: Request) -> ColumnFile:
    """Columns of any files: what is in each of them, and its size."""
    request = _with_times(request, paths, [dataset for dataset, _ in opened])
    opened = [(_of_period(dataset, request), size) for dataset, size in opened]
    reading = request.reading
    files, estimates = _adapted(paths, opened, reading), reading.site.estimates_longwave

    def at_own_times(positions: Values | None) -> tuple[list[Fields], grids.Grid, Request]:
        columns, grid = grids.to_columns(files, reading.selection, positions)
        groups = merging.of_equal_times(columns)
        own = _with_step(request, groups)
        return [ingredients.at_own_times(one, own.model, estimates) for one in groups], grid, own

    groups, grid, own = at_own_times(None if reading.columns is None else reading.columns.positions)
    if reading.columns is not None and any(map(has_unknown_resets, groups)):
        # What values tell, those of all columns do.
        of_all = [with_known_resets(one) for one in at_own_times(None)[0]]
        groups = [dataclasses.replace(one, meanings=all_.meanings) for one, all_ in zip(groups, of_all, strict=True)]
    parts = [windows.to_windows(one, own) for one in groups]
    merged = merging.of_windows(parts)
    _require_reached(merged, request)
    guesses_ground = reading.guesses_ground or request.initial_state == "guess"
    merged = site_guesses.completed(merged, own.model, reading.site, guesses_ground)
    merged = ground_albedo.completed(merged, own.model)
    is_site = grid.n_points == 1 and "igbp_class" in merged.dataset
    merged = ingredients.of_windows(merged, own.model, estimates)
    return ColumnFile(paths[0], _written(merged), grid, merged.notes, is_site=is_site)


def _require_reached(fields: Fields, request: Request) -> None:
    """Check that what files have of the soil reaches all layers of a state that is taken from them."""
    wanted = [one.name for one in request.model.state] if request.initial_state == "file" else []
    for name in wanted:
        if name in fields.lacking and name not in fields.dataset:
            raise InputError(f"{fields.lacking[name]}, or --initial-state guess (ailand-column-run)")


def _adapted(paths: Sequence[Path], opened: Sequence[tuple[xr.Dataset, int | None]], reading: Reading) -> list[Fields]:
    """The fields of files; of a site that one does not tell where it is, others that have one location do."""
    found: dict[Path, Fields] = {}
    unknown: dict[Path, UnknownSiteError] = {}
    for path, one in zip(paths, opened, strict=True):
        try:
            found[path] = conventions.adapted(path, *one, reading.convention, reading.site)
        except UnknownSiteError as error:
            unknown[path] = error
    if unknown:
        cells = [cell for one in found.values() if (cell := lattice_of(one)) is not None and cell.n_cells == 1]
        if not cells:
            raise next(iter(unknown.values()))
        nearby = float(cells[0].latitude[0]), float(cells[0].longitude[0])
        site = dataclasses.replace(reading.site, nearby=nearby)
        again = {path: one for path, one in zip(paths, opened, strict=True) if path in unknown}
        found |= {path: conventions.adapted(path, *one, reading.convention, site) for path, one in again.items()}
    return [_with_assumptions(found[path]) for path in paths]


def _with_assumptions(fields: Fields) -> Fields:
    """The same with sentences on forcing that says nothing of its meaning in time."""
    silent = [
        name
        for name, one in fields.meanings.items()
        if one.source == meaning.ASSUMED and one.kind == "mean" and merging.is_forcing(name)
    ]
    if not silent:
        return fields
    note = f"Time labels: no cell_methods, taken as means from their labels on: {', '.join(silent)}."
    return dataclasses.replace(fields, notes=[*fields.notes, note])


def _with_times(request: Request, paths: Sequence[Path], datasets: Sequence[xr.Dataset]) -> Request:
    """The same with its times in the calendar of the first file that has times."""
    labels = [
        (dataset[own].attrs, f"{path}: variable '{own}'")
        for path, dataset in zip(paths, datasets, strict=True)
        if (own := naming.own_time_of(dataset)) is not None
    ]
    calendar = time_labels.calendar_of(*labels[0]) if labels else STANDARD
    start = None if request.start is None else named_time(request.start, calendar, "start")
    end = (
        request.end
        if start is None and isinstance(request.end, np.timedelta64)
        else end_of(request.end, start, calendar)
    )
    return dataclasses.replace(request, start=start, end=end)


def _of_period(dataset: xr.Dataset, request: Request) -> xr.Dataset:
    """What is in a file near the period of the request, and a year around it if a climate is wanted, if it is large."""
    time, around = naming.own_time_of(dataset), YEAR * int(request.initial_state == "guess")
    first = None if request.start is None else parse_time(request.start)
    last = end_of(request.end, first)
    first, last = None if first is None else first - around, None if last is None else last + around
    return dataset if time is None else opening.of_period(dataset, time, first, last)


def _with_step(request: Request, groups: Sequence[Fields]) -> Request:
    """The same; of a model whose step is that of the files, the longest distance of times of one with forcing."""
    if not request.own_step:
        return request
    distances = [
        np.diff(one.dataset[TIME].values).min()
        for one in groups
        if TIME in one.dataset.dims and one.dataset.sizes[TIME] > 1 and any(map(merging.is_forcing, merging.timed(one)))
    ]
    step = max(distances, default=step_of(request.model.step_seconds))
    model = request.model
    template = Template(model.static, model.forcing, model.state, model.diagnostics, step / np.timedelta64(1, "s"))
    return dataclasses.replace(request, model=template)


def _written(fields: Fields) -> xr.Dataset:
    """The fields as a file has them: with a dimension of time, though it be of one."""
    if TIME in fields.dataset.dims:
        return fields.dataset
    filled = next((f" ({note.rstrip('.')})" for note in fields.notes if note.startswith(FILLED)), "")
    raise InputError(
        f"{fields.path}: has no known variables with values through time{filled}, expected some (in this or another "
        "file)"
    )


def _as_it_is(path: Path, dataset: xr.Dataset, size: int, request: Request) -> ColumnFile | None:
    """A file that has columns, names and times as a model takes them; None where something has to be done first."""
    convention = convention_of(dataset)
    if not {TIME, COLUMN} <= set(dataset.dims) or convention.adapt is not None:
        return None
    file = ColumnFile(path, dataset, size=size)
    model = request.model
    try:
        own_names = _own_names(file, model)
        has_other_names = any("standard_name" in array.attrs for array in dataset.data_vars.values())
        if file.find(grids.LAND) is not None or naming.has_other_times(dataset):
            return None
        if naming.other_quantities(path, dataset, own_names) or naming.other_directions(dataset, own_names):
            return None
        if not own_names.keys() - {"lat", "lon"} and has_other_names:
            return None
        if any(set(dataset[own].dims) - {TIME, COLUMN} for own in own_names.values()):
            return None
        known = [one.name for one in model.static if is_of_node(one.name)]
        require_present(file, model, request.with_state, gaps_of(file, request), known)
        fields = _as_fields(file, own_names, convention)
        step = step_of(model.step_seconds) if not request.own_step else _own_step(fields)
        return file if windows.are_windows(fields, step) else None
    except InputError:
        return None


def _own_names(file: ColumnFile, model: ModelVariables) -> dict[str, str]:
    """Names of a model's variables and locations in a file."""
    names = [one.name for group in (model.static, model.forcing, model.state, model.diagnostics) for one in group]
    found = {name: file.find(name) for name in (*names, "lat", "lon")}
    return {name: own for name, own in found.items() if own is not None}


def _as_fields(file: ColumnFile, own_names: Mapping[str, str], convention: Convention) -> Fields:
    """What a file says of its times, without its values."""
    known = {name: own for name, own in own_names.items() if name in CATALOGUE}
    found, _ = meaning.meanings(file.path, file.dataset, TIME, known, convention)
    times = xr.Dataset(coords={TIME: (TIME, file.times())})
    return Fields(file.path, times, known, found)


def _own_step(fields: Fields) -> np.timedelta64:
    times = fields.dataset[TIME].values
    return np.diff(times).min() if len(times) > 1 else step_of(0.0)


def labels_of(
    paths: Sequence[Path], request: Request, given: Mapping[Path, xr.Dataset] = MappingProxyType({})
) -> tuple[Values, str]:
    """All time labels of files, datetime64[ns], and their calendar."""
    with open_columns(paths, request, given) as file:
        return file.times(), file.calendar
