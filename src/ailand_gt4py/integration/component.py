"""The land component that a dynamical core calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.turns import Turn, in_turn
from ailand_gt4py.emulator.emulator import Precision
from ailand_gt4py.integration import restart
from ailand_gt4py.integration.accumulation import Accumulation
from ailand_gt4py.integration.clock import LandClock
from ailand_gt4py.integration.columns import LandColumns
from ailand_gt4py.integration.description import CouplingOptions, Ground, HostClock, HostGrid, group_of
from ailand_gt4py.integration.ground import guessed_forcing
from ailand_gt4py.integration.host_points import HostPoints
from ailand_gt4py.integration.inspection import RangeWatch, require_units
from ailand_gt4py.integration.outputs import OutputFields
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model, require_model
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.schema import checksum
from ailand_gt4py.weights.variables import cf_attributes

logger = logging.getLogger(__name__)


class LandComponent:
    """An aiLand model as the land surface of a host model, on the host's memory.

    At every host step the host calls `accumulate` with its fields, then `advance`; or the component itself, which does
    both. Fields are read in place, at land points only; state, sums and outputs are allocated once. When the window of
    one emulator step is full, the emulator makes its step and the outputs change. The fluxes of a window are therefore
    those forced by the previous window: an emulator needs the forcing of the whole window. Until the first window is
    full, the outputs come from a provisional step on the first sample, which does not change the state. Inputs of
    previous windows (`ailand_gt4py.emulator.forcing`) are given by the host for the first window only
    (`Ground.previous_forcing`), or else taken from that window; afterwards the component remembers them.

    Args:
        model: the model to run; None: the default model in the package.
        grid, ground, clock, coupling: description of the host, see `ailand_gt4py.integration.description`.
        keywords: attributes of these four, each in place of its group: ``LandComponent(land_mask=..., latitude=...,
            longitude=..., static=..., initial_state=..., start=..., host_step=...)`` and ``LandComponent(grid=grid,
            ground=ground, clock=clock, derivatives=True)``.
        backend, precision: see `Emulator`.

    Attributes:
        model: as given. emulator: None without land. n_land: number of land points.
        outputs: name -> field over the host's grid, owned by the component: the same objects in every step.
        inputs_properties, outputs_properties: name -> standard_name, long_name, units, dims (and origin: ``model``,
            ``closure``, ``derivative`` or ``forcing``).
        missing_outputs: name -> reason why the model does not give it.
        state, diagnostics: (n_land, n_features), in the model's order and units.
        flagged: (n_land,) bool, columns not stepped in the last window. window: the emulator's step.

    Input is checked. Impossible locations, static fields, initial states and samples (another unit, a fill value) are
    errors; `CouplingOptions.not_finite` sets the treatment of samples. A value far out of the model's training range is
    warned of once per variable, and everything out of range is counted (`range_sentences`).

    Raises:
        InputError: a missing or unknown field, a wrong shape, type, unit or device, a value that is not finite or
            impossible, or times that do not fit.
        TypeError: a keyword that belongs to no group, or one given together with its group.
        RunError: a backend that is not available, or a program that cannot be compiled.
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
        self.model = read_model() if model is None else require_model(model)
        if self.model.normalised_space or self.model.step_seconds <= 0.0:
            raise InputError("model: found one without statistics or step, expected one that knows its units")
        self._points = HostPoints(grid.land_mask, backends.device_of(backend), grid.levels, grid.dims)
        self._clock = LandClock(step_of(self.model.step_seconds), clock.host_step, clock.start, clock.state_time)
        of_host = [variable for variable in self.model.forcing if not variable.derived]
        known = {variable.name: variable.units for variable in of_host}
        for name, units in (grid.units or {}).items():
            if name not in known:
                raise InputError(f"{name}: the model takes no such field, expected one of {', '.join(known)}")
            require_units(name, units, known[name])
        prescribed = ground.prescribed_to(self.model)
        for name in prescribed:
            if name not in known:
                raise InputError(f"prescribed '{name}': expected an input that a host gives: {', '.join(known)}")
        self._columns = LandColumns(
            self.model, self._points, grid, ground, coupling, self._clock.window_start, backend, precision
        )
        given = [self.model.forcing.index(variable) for variable in of_host]
        self._given = arrays.array_module(self._points.device).asarray(given, dtype=np.int64)
        watched = {"static": self.model.static, "forcing": of_host, "state": self.model.state}
        self._watch = RangeWatch(self._points, watched, self._clock.seconds)
        self._look_at(static=self._columns.static, state=self._columns.state)
        sampled = [variable for variable in of_host if variable.name not in prescribed]
        guessed = guessed_forcing(self.model, self._columns.static, self._points)
        #: What stands for forcing that the host need not give.
        self._guessed = {name: field for name, field in guessed.items() if name not in prescribed}
        for name in self._guessed:
            logger.info(
                "%s: neither prescribed nor given as background_albedo: by vegetation, unless it is a field", name
            )
        self._positions = [self.model.forcing.index(variable) for variable in sampled]
        gt4py_backend = backends.make_backend(backend)
        self._accumulation = Accumulation(self._points, sampled, self._clock, gt4py_backend)
        #: Names of fields that samples may have without a word: they are read, or were told of.
        self._known = {variable.name for variable in sampled}
        self._fields = OutputFields(
            list(self._columns.outputs), self._points, grid, np.dtype(self._columns.dtype), gt4py_backend
        )
        self.outputs: dict[str, Any] = self._fields.fields
        self.inputs_properties: dict[str, dict[str, Any]] = {
            one.name: {"standard_name": one.name, "long_name": "", **cf_attributes(one), "dims": grid.dims}
            for one in sampled
            if one.name not in self._guessed
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
        """(n_land, n_state), model order and units; memory of the component, which a later step writes to: copy it."""
        return self._columns.state

    @property
    def diagnostics(self) -> arrays.Array:
        """(n_land, n_diagnostics), model order and units; to be copied like `state`."""
        return self._columns.diagnostics

    @property
    def time(self) -> np.datetime64:
        """Time of the next sample."""
        return self._clock.next_time

    @property
    def is_due(self) -> bool:
        """Whether the next `advance` makes a step of the emulator."""
        return self._clock.is_full

    @property
    def range_sentences(self) -> list[str]:
        """What has been out of the model's training range so far, one sentence per input or state variable.

        Static fields and the initial state are counted once; means of the forcing and the state after each window.
        """
        self._watch.tell()
        return self._watch.sentences()

    @in_turn
    def __call__(self, fields: Mapping[str, Any], time: Any) -> dict[str, Any]:
        """`accumulate`, then `advance`."""
        self.accumulate(fields, time)
        return self.advance(time)

    @in_turn
    def accumulate(self, fields: Mapping[str, Any], time: Any) -> None:
        """Add the host's fields of one step to the forcing of the window; an error leaves the component unchanged.

        Args:
            fields: name -> field, those of `inputs_properties`; float32 or float64, not changed. A model that takes the
                albedo of the ground uses that of `description.Ground`, unless ``albedo_background`` is among them.
            time: start of the host step that they are valid for; types as in `HostClock`.

        Raises:
            InputError: a field that is missing or cannot be read; a repeated or missed call, a jump in time, or a full
                window that was not advanced; a value at a land point that is not finite or impossible (another unit, a
                fill value). On a GPU this is reported one host step after the end of the window, so that the host
                never waits for the device; such columns have then kept their state.
        """
        self._tell()
        clock, accumulation = self._clock, self._accumulation
        clock.check_sample(time)
        self._tell_unread(fields)
        views = accumulation.views({**self._guessed, **fields} if self._guessed else fields)
        closes = clock.next_closes_window()
        accumulation.gather(views, closes or clock.n_samples == 0)
        if accumulation.problem and self._coupling.not_finite == "raise" and self._columns.on_cpu:
            raise InputError(accumulation.problem)
        if closes:
            if self.n_land:
                accumulation.report()
                accumulation.means(self._columns.forcing, self._positions)
            clock.close_window()
        accumulation.add()
        clock.count_sample()
        if closes and self._columns.on_cpu:
            self._tell()

    def _tell_unread(self, fields: Mapping[str, Any]) -> None:
        """Say which of a sample's fields have no effect: a host may mean a prescribed or guessed input by them."""
        unread = fields.keys() - self._known
        if not unread:
            return
        self._known |= unread
        of_model = {variable.name for variable in self.model.forcing}
        if prescribed := sorted(unread & of_model):
            logger.warning(
                "%s: given with the weather, but prescribed or computed by the component: these fields are not read; "
                "change what is prescribed by 'prescribe'", ", ".join(prescribed),
            )  # fmt: skip
        if self._guessed and (unknown := sorted(map(str, unread - of_model))):
            logger.warning(
                "%s: fields that the model does not take are not read; %s would be, and is guessed otherwise",
                ", ".join(unknown), ", ".join(self._guessed),
            )  # fmt: skip

    def _tell(self) -> None:
        """What was found and has not been told, as an error or a warning; of a GPU that is asked in a later step."""
        self._watch.tell()
        for found, error in ((self._accumulation.found, InputError), (self._columns.bad_result, RunError)):
            problem = found()
            if problem and self._coupling.not_finite == "raise":
                raise error(problem)
            if problem:
                logger.warning("%s; such columns keep their state in this window", problem)

    def _look_at(self, **values: arrays.Array) -> None:
        """Begin to look at what is out of the training ranges; on a CPU that is told at once."""
        if self._points.n_land:
            for group, found in values.items():
                self._watch.look(group, found)
            if self._columns.on_cpu:
                self._watch.tell()

    @in_turn
    def advance(self, time: Any) -> dict[str, Any]:
        """Make the emulator's step if its window is full, and return the outputs at a time.

        Args:
            time: time of the last sample.

        Returns:
            `outputs`.

        Raises:
            InputError: a time other than the last sample's.
            RunError: a program that cannot be compiled; a result that is not finite, which leaves the state unchanged.
        """
        clock, columns, fields = self._clock, self._columns, self._fields
        clock.check_advance(time)
        fires, first = clock.is_full, not self._has_outputs
        if self.n_land and (fires or first):
            if not fires:
                self._accumulation.means(columns.forcing, self._positions)
            columns.compute(clock.window_start - clock.window if fires else clock.window_start)
            if columns.on_cpu:
                self._tell()
            columns.keep(is_provisional=not fires)
        if self.n_land and fires:
            fields.earlier[...] = fields.later
            columns.write_outputs(fields.later)
            self._look_at(forcing=columns.forcing[:, self._given], state=columns.state)
        elif self.n_land and first:
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
        """Change an input given as ``prescribed``, from the window now being accumulated.

        Raises:
            InputError: an input that is not prescribed, or a field that cannot be read.
        """
        self._columns.prescribe(name, value)

    @in_turn
    def write_restart(
        self, path: str | os.PathLike[str], host_memory: Mapping[str, arrays.Array] | None = None
    ) -> None:
        """Write the whole memory of the component, bit for bit, at any time between two calls; netCDF-4.

        Args:
            host_memory: name -> further array to store, for a host's adapter: bool, integers, float32 or float64.

        Raises:
            InputError: host memory that is no such array.
            InputError: on a GPU, values of the previous window that are not finite and were not yet reported.
            RunError: writing failed; an existing file of that name is then unchanged.
        """
        self._tell()
        position = self._clock.as_dict() | {"has_outputs": int(self._has_outputs)}
        restart.write(path, self._content(host_memory), position)

    @in_turn
    def restore(self, path: str | os.PathLike[str], host_memory: Mapping[str, arrays.Array] | None = None) -> None:
        """Continue from a restart file; this component must be made with the same arguments as the one that wrote it.

        Args:
            host_memory: name -> array to fill, with the names, shapes and types of those written.

        Raises:
            InputError: a file that cannot be read or is damaged, or of another model, precision, grid, host step,
                location, static field, background albedo or reference height; host memory that is not that of the file,
                or read-only. Nothing is changed then.
        """
        content = self._content(host_memory)
        values, position = restart.read(path, content)
        has_outputs = bool(position.pop("has_outputs", False))
        try:
            self._clock.check(position)
        except InputError as error:
            raise InputError(f"{path}: clock: {error}") from error
        restart.fill(content.memory, values)
        self._clock.restore(position)
        self._has_outputs = has_outputs
        if has_outputs:
            self._write_outputs()

    def _content(self, host_memory: Mapping[str, arrays.Array] | None) -> restart.Content:
        """Of a restart file: all that changes in a run, and what must be the same where it continues."""
        memory = {
            **self._columns.memory(),
            "sums": self._accumulation.sums,
            "possible": self._accumulation.possible,
            "earlier_outputs": self._fields.earlier,
            "later_outputs": self._fields.later,
            **restart.host_memory(host_memory, self._points.device),
        }
        identity = {
            "model_checksum": checksum(self.model),
            "precision": self._columns.precision,
            "host_step_microseconds": str(self._clock.host_step.astype(np.int64)),
            "grid": " x ".join(map(str, self._points.shape)),
            "sampled": " ".join(self.inputs_properties),
            "between": self._coupling.between,
            "outputs": " ".join(self.outputs_properties),
            "reference_height": f"{float(self._coupling.reference_height):g} m",
        }
        fixed = {"land_points": self._points.columns, **self._columns.fixed}
        return restart.Content(memory, fixed, identity, [variable.is_imputed for variable in self.model.state])
