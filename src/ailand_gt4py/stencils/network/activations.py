"""The activations of the networks' layers, in one table: `ACTIVATIONS`. Their derivatives follow from them.

Layer normalisation with ReLU counts as one. It is of a layer whose mean over the units is zero: the mean is taken out
of weights and bias beforehand (`ailand_gt4py.emulator.operands`).
"""

from collections.abc import Callable
from typing import NamedTuple

import gt4py.next as gtx
from gt4py.next import maximum, sqrt

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.dimensions import Moment, broadcast_offset
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.stencils.fields import columns, contract, matrix, vector
from ailand_gt4py.stencils.instances import FieldOperator, Function, field_operators
from ailand_gt4py.stencils.network.shapes import ActivationName


@field_operators
def relu(units: gtx.Dimension, dtype: type) -> Function:
    """max(0, x), in the order of arguments that lets NaN pass in compiled code."""
    zero = dtype(0.0)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return maximum(zero, x)

    return apply


@field_operators
def leaky_relu(units: gtx.Dimension, dtype: type) -> Function:
    """x where x > 0, else 0.01 x: the larger of the two."""
    slope = dtype(LEAKY_RELU_SLOPE)

    def apply(x: columns(units, dtype)) -> columns(units, dtype):
        return maximum(slope * x, x)

    return apply


@field_operators
def layer_norm(units: gtx.Dimension, added: float, dtype: type) -> Function:
    """x / sqrt(var(x) + added) * gain + offset.

    Ba et al. (2016), arXiv:1607.06450, with the biased variance as in PyTorch.
    """
    one, epsilon = dtype(1.0), dtype(added)
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
        return x * inverse_deviation(to_units[0]) * gain + offset

    return apply


@field_operators
def layer_norm_relu(units: gtx.Dimension, dtype: type) -> Function:
    """ReLU(layer normalisation); arguments as of that."""
    zero = dtype(0.0)
    normalised = layer_norm(units, LAYER_NORM_EPSILON, dtype)

    def apply(
        x: columns(units, dtype),
        gain: vector(units, dtype),
        offset: vector(units, dtype),
        averaging: matrix(units, Moment, dtype),
    ) -> columns(units, dtype):
        return maximum(zero, normalised(x, gain, offset, averaging))

    return apply


class Activation(NamedTuple):
    """An activation.

    Attributes:
        value: the factory of its operator, of (units, type); None of a linear layer, which has none.
        is_normalised: whether layer normalisation goes before it.
    """

    value: Callable[..., FieldOperator] | None
    is_normalised: bool = False


ACTIVATIONS = {
    "linear": Activation(None),
    "relu": Activation(relu),
    "leaky_relu": Activation(leaky_relu),
    "layer_norm_relu": Activation(layer_norm_relu, is_normalised=True),
}


def activation(name: ActivationName) -> Activation:
    """What the table has of an activation.

    Raises:
        InputError: an activation that is not in the table.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"activation '{name}' is unknown; expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
