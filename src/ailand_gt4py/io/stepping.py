"""The emulator going through its input step by step, filling blocks of output rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from ailand_gt4py.core.arrays import array_module, by_variable, to_host
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.times import time_text
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.before_start import previous_forcing
from ailand_gt4py.io.forcing_ahead import ForcingAhead
from ailand_gt4py.io.output import FLAG_MASKS, OutputLayout, Values
from ailand_gt4py.io.restart import Restart
from ailand_gt4py.io.sources import ColumnSource
from ailand_gt4py.io.training_ranges import RangeCounter, outside_training_range
from ailand_gt4py.lowering.calls.backends import for_columns


class Stepper:
    """A run's state, on the device, its last diagnostics, and what the next window takes of the forcing ``before`` it.

    Counters are of static inputs, forcing and state out of the training range. Close it, or use it as a context
    manager, before its source is closed.
    """

    def __init__(self, emulator: Emulator, source: ColumnSource, point: Restart | None) -> None:
        model, n_columns, dtype = source.model, source.n_columns, emulator.dtype
        self._emulator, self._source, self.model = emulator, source, model
        if point is None:
            assert source.initial_state is not None  # it was asked for
            nothing = np.full((n_columns, len(model.diagnostics)), np.nan)
            state, diagnostics = source.initial_state, nothing
        else:
            state, diagnostics = point.state, point.diagnostics
        self._static = emulator.prepare_static(self._on_device(source.static.astype(dtype)))
        self.state, self._new_state = self._allocate(len(model.state)), self._allocate(len(model.state))
        self._device_diagnostics = self._allocate(len(model.diagnostics))
        self.state[...] = self._on_device(state.astype(dtype))
        self._device_diagnostics[...] = self._on_device(diagnostics.astype(dtype))
        self.diagnostics = to_host(self._device_diagnostics)
        self._diagnostics_known = bool(np.isfinite(self.diagnostics).all())
        assembler = assembler_of(emulator, source)
        self._assembler, self._ahead = assembler, ForcingAhead(source, assembler, dtype)
        self.before = previous_forcing(source, self._assembler, dtype) if point is None else point.before
        # A diagnostic of the end of the step [t, t + step) belongs to the label t + step.
        at_end = [variable.time_meaning == "window end" for variable in model.diagnostics]
        self._at_end, self._of_step = np.flatnonzero(at_end), np.flatnonzero(np.logical_not(at_end))
        self.counters = {group: RangeCounter(getattr(model, group)) for group in ("static", "forcing", "state")}
        #: Of the rows since the last check.
        self._states_are_finite = True
        outside = outside_training_range(source.static, model.static).any(axis=(0, 2))
        self._static_flag = outside * np.uint8(FLAG_MASKS["static_outside_training_range"])

    def restart(self, layout: OutputLayout, n_done: int, forcing: str, **more: Any) -> Restart:
        """Where the run stands after its first steps, at least one of them made here.

        No input is read from now to the next step: xarray defines a netCDF file's variables without the lock under
        which it reads, and the library is for one thread at a time.

        Args:
            layout: of its output. n_done: number of steps. forcing: of `Restart`, as ``more`` (``extra``, ``host``).
        """
        self._ahead.rest()
        return Restart.of_run(
            layout,
            n_done,
            state=to_host(self.state).copy(),
            diagnostics=self.diagnostics.copy(),
            before=self.before,
            forcing=forcing,
            **more,
        )

    def count_on(self, counted: Mapping[str, Any] | None) -> None:
        """Count what is out of the training ranges from where an interrupted run stood (`counted`); None: anew."""
        if counted is None:
            self.counters["static"].add(self._source.static)
            return
        for group, counter in self.counters.items():
            counter.restore(counted[group])

    def counted(self) -> dict[str, Any]:
        """What was out of the training ranges so far, as plain JSON."""
        return {group: counter.as_json() for group, counter in self.counters.items()}

    def fill(self, first: int, values: Values, flags: Values, after_step: Callable[[int], bool]) -> int:
        """Make the steps from `first` on until ``after_step`` (of the steps done) is true; the number of rows written.

        Values are (n_rows, n_variables, n_columns), state then diagnostics, flags (n_rows, n_columns).
        """
        n_state, n_rows, row = len(self.model.state), len(values), 0
        for forcing in self._ahead.windows(first, first + n_rows, self.before):
            found = self.counters["forcing"].look(forcing.reshape(-1, forcing.shape[-1]))
            forcing_flags = found.flags.reshape(len(forcing), -1) * np.uint8(
                FLAG_MASKS["forcing_outside_training_range"]
            )
            given = zip(forcing, self._forcing_on_device(forcing), forcing_flags, strict=True)
            for made, (own_forcing, step_forcing, step_flags) in enumerate(given, 1):
                values[row, :n_state] = to_host(self.state).T
                flags[row] = self._static_flag | step_flags | self._state_flags(values[row, :n_state].T)
                self._write_diagnostics(values[row, n_state:], self._at_end)
                self._step(step_forcing)
                self._write_diagnostics(values[row, n_state:], self._of_step)
                row += 1
                if after_step(first + row):
                    self.counters["forcing"].add(forcing[:made].reshape(-1, forcing.shape[-1]))
                    self._end(first, values[:row], own_forcing)
                    return row
            self.counters["forcing"].count(found.counts, found.n_values, found.extremes)
        self._end(first, values, own_forcing)
        return n_rows

    def _end(self, first: int, values: Values, last_forcing: Values) -> None:
        """Behind the last of some steps: what the next takes of its forcing; all results must be finite."""
        self.before = self._assembler.of_window(last_forcing)
        self._require_finite(first, values)

    def _step(self, forcing: Any) -> None:
        self._emulator.step(self._static, forcing, self.state, out=(self._new_state, self._device_diagnostics))
        self.state, self._new_state = self._new_state, self.state
        self.diagnostics = to_host(self._device_diagnostics)

    def _write_diagnostics(self, values: Values, positions: Values) -> None:
        for position in positions:
            values[position] = self.diagnostics[:, position]

    def _state_flags(self, values: Values) -> Values:
        found = self.counters["state"].look(values)
        self.counters["state"].count(found.counts, found.n_values, found.extremes)
        self._states_are_finite &= found.is_finite
        return found.flags * np.uint8(FLAG_MASKS["state_outside_training_range"])

    def _require_finite(self, first: int, values: Values) -> None:
        """Check rows of results, and the state and diagnostics that follow them."""
        variables, n_state = self.model.state + self.model.diagnostics, len(self.model.state)
        checked = values
        if first == 0 and not self._diagnostics_known:
            # Row 0 has no diagnostics of a step before: a missing value, not a wrong one.
            checked = values.copy()
            checked[0, n_state:][self._at_end] = 0.0
        state = to_host(self.state)
        # Of the rows' states it is known from their flags.
        states_are_finite, self._states_are_finite = self._states_are_finite, True
        if states_are_finite and all(map(_is_finite, (checked[:, n_state:], state, self.diagnostics))):
            return
        after = np.concatenate([state, self.diagnostics], axis=1).T
        rows = np.concatenate([checked, after[None]])
        is_wrong = ~np.isfinite(rows)
        for new, old in self._emulator.model.missing_after.items():
            is_wrong[1:, new] &= ~np.isnan(rows[:-1, old])
            is_wrong[0, new] = np.isinf(rows[0, new])  # the state at the start, or checked as the last one
        found = np.argwhere(is_wrong)
        if not found.size:
            return
        row, index, column = (int(part) for part in found[0])
        time = self._source.times[first] + row * self._source.step
        raise RunError(
            f"result '{variables[index].name}' is not finite in column {self._source.first_column + column} "
            f"(x = {self._source.x[column]}) at {time_text(time, self._source.calendar)}, expected a finite number"
        )

    def _allocate(self, n_variables: int) -> Any:
        """Results of a step: on a CPU variable by variable, as output has them."""
        if self._emulator.device == "cuda":
            return self._emulator.allocate(n_variables)
        return by_variable((self._emulator.n_columns, n_variables), self._emulator.dtype)

    def _forcing_on_device(self, host: Values) -> Any:
        """Of windows (n_windows, n_columns, n_forcing), kept variable by variable on the host."""
        if self._emulator.device == "cpu":
            return host
        xp = array_module(self._emulator.device)
        return xp.ascontiguousarray(xp.moveaxis(xp.asarray(np.moveaxis(host, -1, 0)), 0, -1))

    def _on_device(self, host: Values) -> Any:
        return host if self._emulator.device == "cpu" else array_module(self._emulator.device).asarray(host)

    def close(self) -> None:
        """End what is prepared for later steps."""
        self._ahead.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def assembler_of(emulator: Emulator, source: ColumnSource) -> ForcingAssembler:
    """What assembles the forcing of an emulator's steps."""
    return ForcingAssembler(
        source.model.forcing,
        source.latitude,
        source.longitude,
        for_columns(emulator.backend) if emulator.device == "cpu" else None,
        calendar=source.calendar,
    )


def _is_finite(values: Values) -> bool:
    """Whether all are, as far as their sum tells: it is not finite if one is not, nor if it is too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))
