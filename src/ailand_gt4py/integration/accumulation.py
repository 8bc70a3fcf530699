"""A window's forcing, added up on the device from the host's samples, and a look at whether these can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, HostPoint, LandPoint
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.integration.clock import LandClock
from ailand_gt4py.integration.host_points import HostPoints, HostView, Layout, others_text
from ailand_gt4py.integration.inspection import Late, check_units
from ailand_gt4py.io.quality import expectation, possible_range
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.land_points import gather
from ailand_gt4py.weights.model import Variable


class Accumulation:
    """Sums of the host's samples over a window, at the land points.

    Variables that are valid over the window are added up; of those that are valid at its start or its end the first or
    the last sample is taken. Sums are float64 whatever the types of host and emulator: a window may have thousands of
    samples. A sample is gathered and looked at before it is added. What cannot be in it (`io.quality.possible_range`)
    is NaN then, as is its sum through the window. Of a variable that is imputed NaN is a missing value, and its window
    is missing; what cannot be is infinite there.

    Attributes:
        sums: (n_variables, n_land). possible: (samples_per_window, n_variables), whether the samples so far could be.
        problem: what is wrong with the sample gathered last; empty on a GPU, which is not waited for.
    """

    def __init__(self, points: HostPoints, variables: Sequence[Variable], clock: LandClock, backend: Any) -> None:
        self._points, self._variables, self._clock, self._backend = points, tuple(variables), clock, backend
        self._xp = xp = arrays.array_module(points.device)
        self.sums, self._sample = (xp.zeros((len(variables), points.n_land)) for _ in range(2))
        self._sample_fields = [arrays.wrap(row, (Column,), "sample") for row in self._sample]
        self.possible = xp.ones((clock.samples_per_window, len(variables)), dtype=bool)
        self._is_possible = self.possible[0]
        self._programs: dict[tuple[type, ...], OperatorCall] = {}
        self._calls: dict[Any, RepeatedCall] = {}
        limits = np.reshape([possible_range(variable) for variable in variables], (-1, 2)).T
        self._low, self._high = map(xp.asarray, limits)
        is_imputed = [variable.is_imputed for variable in variables]
        self._may_be_missing = xp.asarray(is_imputed, dtype=bool)[:, None]
        self._has_imputed, self._mark = any(is_imputed), xp.where(self._may_be_missing, np.inf, np.nan)
        self._all_means = all(variable.time_meaning == "window mean" for variable in variables)
        #: Of the first sample of this window, and of the last one, in which something was wrong.
        self.problem = self._kept_problem = self._reported_problem = ""
        self._late, self._first_time = Late(points.device), clock.next_time

    def views(self, fields: Mapping[str, Any]) -> list[HostView]:
        """The host's fields of one sample where they are, in the order of the variables."""
        for variable in self._variables:
            if variable.name not in fields:
                raise InputError(
                    f"{variable.name}: the host gave no such field, expected {variable.long_name or variable.name} "
                    f"in {variable.units}"
                )
            check_units(fields[variable.name], variable.name, variable.units)
        return [self._points.view(fields[variable.name], variable.name) for variable in self._variables]

    def gather(self, views: Sequence[HostView], begins: bool) -> None:
        """Take the clock's next sample, with which a window perhaps begins; nothing is added to the sums."""
        self.problem = ""
        if self._points.n_land == 0:
            return
        groups: dict[Layout, list[int]] = {}
        for position, (view, variable) in enumerate(zip(views, self._variables, strict=True)):
            if begins or variable.time_meaning != "window start":
                groups.setdefault(view.layout, []).append(position)
        for layout, positions in groups.items():
            points = [views[position].points for position in positions]
            dtypes = tuple(array.dtype.type for array in points)
            key = (dtypes, tuple(positions), layout)
            if key not in self._calls:
                self._calls[key] = self._call(*key)
            self._calls[key](points)
        self._look()

    def _call(self, dtypes: tuple[type, ...], positions: tuple[int, ...], layout: Layout) -> RepeatedCall:
        """Of the program that gathers fields of one layout, as they lie, of some variables."""
        if dtypes not in self._programs:
            self._programs[dtypes] = OperatorCall(
                gather(dtypes), self._backend, f"the host's samples of {len(dtypes)} variables"
            )
        return RepeatedCall(
            self._programs[dtypes],
            {f"sample_{k}": self._sample_fields[position] for k, position in enumerate(positions)},
            {f"host_{k}": (HostPoint,) for k in range(len(positions))},
            (),
            {LandPoint.value: self._points.table(layout)},
        )

    def _look(self) -> None:
        """Look at whether the sample can be; on a GPU the host does not wait for the answer."""
        xp, sample, low, high = self._xp, self._sample, self._low, self._high
        self._is_possible = (sample.min(axis=1) >= low) & (sample.max(axis=1) <= high)  # neither of NaN
        on_cpu = self._points.device == "cpu"
        if on_cpu and self._is_possible.all():
            return
        wrong = ~((sample >= low[:, None]) & (sample <= high[:, None]))
        if self._has_imputed:
            wrong &= ~(self._may_be_missing & xp.isnan(sample))
            self._is_possible = ~wrong.any(axis=1)
            if on_cpu and self._is_possible.all():
                return
        if on_cpu:
            self.problem = self._describe(wrong)
        xp.copyto(sample, self._mark, where=wrong)

    def _describe(self, wrong: np.ndarray) -> str:
        """What is wrong with the first variable that cannot be."""
        position = int(np.argmin(self._is_possible))
        variable, column = self._variables[position], int(wrong[position].argmax())
        value, expected = float(self._sample[position, column]), "expected finite numbers"
        if np.isfinite(value):
            expected = expectation(variable, value, self._clock.seconds)
        where = self._where(column, int(wrong[position].sum()), self._clock.next_time)
        return f"{variable.name}: found {_shown(value, variable)} at {where}, {expected}"

    def _where(self, column: int, count: int, time: np.datetime64) -> str:
        return f"{self._points.location_text(column)}{others_text(count)}, {time_text(time)}"

    def add(self) -> None:
        """Add the sample gathered last to the clock's window."""
        sample = self._clock.n_samples
        if sample == 0:
            self.sums[...] = self._sample
            self.possible[...] = True
        elif self._all_means:
            self._add_to(self.sums, self._sample)
        else:
            for total, row, variable in zip(self.sums, self._sample, self._variables, strict=True):
                if variable.time_meaning == "window mean":
                    self._add_to(total, row)
                elif variable.time_meaning == "window end":
                    total[...] = row
        self.possible[sample] = self._is_possible
        self._kept_problem = self._kept_problem or self.problem

    def _add_to(self, total: arrays.Array, sample: arrays.Array) -> None:
        """Add; what could not be stays infinite where another sample is missing."""
        wrong = self._xp.isinf(total) | self._xp.isinf(sample) if self._has_imputed else None
        total += sample
        if wrong is not None:
            self._xp.copyto(total, np.inf, where=wrong)

    def means(self, out: arrays.Array, positions: Sequence[int]) -> None:
        """Write the forcing of the samples so far into (n_land, n_forcing), the variables at these positions."""
        for row, position, variable in zip(self.sums, positions, self._variables, strict=True):
            out[:, position] = row / self._clock.n_samples if variable.time_meaning == "window mean" else row

    def report(self) -> None:
        """Begin to tell of the window's sums that could not be; they may change once this returns."""
        possible, xp = self.possible[: self._clock.n_samples], self._xp
        self._reported_problem, self._kept_problem = self._kept_problem, ""
        if self._points.device == "cpu" and possible.all():
            return
        wrong = xp.isinf(self.sums) | (xp.isnan(self.sums) & ~self._may_be_missing)
        rows = [(~possible).argmax(axis=0), wrong.argmax(axis=1), wrong.sum(axis=1)]
        self._first_time = self._clock.next_time - self._clock.n_samples * self._clock.host_step
        self._late.send(xp.stack(rows).astype(np.int64))

    def found(self) -> str:
        """The first variable, point and time of the last `report`, told once; empty if there was nothing wrong."""
        report = self._late.take()
        if report is None or not report[2].any():
            return ""
        samples, columns, counts = report
        position = int(np.argmin(np.where(counts > 0, samples, np.iinfo(np.int64).max)))
        time = self._first_time + int(samples[position]) * self._clock.host_step
        where = self._where(int(columns[position]), int(counts[position]), time)
        found = f"{self._variables[position].name}: found a number that is impossible or not finite at {where}"
        return self._reported_problem or f"{found}, expected possible values"


def _shown(value: float, variable: Variable) -> str:
    if not np.isfinite(value):
        return "a number that is not finite"
    return f"{value:g}" if variable.units == "1" else f"{value:g} {variable.units}"
