"""The simplified extended Kalman filter: one analysis of the control variables of all columns.

Drusch et al. 2009 (doi:10.1029/2009GL037716) and de Rosnay et al. 2013 (doi:10.1002/qj.2023): columns are independent,
the analysis is x + K (y - H(x)) with K = (B^-1 + H^T R^-1 H)^-1 H^T R^-1, and H the Jacobian of the observations in the
window with respect to the control variables at its start. Here with diagonal R; where nothing is observed the analysis
is the background, exactly.
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values


def analyse(
    covariance: Values, jacobian: Values, departures: Values, errors: Values, used: Values
) -> tuple[Values, Values, Values]:
    """One analysis of every column.

    Args:
        covariance: (n_columns, n_control, n_control) B, of the background error.
        jacobian: (n_columns, n_observations, n_control) H.
        departures: (n_columns, n_observations) observation minus background; those not used may be NaN.
        errors: (n_observations,) standard deviations of the observation error, above 0.
        used: (n_columns, n_observations) whether an observation takes part.

    Returns:
        The increment (n_columns, n_control) to the background; the covariance (I - K H) B of the analysis error; and
        (n_columns,) chi-square d^T (H B H^T + R)^-1 d of the departures d.
    """
    weights = used / errors**2
    taken = np.where(used[:, :, None], jacobian, 0.0)
    innovation = np.where(used, departures, 0.0)
    pulled = np.einsum("cok,co->ck", taken, weights * innovation)
    information = taken.swapaxes(1, 2) @ (weights[:, :, None] * taken)
    # (B^-1 + G)^-1 = (I + B G)^-1 B: B need not be invertible.
    analysed = np.linalg.solve(np.eye(jacobian.shape[2]) + covariance @ information, covariance)
    analysed = 0.5 * (analysed + analysed.swapaxes(1, 2))
    increment = np.einsum("cjk,ck->cj", analysed, pulled)
    # The inverse of H B H^T + R by Woodbury's identity.
    chi_square = (weights * innovation**2).sum(axis=1) - (pulled * increment).sum(axis=1)
    return increment, analysed, chi_square


def forecast_covariance(covariance: Values, end: Values, model_error: Values) -> Values:
    """Covariance at a window's end: M P M^T + Q.

    Args:
        covariance: (n_columns, n_control, n_control) P at its start. end: the same shape, M, derivatives of the control
            variables at the end by those at the start. model_error: (n_control, n_control) Q, of one window.
    """
    moved = end @ covariance @ end.swapaxes(1, 2)
    return 0.5 * (moved + moved.swapaxes(1, 2)) + model_error
