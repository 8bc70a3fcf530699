"""Forcing that files lack and that follows from what they have instead, added to their fields.

What is not linear is done at the file's own labels, where what it follows from means the same in time, and else from
means over the model's windows; sums, differences and ratios are of these. Nothing is derived silently: each gives a
sentence for the history. What follows from what: `ailand_gt4py.io.ways`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.times import STANDARD
from ailand_gt4py.core.types import Values
from ailand_gt4py.io.derive import Derivation, sentences
from ailand_gt4py.io.fields import COLUMN, TIME, Fields, Meaning
from ailand_gt4py.io.quality import Inspector, possible_range
from ailand_gt4py.io.units import conversion
from ailand_gt4py.io.ways import AMOUNTS, WAYS, Way
from ailand_gt4py.weights.model import ModelVariables
from ailand_gt4py.weights.variables import CATALOGUE

#: What an estimate fills the gaps of.
GAPS = "met_lwdown"


def at_own_times(fields: Fields, model: ModelVariables, estimates_longwave: bool = False) -> Fields:
    """Fields with the forcing of a model that is not linear in what the file has, at the file's own labels.

    Args:
        estimates_longwave: whether downward long-wave radiation that is missing is estimated.
    """
    if not any(TIME in array.dims for array in fields.dataset.data_vars.values()):
        return fields
    work = _Work(fields, at_labels=True, estimates=estimates_longwave)
    return work.done(model)


def of_windows(fields: Fields, model: ModelVariables, estimates_longwave: bool = False) -> Fields:
    """Fields of windows with all forcing of a model that follows from what there is; ingredients are left out."""
    if not any(TIME in array.dims for array in fields.dataset.data_vars.values()):
        return fields
    result = _Work(fields, at_labels=False, estimates=estimates_longwave).done(model)
    needed = [name for name in result.dataset.data_vars if CATALOGUE[str(name)].kind != "ingredient"]
    return dataclasses.replace(result, dataset=result.dataset[needed])


class _Work:
    """Fields to which others are added, each by the first way that there is."""

    def __init__(self, fields: Fields, at_labels: bool, estimates: bool) -> None:
        self._fields, self._at_labels, self._estimates = fields, at_labels, estimates
        self._given = {str(name) for name in fields.dataset.variables}
        self._arrays: dict[str, xr.DataArray] = {}
        self._inspected: dict[str, xr.DataArray] = {}
        self._meanings = dict(fields.meanings)
        self._used: list[Derivation] = []
        # Of what is derived: that of the given values with time that it follows from.
        self._precisions: dict[str, np.dtype] = {}

    def done(self, model: ModelVariables) -> Fields:
        """With what can be derived of the forcing of a model."""
        static = () if self._at_labels else model.static
        for variable in (*model.forcing, *static):
            if not variable.derived and not self._has(variable.name):
                self._add(variable.name)
        gaps = self._estimate_gaps(GAPS) if self._estimates else []
        fields = self._fields
        dataset = fields.dataset.assign(self._arrays)
        notes = [*fields.notes, *sentences(self._used, "Not in the input"), *gaps]
        return dataclasses.replace(fields, dataset=dataset, meanings=self._meanings, notes=notes)

    def _way(self, name: str, under_way: tuple[str, ...] = ()) -> Way | None:
        """The first way of which there are all inputs, given or derived."""
        for way in WAYS.get(name, ()):
            if (way.on_demand and not self._estimates) or any(other in self._given for other in way.unless):
                continue
            others = (*under_way, name)
            if all(one in self._given or (one not in others and self._way(one, others)) for one in way.inputs):
                return way
        return None

    def _has(self, name: str) -> bool:
        return name in self._given or name in self._arrays

    def _add(self, name: str, under_way: tuple[str, ...] = ()) -> bool:
        """Derive a variable if it is time for it; whether it is there then."""
        way = self._way(name, under_way)
        if way is None:
            return False
        others = (*under_way, name)
        if not all(self._has(one) or self._add(one, others) for one in way.inputs):
            return False
        timed = [one for one in way.inputs if TIME in self._array(one).dims]
        if self._at_labels and (way.of_windows or not self._same_time(timed)):
            return False
        is_late = not self._at_labels and not way.of_windows and bool(timed)
        self._used.append(dataclasses.replace(way, detail="of means over the windows") if is_late else way)
        self._arrays[name] = self._computed(way, timed)
        if TIME in self._arrays[name].dims:
            self._meanings[name] = self._meaning(timed[0]) if timed else Meaning("mean", source="the same all the time")
        return True

    def _estimate_gaps(self, name: str) -> list[str]:
        """Estimate what is missing of a variable that the input has; a sentence where that may be anything."""
        way, array = self._way(name), self._fields.dataset.get(name)
        begin = f"{name}: missing values are estimated"
        done = any(note.startswith(begin) for note in self._fields.notes)
        if done or way is None or array is None or TIME not in array.dims:
            return []
        if not all(self._has(one) or self._add(one, (name,)) for one in way.inputs):
            return []
        timed = [one for one in way.inputs if TIME in self._array(one).dims]
        are_alike = {self._meaning(one).kind for one in (*timed, name)} in ({"mean"}, {"point"})
        if self._at_labels and not (are_alike and self._same_time([*timed, name])):
            return []
        count = int(array.isnull().sum()) if array.size == array.sizes[TIME] else None
        if count == 0:
            return []
        found = conversion(array.attrs.get("units"), CATALOGUE[name].units, self._fields.what(name))
        measured = array * found.scale + found.offset
        filled = measured.where(measured.notnull(), self._computed(way, timed)).astype(array.dtype)
        self._arrays[name] = filled.transpose(*array.dims).assign_attrs({**array.attrs, "units": CATALOGUE[name].units})
        shown = "" if count is None else f", {count} of {array.size} values,"
        how = way.how.removeprefix("an estimate ")
        return [f"{begin}{shown} from {' and '.join(way.inputs)} {how}; the rest is as measured."]

    def _array(self, name: str) -> xr.DataArray:
        if name in self._arrays:
            return self._arrays[name]
        array, is_plain = self._fields.dataset[name], self._meaning(name).kind in ("point", "mean")
        if CATALOGUE[name].kind != "ingredient" or {TIME, COLUMN} - set(array.dims) or not is_plain:
            return array
        return self._inspected.setdefault(name, self._possible(name, array))

    def _possible(self, name: str, array: xr.DataArray) -> xr.DataArray:
        """The same; an error, once it is read, where a value cannot be, of which none that follows from it tells."""
        what, variable = self._fields.what(name), CATALOGUE[name].variable()
        found = conversion(array.attrs.get("units"), variable.units, what)
        times, labels = (self._fields.dataset[axis].values for axis in (TIME, COLUMN))
        inspector = Inspector(labels, 3600.0, calendar=str(self._fields.dataset[TIME].attrs.get("calendar", STANDARD)))
        usual = float(np.clip(0.0, *possible_range(variable)))

        def inspected(values: Values, rows: Values) -> Values:
            known = np.nan_to_num(found.apply(np.asarray(values)), nan=usual, posinf=np.inf, neginf=-np.inf)
            inspector.require_possible(what, variable, known, times[rows[:, 0]], found)
            return values

        array = array.transpose(TIME, COLUMN).chunk({COLUMN: -1})
        rows = xr.DataArray(np.arange(len(times)), dims=TIME).chunk({TIME: array.chunks[0]})  # type: ignore[index]
        result: xr.DataArray = xr.apply_ufunc(
            inspected, array, rows, dask="parallelized", output_dtypes=[array.dtype], keep_attrs=True
        )
        return result

    def _meaning(self, name: str) -> Meaning:
        return self._meanings.get(name, Meaning("point"))

    def _same_time(self, names: list[str]) -> bool:
        """Whether values at a label are of the same time."""
        meanings = [self._meaning(name) for name in names]
        if any(one.kind == "accumulated" for one in meanings):
            return False
        labels = self._fields.dataset[TIME].values
        step = labels[1] - labels[0] if len(labels) > 1 else None
        # A list: before NumPy 2.2 equal intervals in other units have different hashes.
        first, *others = [
            ("point",) if one.kind == "point" else (one.label, one.interval if one.interval is not None else step)
            for one in meanings
        ] or [("point",)]
        return all(one == first for one in others)

    def _units(self, name: str) -> str:
        """Of a variable here: the catalogue's, or those of the amount where values are sums."""
        units = CATALOGUE[name].units
        return AMOUNTS.get(units, units) if self._meaning(name).kind == "sum" else units

    def _computed(self, way: Way, timed: list[str]) -> xr.DataArray:
        arrays = [self._array(name) for name in way.inputs]
        expected = [self._units(name) for name in way.inputs]
        conversions = [
            conversion(array.attrs.get("units"), units, self._fields.what(name))
            for name, array, units in zip(way.inputs, arrays, expected, strict=True)
        ]
        what, entry = str(self._fields.path), CATALOGUE[way.name]
        precision = [self._precisions.get(name, self._array(name).dtype) for name in timed]
        self._precisions[way.name] = np.result_type(np.float32, *precision)
        # What others follow from is kept as it is computed.
        dtype = np.dtype(np.float64) if entry.kind == "ingredient" else self._precisions[way.name]

        def function(*values: Values) -> Values:
            inputs = {
                name: one.apply(np.asarray(value, dtype=np.float64))
                for name, one, value in zip(way.inputs, conversions, values, strict=True)
            }
            return np.asarray(way.function(inputs, what)).astype(dtype)

        result: xr.DataArray = xr.apply_ufunc(function, *arrays, dask="parallelized", output_dtypes=[dtype])
        if not way.inputs or (entry.kind == "forcing" and not timed):
            result = self._spread(result, dtype, through_time=entry.kind == "forcing")
        is_sum = bool(timed) and self._meaning(timed[0]).kind == "sum"
        units = AMOUNTS.get(entry.units, entry.units) if is_sum else entry.units
        return result.transpose(TIME, ..., missing_dims="ignore").assign_attrs(units=units)

    def _spread(self, values: xr.DataArray | Any, dtype: np.dtype, through_time: bool) -> xr.DataArray:
        """The same values at all labels, of all columns."""
        like = next(one for one in self._fields.dataset.data_vars.values() if TIME in one.dims)
        like = like if through_time else like.isel({TIME: 0}, drop=True)
        return (xr.zeros_like(like, dtype=dtype) + xr.DataArray(values)).astype(dtype)
