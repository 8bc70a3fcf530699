"""Mean, standard deviation and range in one pass over blocks of data."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.errors import InputError


class RunningStatistics:
    """Statistics of several variables, accumulated block by block in double precision.

    Blocks are merged by the formula of Chan, Golub and LeVeque (1979) for the sum of squared deviations, which does
    not lose digits where the mean is large against the standard deviation (temperatures in kelvin).

    Attributes:
        count: number of values, per variable.
        mean: per variable.
        minimum, maximum: per variable.
    """

    def __init__(self, n_variables: int) -> None:
        self.count = np.zeros(n_variables)
        self.mean = np.zeros(n_variables)
        self._squares = np.zeros(n_variables)
        self.minimum = np.full(n_variables, np.inf)
        self.maximum = np.full(n_variables, -np.inf)

    def update(self, block: np.ndarray, selected: np.ndarray | None = None) -> None:
        """Add a block.

        Args:
            block: (..., n_variables).
            selected: booleans of the block's shape; False leaves a value out of mean and standard deviation (not of
                the range). None: all values.

        Raises:
            InputError: the block holds NaN.
        """
        values = np.asarray(block, dtype=np.float64).reshape(-1, self.count.size)
        if values.shape[0] == 0:
            return
        if np.isnan(values).any():
            raise InputError(f"statistics: the block holds {int(np.isnan(values).sum())} NaN, expected none")
        self.minimum = np.minimum(self.minimum, values.min(axis=0))
        self.maximum = np.maximum(self.maximum, values.max(axis=0))
        chosen = np.ones(values.shape, dtype=bool) if selected is None else selected.reshape(values.shape)
        count = chosen.sum(axis=0).astype(np.float64)
        mean = np.where(chosen, values, 0.0).sum(axis=0) / np.maximum(count, 1.0)
        squares = np.where(chosen, (values - mean) ** 2, 0.0).sum(axis=0)
        total = self.count + count
        shift = mean - self.mean
        fraction = count / np.maximum(total, 1.0)
        self._squares += squares + shift**2 * self.count * fraction
        self.mean += shift * fraction
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation (divided by the count), per variable; NaN where there was no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self._squares / self.count)
