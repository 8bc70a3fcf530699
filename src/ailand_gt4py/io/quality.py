"""Counting values that the model has not been trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Variable

#: Part of the training range by which a value may be out of it and still count as inside: the ranges were
#: stored in other precision than the values come in.
RELATIVE_SLACK = 1e-5


def outside_training_range(values: Values, variables: Sequence[Variable]) -> Values:
    """Whether values (n_columns, n_variables) are below, above their training ranges, or not finite: (3, ...).

    At most one of the three is true. A variable whose range is unknown (NaN) need only be finite.
    """
    lower = np.array([variable.training_minimum for variable in variables], dtype=np.float64)
    upper = np.array([variable.training_maximum for variable in variables], dtype=np.float64)
    slack = RELATIVE_SLACK * (upper - lower)
    outside = np.empty((3, *values.shape), dtype=bool)
    np.less(values, lower - slack, out=outside[0])
    np.greater(values, upper + slack, out=outside[1])
    np.logical_not(np.isfinite(values), out=outside[2])
    outside[:2] &= ~outside[2]
    return outside


class RangeCounter:
    """Adds up `outside_training_range` over a run: ``counts`` (3, n_variables) of ``n_values`` of each variable."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = tuple(variables)
        self.counts, self.n_values = np.zeros((3, len(self._variables)), dtype=np.int64), 0

    def add(self, values: Values) -> Values:
        """Count values, (n_rows, n_variables); returns a flag per row."""
        outside = outside_training_range(values, self._variables)
        self.counts += outside.sum(axis=1)
        self.n_values += len(values)
        return np.asarray(outside.any(axis=(0, 2)))

    def as_json(self) -> dict[str, Any]:
        return {"counts": self.counts.tolist(), "n_values": self.n_values}

    def restore(self, found: Mapping[str, Any]) -> None:
        self.counts, self.n_values = np.array(found["counts"], dtype=np.int64), int(found["n_values"])

    def sentences(self) -> list[str]:
        """One sentence for each variable that was ever out of its training range."""
        lines = []
        for variable, counts in zip(self._variables, self.counts.T, strict=True):
            low, high = variable.training_minimum, variable.training_maximum
            units = "" if variable.units == "1" else f" {variable.units}"
            kinds = (f"below {low:.6g}{units}", f"above {high:.6g}{units}", "not finite")
            parts = [f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True) if count]
            if parts:
                percent = 100.0 * float(counts.sum()) / self.n_values
                lines.append(
                    f"{variable.name}: {', '.join(parts)} of {self.n_values} values ({percent:.2g} %) "
                    f"outside the training range."
                )
        return lines
