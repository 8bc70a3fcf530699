"""Physical fields of the truth and of a free run by name, in ecLand's units, for budgets and checks of ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ailand_gt4py.ecland.soil_heat import PROPERTIES
from ailand_gt4py.evaluation.runs import FreeRun, label_offset
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE, of_kind, units_of

_INPUTS = ("met_swdown", "met_rainf", "met_snowf", *PROPERTIES, "clim_clake", "clim_cu")
#: Variables that budgets and ranges know, with the units they are taken in: all results that the catalogue has, and of
#: the inputs those that budgets need.
UNITS: dict[str, str] = units_of(*of_kind("state"), *of_kind("diagnostic"), *_INPUTS)


@dataclasses.dataclass(frozen=True)
class Fields:
    """Fields over the windows of a run, by name, in `UNITS`.

    Static ones (n_columns,); means over windows (n_windows, n_columns); others have one more value, at the start.
    """

    values: Mapping[str, np.ndarray]
    step_seconds: float

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names that there is no field of."""
        return [name for name in names if name not in self.values]

    def without(self, names: Sequence[str]) -> Fields:
        """The same without some fields."""
        kept = {name: field for name, field in self.values.items() if name not in names}
        return Fields(kept, self.step_seconds)


def read_truth(source: ColumnSource) -> Fields:
    """All of `UNITS` that a source has, over the windows from its first label to its last."""
    model, values = source.model, dict[str, np.ndarray]()
    own = {one.name: one.units for group in (model.forcing, model.state, model.diagnostics) for one in group}
    for name, units in UNITS.items():
        entry = CATALOGUE[name]
        if entry.kind == "static":
            field = source.field(name, units)
            if field is not None:
                values[name] = field
        elif not source.lacks(name):
            straight = conversion(own.get(name, entry.units), units, name)
            field = straight.apply(source.reference([name], 0, len(source.times))[..., 0].astype(np.float64))
            values[name] = field[:-1] if entry.time_meaning == "window mean" else field
    return Fields(values, model.step_seconds)


def of_run(model: Model, run: FreeRun, truth: Fields) -> Fields:
    """The run's own fields in `UNITS`, the truth's static ones and forcing, and its state where the run starts."""
    values = {name: field for name, field in truth.values.items() if name.startswith(("clim_", "met_"))}
    for output, variable in enumerate((*model.state, *model.diagnostics)):
        name = variable.name
        if name in UNITS and name in truth.values:
            straight = conversion(variable.units, UNITS[name], name)
            field = straight.apply(run.results[..., output].astype(np.float64))
            # What the run has at its first label is the truth's.
            is_mean = label_offset(variable) < 0
            values[name] = field if is_mean else np.concatenate([truth.values[name][:1], field])
    return Fields(values, truth.step_seconds)
