"""Reference values (ecLand, or observations on the same columns) to compare a run with."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import Paths, expanded
from ailand_gt4py.core.times import STANDARD, step_text, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.blocks import BlockReader
from ailand_gt4py.io.column_file import ColumnFile, Source
from ailand_gt4py.io.matching import Columns, match
from ailand_gt4py.io.preparation import open_columns
from ailand_gt4py.io.quality import expectation, first_impossible, impossible
from ailand_gt4py.io.request import AS_THEY_ARE, Reading, Request
from ailand_gt4py.weights.model import Template, Variable

logger = logging.getLogger(__name__)


def _first_index(file: ColumnFile, times: Values) -> int:
    """Index of the run's first label in the file; all the run's labels must follow from there."""
    found = file.times()
    first = int(np.searchsorted(found, times[0]))
    if np.array_equal(found[first : first + len(times)], times):
        return first
    lacking = times[~np.isin(times, found)]
    if lacking.size:
        missing, start, end = (time_text(one, file.calendar) for one in (lacking[0], found[0], found[-1]))
        raise InputError(
            f"{file.path}: reference has no time {missing} ({lacking.size} of the run's {times.size} times are "
            f"missing; it has {start} to {end}); expected all times of the run"
        )
    # All labels are there with others between them: means over its shorter windows are not means over the run's.
    raise InputError(
        f"{file.path}: reference has a step of {step_text(np.diff(found[first:]).min())}, expected the run's "
        f"{step_text(times[1] - times[0])}"
    )


def at_site(reading: Reading, latitude: Values | None, longitude: Values | None) -> Reading:
    """The same; a reference that does not tell where it is, is where the run's only column is."""
    if latitude is None or longitude is None or len(latitude) > 1:
        return reading
    site = dataclasses.replace(reading.site, nearby=(float(latitude[0]), float(longitude[0])))
    return dataclasses.replace(reading, site=site)


def reference_request(
    variables: Sequence[Variable], step: np.timedelta64 | None, start: np.datetime64 | None, reading: Reading
) -> Request:
    """What is wanted of a reference of some variables, at a step and a start, if these are known."""
    seconds = 0.0 if step is None else float(step / np.timedelta64(1, "s"))
    model = Template((), (), tuple(variables), (), seconds)
    return Request(model, start, initial_state="none", own_step=step is None, reading=reading)


def _sources(file: ColumnFile, variables: Sequence[Variable]) -> tuple[dict[str, Source], dict[str, str]]:
    """Of what is in the file, by name: what can be compared, and why something cannot."""
    found, problems = {}, {}
    for variable in variables:
        try:
            source = file.source(variable.name, variable.units)
        except InputError as error:
            problems[variable.name] = str(error).removeprefix(f"{file.path}: ")
            continue
        if source is not None:
            found[variable.name] = source
    return found, problems


class Reference(BlockReader):
    """Reference values at a run's time labels; NaN where missing or impossible.

    Close it, or use it as a context manager.

    The files, of any convention and grid, must have all the labels, and the columns where their labels ``x`` and
    locations (degrees) are given; their calendar is ``calendar``.

    Attributes:
        names: variables it has, in the order asked for. missing: those it lacks.
        history: sentences on conversions, and on what is in it and cannot be compared.
    """

    def __init__(
        self,
        paths: Paths,
        variables: Sequence[Variable],
        times: Values,
        *,
        x: Values | None = None,
        latitude: Values | None = None,
        longitude: Values | None = None,
        reading: Reading = AS_THEY_ARE,
        calendar: str = STANDARD,
    ) -> None:
        self._told = set[str]()
        self.times = np.asarray(times).astype("datetime64[ns]")
        reading = at_site(reading, latitude, longitude)
        step = np.diff(self.times).min() if len(self.times) > 1 else None
        file = open_columns(expanded(paths), reference_request(variables, step, self.times[0], reading))
        try:
            if file.calendar != calendar:
                raise InputError(
                    f"{file.path}: reference is in the calendar '{file.calendar}', expected the run's '{calendar}'"
                )
            notes = [*file.notes, *match(file, Columns(x, latitude, longitude))]
            first = _first_index(file, self.times)
            found, problems = _sources(file, variables)
            self.missing = tuple(v.name for v in variables if v.name not in {**found, **problems})
            if not found:
                why = "; ".join(problems.values()) or f"it has none of {', '.join(self.missing)}"
                raise InputError(f"{file.path}: nothing in it can be compared: {why}")
            self.names = tuple(found)
            sources = list(found.values())
            self.history = [one.conversion.sentence(one.name) for one in sources if not one.conversion.is_identity]
            self.history = [*notes, *self.history]
            self.history += [f"Not compared: {name} ({problem})." for name, problem in problems.items()]
            of_names = [variable for variable in variables if variable.name in found]
            super().__init__(file, sources, first, len(self.times), variables=of_names)
        except BaseException:
            file.close()
            raise

    def _inspect(self, index: int, values: Values, start: int) -> None:
        variable = self._variables[index]
        if first_impossible(variable, values) is None:
            return
        wrong = impossible(variable, values)
        values_there = wrong & ~np.isnan(values)
        if values_there.any() and variable.name not in self._told:
            self._told.add(variable.name)
            row, column = np.argwhere(values_there)[0]
            value, time = float(values[row, column]), time_text(self.times[start + row], self._file.calendar)
            logger.warning(
                "%s has impossible values, the first %g at %s in column %d, %s; they are left out",
                self._file.what(self._sources[index].own_name), value, time, column, expectation(variable, value),
            )  # fmt: skip
        values[wrong] = np.nan

    def close(self) -> None:
        super().close()
        self._file.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
