"""The networks as field operators, and the operator of one step.

A network is put together from the operators of `dense` for its architecture and depth, so that the whole step, from
inputs in model units to the new state and the diagnostics in model units, is one field operator. `shapes` describes
the operands.
"""

import functools

import gt4py.next as gtx

from ailand_gt4py.dimensions import DiagnosticFeature, ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.stencils.dense import contract, layer_norm_relu, leaky_relu, relu
from ailand_gt4py.stencils.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.pointwise import bound_and_denormalise, normalise
from ailand_gt4py.stencils.shapes import (
    INPUTS,
    Activation,
    Layers,
    NetworkShape,
    columns,
    linear_type,
    network_type,
    normalised_type,
    stack_type,
    vector,
)


@functools.cache
def linear(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> FieldOperator:
    """weight @ x + bias."""
    product = contract(source, target, dtype)

    @named_field_operator(f"linear_{source.value}_to_{target.value}", dtype)
    def apply(
        x: columns(source, dtype), operands: linear_type((source,), target, dtype)
    ) -> columns(target, dtype):
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
        def apply_normalised(
            x: columns(source, dtype), operands: normalised_type((source,), target, dtype)
        ) -> columns(target, dtype):
            return normalisation(before(x, operands[0]), operands[1], operands[2], operands[3])

        return apply_normalised
    after = activation(kind, target, dtype)

    @named_field_operator(name, dtype)
    def apply(x: columns(source, dtype), operands: linear_type((source,), target, dtype)) -> columns(target, dtype):
        return after(before(x, operands))

    return apply


@functools.cache
def input_layer(target: gtx.Dimension, kind: Activation, dtype: type) -> FieldOperator:
    """The first layer, on static_input, forcing and state."""
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
            return normalisation(before(static_input, forcing_input, state_input, operands[0]), operands[1], operands[2], operands[3])

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
def stack(source: gtx.Dimension, layers: Layers, dtype: type) -> FieldOperator:
    """Consecutive layers on one input."""
    target, kind = layers[-1]
    if len(layers) == 1:
        return layer(source, target, kind, dtype)
    inner = stack(source, layers[:-1], dtype)
    outer = layer(layers[-2][0], target, kind, dtype)

    @named_field_operator(f"stack_{source.value}_to_{target.value}", dtype)
    def apply(x: columns(source, dtype), operands: stack_type((source,), layers, dtype)) -> columns(target, dtype):
        return outer(inner(x, operands[0]), operands[1])

    return apply


@functools.cache
def input_stack(layers: Layers, dtype: type) -> FieldOperator:
    """Consecutive layers on static_input, forcing and state."""
    target, kind = layers[-1]
    if len(layers) == 1:
        return input_layer(target, kind, dtype)
    inner = input_stack(layers[:-1], dtype)
    outer = layer(layers[-2][0], target, kind, dtype)

    @named_field_operator(f"input_stack_to_{target.value}", dtype)
    def apply(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: stack_type(INPUTS, layers, dtype),
    ) -> columns(target, dtype):
        return outer(inner(static_input, forcing_input, state_input, operands[0]), operands[1])

    return apply


def simple(shape: NetworkShape, dtype: type) -> FieldOperator:
    """Shape ``simple``: one trunk, two linear heads, the state gets an increment."""
    trunk = input_stack(shape.layers["trunk"], dtype)
    hidden = shape.layers["trunk"][-1][0]
    prognostic = stack(hidden, shape.layers["prognostic"], dtype)
    diagnostic = stack(hidden, shape.layers["diagnostic"], dtype)

    @named_field_operator("simple_network", dtype)
    def network(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: network_type(shape, dtype),
    ) -> tuple[columns(StateFeature, dtype), columns(DiagnosticFeature, dtype)]:
        units = trunk(static_input, forcing_input, state_input, operands[0])
        return state_input + prognostic(units, operands[1]), diagnostic(units, operands[2])

    return network


def two_branch(shape: NetworkShape, dtype: type) -> FieldOperator:
    """Shape ``two_branch``: static and dynamic inputs have a branch each, then are combined."""
    static_units, dynamic_units, combined = (shape.layers[block][0][0] for block in ("static", "dynamic", "combine"))
    static_branch = layer(StaticFeature, static_units, "relu", dtype)
    dynamic_linear = linear_of_two(ForcingFeature, StateFeature, dynamic_units, dtype)
    dynamic_relu = relu(dynamic_units, dtype)
    combine_linear = linear_of_two(static_units, dynamic_units, combined, dtype)
    combine_relu = leaky_relu(combined, dtype)
    prognostic = stack(combined, shape.layers["prognostic"], dtype)
    diagnostic = stack(combined, shape.layers["diagnostic"], dtype)

    @named_field_operator("two_branch_network", dtype)
    def network(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: network_type(shape, dtype),
    ) -> tuple[columns(StateFeature, dtype), columns(DiagnosticFeature, dtype)]:
        of_static = static_branch(static_input, operands[0])
        of_dynamic = dynamic_relu(dynamic_linear(forcing_input, state_input, operands[1]))
        units = combine_relu(combine_linear(of_static, of_dynamic, operands[2]))
        return state_input + prognostic(units, operands[3]), diagnostic(units, operands[4])

    return network


def layer_norm(shape: NetworkShape, dtype: type) -> FieldOperator:
    """Shape ``layer_norm``: the diagnostic block sees the new state before its bounds."""
    trunk = input_stack(shape.layers["trunk"], dtype)
    prognostic = stack(shape.layers["trunk"][-1][0], shape.layers["prognostic"], dtype)
    diagnostic = input_stack(shape.layers["diagnostic"], dtype)

    @named_field_operator("layer_norm_network", dtype)
    def network(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        operands: network_type(shape, dtype),
    ) -> tuple[columns(StateFeature, dtype), columns(DiagnosticFeature, dtype)]:
        new_state = state_input + prognostic(trunk(static_input, forcing_input, state_input, operands[0]), operands[1])
        return new_state, diagnostic(static_input, forcing_input, new_state, operands[2])

    return network


@functools.cache
def step_operator(shape: NetworkShape, dtype: type) -> FieldOperator:
    """The operator of one step: inputs, state and results in model units.

    Its arguments: static_input, forcing_input, state; the (shift, scale) of each of the three; the (shift, scale, lower bound,
    upper bound) of new state and of diagnostics, bounds in normalised space; the network's operands. It gives the new
    state and the diagnostics.
    """
    network = {"simple": simple, "two_branch": two_branch, "layer_norm": layer_norm}[shape.architecture](shape, dtype)
    normalise_static = normalise(StaticFeature, dtype)
    normalise_forcing = normalise(ForcingFeature, dtype)
    normalise_state = normalise(StateFeature, dtype)
    finish_state = bound_and_denormalise(StateFeature, dtype)
    finish_diagnostics = bound_and_denormalise(DiagnosticFeature, dtype)
    scaling = tuple[
        tuple[vector(StaticFeature, dtype), vector(StaticFeature, dtype)],
        tuple[vector(ForcingFeature, dtype), vector(ForcingFeature, dtype)],
        tuple[vector(StateFeature, dtype), vector(StateFeature, dtype)],
    ]
    finishing = tuple[
        tuple[tuple(vector(StateFeature, dtype) for _ in range(4))],
        tuple[tuple(vector(DiagnosticFeature, dtype) for _ in range(4))],
    ]

    @named_field_operator(f"{shape.architecture}_step", dtype)
    def step(
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        state_input: columns(StateFeature, dtype),
        scales: scaling,
        finish: finishing,
        operands: network_type(shape, dtype),
    ) -> tuple[columns(StateFeature, dtype), columns(DiagnosticFeature, dtype)]:
        results = network(
            normalise_static(static_input, scales[0][0], scales[0][1]),
            normalise_forcing(forcing_input, scales[1][0], scales[1][1]),
            normalise_state(state_input, scales[2][0], scales[2][1]),
            operands,
        )
        new_state = finish_state(results[0], finish[0][0], finish[0][1], finish[0][2], finish[0][3])
        diagnostics = finish_diagnostics(results[1], finish[1][0], finish[1][1], finish[1][2], finish[1][3])
        return new_state, diagnostics

    return step
