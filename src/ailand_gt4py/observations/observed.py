"""What was observed: values of one variable through time, with errors, and how much of each was measured.

Files have observations by the variables' own names, in any convention that ailand-column-run reads, or beside a
model's values with ``obs_`` before the name, as files of this project have them: ``obs_sshf``, with ``obs_sshf_error``
(standard deviation) and ``obs_qc`` or ``obs_sshf_qc`` (share of the window that was measured) where they have these.
Brightness temperatures are read from satellites' files, too (`observations.footprints`).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ailand_gt4py.core.constants import LEAST_MEASURED
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import Paths, expanded
from ailand_gt4py.core.times import step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import meaning, naming, opening
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.fields import TIME
from ailand_gt4py.io.matching import Columns, match
from ailand_gt4py.io.preparation import open_columns
from ailand_gt4py.io.quality import expectation, impossible
from ailand_gt4py.io.reference import at_site, reference_request
from ailand_gt4py.io.request import AS_THEY_ARE, Reading
from ailand_gt4py.observations.collocation import DEFAULT, Choice, collocated
from ailand_gt4py.observations.footprints import POLARISATIONS, Layout, layout_of
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE

logger = logging.getLogger(__name__)

#: Stands before the name of what was observed in files that have a model's values, too.
PREFIX = "obs_"
#: What follows it for some variables, beside their own names.
SHORT = {"rnet": "rn", "ghf": "g"}

#: Begins sentences on what runs need, and observations do not.
OF_INPUT = "Not in the input"

_EXACT = np.timedelta64(0, "ns")
#: How far a share may be below 0 or above 1: files pack them.
_SLACK = 1e-3


@dataclasses.dataclass(frozen=True)
class Observed:
    """Values of one variable that were observed at columns.

    Attributes:
        variable: name, units, and meaning in time: "window mean" of a mean over [t, t + window), else at t.
        times: (n_times,) datetime64[ns], increasing: labels t. window: length of the mean's window.
        values: (n_times, n_columns) float64, NaN where nothing was observed.
        errors: (n_times, n_columns) standard deviations above 0; NaN where they are not known.
        measured: (n_times, n_columns) share of the window that was measured, 0 to 1. What errors and shares are where
            there are no values does not matter.
        tolerance: how far an instant may be from a label that it is taken for.
        source: names the file that it is from, for messages.
    """

    variable: Variable
    times: Values
    window: np.timedelta64
    values: Values
    errors: Values
    measured: Values
    tolerance: np.timedelta64 = _EXACT
    source: str = ""

    def __post_init__(self) -> None:
        what = self.what
        shapes = {one.shape for one in (self.values, self.errors, self.measured)}
        if len(shapes) > 1 or self.values.shape[:1] != self.times.shape or self.values.ndim != 2:
            raise InputError(f"{what}: found the shapes {sorted(shapes)}, expected (n_times, n_columns) of all")
        gaps = np.diff(self.times)
        if (gaps <= np.timedelta64(0)).any():
            worst = int(np.argmax(gaps <= np.timedelta64(0)))
            raise InputError(
                f"{what}: the time {time_text(self.times[worst + 1])} follows {time_text(self.times[worst])}, expected "
                "increasing times, each once"
            )
        known = np.isfinite(self.values)
        wrong = known & (self.errors <= 0.0)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{what}: found an error of {self.errors[row, column]:g} {self.variable.units} at "
                f"{time_text(self.times[row])}, expected errors above 0"
            )
        wrong = np.abs(self.measured - 0.5) > 0.5 + _SLACK
        if (wrong & known).any():
            found = self.measured[wrong & known][0]
            raise InputError(f"{what}: found {found:g} as the share of a window that was measured, expected 0 to 1")

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def what(self) -> str:
        """Names it, for messages."""
        return f"{f'{self.source}: ' if self.source else ''}observations of '{self.name}'"

    @property
    def is_mean(self) -> bool:
        return self.variable.time_meaning == "window mean"

    @property
    def count(self) -> int:
        return int(np.isfinite(self.values).sum())

    def only(self, counted: Values) -> Self:
        """Those where (n_times, n_columns) booleans are true; gaps elsewhere."""
        return dataclasses.replace(self, values=np.where(counted, self.values, np.nan))

    def well_measured(self, least: float = LEAST_MEASURED) -> Self:
        """Without means of which less was measured.

        Raises:
            InputError: none is left.
        """
        kept = self.only(self.measured >= least)
        if self.count and not kept.count:
            raise InputError(
                f"{self.what}: of all {self.count} less than {least:g} was measured (the best: "
                f"{np.nanmax(np.where(np.isfinite(self.values), self.measured, np.nan)):g}), expected some with more"
            )
        return kept

    def is_longer(self, step: np.timedelta64) -> bool:
        """Whether these are means over more than a step: of a run they have to be made."""
        return self.is_mean and bool(self.window > step)

    def within(self, begin: np.datetime64, end: np.datetime64) -> Self:
        """Those that lie wholly in a period.

        Raises:
            InputError: nothing was observed there.
        """
        inside = (self.times >= begin) & (self.times + self.window <= end)
        names = ("times", "values", "errors", "measured")
        found = dataclasses.replace(self, **{name: getattr(self, name)[inside] for name in names})
        if self.count and not found.count:
            raise self._not_there(f"means over {step_text(self.window)}", begin, end)
        return found

    def _not_there(self, what: str, begin: np.datetime64, end: np.datetime64) -> InputError:
        first, last = (time_text(self.times[np.isfinite(self.values).any(axis=1)][at]) for at in (0, -1))
        return InputError(
            f"{self.what} are from {first} to {last}, expected some {what} from {time_text(begin)} to {time_text(end)}"
        )

    def on_labels(self, labels: Values, step: np.timedelta64) -> Self:
        """At a run's labels, a step apart: of shorter windows the mean of those within each step.

        The error of a mean is that of one of its values, as if all erred alike; of the step as much is measured as of
        its windows together. Instants are those at the labels; with a tolerance the mean of those to which a label is
        the nearest (the later one of two), within the tolerance and half a step.

        Raises:
            InputError: windows are longer than the step, or nothing was observed at these labels.
        """
        labels = np.asarray(labels).astype("datetime64[ns]")
        if self.is_longer(step):
            raise InputError(
                f"{self.what} are means over {step_text(self.window)}, expected means over "
                f"{step_text(step)}, the step, or less"
            )
        n_columns = self.values.shape[1]
        position, inside = self._at(labels, step)
        values, errors, measured, counts = np.zeros((4, len(labels), n_columns))
        known = np.isfinite(self.values) & inside[:, None]
        at = position[inside]
        for sums, one in (
            (counts, known),
            (values, np.where(known, self.values, 0.0)),
            (errors, np.where(known, self.errors, 0.0)),
            (measured, np.where(known, self.measured, 0.0)),
        ):
            np.add.at(sums, at, one[inside])
        with np.errstate(invalid="ignore", divide="ignore"):
            means, usual = values / counts, errors / counts
        share = measured * (self.window / step) if self.is_mean else measured
        found = dataclasses.replace(self, times=labels, values=means, errors=usual, measured=np.minimum(share, 1.0))
        found = dataclasses.replace(found, window=step)
        if self.count and not found.count:
            within = f" within {step_text(min(self.tolerance, step / 2))}" if self.tolerance > _EXACT else ""
            where = (
                f"within steps of {step_text(step)}" if self.is_mean else f"at labels every {step_text(step)}{within},"
            )
            raise self._not_there(where, labels[0], labels[-1])
        return found

    def _at(self, labels: Values, step: np.timedelta64) -> tuple[Values, Values]:
        """(n_times,) position of the label of each observation, and whether it has one."""
        position = np.searchsorted(labels, self.times, side="right") - 1
        if not self.is_mean:
            following = np.minimum(position + 1, len(labels) - 1)
            position = np.maximum(position, 0)
            is_nearer = labels[following] - self.times <= self.times - labels[position]
            position = np.where(is_nearer, following, position)
            return position, np.abs(self.times - labels[position]) <= min(self.tolerance, step / 2)
        start = labels[np.maximum(position, 0)]
        return position, (position >= 0) & (self.times + self.window <= start + step)


def read_observed(
    paths: Paths,
    variables: Iterable[Variable],
    *,
    x: Values | None = None,
    latitude: Values | None = None,
    longitude: Values | None = None,
    reading: Reading = AS_THEY_ARE,
    named: Mapping[str, str] | None = None,
    choice: Choice = DEFAULT,
) -> dict[str, Observed]:
    """Observations of those of some variables that files have, by name, at their own times.

    What cannot be is left out, and said; so is where ``obs_`` stands before the name. Columns are matched with those
    given by their labels ``x`` and locations (degrees); footprints of satellites as ``choice`` says.

    Args:
        named: what files call variables that have other names there, ``{"stl1": "obs_stl"}``.

    Raises:
        InputError: files have none of the variables, units are unknown, times do not increase, errors are not above 0,
            shares not from 0 to 1.
    """
    wanted = {variable.name: variable for variable in variables}
    files = expanded(paths)
    layout = layout_of(files[0]) if files else None
    if layout is not None:
        return _of_footprints(files, layout, wanted, latitude, longitude, choice)
    reading = at_site(reading, latitude, longitude)
    other = named or {}
    prefixed = {name: (other[name],) if name in other else _own_names(name) for name in wanted}
    asked = [*wanted.values(), *(_renamed(wanted[name], own) for name, names in prefixed.items() for own in names)]
    request = dataclasses.replace(reference_request(asked, None, None, reading), leaves_out=False)
    own = [name for names in prefixed.values() for name in names if name not in CATALOGUE]
    file = _beside_values(files, own) or open_columns(files, request)
    try:
        for sentence in file.notes:
            if not sentence.startswith(OF_INPUT):
                logger.info("  %s", sentence)
        times = file.times()
        if len(times) < 2:
            raise InputError(f"{file.path}: has {len(times)} times, expected several observations")
        step = np.diff(times).min()
        for sentence in match(file, Columns(x, latitude, longitude)):
            logger.info("  %s", sentence)
        own_names = {name: one for name, names in prefixed.items() for one in names if file.find(one) is not None}
        prefix = PREFIX if own_names else ""
        found = {}
        for name, variable in wanted.items():
            own_name = own_names.get(name, "") if prefix else name
            values = _read(file, own_name, variable) if own_name else None
            if values is not None:
                found[name] = _observed(file, own_name, variable, values, times, step)
    finally:
        file.close()
    empty = [name for name, one in found.items() if not one.count]
    if found and len(empty) == len(found):
        raise InputError(f"{file.path}: {', '.join(empty)} has no value at any time, expected observations")
    for name in empty:
        logger.warning("%s: has no value at any time; it is left out", found.pop(name).what)
    if not found:
        raise _nothing_of(wanted, file.path)
    return found


def _nothing_of(wanted: Iterable[str], path: Path) -> InputError:
    return InputError(f"{path}: nothing in it was observed of {', '.join(wanted)}, expected some")


def _of_footprints(
    paths: Sequence[Path],
    layout: Layout,
    wanted: Mapping[str, Variable],
    latitude: Values | None,
    longitude: Values | None,
    choice: Choice,
) -> dict[str, Observed]:
    if not wanted.keys() & POLARISATIONS.keys():
        raise _nothing_of(wanted, paths[0])
    if latitude is None or longitude is None:
        raise InputError(f"{paths[0]}: is {layout.name}, expected latitude and longitude of the columns beside it")
    found = collocated(paths, layout, latitude, longitude, choice)
    for sentence in found.sentences:
        logger.info("  %s", sentence)
    return {
        name: Observed(
            variable=wanted[name],
            times=found.times,
            window=choice.interval,
            values=values,
            errors=found.errors[name],
            measured=np.ones(values.shape),
            tolerance=choice.tolerance,
            source=str(paths[0]),
        )
        for name, values in found.values.items()
        if name in wanted
    }


def beside_values(path: Path, variables: Sequence[Variable]) -> bool:
    """Whether a file has observations of some variables beside a model's values of them."""
    file = _beside_values([Path(path)], [name for one in variables for name in _own_names(one.name)])
    if file is not None:
        file.close()
    return file is not None


def _beside_values(paths: Sequence[Path], names: Sequence[str]) -> ColumnFile | None:
    """The file that has observations by some names beside a model's values, as it is; None where none has.

    What makes columns of other files knows nothing of these names: the model's own values would stand for what was
    observed.

    Raises:
        InputError: several files have some, or one has no dimensions of time and columns.
    """
    found: ColumnFile | None = None
    for path in paths:
        dataset, size = opening.open_file(path)
        own = {str(name).lower(): str(name) for name in dataset.data_vars}
        there = [own[name.lower()] for name in names if name.lower() in own]
        if not there:
            dataset.close()
            continue
        if found is not None:
            dataset.close()
            found.close()
            raise InputError(
                f"{path}: has '{there[0]}', and so has {found.path}; expected names that begin with '{PREFIX}' in one "
                "of the files"
            )
        dataset, notes = naming.at_valid_times(path, dataset)
        found = ColumnFile(path, dataset, notes=notes, size=size)
    return found


def _own_names(name: str) -> tuple[str, str]:
    return PREFIX + name, PREFIX + SHORT.get(name, name)


def _renamed(variable: Variable, name: str) -> Variable:
    return dataclasses.replace(variable, name=name)


def _read(file: ColumnFile, own_name: str, variable: Variable, *, is_difference: bool = False) -> Values | None:
    """(n_times, n_columns) in the variable's units; None where the file does not have it through time.

    ``is_difference``: whether a degree Celsius is a kelvin, as of standard deviations.
    """
    source = file.source(own_name, variable.units)
    if source is None:
        return None
    conversion = dataclasses.replace(source.conversion, offset=0.0) if is_difference else source.conversion
    values = file.read(source.own_name, slice(0, file.n_times), slice(0, file.n_columns))
    return conversion.apply(values).astype(np.float64)


def _meant(
    file: ColumnFile, own_name: str, variable: Variable, times: Values, step: np.timedelta64
) -> tuple[Values, np.timedelta64]:
    """Starts and length of the windows of what stands beside a model's values, by its metadata; instants as they are.

    Raises:
        InputError: values are none of means and instants.
    """
    own = str(file.find(own_name))
    found, notes = meaning.meanings(file.path, file.dataset, TIME, {own: own}, file.convention, {own: variable})
    notes += naming.other_directions(file.dataset, {variable.name: own})
    notes += naming.other_quantities(file.path, file.dataset, {variable.name: own})
    for sentence in notes:
        logger.warning("%s: %s", file.path, sentence)
    one = found[own]
    if variable.time_meaning != "window mean" or one.kind != "mean":
        return times, step
    window = step if one.interval is None else one.interval
    return times - {"start": 0, "middle": 1, "end": 2}[one.label] * (window // 2), window


def _observed(
    file: ColumnFile, own_name: str, variable: Variable, values: Values, times: Values, step: np.timedelta64
) -> Observed:
    wrong = impossible(variable, values) & np.isfinite(values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = float(values[row, column])
        logger.warning(
            "%s: '%s' has %d impossible values, the first %g at %s in column %d, %s; they are left out",
            file.path, own_name, int(wrong.sum()), value, time_text(times[row]), column, expectation(variable, value),
        )  # fmt: skip
        values = np.where(wrong, np.nan, values)
    errors, measured = _read(file, f"{own_name}_error", variable, is_difference=True), None
    window = step
    if own_name != variable.name:
        times, window = _meant(file, own_name, variable, times, step)
        share = dataclasses.replace(variable, units="1")
        for name in (f"{own_name}_qc", f"{PREFIX}qc"):
            measured = _read(file, name, share) if measured is None else measured
    return Observed(
        variable=variable,
        times=np.asarray(times).astype("datetime64[ns]"),
        window=window,
        values=values,
        errors=np.full(values.shape, np.nan) if errors is None else errors,
        measured=np.ones(values.shape) if measured is None else np.nan_to_num(measured),
        source=str(file.path),
    )
