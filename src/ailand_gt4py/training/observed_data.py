"""What was observed at the columns of sources, lined up with their windows: diagnostics, and brightness temperatures.

Observations stand beside a source's own values (``obs_NAME``), or in files of their own, at times of their own
(`observations.observed`). Of windows shorter than the step, such as half-hours, the mean over the step is taken; a mean
over more than a step, such as a day's, is compared with that of the steps of a rollout
(`windows.ObservedDiagnostics`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.sources.column_file import ColumnFileSource
from ailand_gt4py.observations.brightness import clay_of
from ailand_gt4py.observations.observed import Observed, beside_values, read_observed
from ailand_gt4py.training.windows import ObservedBrightness, ObservedDiagnostics, Values, WindowData, line_up
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE, VariableSet


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is taken of the observations of diagnostics.

    Attributes:
        names: of the diagnostics. files: of observations by source, in place of those beside its own values.
        errors: by name standard deviations, in model units, where files do not tell them.
        least_measured: share of a window that has to be observed.
    """

    names: tuple[str, ...] = ()
    files: Mapping[Path, Sequence[Path]] = dataclasses.field(default_factory=dict)
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    least_measured: float = LEAST_MEASURED


def read_diagnostics(
    sources: Sequence[ColumnSource],
    taken: Sequence[Values],
    data: WindowData,
    variables: VariableSet,
    wanted: Wanted,
) -> ObservedDiagnostics:
    """Observations of diagnostics; where a source has some, they stand for its own values, with gaps.

    Args:
        taken: numbers of the columns of each source that are in ``data``, whose diagnostics and history are changed.

    Raises:
        InputError: something is wanted that was observed nowhere, or not in a source's windows; or an error is not
            above 0.
    """
    chosen = [one for one in variables.diagnostics if one.name in wanted.names]
    positions = np.array([variables.diagnostics.index(one) for one in chosen])
    is_observed = np.zeros((len(data.n_windows), len(variables.diagnostics)), dtype=bool)
    errors, means, begins, ends = np.full((4, len(data.forcing), len(chosen)), np.nan, dtype=np.float32)
    needs = []
    for number, (source, columns) in enumerate(zip(sources, taken, strict=True)):
        own = np.flatnonzero(data.source == number)
        files = wanted.files.get(Path(source.path), ())
        observed = _read(source, columns, [one.variable() for one in chosen], files) if len(own) else {}
        for k, variable in enumerate(chosen):
            if variable.name not in observed:
                continue
            one, name = observed[variable.name], Path(source.path).name
            # (n_columns, n_windows): views.
            error, mean, begin, end = (
                values[data.rows(own), k].reshape(len(own), -1) for values in (errors, means, begins, ends)
            )
            target = data.block(own).diagnostics[..., positions[k]]
            target[...] = np.nan
            if one.is_longer(source.step):
                # Only what lies in the source's windows as a whole.
                kept = one.within(source.times[0], source.times[-1]).well_measured(wanted.least_measured)
                last, from_begin, from_end = _in_steps(kept, source)
                error[:, last], mean[:, last] = kept.errors.T, kept.values.T
                begin[:, last], end[:, last] = from_begin, from_end
                n_steps = int(np.ceil(from_begin - 1e-6).max())
                what = f"{kept.count} means over {step_text(one.window)}, up to {n_steps} steps each"
                needs.append((f"means of '{variable.name}' over {step_text(one.window)} in {name}", n_steps))
            else:
                kept = one.on_labels(source.times, source.step).well_measured(wanted.least_measured)
                for values, labelled in ((target, kept.values), (error, kept.errors)):
                    line_up(values[..., None], labelled.T[..., None], 0, [variable])
                what = f"{kept.count} of {kept.values.size} windows"
            if variable.name in wanted.errors:
                error[...] = np.where(np.isnan(error), wanted.errors[variable.name], error)
            is_observed[own, positions[k]] = True
            data.history += (f"{name}: {variable.name} is observed, in {what}",)
    lacking = [one.name for one, k in zip(chosen, positions, strict=True) if not is_observed[:, k].any()]
    if lacking:
        raise InputError(
            f"option 'data.observed': found no source with observations of {', '.join(lacking)}, expected "
            f"{', '.join(f'obs_{name}' for name in lacking)} in one, or files in 'data.observations'"
        )
    return ObservedDiagnostics(positions, is_observed, errors, means, begins, ends, tuple(needs))


def _read(
    source: ColumnSource, columns: Values, variables: Sequence[Variable], files: Sequence[Path]
) -> dict[str, Observed]:
    """Observations at some columns of a source: of files, or beside its own values, if it has any."""
    if not files:
        if not isinstance(source, ColumnFileSource) or not beside_values(source.path, variables):
            return {}
        files = [source.path]
    latitude, longitude = source.latitude[columns], source.longitude[columns]
    return read_observed(files, variables, x=source.x[columns], latitude=latitude, longitude=longitude)


def _in_steps(observed: Observed, source: ColumnSource) -> tuple[Values, Values, Values]:
    """Of means (n,): the last window that each reaches into, and windows from begin and end to that one's end.

    Raises:
        InputError: they are of different lengths, as months are.
    """
    apart = np.diff(observed.times) / observed.window
    uneven = np.flatnonzero(np.abs(apart - np.round(apart)) > 1e-6)
    if uneven.size:
        times = [time_text(observed.times[uneven[0] + k]) for k in (0, 1)]
        raise InputError(
            f"observations of '{observed.name}' at {times[0]} and {times[1]}: found them {apart[uneven[0]]:g} times as "
            f"far apart as the nearest, {step_text(observed.window)}, expected means over windows of one length"
        )
    begin = (observed.times - source.times[0]) / source.step
    end = begin + observed.window / source.step
    last = np.ceil(end - 1e-6).astype(np.int64)
    return last - 1, last - begin, np.maximum(last - end, 0.0)


def read_brightness(
    sources: Sequence[ColumnSource],
    taken: Sequence[Values],
    data: WindowData,
    variables: VariableSet,
    names: Sequence[str],
) -> ObservedBrightness:
    """Brightness temperatures that sources have, and the columns' clay and vegetation; static inputs in model units.

    Raises:
        InputError: no source has any, or one that has them lacks the soil type, from which the clay fraction follows.
    """
    n_columns, wanted = len(data.n_windows), [CATALOGUE[name].variable() for name in names]
    values, errors = np.full((2, len(data.forcing), len(names)), np.nan, dtype=np.float32)
    clay = np.full(n_columns, np.nan)
    for number, (source, columns) in enumerate(zip(sources, taken, strict=True)):
        is_file = isinstance(source, ColumnFileSource) and len(columns) > 0
        if not is_file or not beside_values(source.path, wanted):
            continue
        location = source.latitude[columns], source.longitude[columns]
        found = read_observed([source.path], wanted, x=source.x[columns], latitude=location[0], longitude=location[1])
        own = np.flatnonzero(data.source == number)
        clay[own], rows = clay_of(source)[columns], data.rows(own)
        for k, name in enumerate(names):
            if name in found:
                there = found[name].on_labels(source.times, source.step)
                # At the windows' ends, where the dielectric model, one of mineral soils, holds.
                is_mineral = np.isfinite(clay[own])
                values[rows, k] = np.where(is_mineral, there.values[1:], np.nan).T.ravel()
                errors[rows, k] = there.errors[1:].T.ravel()
                count = int(np.isfinite(values[rows, k]).sum())
                data.history += (f"{Path(source.path).name}: {name} was observed at {count} windows' ends",)
    if not np.isfinite(values).any():
        raise InputError(
            f"option 'loss.terms': brightness temperature is to be learnt from, but no source has any of "
            f"{', '.join(f'obs_{name}' for name in names)} on mineral soil, expected some"
        )
    positions = {one.name: k for k, one in enumerate(variables.static)}

    def static(name: str) -> Values:
        return data.static[:, positions[name]]

    covers = np.stack([static(f"clim_cv{one}") * static(f"clim_veg_cov{one}") for one in "hl"])
    kinds = np.stack([static(f"clim_tv{one}") for one in "hl"])
    return ObservedBrightness(tuple(names), values, errors, clay, covers, kinds)
