"""A window's forcing, added up on the device from the host's samples, and a look at whether they are finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, HostPoint, LandPoint
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.integration.clock import LandClock
from ailand_gt4py.integration.host_points import HostPoints, HostView, Layout
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.land_points import accumulate
from ailand_gt4py.weights.model import Variable


class Accumulation:
    """Sums of the host's samples over a window, at the land points.

    Variables that are valid over the window are added up; of those that are valid at its start or its end the first or
    the last sample is taken. Sums are float64 whatever the types of host and emulator: a window may have thousands of
    samples. ``finite``, (samples_per_window, n_variables), says whether they were finite after each.
    """

    def __init__(self, points: HostPoints, variables: Sequence[Variable], clock: LandClock, backend: Any) -> None:
        self._points, self._variables, self._clock, self._backend = points, tuple(variables), clock, backend
        self._xp = arrays.array_module(points.device)
        self.sums = self._xp.zeros((len(variables), points.n_land), dtype=np.float64)
        self.finite = self._xp.ones((clock.samples_per_window, len(variables)), dtype=bool)
        self._sum_fields = [arrays.wrap(row, (Column,), "sum") for row in self.sums]
        self._programs: dict[tuple[type, ...], OperatorCall] = {}
        self._calls: dict[Any, RepeatedCall] = {}
        # What the last look found: flags, and by variable the first such land point and their number.
        self._on_device = points.device == "cuda"
        empty = np.empty
        if self._on_device:
            import cupyx

            # Can be copied to while host and device continue.
            empty = cupyx.empty_pinned
        self._finite = empty(self.finite.shape, bool)
        self._not_finite = empty((2, len(variables)), np.int64)
        self._n_samples, self._first_time, self._arrived = 0, clock.next_time, None

    def views(self, fields: Mapping[str, Any]) -> list[HostView]:
        """The host's fields of one sample where they are, in the order of the variables."""
        for variable in self._variables:
            if variable.name not in fields:
                raise InputError(
                    f"{variable.name}: the host gave no such field, expected {variable.long_name or variable.name} "
                    f"in {variable.units}"
                )
        return [self._points.view(fields[variable.name], variable.name) for variable in self._variables]

    def add(self, views: Sequence[HostView]) -> None:
        """Add the clock's next sample."""
        if self._points.n_land == 0:
            return
        sample = self._clock.n_samples
        groups: dict[Layout, list[int]] = {}
        for position, (view, variable) in enumerate(zip(views, self._variables, strict=True)):
            if variable.time_meaning == "window start" and sample > 0:
                continue
            if variable.time_meaning == "window end":
                self.sums[position] = 0.0
            groups.setdefault(view.layout, []).append(position)
        for layout, positions in groups.items():
            points = [views[position].points for position in positions]
            dtypes = tuple(array.dtype.type for array in points)
            key = (dtypes, tuple(positions), layout)
            if key not in self._calls:
                self._calls[key] = self._call(*key)
            self._calls[key](points)
        self._xp.isfinite(self.sums.sum(axis=1), out=self.finite[sample])

    def _call(self, dtypes: tuple[type, ...], positions: tuple[int, ...], layout: Layout) -> RepeatedCall:
        """Of the program that adds fields of one layout, as they lie, to the sums of some variables."""
        if dtypes not in self._programs:
            self._programs[dtypes] = OperatorCall(
                accumulate(dtypes), self._backend, f"the host's samples of {len(dtypes)} variables"
            )
        return RepeatedCall(
            self._programs[dtypes],
            {f"sum_{k}": self._sum_fields[position] for k, position in enumerate(positions)},
            {f"host_{k}": (HostPoint,) for k in range(len(positions))},
            (),
            {LandPoint.value: self._points.table(layout)},
        )

    def means(self, out: arrays.Array, positions: Sequence[int]) -> None:
        """Write the forcing of the samples so far into (n_land, n_forcing), the variables at these positions."""
        for row, position, variable in zip(self.sums, positions, self._variables, strict=True):
            out[:, position] = row / self._clock.n_samples if variable.time_meaning == "window mean" else row

    def clear(self) -> None:
        """Begin a window."""
        self.sums[...] = 0.0
        self.finite[...] = True

    def look(self) -> None:
        """Begin to look through the samples of the window so far; they may change once this returns."""
        n_samples = self._clock.n_samples
        if not self._on_device and self.finite[:n_samples].all():
            return
        bad = ~self._xp.isfinite(self.sums)
        not_finite = self._xp.stack([bad.argmax(axis=1), bad.sum(axis=1)]).astype(np.int64)
        self._n_samples, self._first_time = n_samples, self._clock.next_time - n_samples * self._clock.host_step
        if not self._on_device:
            self._finite[...], self._not_finite[...] = self.finite, not_finite
            return
        stream = self._xp.cuda.get_current_stream()
        self.finite.get(stream=stream, out=self._finite, blocking=False)
        not_finite.get(stream=stream, out=self._not_finite, blocking=False)
        self._arrived = stream.record()

    def found(self) -> str:
        """The first variable, point and time that the last `look` found not to be finite, told once; empty if none.

        Waits only where the answer has not arrived yet.
        """
        if self._arrived is not None:
            self._arrived.synchronize()
            self._arrived = None
        finite = self._finite[: self._n_samples]
        self._n_samples = 0
        if finite.all():
            return ""
        sample = int(np.argmin(finite.all(axis=1)))
        variable = int(np.argmin(finite[sample]))
        column, count = (int(row[variable]) for row in self._not_finite)
        others = f" and {count - 1} more land points" if count > 1 else ""
        return (
            f"{self._variables[variable].name}: found a number that is not finite at "
            f"{self._points.location_text(column)}{others}, "
            f"{time_text(self._first_time + sample * self._clock.host_step)}"
        )
