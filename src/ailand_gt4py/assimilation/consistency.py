"""Whether the errors that a filter believes fit its departures.

* Chi-square: the mean of d^T (H B H^T + R)^-1 d over the number of observations is 1 where B and R are right (for
  instance Talagrand 1999, in Proceedings of the ECMWF Workshop on Diagnosis of Data Assimilation Systems).
* Desroziers et al. 2005 (doi:10.1256/qj.05.108): with d_ob the departures from the background, d_oa those from the
  analysis and d_ab = d_ob - d_oa, in an optimal linear analysis E[d_oa d_ob] = R (their equation 2), E[d_ab d_ob] =
  H B H^T (equation 1) and E[d_ob d_ob] their sum. Here d_oa is taken from the run from the analysis, limits and all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ailand_gt4py.assimilation.filters import WindowResult
from ailand_gt4py.core.types import Values


@dataclasses.dataclass(frozen=True)
class Consistency:
    """Diagnostics of one observable over all windows and columns where it took part.

    Attributes:
        name: of the observable. count: observations used. screened: observations there but not used.
        bias: mean departure from the background. departure: RMS of it. believed: what the filter expects of that.
        observation_error, believed_observation_error: standard deviation by Desroziers et al., and that of R.
        background_error, believed_background_error: of the background in observation space, likewise. NaN where the
            estimate of a variance is negative.
    """

    name: str
    count: int
    screened: int
    bias: float
    departure: float
    believed: float
    observation_error: float
    believed_observation_error: float
    background_error: float
    believed_background_error: float


def consistency(
    windows: Sequence[WindowResult], names: Sequence[Sequence[str]], name: str, believed_observation_error: float
) -> Consistency:
    """Diagnostics of one observable.

    Args:
        windows: results. names: of the observations of each window. name: of the observable.
        believed_observation_error: standard deviation of R.
    """
    mine = [[position for position, found in enumerate(own) if found == name] for own in names]

    def gathered(attribute: str) -> Values:
        parts = (getattr(window, attribute)[:, own] for window, own in zip(windows, mine, strict=True))
        return np.concatenate([part.ravel() for part in parts])

    used, there = gathered("reasons") == 0, np.isfinite(gathered("departures"))
    d_ob, d_oa, believed = (gathered(attribute)[used] for attribute in ("departures", "residuals", "expected"))
    return Consistency(
        name=name,
        count=int(used.sum()),
        screened=int((there & ~used).sum()),
        bias=_mean(d_ob),
        departure=_root(_mean(d_ob**2)),
        believed=_root(_mean(believed**2)),
        observation_error=_root(_mean(d_oa * d_ob)),
        believed_observation_error=believed_observation_error,
        background_error=_root(_mean((d_ob - d_oa) * d_ob)),
        believed_background_error=_root(_mean(believed**2) - believed_observation_error**2),
    )


def chi_square(windows: Sequence[WindowResult]) -> float:
    """Chi-square of all departures used over their number; NaN where there is none."""
    count = sum(int(window.count.sum()) for window in windows)
    return sum(float(window.chi_square.sum()) for window in windows) / count if count else float("nan")


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root(variance: float) -> float:
    return float(np.sqrt(variance)) if variance >= 0.0 else float("nan")
