"""Errors that an experiment puts on initial soil moisture and on the weather, from fixed seeds.

Precipitation and short-wave radiation are multiplied by lognormal factors of mean 1, long-wave radiation gets an
addition; all three are red noise with one day of memory, correlated with each other as clouds and rain are. Form,
memory, correlations and the default sizes are those of Reichle et al. 2007 (doi:10.1029/2006JD008033).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.weights.model import Model

#: Memory of the weather's errors, s.
WEATHER_MEMORY = 86_400.0

#: Correlations between the errors of precipitation, short-wave and long-wave radiation.
WEATHER_CORRELATION = np.array([[1.0, -0.8, 0.5], [-0.8, 1.0, -0.5], [0.5, -0.5, 1.0]])

#: Correlation of the initial errors of neighbouring soil layers: this project's.
LAYER_CORRELATION = 0.8


@dataclasses.dataclass(frozen=True)
class WeatherErrors:
    """Standard deviations.

    Attributes:
        precipitation, shortwave: of the factors. longwave: W m-2.
    """

    precipitation: float = 0.5
    shortwave: float = 0.3
    longwave: float = 50.0

    def scaled(self, share: float) -> WeatherErrors:
        """The same, times a number."""
        return WeatherErrors(share * self.precipitation, share * self.shortwave, share * self.longwave)

    @property
    def are_none(self) -> bool:
        return self.precipitation == self.shortwave == self.longwave == 0.0


def weather_noise(
    random: np.random.Generator, n_steps: int, n_columns: int, step_seconds: float, before: Values | None = None
) -> Values:
    """Red noise of unit variance, (n_steps, n_columns, 3), correlated as `WEATHER_CORRELATION`.

    Args:
        before: (n_columns, 3) noise of the step before the first; None: there is none.
    """
    root = np.linalg.cholesky(WEATHER_CORRELATION)
    white = random.standard_normal((n_steps, n_columns, 3)) @ root.T
    memory = np.exp(-step_seconds / WEATHER_MEMORY)
    noise = white.copy()
    for step in range(n_steps):
        earlier = before if step == 0 else noise[step - 1]
        if earlier is not None:
            noise[step] = memory * earlier + np.sqrt(1.0 - memory**2) * white[step]
    return noise


def perturbed_weather(model: Model, forcing: Values, noise: Values, errors: WeatherErrors) -> Values:
    """Forcing with errors; inputs of the previous window follow.

    Args:
        forcing: (n_steps, n_columns, n_forcing) of windows that follow one another.
        noise: (n_steps, n_columns, 3), of `weather_noise`. errors: sizes.

    Returns:
        A copy of the forcing's type. The previous window the first keeps its weather.
    """
    result = forcing.copy()
    positions = {variable.name: position for position, variable in enumerate(model.forcing)}
    for name, number, size in (
        ("met_rainf", 0, errors.precipitation),
        ("met_snowf", 0, errors.precipitation),
        ("met_swdown", 1, errors.shortwave),
    ):
        if name in positions:
            # A lognormal factor with the mean 1 and the standard deviation `size`.
            width = np.sqrt(np.log1p(size**2))
            result[..., positions[name]] *= np.exp(width * noise[..., number] - 0.5 * width**2)
    if "met_lwdown" in positions:
        position = positions["met_lwdown"]
        result[..., position] = np.maximum(result[..., position] + errors.longwave * noise[..., 2], 0.0)
    assembler = ForcingAssembler(model.forcing)
    if assembler.previous and len(result):
        assembler.fill_previous(result, forcing[0][..., assembler.previous])
    return result


def initial_errors(random: np.random.Generator, n_columns: int, sizes: Sequence[float]) -> Values:
    """Errors of soil moisture at the start, (n_columns, n_layers), normal, correlated between layers.

    Args:
        sizes: standard deviation by layer, m3 m-3.

    Raises:
        InputError: a size below zero.
    """
    if min(sizes) < 0.0:
        raise InputError(f"initial error: found {min(sizes):g}, expected at least 0")
    return random.standard_normal((n_columns, len(sizes))) @ np.linalg.cholesky(layer_correlation(len(sizes))).T * sizes


def layer_correlation(n_layers: int) -> Values:
    """(n_layers, n_layers) correlation of the initial errors: `LAYER_CORRELATION` to the power of the distance."""
    layer = np.arange(n_layers)
    return LAYER_CORRELATION ** np.abs(layer[:, None] - layer[None, :])
