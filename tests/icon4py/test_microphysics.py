"""The land behind ICON4Py's microphysics, muphys: its rain and snow, and air that holds all kinds of water.

The physics driver, muphys' state and its position in the sequence are ICON4Py's own. The scheme itself is replaced by
one that gives chosen rates: GT4Py 1.2.1 does not get through ICON4Py 0.4.1's graupel here, neither when gtfn lowers it
(recursion limit) nor in embedded execution (a scan over a tuple).
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("icon4py.model.driver", reason="ICON4Py is not installed (it needs Python 3.12)")
pytest.importorskip("grid_generator", reason="icon-grid-generator is not installed")

import gt4py.next as gtx
from icon4py.model.atmosphere.subgrid_scale_physics.muphys import state as muphys_state
from icon4py.model.atmosphere.subgrid_scale_physics.muphys.core.definitions import PRECIP_DIAGNOSTICS, SPECIES
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsDriver, PhysicsProcess
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.process_time_control import ProcessTimeControl
from icon4py.model.common import constants
from icon4py.model.common import dimension as dims
from icon4py.model.common.states.tracer_states import TracerConfig

from ailand_gt4py.integration.hosts.icon4py import coupled_run
from ailand_gt4py.integration.hosts.icon4py.internals import processes
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions
from ailand_gt4py.integration.hosts.icon4py.process import couple
from helpers import small_model

OPTIONS = RunOptions(hours=7, dtime=3600, levels=10, dynamics=False)
#: Rates at the ground, kg m-2 s-1, by muphys' names; ``pre`` is an energy flux.
RATES = {"pr": 3e-4, "ps": 1e-4, "pi": 2e-5, "pg": 5e-5, "pflx": 4.7e-4, "pre": 7.0}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Rain:
    """Stands in for muphys: no tendencies, and rates that differ from cell to cell, aloft something else."""

    def __init__(self, n_cells: int, n_levels: int) -> None:
        self.pattern = 1.0 + 0.5 * np.sin(np.arange(n_cells))

        def field(value: float) -> Any:
            values = np.full((n_cells, n_levels), 99.0 * value)
            values[:, -1] = value * self.pattern
            return gtx.as_field((dims.CellDim, dims.KDim), values)

        names = ("tend_temperature", *(f"tend_q{species}" for species in SPECIES))
        self._outputs = {name: field(0.0) for name in names} | {name: field(RATES[name]) for name in PRECIP_DIAGNOSTICS}

    def __call__(self, state: dict[str, Any], time: datetime.datetime) -> dict[str, Any]:
        return self._outputs


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A driver with all tracers and muphys in its physics, its scheme replaced."""
    directory = tmp_path_factory.mktemp("microphysics")
    plain = coupled_run.configuration

    def with_all_tracers(*arguments: Any) -> Any:
        return dataclasses.replace(plain(*arguments), tracer_config=TracerConfig.all())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coupled_run, "configuration", with_all_tracers)
        icon = coupled_run.make_driver(OPTIONS, coupled_run.grid_file("R2B2", directory), Path(directory) / "out")
    timing = icon.config.driver
    muphys = PhysicsProcess(
        name="muphys",
        component=Rain(icon.grid.num_cells, icon.grid.num_levels),
        state=muphys_state.State(grid=icon.grid, metrics=icon.static_field_factories.metrics, backend=icon.backend),
        time_control=ProcessTimeControl(
            interval=timing.dtime,
            start_date=timing.start_of_simulation,
            end_date=icon.model_time_variables.simulation_end_datetime,
        ),
    )
    icon.granules.physics = PhysicsDriver([muphys])
    return icon


def test_land_gets_the_rain_of_its_step_and_air_with_all_water(driver: Any) -> None:
    states = coupled_run.initial_states(driver)
    for level in (states.tracers.current, states.tracers.next):
        for position, name in enumerate(("qv", "qc", "qi", "qr", "qs", "qg")):
            getattr(level, name).ndarray[...] = (8e-3, 1e-3, 5e-4, 4e-4, 3e-4, 2e-4)[position]
    coupling = couple(driver, states, model=small_model(), backend="embedded")
    assert [process.name for process in processes(driver)] == ["muphys", "ailand"]
    before = states.prognostics.current
    level = coupling.host.level
    virtual = (before.theta_v.ndarray * before.exner.ndarray)[:, level]
    expected = virtual / (1.0 + constants.RV_O_RD_MINUS_1 * 8e-3 - 2.4e-3)
    seen = {}

    class Noting:
        """Notes the land's forcing of the first step."""

        def __init__(self, land: Any) -> None:
            self.accumulate = land.accumulate

        def __call__(self, fields: dict[str, Any], time: np.datetime64) -> None:
            for name in ("met_rainf", "met_snowf", "met_tair"):
                seen.setdefault(name, np.array(fields[name]))
            self.accumulate(fields, time)

    coupling.land.accumulate = Noting(coupling.land)  # type: ignore[method-assign]
    driver.time_integration(states)
    land = coupling.host.grid.land_mask
    pattern = processes(driver)[0].component.pattern
    np.testing.assert_allclose(seen["met_rainf"][land], 3e-4 * pattern[land], rtol=1e-12)
    np.testing.assert_allclose(seen["met_snowf"][land], 1.7e-4 * pattern[land], rtol=1e-12)
    np.testing.assert_allclose(seen["met_tair"][land], expected[land], rtol=1e-12)
    assert abs(coupling.exchange.budget.totals()["residual"]) <= 1e-12
    assert np.isfinite(states.prognostics.current.theta_v.ndarray).all()
