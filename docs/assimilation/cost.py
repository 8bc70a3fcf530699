"""What one analysis of the extended Kalman filter costs, by the way to its Jacobian.

    python docs/assimilation/cost.py

One window of 24 h: the run of the background, the Jacobians for swvl1-3 of 2 m temperature and humidity every six hours
and of soil moisture every twelve, the analysis, and the run from it. The columns are those of the example, repeated,
with errors in soil moisture. All ways take turns; printed are medians, and their ratio to finite differences.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ailand_gt4py import read_model
from ailand_gt4py.assimilation.control import make_control
from ailand_gt4py.assimilation.filters import SimplifiedExtendedKalmanFilter
from ailand_gt4py.assimilation.screening import Bounds
from ailand_gt4py.assimilation.sensitivity import WAYS
from ailand_gt4py.assimilation.settings import Errors
from ailand_gt4py.assimilation.twin import TwinSettings, is_seen, make_operator
from ailand_gt4py.assimilation.window import Schedule, Sight, equivalents, run_window
from ailand_gt4py.emulator import Emulator
from ailand_gt4py.evaluation.columns import read_columns

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
STEPS = 4
#: Label of the window's start: 1 June of the example's second year.
FIRST = 4 * (366 + 151)
BASE = "finite-differences"


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=9, metavar="N", help="(default: %(default)s)")
    arguments = parser.parse_args()
    model, n_columns = read_model(), arguments.columns
    example = read_columns(EXAMPLE, model, np.dtype("float32"))
    own = np.arange(n_columns) % example.n_columns
    static = np.ascontiguousarray(example.static[own])
    forcing = np.ascontiguousarray(example.forcing[FIRST : FIRST + STEPS][:, own])
    state = np.ascontiguousarray(example.state[FIRST][own])
    control, settings = make_control(model), TwinSettings()
    random = np.random.default_rng(1)
    wrong = np.clip(control.of(state) + 0.02 * random.standard_normal((n_columns, control.size)), 0.02, 0.4)
    emulator = Emulator(model, n_columns)
    prepared = emulator.prepare_static(static)
    operators = {kind: make_operator(kind, model, static, None) for kind in settings.observations}
    schedule = Schedule(
        tuple(
            Sight(step, operator)
            for step in range(1, STEPS + 1)
            for kind, operator in operators.items()
            if is_seen(kind, step, model.step_seconds)
        )
    )
    truth = run_window(emulator, prepared, forcing, state)
    observations = equivalents(truth, schedule)
    background = control.put(state, wrong)
    covariance = np.tile(settings.errors.of_background(control), (n_columns, 1, 1))
    bounds = Bounds(model, static, control, settings.limits)
    ways = [way for way in WAYS if way != "adjoint" or hasattr(emulator, "adjoint")]

    def window(way: str) -> float:
        run = SimplifiedExtendedKalmanFilter(
            emulator, prepared, background, control, covariance, Errors(), settings.screening, bounds, way
        )
        begin = time.perf_counter()
        run.run(forcing, schedule, observations)
        return time.perf_counter() - begin

    trajectory = run_window(emulator, prepared, forcing, background)

    def jacobian(way: str) -> float:
        begin = time.perf_counter()
        WAYS[way](emulator, prepared, trajectory, schedule, control)
        return time.perf_counter() - begin

    def step() -> float:
        begin = time.perf_counter()
        emulator.step(prepared, forcing[0], background)
        return time.perf_counter() - begin

    times: dict[tuple[str, str], list[float]] = {}
    steps = []
    for number in range(arguments.repeat + 1):
        found = {(what.__name__, way): what(way) for way in ways for what in (window, jacobian)}
        own_step = step()
        if number:  # the first round compiles and warms up
            steps.append(own_step)
            for key, seconds in found.items():
                times.setdefault(key, []).append(seconds)
    print(f"{n_columns} columns, {schedule.size} observations in each; one step of the model {median(steps)}")
    for what, words in (("window", "whole analysis"), ("jacobian", "Jacobian alone")):
        for way in ways:
            ratio = np.median(np.array(times[what, way]) / np.array(times[what, BASE]))
            print(f"{words}, {way}: {median(times[what, way])}, {ratio:.2f} of {BASE}")


def median(seconds: list[float]) -> str:
    """In words."""
    return f"{1e3 * float(np.median(seconds)):.0f} ms"


if __name__ == "__main__":
    main()
