"""The layers of the networks as field operators; `step` puts them together."""

import functools

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.network.dense import contract, layer_norm_relu, leaky_relu, relu
from ailand_gt4py.stencils.network.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.network.shapes import INPUTS, Activation, columns, linear_type, matrix, normalised_type


@functools.cache
def linear(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> FieldOperator:
    """weight @ x + bias."""
    product = contract(source, target, dtype)

    @named_field_operator(f"linear_{source.value}_to_{target.value}", dtype)
    def apply(x: columns(source, dtype), operands: linear_type((source,), target, dtype)) -> columns(target, dtype):
        return product(x, operands[0]) + operands[1]

    return apply


@functools.cache
def linear_of_two(first: gtx.Dimension, second: gtx.Dimension, target: gtx.Dimension, dtype: type) -> FieldOperator:
    """weight @ concat(x, y) + bias, as a sum of two products."""
    product_x = contract(first, target, dtype)
    product_y = contract(second, target, dtype)

    @named_field_operator(f"linear_of_two_to_{target.value}", dtype)
    def apply(
        x: columns(first, dtype), y: columns(second, dtype), operands: linear_type((first, second), target, dtype)
    ) -> columns(target, dtype):
        return product_x(x, operands[0][0]) + product_y(y, operands[0][1]) + operands[1]

    return apply


@functools.cache
def linear_of_inputs(target: gtx.Dimension, dtype: type) -> FieldOperator:
    """weight @ concat(static_input, forcing_input, state_input) + bias, as a sum of three products."""
    product_static = contract(StaticFeature, target, dtype)
    product_forcing = contract(ForcingFeature, target, dtype)
    product_state = contract(StateFeature, target, dtype)

    @named_field_operator(f"linear_of_inputs_to_{target.value}", dtype)
    def apply(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: linear_type(INPUTS, target, dtype),
    ) -> columns(target, dtype):
        return (
            product_static(static_input, operands[0][0])
            + product_forcing(forcing_input, operands[0][1])
            + product_state(state_input, operands[0][2])
            + operands[1]
        )

    return apply


@functools.cache
def activation(name: Activation, units: gtx.Dimension, dtype: type) -> FieldOperator:
    """The activation ``relu`` or ``leaky_relu`` on a layer's units."""
    return {"relu": relu, "leaky_relu": leaky_relu}[name](units, dtype)


@functools.cache
def layer(source: gtx.Dimension, target: gtx.Dimension, kind: Activation, dtype: type) -> FieldOperator:
    """One layer: linear, then its activation."""
    before = linear(source, target, dtype)
    if kind == "linear":
        return before
    name = f"layer_{source.value}_to_{target.value}"
    if kind == "layer_norm_relu":
        normalisation = layer_norm_relu(target, dtype)

        @named_field_operator(name, dtype)
        def apply_normalised(x: columns(source, dtype), operands: normalised_type((source,), target, dtype)) -> columns(
            target, dtype
        ):
            return normalisation(before(x, operands[0]), operands[1], operands[2], operands[3])

        return apply_normalised
    after = activation(kind, target, dtype)

    @named_field_operator(name, dtype)
    def apply(x: columns(source, dtype), operands: linear_type((source,), target, dtype)) -> columns(target, dtype):
        return after(before(x, operands))

    return apply


@functools.cache
def input_layer(target: gtx.Dimension, kind: Activation, dtype: type) -> FieldOperator:
    """The first layer, on static inputs, forcing and state."""
    before = linear_of_inputs(target, dtype)
    if kind == "linear":
        return before
    if kind == "layer_norm_relu":
        normalisation = layer_norm_relu(target, dtype)

        @named_field_operator(f"input_layer_to_{target.value}", dtype)
        def apply_normalised(
            static_input: columns(StaticFeature, dtype),
            forcing_input: columns(ForcingFeature, dtype),
            state_input: columns(StateFeature, dtype),
            operands: normalised_type(INPUTS, target, dtype),
        ) -> columns(target, dtype):
            return normalisation(
                before(static_input, forcing_input, state_input, operands[0]), operands[1], operands[2], operands[3]
            )

        return apply_normalised
    after = activation(kind, target, dtype)

    @named_field_operator(f"input_layer_to_{target.value}", dtype)
    def apply(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: linear_type(INPUTS, target, dtype),
    ) -> columns(target, dtype):
        return after(before(static_input, forcing_input, state_input, operands))

    return apply


@functools.cache
def pair_layer(
    first: gtx.Dimension, second: gtx.Dimension, target: gtx.Dimension, kind: Activation, dtype: type
) -> FieldOperator:
    """A layer on two inputs: linear, then its activation."""
    before = linear_of_two(first, second, target, dtype)
    after = activation(kind, target, dtype)

    @named_field_operator(f"pair_layer_to_{target.value}", dtype)
    def apply(
        x: columns(first, dtype), y: columns(second, dtype), operands: linear_type((first, second), target, dtype)
    ) -> columns(target, dtype):
        return after(before(x, y, operands))

    return apply


@functools.cache
def completed_layer(source: gtx.Dimension, target: gtx.Dimension, kind: Activation, dtype: type) -> FieldOperator:
    """A layer of which one part is known: that plus weight @ x, then its activation."""
    product = contract(source, target, dtype)
    after = activation(kind, target, dtype)

    @named_field_operator(f"completed_layer_to_{target.value}", dtype)
    def apply(
        part: columns(target, dtype), x: columns(source, dtype), weight: matrix(source, target, dtype)
    ) -> columns(target, dtype):
        return after(part + product(x, weight))

    return apply


@functools.cache
def increment(source: gtx.Dimension, dtype: type) -> FieldOperator:
    """The state plus a linear layer's output."""
    change = linear(source, StateFeature, dtype)

    @named_field_operator(f"increment_by_{source.value}", dtype)
    def apply(
        state_input: columns(StateFeature, dtype),
        x: columns(source, dtype),
        operands: linear_type((source,), StateFeature, dtype),
    ) -> columns(StateFeature, dtype):
        return state_input + change(x, operands)

    return apply
