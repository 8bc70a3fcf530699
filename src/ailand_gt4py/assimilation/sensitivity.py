"""How observations in a window, and the state at its end, answer to the control variables at its start.

Three ways to the same Jacobians: the tangent-linear carried through the steps, one sweep for all control variables; the
adjoint, one sweep backwards for each observation; and one-sided finite differences, one run more for each control
variable, as ECMWF does it (Drusch et al. 2009, doi:10.1029/2009GL037716; de Rosnay et al. 2013, doi:10.1002/qj.2023).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from ailand_gt4py.assimilation.control import Control
from ailand_gt4py.assimilation.window import Schedule, Stepper, Trajectory, at_steps, equivalents, run_window
from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.core.types import Values

Method = Literal["tangent-linear", "adjoint", "finite-differences"]

#: Perturbations of finite differences: soil moisture as at ECMWF (de Rosnay et al. 2013), m3 m-3; temperature, K, of a
#: size that single precision resolves.
PERTURBATIONS: Mapping[str, float] = {"swvl1": 0.01, "swvl2": 0.01, "swvl3": 0.01, "stl1": 0.1}


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Derivatives by the control variables at the window's start, float64.

    Attributes:
        observations: (n_columns, n_observations, n_control). end: (n_columns, n_control, n_control), of the control
            variables at the window's end.
    """

    observations: Values
    end: Values


def by_tangent_linear(
    emulator: Stepper, static: Any, trajectory: Trajectory, schedule: Schedule, control: Control
) -> Sensitivity:
    """The exact derivatives, of the model's and the operators' tangent-linear.

    Args:
        emulator, static: that made the trajectory.
    """
    _, n_columns, n_state = trajectory.states.shape
    result = _empty(n_columns, schedule, control)
    positions = schedule.positions()
    changes = np.zeros((n_columns, control.size, n_state), dtype=trajectory.states.dtype)
    changes[:, np.arange(control.size), control.positions] = 1.0
    for step in range(1, trajectory.n_steps + 1):
        changes, d_diagnostics = emulator.tangent_linear_of_states(
            static, trajectory.forcing[step - 1], trajectory.states[step - 1], changes
        )
        for sight in at_steps(schedule.sights, step):
            operator, situation = schedule.sights[sight].operator, trajectory.situation(step)
            response = operator.tangent(situation, changes, d_diagnostics)
            result.observations[:, positions[sight]] = response.swapaxes(1, 2)
    result.end[...] = control.of(changes).swapaxes(1, 2)
    return result


def by_adjoint(emulator: Any, static: Any, trajectory: Trajectory, schedule: Schedule, control: Control) -> Sensitivity:
    """The exact derivatives, of the model's and the operators' adjoint.

    Args:
        emulator, static: that made the trajectory; the emulator must have ``adjoint(static, forcing, state,
            g_new_state, g_diagnostics) -> (g_static, g_forcing, g_state)``.

    Raises:
        RunError: it has none.
    """
    if not hasattr(emulator, "adjoint"):
        raise RunError(
            "Jacobian 'adjoint': found an emulator without adjoint, expected tangent-linear or finite-differences"
        )
    result = _empty(trajectory.states.shape[1], schedule, control)
    positions = schedule.positions()

    def back(step: int, g_state: Values, g_diagnostics: Values) -> Values:
        """Gradients to the control variables at the start for gradients at the end of a step."""
        for earlier in range(step, 0, -1):
            _, _, g_state = emulator.adjoint(
                static,
                trajectory.forcing[earlier - 1],
                trajectory.states[earlier - 1],
                g_state.astype(emulator.dtype),
                g_diagnostics.astype(emulator.dtype),
            )
            g_diagnostics = np.zeros_like(g_diagnostics)
        return control.of(g_state)

    for sight, where in zip(schedule.sights, positions, strict=True):
        situation = trajectory.situation(sight.step)
        n_outputs = len(sight.operator.observables)
        for output in range(n_outputs):
            gradient = np.zeros((len(situation.state), n_outputs))
            gradient[:, output] = 1.0
            result.observations[:, where.start + output] = back(
                sight.step, *sight.operator.adjoint(situation, gradient)
            )
    for number, position in enumerate(control.positions):
        g_state = np.zeros_like(trajectory.states[0])
        g_state[:, position] = 1.0
        result.end[:, number] = back(trajectory.n_steps, g_state, np.zeros_like(trajectory.diagnostics[0]))
    return result


def by_finite_differences(
    emulator: Stepper,
    static: Any,
    trajectory: Trajectory,
    schedule: Schedule,
    control: Control,
    perturbations: Mapping[str, float] = PERTURBATIONS,
) -> Sensitivity:
    """Differences of runs from a state with one control variable larger, over the size of the perturbation.

    Args:
        emulator, static: that made the trajectory. perturbations: of each control variable, in its units.
    """
    result = _empty(trajectory.states.shape[1], schedule, control)
    start, base = trajectory.states[0], equivalents(trajectory, schedule)
    for number, (name, position) in enumerate(zip(control.names, control.positions, strict=True)):
        size = perturbations[name]
        if size == 0.0:
            raise InputError(f"perturbation of '{name}': found 0, expected another number")
        moved = start.copy()
        moved[:, position] += size
        # What the type of the state made of the perturbation.
        exact = (moved[:, position].astype(np.float64) - start[:, position])[:, None]
        run = run_window(emulator, static, trajectory.forcing, moved)
        result.observations[:, :, number] = (equivalents(run, schedule) - base) / exact
        result.end[:, :, number] = (control.of(run.states[-1]) - control.of(trajectory.states[-1])) / exact
    return result


WAYS: Mapping[str, Callable[..., Sensitivity]] = {
    "tangent-linear": by_tangent_linear,
    "adjoint": by_adjoint,
    "finite-differences": by_finite_differences,
}


def _empty(n_columns: int, schedule: Schedule, control: Control) -> Sensitivity:
    return Sensitivity(
        np.empty((n_columns, schedule.size, control.size)), np.empty((n_columns, control.size, control.size))
    )
