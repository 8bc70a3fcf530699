"""Closure of a tower's energy balance, and fluxes corrected for what is missing of it.

Eddy covariance misses part of the turbulent fluxes: over the FLUXNET towers they sum up to four fifths of the available
energy, net radiation less ground heat (Wilson et al. 2002, doi:10.1016/S0168-1923(02)00109-0). The usual correction
keeps the Bowen ratio, and multiplies both with one factor (Twine et al. 2000, doi:10.1016/S0168-1923(00)00123-4); here
with that of the days around, since single windows scatter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ailand_gt4py.core.constants import SECONDS_PER_DAY
from ailand_gt4py.core.types import Values

#: Days of which one factor is made, and its smallest and largest value that can be the instrument's.
DAYS, FACTORS = 15, (0.7, 2.0)


class Balance(NamedTuple):
    """Observed fluxes, W m-2, positive downward as ecLand's, of one shape."""

    sensible: Values
    latent: Values
    net_radiation: Values
    ground: Values

    @property
    def turbulent(self) -> Values:
        """What leaves as sensible and latent heat."""
        return -(self.sensible + self.latent)

    @property
    def available(self) -> Values:
        return self.net_radiation - self.ground


class Closure(NamedTuple):
    """Sums over the windows in which all are known, per window, W m-2; ratio of turbulent to available energy."""

    n: int
    turbulent: float
    available: float

    @property
    def ratio(self) -> float:
        return self.turbulent / self.available if self.available > 0.0 else float("nan")

    def sentence(self) -> str:
        return (
            f"Energy balance: H + LE are {100.0 * self.ratio:.0f} % of net radiation less ground heat "
            f"({self.turbulent:.0f} of {self.available:.0f} W m-2, {self.n} windows)."
        )


def closure(balance: Balance) -> Closure:
    turbulent, available = balance.turbulent, balance.available
    known = np.isfinite(turbulent) & np.isfinite(available)
    n = int(known.sum())
    means = (float(one[known].mean()) if n else float("nan") for one in (turbulent, available))
    return Closure(n, *means)


def corrected(balance: Balance, step_seconds: float) -> tuple[Values, Values]:
    """Sensible and latent heat with the same Bowen ratio that close the balance of the days around each window.

    Of fluxes (n_times, n_columns), windows a step apart. NaN where no factor can be told: nothing is known nearby, or
    it is beyond `FACTORS`.
    """
    turbulent, available = balance.turbulent, balance.available
    known = np.isfinite(turbulent) & np.isfinite(available)
    half = max(1, round(DAYS * SECONDS_PER_DAY / step_seconds / 2.0))

    def around(values: Values) -> Values:
        sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), np.where(known, values, 0.0)]), axis=0)
        places = np.arange(len(values))
        return sums[np.minimum(places + half + 1, len(values))] - sums[np.maximum(places - half, 0)]

    with np.errstate(invalid="ignore", divide="ignore"):
        factor = around(available) / around(turbulent)
    factor = np.where((factor >= FACTORS[0]) & (factor <= FACTORS[1]), factor, np.nan)
    return balance.sensible * factor, balance.latent * factor
