"""The land component in a host: what a step without the emulator costs, and what ocean points cost; `make bench`."""

from __future__ import annotations

import machine
import numpy as np
import pytest
import race
import scale
from contestants import Contestant
from land_hosts import HOUR, START, Host
from pytest_benchmark.fixture import BenchmarkFixture

from ailand_gt4py import read_model
from ailand_gt4py.integration.component import LandComponent

#: Cells of the grid R2B3, all of them land.
R2B3_CELLS = scale.of(5120, 20)
#: Points of the comparison of land masks, and the share of land in one of them.
POINTS, LAND_SHARE = scale.of(100_000, 50), 0.3
#: Samples of a window in the comparison: hourly.
SAMPLES = 6


def component(
    n_points: int, share: float, host_step: np.timedelta64, derivatives: bool = False
) -> tuple[LandComponent, dict[str, np.ndarray]]:
    """A component of the default model with the first share of points as land, and a host's fields."""
    host = Host((n_points,))
    mask = np.arange(n_points) < share * n_points
    land = host.component(
        read_model(), mask, backend="dace_cpu", precision="float32", host_step=host_step, derivatives=derivatives
    )
    return land, host.weather(START)


@pytest.mark.slow
@pytest.mark.benchmark(timer=race.CLOCK.read)
@pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU")
def test_accumulation(benchmark: BenchmarkFixture) -> None:
    """A host step on R2B3 in which the emulator does not make its step."""
    step = np.timedelta64(1_000_000_000, "ns")
    land, weather = component(R2B3_CELLS, 1.0, step)

    def accumulate() -> tuple[None, None]:
        # 21 600 samples fill the window: more than are timed.
        time = land.time
        land.accumulate(weather, time)
        land.advance(time)
        return None, None

    accumulate()  # The program is loaded in the first.
    timing = race.run([Contestant("accumulation", accumulate)])["accumulation"]
    extra = {"kind": "overhead", "name": "land_accumulation", "columns": land.n_land}
    race.CLOCK.show(benchmark, timing.seconds, "the land component", extra)


@pytest.mark.slow
@pytest.mark.benchmark(timer=race.CLOCK.read)
@pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU")
def test_firing(benchmark: BenchmarkFixture) -> None:
    """A host step on R2B3 in which the emulator makes its step: with and without the derivatives of the fluxes."""

    def rival(name: str, derivatives: bool) -> Contestant:
        # One sample a window, so that the emulator makes its step in every call but the first.
        land, weather = component(R2B3_CELLS, 1.0, SAMPLES * HOUR, derivatives)

        def fire() -> tuple[None, None]:
            land(weather, land.time)
            return None, None

        fire()
        return Contestant(name, fire)

    timings = race.run([rival("plain", False), rival("derivatives", True)])
    extra = {
        "kind": "overhead",
        "name": "land_firing",
        "columns": R2B3_CELLS,
        "seconds_with_derivatives": timings["derivatives"].median,
    }
    race.CLOCK.show(benchmark, timings["plain"].seconds, "the land component", extra)


@pytest.mark.slow
@pytest.mark.benchmark(timer=race.CLOCK.read)
@pytest.mark.skipif(machine.device() != "cpu", reason="measured on the CPU")
def test_only_land_is_computed(benchmark: BenchmarkFixture) -> None:
    """A whole window, samples and the emulator's step, with some land and with nothing but land."""

    def rival(name: str, share: float) -> Contestant:
        land, weather = component(POINTS, share, HOUR)

        def window() -> tuple[None, None]:
            for _ in range(SAMPLES):
                land(weather, land.time)
            return None, None

        window()
        return Contestant(name, window)

    timings = race.run([rival("some", LAND_SHARE), rival("all", 1.0)])
    extra = {
        "kind": "overhead",
        "name": "land_compaction",
        "points": POINTS,
        "share": LAND_SHARE,
        "ratio": timings["some"].median / timings["all"].median,
    }
    race.CLOCK.show(benchmark, timings["some"].seconds, "the land component", extra)
