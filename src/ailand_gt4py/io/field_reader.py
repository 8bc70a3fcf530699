"""Fields of a column file at one time in the units asked for, derived where the file lacks them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.io import derive, time_axis
from ailand_gt4py.io.blocks import BLOCK_BYTES, read_annual_wave, tiles
from ailand_gt4py.io.column_file import ColumnFile, Source, require_constant
from ailand_gt4py.io.first_guess import MODES, at_start
from ailand_gt4py.io.quality import Inspector, impossible
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.io.ways import alternatives
from ailand_gt4py.weights.model import ModelVariables, Variable
from ailand_gt4py.weights.variables import CATALOGUE, units_of


class FieldReader:
    """Reads fields of the run's first time from a file, and notes what it did; ``times``: all labels of the file.

    ``inspector``: says whether values can be.
    """

    def __init__(
        self, file: ColumnFile, times: Values, step: np.timedelta64, first: int, count: int, inspector: Inspector
    ) -> None:
        self._file, self._labels, self._inspector = file, inspector.labels, inspector
        self._times, self._step, self._first, self._count = times, step, first, count
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
            elif self._file.find(name) is None and variable.is_previous:
                values = result[:, [one.name for one in variables].index(variable.previous_of)]
                earlier = self._earlier_value(variable, variables)
                if earlier is not None:
                    values = earlier
                    self._earlier.append(name)
                else:
                    self._derived[name] = at_start(name)
            elif self._file.find(name) is None:
                values = self._derive(variable, is_static)
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

    def _derive(self, variable: Variable, is_static: bool) -> Values:
        derivation = MODES[variable.name]
        inputs: dict[str, Values] = {}
        for needed, unit in units_of(*derivation.waves).items():
            wave = read_annual_wave(self._file, self.source(needed, unit), self._times, self._step, self._first)
            if wave is None:
                assert derivation.otherwise is not None
                derivation, inputs = derivation.otherwise, {}
                break
            inputs[derive.wave_key(needed)] = wave
        for needed, unit in units_of(*derivation.inputs).items():
            inputs[needed] = self.field(needed, unit, is_static=needed.startswith("clim_"))
            # A type may be missing where there is no such vegetation: the derivation sees to it.
            if needed not in derive.VEGETATION_COVERS:
                self._require_possible(CATALOGUE[needed].variable(), inputs[needed], is_static)
        self._derived[variable.name] = derivation
        values = np.broadcast_to(derivation.function(inputs, str(self._file.path)), self._file.n_columns)
        return conversion(CATALOGUE[derivation.name].units, variable.units, variable.name).apply(values)

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
        return [*lines, *derive.sentences(self._derived.values())]


def require_present(file: ColumnFile, model: ModelVariables, with_state: bool, known: Container[str] = ()) -> None:
    """Name all variables that are neither in the file nor derivable nor known."""
    forcing = [variable for variable in model.forcing if not variable.derived]
    state = [variable for variable in model.state if with_state and not variable.is_previous]
    missing = []
    for variable in (*model.static, *forcing, *state):
        name = variable.name
        if name in known or file.find(name) is not None:
            continue
        needs = MODES[name].needs if name in MODES and variable not in forcing else None
        lacking = [needed for needed in needs or () if file.find(needed) is None]
        if needs is None:
            others = alternatives(name)
            missing.append(f"'{name}'{others and f' (which would follow from {others})'}")
        elif lacking:
            missing.append(f"'{name}' (which would follow from {', '.join(needs)}; missing: {', '.join(lacking)})")
    if missing:
        noun = "variable" if len(missing) == 1 else "variables"
        raise InputError(
            f"{file.path}: {noun} missing that cannot be derived: {', '.join(missing)}; expected in the file"
        )
