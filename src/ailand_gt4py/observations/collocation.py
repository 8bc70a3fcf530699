"""Footprints brought to a run's columns: nearest in space, together in time, at one angle."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.lattices import unit_vectors
from ailand_gt4py.io.quality import expectation, impossible
from ailand_gt4py.observations import ease_grid
from ailand_gt4py.observations.footprints import POLARISATIONS, Footprints, Layout, joined, layout_of
from ailand_gt4py.weights.variables import CATALOGUE

logger = logging.getLogger(__name__)

#: Mean radius of the Earth, km.
EARTH_RADIUS = 6371.0
#: Part by which spacings of one grid may differ.
SAME_SPACING = 0.01


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which footprints are taken for observations of a column.

    Attributes:
        incidence: angle from nadir that the observation operator is for, degrees (SMAP's).
        incidence_tolerance: how far from it a footprint may be, degrees; half a class of SMOS.
        distance: how far the centre of a footprint's cell may be from a column, km; None: the column lies in the cell.
        interval: footprints of a column nearest to the same multiple of it are averaged.
        tolerance: how far these times may be from a label of a run (half a step at most), see `Observed.on_labels`.
    """

    incidence: float = 40.0
    incidence_tolerance: float = 2.5
    distance: float | None = None
    interval: np.timedelta64 = np.timedelta64(1, "h")  # noqa: RUF009  # immutable
    tolerance: np.timedelta64 = np.timedelta64(3, "h")  # noqa: RUF009

    def __post_init__(self) -> None:
        if self.distance is not None and not self.distance > 0.0:
            raise InputError(f"distance of footprints: found {self.distance:g} km, expected more than 0")
        if not self.incidence_tolerance >= 0.0:
            raise InputError(f"tolerance of angles: found {self.incidence_tolerance:g} degrees, expected 0 or more")
        if not self.interval > np.timedelta64(0):
            raise InputError(f"interval of footprints: found {step_text(self.interval)}, expected more than 0")


DEFAULT = Choice()


class Collocated(NamedTuple):
    """Means over the footprints of columns.

    Attributes:
        times: (n_times,) datetime64[ns], increasing. sentences: what was done.
        values, errors: name -> (n_times, n_columns) K; NaN where there are none, or an error is not known.
    """

    times: Values
    values: dict[str, Values]
    errors: dict[str, Values]
    sentences: list[str]


class _Near(NamedTuple):
    """Footprints near columns: which column each belongs to (n,), and the number of its file among all (n,)."""

    footprints: Footprints
    column: Values
    file: Values


def collocated(
    paths: Sequence[Path], layout: Layout, latitude: Values, longitude: Values, choice: Choice
) -> Collocated:
    """Means over the footprints of columns at locations (n_columns,), degrees, of files of one layout in any order.

    Each footprint counts at the column nearest to it, if that is near enough. The error of a mean is the mean of the
    footprints' errors, as if these erred alike: neighbours on a grid finer than the antenna's beam see the same ground.

    Raises:
        InputError: files of another layout or grid, or with the same observations; no footprint is near a column,
            recommended and at the wanted angle; an error is not above 0.
    """
    near = _near(paths, layout, latitude, longitude, choice)
    _require_once(near, paths)
    one = near.footprints
    there = np.isfinite(one.values) & ~np.isnat(one.times) & _possible(one, paths)
    is_right = np.abs(one.incidence - choice.incidence) <= choice.incidence_tolerance
    kept = there & one.recommended & is_right
    if not kept.any():
        raise InputError(f"{_named(paths)}: {_why_none(one, there, layout, choice)}")
    _require_errors(near, kept, paths)
    used, interval = kept.any(axis=0), choice.interval.astype("timedelta64[ns]").astype(np.int64)
    since = one.times[used].astype(np.int64)
    numbers, row = np.unique((since + interval // 2) // interval, return_inverse=True)
    at, shape = (row.reshape(-1), near.column[used]), (len(numbers), len(latitude))
    values, errors = (
        {name: _means(shape, at, of[k, used], kept[k, used]) for k, name in enumerate(POLARISATIONS)}
        for of in (one.values, one.errors)
    )
    counts = ", ".join(f"{count} of {name}" for name, count in zip(POLARISATIONS, kept.sum(axis=1), strict=True))
    n_reached = len(np.unique(at[1]))
    sentences = [
        f"{layout.name}: {counts} of {one.times.size} footprints near {n_reached} of {len(latitude)} columns "
        f"count: {layout.recommends}, at {choice.incidence:g} degrees within {choice.incidence_tolerance:g}.",
        f"Observed at the nearest label within {step_text(choice.tolerance)}, half a step at most.",
    ]
    return Collocated((numbers * interval).astype("datetime64[ns]"), values, errors, sentences)


def _named(paths: Sequence[Path]) -> str:
    """Half orbits of a year are thousands of files."""
    return f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"


def _near(paths: Sequence[Path], layout: Layout, latitude: Values, longitude: Values, choice: Choice) -> _Near:
    from scipy.spatial import KDTree  # takes its time

    with_location = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude))
    if not with_location.size:
        raise InputError(f"{_named(paths)}: no column of the run has a location, expected footprints near some")
    tree = KDTree(unit_vectors(latitude[with_location], longitude[with_location]))
    parts, columns, files, nearest, spacing = [], [], [], np.inf, 0.0
    for number, path in enumerate(paths):
        if (found := layout_of(path)) is not layout:
            raise InputError(
                f"{path}: is {'no file of footprints' if found is None else found.name}, expected {layout.name} as "
                f"{paths[0]}"
            )
        one = layout.read(path, choice.incidence)
        if spacing and abs(one.spacing / spacing - 1.0) > SAME_SPACING:
            raise InputError(
                f"{path}: footprints are posted at {one.spacing:.3g} km, expected {spacing:.3g} km as in {paths[0]}: "
                "both would be the same observations"
            )
        spacing = one.spacing
        located = np.flatnonzero(np.isfinite(one.latitude) & np.isfinite(one.longitude))
        if not located.size:
            continue
        chord, column = tree.query(unit_vectors(one.latitude[located], one.longitude[located]))
        distance = EARTH_RADIUS * 2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))
        if choice.distance is None:
            centre, of_run = (one.latitude[located], one.longitude[located]), with_location[column]
            is_near = ease_grid.in_cell(spacing, latitude[of_run], longitude[of_run], centre)
            # Beyond the edge of the global grid, cells are squares.
            is_near |= (np.abs(centre[0]) > ease_grid.EDGE_LATITUDE) & (distance <= spacing * np.sqrt(0.5))
        else:
            is_near = distance <= choice.distance
        nearest = min(nearest, distance.min())
        parts.append(one.at(located[is_near]))
        columns.append(with_location[column[is_near]])
        files.append(np.full(int(is_near.sum()), number))
    if not sum(map(len, columns)):
        far = f"the nearest is {nearest:.4g} km away" if np.isfinite(nearest) else "none has a location"
        within = "in whose cell it lies" if choice.distance is None else f"within {choice.distance:g} km"
        raise InputError(f"{_named(paths)}: no column has a footprint ({far}), expected some {within}")
    return _Near(joined(parts), np.concatenate(columns), np.concatenate(files))


def _require_once(near: _Near, paths: Sequence[Path]) -> None:
    """Check that no observation is in two files, as of two versions of a half orbit."""
    one = near.footprints
    times = one.times.astype(np.int64)
    order = np.lexsort((near.file, one.longitude, one.latitude, times))
    same = np.all([np.diff(part[order]) == 0 for part in (times, one.latitude, one.longitude)], axis=0)
    same &= (np.diff(near.file[order]) != 0) & ~np.isnat(one.times[order][1:])
    if same.any():
        first, second = order[np.argmax(same)], order[np.argmax(same) + 1]
        raise InputError(
            f"{paths[near.file[second]]}: {_where(one, second)} is in {paths[near.file[first]]}, too, expected each "
            "observation once"
        )


def _require_errors(near: _Near, kept: Values, paths: Sequence[Path]) -> None:
    wrong = np.argwhere(kept & (near.footprints.errors <= 0.0))
    if wrong.size:
        k, at = wrong[0]
        name, error = list(POLARISATIONS)[k], near.footprints.errors[k, at]
        raise InputError(
            f"{paths[near.file[at]]}: the error of '{name}' is {error:g} K in {_where(near.footprints, at)}, expected "
            "errors above 0"
        )


def _possible(one: Footprints, paths: Sequence[Path]) -> Values:
    """(2, n) whether values can be; what cannot is said, and not averaged with others."""
    found = np.ones(one.values.shape, dtype=bool)
    for k, name in enumerate(POLARISATIONS):
        variable, values = CATALOGUE[name].variable(), one.values[k]
        wrong = impossible(variable, values) & np.isfinite(values)
        found[k] = ~wrong
        if wrong.any():
            at = int(np.argmax(wrong))
            logger.warning(
                "%s: '%s' has %d impossible values, the first %g in %s, %s; they are left out",
                _named(paths), name, int(wrong.sum()), values[at], _where(one, at), expectation(variable, values[at]),
            )  # fmt: skip
    return found


def _where(one: Footprints, at: int) -> str:
    return f"the footprint at {one.latitude[at]:.2f} N, {one.longitude[at]:.2f} E of {time_text(one.times[at])}"


def _why_none(one: Footprints, there: Values, layout: Layout, choice: Choice) -> str:
    """Why no footprint counts, in words."""
    n_there, good = int(there.any(axis=0).sum()), (there & one.recommended).any(axis=0)
    if not n_there:
        return f"none of {one.times.size} footprints near columns has a time and a value that can be, expected some"
    if not good.any():
        return f"none of {n_there} footprints near columns is recommended, expected some of which {layout.recommends}"
    angles = one.incidence[good]
    if np.isnan(angles).all():
        return "the incidence angle of footprints near columns is missing, expected it"
    return (
        f"footprints near columns are observed at {np.nanmin(angles):.3g} to {np.nanmax(angles):.3g} degrees, expected "
        f"{choice.incidence:g} within {choice.incidence_tolerance:g}"
    )


def _means(shape: tuple[int, int], at: tuple[Values, Values], values: Values, chosen: Values) -> Values:
    """Means of those chosen by row and column; NaN where there are none, or one of them is NaN."""
    sums, counts = np.zeros((2, *shape))
    position = at[0][chosen], at[1][chosen]
    np.add.at(sums, position, values[chosen])
    np.add.at(counts, position, 1.0)
    return np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0.0)
