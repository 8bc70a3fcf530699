"""The activations of the networks' layers and their derivatives, in one table: `ACTIVATIONS`.

Layer normalisation with ReLU counts as one. It is of a layer whose mean over the units is zero: the mean is taken out
of weights and bias beforehand (`ailand_gt4py.emulator.operands`). What holds at kinks is said in `tangent_linear`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gt4py.next as gtx
from gt4py.next import astype, maximum, sqrt, where

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.dimensions import Column, Moment, broadcast_offset
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.stencils.fields import Dimensions, columns, contract, field, matrix, together, vector
from ailand_gt4py.stencils.instances import FieldOperator, Function, field_operators
from ailand_gt4py.stencils.network.shapes import ActivationName, normalised_type


@field_operators
def relu(units: gtx.Dimension, dtype: type) -> Function:
    """max(0, x), in the order of arguments that lets NaN pass in compiled code."""
    zero = dtype(0.0)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return maximum(zero, x)

    return apply


@field_operators
def relu_tangent(units: gtx.Dimension, axes: Dimensions, dtype: type) -> Function:
    """Arguments: the result of ReLU; the tangent of what it is applied to, over ``axes``.

    What is off is set to zero by a condition instead of being multiplied by zero: products on it may then leave it out
    (`ailand_gt4py.lowering.cpu.layer_code`).
    """
    zero = dtype(0.0)

    def apply(result: columns(units, dtype), x: field(axes, dtype)) -> field(together((Column,), axes), dtype):
        return where(result > zero, x, zero)

    return apply


@field_operators
def relu_adjoint(units: gtx.Dimension, axes: Dimensions, dtype: type) -> Function:
    """A product: an adjoint that is NaN passes where the unit is off, too.

    A column whose forward values are NaN has no unit that is on, and yet its adjoints shall be NaN.

    Arguments: the result of ReLU; its adjoint.
    """
    zero = dtype(0.0)

    def apply(result: columns(units, dtype), x: field(axes, dtype)) -> field(together((Column,), axes), dtype):
        return x * astype(result > zero, dtype)

    return apply


@field_operators
def leaky_relu(units: gtx.Dimension, dtype: type) -> Function:
    """x where x > 0, else 0.01 x: the larger of the two."""
    slope = dtype(LEAKY_RELU_SLOPE)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return maximum(slope * x, x)

    return apply


@field_operators
def leaky_relu_derivative(units: gtx.Dimension, axes: Dimensions, dtype: type) -> Function:
    """Tangent and adjoint. Arguments: the result, which has the sign of what LeakyReLU is applied to; the other's."""
    zero, slope = dtype(0.0), dtype(LEAKY_RELU_SLOPE)

    def apply(result: columns(units, dtype), x: field(axes, dtype)) -> field(together((Column,), axes), dtype):
        return x * maximum(slope, astype(result > zero, dtype))

    return apply


@field_operators
def layer_norm_relu(units: gtx.Dimension, dtype: type) -> Function:
    """ReLU(x / sqrt(var(x) + eps) * gain + offset).

    Ba et al. (2016), arXiv:1607.06450, with the biased variance as in PyTorch.
    """
    zero, one, epsilon = dtype(0.0), dtype(1.0), dtype(LAYER_NORM_EPSILON)
    mean = contract(units, Moment, dtype)
    to_units = broadcast_offset(units)

    def apply(
        x: columns(units, dtype),
        gain: vector(units, dtype),
        offset: vector(units, dtype),
        averaging: matrix(units, Moment, dtype),
    ) -> columns(units, dtype):
        variance = mean(x * x, averaging)
        inverse_deviation = one / sqrt(variance + epsilon)
        normalised = x * inverse_deviation(to_units[0]) * gain + offset
        return maximum(zero, normalised)

    return apply


@field_operators
def inverse_deviation(sources: Dimensions, units: gtx.Dimension, dtype: type) -> Function:
    """1 / sqrt(var(x) + eps), as in `layer_norm_relu`."""
    one, epsilon = dtype(1.0), dtype(LAYER_NORM_EPSILON)
    mean = contract(units, Moment, dtype)

    def apply(x: columns(units, dtype), operands: normalised_type(sources, units, dtype)) -> columns(Moment, dtype):
        return one / sqrt(mean(x * x, operands[3]) + epsilon)

    return apply


@field_operators
def normalised_relu(sources: Dimensions, units: gtx.Dimension, dtype: type) -> Function:
    """ReLU(x * inverse deviation * gain + offset), as in `layer_norm_relu`."""
    zero = dtype(0.0)
    to_units = broadcast_offset(units)

    def apply(
        x: columns(units, dtype), inverse: columns(Moment, dtype), operands: normalised_type(sources, units, dtype)
    ) -> columns(units, dtype):
        return maximum(zero, x * inverse(to_units[0]) * operands[1] + operands[2])

    return apply


@field_operators
def normalised_relu_tangent(sources: Dimensions, units: gtx.Dimension, dtype: type) -> Function:
    """(dx - x * mean(x dx) / (var(x) + eps)) * inverse deviation * gain where the ReLU is on.

    Arguments: x; its tangent, which like x has mean zero; the inverse deviation; the result of `normalised_relu`; the
    layer's operands.
    """
    zero = dtype(0.0)
    mean = contract(units, Moment, dtype)
    to_units = broadcast_offset(units)

    def apply(
        x: columns(units, dtype),
        tangent: columns(units, dtype),
        inverse: columns(Moment, dtype),
        result: columns(units, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> columns(units, dtype):
        projection = mean(x * tangent, operands[3]) * inverse * inverse
        on = (tangent - x * projection(to_units[0])) * inverse(to_units[0]) * operands[1]
        return where(result > zero, on, zero)

    return apply


@field_operators
def normalised_relu_adjoint(sources: Dimensions, units: gtx.Dimension, dtype: type) -> Function:
    """(g - x * mean(x g) / (var(x) + eps)) * inverse deviation, with g = adjoint * gain where the ReLU is on, else 0.

    The matrix of the normalisation itself is symmetric. Arguments as of `normalised_relu_tangent`.
    """
    zero = dtype(0.0)
    mean = contract(units, Moment, dtype)
    to_units = broadcast_offset(units)

    def apply(
        x: columns(units, dtype),
        result_adjoint: columns(units, dtype),
        inverse: columns(Moment, dtype),
        result: columns(units, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> columns(units, dtype):
        adjoint = result_adjoint * operands[1] * astype(result > zero, dtype)
        projection = mean(x * adjoint, operands[3]) * inverse * inverse
        return (adjoint - x * projection(to_units[0])) * inverse(to_units[0])

    return apply


@field_operators
def relu_and_gain(sources: Dimensions, units: gtx.Dimension, axes: Dimensions, dtype: type) -> Function:
    """`relu_tangent` times the gain of a normalised layer. Arguments: as of that; the layer's operands."""
    zero = dtype(0.0)

    def apply(
        result: columns(units, dtype), x: field(axes, dtype), operands: normalised_type(sources, units, dtype)
    ) -> field(together((Column,), axes), dtype):
        return where(result > zero, x * operands[1], zero)

    return apply


class Activation(NamedTuple):
    """Factories of the operators of an activation.

    The derivatives' are of (units, axes of the tangent or adjoint, type), or of a normalised layer of (sources, units,
    type), for ``directed`` with the axes before the type.

    Attributes:
        value: of (units, type).
        tangent, adjoint: as above.
        directed: of tangents or adjoints in many directions; of a normalised layer without the normalisation.
        is_normalised: whether layer normalisation goes before it.
    """

    value: Callable[..., FieldOperator]
    tangent: Callable[..., FieldOperator]
    adjoint: Callable[..., FieldOperator]
    directed: Callable[..., FieldOperator]
    is_normalised: bool = False

    @property
    def is_linear(self) -> bool:
        """Whether there is none."""
        return self.value is _nothing


def _nothing(*_: Any) -> FieldOperator:
    raise AssertionError("a linear layer has no activation")


ACTIVATIONS = {
    "linear": Activation(_nothing, _nothing, _nothing, _nothing),
    "relu": Activation(relu, relu_tangent, relu_adjoint, relu_tangent),
    "leaky_relu": Activation(leaky_relu, leaky_relu_derivative, leaky_relu_derivative, leaky_relu_derivative),
    "layer_norm_relu": Activation(
        layer_norm_relu, normalised_relu_tangent, normalised_relu_adjoint, relu_and_gain, is_normalised=True
    ),
}


def activation(name: ActivationName) -> Activation:
    """What the table has of an activation.

    Raises:
        InputError: an activation that is not in the table: neither it nor its derivatives are known.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"activation '{name}' is unknown; expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
