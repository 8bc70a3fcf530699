"""The ensemble transform Kalman filter: one deterministic analysis of an ensemble, every column on its own.

Hunt et al. 2007 (doi:10.1016/j.physd.2006.11.008), equations 20 to 25, after Bishop et al. 2001: the analysed mean and
members are the background's mean plus perturbations times weights,

    P~ = [(N - 1) I + Y^T R^-1 Y]^-1,   w = P~ Y^T R^-1 (y - mean H(x)),   W = [(N - 1) P~]^(1/2),

with Y the perturbations of the observations' equivalents. W is the symmetric root, which leaves the mean of the
perturbations zero. Observations anywhere in a window are taken in at its start, since weights hold for whole
trajectories of members (Hunt et al. 2004, doi:10.3402/tellusa.v56i4.14424).

Inflation relaxes the analysed spread to the background's (Whitaker and Hamill 2012, doi:10.1175/MWR-D-11-00276.1,
equation 2).
"""

from __future__ import annotations

import numpy as np

from ailand_gt4py.core.types import Values


def analyse_ensemble(
    members: Values, equivalents: Values, observations: Values, errors: Values, used: Values, relaxation: float = 0.0
) -> tuple[Values, Values]:
    """One analysis of every column.

    Args:
        members: (n_members, n_columns, n_control) of the background, at least two.
        equivalents: (n_members, n_columns, n_observations) of the observations.
        observations: (n_columns, n_observations); those not used may be NaN.
        errors: (n_observations,) standard deviations of the observation error, above 0.
        used: (n_columns, n_observations) whether an observation takes part.
        relaxation: of the analysed spread to the background's, 0 (none) to 1 (all).

    Returns:
        The analysed members; and (n_columns,) chi-square d^T (Y Y^T / (N - 1) + R)^-1 d of the mean's departures.
    """
    n_members = len(members)
    mean, perturbations = _split(members)
    equivalent_mean, equivalent_perturbations = _split(np.where(used, equivalents, 0.0))
    departures = np.where(used, observations, 0.0) - equivalent_mean
    by_column = equivalent_perturbations.transpose(1, 0, 2)
    weights = used / errors**2
    weighted = by_column * weights[:, None, :]
    pulled = np.einsum("cmo,co->cm", weighted, departures)
    information = weighted @ by_column.swapaxes(1, 2)
    values, vectors = np.linalg.eigh(information + (n_members - 1) * np.eye(n_members))
    across = vectors.swapaxes(1, 2)
    shift = np.einsum("cmk,ck->cm", vectors, np.einsum("ckm,cm->ck", across, pulled) / values)
    root = (vectors * np.sqrt((n_members - 1) / values)[:, None, :]) @ across
    analysed = (root @ perturbations.transpose(1, 0, 2)).transpose(1, 0, 2)
    if relaxation > 0.0:
        before, after = perturbations.std(axis=0), analysed.std(axis=0)
        ratio = np.divide(before, after, out=np.ones_like(after), where=after > 0.0)
        analysed *= 1.0 + relaxation * (ratio - 1.0)
    chi_square = (weights * departures**2).sum(axis=1) - (pulled * shift).sum(axis=1)
    moved = mean + np.einsum("mcj,cm->cj", perturbations, shift)
    return moved + analysed, chi_square


def _split(members: Values) -> tuple[Values, Values]:
    """Mean and perturbations of an ensemble along the first axis."""
    mean = members.mean(axis=0)
    return mean, members - mean
