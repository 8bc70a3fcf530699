"""The emulator's arrays over land columns, and what a component computes from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator, Precision
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.integration import outputs
from ailand_gt4py.integration.coupling.closures import SurfaceClosures
from ailand_gt4py.integration.description import CouplingOptions, Ground, HostGrid
from ailand_gt4py.integration.ground import GroundColumns
from ailand_gt4py.integration.host_points import HostPoints, others_text
from ailand_gt4py.integration.inspection import Late, check_coordinates, check_units, require_possible, require_within
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.variables import CATALOGUE


class LandColumns:
    """State, forcing and results of the land columns, (n_land, n_features); no emulator without land.

    The accumulation fills the forcing but for derived and prescribed inputs. Diagnostics are NaN before the first step.
    `compute` makes results of a window, which `keep` takes over; the first one begins at ``start``. Flagged are columns
    that were not stepped in the last window. Outputs have their properties by name, in the order of `write_outputs`,
    missing ones why the model cannot give them.
    """

    def __init__(
        self,
        model: Model,
        points: HostPoints,
        grid: HostGrid,
        ground: Ground,
        coupling: CouplingOptions,
        start: np.datetime64,
        backend: Any,
        precision: Precision,
    ) -> None:
        self.model, self.precision, self._points = model, precision, points
        self._xp = xp = arrays.array_module(points.device)
        # An emulator has at least one column; without land it checks backend and precision.
        emulator = Emulator(model, max(points.n_land, 1), backend, precision)
        self.dtype = emulator.dtype
        self.emulator = emulator if points.n_land else None
        check_units(grid.latitude, "latitude", CATALOGUE["lat"].units)
        check_units(grid.longitude, "longitude", CATALOGUE["lon"].units)
        latitude, longitude = (
            points.land_values(degrees, name, np.dtype(np.float64))
            for name, degrees in (("latitude", grid.latitude), ("longitude", grid.longitude))
        )
        check_coordinates(points, latitude, longitude)
        of_columns = backends.for_columns(backend)
        self._assembler = ForcingAssembler(model.forcing, latitude, longitude, of_columns, points.device)
        own = GroundColumns(model, points, ground, (latitude, longitude), self.dtype)
        self.static, self.state = own.static, own.state
        #: Name -> array of what is the same in all of a run.
        self.fixed = {"latitude": latitude, "longitude": longitude, "static_fields": self.static}
        self.diagnostics = xp.full((points.n_land, len(model.diagnostics)), np.nan, dtype=self.dtype)
        self._new_state, self._new_diagnostics = xp.empty_like(self.state), xp.empty_like(self.diagnostics)
        self.forcing = xp.zeros((points.n_land, len(model.forcing)), dtype=self.dtype)
        self.flagged = xp.zeros(points.n_land, dtype=bool)
        #: (n_previous, n_land), infinite where there was no such window or its number could not be: forgotten with it.
        previous = self._assembler.before_start(start, model.step_seconds, self.dtype)
        self._previous = xp.ascontiguousarray(previous.T)
        self._bad_results = Late(points.device)
        self._forcing_positions = {variable.name: position for position, variable in enumerate(model.forcing)}
        prescribed = ground.prescribed_to(model)
        self._prescribed = {name: self._forcing_values(name, one) for name, one in prescribed.items()}
        self._take_previous(ground.previous_forcing or {})
        self._is_imputed = xp.asarray([variable.is_imputed for variable in model.forcing], dtype=bool)
        self._missing_after = (list(model.missing_after), list(model.missing_after.values()))
        self._predicted, self.missing_outputs = outputs.predicted_by(model)
        albedo = ground.background_albedo
        if albedo is not None:
            check_units(albedo, "background albedo", "1")
            albedo = points.land_values(albedo, "background albedo", self.dtype)
            require_within(points, albedo, "background albedo", (0.0, 1.0))
            self.fixed["background_albedo"] = albedo
        self._closures = SurfaceClosures(
            model,
            points.n_land,
            backend,
            self.dtype,
            reference_height=coupling.reference_height,
            background_albedo=albedo,
        )
        self.missing_outputs |= self._closures.missing_outputs
        self._lines = outputs.flux_lines(model) if coupling.derivatives else ()
        self.outputs = {entry.component_name: outputs.predicted(entry) for entry in self._predicted}
        self.outputs |= {name: outputs.catalogued(name, "closure") for name in self._closures.outputs}
        for one in self._lines:
            self.outputs[one.slope] = outputs.catalogued(one.slope, "derivative")
            self.outputs[one.reference] = outputs.catalogued(one.reference, "forcing")
        self._jacobian = xp.empty((points.n_land, len(self._lines), len(self._lines)), dtype=self.dtype)
        if self.emulator is not None:
            self.emulator.compile()
            self._static = self.emulator.prepare_static(self.static)
            self._differentiate()

    @property
    def on_cpu(self) -> bool:
        return self._points.device == "cpu"

    def prescribe(self, name: str, value: Any) -> None:
        """Change an input that was prescribed at the start."""
        if name not in self._prescribed:
            raise InputError(
                f"{name}: is not prescribed, expected one of {', '.join(self._prescribed) or 'none: none was'}"
            )
        self._prescribed[name] = self._forcing_values(name, value)

    def _forcing_values(self, name: str, value: Any) -> arrays.Array:
        variable = self.model.forcing[self._forcing_positions[name]]
        check_units(value, name, variable.units)
        values = self._points.land_values(value, name, self.dtype, variable.is_imputed)
        require_possible(self._points, values, variable)
        return values

    def _take_previous(self, given: Mapping[str, Any]) -> None:
        """Take inputs of previous windows that the host gives at the start, by name."""
        rows = {self.model.forcing[position].name: row for row, position in enumerate(self._assembler.previous)}
        for name, value in given.items():
            if name not in rows:
                raise InputError(
                    f"previous forcing '{name}': expected an input of previous windows: {', '.join(rows) or 'none'}"
                )
            self._previous[rows[name]] = self._forcing_values(name, value)

    def _differentiate(self) -> None:
        """The derivatives of the fluxes with respect to their forcing; that of the previous window is a constant."""
        if self._lines and self.emulator is not None:
            fluxes = [line.flux for line in self._lines]
            forcing = [line.forcing for line in self._lines]
            self.emulator.jacobian(self._static, self.forcing, self.state, fluxes, forcing, out=self._jacobian)

    def compute(self, window_start: np.datetime64) -> None:
        """Make the results of a window whose forcing is there; state and diagnostics are as before until `keep`."""
        assert self.emulator is not None
        for name, values in self._prescribed.items():
            self.forcing[:, self._forcing_positions[name]] = values
        times, seconds = np.array([window_start]), self.model.step_seconds
        self._assembler.assemble(self.forcing[None], None, times, seconds, self._previous.T)
        with np.errstate(invalid="ignore"):  # of what cannot be, which is infinite
            self.emulator.step(self._static, self.forcing, self.state, out=(self._new_state, self._new_diagnostics))
        self._differentiate()
        xp, forcing = self._xp, self.forcing
        self._is_known = (xp.isfinite(forcing) | (xp.isnan(forcing) & self._is_imputed)).all(axis=1)
        bad = ~xp.isfinite(xp.concatenate([self._new_state, self._new_diagnostics], axis=1)) & self._is_known[:, None]
        new, old = self._missing_after
        if new:
            bad[:, new] &= ~xp.isnan(self.state[:, old])
        self._is_wrong = bad.any(axis=1)
        if not self.on_cpu or self._is_wrong.any():
            self._bad_results.send(xp.stack([bad.argmax(axis=0), bad.sum(axis=0)]))

    def bad_result(self) -> str:
        """The first result that was not finite though its forcing was, told once; empty if there is none."""
        found = self._bad_results.take()
        if found is None or not found[1].any():
            return ""
        position = int(np.argmax(found[1] > 0))
        column, count = (int(row[position]) for row in found)
        variable = (*self.model.state, *self.model.diagnostics)[position]
        where = f"{self._points.location_text(column)}{others_text(count)}"
        return f"result '{variable.name}': found a number that is not finite at {where}"

    def keep(self, is_provisional: bool = False) -> None:
        """Take over what `compute` made, of a provisional step the diagnostics only; flagged columns keep all."""
        if not is_provisional:
            self._assembler.of_window(self.forcing, out=self._previous.T)
            self.flagged[...] = ~self._is_known | self._is_wrong
            for new, old in ((self._new_state, self.state), (self._new_diagnostics, self.diagnostics)):
                new[...] = self._xp.where(self.flagged[:, None], old, new)
            self.state, self._new_state = self._new_state, self.state
        self.diagnostics, self._new_diagnostics = self._new_diagnostics, self.diagnostics

    def write_outputs(self, out: arrays.Array) -> None:
        """Write (n_outputs, n_land) of the state and the diagnostics; flagged columns keep what is there."""
        for row, values in zip(out, self._output_rows(), strict=True):
            row[...] = self._xp.where(self.flagged, row, values)

    def _output_rows(self) -> Iterator[arrays.Array]:
        """(n_land,) of each of ``outputs``."""
        results = ((self.model.state, self.state), (self.model.diagnostics, self.diagnostics))
        known = {one.name: values[:, k] for variables, values in results for k, one in enumerate(variables)}
        for entry in self._predicted:
            yield entry.component_factor * known[entry.name]
        yield from self._closures(self.static, self.forcing, self.state, self.diagnostics).values()
        for k, line in enumerate(self._lines):
            yield -self._jacobian[:, k, k]
            yield self.forcing[:, self._forcing_positions[line.forcing]]

    def memory(self) -> dict[str, arrays.Array]:
        """Name -> array of all that changes in a run."""
        memory = {name: getattr(self, name) for name in ("state", "diagnostics", "forcing", "flagged")}
        if len(self._previous):
            memory["previous_forcing"] = self._previous
        return memory | {f"prescribed_{name}": values for name, values in self._prescribed.items()}
