"""What a coupled run writes down: fields over cells at chosen steps, energy and wall-clock time of every step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.driver.driver import Icon4pyDriver
from icon4py.model.driver.driver_states import DriverTimers

from ailand_gt4py.core.arrays import to_host
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.core.times import parse_time, time_text
from ailand_gt4py.core.types import Values
from ailand_gt4py.integration.coupling.exchange import ENTRIES
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.hosts.icon4py import internals
from ailand_gt4py.integration.hosts.icon4py.process import Coupling
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


class Recorder:
    """Records a coupled run during ICON4Py's time loop.

    It is the state of a physics process that is off, behind all others: the driver still shows it the state at every
    step. Every so many steps it makes a record, and of the last one; after each it calls ``on_step`` with its number.
    """

    def __init__(self, icon: Icon4pyDriver, coupling: Coupling, every: int, on_step: Callable[[int], None]) -> None:
        self._icon, self._coupling = icon, coupling
        self._every, self._on_step = every, on_step
        self._records: dict[np.datetime64, dict[str, Values]] = {}
        #: Wall-clock time from one step's end to the next one's; the first from the start.
        self.step_seconds: list[float] = []
        control = dataclasses.replace(coupling.process.time_control, enable_process=False)
        process = PhysicsProcess("ailand recorder", coupling, self, control)
        icon.granules.physics = PhysicsDriver([*internals.processes(icon), process])
        self._begin = time.perf_counter()

    def gather_from_prognostic(self, prognostic: Any, tracers: Any) -> None:
        """A step is over but for the driver's swap of time levels; called by the physics driver."""
        self.step_seconds.append(time.perf_counter() - self._begin)
        number, clock = len(self.step_seconds), self._icon.model_time_variables
        if number % self._every == 0 or number == clock.n_time_steps:
            moment = parse_time(clock.simulation_current_datetime)
            for name in ("rho", "exner", "theta_v", "vn", "w"):
                if not np.isfinite(to_host(getattr(prognostic, name).ndarray)).all():
                    raise RunError(
                        f"the host's state: found numbers in '{name}' that are not finite at {time_text(moment)}, "
                        "expected none"
                    )
            # A copy of each, since the fields are written to in the next step.
            self._records[moment] = {name: to_host(field).astype(np.float32) for name, field in self._fields().items()}
        self._on_step(number)
        self._begin = time.perf_counter()

    def _fields(self) -> dict[str, Any]:
        """Name -> (n_cells,) of all that is recorded."""
        land, cells = self._coupling.land, self._coupling.host.cells
        forcing = self._coupling.fields
        return (
            {name: land.outputs[name].ndarray for name in LAND_FIELDS if name in land.outputs}
            | self._coupling.exchange.given
            | {label: forcing[name] for name, label in AIR_FIELDS.items() if name in forcing}
            | {
                variable.name: cells.spread(land.state[:, position])
                for position, variable in enumerate(land.model.state)
                if variable.name.startswith(STATE_PREFIXES)
            }
        )

    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds of the parts of a step: medians over the steps after the first."""
        seconds = self._coupling.seconds
        parts = {name: seconds[name][1:] for name in ("diagnosis_and_radiation", "accumulation", "fluxes_into_the_air")}
        parts |= {"step": self.step_seconds[1:], "emulator_step": seconds["emulator_step"]}
        dynamics = self._icon.timer_collection.timers[DriverTimers.SOLVE_NH.value].results
        n_rest = max(len(self.step_seconds) - 1, 1)
        return {
            **{name: float(np.median(values)) if values else float("nan") for name, values in parts.items()},
            "dynamics": sum(timer.elapsed() for timer in dynamics if timer.finish) / n_rest,
        }

    def dataset(self, attributes: Mapping[str, Any]) -> xr.Dataset:
        """The records as they go into the output file."""
        grid, budget = self._coupling.host.grid, self._coupling.exchange.budget
        times, steps = np.array(list(self._records)), budget.steps()
        step = np.timedelta64(self._icon.config.driver.dtime, "ns")
        data = xr.Dataset(
            coords={
                "time": ("time", times),
                "lat": ("cell", to_host(grid.latitude), cf_attributes(CATALOGUE["lat"])),
                "lon": ("cell", to_host(grid.longitude), cf_attributes(CATALOGUE["lon"])),
                "step_time": ("step_time", times[-1] - np.arange(len(steps))[::-1] * step),
            }
        )
        data["land_mask"] = ("cell", to_host(grid.land_mask).astype(np.int8), {"long_name": "1 over land"})
        known = {label: cf_attributes(CATALOGUE[name]) for name, label in AIR_FIELDS.items()}
        known |= {variable.name: cf_attributes(variable) for variable in self._coupling.land.model.state}
        known |= self._coupling.outputs_properties
        first, *_ = self._records.values()
        for name in first:
            rows = np.stack([record[name] for record in self._records.values()])
            attributes_of = {key: text for key, text in known[name].items() if key != "dims"}
            data[name] = (("time", "cell"), rows, {**attributes_of, "coordinates": "lat lon"})
        for (name, text), values in zip(ENTRIES.items(), steps.T, strict=True):
            data[f"energy_{name}"] = ("step_time", values, {"units": "J", "long_name": text})
        return data.assign_attrs(
            {
                **attributes,
                "energy_residual": budget.totals()["residual"],
                "energy_residual_comment": "(received - given) / exchanged, over all steps and land cells",
                "all_finite": 1,
                **{f"seconds_{name}": value for name, value in self.seconds().items()},
                "seconds_comment": "wall-clock medians over the host's steps after the first; emulator_step: of the "
                "calls in which the emulator made its step; dynamics: mean per step",
            }
        )
