"""The land component that a dynamical core calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.turns import Turn, in_turn
from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.integration import restart
from ailand_gt4py.integration.accumulation import Accumulation
from ailand_gt4py.integration.clock import LandClock
from ailand_gt4py.integration.columns import LandColumns
from ailand_gt4py.integration.description import CouplingOptions, Ground, HostClock, HostGrid, group_of
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.integration.outputs import OutputFields
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.schema import checksum
from ailand_gt4py.weights.variables import cf_attributes

logger = logging.getLogger(__name__)


class LandComponent:
    """An aiLand model as the land surface of a host model, on the host's memory.

    At every host step the host calls `accumulate` with its fields, then `advance`; or the component itself, which is
    both. Fields are read where they are, at land points only; state, sums and outputs are allocated once. When the
    samples of a window of the emulator's length are there, the emulator makes its step, and the outputs change. So
    fluxes of a window are those of the previous window: an emulator needs the whole window's forcing. Until the first
    window is full, the outputs are those of a provisional step on the first sample alone, which does not change the
    state. Inputs of the previous window (`ailand_gt4py.emulator.forcing`) are not the host's to give: the
    component remembers them, and takes the window's own where there was none before it.

    Args:
        model: what to run; None: the default model of the package.
        grid, ground, clock, coupling: what the host says of itself, see `ailand_gt4py.integration.description`.
        keywords: attributes of these four, each instead of its group: ``LandComponent(land_mask=..., latitude=...,
            longitude=..., static=..., initial_state=..., start=..., host_step=...)`` and ``LandComponent(grid=grid,
            ground=ground, clock=clock, derivatives=True)``.
        backend, precision: see `Emulator`.

    Attributes:
        model: as given. emulator: None without land. n_land: number of land points.
        outputs: name -> field over the host's grid; the component's own, the same objects in every step.
        inputs_properties, outputs_properties: name -> standard_name, long_name, units, dims (and origin: ``model``,
            ``closure``, ``derivative`` or ``forcing``).
        missing_outputs: name -> why the model does not give it.
        state, diagnostics: (n_land, n_features), model order and units.
        flagged: (n_land,) bool: columns that were not stepped in the last window. window: the emulator's step.

    Raises:
        InputError: a missing or unknown field, a wrong shape, type, unit or device, a number that is not finite, or
            times that do not fit.
        TypeError: a keyword that no group has, or that stands beside its group.
        RunError: a backend that cannot be had, or a program that cannot be compiled.
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        grid: HostGrid | None = None,
        ground: Ground | None = None,
        clock: HostClock | None = None,
        coupling: CouplingOptions | None = None,
        backend: Any = "dace_cpu",
        precision: Precision = "float32",
        **keywords: Any,
    ) -> None:
        grid = group_of(HostGrid, "grid", grid, keywords)
        ground = group_of(Ground, "ground", ground, keywords)
        clock = group_of(HostClock, "clock", clock, keywords)
        coupling = self._coupling = group_of(CouplingOptions, "coupling", coupling, keywords)
        for name in keywords:
            names = ", ".join(key for group in (grid, ground, clock, coupling) for key in vars(group))
            raise TypeError(f"LandComponent got an unexpected keyword argument '{name}', expected some of {names}")
        self.turn = Turn("land component")
        self.model = read_model() if model is None else model
        if self.model.normalised_space or self.model.step_seconds <= 0.0:
            raise InputError("model: found one without statistics or step, expected one that knows its units")
        self._points = HostPoints(grid.land_mask, backends.device_of(backend), grid.levels, grid.dims)
        self._clock = LandClock(step_of(self.model.step_seconds), clock.host_step, clock.start, clock.state_time)
        of_host = [variable for variable in self.model.forcing if not variable.derived]
        known = {variable.name: variable.units for variable in of_host}
        for name, units in (grid.units or {}).items():
            if name not in known:
                raise InputError(f"{name}: the model takes no such field, expected one of {', '.join(known)}")
            if units != known[name]:
                raise InputError(f"{name}: found the unit '{units}', expected '{known[name]}'")
        prescribed = ground.prescribed or {}
        for name in prescribed:
            if name not in known:
                raise InputError(f"prescribed '{name}': expected an input that a host gives: {', '.join(known)}")
        self._columns = LandColumns(self.model, self._points, grid, ground, coupling, backend, precision)
        sampled = [variable for variable in of_host if variable.name not in prescribed]
        self._positions = [self.model.forcing.index(variable) for variable in sampled]
        gt4py_backend = backends.make_backend(backend)
        self._accumulation = Accumulation(self._points, sampled, self._clock, gt4py_backend)
        self._fields = OutputFields(
            list(self._columns.outputs), self._points, grid, np.dtype(self._columns.dtype), gt4py_backend
        )
        self.outputs: dict[str, Any] = self._fields.fields
        self.inputs_properties: dict[str, dict[str, Any]] = {
            one.name: {"standard_name": one.name, "long_name": "", **cf_attributes(one), "dims": grid.dims}
            for one in sampled
        }
        self.outputs_properties = {name: one | {"dims": grid.dims} for name, one in self._columns.outputs.items()}
        self.missing_outputs, self.emulator = self._columns.missing_outputs, self._columns.emulator
        self.n_land, self.flagged, self.window = self._points.n_land, self._columns.flagged, self._clock.window
        self._has_outputs = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a LandComponent can be neither copied nor pickled, since its host's memory is part of it: "
            "make another one with the same arguments, and give it this one's state by write_restart and restore"
        )

    @property
    def state(self) -> arrays.Array:
        return self._columns.state

    @property
    def diagnostics(self) -> arrays.Array:
        return self._columns.diagnostics

    @property
    def time(self) -> np.datetime64:
        """Of the sample to come."""
        return self._clock.next_time

    @property
    def is_due(self) -> bool:
        """Whether the emulator makes its step in the next `advance`."""
        return self._clock.is_full

    @in_turn
    def __call__(self, fields: Mapping[str, Any], time: np.datetime64) -> dict[str, Any]:
        """`accumulate`, then `advance`."""
        self.accumulate(fields, time)
        return self.advance(time)

    @in_turn
    def accumulate(self, fields: Mapping[str, Any], time: np.datetime64) -> None:
        """Add the host's fields of one step to the window's forcing.

        Args:
            fields: name -> field, those of `inputs_properties`; float32 or float64, not changed.
            time: start of the host step for which they stand.

        Raises:
            InputError: a field that is missing or cannot be read; a repeated or missed call, a time that jumps, or a
                full window that was not advanced; a value that is not finite at a land point. On a GPU that is told
                one host step after the window's end, so that the host never waits for the device; such columns have
                then kept their state.
        """
        self._tell_what_is_not_finite()
        self._clock.check_sample(time)
        views = self._accumulation.views(fields)
        if self._clock.next_closes_window():
            self._look()
            if self.n_land:
                self._accumulation.means(self._columns.forcing, self._positions)
            self._accumulation.clear()
            self._clock.close_window()
        self._accumulation.add(views)
        self._clock.count_sample()
        if self._coupling.not_finite == "raise" and self._columns.on_cpu:
            self._look()

    def _look(self) -> None:
        """Look for numbers that are not finite; what is found on a GPU is told later."""
        if self.n_land:
            self._accumulation.look()
            if self._columns.on_cpu:
                self._tell_what_is_not_finite()

    def _tell_what_is_not_finite(self) -> None:
        message = self._accumulation.found()
        if message and self._coupling.not_finite == "raise":
            raise InputError(f"{message}, expected finite numbers")
        if message:
            logger.warning("%s; such columns keep their state in this window", message)

    @in_turn
    def advance(self, time: np.datetime64) -> dict[str, Any]:
        """Let the emulator make its step if its window is full, and give the outputs at a time.

        Args:
            time: of the last sample.

        Returns:
            `outputs`.

        Raises:
            InputError: another time than the last sample's.
            RunError: a program cannot be compiled.
        """
        clock, columns, fields = self._clock, self._columns, self._fields
        clock.check_advance(time)
        fires, first = clock.is_full, not self._has_outputs
        if self.n_land and fires:
            columns.step(clock.window_start - clock.window)
            fields.earlier[...] = fields.later
            columns.write_outputs(fields.later)
        elif self.n_land and first:
            self._accumulation.means(columns.forcing, self._positions)
            columns.step(clock.window_start, is_provisional=True)
            columns.write_outputs(fields.later)
            fields.earlier[...] = fields.later
        if fires or first or self._coupling.between == "interpolate":
            self._write_outputs()
        self._has_outputs = True
        if fires:
            clock.fired()
        return self.outputs

    def _write_outputs(self) -> None:
        self._fields.write(self._clock.fraction() if self._coupling.between == "interpolate" else 1.0)

    @in_turn
    def prescribe(self, name: str, value: Any) -> None:
        """Change an input that was given as ``prescribed``; it holds from the window now being accumulated.

        Raises:
            InputError: another input, or a field that cannot be read.
        """
        self._columns.prescribe(name, value)

    @in_turn
    def write_restart(
        self, path: str | os.PathLike[str], host_memory: Mapping[str, arrays.Array] | None = None
    ) -> None:
        """Write all that the component remembers, bit for bit, at any time between two calls; netCDF-4.

        Args:
            host_memory: name -> array of what a host's adapter remembers, too.

        Raises:
            InputError: on a GPU, values that are not finite in the previous window and were not yet reported.
            RunError: writing failed; an older file of that name is then still there.
        """
        self._tell_what_is_not_finite()
        position = self._clock.as_dict() | {"has_outputs": int(self._has_outputs)}
        restart.write(path, self._memory(host_memory), self._identity(), position)

    @in_turn
    def restore(self, path: str | os.PathLike[str], host_memory: Mapping[str, arrays.Array] | None = None) -> None:
        """Continue where a restart file's component stopped; this one must be made with the same arguments.

        Args:
            host_memory: name -> array of the names, shapes and types of those written; they are filled.

        Raises:
            InputError: a file that cannot be read, or of another model, precision, grid or host step.
        """
        position = restart.read(path, self._memory(host_memory), self._identity())
        self._has_outputs = bool(position.pop("has_outputs"))
        self._clock.restore(position)
        if self._has_outputs:
            self._write_outputs()

    def _memory(self, host_memory: Mapping[str, arrays.Array] | None) -> dict[str, arrays.Array]:
        """Name -> array of all that changes in a run."""
        return {
            **self._columns.memory(),
            "sums": self._accumulation.sums,
            "finite": self._accumulation.finite,
            "earlier_outputs": self._fields.earlier,
            "later_outputs": self._fields.later,
            "land_points": self._points.columns,
            **{f"host_{name}": array for name, array in (host_memory or {}).items()},
        }

    def _identity(self) -> dict[str, str]:
        """What must be the same where a run continues."""
        return {
            "model_checksum": checksum(self.model),
            "precision": self._columns.precision,
            "host_step_nanoseconds": str(self._clock.host_step.astype(np.int64)),
            "grid": " x ".join(map(str, self._points.shape)),
            "sampled": " ".join(self.inputs_properties),
            "between": self._coupling.between,
            "outputs": " ".join(self.outputs_properties),
        }
