"""A network that is exactly linear, with files that suit it: what is carried through it can be said in advance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ailand_gt4py.io.period import Period
from ailand_gt4py.weights.model import Model, Normalisation, Variable

STEP = np.timedelta64(6, "h")

STATIC = ("clim_theta_cap", "clim_theta_pwp", "clim_veg_rsminl")
FORCING = ("met_tair", "met_rainf", "met_tair_before")
STATE = ("swvl1", "stl1")
DIAGNOSTICS = ("skt", "slhf")

#: Added to what the rectifier sees, so that it never is at zero, and taken off after it.
OFFSET = 1000.0


def linear_model(seed: int = 0, bound: float = -np.inf) -> Model:
    """State and diagnostics are linear in all inputs; the state after many steps does not grow.

    Args:
        bound: lower bound of the first state.
    """
    random = np.random.default_rng(seed)
    n_input = len(STATIC) + len(FORCING) + len(STATE)
    weights = {
        "prognostic": random.uniform(-0.2, 0.2, (len(STATE), n_input)),
        "diagnostic": random.uniform(-1.0, 1.0, (len(DIAGNOSTICS), n_input)),
    }
    # Decay, so that runs forget their start.
    weights["prognostic"][:, -len(STATE) :] = np.array([[-0.3, 0.1], [0.05, -0.2]])
    parameters = {"trunk.0.weight": np.eye(n_input), "trunk.0.bias": np.full(n_input, OFFSET)}
    for block, weight in weights.items():
        parameters |= {f"{block}.0.weight": weight, f"{block}.0.bias": -OFFSET * weight.sum(axis=1)}

    def variable(name: str, meaning: str, **more: object) -> Variable:
        # Nothing is divided by: what is linear in the network is linear in the units.
        return Variable(name, "1", time_meaning=meaning, normalisation=Normalisation(), **more)  # type: ignore[arg-type]

    return Model(
        "simple",
        tuple(variable(name, "static", training_minimum=-100.0, training_maximum=100.0) for name in STATIC),
        tuple(
            variable(name, "window mean", derived="before:met_tair" if name.endswith("before") else "")
            for name in FORCING
        ),
        tuple(variable(name, "window start", lower_bound=bound if name == STATE[0] else -np.inf) for name in STATE),
        (variable(DIAGNOSTICS[0], "window end"), variable(DIAGNOSTICS[1], "window mean")),
        parameters,
        step_seconds=21_600.0,
    )


def linear_period(model: Model, n_steps: int = 6, n_columns: int = 3, seed: int = 1) -> Period:
    """Random columns for a linear model; the weather of the previous window is that of the previous window."""
    random = np.random.default_rng(seed)
    forcing = random.uniform(0.5, 1.5, (n_steps, n_columns, len(model.forcing)))
    forcing[1:, :, 2] = forcing[:-1, :, 0]
    return Period(
        paths=Path("linear.nc"),
        x=np.arange(n_columns),
        latitude=np.linspace(-40.0, 60.0, n_columns),
        longitude=np.linspace(0.0, 40.0, n_columns),
        times=np.datetime64("2021-01-01", "ns") + np.arange(n_steps) * STEP,
        step=STEP.astype("timedelta64[ns]"),
        static=random.uniform(0.5, 1.5, (n_columns, len(model.static))),
        forcing=forcing,
        initial_state=random.uniform(0.5, 1.5, (n_columns, len(model.state))),
        history=(),
    )
