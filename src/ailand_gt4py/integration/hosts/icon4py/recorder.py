"""What a coupled run writes down: fields over cells at chosen steps, energy and wall-clock time of every step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.driver.driver import Icon4pyDriver
from icon4py.model.driver.driver_states import DriverTimers

from ailand_gt4py.core.arrays import to_host
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.coupling.budget import COLUMNS
from ailand_gt4py.integration.coupling.exchange import GIVEN
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.process import Coupling
from ailand_gt4py.integration.hosts.icon4py.times import as_datetime64
from ailand_gt4py.weights.variables import CATALOGUE, cf_attributes

#: Outputs of the land that are recorded where the model gives them.
LAND_FIELDS = (
    "surface_temperature",
    SENSIBLE,
    LATENT,
    WATER,
    "air_temperature_at_2m",
    "surface_snow_area_fraction",
    "surface_albedo",
    "surface_upwelling_longwave_flux_in_air",
)
#: The host's air as the land was given it: forcing -> name in the file.
AIR_FIELDS = {
    "met_tair": "air_temperature_lowest_level",
    "met_psurf": "surface_air_pressure",
    "met_swdown": "surface_downwelling_shortwave_flux_in_air",
    "met_lwdown": "surface_downwelling_longwave_flux_in_air",
}
STATE_PREFIXES = ("stl", "swvl")

#: In the order of `budget.COLUMNS`.
ENERGY_TEXTS = (
    "upward sensible heat flux into the air, summed over area and step",
    "internal energy that the air gained in the step's coupling",
    "upward latent heat flux that the host's vapour takes, summed over area and step",
    "latent heat of the vapour that the air gained in the step's coupling",
    "upward latent heat flux that the host has no vapour to take",
    "what the fluxes for the air at the step's end give more than those that the land holds",
    "amounts of all fluxes into the air, summed over area and step",
)


class Recorder:
    """Records a coupled run during ICON4Py's time loop.

    It is the state of a physics process that is off, behind all others: the driver still shows it the state at every
    step.

    Args:
        icon: the driver. coupling: the land.
        every: host steps between two records; the last step is always recorded.
        on_step: called after each step with its number, from 1.

    Attributes:
        step_seconds: wall-clock time from one step's end to the next one's; the first from the start.
    """

    def __init__(
        self,
        icon: Icon4pyDriver,
        coupling: Coupling,
        every: int,
        on_step: Callable[[int], None] | None = None,
    ) -> None:
        self._icon, self._coupling = icon, coupling
        self._every, self._on_step = every, on_step
        self._n_steps = int(icon.model_time_variables.n_time_steps)
        self._times: list[np.datetime64] = []
        self._rows: dict[str, list[Values]] = {}
        self._finite = True
        self.step_seconds: list[float] = []
        control = dataclasses.replace(coupling.process.time_control, enable_process=False)
        process = PhysicsProcess("ailand recorder", coupling.component, self, control)
        icon.granules.physics = PhysicsDriver([*internals.processes(icon), process])
        self._begin = time.perf_counter()

    def gather_from_prognostic(self, prognostic: Any, tracers: Any) -> None:
        """A step is over but for the driver's swap of time levels; called by the physics driver."""
        self.step_seconds.append(time.perf_counter() - self._begin)
        number = len(self.step_seconds)
        if number % self._every == 0 or number == self._n_steps:
            self._record(prognostic)
        if self._on_step is not None:
            self._on_step(number)
        self._begin = time.perf_counter()

    def _record(self, prognostic: Any) -> None:
        coupling = self._coupling
        land, fields = coupling.land, coupling.state.fields
        self._times.append(as_datetime64(self._icon.model_time_variables.simulation_current_datetime))
        for name in LAND_FIELDS:
            if name in land.outputs:
                self._append(name, land.outputs[name].ndarray)
        for name in GIVEN:
            self._append(name, coupling.state.exchange.given[name])
        for name, label in AIR_FIELDS.items():
            if name in fields:
                self._append(label, fields[name])
        for position, variable in enumerate(land.model.state):
            if variable.name.startswith(STATE_PREFIXES):
                values = np.full(len(coupling.land_mask), np.nan)
                values[to_host(coupling.land_mask)] = to_host(land.state[:, position])
                self._append(variable.name, values)
        self._finite &= all(
            bool(np.isfinite(to_host(getattr(prognostic, name).ndarray)).all())
            for name in ("rho", "exner", "theta_v", "vn", "w")
        )

    def _append(self, name: str, values: Any) -> None:
        self._rows.setdefault(name, []).append(to_host(values).copy())

    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds of the parts of a step: medians over the steps after the first."""
        state, calls = self._coupling.state, self._coupling.component.seconds
        dynamics = [
            timer.elapsed()
            for timer in self._icon.timer_collection.timers[DriverTimers.SOLVE_NH.value].results
            if timer.finish
        ]
        n_rest = max(len(self.step_seconds) - 1, 1)
        firing = [seconds for _, fired, seconds in calls if fired]
        return {
            "step": _median(self.step_seconds[1:]),
            "dynamics": sum(dynamics) / n_rest,
            "diagnosis_and_radiation": _median(state.seconds["diagnose"][1:]),
            "accumulation": _median(state.seconds["accumulate"][1:]),
            "fluxes_into_the_air": _median(state.seconds["scatter"][1:]),
            "emulator_step": _median(firing),
        }

    def dataset(self, attributes: dict[str, Any]) -> xr.Dataset:
        """The records as they go into the output file."""
        coupling = self._coupling
        properties = coupling.component.outputs_properties
        known = {label: cf_attributes(CATALOGUE[name]) for name, label in AIR_FIELDS.items()}
        known |= {variable.name: cf_attributes(variable) for variable in coupling.land.model.state}
        data = xr.Dataset(
            coords={
                "time": ("time", np.array(self._times)),
                "lat": ("cell", to_host(coupling.latitude), cf_attributes(CATALOGUE["lat"])),
                "lon": ("cell", to_host(coupling.longitude), cf_attributes(CATALOGUE["lon"])),
            }
        )
        data["land_mask"] = ("cell", to_host(coupling.land_mask).astype(np.int8), {"long_name": "1 over land"})
        for name, rows in self._rows.items():
            if name in properties:
                attrs = {key: properties[name][key] for key in ("standard_name", "long_name", "units", "origin")}
            else:
                attrs = known[name]
            data[name] = (("time", "cell"), np.stack(rows).astype(np.float32), {**attrs, "coordinates": "lat lon"})
        budget = coupling.state.exchange.budget
        steps = budget.steps()
        ends = self._times[-1] - np.arange(len(steps))[::-1] * _step_of(self._icon)
        data = data.assign_coords(step_time=("step_time", ends))
        for name, text, values in zip(COLUMNS, ENERGY_TEXTS, steps.T, strict=True):
            data[f"energy_{name}"] = ("step_time", values, {"units": "J", "long_name": text})
        data.attrs = {
            **attributes,
            "energy_residual": budget.totals().residual,
            "energy_residual_comment": "(received - given) / exchanged, over all steps and land cells",
            "all_finite": int(self._finite),
            **{f"seconds_{name}": value for name, value in self.seconds().items()},
            "seconds_comment": "wall-clock medians over the host's steps after the first; emulator_step: of the calls "
            "in which the emulator made its step; dynamics: mean per step",
        }
        return data

    @property
    def is_finite(self) -> bool:
        """Whether the host's state was finite at all records."""
        return self._finite


def _step_of(icon: Icon4pyDriver) -> np.timedelta64:
    return np.timedelta64(icon.config.driver.dtime, "ns")


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else float("nan")
