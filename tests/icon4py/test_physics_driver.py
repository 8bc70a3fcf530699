"""The land in ICON4Py's own physics driver and time loop, dynamics off, on a grid of 1280 cells."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("icon4py.model.driver", reason="ICON4Py is not installed (it needs Python 3.12)")
pytest.importorskip("grid_generator", reason="icon-grid-generator is not installed")

from icon4py.model.common import constants
from icon4py.model.common.metrics import metrics_attributes

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.coupling.exchange import GIVEN, LATENT_GIVEN, SENSIBLE_GIVEN
from ailand_gt4py.integration.coupling.surface_fluxes import LATENT, SENSIBLE, WATER
from ailand_gt4py.integration.hosts.icon4py.coupled_run import grid_file, initial_states, make_driver, run
from ailand_gt4py.integration.hosts.icon4py.host import IconAir
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions
from ailand_gt4py.integration.hosts.icon4py.process import couple
from helpers import small_model

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2008-09-01T00:00:00", "ns")
#: Steps of an hour, so that the emulator's window of six hours is six steps.
OPTIONS = RunOptions(hours=8, dtime=3600, levels=10, dynamics=False, land_backend="embedded")

#: The lowest layer.
LOWEST = slice(-1, None)
#: Those of the component, by whether the emulator made its step.
CALLS = ("emulator_step", "other_calls")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("icon4py")


@pytest.fixture(scope="module")
def driver(directory: Path) -> Any:
    """A driver; tests put a physics driver of their own into it and reset its clock."""
    return make_driver(OPTIONS, grid_file("R2B2", directory), directory / "out")


class Host:
    """The driver with fresh states and the land coupled in; notes every call of the physics driver."""

    def __init__(
        self, driver: Any, n_steps: int = 8, start: np.datetime64 = START, states: Any = None, **options: Any
    ) -> None:
        self.driver = driver
        driver.granules.physics = None
        end = type(driver.config.driver.end_of_simulation)(n_steps)
        timing = dataclasses.replace(
            driver.config.driver, start_of_timestepping=start.astype("datetime64[us]").item(), end_of_simulation=end
        )
        driver.config = dataclasses.replace(driver.config, driver=timing)
        driver.model_time_variables.reset(timing)
        self.states = initial_states(driver) if states is None else states
        self.coupling = couple(driver, self.states, model=small_model(), backend="embedded", **options)
        self.calls: list[tuple[str, Any]] = []
        process = self.coupling.process
        state, component = process.state, process.component
        process.state = _Noting(state, self.calls)
        process.component = _NotingComponent(component, self.calls)

    def run(self) -> None:
        self.driver.time_integration(self.states)

    def air(self) -> IconAir:
        """Over the land cells, as it stands."""
        cells = self.coupling.host.cells.positions
        return IconAir(cells, self.states.prognostics.current, self.states.tracers.current)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def layer_energy(self) -> float:
        """Internal energy of the whole atmosphere at constant composition, J, from the state alone."""
        prognostic, tracers = self.states.prognostics.current, self.states.tracers.current
        qv = 0.0 if tracers.qv is None else tracers.qv.ndarray
        tv = prognostic.theta_v.ndarray * prognostic.exner.ndarray
        temperature = tv / (1.0 + constants.RV_O_RD_MINUS_1 * qv)
        metrics, geometry = self.driver.static_field_factories.metrics, self.driver.static_field_factories.geometry
        mass = prognostic.rho.ndarray * metrics.get("functional_determinant_of_metrics_on_full_levels").ndarray
        area = geometry.get("cell_area").ndarray[:, None]
        return float((area * mass * constants.CVD * temperature).sum())


class _Noting:
    def __init__(self, state: Any, calls: list[tuple[str, Any]]) -> None:
        self._state, self._calls = state, calls

    def gather_from_prognostic(self, prognostic: Any, tracers: Any) -> None:
        self._calls.append(("gather", id(prognostic)))
        self._state.gather_from_prognostic(prognostic, tracers)

    def as_component_input(self) -> dict[str, Any]:
        self._calls.append(("input", None))
        return self._state.as_component_input()

    def scatter_to_prognostic(self, prognostic: Any, outputs: dict[str, Any], dtime: datetime.timedelta) -> None:
        self._calls.append(("scatter", id(outputs)))
        self._state.scatter_to_prognostic(prognostic, outputs, dtime)


class _NotingComponent:
    def __init__(self, component: Any, calls: list[tuple[str, Any]]) -> None:
        self._component, self._calls = component, calls

    def __call__(self, state: dict[str, Any], time: datetime.datetime) -> dict[str, Any]:
        assert set(state) == set(self._component.inputs_properties)
        outputs = self._component(state, time)
        assert set(outputs) == set(self._component.outputs_properties)
        self._calls.append(("component", (time, {k: v.ndarray.copy() for k, v in outputs.items()})))
        return outputs


def test_call_sequence_and_recycled_outputs(driver):
    host = Host(driver)
    host.run()
    full, recycled = ["gather", "input", "component", "scatter"], ["gather", "scatter"]
    assert host.names() == full + 5 * recycled + full + recycled
    times = [value[0] for name, value in host.calls if name == "component"]
    assert times == [datetime.datetime(2008, 9, 1, 0), datetime.datetime(2008, 9, 1, 6)]
    assert len({value for name, value in host.calls if name == "scatter"}) == 1, "one dict, the component's own"
    levels = [value for name, value in host.calls if name == "gather"]
    assert levels[0] != levels[1], "the host swaps two time levels"
    assert levels[0] == levels[2]
    first, second = (value[1] for name, value in host.calls if name == "component")
    land = host.coupling.host.grid.land_mask
    assert (first[SENSIBLE][land] != second[SENSIBLE][land]).all(), "the emulator made its step at 6 h"
    assert np.isfinite(second[SENSIBLE][land]).all()


def test_energy_given_is_energy_received(driver):
    """By the adapter's account, and by the whole atmosphere before and after, dry so that composition is constant."""
    host = Host(driver, moisture=False)
    host.states.tracers.current.qv.ndarray[...] = 0.0
    host.states.tracers.next.qv.ndarray[...] = 0.0
    before = host.layer_energy()
    host.run()
    totals = host.coupling.exchange.budget.totals()
    assert totals["exchanged"] > 0.0
    assert abs(totals["residual"]) <= 1e-12
    gained = host.layer_energy() - before
    # Eight differences of 1e24 J in float64.
    assert gained == pytest.approx(totals["given_sensible"], rel=1e-6, abs=1e-9 * before)
    assert totals["given_latent"] == 0.0
    assert totals["withheld_latent"] != 0.0


def test_vapour_reaches_both_time_levels_of_the_tracers(driver):
    host = Host(driver, implicit=False)
    seen = host.coupling.host
    cells, level = seen.cells.positions, seen.level
    start = host.states.tracers.current.qv.ndarray.copy()
    given = np.zeros(len(cells))
    host.run()
    outputs = [value[1] for name, value in host.calls if name == "component"]
    for water in [outputs[0][WATER]] * 6 + [outputs[1][WATER]] * 2:
        given += 3600.0 * water[cells]
    mass = host.states.prognostics.current.rho.ndarray[cells, level] * seen.thickness[:, level]
    gained = mass * (host.states.tracers.current.qv.ndarray[cells, level] - start[cells, level])
    np.testing.assert_allclose(gained, given, rtol=1e-9, atol=1e-12)
    assert abs(host.coupling.exchange.budget.totals()["residual"]) <= 1e-12
    above = host.states.tracers.current.qv.ndarray[:, :level]
    assert np.array_equal(above, start[:, :level]), "only the lowest layer"


def test_cells_that_are_not_land_keep_their_air(driver):
    host = Host(driver)
    prognostic = host.states.prognostics.current
    before = {name: getattr(prognostic, name).ndarray.copy() for name in ("rho", "exner", "theta_v", "vn", "w")}
    host.run()
    ocean = ~host.coupling.host.grid.land_mask
    assert 0.1 < ocean.mean() < 0.9
    after = host.states.prognostics.current
    for name in ("rho", "exner", "theta_v"):
        assert np.array_equal(getattr(after, name).ndarray[ocean], before[name][ocean]), name
    for name in ("rho", "vn", "w"):
        assert np.array_equal(getattr(after, name).ndarray, before[name]), name
    assert (after.theta_v.ndarray[~ocean, -1] != before["theta_v"][~ocean, -1]).any()
    for field in host.coupling.land.outputs.values():
        assert np.isnan(field.ndarray[ocean]).all()


def test_start_in_the_middle_of_a_window(driver):
    host = Host(driver, state_time=START - 4 * HOUR)
    host.run()
    times = [value[0].hour for name, value in host.calls if name == "component"]
    assert times == [0, 2], "nothing cached at first; then at the end of the window that began four hours earlier"
    calls = {name: len(seconds) for name, seconds in host.coupling.seconds.items() if name in CALLS}
    assert list(calls.items()) == [("other_calls", 1), ("emulator_step", 1)], "in the order of the calls"


def test_a_process_that_begins_late(driver):
    host = Host(driver, state_time=START + 3 * HOUR)
    host.run()
    assert host.names()[:5] == ["gather", "gather", "gather", "gather", "input"]
    assert [value[0].hour for name, value in host.calls if name == "component"] == [3]


def test_a_process_that_is_off_changes_nothing(driver):
    host = Host(driver, enable=False)
    before = host.states.prognostics.current.theta_v.ndarray.copy()
    host.run()
    assert host.names() == 8 * ["gather"]
    assert np.array_equal(host.states.prognostics.current.theta_v.ndarray, before)
    assert host.coupling.land.time == START, "nothing was accumulated"


def test_the_wind_is_that_of_icon4py(driver):
    """All levels by ICON4Py's own program (at the start, in the driver's diagnostics), the lowest by the adapter."""
    host = Host(driver)
    lowest = (host.coupling.host.cells.positions, host.coupling.host.level)
    eastward, northward = host.coupling.host.wind()
    np.testing.assert_allclose(eastward, host.states.diagnostic.u.ndarray[lowest], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(northward, host.states.diagnostic.v.ndarray[lowest], rtol=1e-12, atol=1e-12)
    assert np.ptp(eastward) > 1.0


def test_errors_say_what_does_not_fit(driver):
    with pytest.raises(InputError, match="land interval: found 4:00:00, expected one that divides"):
        Host(driver, interval=4 * HOUR)
    host = Host(driver)
    state = host.coupling
    state.gather_from_prognostic(host.states.prognostics.next, host.states.tracers.next)
    outputs = host.coupling(state.as_component_input(), datetime.datetime(2008, 9, 1))
    with pytest.raises(InputError, match="step: found 0:10:00, expected 1:00:00"):
        state.scatter_to_prognostic(host.states.prognostics.next, outputs, datetime.timedelta(minutes=10))
    with pytest.raises(InputError, match="2008-09-01T01:00"):
        host.coupling(state.as_component_input(), datetime.datetime(2008, 9, 1, 1))


def test_fluxes_follow_the_air(driver):
    """Held for six hours they warm the lowest layer without end; along the network's lines they fade."""
    ranges = {}
    for implicit in (False, True):
        host = Host(driver, implicit=implicit)
        before = host.air().temperature(LOWEST)
        host.run()
        after = host.air().temperature(LOWEST)
        ranges[implicit] = np.abs(after - before).max()
        totals = host.coupling.exchange.budget.totals()
        assert abs(totals["residual"]) <= 1e-12
        assert (totals["adjusted"] != 0.0) == implicit
    assert ranges[True] < ranges[False]


def test_what_the_air_was_given_is_in_the_outputs(driver):
    host = Host(driver)
    cells = host.coupling.host.cells.positions
    process, prognostics, tracers = host.coupling.process, host.states.prognostics, host.states.tracers
    process.state.gather_from_prognostic(prognostics.current, tracers.current)
    outputs = process.component(process.state.as_component_input(), datetime.datetime(2008, 9, 1))
    before = host.air().temperature(LOWEST)[:, 0], host.air().vapour(LOWEST)[:, 0]
    process.state.scatter_to_prognostic(prognostics.current, outputs, datetime.timedelta(hours=1))
    after = host.air().temperature(LOWEST)[:, 0], host.air().vapour(LOWEST)[:, 0]
    for name, first, second in zip(list(GIVEN)[:2], before, after, strict=True):
        values = outputs[name].ndarray
        np.testing.assert_allclose(3600.0 * values[cells], second - first, rtol=1e-6, atol=1e-12)
        assert (values[~host.coupling.host.grid.land_mask] == 0.0).all()
    totals = host.coupling.exchange.budget.totals()
    given = host.coupling.host.cells.area @ (
        outputs[SENSIBLE_GIVEN].ndarray[cells] + outputs[LATENT_GIVEN].ndarray[cells]
    )
    assert 3600.0 * given == pytest.approx(totals["given_sensible"] + totals["given_latent"], rel=1e-12)


def test_heat_and_vapour_are_mixed_up_to_a_height(driver):
    """In whole layers alike, in the layer that the height cuts by its share, and not above; no energy is lost."""
    thickness = driver.static_field_factories.metrics.get(metrics_attributes.DDQZ_Z_FULL).ndarray
    height = float(thickness[0, -1] + thickness[0, -2] + 0.25 * thickness[0, -3])
    host = Host(driver, mixing_height=height)
    cells = host.coupling.host.cells.positions
    prognostic, tracers = host.states.prognostics.current, host.states.tracers.current
    process = host.coupling.process

    def profile() -> tuple[np.ndarray, np.ndarray]:
        qv = tracers.qv.ndarray
        factor = 1.0 + constants.RV_O_RD_MINUS_1 * qv
        return (prognostic.theta_v.ndarray * prognostic.exner.ndarray / factor)[cells], qv[cells].copy()

    process.state.gather_from_prognostic(prognostic, tracers)
    outputs = process.component(process.state.as_component_input(), datetime.datetime(2008, 9, 1))
    before = profile()
    process.state.scatter_to_prognostic(prognostic, outputs, datetime.timedelta(hours=1))
    below = np.cumsum(thickness[cells, ::-1], axis=1)[:, ::-1] - thickness[cells]
    share = np.clip((height - below) / thickness[cells], 0.0, 1.0)
    assert 0.0 < share[0, -3] < 1.0
    for first, second in zip(before, profile(), strict=True):
        change = second - first
        np.testing.assert_allclose(change, share * change[:, -1:], rtol=1e-6, atol=1e-9 * np.abs(first).max())
        assert (change[:, :-4] == 0.0).all()
    assert abs(host.coupling.exchange.budget.totals()["residual"]) <= 1e-12


@pytest.mark.parametrize("n_first", [2, 6, 7])
def test_restart_is_exact_to_the_bit(driver, tmp_path, n_first):
    """Eight steps at once, and in two parts with a new driver state, within a window and where one ends."""
    whole = Host(driver)
    whole.run()
    first = Host(driver, n_steps=n_first)
    first.run()
    first.coupling.write_restart(tmp_path / "land.nc")
    second = Host(
        driver, n_steps=8 - n_first, start=START + n_first * HOUR, states=first.states,
        restart=tmp_path / "land.nc", state_time=START,
    )  # fmt: skip
    second.run()
    for name in ("rho", "exner", "theta_v"):
        expected, found = (getattr(host.states.prognostics.current, name).ndarray for host in (whole, second))
        assert expected.tobytes() == found.tobytes(), name
    assert whole.states.tracers.current.qv.ndarray.tobytes() == second.states.tracers.current.qv.ndarray.tobytes()
    assert whole.coupling.land.state.tobytes() == second.coupling.land.state.tobytes()
    assert whole.coupling.exchange.budget.totals() == second.coupling.exchange.budget.totals()
    with pytest.raises(InputError, match="expected 2008-09-01T00:00, the run's start"):
        Host(driver, restart=tmp_path / "land.nc")


def test_a_run_writes_its_file_and_figure(directory, tmp_path):
    grid = str(grid_file("R2B2", directory))
    data = run(OPTIONS.replace(grid=grid, output=tmp_path / "run.nc", plot=tmp_path / "run.png"), model=small_model())
    assert abs(data.attrs["energy_residual"]) <= 1e-12
    assert data.attrs["all_finite"] == 1
    assert data["surface_temperature"].shape == (8, 1280)
    assert np.isfinite(data[LATENT].values[:, data["land_mask"].values == 1]).all()
    assert {file.name for file in tmp_path.iterdir()} == {"run.nc", "run.png"}
