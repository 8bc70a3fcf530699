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

from ailand_gt4py.assimilation.cycle import CycleResult, Departures
from ailand_gt4py.assimilation.window import WindowResult
from ailand_gt4py.core.text_table import aligned
from ailand_gt4py.core.types import Values


@dataclasses.dataclass(frozen=True)
class Consistency:
    """Diagnostics of one observable over all windows and columns where it took part; screened: where it did not.

    Bias and RMS are of departures from the background, in whose space its error is. Errors are standard deviations by
    Desroziers et al., NaN where the estimate of a variance is negative, beside those that the filter believes.
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


def consistency(name: str, found: Departures, believed_error: float) -> Consistency:
    """Diagnostics of one observable, whose standard deviation of R is `believed_error`."""

    def mean(values: Values) -> float:
        return float(values.mean()) if values.size else float("nan")

    def root(variance: float) -> float:
        return float(np.sqrt(variance)) if variance >= 0.0 else float("nan")

    used = found.reasons == 0
    d_ob, d_oa, expected = found.departures[used], found.residuals[used], found.expected[used]
    return Consistency(
        name=name,
        count=int(used.sum()),
        screened=int((np.isfinite(found.departures) & ~used).sum()),
        bias=mean(d_ob),
        departure=root(mean(d_ob**2)),
        believed=root(mean(expected**2)),
        observation_error=root(mean(d_oa * d_ob)),
        believed_observation_error=believed_error,
        background_error=root(mean((d_ob - d_oa) * d_ob)),
        believed_background_error=root(mean(expected**2) - believed_error**2),
    )


def chi_square(windows: Sequence[WindowResult]) -> float:
    """Chi-square of all departures used over their number; NaN where there is none."""
    count = sum(int(window.n_used.sum()) for window in windows)
    return sum(float(window.chi_square.sum()) for window in windows) / count if count else float("nan")


def of_result(result: CycleResult) -> tuple[Consistency, ...]:
    """Diagnostics of all that a cycle observed."""
    names = list(result.observables)
    believed = result.settings.errors.of_observations(names)
    return tuple(
        consistency(name, result.observed(name), float(error)) for name, error in zip(names, believed, strict=True)
    )


def lines(found: Sequence[Consistency], chi_square: float) -> list[str]:
    """Diagnostics as a table in plain text."""
    rows = [
        tuple(f"{value:.3g}" if isinstance(value, float) else str(value) for value in vars(one).values())
        for one in found
    ]
    names = ("observation", "used", "screened", "bias", "RMS", "believed", "R est.", "R", "HBH est.", "HBH")
    return [
        f"Chi-square of the departures over their number: {chi_square:.3f}",
        "Departures used, and error standard deviations after Desroziers et al. 2005 against those assumed",
        *aligned(names, rows, left=1, indent=2),
    ]
