"""Runs of an emulator for verification: from many starts at once, and one through the whole period, with their cost.

Which label a result is compared with. A run from label s makes its k-th step over the window [s + k - 1, s + k), labels
counted in steps. After k steps

* the state and a diagnostic "window end" are compared with label s + k,
* a diagnostic "window mean" with label s + k - 1, where files keep the mean over that window.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator, Precision
from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.weights.model import Model, Variable

#: Further leads of the curves, days; those above the longest one asked for are left out.
CURVE_DAYS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 30.0, 45.0, 60.0, 75.0, 90.0)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What the timed steps of columns run at once took, the first one left out, since it may compile.

    CPU time is that of all threads of the process, elapsed time has other processes' share in it.
    """

    columns: int
    steps: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def cpu_microseconds(self) -> float:
        """For a column and a step; NaN where no step was timed."""
        return self._per_step(self.cpu_seconds)

    @property
    def wall_microseconds(self) -> float:
        """For a column and a step; NaN where no step was timed."""
        return self._per_step(self.wall_seconds)

    def _per_step(self, seconds: float) -> float:
        return 1e6 * seconds / (self.columns * self.steps) if self.steps else float("nan")


@dataclasses.dataclass(frozen=True)
class LeadRuns:
    """Runs from labels, leads in steps, ascending; results (n_leads, n_starts, n_columns, n_outputs), states first."""

    starts: Values
    leads: Values
    results: Values
    cost: Cost


@dataclasses.dataclass(frozen=True)
class FreeRun:
    """One run of all columns from the first label to the last, never corrected: (n_steps, n_columns, n_outputs)."""

    results: Values
    cost: Cost

    def labels(self, variable: Variable) -> Values:
        """(n_steps,) labels with which a variable's results are compared."""
        return np.arange(1, len(self.results) + 1) + label_offset(variable)


@dataclasses.dataclass(frozen=True)
class Runs:
    """A model's runs on a file; ``from_starts`` has all leads asked for, in steps, and may have more."""

    model: Model
    columns: VerificationColumns
    leads: Values
    from_starts: LeadRuns
    free: FreeRun

    def days(self, lead: int) -> float:
        """A lead in steps as days."""
        return float(lead * self.model.step_seconds / SECONDS_PER_DAY)


def label_offset(variable: Variable) -> int:
    """Labels between the end of a window and the label that its value is stored with: 0 or -1 (see the module)."""
    return -1 if variable.time_meaning == "window mean" else 0


def start_labels(n_times: int, longest: int, count: int) -> Values:
    """Labels of the starts, evenly spread and shifted through the times of day."""
    last = n_times - 1 - longest
    # Never from the first label: persistence of a "window mean" needs the previous window.
    if last < 1:
        raise InputError(
            f"the file has {n_times} times, expected at least {longest + 2} for leads up to {longest} steps"
        )
    return np.unique(np.linspace(1, last, count).round().astype(np.int64))


def lead_steps(model: Model, leads_days: Sequence[float]) -> Values:
    """Leads in steps."""
    steps, is_whole = _steps(model, leads_days)
    wrong = [f"{lead}" for lead, fits in zip(leads_days, is_whole, strict=True) if not fits]
    if wrong or not len(steps):
        raise InputError(
            f"lead {wrong[0] if wrong else '(none)'} days: expected positive multiples of the model's step of "
            f"{model.step_seconds:g} s"
        )
    return np.unique(steps)


def curve_leads(model: Model, leads: Values) -> Values:
    """Leads in steps at which runs are kept: those asked for, and those of `CURVE_DAYS` that are whole steps."""
    steps, is_whole = _steps(model, CURVE_DAYS)
    return np.union1d(steps[is_whole & (steps <= leads[-1])], leads)


def _steps(model: Model, days: Sequence[float]) -> tuple[Values, Values]:
    """Steps that make so many days, and whether they do so exactly."""
    steps = np.array(days, dtype=np.float64) * SECONDS_PER_DAY / model.step_seconds
    return steps.round().astype(np.int64), (steps >= 1.0) & (np.abs(steps - steps.round()) <= 1e-6)


def run_from_starts(
    model: Model,
    columns: VerificationColumns,
    leads: Values,
    n_starts: int,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
    after_step: Callable[[int], None] = lambda done: None,
) -> LeadRuns:
    """Run all columns from many starts, spread over the period, at once; leads as of `lead_steps`."""
    starts = start_labels(columns.n_times, int(leads[-1]), n_starts)
    emulator = Emulator(model, columns.n_columns * starts.size, backend=backend, precision=precision)
    return _run(emulator, columns, starts, leads, after_step)


def run_free(
    model: Model,
    columns: VerificationColumns,
    backend: Any = "dace_cpu",
    precision: Precision = "float32",
    after_step: Callable[[int], None] = lambda done: None,
) -> FreeRun:
    """Run all columns from the first label to the last."""
    emulator = Emulator(model, columns.n_columns, backend=backend, precision=precision)
    found = _run(emulator, columns, np.zeros(1, dtype=np.int64), np.arange(1, columns.n_times), after_step)
    return FreeRun(found.results[:, 0], found.cost)


def _run(
    emulator: Emulator, columns: VerificationColumns, starts: Values, leads: Values, after_step: Callable[[int], None]
) -> LeadRuns:
    """Run all columns from labels, all at once, to the last of the leads, in steps, ascending."""
    sizes, n_steps, n_columns = emulator.model.sizes, int(max(leads, default=0)), emulator.n_columns
    state, static = columns.state[starts].reshape(n_columns, -1), np.tile(columns.static, (starts.size, 1))
    results = np.empty((len(leads), n_columns, sizes.state + sizes.diagnostics), dtype=state.dtype)
    positions = {int(number): position for position, number in enumerate(leads)}
    # In turn: a result may not be written over the state it is made from.
    buffers = [(emulator.allocate(sizes.state), emulator.allocate(sizes.diagnostics)) for _ in range(2)]
    prepared = emulator.prepare_static(static)
    cpu = wall = 0.0
    for step in range(n_steps):
        weather = columns.forcing[starts + step].reshape(n_columns, -1)
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        state, diagnostics = emulator.step(prepared, weather, state, out=buffers[step % 2])
        if step > 0:
            cpu += time.process_time() - cpu_before
            wall += time.perf_counter() - wall_before
        if step + 1 in positions:
            np.concatenate([state, diagnostics], axis=1, out=results[positions[step + 1]])
        after_step(step + 1)
    shape = (len(leads), starts.size, columns.n_columns, results.shape[-1])
    return LeadRuns(starts, leads, results.reshape(shape), Cost(n_columns, max(0, n_steps - 1), cpu, wall))
