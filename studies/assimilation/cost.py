"""What one analysis of the extended Kalman filter costs, by the mode of its Jacobian.

    python -m studies.assimilation.cost

One window of 24 h: the run of the background, the Jacobians for swvl1-3 of 2 m temperature and humidity every six hours
and of soil moisture every twelve, the analysis, and the run from it. The columns are those of the example, repeated,
with errors in soil moisture. All modes take turns; printed are medians, and their ratio to finite differences. Beside
the tangent-linear of all control variables at once is that of one after another. With --all-states the control
variables are the whole state of the model, which no analysis takes: then the Jacobians alone are timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ailand_gt4py import read_model
from ailand_gt4py.assimilation.control import Bounds, Control, make_control
from ailand_gt4py.assimilation.jacobians import MODES, by_finite_differences
from ailand_gt4py.assimilation.sekf import SimplifiedExtendedKalmanFilter
from ailand_gt4py.assimilation.settings import Errors
from ailand_gt4py.assimilation.twin import AssimilationSettings, is_observed
from ailand_gt4py.assimilation.window import Observation, Schedule, Setup, equivalents, run_window
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.observations.operators import Columns, make_operator

EXAMPLE = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
STEPS = 4
#: Label of the window's start: 1 June of the example's second year.
FIRST = 4 * (366 + 151)
BASE = "finite-differences"
ONE_BY_ONE = "tangent-linear, one by one"
#: Perturbations of the whole state, in standard deviations of each variable.
PERTURBATION = 0.01


class OneByOne:
    """An emulator whose tangent-linear goes in one direction after another."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._emulator, name)

    def tangent_linear_of_states(
        self, static: Any, forcing: Any, state: Any, d_states: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """As of the emulator."""
        directions = [np.ascontiguousarray(d_states[:, k]) for k in range(d_states.shape[1])]
        results = [self._emulator.tangent_linear(static, forcing, state, d_state=one) for one in directions]
        new_states, diagnostics = zip(*results, strict=True)
        return np.stack(new_states, axis=1), np.stack(diagnostics, axis=1)


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--all-states", action="store_true", help="Jacobians of the whole state")
    parser.add_argument("--repeat", type=int, default=9, metavar="N", help="(default: %(default)s)")
    arguments = parser.parse_args()
    model, n_columns = read_model(), arguments.columns
    example = read_columns(EXAMPLE, model, np.dtype("float32"))
    own = np.arange(n_columns) % example.n_columns
    static = np.ascontiguousarray(example.static[own])
    forcing = np.ascontiguousarray(example.forcing[FIRST : FIRST + STEPS][:, own])
    state = np.ascontiguousarray(example.state[FIRST][own])
    control, settings = make_control(model), AssimilationSettings()
    random = np.random.default_rng(1)
    wrong = np.clip(control.of(state) + 0.02 * random.standard_normal((n_columns, len(control.names))), 0.02, 0.4)
    emulator = Emulator(model, n_columns)
    prepared = emulator.prepare_static(static)
    operators = {kind: make_operator(kind, Columns(model, static)) for kind in settings.observe}
    schedule = Schedule(
        tuple(
            Observation(step, operator)
            for step in range(1, STEPS + 1)
            for kind, operator in operators.items()
            if is_observed(kind, step, model.step_seconds)
        )
    )
    truth = run_window(emulator, prepared, forcing, state)
    observations = equivalents(truth, schedule)
    background = control.put(state, wrong)
    covariance = np.tile(settings.errors.of_background(control.names), (n_columns, 1, 1))
    bounds = Bounds(model, static, control, settings.limits)
    setup = Setup(control, Errors(), settings.screening, bounds)
    modes = [*MODES, ONE_BY_ONE]
    one_by_one = OneByOne(emulator)

    def window(mode: str) -> float:
        runner, name = (one_by_one, "tangent-linear") if mode == ONE_BY_ONE else (emulator, mode)
        run = SimplifiedExtendedKalmanFilter(runner, prepared, background, setup, covariance, name)
        begin = time.perf_counter()
        run.run(forcing, schedule, observations)
        return time.perf_counter() - begin

    trajectory = run_window(emulator, prepared, forcing, background)

    wanted, extra = control, {}
    if arguments.all_states:
        wanted = Control(tuple(variable.name for variable in model.state), tuple(range(len(model.state))))
        extra = {variable.name: PERTURBATION * variable.normalisation.scale for variable in model.state}

    def jacobian(mode: str) -> float:
        begin = time.perf_counter()
        if mode == ONE_BY_ONE:
            MODES["tangent-linear"](one_by_one, prepared, trajectory, schedule, wanted)
        elif mode == BASE and extra:
            by_finite_differences(emulator, prepared, trajectory, schedule, wanted, extra)
        else:
            MODES[mode](emulator, prepared, trajectory, schedule, wanted)
        return time.perf_counter() - begin

    def step() -> float:
        begin = time.perf_counter()
        emulator.step(prepared, forcing[0], background)
        return time.perf_counter() - begin

    parts: dict[str, tuple[str, Callable[[str], float]]] = {"jacobian": ("Jacobian alone", jacobian)}
    if not arguments.all_states:
        parts["window"] = ("whole analysis", window)
    times: dict[tuple[str, str], list[float]] = {}
    steps = []
    for number in range(arguments.repeat + 1):
        found = {(part, mode): what(mode) for mode in modes for part, (_, what) in parts.items()}
        own_step = step()
        if number:  # the first round compiles and warms up
            steps.append(own_step)
            for key, seconds in found.items():
                times.setdefault(key, []).append(seconds)
    print(f"{n_columns} columns, {len(schedule.names)} observations in each; one step of the model {median(steps)}")
    for part, (words, _) in parts.items():
        for mode in modes:
            seconds = np.array(times[part, mode])
            ratio, of_steps = np.median(seconds / np.array(times[part, BASE])), np.median(seconds / np.array(steps))
            print(f"{words}, {mode}: {median(times[part, mode])}, {ratio:.2f} of {BASE}, {of_steps:.1f} steps")


def median(seconds: list[float]) -> str:
    """In words."""
    return f"{1e3 * float(np.median(seconds)):.0f} ms"


if __name__ == "__main__":
    main()
