"""Columns from stores that anemoi-datasets made (github.com/ecmwf/anemoi-datasets), read through that package.

Such a store holds one array (dates, variables, members, points) and knows its variables by name. Static fields are in
it at every date. It says little of units and nothing of what a date stands for: where it is silent, the units are taken
to be the model's and the dates to be labels as `ailand_gt4py.training.dataset` means them; `AnemoiSource.history` says
so.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.column_file import one_line
from ailand_gt4py.io.derive import DERIVATIONS, Derivation, sentences
from ailand_gt4py.io.first_guess import FIRST_GUESSES
from ailand_gt4py.io.sources import KINDS, ColumnSource, Request
from ailand_gt4py.io.time_axis import select
from ailand_gt4py.io.units import Conversion, conversion
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.variables import CATALOGUE, units_of


def _attributes(path: Path) -> Mapping[str, Any]:
    """Global attributes of a zarr store (format 2, or 3); empty where there are none or it is no such store."""
    for name in (".zattrs", "zarr.json"):
        with contextlib.suppress(OSError, KeyError, ValueError, AttributeError, zipfile.BadZipFile):
            root = path if path.is_dir() else zipfile.Path(path)
            found = json.loads((root / name).read_bytes())
            found = found if name == ".zattrs" else found["attributes"]
            if isinstance(found, Mapping):
                return found
    return {}


@KINDS.add
class AnemoiSource(ColumnSource):
    """A store of anemoi-datasets; see `ColumnSource`. Points are columns, labelled by their numbers.

    It must have the model's states and diagnostics, but for those that it may lack.

    Raises:
        InputError: the package is missing, the store cannot be opened, a variable is missing or its unit is of another
            quantity, dates are missing or not equally apart, or there is more than one member.
    """

    def __init__(self, path: Path, request: Request) -> None:
        model = request.model
        self.path, self.model = path, model
        self._dataset: Any = _open(path)
        self._own_names: dict[str, str] = {}
        self._conversions: dict[str, Conversion] = {}
        self._without_units: list[str] = []
        self.history: list[str] = []
        self.labels = self._read_labels()
        self.step = self.labels[1] - self.labels[0] if request.own_step else step_of(model.step_seconds)
        self._first, count = select(self.labels, self.step, request.start, request.end, str(path))
        self.times = self.labels[self._first : self._first + count]
        members = int(self._dataset.shape[2])
        if members != 1:
            raise InputError(f"{path}: has {members} members, expected 1")
        self.latitude = np.asarray(self._dataset.latitudes, dtype=np.float64)
        self.longitude = np.asarray(self._dataset.longitudes, dtype=np.float64)
        self.x = np.arange(self.n_columns)
        self.climate = np.full(self.n_columns, "")
        self._forcing = [variable for variable in model.forcing if not variable.derived]
        self.lacking = tuple(name for name in request.may_lack if self._own_name(name) is None)
        state = [variable for variable in model.state if variable.name not in self.lacking]
        derived = self._find([*model.static, *self._forcing, *state, *model.diagnostics])
        guessed = {name: FIRST_GUESSES[name].otherwise or FIRST_GUESSES[name] for name in self.lacking}
        self._block_span, self._block = (0, 0), np.empty(0)
        given = {variable.name for variable in model.static if variable.name in self._own_names}
        first = self._read(0, 1)[0]
        needed = sorted(given.union(*(one.inputs for one in derived.values())))
        self._first_static = {name: self._values(first, name) for name in needed}
        self.static = self._fields(first, model.static, derived)
        self.initial_state = self._fields(first, model.state, guessed) if request.with_state else None
        self._tell({**derived, **guessed} if request.with_state else derived)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a directory or zip file is a zarr store in anemoi-datasets' layout, judged by its attributes."""
        attributes = _attributes(path)
        return isinstance(attributes.get("variables"), list) and "frequency" in attributes

    def forcing(self, first: int, last: int) -> Values:
        values = self._select([variable.name for variable in self._forcing], first, last)
        finite = np.isfinite(values)
        if not finite.all():
            row, column, position = np.argwhere(~finite)[0]
            raise InputError(
                f"{self.path}: variable '{self._forcing[position].name}' is {values[row, column, position]} at "
                f"{time_text(self.times[first + row])} in column {column}, expected a finite number"
            )
        return values

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        return self._select(names, first, last)

    def close(self) -> None:
        self._dataset, self._block = None, np.empty(0)

    def _read_labels(self) -> Values:
        times = np.asarray(self._dataset.dates).astype("datetime64[ns]")
        if len(times) < 2:
            raise InputError(f"{self.path}: {len(times)} dates, expected at least 2")
        missing = sorted(int(index) for index in self._dataset.missing)
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} dates are missing, the first {time_text(times[missing[0]])}, "
                "expected none"
            )
        return times

    def _find(self, wanted: Sequence[Variable]) -> dict[str, Derivation]:
        """Find names and units of all variables; returns how to derive static ones that the store lacks."""
        derived: dict[str, Derivation] = {}
        missing = []
        for variable in wanted:
            derivation = DERIVATIONS.get(variable.name) if variable in self.model.static else None
            if self._note(variable.name, variable.units):
                continue
            if derivation is not None and all(
                self._note(name, unit) for name, unit in units_of(*derivation.inputs).items()
            ):
                derived[variable.name] = derivation
            else:
                missing.append(variable.name)
        if missing:
            raise InputError(
                f"{self.path}: variables missing: {', '.join(missing)}; expected in the store, which has "
                f"{', '.join(self._dataset.variables)}"
            )
        return derived

    def _own_name(self, name: str) -> str | None:
        """The store's name of a variable, in its own or another case; None where it has none or several."""
        known = list(self._dataset.variables)
        found = [name] if name in known else [own for own in known if own.lower() == name.lower()]
        return found[0] if len(found) == 1 else None

    def _note(self, name: str, units: str) -> bool:
        """Whether the store has a variable, in its own or another case; its unit is looked up."""
        own_name = self._own_name(name)
        if own_name is None:
            return False
        self._own_names[name] = own_name
        stated = (getattr(self._dataset, "variables_metadata", None) or {}).get(own_name, {}).get("units")
        if stated is None:
            self._without_units.append(name)
        self._conversions[name] = conversion(units if stated is None else stated, units, f"{self.path}: '{own_name}'")
        return True

    def _values(self, block: Values, name: str) -> Values:
        """Those of a variable in what `_read` gives, as the store has them."""
        values: Values = block[..., self._dataset.name_to_index[self._own_names[name]], :]
        return values

    def _converted(self, block: Values, name: str) -> Values:
        """The same in the model's units, float64."""
        return self._conversions[name].apply(self._values(block, name).astype(np.float64))

    def _read(self, first: int, last: int) -> Values:
        """(last - first, n_variables, n_columns) from the first time asked for on, all the store's variables.

        They lie together there. The last block is kept: forcing and reference of the same times are asked for in turn.
        """
        if self._block_span != (first, last):
            try:
                block = self._dataset[self._first + first : self._first + last]
                self._block = np.asarray(block)[:, :, 0]
            except Exception as error:  # whatever a damaged store makes zarr or its codecs raise
                raise InputError(f"{self.path}: cannot be read ({one_line(error)}); expected a whole store") from error
            self._block_span = (first, last)
        return self._block

    def _select(self, names: Sequence[str], first: int, last: int) -> Values:
        """(last - first, n_columns, n) of some variables in the model's units, float32."""
        block = self._read(first, last)
        self._require_constant(block, first)
        values = np.empty((last - first, self.n_columns, len(names)), dtype=np.float32)
        for position, name in enumerate(names):
            values[..., position] = self._converted(block, name)
        return values

    def _require_constant(self, block: Values, first: int) -> None:
        for name, expected in self._first_static.items():
            found = self._values(block, name)
            differs = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
            if differs.any():
                row, column = np.argwhere(differs)[0]
                raise InputError(
                    f"{self.path}: variable '{name}' is {found[row, column]} at {time_text(self.times[first + row])} "
                    f"in column {column} and {expected[column]} at the start, expected a static field"
                )

    def _fields(self, first: Values, variables: Sequence[Variable], derived: Mapping[str, Derivation]) -> Values:
        """(n_columns, n_variables) at the first date, all of whose variables are in ``first``."""
        result = np.empty((self.n_columns, len(variables)))
        for position, variable in enumerate(variables):
            if variable.name in derived:
                one = derived[variable.name]
                found = one.function({name: self._converted(first, name) for name in one.inputs}, str(self.path))
                values = np.broadcast_to(found, self.n_columns)
                values = conversion(CATALOGUE[one.name].units, variable.units, variable.name).apply(values)
            else:
                values = self._converted(first, variable.name)
            wrong = np.flatnonzero(~np.isfinite(values))
            if wrong.size:
                raise InputError(
                    f"{self.path}: variable '{variable.name}' is {values[wrong[0]]} in column {wrong[0]}, "
                    "expected a finite number"
                )
            result[:, position] = values
        return result

    def _tell(self, derived: Mapping[str, Derivation]) -> None:
        renamed = [f"{name} from '{own}'" for name, own in self._own_names.items() if own != name]
        if renamed:
            self.history.append(f"Read under another name: {', '.join(renamed)}.")
        if self._without_units:
            self.history.append(
                f"The store does not say their units, taken as the model's: {', '.join(self._without_units)}."
            )
        converted = {name: one for name, one in self._conversions.items() if not one.is_identity}
        self.history += [one.sentence(name) for name, one in converted.items()]
        self.history += sentences(derived.values())
        self.history.append(
            f"Dates are taken as the starts of windows of {self.step / np.timedelta64(1, 'h'):g} h over which forcing "
            "and fluxes are means, and as the times of states and screen-level values."
        )


def _open(path: Path) -> Any:
    try:
        from anemoi.datasets import open_dataset
    except ImportError as error:
        raise InputError(
            f"{path}: is a store of anemoi-datasets; reading it needs that package, which is not installed; expected: "
            "pip install 'ailand_gt4py[anemoi]'"
        ) from error
    try:
        return open_dataset(str(path))
    except Exception as error:  # the package raises many kinds
        raise InputError(
            f"{path}: cannot be opened ({one_line(error)}); expected a store of anemoi-datasets"
        ) from error
