"""The layers of the networks as field operators; `step` puts them together."""

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import StateFeature
from ailand_gt4py.stencils.fields import Dimensions, columns, contract, matrix
from ailand_gt4py.stencils.instances import FieldOperator, Function, Type, field_operators, written
from ailand_gt4py.stencils.network.activations import activation
from ailand_gt4py.stencils.network.shapes import ActivationName, layer_type, linear_type


def on_inputs(sources: Dimensions, operands: Type, dtype: type) -> dict[str, Type]:
    """The arguments of an operator of a layer: ``x0``, ``x1``, ... and ``operands``."""
    return {f"x{k}": columns(source, dtype) for k, source in enumerate(sources)} | {"operands": operands}


def sum_of_products(
    sources: Dimensions, target: gtx.Dimension, operands: str, dtype: type
) -> tuple[str, list[FieldOperator]]:
    """The sum of weight @ x for all inputs of a layer as an expression, and the operators that it calls.

    Args:
        operands: what those of the linear layer are called.
    """
    called = [contract(source, target, dtype) for source in sources]
    weights = [f"{operands}[0]" + (f"[{k}]" if len(sources) > 1 else "") for k in range(len(sources))]
    terms = (f"{product.__name__}(x{k}, {weights[k]})" for k, product in enumerate(called))
    return " + ".join(terms), called


@field_operators
def linear(sources: Dimensions, target: gtx.Dimension, dtype: type) -> Function:
    """weight @ concat(inputs) + bias, as a sum of one product for each input."""
    total, called = sum_of_products(sources, target, "operands", dtype)
    arguments = on_inputs(sources, linear_type(sources, target, dtype), dtype)
    return written(arguments, columns(target, dtype), f"{total} + operands[1]", called)


@field_operators
def activated_layer(sources: Dimensions, target: gtx.Dimension, kind: ActivationName, dtype: type) -> Function:
    """Linear, then its activation."""
    entry = activation(kind)
    assert entry.value is not None
    before, after = linear(sources, target, dtype), entry.value(target, dtype)
    *inputs, _ = arguments = on_inputs(sources, layer_type(sources, target, kind, dtype), dtype)
    normalised = "{0}({1}({2}, operands[0]), operands[1], operands[2], operands[3])"
    expression = normalised if entry.is_normalised else "{0}({1}({2}, operands))"
    expression = expression.format(after.__name__, before.__name__, ", ".join(inputs))
    return written(arguments, columns(target, dtype), expression, [before, after])


def layer(sources: Dimensions, target: gtx.Dimension, kind: ActivationName, dtype: type) -> FieldOperator:
    """One layer on one or more inputs."""
    is_linear = activation(kind).value is None
    return linear(sources, target, dtype) if is_linear else activated_layer(sources, target, kind, dtype)


@field_operators
def completed_layer(source: gtx.Dimension, target: gtx.Dimension, kind: ActivationName, dtype: type) -> Function:
    """A layer of which one part is known: that plus weight @ x, then its activation."""
    entry = activation(kind)
    assert entry.value is not None
    product, after = contract(source, target, dtype), entry.value(target, dtype)

    def apply(
        part: columns(target, dtype), x: columns(source, dtype), weight: matrix(source, target, dtype)
    ) -> columns(target, dtype):
        return after(part + product(x, weight))

    return apply


@field_operators
def increment(source: gtx.Dimension, dtype: type) -> Function:
    """The state plus a linear layer's output."""
    output = linear((source,), StateFeature, dtype)

    def apply(
        state: columns(StateFeature, dtype),
        x: columns(source, dtype),
        operands: linear_type((source,), StateFeature, dtype),
    ) -> columns(StateFeature, dtype):
        return state + output(x, operands)

    return apply
