"""How observations in a window, and the state at its end, respond to the control variables at its start.

The same Jacobians in three modes: the tangent-linear carried through the steps, one sweep for all control variables;
the adjoint, one sweep backwards for each observation; and one-sided finite differences, one run more for each control
variable, as ECMWF does it (Drusch et al. 2009, doi:10.1029/2009GL037716; de Rosnay et al. 2013, doi:10.1002/qj.2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.window import Schedule, Trajectory, equivalents, run_window
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.emulator import Emulator

#: Perturbations of finite differences: soil moisture as at ECMWF (de Rosnay et al. 2013), m3 m-3; temperature, K, of a
#: size that single precision resolves.
PERTURBATIONS: Mapping[str, float] = {"swvl1": 0.01, "swvl2": 0.01, "swvl3": 0.01, "stl1": 0.1}


class WindowJacobian(NamedTuple):
    """By the control variables at the start, float64 (n_columns, n_results, n_control): of observations and the end."""

    observations: Values
    end: Values


def by_tangent_linear(
    emulator: Emulator, static: Any, trajectory: Trajectory, schedule: Schedule, control: Control
) -> WindowJacobian:
    """The exact derivatives, of the tangent-linear of the operators and the model, which made the trajectory."""
    _, n_columns, n_state = trajectory.states.shape
    result = _empty(n_columns, schedule, control)
    tangents = np.zeros((n_columns, len(control.names), n_state), dtype=trajectory.states.dtype)
    tangents[:, np.arange(len(control.names)), control.positions] = 1.0
    for step in range(1, len(trajectory.forcing) + 1):
        forcing, state = trajectory.forcing[step - 1], trajectory.states[step - 1]
        tangents, diagnostics = emulator.tangent_linear_of_states(static, forcing, state, tangents)
        for one, where in zip(schedule.observations, schedule.positions(), strict=True):
            if one.step == step:
                response = one.operator.tangent(trajectory.situation(step), tangents, diagnostics)
                result.observations[:, where] = response.swapaxes(1, 2)
    result.end[...] = control.of(tangents).swapaxes(1, 2)
    return result


def by_adjoint(
    emulator: Emulator, static: Any, trajectory: Trajectory, schedule: Schedule, control: Control
) -> WindowJacobian:
    """The exact derivatives, of the adjoint of the operators and the model, which made the trajectory."""
    result = _empty(trajectory.states.shape[1], schedule, control)

    def back(step: int, g_state: Values, g_diagnostics: Values) -> Values:
        """Adjoints of the control variables at the start for adjoints of the results of a step."""
        for earlier in range(step - 1, -1, -1):
            forcing, state = trajectory.forcing[earlier], trajectory.states[earlier]
            adjoints = (g_state.astype(emulator.dtype), g_diagnostics.astype(emulator.dtype))
            _, _, g_state = emulator.adjoint(static, forcing, state, *adjoints)
            g_diagnostics = np.zeros_like(g_diagnostics)
        return control.of(g_state)

    for one, where in zip(schedule.observations, schedule.positions(), strict=True):
        situation = trajectory.situation(one.step)
        for output, direction in enumerate(np.eye(where.stop - where.start)):
            g_values = np.tile(direction, (len(situation.state), 1))
            result.observations[:, where.start + output] = back(one.step, *one.operator.adjoint(situation, g_values))
    for number, position in enumerate(control.positions):
        g_state = np.zeros_like(trajectory.states[0])
        g_state[:, position] = 1.0
        result.end[:, number] = back(len(trajectory.forcing), g_state, np.zeros_like(trajectory.diagnostics[0]))
    return result


def by_finite_differences(
    emulator: Emulator,
    static: Any,
    trajectory: Trajectory,
    schedule: Schedule,
    control: Control,
    perturbations: Mapping[str, float] = PERTURBATIONS,
) -> WindowJacobian:
    """Differences of runs from a state with one control variable larger, over the size of the perturbation."""
    result = _empty(trajectory.states.shape[1], schedule, control)
    start, base = trajectory.states[0], equivalents(trajectory, schedule)
    for number, (name, position) in enumerate(zip(control.names, control.positions, strict=True)):
        moved = start.copy()
        moved[:, position] += perturbations[name]
        # What the type of the state made of the perturbation.
        exact = (moved[:, position].astype(np.float64) - start[:, position])[:, None]
        run = run_window(emulator, static, trajectory.forcing, moved)
        result.observations[:, :, number] = (equivalents(run, schedule) - base) / exact
        result.end[:, :, number] = (control.of(run.states[-1]) - control.of(trajectory.states[-1])) / exact
    return result


MODES: Mapping[str, Callable[..., WindowJacobian]] = {
    "tangent-linear": by_tangent_linear,
    "adjoint": by_adjoint,
    "finite-differences": by_finite_differences,
}


def _empty(n_columns: int, schedule: Schedule, control: Control) -> WindowJacobian:
    shapes = ((n_columns, size, len(control.names)) for size in (len(schedule.steps), len(control.names)))
    return WindowJacobian(*map(np.empty, shapes))
