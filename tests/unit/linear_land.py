"""A land of three soil layers whose step is linear, so that Kalman's filter can be written beside it in a few lines."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ailand_gt4py.evaluation.columns import VerificationColumns
from ailand_gt4py.weights.model import Model, Variable

LAYERS = ("swvl1", "swvl2", "swvl3")
#: What a step makes of (swvl1, swvl2, swvl3, stl1, snowc).
STEP = np.array(
    [
        [0.80, 0.10, 0.00, 0.0, 0.0],
        [0.10, 0.80, 0.05, 0.0, 0.0],
        [0.00, 0.05, 0.94, 0.0, 0.0],
        [0.00, 0.00, 0.00, 1.0, 0.0],
        [0.00, 0.00, 0.00, 0.0, 1.0],
    ]
)
#: Forcing is rain, m3 m-3 in the first layer and a step.
RAIN = np.array([1.0, 0.1, 0.0, 0.0, 0.0])
#: What the new state makes of (t2m, d2m): wet soil cools and moistens the air.
SEEN = np.array([[-20.0, -8.0, -4.0, 0.5, 0.0], [6.0, 8.0, 10.0, 0.4, 0.0]])
SEEN_CONSTANT = np.array([150.0, 158.0])
STEP_SECONDS = 21_600.0
#: Unit of the rain, which is none that anything else knows.
_RAIN_UNITS = "m3 m-3"


def land_model() -> Model:
    """The variables; there is no network."""
    static = tuple(
        Variable(name, "m3 m-3", time_meaning="static")
        for name in ("clim_theta_sat", "clim_theta_cap", "clim_theta_pwp")
    )
    state = [Variable(name, "m3 m-3", time_meaning="window start") for name in LAYERS]
    state += [Variable("stl1", "K", time_meaning="window start"), Variable("snowc", "1", time_meaning="window start")]
    diagnostics = tuple(Variable(name, "K", time_meaning="window end") for name in ("t2m", "d2m"))
    shapes = {"trunk.0": (2, 9), "prognostic.0": (5, 2), "diagnostic.0": (2, 2)}
    parameters = {f"{block}.weight": np.zeros(shape, np.float32) for block, shape in shapes.items()}
    parameters |= {f"{block}.bias": np.zeros(shape[0], np.float32) for block, shape in shapes.items()}
    forcing = (Variable("rain", _RAIN_UNITS, time_meaning="window mean"),)
    return Model("simple", static, forcing, tuple(state), diagnostics, parameters, step_seconds=STEP_SECONDS)


class LinearLand:
    """As an `Emulator`, with adjoint."""

    def __init__(self, model: Model, n_columns: int) -> None:
        self.model, self.n_columns, self.dtype = model, n_columns, np.dtype("float64")

    def step(self, static: Any, forcing: Any, state: Any) -> tuple[np.ndarray, np.ndarray]:
        new_state = state @ STEP.T + forcing * RAIN
        return new_state, new_state @ SEEN.T + SEEN_CONSTANT

    def tangent_linear_of_states(
        self, static: Any, forcing: Any, state: Any, d_states: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        new_change = d_states @ STEP.T
        return new_change, new_change @ SEEN.T

    def adjoint(
        self, static: Any, forcing: Any, state: Any, g_new_state: Any, g_diagnostics: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g_new_state = g_new_state + g_diagnostics @ SEEN
        return np.zeros_like(static), g_new_state @ RAIN[:, None], g_new_state @ STEP


@dataclasses.dataclass(frozen=True)
class Land:
    """Columns of it: static fields, a state, rain."""

    static: np.ndarray
    state: np.ndarray
    forcing: np.ndarray


def make_land(n_columns: int, n_steps: int, seed: int = 0) -> Land:
    """Unlike columns between dry and wet, without snow and frost."""
    random = np.random.default_rng(seed)
    static = np.tile([0.6, 0.5, 0.05], (n_columns, 1))
    state = np.empty((n_columns, 5))
    state[:, :3] = random.uniform(0.2, 0.35, (n_columns, 3))
    state[:, 3], state[:, 4] = 290.0, 0.0
    return Land(static, state, random.uniform(0.0, 0.04, (n_steps, n_columns, 1)))


def make_columns(n_columns: int, n_steps: int, seed: int = 0) -> VerificationColumns:
    """The same as truth through time; the land itself is the truth."""
    land, emulator = make_land(n_columns, n_steps + 1, seed), LinearLand(land_model(), n_columns)
    states, seen = [land.state], [land.state @ SEEN.T + SEEN_CONSTANT]
    for rain in land.forcing[:-1]:
        new_state, diagnostics = emulator.step(land.static, rain, states[-1])
        states.append(new_state)
        seen.append(diagnostics)
    times = np.datetime64("2021-06-01", "ns") + np.arange(n_steps + 1) * np.timedelta64(6, "h")
    return VerificationColumns(times, land.static, land.forcing, np.stack(states), np.stack(seen))
