"""Fields of a column file at one time in the units asked for, derived where the file lacks them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import derive, time_axis
from ailand_gt4py.io.blocks import BLOCK_BYTES, read_annual_cycle, read_mean, tiles
from ailand_gt4py.io.column_file import ColumnFile, Source, require_constant
from ailand_gt4py.io.first_guess import FIRST_GUESSES, FORGOTTEN, FROM_CLIMATE, ByClimate, Gaps, at_start
from ailand_gt4py.io.quality import Inspector, impossible
from ailand_gt4py.io.request import Request
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.io.ways import alternatives
from ailand_gt4py.weights.model import ModelVariables, Variable
from ailand_gt4py.weights.variables import CATALOGUE, units_of


class FieldReader:
    """Reads fields of the run's first time from a file, and notes what it did; ``times``: all labels of the file.

    ``inspector``: says whether values can be. ``gaps``: how what is not given is had.
    """

    def __init__(
        self,
        file: ColumnFile,
        times: Values,
        step: np.timedelta64,
        first: int,
        count: int,
        inspector: Inspector,
        gaps: Gaps,
    ) -> None:
        self._file, self._labels, self._inspector = file, inspector.labels, inspector
        self._times, self._step, self._first, self._count, self._gaps = times, step, first, count, gaps
        self._conversions: dict[str, Conversion] = {}
        self._renamed: dict[str, str] = {}
        self._repeated: list[str] = []
        self._without_time: list[str] = []
        # Sentences by variable.
        self._filled: dict[str, str] = {}
        self._miswritten: dict[str, str] = {}
        self._converted: dict[str, str] = {}
        self._derived: dict[str, derive.Derivation] = {}
        self._earlier: list[str] = []
        # Means and waves over years, of which several variables are guessed.
        self._cycles: dict[str, tuple[Values, Values] | None] = {}
        self._means: dict[tuple[str, int], Values] = {}

    def field(self, name: str, units: str, *, is_static: bool) -> Values:
        """A field of the file, float64 (n,), in the units asked for; missing values are NaN."""
        source = self.source(name, units, is_timed=False)
        own_name = source.own_name
        if not is_static and not self._file.is_timed(own_name) and name not in self._without_time:
            self._without_time.append(name)
        values = self._file.field(own_name, self._first)
        if is_static and self._file.is_timed(own_name) and name not in self._repeated:
            if not self._file.stays_constant(own_name, values):
                for times, columns in tiles(self._file, own_name, self._first, self._count, BLOCK_BYTES):
                    slab = self._file.read(own_name, times, columns)
                    require_constant(self._file.what(own_name), values, slab, times.start, self._labels, columns)
            self._repeated.append(name)
        return source.conversion.apply(values.astype(np.float64))

    def source(self, name: str, units: str, *, is_timed: bool = True) -> Source:
        """A variable of the file, unread; ``is_timed``: that must have the time dimension."""
        file, source = self._file, self._file.source(name, units, is_timed=is_timed)
        if source is None:
            raise InputError(f"{file.path}: variable '{name}' is missing")
        if source.own_name != name:
            self._renamed[name] = source.own_name
        if file.is_miswritten(source.own_name, name):
            written, meant = file.convention.units[name]
            self._miswritten[name] = (
                f"{name}: the unit '{written}' is read as '{meant}', which is meant in {file.convention.name}."
            )
        self._conversions[name] = source.conversion
        if not source.conversion.is_identity:
            self._converted[name] = source.conversion.sentence(name)
        return source

    def _require_possible(self, variable: Variable, values: Values, is_static: bool) -> Values:
        name, time = variable.name, self._times[self._first : self._first + 1]
        what = self._file.what(self._file.find(name) or name)
        found = self._conversions.get(name)
        if is_static:
            self._inspector.require_possible(what, variable, values, None, found)
        else:
            self._inspector.require_possible(what, variable, values[np.newaxis], time, found)
        return values

    def fields(
        self, variables: Sequence[Variable], *, is_static: bool, known: Mapping[str, Values] | None = None
    ) -> Values:
        """Variables at the start, from the file or derived; float64 (n, n_variables), finite but for what is imputed.

        Args:
            known: values by name of those that are in no file.
        """
        result = np.empty((self._file.n_columns, len(variables)))
        for position, variable in enumerate(variables):
            name = variable.name
            if known is not None and name in known:
                values = known[name]
            elif not self._gaps.is_given(name) and variable.is_previous:
                values = result[:, [one.name for one in variables].index(variable.previous_of)]
                earlier = self._earlier_value(variable, variables)
                if earlier is not None:
                    values = earlier
                    self._earlier.append(name)
                else:
                    self._derived[name] = at_start(name)
            elif not self._gaps.is_given(name):
                values = conversion(CATALOGUE[name].units, variable.units, name).apply(self._derive(name))
            else:
                values = self.field(name, variable.units, is_static=is_static)
                cover_name = derive.VEGETATION_COVERS.get(name)
                if cover_name is not None and np.isnan(values).any() and self._file.find(cover_name) is not None:
                    cover = self.field(cover_name, "1", is_static=True)
                    values, sentence = derive.fill_types(values, cover, name)
                    if sentence:
                        self._filled[name] = sentence
            result[:, position] = self._require_possible(variable, values, is_static)
        return result

    def _earlier_value(self, variable: Variable, variables: Sequence[Variable]) -> Values | None:
        """Another variable's value of a time before the start, as the file has it then; None where it does not."""
        if self._gaps.by_climate == "all":
            return None
        by_name, of, count = {one.name: one for one in variables}, variable, 0
        while of.is_previous and self._file.find(of.name) is None:
            of, count = by_name[of.previous_of], count + 1
        if self._file.find(of.name) is None or not self._file.is_timed(self.source(of.name, of.units).own_name):
            return None
        if time_axis.steps_before(self._times, self._first, count, self._step) < count:
            return None
        source = self.source(of.name, of.units)
        values = source.conversion.apply(self._file.field(source.own_name, self._first - count).astype(np.float64))
        return None if impossible(of, values).any() or np.isnan(values).all() else values

    def _derive(self, name: str) -> Values:
        """A variable that is not given, float64 (n,), in the catalogue's units."""
        derivation = self._gaps.way(name)
        assert derivation is not None  # as `require_present` has seen
        cycles = {needed: self._cycle(needed) for needed in derivation.waves}
        whole = np.ones(self._file.n_columns, dtype=bool)
        for cycle in cycles.values():
            whole &= False if cycle is None else np.isfinite(cycle[1])
        if whole.all():
            self._derived[name] = derivation
            return self._computed(derivation)
        assert derivation.otherwise is not None
        self._derived[name] = derivation.otherwise
        values = self._computed(derivation.otherwise)
        if not whole.any():
            return values
        self._derived[f"{name} in some columns"] = derivation
        return np.where(whole, self._computed(derivation), values)

    def _computed(self, derivation: derive.Derivation) -> Values:
        """What a way gives, (n,)."""
        inputs: dict[str, Values] = {}
        for needed in derivation.waves:
            cycle = self._cycle(needed)
            assert cycle is not None
            inputs[derive.mean_key(needed)], inputs[derive.wave_key(needed)] = cycle
        for needed in derivation.means:
            inputs[derive.mean_key(needed)] = self._mean(needed, derivation.mean_days)
        for needed, unit in units_of(*derivation.inputs).items():
            is_static = needed.startswith("clim_")
            given = self._gaps.is_given(needed)
            inputs[needed] = self.field(needed, unit, is_static=is_static) if given else self._derive(needed)
            # A type may be missing where there is no such vegetation: the derivation sees to it.
            if needed not in derive.VEGETATION_COVERS:
                self._require_possible(CATALOGUE[needed].variable(), inputs[needed], is_static)
        return np.broadcast_to(derivation.function(inputs, str(self._file.path)), self._file.n_columns)

    def _cycle(self, name: str) -> tuple[Values, Values] | None:
        """Mean and annual wave of a variable; None where there is no whole year of it."""
        if name not in self._cycles:
            source = self.source(name, CATALOGUE[name].units)
            self._cycles[name] = read_annual_cycle(self._file, source, self._times, self._step, self._first)
        return self._cycles[name]

    def _mean(self, name: str, days: int) -> Values:
        """Mean of a variable over days from the start on."""
        if (name, days) not in self._means:
            source = self.source(name, CATALOGUE[name].units)
            n_times = len(self._times)
            self._means[name, days] = read_mean(self._file, source, n_times, self._step, self._first, days)
        return self._means[name, days]

    def coordinate(self, name: str, lowest: float, highest: float) -> Values:
        """Latitude or longitude, float64 (n,), degrees."""
        unit = CATALOGUE[name].units
        if self._file.find(name) is None:
            raise InputError(
                f"{self._file.path}: variable '{name}' is missing; expected it with the dimension (x) in {unit}"
            )
        values = self._require_possible(CATALOGUE[name].variable(), self.field(name, unit, is_static=True), True)
        wrong = np.flatnonzero((values < lowest) | (values > highest))
        if wrong.size:
            raise InputError(
                f"{self._file.what(name)} is {values[wrong[0]]:g} in column {wrong[0]}, expected {lowest:g} to "
                f"{highest:g} {unit}"
            )
        return values

    def sentences(self) -> list[str]:
        lines = []
        if self._renamed:
            pairs = ", ".join(f"{name} from '{own}'" for name, own in self._renamed.items())
            lines.append(f"Read under another name: {pairs}.")
        if self._repeated:
            lines.append(f"Static fields repeated in time, checked to be constant: {', '.join(self._repeated)}.")
        if self._without_time:
            lines.append(f"Without time in the file, taken as the state at the start: {', '.join(self._without_time)}.")
        if self._earlier:
            lines.append(f"Of times before the start, from the file: {', '.join(self._earlier)}.")
        for notes in (self._filled, self._miswritten, self._converted):
            lines += notes.values()
        derived = self._derived.values()
        asked = [one for one in derived if self._gaps.by_climate == "all" and self._gaps.is_state(one.name)]
        lines += derive.sentences([one for one in derived if one not in asked])
        lines += derive.sentences(asked, "State at the start, as asked for, whatever the file has")
        is_by_climate = any(one.means or (one.waves and not one.inputs) for one in derived)
        return [*lines, FORGOTTEN] if is_by_climate else lines


def gaps_of(file: ColumnFile, request: Request) -> Gaps:
    """How what a file does not give is had, as a request wants it."""
    by_climate: ByClimate = "never"
    if request.with_state:
        by_climate = "all" if request.initial_state == "guess" else "missing" if file.is_site else "never"
    state = frozenset(one.name for one in request.model.state)
    return Gaps(lambda name: file.find(name) is not None, by_climate, state)


def require_present(
    file: ColumnFile, model: ModelVariables, with_state: bool, gaps: Gaps, known: Container[str] = ()
) -> None:
    """Name all variables that are neither given nor had otherwise nor known."""
    forcing = [variable for variable in model.forcing if not variable.derived]
    state = [variable for variable in model.state if with_state and not variable.is_previous]
    missing, with_guess = list[str](), False
    for variable in (*model.static, *forcing, *state):
        name = variable.name
        is_forcing = variable in forcing
        if name in known or gaps.is_given(name) or (not is_forcing and gaps.way(name) is not None):
            continue
        with_guess |= variable in state and name in {**FROM_CLIMATE, **FIRST_GUESSES}
        ways = () if is_forcing else gaps.ways(name)
        if ways and missing and gaps.by_climate != "never":
            continue  # what is missing for the guess was named
        if ways:
            needs, lacking = ", ".join(ways[0].needs), ", ".join(gaps.lacking(ways[0]))
            missing.append(f"'{name}' (which would follow from {needs}; missing: {lacking})")
        elif variable in state and file.find(name) is not None:
            missing.append(f"'{name}' (of which there is no first guess)")
        else:
            others = alternatives(name)
            missing.append(f"'{name}'{others and f' (which would follow from {others})'}")
    if missing:
        noun = "variable" if len(missing) == 1 else "variables"
        guess = ", or --initial-state guess (ailand-column-run) for a first guess of the state"
        raise InputError(
            f"{file.path}: {noun} missing that cannot be derived: {', '.join(missing)}; expected in the file"
            f"{guess if with_guess and gaps.by_climate == 'never' else ''}"
        )
