"""The activations of point-wise networks, in one table: `SMOOTH`, by the names of `weights.processing.ACTIVATIONS`.

Formulas are those of PyTorch's modules of these names, and of anemoi's ``Sine`` and ``CustomRelu``.
"""

from collections.abc import Callable

import gt4py.next as gtx
from gt4py.next import abs, exp, log, maximum, minimum, sin, tanh, where

from ailand_gt4py.stencils.fields import columns
from ailand_gt4py.stencils.instances import FieldOperator, Function, field_operators
from ailand_gt4py.stencils.network.activations import relu
from ailand_gt4py.stencils.network.error_function import error_function

_ROOT_OF_HALF = 0.70710678118654752440
_ROOT_OF_TWO_OVER_PI = 0.79788456080286535588
#: From there on log(1 + exp(x)) is x to the last digit.
_SOFTPLUS_IS_LINEAR = 40.0


@field_operators
def gelu(units: gtx.Dimension, dtype: type) -> Function:
    """x times the normal distribution (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    half, one, root = dtype(0.5), dtype(1.0), dtype(_ROOT_OF_HALF)
    erf = error_function(units, dtype)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return half * x * (one + erf(root * x))

    return apply


@field_operators
def sigmoid(units: gtx.Dimension, dtype: type) -> Function:
    """1 / (1 + exp(-x)), in a form of which nothing overflows; tanh would cost several times as much."""
    zero, one = dtype(0.0), dtype(1.0)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        small = exp(zero - abs(x))
        return where(x < zero, small, one) / (one + small)

    return apply


@field_operators
def gelu_tanh(units: gtx.Dimension, dtype: type) -> Function:
    """The same paper's form with tanh: x (1 + tanh(y)) / 2 = x sigmoid(2 y)."""
    twice, cubic = dtype(2.0 * _ROOT_OF_TWO_OVER_PI), dtype(0.044715)
    part = sigmoid(units, dtype)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return x * part(twice * (x + cubic * x * x * x))

    return apply


@field_operators
def silu(units: gtx.Dimension, dtype: type) -> Function:
    """x sigmoid(x)."""
    part = sigmoid(units, dtype)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return x * part(x)

    return apply


@field_operators
def sloping_relu(units: gtx.Dimension, slope: float, dtype: type) -> Function:
    """x where x > 0, else slope * x."""
    zero, factor = dtype(0.0), dtype(slope)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return where(x > zero, x, factor * x)

    return apply


@field_operators
def elu(units: gtx.Dimension, alpha: float, dtype: type) -> Function:
    """x where x >= 0, else alpha (exp(x) - 1)."""
    zero, one, factor = dtype(0.0), dtype(1.0), dtype(alpha)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return where(x < zero, factor * (exp(minimum(zero, x)) - one), x)

    return apply


@field_operators
def hyperbolic_tangent(units: gtx.Dimension, dtype: type) -> Function:
    """tanh(x)."""

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return tanh(x)

    return apply


@field_operators
def softplus(units: gtx.Dimension, beta: float, threshold: float, dtype: type) -> Function:
    """log(1 + exp(beta x)) / beta; x where beta x is above the threshold."""
    one, factor, limit = dtype(1.0), dtype(beta), dtype(min(threshold, _SOFTPLUS_IS_LINEAR))

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return where(factor * x > limit, x, log(one + exp(minimum(limit, factor * x))) / factor)

    return apply


@field_operators
def sine(units: gtx.Dimension, w: float, phi: float, dtype: type) -> Function:
    """sin(w x + phi)."""
    frequency, phase = dtype(w), dtype(phi)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return sin(frequency * x + phase)

    return apply


@field_operators
def custom_relu(units: gtx.Dimension, threshold: float, dtype: type) -> Function:
    """max(threshold, x)."""
    least = dtype(threshold)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return maximum(least, x)

    return apply


#: Name -> the factory of its operator, of (units, its parameters, type); None of what does nothing.
SMOOTH: dict[str, Callable[..., FieldOperator] | None] = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "relu": relu,
    "leaky_relu": sloping_relu,
    "elu": elu,
    "tanh": hyperbolic_tangent,
    "softplus": softplus,
    "identity": None,
    "sine": sine,
    "custom_relu": custom_relu,
}
