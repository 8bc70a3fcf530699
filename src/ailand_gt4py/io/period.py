"""Columns of a file over a period, in memory: for what goes through the same windows many times, unlike a run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import Paths, expanded, names_of
from ailand_gt4py.core.times import STANDARD, on_axis, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io import opening
from ailand_gt4py.io.before_start import previous_forcing
from ailand_gt4py.io.first_guess import MODES
from ailand_gt4py.io.matching import Columns, match
from ailand_gt4py.io.preparation import open_columns
from ailand_gt4py.io.reference import Reference
from ailand_gt4py.io.request import AS_THEY_ARE, Reading, Request, Time
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Model, ModelVariables, Template, Variable
from ailand_gt4py.weights.variables import CATALOGUE

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
        paths: files that it was read from, as ``reading`` says. calendar: of the times.
        climate: (n_columns,) class of each column, None where the files have none.
        states: (n_steps, n_columns, n_state) at ``times``, None where nobody asked for them.
    """

    paths: Paths
    x: Values
    latitude: Values
    longitude: Values
    times: Values
    step: np.timedelta64
    static: Values
    forcing: Values
    initial_state: Values
    history: tuple[str, ...]
    climate: Values | None = None
    calendar: str = STANDARD
    reading: Reading = AS_THEY_ARE
    states: Values | None = None

    @property
    def name(self) -> str:
        """Of its files, for messages."""
        return names_of(self.paths)

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

    @property
    def axis(self) -> Values:
        """The same for figures, of whatever calendar."""
        return on_axis(self.ends, self.calendar)


def read_period(
    paths: Paths,
    model: Model,
    dtype: np.dtype,
    start: Time | None = None,
    end: Time | np.timedelta64 | None = None,
    reading: Reading = AS_THEY_ARE,
    states_for: str = "",
) -> Period:
    """Read the windows from ``start`` to ``end`` (see `io.sources.open_source`), if memory allows.

    Args:
        states_for: what states at all of these are wanted for; empty: they are not.
    """
    lacking = may_lack(model) if states_for else ()
    with open_source(paths, model, start=start, end=end, reading=reading, may_lack=lacking) as source:
        require_memory(source, len(model.forcing), dtype, "give fewer columns or a shorter period")
        forcing = read_forcing(source, model, dtype)
        assert source.initial_state is not None  # it was asked for
        return Period(
            paths=paths,
            x=source.x,
            latitude=source.latitude,
            longitude=source.longitude,
            times=source.times,
            step=source.step,
            static=source.static.astype(dtype),
            forcing=forcing,
            initial_state=source.initial_state.astype(dtype),
            history=tuple(source.history),
            climate=source.texts("climate"),
            calendar=source.calendar,
            reading=reading,
            states=read_states(source, forcing, dtype, states_for) if states_for else None,
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


def read_timed(source: ColumnSource, names: Sequence[str], dtype: np.dtype) -> Values:
    """States or diagnostics of a source at all of its times: (n_times, n_columns, n_names), NaN where missing."""
    result = np.empty((len(source.times), source.n_columns, len(names)), dtype=dtype)
    for first in range(0, len(result), TIME_BLOCK):
        last = min(first + TIME_BLOCK, len(result))
        result[first:last] = source.reference(names, first, last)
    return result


def read_states(source: ColumnSource, forcing: Values, dtype: np.dtype, what_for: str) -> Values:
    """The state at all times of a source: (n_times, n_columns, n_state), finite.

    What the source may lack, and does, is at each time what a run would begin with there (`io.derive`,
    `io.first_guess`). The annual wave, from which a first guess may follow, is that of one time: it does without.

    Args:
        forcing: (n_times, n_columns, n_forcing), complete. what_for: states, in messages.

    Raises:
        InputError: a state is missing, at any time.
    """
    model = source.model
    names = [variable.name for variable in model.state]
    missing = [name for name in names if name not in source.lacking and source.lacks(name)]
    if missing:
        noun = "variable" if len(missing) == 1 else "variables"
        raise InputError(f"{source.path}: {noun} missing: {', '.join(missing)}; expected at all times, {what_for}")
    known = [name for name in names if name not in source.lacking]
    state = np.empty((len(source.times), source.n_columns, len(names)), dtype=dtype)
    state[..., [names.index(name) for name in known]] = read_timed(source, known, dtype)
    wrong = np.argwhere(~np.isfinite(state[..., [names.index(name) for name in known]]))
    if wrong.size:
        time, column, position = wrong[0]
        raise InputError(
            f"{source.path}: variable '{known[position]}' is missing at "
            f"{time_text(source.times[time], source.calendar)} in column {column} (x = {source.x[column]}), "
            f"expected at all times, {what_for}"
        )
    groups = ((source.static, model.static), (forcing, model.forcing), (state, model.state))
    given = {
        one.name: (values[..., position], one.units)
        for values, variables in groups
        for position, one in enumerate(variables)
        if one.name not in source.lacking
    }
    for name in source.lacking:
        variable, guess = model.state[names.index(name)], MODES[name].otherwise or MODES[name]
        inputs = {one: _input(source, one, given) for one in guess.inputs}
        lacking = [one for one, values in inputs.items() if values is None]
        if lacking:
            raise InputError(
                f"{source.path}: variable '{name}' is missing, and {', '.join(lacking)} from which it would follow; "
                f"expected at all times, {what_for}"
            )
        shape = state.shape[:2]
        flat = {one: np.broadcast_to(values, shape).reshape(-1) for one, values in inputs.items() if values is not None}
        found = np.broadcast_to(guess.function(flat, str(source.path)), shape[0] * shape[1]).reshape(shape)
        state[..., names.index(name)] = conversion(CATALOGUE[name].units, variable.units, name).apply(found)
        if source.initial_state is not None:
            state[0, :, names.index(name)] = source.initial_state[:, names.index(name)]
    return state


def _input(source: ColumnSource, name: str, given: Mapping[str, tuple[Values, str]]) -> Values | None:
    """What something else follows from, in the catalogue's units: (n_columns,) or (n_times, n_columns).

    Of what is given with its units, or else of the source; None where it has none.
    """
    units = CATALOGUE[name].units
    if name in given:
        values, own_units = given[name]
        return conversion(own_units, units, name).apply(values.astype(np.float64))
    if not source.lacks(name):
        return read_timed(source, [name], np.dtype(np.float64))[..., 0]
    return source.field(name, units)


def may_lack(model: ModelVariables) -> tuple[str, ...]:
    """States that files need not have: they follow from others, or can be guessed where a run begins."""
    return tuple(variable.name for variable in model.state if variable.name in MODES)


def read_observations(variables: Sequence[Variable], times: Values, period: Period) -> Values:
    """States or diagnostics at labels of the files of a period: float64 (n_times, n_columns, n_variables), NaN: none.

    Raises:
        InputError: they lack one of the variables or all of its values.
    """
    with Reference(
        period.paths,
        variables,
        times,
        x=period.x,
        latitude=period.latitude,
        longitude=period.longitude,
        reading=period.reading,
        calendar=period.calendar,
    ) as reference:
        result = np.array(reference.read(0, len(times)), dtype=np.float64)
    missing = list(reference.missing) or [
        one.name for position, one in enumerate(variables) if np.isnan(result[..., position]).all()
    ]
    if missing:
        raise InputError(f"{period.name}: variable '{missing[0]}' has no value, expected observations")
    return result


def read_static(variable: Variable, own_name: str, period: Period) -> Values:
    """(n_columns,) float64 of a variable that a file of a period calls so, in the place of a static one's own values.

    Raises:
        InputError: no file has it, or not in the unit of the variable.
    """
    with contextlib.ExitStack() as stack:
        opened = {path: opening.open_file(path)[0] for path in expanded(period.paths)}
        for dataset in opened.values():
            stack.callback(dataset.close)
        if not any(own_name in dataset.variables for dataset in opened.values()):
            raise InputError(f"{period.name}: variable '{own_name}' is missing, expected values of {variable.name}")
        given = {
            path: dataset.drop_vars(variable.name, errors="ignore").rename({own_name: variable.name})
            for path, dataset in opened.items()
            if own_name in dataset.variables
        }
        request = Request(Template((variable,), (), (), (), period.step / np.timedelta64(1, "s")), initial_state="none")
        paths = sorted(opened, key=lambda path: path not in given)  # what several have is taken from the first
        file = stack.enter_context(open_columns(paths, dataclasses.replace(request, reading=period.reading), given))
        match(file, Columns(period.x, period.latitude, period.longitude))
        source = file.source(variable.name, variable.units, is_timed=False)
        assert source is not None  # it was named so
        return source.conversion.apply(file.field(source.own_name).astype(np.float64))
