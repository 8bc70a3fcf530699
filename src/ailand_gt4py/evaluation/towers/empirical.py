"""Empirical benchmarks of turbulent fluxes: regressions of them on the weather at the same time.

What a land model has to beat (Best et al. 2015, doi:10.1175/JHM-D-14-0158.1; Abramowitz et al. 2024,
doi:10.5194/bg-21-5517-2024): ``1lin`` is a straight line of the incoming short-wave radiation, ``3km27`` a linear
regression on radiation, air temperature and relative humidity in each of 27 clusters of these three (k-means). They
know no soil, no vegetation and no yesterday. Out of sample: learnt at other sites than those they are asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.cluster.vq import kmeans2

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values

#: What each benchmark takes, by its name: positions in `Weather`, and the number of clusters.
BENCHMARKS: Mapping[str, tuple[tuple[int, ...], int]] = {"1lin": ((0,), 1), "3km27": ((0, 1, 2), 27)}
#: Of the clusters' centres to begin with.
_SEED = 27


class Weather(NamedTuple):
    """Incoming short-wave radiation, W m-2; air temperature, K; relative humidity, 0 to 1: each of one shape."""

    radiation: Values
    temperature: Values
    humidity: Values

    def flat(self) -> Values:
        """(n, 3)."""
        return np.stack([one.ravel() for one in self], axis=1).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A regression in clusters of the weather.

    Attributes:
        inputs: positions in `Weather`. shift, scale: (n_inputs,) of their standardisation.
        centres: (n_clusters, n_inputs). coefficients: (n_clusters, n_inputs + 1), the constant last.
    """

    inputs: tuple[int, ...]
    shift: Values
    scale: Values
    centres: Values
    coefficients: Values

    @classmethod
    def of(cls, name: str, weather: Weather, flux: Values) -> Self:
        """The benchmark of a name, learnt where weather and flux, of one shape, are known.

        Raises:
            InputError: there are too few values for its clusters.
        """
        inputs, n_clusters = BENCHMARKS[name]
        features, target = weather.flat()[:, inputs], np.asarray(flux, dtype=np.float64).ravel()
        known = np.flatnonzero(np.isfinite(features).all(axis=1) & np.isfinite(target))
        features, target = features[known], target[known]
        least = 10 * n_clusters * (len(inputs) + 1)
        if len(target) < least:
            raise InputError(f"benchmark '{name}': found {len(target)} values to learn from, expected {least} or more")
        shift, scale = features.mean(axis=0), features.std(axis=0)
        standardised = (features - shift) / np.where(scale > 0.0, scale, 1.0)
        if n_clusters == 1:
            centres = np.zeros((1, len(inputs)))
        else:
            centres, _ = kmeans2(standardised, n_clusters, minit="++", seed=np.random.default_rng(_SEED), iter=50)
        found = cls(inputs, shift, np.where(scale > 0.0, scale, 1.0), centres, np.zeros((n_clusters, len(inputs) + 1)))
        cluster, matrix = found._cluster(standardised), _with_constant(standardised)
        overall = np.linalg.lstsq(matrix, target, rcond=None)[0]
        coefficients = np.tile(overall, (n_clusters, 1))
        for number in range(n_clusters):
            there = np.flatnonzero(cluster == number)
            # A cluster of fewer than is needed for a regression takes that of all.
            if there.size > 2 * matrix.shape[1]:
                coefficients[number] = np.linalg.lstsq(matrix[there], target[there], rcond=None)[0]
        return dataclasses.replace(found, coefficients=coefficients)

    def __call__(self, weather: Weather) -> Values:
        """The flux in some weather, of its shape; NaN where that is not known."""
        features = (weather.flat()[:, self.inputs] - self.shift) / self.scale
        known = np.asarray(np.isfinite(features).all(axis=1))
        filled = np.where(known[:, None], features, 0.0)
        values = (_with_constant(filled) * self.coefficients[self._cluster(filled)]).sum(axis=1)
        return np.where(known, values, np.nan).reshape(weather.radiation.shape)

    def _cluster(self, standardised: Values) -> Values:
        """(n,) the nearest centre of each."""
        distance = np.square(standardised).sum(axis=1)[:, None] - 2.0 * standardised @ self.centres.T
        return np.argmin(distance + np.square(self.centres).sum(axis=1), axis=1)


def _with_constant(features: Values) -> Values:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def learnt_at(name: str, weather: Sequence[Weather], fluxes: Sequence[Values]) -> Benchmark:
    """A benchmark learnt at several sites together, from weather and a flux at each, of one shape.

    Raises:
        InputError: there is no site, or there are too few values.
    """
    if not weather:
        raise InputError(f"benchmark '{name}': found no site, expected others than the one it is asked for")
    pooled = Weather(*(np.concatenate([one.ravel() for one in parts]) for parts in zip(*weather, strict=True)))
    return Benchmark.of(name, pooled, np.concatenate([one.ravel() for one in fluxes]))
