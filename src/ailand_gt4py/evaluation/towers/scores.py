"""Scores of models against what a tower observed, as PLUMBER2 has them (Abramowitz et al. 2024)."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from ailand_gt4py.core.types import Values


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
        known = np.isfinite(model) & np.isfinite(observed)
        n = int(known.sum())
        if n < 2:
            return cls(n, *[float("nan")] * 4)
        one, other = (np.asarray(values[known], dtype=np.float64) for values in (model, observed))
        error, anomaly = one - other, other - other.mean()
        spread = np.abs(anomaly).sum()
        varies = one.std() > 0.0 and spread > 0.0
        return cls(
            n,
            float(np.sqrt(np.square(error).mean())),
            float(error.mean()),
            float(np.corrcoef(one, other)[0, 1]) if varies else float("nan"),
            float(np.abs(error).sum() / spread) if spread > 0.0 else float("nan"),
        )
