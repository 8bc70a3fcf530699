"""Scores of models against what a tower observed, as PLUMBER2 has them (Abramowitz et al. 2024)."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.scores.definitions import SCORES
from ailand_gt4py.evaluation.scores.moments import Sample


class TowerScore(NamedTuple):
    """Of pairs of a model and observations.

    Attributes:
        n: their number. rmse, bias: in the variable's units, model less observation. correlation: Pearson's.
        nme: sum |model - observed| / sum |observed - mean observed|: 1 for one who knows the mean and no more.
    """

    n: int
    rmse: float
    bias: float
    correlation: float
    nme: float

    @classmethod
    def of(cls, model: Values, observed: Values) -> Self:
        """Of values of one shape, where both are known; NaN where there is nothing to compare."""
        sample = Sample.of(model.reshape(-1, 1), observed.reshape(-1, 1))
        known = np.isfinite(model) & np.isfinite(observed)
        n = int(known.sum())
        if n < 2:
            return cls(n, *[float("nan")] * 4)
        one, other = (np.asarray(values[known], dtype=np.float64) for values in (model, observed))
        spread = np.abs(other - other.mean()).sum()
        nme = float(np.abs(one - other).sum() / spread) if spread > 0.0 else float("nan")
        rmse, bias, correlation = (SCORES[name].of(sample) for name in ("rmse", "bias", "correlation"))
        return cls(n, rmse, bias, correlation, nme)
