"""The derivatives of the step's operators, by hand; `tangent_linear` puts them together.

Each takes tangents of what an operator of `layers` or `pointwise` reads (arguments that end in ``_tangent``), and as
much of its forward values as the derivative depends on. What holds at kinks is said in `tangent_linear`.
"""

import gt4py.next as gtx
from gt4py.next import astype, maximum, minimum

from ailand_gt4py.core.dimensions import ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.fields import Dimensions, columns, contract, matrix
from ailand_gt4py.stencils.instances import Function, field_operators, written
from ailand_gt4py.stencils.network.layers import on_inputs, sum_of_products
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import (
    ActivationName,
    bounding_type,
    finishing_type,
    layer_type,
    linear_type,
    logarithmic_scaling_type,
    scaling_type,
)


@field_operators
def normalise_tangent(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.normalise`: tangent / scale."""

    def apply(tangent: columns(feature, dtype), scaling: scaling_type(feature, dtype)) -> columns(feature, dtype):
        return tangent / scaling[1]

    return apply


@field_operators
def normalise_logarithms_tangent(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.normalise_logarithms`; of a logarithm 0 where the value is on or below the floor.

    Arguments: the value; its tangent; the operands.
    """

    def apply(
        value: columns(feature, dtype),
        tangent: columns(feature, dtype),
        scaling: logarithmic_scaling_type(feature, dtype),
    ) -> columns(feature, dtype):
        floored = maximum(scaling[4], value)
        slope = scaling[2] + scaling[3] * astype(value > scaling[4], dtype) / floored
        return tangent * slope / scaling[1]

    return apply


@field_operators
def finish_tangent(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.denormalise_and_bound`: tangent * scale between the bounds, 0 on and beyond them."""

    def apply(
        normalised: columns(feature, dtype),
        normalised_tangent: columns(feature, dtype),
        finishing: finishing_type(feature, dtype),
    ) -> columns(feature, dtype):
        bounded = minimum(finishing[3], maximum(finishing[2], normalised * finishing[1] + finishing[0]))
        slope = astype(bounded > finishing[2], dtype) * astype(bounded < finishing[3], dtype)
        # The difference is 0, or NaN where the forward value is NaN: no comparison tells that.
        return normalised_tangent * finishing[1] * slope + (bounded - bounded)

    return apply


@field_operators
def bound_tangent(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.bound_by_others`: of the result below the bound, on and beyond it that of the bound.

    Arguments: as of that; the tangents of results, static inputs and forcing; the choices.
    """
    one = dtype(1.0)
    bound = bound_of_others(feature, dtype)
    of_static = contract(StaticFeature, feature, dtype)
    of_forcing = contract(ForcingFeature, feature, dtype)
    of_results = contract(feature, feature, dtype)

    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        results_tangent: columns(feature, dtype),
        static_tangent: columns(StaticFeature, dtype),
        forcing_tangent: columns(ForcingFeature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        is_below = astype(results < bound(results, static_input, forcing_input, choices), dtype)
        of_bound = (
            of_static(static_tangent, choices[0])
            + of_forcing(forcing_tangent, choices[1])
            + of_results(results_tangent, choices[2])
        )
        return results_tangent * is_below + of_bound * (one - is_below)

    return apply


@field_operators
def linear_tangent(sources: Dimensions, target: gtx.Dimension, kind: ActivationName, dtype: type) -> Function:
    """weight @ tangents of the inputs of a layer: the tangent before its activation (of any ``kind``)."""
    operands = "operands[0]" if kind == "layer_norm_relu" else "operands"
    total, called = sum_of_products(sources, target, operands, dtype)
    arguments = on_inputs(sources, layer_type(sources, target, kind, dtype), dtype)
    return written(arguments, columns(target, dtype), total, called)


@field_operators
def added_linear_tangent(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> Function:
    """A tangent plus weight @ tangent, of `layers.completed_layer` before its activation."""
    product = contract(source, target, dtype)

    def apply(
        part_tangent: columns(target, dtype), x_tangent: columns(source, dtype), weight: matrix(source, target, dtype)
    ) -> columns(target, dtype):
        return part_tangent + product(x_tangent, weight)

    return apply


@field_operators
def increment_tangent(source: gtx.Dimension, dtype: type) -> Function:
    """Of `layers.increment`: the tangent of the state plus weight @ tangent."""
    product = contract(source, StateFeature, dtype)

    def apply(
        state_tangent: columns(StateFeature, dtype),
        x_tangent: columns(source, dtype),
        operands: linear_type((source,), StateFeature, dtype),
    ) -> columns(StateFeature, dtype):
        return state_tangent + product(x_tangent, operands[0])

    return apply
