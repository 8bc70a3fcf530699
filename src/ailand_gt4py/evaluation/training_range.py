"""Whether a model is asked for what it has not learnt: columns whose inputs are out of the range of its training.

By the same limits as a run's ``quality_flag`` and ``ailand check`` (`io.training_ranges`): of static fields, forcing
that files give, and the state that the run begins with.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.io.training_ranges import RangeCounter
from ailand_gt4py.weights.model import Model

#: Labels of which the forcing is looked at together.
_TOGETHER = 256


@dataclasses.dataclass(frozen=True)
class TrainingRange:
    """What is out of the range of the training.

    Attributes:
        outside: (n_columns,) whether anything of a column ever is. steps: (n_columns,) in how many windows its forcing
            is. n_steps: number of windows. variables: name -> how far out in widths of its range, and a sentence, the
            worst first.
    """

    outside: Values
    steps: Values
    n_steps: int
    variables: dict[str, tuple[float, str]]

    def line(self) -> str:
        """What there is to know before any score is read."""
        if not self.variables:
            return "Training range: static fields, weather and first state of all columns are within it."
        (_, sentence), *_ = self.variables.values()
        others = list(self.variables)[1:]
        more = f" Also out of it: {', '.join(others)}." if others else ""
        where = f"{int(self.outside.sum())} of {len(self.outside)} columns, weather in "
        where += f"{int(self.steps.sum())} of {self.n_steps * len(self.steps)} windows"
        return f"OUTSIDE THE TRAINING RANGE: {where}; the model extrapolates there. Worst: {sentence}{more}"

    def data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "line": self.line(),
            "columns": len(self.outside),
            "columns_outside": np.flatnonzero(self.outside).tolist(),
            "windows": self.n_steps,
            "windows_outside": self.steps.tolist(),
            "variables": {
                name: {"widths_outside": excess if math.isfinite(excess) else None, "sentence": sentence}
                for name, (excess, sentence) in self.variables.items()
            },
        }


def look(model: Model, columns: VerificationColumns) -> TrainingRange:
    """Look at all inputs of a free run of columns."""
    given = [position for position, variable in enumerate(model.forcing) if not variable.derived]
    counters = (
        RangeCounter(model.static),
        RangeCounter([model.forcing[position] for position in given]),
        RangeCounter(model.state),
    )
    n_times, n_columns = columns.n_times, columns.n_columns
    outside, steps = counters[0].add(columns.static), np.zeros(n_columns, dtype=np.int64)
    for first in range(0, n_times, _TOGETHER):
        block = columns.forcing[first : first + _TOGETHER][..., given]
        flags = counters[1].add(block.reshape(-1, len(given))).reshape(-1, n_columns)
        steps += flags.sum(axis=0)
    outside = outside | (steps > 0) | counters[2].add(columns.state[0])
    found = sorted((one for counter in counters for one in counter.told()), key=lambda one: -one[0])
    return TrainingRange(outside, steps, n_times, {name: (excess, sentence) for excess, name, sentence in found})
