"""A window's forcing, added up on the device from the host's samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, HostPoint, LandPoint
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.host_points import HostPoints, HostView
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.land_points import accumulate
from ailand_gt4py.weights.model import Variable


class Accumulation:
    """Sums of the host's samples over a window, at the land points.

    Variables that are valid over the window are added up; of those that are valid at its start or its end the first or
    the last sample is taken. Sums are float64 whatever the types of host and emulator: a window may have thousands of
    samples.

    Args:
        points: of the host.
        variables: that the host gives at every step.
        backend: a GT4Py backend; None for embedded execution.
        device: of the host's fields.
        samples_per_window: the most samples of a window.

    Attributes:
        names: of the variables.
        sums: (n_variables, n_land) float64.
        finite: (samples_per_window, n_variables) bool: whether the sums were finite after each sample.
    """

    def __init__(
        self,
        points: HostPoints,
        variables: Sequence[Variable],
        backend: Any,
        device: arrays.Device,
        samples_per_window: int,
    ) -> None:
        self._points = points
        self._variables = tuple(variables)
        self.names = tuple(variable.name for variable in variables)
        self._backend = backend
        self._xp = arrays.array_module(device)
        self.sums = self._xp.zeros((len(variables), points.n_land), dtype=np.float64)
        self.finite = self._xp.ones((samples_per_window, len(variables)), dtype=bool)
        self._sum_fields = [arrays.wrap(row, (Column,), "sum") for row in self.sums]
        self._programs: dict[tuple[type, ...], OperatorCall] = {}
        self._calls: dict[Any, RepeatedCall] = {}

    def views(self, fields: Mapping[str, Any]) -> list[HostView]:
        """The host's fields of one sample where they are, in the order of the variables.

        Raises:
            InputError: a field is missing or cannot be read (see `HostPoints.view`).
        """
        for variable in self._variables:
            if variable.name not in fields:
                raise InputError(
                    f"{variable.name}: the host gave no such field, expected {variable.long_name or variable.name} "
                    f"in {variable.units}"
                )
        return [self._points.view(fields[variable.name], variable.name) for variable in self._variables]

    def add(self, views: Sequence[HostView], sample: int) -> None:
        """Add a sample.

        Args:
            views: of the host's fields. sample: its number in the window, from 0.

        Raises:
            RunError: the program cannot be compiled.
        """
        if self._points.n_land == 0:
            return
        groups: dict[tuple[int, ...], list[int]] = {}
        for position, (view, variable) in enumerate(zip(views, self._variables, strict=True)):
            if variable.time_meaning == "window start" and sample > 0:
                continue
            if variable.time_meaning == "window end":
                self.sums[position] = 0.0
            groups.setdefault(view.layout, []).append(position)
        for layout, positions in groups.items():
            self._add([views[position].points for position in positions], positions, layout)
        self._xp.isfinite(self.sums.sum(axis=1), out=self.finite[sample])

    def _add(self, points: Sequence[arrays.Array], positions: Sequence[int], layout: tuple[int, ...]) -> None:
        """Fields of one layout, as they lie, to the sums of some variables."""
        dtypes = tuple(array.dtype.type for array in points)
        key = (dtypes, tuple(positions), layout)
        if key not in self._calls:
            if dtypes not in self._programs:
                self._programs[dtypes] = OperatorCall(
                    accumulate(dtypes), self._backend, f"the host's samples of {len(dtypes)} variables"
                )
            self._calls[key] = RepeatedCall(
                self._programs[dtypes],
                {f"sum_{k}": self._sum_fields[position] for k, position in enumerate(positions)},
                {f"host_{k}": (HostPoint,) for k in range(len(positions))},
                (),
                {LandPoint.value: self._points.table(layout)},
            )
        self._calls[key](points)

    def means(self, out: arrays.Array, positions: Sequence[int], n_samples: int) -> None:
        """Write the forcing of the samples so far.

        Args:
            out: (n_land, n_forcing), the emulator's type. positions: of the variables among its features.
            n_samples: in the window.
        """
        for row, position, variable in zip(self.sums, positions, self._variables, strict=True):
            out[:, position] = row / n_samples if variable.time_meaning == "window mean" else row

    def clear(self) -> None:
        """Begin a window."""
        self.sums[...] = 0.0
        self.finite[...] = True
