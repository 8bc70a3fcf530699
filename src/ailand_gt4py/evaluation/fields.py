"""Physical fields of the truth and of a free run by name, in ecLand's units, for budgets and checks of ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.files import expanded
from ailand_gt4py.core.times import step_of
from ailand_gt4py.ecland.soil_heat import PROPERTIES
from ailand_gt4py.evaluation.runs import FreeRun, label_offset
from ailand_gt4py.io.preparation import open_columns
from ailand_gt4py.io.reference import reference_request
from ailand_gt4py.io.request import AS_THEY_ARE
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


def read_truth(path: str | Path, step_seconds: float) -> Fields:
    """All of `UNITS` that a file has, over the windows from its first label to its last."""
    values: dict[str, np.ndarray] = {}
    wanted = [CATALOGUE[name].variable() for name in UNITS if CATALOGUE[name].kind != "static"]
    request = reference_request(wanted, step_of(step_seconds), None, AS_THEY_ARE)
    with open_columns(expanded(path), request) as file:
        for name, units in UNITS.items():
            own_name, entry = file.find(name), CATALOGUE[name]
            if own_name is None:
                continue
            straight, is_static = file.conversion(own_name, name, units), entry.kind == "static"
            field = file.field(own_name) if is_static else file.read(own_name)
            field = straight.apply(field.astype(np.float64))
            if is_static:
                values[name] = field
            elif field.ndim == 2:
                values[name] = field[:-1] if entry.time_meaning == "window mean" else field
    return Fields(values, step_seconds)


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
