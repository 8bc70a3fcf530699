"""The derivatives of the step's operators, by hand; `tangent_linear` puts them together.

Each takes changes of what an operator of `layers` or `pointwise` reads (arguments that end in ``_tangent``), and as
much of its forward values as the derivative depends on. What holds at kinks is said in `tangent_linear`.
"""

import functools

import gt4py.next as gtx
from gt4py.next import astype, maximum, minimum, sqrt, where

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.dimensions import ForcingFeature, Moment, StateFeature, StaticFeature, broadcast_offset
from ailand_gt4py.stencils.network.dense import contract
from ailand_gt4py.stencils.network.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.network.layers import linear, linear_of_inputs
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import (
    INPUTS,
    Activation,
    bounding_type,
    columns,
    finishing_type,
    linear_type,
    logarithmic_scaling_type,
    matrix,
    normalised_type,
    scaling_type,
)


@functools.cache
def normalise_tangent(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of `pointwise.normalise`: change / scale."""

    @named_field_operator(f"normalise_tangent_{feature.value}", dtype)
    def apply(tangent: columns(feature, dtype), scaling: scaling_type(feature, dtype)) -> columns(feature, dtype):
        return tangent / scaling[1]

    return apply


@functools.cache
def normalise_logarithms_tangent(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of `pointwise.normalise_logarithms`; of a logarithm 0 where the value is on or below the floor.

    Arguments: the value; its change; the operands.
    """

    @named_field_operator(f"normalise_logarithms_tangent_{feature.value}", dtype)
    def apply(
        value: columns(feature, dtype),
        tangent: columns(feature, dtype),
        scaling: logarithmic_scaling_type(feature, dtype),
    ) -> columns(feature, dtype):
        floored = maximum(scaling[4], value)
        slope = scaling[2] + scaling[3] * astype(value > scaling[4], dtype) / floored
        return tangent * slope / scaling[1]

    return apply


@functools.cache
def finish_tangent(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of `pointwise.denormalise_and_bound`: change * scale between the bounds, 0 on and beyond them."""

    @named_field_operator(f"finish_tangent_{feature.value}", dtype)
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


@functools.cache
def bound_tangent(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of `pointwise.bound_by_others`: of the result below the bound, on and beyond it that of the bound.

    Arguments: as of that; the changes of results, static inputs and forcing; the choices.
    """
    one = dtype(1.0)
    bound = bound_of_others(feature, dtype)
    of_static = contract(StaticFeature, feature, dtype)
    of_forcing = contract(ForcingFeature, feature, dtype)
    of_results = contract(feature, feature, dtype)

    @named_field_operator(f"bound_tangent_{feature.value}", dtype)
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
        bound_change = (
            of_static(static_tangent, choices[0])
            + of_forcing(forcing_tangent, choices[1])
            + of_results(results_tangent, choices[2])
        )
        return results_tangent * is_below + bound_change * (one - is_below)

    return apply


@functools.cache
def activation_tangent(name: Activation, units: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of the activation ``relu`` or ``leaky_relu``, whose result has the sign of what it is applied to.

    Arguments: the activation's result; the change of what it is applied to.
    """
    zero = dtype(0.0)
    if name == "relu":

        @named_field_operator(f"relu_tangent_{units.value}", dtype)
        def rectify(result: columns(units, dtype), tangent: columns(units, dtype)) -> columns(units, dtype):
            return where(result > zero, tangent, zero)

        return rectify
    slope = dtype(LEAKY_RELU_SLOPE)

    @named_field_operator(f"leaky_relu_tangent_{units.value}", dtype)
    def rectify_leaky(result: columns(units, dtype), tangent: columns(units, dtype)) -> columns(units, dtype):
        return tangent * maximum(slope, astype(result > zero, dtype))

    return rectify_leaky


@functools.cache
def linear_tangent(
    sources: tuple[gtx.Dimension, ...], target: gtx.Dimension, kind: Activation, dtype: type
) -> FieldOperator:
    """weight @ changes of the inputs of a layer: the change before its activation (of any ``kind``)."""
    if len(sources) == len(INPUTS):
        return _linear_tangent_of_inputs(target, kind, dtype)
    if len(sources) == 2:
        return _linear_tangent_of_two(*sources, target, dtype)
    (source,) = sources
    product = contract(source, target, dtype)
    name = f"linear_tangent_{source.value}_to_{target.value}"
    if kind == "layer_norm_relu":

        @named_field_operator(name, dtype)
        def apply_normalised(
            tangent: columns(source, dtype), operands: normalised_type((source,), target, dtype)
        ) -> columns(target, dtype):
            return product(tangent, operands[0][0])

        return apply_normalised

    @named_field_operator(name, dtype)
    def apply(tangent: columns(source, dtype), operands: linear_type((source,), target, dtype)) -> columns(
        target, dtype
    ):
        return product(tangent, operands[0])

    return apply


@functools.cache
def _linear_tangent_of_two(
    first: gtx.Dimension, second: gtx.Dimension, target: gtx.Dimension, dtype: type
) -> FieldOperator:
    """weight @ concat(changes of both inputs)."""
    product_x = contract(first, target, dtype)
    product_y = contract(second, target, dtype)

    @named_field_operator(f"linear_tangent_of_two_to_{target.value}", dtype)
    def apply(
        x_tangent: columns(first, dtype),
        y_tangent: columns(second, dtype),
        operands: linear_type((first, second), target, dtype),
    ) -> columns(target, dtype):
        return product_x(x_tangent, operands[0][0]) + product_y(y_tangent, operands[0][1])

    return apply


@functools.cache
def _linear_tangent_of_inputs(target: gtx.Dimension, kind: Activation, dtype: type) -> FieldOperator:
    """weight @ concat(changes of static inputs, forcing and state)."""
    product_static = contract(StaticFeature, target, dtype)
    product_forcing = contract(ForcingFeature, target, dtype)
    product_state = contract(StateFeature, target, dtype)
    name = f"linear_tangent_of_inputs_to_{target.value}"
    if kind == "layer_norm_relu":

        @named_field_operator(name, dtype)
        def apply_normalised(
            static_tangent: columns(StaticFeature, dtype),
            forcing_tangent: columns(ForcingFeature, dtype),
            state_tangent: columns(StateFeature, dtype),
            operands: normalised_type(INPUTS, target, dtype),
        ) -> columns(target, dtype):
            return (
                product_static(static_tangent, operands[0][0][0])
                + product_forcing(forcing_tangent, operands[0][0][1])
                + product_state(state_tangent, operands[0][0][2])
            )

        return apply_normalised

    @named_field_operator(name, dtype)
    def apply(
        static_tangent: columns(StaticFeature, dtype),
        forcing_tangent: columns(ForcingFeature, dtype),
        state_tangent: columns(StateFeature, dtype),
        operands: linear_type(INPUTS, target, dtype),
    ) -> columns(target, dtype):
        return (
            product_static(static_tangent, operands[0][0])
            + product_forcing(forcing_tangent, operands[0][1])
            + product_state(state_tangent, operands[0][2])
        )

    return apply


@functools.cache
def added_linear_tangent(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> FieldOperator:
    """A change plus weight @ change, of `layers.completed_layer` before its activation."""
    product = contract(source, target, dtype)

    @named_field_operator(f"added_linear_tangent_{source.value}_to_{target.value}", dtype)
    def apply(
        part_tangent: columns(target, dtype), x_tangent: columns(source, dtype), weight: matrix(source, target, dtype)
    ) -> columns(target, dtype):
        return part_tangent + product(x_tangent, weight)

    return apply


@functools.cache
def increment_tangent(source: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of `layers.increment`: that of the state plus weight @ change."""
    product = contract(source, StateFeature, dtype)

    @named_field_operator(f"increment_tangent_by_{source.value}", dtype)
    def apply(
        state_tangent: columns(StateFeature, dtype),
        x_tangent: columns(source, dtype),
        operands: linear_type((source,), StateFeature, dtype),
    ) -> columns(StateFeature, dtype):
        return state_tangent + product(x_tangent, operands[0])

    return apply


@functools.cache
def unnormalised_layer(sources: tuple[gtx.Dimension, ...], target: gtx.Dimension, dtype: type) -> FieldOperator:
    """The linear part of a normalised layer, on one input or on all three."""
    if len(sources) == len(INPUTS):
        of_inputs = linear_of_inputs(target, dtype)

        @named_field_operator(f"unnormalised_input_layer_to_{target.value}", dtype)
        def apply_to_inputs(
            static_input: columns(StaticFeature, dtype),
            forcing_input: columns(ForcingFeature, dtype),
            state_input: columns(StateFeature, dtype),
            operands: normalised_type(INPUTS, target, dtype),
        ) -> columns(target, dtype):
            return of_inputs(static_input, forcing_input, state_input, operands[0])

        return apply_to_inputs
    (source,) = sources
    of_one = linear(source, target, dtype)

    @named_field_operator(f"unnormalised_layer_{source.value}_to_{target.value}", dtype)
    def apply(x: columns(source, dtype), operands: normalised_type((source,), target, dtype)) -> columns(target, dtype):
        return of_one(x, operands[0])

    return apply


@functools.cache
def inverse_deviation(sources: tuple[gtx.Dimension, ...], units: gtx.Dimension, dtype: type) -> FieldOperator:
    """1 / sqrt(var(x) + eps) of a layer whose mean over the units is zero, as in `dense.layer_norm_relu`."""
    one = dtype(1.0)
    epsilon = dtype(LAYER_NORM_EPSILON)
    mean = contract(units, Moment, dtype)

    @named_field_operator(f"inverse_deviation_{units.value}", dtype)
    def apply(x: columns(units, dtype), operands: normalised_type(sources, units, dtype)) -> columns(Moment, dtype):
        return one / sqrt(mean(x * x, operands[3]) + epsilon)

    return apply


@functools.cache
def normalised_relu(sources: tuple[gtx.Dimension, ...], units: gtx.Dimension, dtype: type) -> FieldOperator:
    """ReLU(x * inverse deviation * gain + offset), as in `dense.layer_norm_relu`."""
    zero = dtype(0.0)
    to_units = broadcast_offset(units)

    @named_field_operator(f"normalised_relu_{units.value}", dtype)
    def apply(
        x: columns(units, dtype),
        inverse: columns(Moment, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> columns(units, dtype):
        return maximum(zero, x * inverse(to_units[0]) * operands[1] + operands[2])

    return apply


@functools.cache
def normalised_relu_tangent(sources: tuple[gtx.Dimension, ...], units: gtx.Dimension, dtype: type) -> FieldOperator:
    """Change of the normalised ReLU: (dx - x * mean(x dx) / (var(x) + eps)) * inverse deviation * gain, where it is on.

    Both x and dx have mean zero, since the mean is taken out of the weights.

    Arguments: x; its change; the inverse deviation; the result of `normalised_relu`; the layer's operands.
    """
    zero = dtype(0.0)
    mean = contract(units, Moment, dtype)
    to_units = broadcast_offset(units)

    @named_field_operator(f"normalised_relu_tangent_{units.value}", dtype)
    def apply(
        x: columns(units, dtype),
        tangent: columns(units, dtype),
        inverse: columns(Moment, dtype),
        result: columns(units, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> columns(units, dtype):
        projection = mean(x * tangent, operands[3]) * inverse * inverse
        change = (tangent - x * projection(to_units[0])) * inverse(to_units[0]) * operands[1]
        return where(result > zero, change, zero)

    return apply
