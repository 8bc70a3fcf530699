"""Parameters that bring runs nearest to observations, in every column by itself.

Columns know nothing of each other, so the misfit of all of them is a sum whose second derivative is a matrix of small
blocks. `by_gauss_newton` uses that: a Levenberg-Marquardt iteration (Marquardt 1963, doi:10.1137/0111030) with a step
length of its own in each column, by the tangent-linear. `by_lbfgs` gives the sum to SciPy's L-BFGS-B (Byrd et al. 1995,
doi:10.1137/0916069) with the gradient of the adjoint; its cost does not grow with the number of parameters, but one
memory of a few steps has to serve all columns. docs/parameter_estimation.md compares them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ailand_gt4py.calibration.case import Case
from ailand_gt4py.core.types import Values

#: A column has converged where no parameter moves by more than this part of its scale ...
MOVES_LESS = 1e-4
#: ... or by more than this much, with a misfit that changes by less than this part: what is left is rounding.
MOVES_LITTLE, SAME_MISFIT = 1e-2, 1e-6

#: Called with the number of iterations that are done and where the search is.
Report = Callable[[int, str], object]

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-7, 1e7
DAMPING_UP, DAMPING_DOWN = 10.0, 5.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Values (n_columns, n_parameters), misfits there and at the first guess, and where the search ended by itself.

    Information (n_columns, n_parameters, n_parameters) is Fisher's. Evaluations are runs of all columns, forward,
    backward and of the tangent-linear.
    """

    values: Values
    first_misfit: Values
    misfit: Values
    information: Values
    converged: Values
    evaluations: int


def _no_report(done: int, text: str) -> None:
    pass


def by_gauss_newton(case: Case, iterations: int = 30, report: Report = _no_report) -> Estimate:
    """Search in every column by itself, from the first guess brought within the bounds."""
    misfit, scale = case.misfit, case.first_guess
    values = case.clip(scale)
    damping = np.full(len(values), FIRST_DAMPING)
    converged = np.zeros(len(values), dtype=bool)
    now, gradient, information = misfit.curvature(values)
    first = now.copy()
    for done in range(1, iterations + 1):
        trial = case.clip(values + _damped_step(case, values, gradient, information, damping))
        found = misfit.curvature(trial)
        better = (found[0] <= now) & ~converged
        moved = np.abs((trial - values) / scale).max(axis=1)
        change = np.abs(found[0] - now)
        for kept, tried in zip((values, now, gradient, information), (trial, *found), strict=True):
            kept[better] = tried[better]
        damping = np.clip(np.where(better, damping / DAMPING_DOWN, damping * DAMPING_UP), LEAST_DAMPING, MOST_DAMPING)
        converged |= (moved < MOVES_LESS) | ((moved < MOVES_LITTLE) & (change <= SAME_MISFIT * now))
        report(done, _progress(now, first, converged))
        if converged.all():
            break
    return Estimate(values, first, now, information, converged, (1 + done) * (1 + values.shape[1]))


def _progress(misfits: Values, first: Values, converged: Values) -> str:
    """Where a search is; the misfit of all columns together, as a part of that of the first guess."""
    part = misfits.sum() / max(first.sum(), np.finfo(np.float64).tiny)
    return f"misfit {part:.3g} of the first guess's, {converged.sum()} of {len(converged)} columns converged"


def _damped_step(case: Case, values: Values, gradient: Values, information: Values, damping: Values) -> Values:
    """(n_columns, n_parameters): the step of least misfit of a quadratic with a damped matrix, in scaled parameters."""
    scale, background = case.first_guess, case.misfit.background
    matrix = information * scale[:, :, None] * scale[:, None, :]
    own = np.arange(values.shape[1])
    if background is not None:
        matrix[:, own, own] += np.square(scale / background.errors)
    # A parameter at a bound that the misfit would push beyond stays there.
    held = ((values <= case.lower) & (gradient > 0.0)) | ((values >= case.upper) & (gradient < 0.0))
    diagonal = matrix[:, own, own].copy()
    largest = np.maximum(diagonal.max(axis=1, keepdims=True), 1e-30)
    # Of a parameter without any effect the diagonal is zero: it must not move.
    matrix[:, own, own] += damping[:, None] * diagonal + 1e-12 * largest
    matrix[held[:, :, None] | held[:, None, :]] = 0.0
    matrix[:, own, own] = np.where(held, 1.0, matrix[:, own, own])
    right = np.where(held, 0.0, -gradient * scale)
    return np.linalg.solve(matrix, right[:, :, None])[:, :, 0] * scale


def by_lbfgs(case: Case, iterations: int = 200, report: Report = _no_report) -> Estimate:
    """Search in all columns at once."""
    from scipy.optimize import minimize

    misfit, scale = case.misfit, case.first_guess
    start = case.clip(scale)
    shape = start.shape
    first = now = misfit.value(start)
    runs, done, unfinished = 1, 0, np.zeros(shape[0], dtype=bool)

    def evaluate(scaled: Values) -> tuple[float, Values]:
        nonlocal runs, now
        runs += 2
        now, gradient = misfit.gradient(start + scaled.reshape(shape) * scale)
        return float(now.sum()), (gradient * scale).ravel()

    def after(scaled: Values) -> None:
        nonlocal done
        done += 1
        report(done, _progress(now, first, unfinished))

    limits = np.stack([(case.lower - start) / scale, (case.upper - start) / scale], axis=-1)
    found = minimize(
        evaluate, np.zeros(start.size), jac=True, method="L-BFGS-B", bounds=limits.reshape(-1, 2), callback=after,
        options={"maxiter": iterations, "maxfun": 4 * iterations},
    )  # fmt: skip
    values = case.clip(start + found.x.reshape(shape) * scale)
    last, _, information = misfit.curvature(values)
    converged = np.full(shape[0], bool(found.success))
    return Estimate(values, first, last, information, converged, runs + 1 + shape[1])
