"""Derivatives of the step's operators in several directions of a column at once; `jacobian` puts them together.

A direction is an input that is perturbed, or a result whose adjoint is taken. All directions of a column share its
forward values. Most operators serve both modes: that of an activation is diagonal (`activations`), that of layer
normalisation symmetric. Values of directions are over ``axes``, with columns, or without them where they are the same
in all.
"""

import gt4py.next as gtx
from gt4py.next import astype, maximum, minimum, neighbor_sum

from ailand_gt4py.core.dimensions import Column, ForcingFeature, Moment, StaticFeature, broadcast_offset, contraction
from ailand_gt4py.stencils.fields import Dimensions, columns, field, matrix
from ailand_gt4py.stencils.instances import Function, field_operators
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import (
    bounding_type,
    finishing_type,
    logarithmic_scaling_type,
    normalised_type,
)


@field_operators
def contract_directed(direction: gtx.Dimension, source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> Function:
    """``weight @ x`` for every direction of every column."""
    local, offset = contraction(source, target).local, contraction(source, target).offset

    def apply(x: field((Column, direction, source), dtype), weight: matrix(source, target, dtype)) -> field(
        (Column, direction, target), dtype
    ):
        return neighbor_sum(weight * x(offset), axis=local)

    return apply


@field_operators
def projection(sources: Dimensions, units: gtx.Dimension, axes: Dimensions, dtype: type) -> Function:
    """mean(x value) / (var(x) + eps): of a value what normalisation takes out along x.

    Arguments: x, a layer before its normalisation; the value; the inverse deviation; the layer's operands.
    """
    local, offset = contraction(units, Moment).local, contraction(units, Moment).offset
    direction = axes[-2]

    def apply(
        x: columns(units, dtype),
        value: field(axes, dtype),
        inverse: columns(Moment, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> field((Column, direction, Moment), dtype):
        product = x * value
        return neighbor_sum(operands[3] * product(offset), axis=local) * inverse * inverse

    return apply


@field_operators
def projected(axes: Dimensions, dtype: type) -> Function:
    """(value - x * projection) * inverse deviation: the normalisation's matrix times a value.

    Also its product with weights from the left, of the value's and of x's products with them.

    Arguments: x; the value; the projection; the inverse deviation.
    """
    *_, direction, feature = axes
    to_features = broadcast_offset(feature)

    def apply(
        x: columns(feature, dtype),
        value: field(axes, dtype),
        along: field((Column, direction, Moment), dtype),
        inverse: columns(Moment, dtype),
    ) -> field((Column, direction, feature), dtype):
        return (value - x * along(to_features[0])) * inverse(to_features[0])

    return apply


@field_operators
def finish_slope(feature: gtx.Dimension, dtype: type) -> Function:
    """The derivative of `pointwise.denormalise_and_bound`, NaN where the forward value is (see `tangent_layers`)."""

    def apply(normalised: columns(feature, dtype), finishing: finishing_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        bounded = minimum(finishing[3], maximum(finishing[2], normalised * finishing[1] + finishing[0]))
        slope = astype(bounded > finishing[2], dtype) * astype(bounded < finishing[3], dtype)
        return finishing[1] * slope + (bounded - bounded)

    return apply


@field_operators
def logarithm_slope(feature: gtx.Dimension, dtype: type) -> Function:
    """The derivative of `pointwise.normalise_logarithms` where a logarithm is taken, else 0."""

    def apply(value: columns(feature, dtype), scaling: logarithmic_scaling_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        floored = maximum(scaling[4], value)
        return scaling[3] * astype(value > scaling[4], dtype) / floored / scaling[1]

    return apply


@field_operators
def is_below_bound(feature: gtx.Dimension, dtype: type) -> Function:
    """1 where a result is below the bound that other variables are, else 0; arguments as of `bound_of_others`."""
    bound = bound_of_others(feature, dtype)

    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        return astype(results < bound(results, static_input, forcing_input, choices), dtype)

    return apply


@field_operators
def bounded_by_results(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> Function:
    """`bounded_directed` where no input that is a bound changes; without its argument for those."""
    one = dtype(1.0)
    of_results = contract_directed(direction, feature, feature, dtype)

    def apply(
        own: field((Column, direction, feature), dtype),
        is_below: columns(feature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> field((Column, direction, feature), dtype):
        return own * is_below + of_results(own, choices[2]) * (one - is_below)

    return apply


@field_operators
def bounded_directed(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> Function:
    """Tangents of results that other variables bound, as `tangent_layers.bound_tangent`.

    Arguments: tangents of the results before that; where they are below their bounds; the tangents of bounds that are
    inputs; the choices.
    """
    one = dtype(1.0)
    of_results = contract_directed(direction, feature, feature, dtype)

    def apply(
        own: field((Column, direction, feature), dtype),
        is_below: columns(feature, dtype),
        of_inputs: field((direction, feature), dtype),
        choices: bounding_type(feature, dtype),
    ) -> field((Column, direction, feature), dtype):
        return own * is_below + (of_inputs + of_results(own, choices[2])) * (one - is_below)

    return apply
