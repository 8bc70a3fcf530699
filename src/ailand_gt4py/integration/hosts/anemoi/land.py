"""The land beside an atmosphere: its columns go a window on when the atmosphere has made its step.

It is the run of ``ailand-column-run`` (`ailand_gt4py.io.stepping`) with forcing that comes from the atmosphere instead
of a file, and gives the same output and restart files, to the bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.arrays import to_host
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.files import claimed, remove
from ailand_gt4py.core.times import step_of, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.integration.hosts.anemoi.atmosphere import Atmosphere, grid_points, require_names
from ailand_gt4py.integration.hosts.anemoi.options import LandOptions
from ailand_gt4py.integration.hosts.anemoi.recorder import ForcingRecorder
from ailand_gt4py.integration.hosts.anemoi.weather import FIELDS, RESULT_NAMES, WindowWeather
from ailand_gt4py.io import before_start
from ailand_gt4py.io import restart as restarts
from ailand_gt4py.io.output import OutputLayout, attributes
from ailand_gt4py.io.quality import expectation, possible_range
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource, open_source
from ailand_gt4py.io.stepping import Stepper
from ailand_gt4py.io.units import Conversion
from ailand_gt4py.io.writers import Writer, move_into_place, open_writer
from ailand_gt4py.weights.model import Model, Template
from ailand_gt4py.weights.nodes import is_of_node, node_inputs
from ailand_gt4py.weights.schema import checksum

logger = logging.getLogger(__name__)


class WindowSource(ColumnSource):
    """Columns of the ground file with the forcing of one window after another, as the atmosphere gives it."""

    waits_for_steps = True

    def __init__(self, model: Model, ground: ColumnSource, start: np.datetime64, n_windows: int) -> None:
        self.path, self.model, self.step = ground.path, model, step_of(model.step_seconds)
        self.x, self.latitude, self.longitude = ground.x, ground.latitude, ground.longitude
        self.static, self.initial_state = _static(model, ground), ground.initial_state
        self.times = self.labels = start.astype("datetime64[ns]") + np.arange(n_windows) * self.step
        self.climate, self.lacking, self.history = ground.climate, (), list(ground.history)
        self.grid = ground.grid
        self.window = np.empty((self.n_columns, 0), dtype=np.float32)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return False

    def forcing(self, first: int, last: int) -> Values:
        return self.window[None]

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        raise InputError(f"{self.path}: an atmosphere has no reference, expected a file for it")

    def close(self) -> None:
        pass


def _static(model: Model, ground: ColumnSource) -> Values:
    """Static inputs of the ground file, and those that follow from where its columns are."""
    read = {one.name: ground.static[:, position] for position, one in enumerate(ground.model.static)}
    read |= node_inputs(model, ground.latitude, ground.longitude)
    return np.stack([read[one.name] for one in model.static], axis=1)


class CoupledLand:
    """A land model on the land points of an atmosphere.

    Making it reads and checks all that is given; `open` compiles and makes the files, which `step` fills and, after the
    last window, finishes. `close` gives up what is not finished.

    Attributes:
        model: that runs. needs: names that the atmosphere calls the needed fields by.
        points: (n_columns,) of the atmosphere's grid. n_windows: that will be made; n_made: that were.

    Raises:
        InputError: a file or option that is not usable, or an atmosphere that does not fit, on one line.
    """

    def __init__(
        self,
        options: LandOptions,
        model: Model,
        atmosphere: Atmosphere,
        start: np.datetime64,
        n_windows: int,
        latitude: Values,
        longitude: Values,
    ) -> None:
        if n_windows < 1:
            raise InputError(f"ailand: found {n_windows} steps for the land, expected at least one")
        self._options, self.model, self._atmosphere = options, model, atmosphere
        self._weather = weather_of(options, model, atmosphere)
        self._conversions = {
            name: atmosphere.input_conversion(name, self.own_name(name)) for name in self._weather.needs
        }
        self.needs = tuple(map(self.own_name, self._weather.needs))
        self._point = self._starting_point(start)
        self._source, self._n_points = self._read_ground(start, n_windows), len(latitude)
        source = self._source
        self.points = grid_points(source.path, source.x, source.latitude, source.longitude, latitude, longitude)
        if self._point is not None and options.restart is not None:
            restarts.check_columns(options.restart, self._point, source.x, source.latitude, source.longitude)
        self.n_windows, self.n_made = n_windows, 0
        self._stack = contextlib.ExitStack()
        self._writer: Writer | None = None
        options.check_targets()  # before a forecast is made; once more when nobody else can write there any more

    @property
    def time(self) -> np.datetime64:
        """At which the land is."""
        return self._source.times[0] + self.n_made * self._source.step

    @property
    def next_end(self) -> np.datetime64:
        """Of the window to be made."""
        return self.time + self._source.step

    def own_name(self, name: str) -> str:
        """What the atmosphere calls a field."""
        return self._options.names.get(name, name)

    def _starting_point(self, start: np.datetime64) -> Restart | None:
        path = self._options.restart
        if path is None:
            return None
        point = restarts.read_restart(path, self.model)
        restarts.check_run(path, point, checksum(self.model), self._options.precision, start)
        remembered = {*self._weather.instantaneous, *(one.name for one in self._weather.prescribed)}
        require_names(sorted(remembered), point.host, f"field in the restart file {path}, which is of another coupling")
        return point

    def _read_ground(self, start: np.datetime64, n_windows: int) -> WindowSource:
        """Read the ground file; at another start than a file of a restarted run has, its static fields only."""
        model, step = self.model, step_of(self.model.step_seconds)
        is_new = self._point is None
        prescribed = self._weather.prescribed if is_new else ()
        of_file = tuple(one for one in model.static if not is_of_node(one.name))
        template = Template(of_file, prescribed, model.state, (), model.step_seconds)
        with open_source(
            self._options.ground,
            template,
            start=start if is_new else None,
            end=start + step if is_new else None,
            initial_state="file" if is_new else "none",
        ) as ground:
            source = WindowSource(model, ground, start, n_windows)
            if self._point is not None:
                self._prescribed = {one.name: self._point.host[one.name] for one in self._weather.prescribed}
                self._before = {name: self._point.host[name] for name in self._weather.instantaneous}
            else:
                values = ground.forcing(0, 1)[0] if prescribed else np.empty((source.n_columns, 0))
                self._prescribed = {one.name: values[:, k].copy() for k, one in enumerate(prescribed)}
                self._before = {}
        if self._weather.prescribed:
            names = ", ".join(one.name for one in self._weather.prescribed)
            source.history.append(f"Of the start of the forecast, held through it: {names}.")
        return source

    def at_land(self, fields: Mapping[str, Values], names: Iterable[str] | None = None) -> dict[str, Values]:
        """Fields over the atmosphere's grid, by its own names (those of ``needs``), at the land's columns: copies."""
        names = self.needs if names is None else tuple(names)
        require_names(names, fields, "field that the atmosphere gave")
        for name in names:
            if fields[name].shape != (self._n_points,):
                found, expected = fields[name].shape, f"the atmosphere's {self._n_points} grid points"
                raise InputError(f"ailand: '{name}' has the shape {found}, expected {expected}")
        return {name: fields[name][self.points] for name in names}

    def begin_with(self, fields: Mapping[str, Values]) -> None:
        """Take the atmosphere's fields at the start, over its grid by its own names, as the first window's start."""
        if self._point is None:
            own = {name: self.own_name(name) for name in self._weather.instantaneous}
            values = self.at_land(fields, [one for one in own.values() if one in fields])
            self._before = {name: self._converted(name, values) for name, one in own.items() if one in values}

    def open(self) -> None:
        """Compile, and make the files."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        options, source = self._options, self._source
        self._stack.enter_context(claimed(options.paths_written, options.paths_read))
        options.check_targets()
        emulator = Emulator(self.model, source.n_columns, options.backend, options.precision)
        emulator.compile()
        self._layout = self._output_layout(emulator)
        if options.output is not None and options.partial_path is not None:
            remove(options.partial_path)
            self._writer = open_writer(options.output, options.partial_path, self._layout, create=True)
            self._stack.callback(self._writer.close)
        self._stepper = self._stack.enter_context(Stepper(emulator, source, self._point))
        self._stepper.count_on(None)
        self._recorder = None if options.forcing_out is None else ForcingRecorder(source, self._stepper.state)
        logger.info(
            "ailand: %d land points, %d windows from %s, %s, %s",
            source.n_columns, self.n_windows, time_text(source.times[0]), options.backend, options.precision,
        )  # fmt: skip

    def _output_layout(self, emulator: Emulator) -> OutputLayout:
        options, source = self._options, self._source
        if self._weather.instantaneous and len(self._before) < len(self._weather.instantaneous):
            names = ", ".join(name for name in self._weather.instantaneous if name not in self._before)
            source.history.append(f"In the first window, values at its end instead of means over its ends: {names}.")
        source.history += before_start.sentences(
            self.model.forcing, 0, "in the restart file" if options.restart else None
        )
        if options.restart is not None:
            source.history.append(f"Started from the restart file {options.restart}.")
        described = attributes(
            self.model,
            "land surface simulated by aiLand, coupled to an atmosphere in anemoi-inference",
            "anemoi-inference with ailand",
            source.history,
            options.backend,
            options.precision,
        )
        return OutputLayout.of(source, emulator.dtype, 1, described)

    def _converted(self, name: str, fields: Mapping[str, Values]) -> Values:
        """One of `at_land` in the unit of `FIELDS`, float64; NaN where all that the land makes of it is imputed."""
        own_name = self.own_name(name)
        values = fields[own_name].astype(np.float64)
        may_be_missing = name in self._weather.may_be_missing
        wrong = np.flatnonzero(np.isinf(values) if may_be_missing else ~np.isfinite(values))
        if wrong.size:
            raise InputError(
                f"ailand: '{own_name}' is {values[wrong[0]]:g} {self._where(int(wrong[0]))} ({wrong.size} of "
                f"{values.size} land points), expected a finite number"
            )
        return self._conversions[name].apply(values)

    def _where(self, column: int) -> str:
        source, k = self._source, min(self.n_made, self.n_windows - 1)
        place = f"{source.latitude[column]:.2f} N, {source.longitude[column]:.2f} E"
        return f"at grid point {self.points[column]} ({place}) in the window from {time_text(source.times[k])}"

    def step(self, end: np.datetime64, fields: Mapping[str, Values]) -> None:
        """Go a window on.

        Args:
            end: of the window. fields: the atmosphere's then, of `at_land`.

        Raises:
            InputError: a time or a field that cannot be. RunError: a result that is not finite, or writing failed.
        """
        source, row = self._source, self.n_made
        if row == self.n_windows or end != self.next_end:
            what = "none: the forecast is over" if row == self.n_windows else time_text(self.next_end)
            raise InputError(f"ailand: found a step of the atmosphere to {time_text(end)}, expected {what}")
        at_end = {name: self._converted(name, fields) for name in self._weather.needs}
        source.window = self._weather.forcing(self._before, at_end, self.model.step_seconds, self._prescribed)
        self._require_possible(source.window)
        layout = self._layout
        values = np.empty((1, len(layout.variables), source.n_columns), dtype=layout.dtype)
        flags = np.empty((1, source.n_columns), dtype=np.uint8)
        self._stepper.fill(row, values, flags, lambda done: False)
        if self._writer is not None:
            self._writer.write(row, values, flags)
            self._writer.flush()
        if self._recorder is not None:
            self._recorder.add(source.window)
        self._before = {name: at_end[name] for name in self._weather.instantaneous}
        self.n_made += 1
        if self.n_made == self.n_windows:
            self._finish()

    def _require_possible(self, forcing: Values) -> None:
        for position, variable in enumerate(self._weather.given):
            low, high = possible_range(variable)
            values = forcing[:, position]
            is_wrong = ~((values >= low) & (values <= high))
            if variable.is_imputed:
                is_wrong &= ~np.isnan(values)
            wrong = np.flatnonzero(is_wrong)
            if wrong.size:
                value = float(values[wrong[0]])
                raise InputError(
                    f"ailand: {variable.name} from the atmosphere is {value:g} {variable.units} "
                    f"{self._where(int(wrong[0]))}, {expectation(variable, value)}"
                )

    def result(self, name: str, to: Conversion) -> Values:
        """(n_columns,) of a state or diagnostic at the end of the last window, in the atmosphere's unit.

        NaN where a state that the model imputes is missing.
        """
        return to.apply(self._value(name))

    def _value(self, name: str) -> Values:
        stepper = self._stepper
        for variables, values in ((self.model.state, stepper.state), (self.model.diagnostics, stepper.diagnostics)):
            for position, variable in enumerate(variables):
                if variable.name == name:
                    return np.array(to_host(values)[:, position])
        raise AssertionError(name)

    def _finish(self) -> None:
        """Leave the finished files."""
        options = self._options
        if options.restart_path is not None:
            content = self._stepper.restart(
                self._layout,
                self.n_made,
                "an atmosphere of anemoi-inference",
                host={**self._before, **self._prescribed},
            )
            restarts.write_restart(options.restart_path, content, self.model)
        if options.forcing_out is not None and self._recorder is not None:
            self._recorder.write(options.forcing_out, self._weather.given, self._layout)
        self.close()
        if options.output is not None and options.partial_path is not None:
            move_into_place(options.partial_path, options.output)
        for counter in self._stepper.counters.values():
            for sentence in counter.sentences():
                logger.info("ailand: %s", sentence)
        logger.info("ailand: written: %s", ", ".join(map(str, options.paths_written)) or "nothing")

    def close(self) -> None:
        """Close the files and give up their names."""
        self._stack.close()


def weather_of(options: LandOptions, model: Model, atmosphere: Atmosphere) -> WindowWeather:
    """The forcing that an atmosphere gives a land model, of which it must have the fields, and the step."""
    require_names(options.names, FIELDS, "field that the land takes")
    atmosphere.require_step(step_of(model.step_seconds))
    has = {name for name in FIELDS if options.names.get(name, name) in atmosphere.outputs}
    weather = WindowWeather(model.forcing, has, options.to_forcing_height)
    for name in weather.lacking:
        own = options.names.get(name, name)
        hint = " (or 'to_forcing_height: false')" if name == "skt" else ""
        raise InputError(
            f"ailand: the atmosphere has no output '{own}', expected it for the land's forcing{hint}; it has "
            f"{', '.join(atmosphere.outputs)}"
        )
    return weather


@dataclasses.dataclass(frozen=True)
class Gift:
    """A field of the atmosphere that the land gives: the land's name of it, into which unit, and whether it is not
    known everywhere."""

    name: str
    conversion: Conversion
    may_be_missing: bool


def gifts(names: Iterable[str], model: Model, atmosphere: Atmosphere) -> dict[str, Gift]:
    """What the land gives to the atmosphere, by the atmosphere's names."""
    # Of diagnostics those at the end of the window: a mean over it is not of the atmosphere's time.
    results = {one.name: one for one in (*model.state, *model.diagnostics) if one.time_meaning != "window mean"}
    result = {}
    for name in names:
        own = RESULT_NAMES.get(name, name)
        require_names([own], results, f"result of the land model for the atmosphere's '{name}'")
        to = atmosphere.result_conversion(name, results[own].units)
        result[name] = Gift(own, to, results[own].is_imputed and results[own] in model.state)
    return result


def n_steps(lead_time: np.timedelta64, step: np.timedelta64) -> int:
    """Steps of a forecast, as anemoi-inference counts them."""
    return int(-(-lead_time // step))
