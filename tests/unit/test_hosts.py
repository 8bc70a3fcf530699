"""A host of the land in one file: a few columns of air at rest, coupled by what `integration.coupling` has for all."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from land_hosts import HOUR, PRESCRIBED, START, WEATHER, small_model
from land_hosts import Host as Weather

import ailand_gt4py
from ailand_gt4py.integration.coupling.exchange import FluxExchange
from ailand_gt4py.integration.coupling.mixed_layer import MixedLayer
from ailand_gt4py.integration.coupling.surface_fluxes import LandCells
from ailand_gt4py.integration.description import CouplingOptions, Ground, HostClock, HostGrid
from ailand_gt4py.integration.hosts.host import Host, step
from ailand_gt4py.weights.model import Model

MODEL = small_model()
MASK = np.array([True, False, True, True, False, True, False])
VIRTUAL, DRY_HEAT, VAPOUR_HEAT = 0.608, 717.0, 1410.0
THICKNESS, N_LEVELS = 100.0, 4


class Box:
    """Air at land, as the land's coupling sees it: an `Air`."""

    def __init__(self, n_land: int) -> None:
        self.rho = np.full((n_land, N_LEVELS), 1.2)
        self.virtual = np.linspace(280.0, 290.0, N_LEVELS) + np.zeros((n_land, 1))
        self.qv = np.full((n_land, N_LEVELS), 6e-3)
        self.has_vapour = True

    def density(self, levels: slice) -> np.ndarray:
        return self.rho[:, levels].copy()

    def vapour(self, levels: slice) -> np.ndarray:
        return self.qv[:, levels].copy()

    def temperature(self, levels: slice) -> np.ndarray:
        return self.virtual[:, levels] / (1.0 + VIRTUAL * self.qv[:, levels])

    def specific_heat(self, levels: slice) -> Any:
        return DRY_HEAT + (VAPOUR_HEAT - DRY_HEAT) * self.qv[:, levels]

    def set_temperature(self, levels: slice, temperature: np.ndarray) -> None:
        self.virtual[:, levels] = temperature * (1.0 + VIRTUAL * self.qv[:, levels])

    def set_vapour(self, levels: slice, vapour: np.ndarray) -> None:
        self.qv[:, levels] = vapour


class Columns:
    """A `Host` whose lowest layer is the land's weather, with the rest of it made up."""

    def __init__(self) -> None:
        weather = self._weather = Weather(MASK.shape)
        self.grid = HostGrid(land_mask=MASK, latitude=weather.latitude, longitude=weather.longitude)
        self.clock = HostClock(start=START, host_step=HOUR)
        self.cells = LandCells(np.flatnonzero(MASK), np.arange(1.0, 5.0), len(MASK))
        self.box = Box(4)

    def ground(self, model: Model) -> Ground:
        return Ground(**self._weather.surface(model), prescribed=PRESCRIBED)

    def forcing(self, time: np.datetime64) -> Mapping[str, Any]:
        fields = self._weather.weather(time)
        fields["met_tair"][MASK] = self.box.temperature(slice(-1, None))[:, 0]
        fields["met_qair"][MASK] = self.box.qv[:, -1]
        return fields

    def air(self) -> Box:
        return self.box


def coupled(host: Columns, height: float = 0.0, **settings: bool) -> tuple[ailand_gt4py.LandComponent, FluxExchange]:
    exchange = FluxExchange(host.cells, MixedLayer(np.full((4, N_LEVELS), THICKNESS), height), **settings)
    land = ailand_gt4py.LandComponent(
        MODEL,
        grid=host.grid,
        ground=host.ground(MODEL),
        clock=host.clock,
        derivatives=True,
        backend="embedded",
        precision="float64",
    )
    return land, exchange


def energy(host: Columns) -> np.ndarray:
    """Internal energy of the air, J m-2, by its state alone."""
    levels = slice(None)
    heat = DRY_HEAT + (VAPOUR_HEAT - DRY_HEAT) * 6e-3
    return (host.box.rho * THICKNESS * heat * host.box.temperature(levels)).sum(axis=1)


@pytest.mark.parametrize("height", [0.0, 250.0])
def test_what_the_land_gives_is_in_the_air(height: float) -> None:
    """Also where a layer is mixed in part only, over two windows of the emulator."""
    host: Columns = Columns()
    as_host: Host = host
    land, exchange = coupled(host, height, moisture=False)
    before = energy(host)
    for hour in range(13):
        step(as_host, land, exchange, START + hour * HOUR)
    totals = exchange.budget.totals()
    assert totals["given_sensible"] == pytest.approx(host.cells.area @ (energy(host) - before), rel=1e-9)
    assert totals["given_sensible"] != 0.0 != totals["withheld_latent"]
    assert totals["given_latent"] == 0.0
    assert abs(totals["residual"]) <= 1e-12
    changed = np.ptp(host.box.virtual - Box(4).virtual, axis=0) != 0.0
    np.testing.assert_array_equal(changed, [False, height > 200.0, height > 100.0, True])


def test_vapour_and_its_latent_heat_are_accounted_for() -> None:
    host = Columns()
    land, exchange = coupled(host)
    for hour in range(8):
        step(host, land, exchange, START + hour * HOUR)
    totals = exchange.budget.totals()
    assert totals["withheld_latent"] == 0.0 != totals["given_latent"]
    assert totals["adjusted"] != 0.0
    assert abs(totals["residual"]) <= 1e-12
    assert (host.box.qv[:, -1] != 6e-3).all()
    assert (host.box.qv[:, :-1] == 6e-3).all()


def test_a_level_that_nothing_carries_forward_catches_up() -> None:
    """Two time levels that are swapped after each step hold the same once the next step begins."""
    host = Columns()
    land, exchange = coupled(host, vapour_alternates=True, state_alternates=True)
    levels = [host.box, Box(4)]
    for hour in range(3):
        host.box = levels[hour % 2]
        step(host, land, exchange, START + hour * HOUR)
    exchange.catch_up(levels[1])
    np.testing.assert_allclose(levels[1].virtual, levels[0].virtual, rtol=1e-12)
    np.testing.assert_allclose(levels[1].qv, levels[0].qv, rtol=1e-12)
    assert abs(exchange.budget.totals()["residual"]) <= 1e-12


def test_groups_and_keywords_make_the_same_land() -> None:
    weather = Weather(MASK.shape)
    flat = weather.component(MODEL, MASK, between="interpolate")
    host = Columns()
    land, _ = coupled(host)
    assert set(WEATHER) == set(land.inputs_properties) == set(flat.inputs_properties)
    for hour in range(7):
        time = START + hour * HOUR
        first, second = land(weather.weather(time), time), flat(weather.weather(time), time)
    np.testing.assert_array_equal(land.state, flat.state)
    name = "surface_temperature"
    assert (first[name][MASK] != second[name][MASK]).all(), "interpolated"


def test_keywords_that_no_group_has_and_groups_that_are_incomplete_are_named() -> None:
    host = Columns()
    groups: dict[str, Any] = {"grid": host.grid, "ground": host.ground(MODEL), "clock": host.clock}
    with pytest.raises(TypeError, match="LandComponent got an unexpected keyword argument 'lats', .*latitude"):
        ailand_gt4py.LandComponent(MODEL, **groups, lats=1.0)
    with pytest.raises(TypeError, match="HostGrid.* missing .* 'latitude' and 'longitude'"):
        ailand_gt4py.LandComponent(MODEL, **(groups | {"grid": None}), land_mask=MASK)


@pytest.mark.parametrize(
    ("group", "keyword", "value"),
    [
        ("grid", "latitude", 0.0),
        ("ground", "prescribed", {}),
        ("clock", "start", START),
        ("coupling", "derivatives", True),
    ],
)
def test_keywords_beside_the_group_that_has_them_are_refused(group: str, keyword: str, value: Any) -> None:
    host = Columns()
    groups = {"grid": host.grid, "ground": host.ground(MODEL), "clock": host.clock, "coupling": CouplingOptions()}
    with pytest.raises(TypeError, match=f"found '{keyword}' beside the group '{group}' that has it, expected one of"):
        ailand_gt4py.LandComponent(MODEL, **groups, **{keyword: value})


def test_only_one_module_goes_past_icon4py_s_interface() -> None:
    """No private member of another object but in `internals`, which says why."""
    directory = Path(ailand_gt4py.__file__).parent / "integration" / "hosts" / "icon4py"
    private = re.compile(r"(?<!\bself)\._[a-z]\w*")
    found = {path.stem: private.findall(path.read_text()) for path in directory.glob("*.py")}
    assert found.pop("internals")
    assert not any(found.values()), found
