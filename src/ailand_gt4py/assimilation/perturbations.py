"""Errors that an experiment puts on initial soil moisture and on the weather, from fixed seeds.

Precipitation and short-wave radiation are multiplied by lognormal factors of mean 1, long-wave radiation gets an
addition; all three are red noise with one day of memory, correlated with each other as clouds and rain are. Form,
memory, correlations and the usual sizes are those of Reichle et al. 2007 (doi:10.1029/2006JD008033).
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.weights.model import Model

#: Memory of the weather's errors, s.
WEATHER_MEMORY = SECONDS_PER_DAY

#: Usual standard deviations of the factors on precipitation and short-wave radiation, of long-wave radiation, W m-2.
WEATHER_ERRORS = np.array([0.5, 0.3, 50.0])

#: Correlations between the errors of precipitation, short-wave and long-wave radiation.
WEATHER_CORRELATION = np.array([[1.0, -0.8, 0.5], [-0.8, 1.0, -0.5], [0.5, -0.5, 1.0]])

#: Correlation of the initial errors of neighbouring soil layers: this project's.
LAYER_CORRELATION = 0.8


def weather_noise(
    random: np.random.Generator, n_steps: int, n_columns: int, step_seconds: float, before: Values | None = None
) -> Values:
    """Red noise of unit variance, (n_steps, n_columns, 3), correlated as `WEATHER_CORRELATION`, after that `before`."""
    root = np.linalg.cholesky(WEATHER_CORRELATION)
    noise = random.standard_normal((n_steps, n_columns, 3)) @ root.T
    memory = np.exp(-step_seconds / WEATHER_MEMORY)
    for step in range(n_steps):
        if before is not None:
            noise[step] = memory * before + np.sqrt(1.0 - memory**2) * noise[step]
        before = noise[step]
    return noise


def perturbed_weather(
    random: np.random.Generator, model: Model, forcing: Values, sizes: Values, before: Values | None = None
) -> tuple[Values, Values | None]:
    """Forcing of windows with errors of these sizes, as `WEATHER_ERRORS`, and the noise (n_columns, 3) of the last."""
    if not np.any(sizes):
        return forcing, before
    noise = weather_noise(random, len(forcing), forcing.shape[1], model.step_seconds, before)
    result = forcing.copy()
    positions = {variable.name: position for position, variable in enumerate(model.forcing)}
    for name, number in (("met_rainf", 0), ("met_snowf", 0), ("met_swdown", 1)):
        if name in positions:
            # A lognormal factor with the mean 1 and that standard deviation.
            width = np.sqrt(np.log1p(sizes[number] ** 2))
            result[..., positions[name]] *= np.exp(width * noise[..., number] - 0.5 * width**2)
    if "met_lwdown" in positions:
        longwave = result[..., positions["met_lwdown"]]
        longwave[...] = np.maximum(longwave + sizes[2] * noise[..., 2], 0.0)
    assembler = ForcingAssembler(model.forcing)
    if assembler.previous and len(result):
        assembler.fill_previous(result, forcing[0][..., assembler.previous])
    return result, noise[-1]


def initial_errors(random: np.random.Generator, n_columns: int, size: float, n_layers: int) -> Values:
    """Errors of soil moisture at the start, (n_columns, n_layers), normal, correlated between layers."""
    return random.standard_normal((n_columns, n_layers)) @ np.linalg.cholesky(layer_correlation(n_layers)).T * size


def layer_correlation(n_layers: int) -> Values:
    """(n_layers, n_layers) correlation of the initial errors: `LAYER_CORRELATION` to the power of the distance."""
    layer = np.arange(n_layers)
    return LAYER_CORRELATION ** np.abs(layer[:, None] - layer[None, :])
