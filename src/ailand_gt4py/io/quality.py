"""Counting values that the model has not been trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.weights.model import Variable

#: Part of the training range by which a value may be out of it and still count as inside: the ranges were
#: stored in other precision than the values come in.
RELATIVE_SLACK = 1e-5


@dataclasses.dataclass(frozen=True)
class OutsideRange:
    """How many values are out of the training range.

    Attributes:
        below, above, not_finite: (n_variables,) counts of columns.
        flag: (n_columns,) True where any variable is out of its range or not finite.
    """

    below: Values
    above: Values
    not_finite: Values
    flag: Values


def _limits(variables: Sequence[Variable]) -> tuple[Values, Values]:
    """Lower and upper limits, (n_variables,) each, infinite where the model does not know its training range."""
    lower = np.array([variable.training_minimum for variable in variables], dtype=np.float64)
    upper = np.array([variable.training_maximum for variable in variables], dtype=np.float64)
    known = np.isfinite(lower) & np.isfinite(upper)
    slack = np.where(known, RELATIVE_SLACK * (upper - lower), 0.0)
    return np.where(known, lower - slack, -np.inf), np.where(known, upper + slack, np.inf)


def count_outside_training_range(values: Values, variables: Sequence[Variable]) -> OutsideRange:
    """Compare values with the training ranges of their variables.

    Args:
        values: (n_columns, n_variables), model units.
        variables: the n_variables variables; one whose range is unknown (NaN) is only checked for being finite.

    Returns:
        Counts per variable and a flag per column.
    """
    lower, upper = _limits(variables)
    below, above, not_finite = values < lower, values > upper, ~np.isfinite(values)
    below &= ~not_finite
    above &= ~not_finite
    flag = np.asarray((below | above | not_finite).any(axis=1))
    return OutsideRange(below.sum(axis=0), above.sum(axis=0), not_finite.sum(axis=0), flag)


class RangeCounter:
    """Adds up `count_outside_training_range` over the steps of a run.

    Attributes:
        below, above, not_finite: (n_variables,) counts of values so far.
        n_values: number of values of each variable so far.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = tuple(variables)
        self.below, self.above, self.not_finite = np.zeros((3, len(self._variables)), dtype=np.int64)
        self.n_values = 0

    def add(self, values: Values) -> Values:
        """Count values, (n_rows, n_variables); returns a flag per row."""
        outside = count_outside_training_range(values, self._variables)
        self.below += outside.below
        self.above += outside.above
        self.not_finite += outside.not_finite
        self.n_values += len(values)
        return outside.flag

    def as_json(self) -> dict[str, Any]:
        """The counts, for a checkpoint."""
        counts = {name: getattr(self, name).tolist() for name in ("below", "above", "not_finite")}
        return {**counts, "n_values": self.n_values}

    def restore(self, counts: Mapping[str, Any]) -> None:
        """Take the counts of a checkpoint."""
        self.below, self.above, self.not_finite = (
            np.array(counts[name], dtype=np.int64) for name in ("below", "above", "not_finite")
        )
        self.n_values = int(counts["n_values"])

    def sentences(self) -> list[str]:
        """One sentence for each variable that was ever out of its training range."""
        lines = []
        for index, variable in enumerate(self._variables):
            units = "" if variable.units == "1" else f" {variable.units}"
            counts = {
                f"below {variable.training_minimum:.6g}{units}": self.below[index],
                f"above {variable.training_maximum:.6g}{units}": self.above[index],
                "not finite": self.not_finite[index],
            }
            parts = [f"{count} {kind}" for kind, count in counts.items() if count]
            if parts:
                percent = 100.0 * float(self.below[index] + self.above[index] + self.not_finite[index]) / self.n_values
                lines.append(
                    f"{variable.name}: {', '.join(parts)} of {self.n_values} values ({percent:.2g} %) "
                    f"outside the training range."
                )
        return lines
