"""What all scores are made of: counts, means and products of pairs of a run and the truth, column by column.

Moments of columns are selected (a group), put together (blocks of a long file) and pooled exactly, so that a score is
one formula whether it is of a column, of a group, of a lead time or of a run that does not fit into memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values


def rmse(error: Values, axis: int | tuple[int, ...] | None = None, where: Values | None = None) -> Values:
    """Root of the mean squared error, in double precision; NaN where nothing counts.

    Args:
        axis: to take the mean over; None: all. where: booleans, broadcast against the error, of what counts; None: all.
    """
    squares = np.square(np.asarray(error, dtype=np.float64))
    counts = np.broadcast_to(True if where is None else where, squares.shape)
    with np.errstate(invalid="ignore"):
        return np.sqrt(squares.sum(axis=axis, where=counts) / counts.sum(axis=axis))


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments of pairs by column: (n_columns,) of each, or () where columns are pooled.

    Attributes:
        n: number of pairs, float64. means: (2, ...) of run and truth; 0 without pairs.
        products: (2, 2, ...) sums of products of deviations from the means: no cancellation (Chan et al. 1983).
        squares: sum of squared errors.
    """

    n: Values
    means: Values
    products: Values
    squares: Values

    @classmethod
    def of(cls, run: Values, truth: Values) -> Self:
        """Moments by column of (n_samples, n_columns) each; pairs with a NaN are left out."""
        if run.shape != truth.shape:
            raise InputError(f"scores: run has the shape {run.shape}, expected the reference's {truth.shape}")
        pairs = np.stack([run, truth], dtype=np.float64)
        known = np.isfinite(pairs).all(axis=0)
        n = known.sum(axis=0, dtype=np.float64)
        means = pairs.sum(axis=1, where=known) / np.maximum(n, 1.0)
        deviations = np.where(known, pairs - means[:, None], 0.0)
        products = np.einsum("isc,jsc->ijc", deviations, deviations)
        errors = np.where(known, pairs[0] - pairs[1], 0.0)
        return cls(n, means, products, np.square(errors).sum(axis=0))

    def __getitem__(self, columns: Values) -> Self:
        """Those of some columns."""
        return type(self)(*(values[..., columns] for values in vars(self).values()))

    def pooled(self) -> Self:
        """Moments of all pairs together, every pair with the same weight."""
        n = self.n.sum()
        means = (self.n * self.means).sum(axis=-1) / max(n, 1.0)
        shift = self.means - means[:, None]
        products = (self.products + self.n * shift * shift[:, None]).sum(axis=-1)
        return type(self)(n, means, products, self.squares.sum())

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """The columns of all parts."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Moments(*(np.concatenate(values, axis=-1) for values in columns))

    @property
    def mean_square(self) -> Values:
        """Mean squared error; NaN without pairs."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.squares / np.where(self.n > 0.0, self.n, np.nan))

    @property
    def correlation(self) -> Values:
        """Pearson's coefficient; NaN where one of the two does not vary."""
        spread = np.stack([self.products[0, 0], self.products[1, 1]])
        # Rounding leaves a constant a spread of its own: below that of float32 there is no variation to correlate.
        varies = (spread > 1e-14 * (spread + self.n * np.square(self.means))).all(axis=0)
        scale = np.where(varies, np.sqrt(spread).prod(axis=0), np.nan)
        return np.clip(self.products[0, 1] / scale, -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A run and the truth, by column: what every score takes.

    Attributes:
        anomalies: of both less the climatology, where there is one.
        baselines: of what a run has to beat and the truth, by name, for the pairs of the run.
    """

    pairs: Moments
    anomalies: Moments
    baselines: Mapping[str, Moments]

    @classmethod
    def of(cls, run: Values, truth: Values, climatology: Values | None = None, /, **baselines: Values) -> Self:
        """A sample of (n_samples, n_columns) each, NaN for gaps, with baselines that are broadcast against the truth.

        The climatology is of the truth at the same label; None: none at all.
        """
        pairs = Moments.of(run, truth)
        usual = np.full(truth.shape, np.nan) if climatology is None else climatology
        truth = np.where(np.isfinite(run), truth, np.nan)
        others = {name: Moments.of(np.broadcast_to(one, truth.shape), truth) for name, one in baselines.items()}
        return cls(pairs, Moments.of(run - usual, truth - usual), others)

    def _each(self, change: Callable[[Moments], Moments]) -> Self:
        baselines = {name: change(one) for name, one in self.baselines.items()}
        return type(self)(change(self.pairs), change(self.anomalies), baselines)

    def __getitem__(self, columns: Values) -> Self:
        """That of some columns."""
        return self._each(lambda moments: moments[columns])

    def pooled(self) -> Self:
        """All columns together."""
        return self._each(Moments.pooled)

    @staticmethod
    def joined(parts: Sequence[Sample]) -> Sample:
        """The columns of all parts, which have the same baselines."""
        baselines = {name: Moments.joined([part.baselines[name] for part in parts]) for name in parts[0].baselines}
        pairs, anomalies = (Moments.joined([getattr(part, name) for part in parts]) for name in ("pairs", "anomalies"))
        return Sample(pairs, anomalies, baselines)

    def baseline(self, name: str) -> float:
        """RMSE of a baseline over all pairs; NaN without any."""
        return float(np.sqrt(self.baselines[name].pooled().mean_square))
