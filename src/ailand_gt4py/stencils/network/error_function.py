"""The error function, which GT4Py lacks, by rational approximations.

Cody (1969), doi:10.1090/S0025-5718-1969-0247736-4: near 0, about 1, and for large arguments. The coefficients are those
of his program CALERF in SPECFUN (Cody 1993, doi:10.1145/151271.151273; public domain), in the order of falling powers.
In single precision one ratio does for all arguments, which is a third of the work: fitted to the least largest relative
error, 6e-8 with these coefficients (Lawson's weighted least squares on Chebyshev nodes).
"""

from collections.abc import Sequence

import gt4py.next as gtx
import numpy as np
from gt4py.next import abs, exp, maximum, minimum, where

from ailand_gt4py.stencils.fields import columns
from ailand_gt4py.stencils.instances import Function, field_operators, written

_NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip
_SINGLE = (
    (1.9924288e-08, -1.9578329e-06, 0.00014184948, 0.003701567, 0.050573193, 0.19992352, 1.1283791),
    (0.0009560289, 0.014353117, 0.11499799, 0.51050925, 1.0),
)
#: From there on it is 1 to the last digit of single precision.
_SINGLE_ONE = 3.92
_INVERSE_ROOT_OF_PI = 0.56418958354775628695
#: Bounds between the approximations, and where 1 is reached to the last digit of double precision.
_NEAR_0, _LARGE, _ONE = 0.46875, 4.0, 6.0


def _ratio(coefficients: tuple[Sequence[float], Sequence[float]], units: gtx.Dimension, dtype: type) -> Function:
    """A ratio of two polynomials of its argument."""

    def polynomial(factors: Sequence[float]) -> str:
        first, *others = (f'{dtype.__name__}("{factor!r}")' for factor in factors)
        text = first
        for factor in others:
            text = f"({text} * x + {factor})"
        return text

    above, below = map(polynomial, coefficients)
    return written({"x": columns(units, dtype)}, columns(units, dtype), f"{above} / {below}")


@field_operators
def near_ratio(units: gtx.Dimension, dtype: type) -> Function:
    """erf(x) / x of x * x."""
    return _ratio(_NEAR, units, dtype)


@field_operators
def middle_ratio(units: gtx.Dimension, dtype: type) -> Function:
    """exp(x * x) (1 - erf(x))."""
    return _ratio(_MIDDLE, units, dtype)


@field_operators
def far_ratio(units: gtx.Dimension, dtype: type) -> Function:
    """What is to be subtracted from the leading term of the same, of 1 / (x * x)."""
    return _ratio(_FAR, units, dtype)


@field_operators
def single_ratio(units: gtx.Dimension, dtype: type) -> Function:
    """erf(x) / x of x * x, in single precision."""
    return _ratio(_SINGLE, units, dtype)


@field_operators
def error_function(units: gtx.Dimension, dtype: type) -> Function:
    """erf(x), to 1e-15 in double precision and 4e-7 in single, and its derivative, to 1e-13 and 3e-6."""
    return _in_single_precision(units) if dtype is np.float32 else _in_double_precision(units, dtype)


def _in_single_precision(units: gtx.Dimension) -> Function:
    least, last = np.float32(-_SINGLE_ONE), np.float32(_SINGLE_ONE)
    ratio = single_ratio(units, np.float32)

    def apply(x: columns(units, np.float32)) -> columns(units, np.float32):
        bounded = minimum(last, maximum(least, x))
        return bounded * ratio(bounded * bounded)

    return apply


def _in_double_precision(units: gtx.Dimension, dtype: type) -> Function:
    zero, one, root = dtype(0.0), dtype(1.0), dtype(_INVERSE_ROOT_OF_PI)
    near, large, last = dtype(_NEAR_0), dtype(_LARGE), dtype(_ONE)
    # Where one approximation passes to another, both have slopes.
    below_large, above_large = dtype(_LARGE - 0.5), dtype(_LARGE + 0.5)
    of_near, of_middle, of_far = (ratio(units, dtype) for ratio in (near_ratio, middle_ratio, far_ratio))

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        # Each approximation has arguments of its own range, whichever is chosen: none of their slopes is infinite.
        size = minimum(last, abs(x))
        small = where(size <= near, x, zero)
        moderate = minimum(above_large, maximum(near, size))
        great = maximum(below_large, size)
        square = one / (great * great)
        of_great = (root - square * of_far(square)) / great
        rest = exp(zero - size * size) * where(size <= large, of_middle(moderate), of_great)
        beyond = where(x < zero, rest - one, one - rest)
        return where(size <= near, small * of_near(small * small), beyond)

    return apply
