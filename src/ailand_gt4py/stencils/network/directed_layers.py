"""Derivatives of the step's operators in several directions of a column at once; `jacobian` puts them together.

A direction is an input that changes, or a result whose gradient is taken. All directions of a column share its forward
values. Most operators serve both ways: that of an activation is diagonal, that of layer normalisation symmetric.

What ReLU switches off is set to zero by a condition instead of being multiplied by zero: products on it may then leave
it out (`ailand_gt4py.lowering.cpu.directed_code`).
"""

import functools

import gt4py.next as gtx
from gt4py.next import astype, maximum, minimum, neighbor_sum, where

from ailand_gt4py.core.constants import LEAKY_RELU_SLOPE
from ailand_gt4py.core.dimensions import ForcingFeature, Moment, StaticFeature, broadcast_offset, contraction
from ailand_gt4py.stencils.network.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import (
    Activation,
    Type,
    bounding_type,
    columns,
    directed,
    finishing_type,
    logarithmic_scaling_type,
    matrix,
    normalised_type,
    rows,
    vector,
)


def _values(direction: gtx.Dimension, feature: gtx.Dimension, of_columns: bool, dtype: type) -> Type:
    return (directed if of_columns else rows)(direction, feature, dtype)


def _name(what: str, direction: gtx.Dimension, feature: gtx.Dimension, of_columns: bool = True) -> str:
    return f"{what}_{direction.value}_{feature.value}{'' if of_columns else '_rows'}"


@functools.cache
def contract_directed(
    direction: gtx.Dimension, source: gtx.Dimension, target: gtx.Dimension, dtype: type
) -> FieldOperator:
    """``weight @ x`` for every direction of every column."""
    local = contraction(source, target).local
    offset = contraction(source, target).offset

    @named_field_operator(_name(f"contract_{source.value}_to", direction, target), dtype)
    def apply(x: directed(direction, source, dtype), weight: matrix(source, target, dtype)) -> directed(
        direction, target, dtype
    ):
        return neighbor_sum(weight * x(offset), axis=local)

    return apply


@functools.cache
def add_rows(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """A value plus what is the same in every column."""

    @named_field_operator(_name("add_rows", direction, feature), dtype)
    def apply(x: directed(direction, feature, dtype), same: rows(direction, feature, dtype)) -> directed(
        direction, feature, dtype
    ):
        return x + same

    return apply


@functools.cache
def add_directed(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """The sum of two."""

    @named_field_operator(_name("add", direction, feature), dtype)
    def apply(x: directed(direction, feature, dtype), y: directed(direction, feature, dtype)) -> directed(
        direction, feature, dtype
    ):
        return x + y

    return apply


@functools.cache
def switched(
    kind: Activation, direction: gtx.Dimension, units: gtx.Dimension, of_columns: bool, dtype: type
) -> FieldOperator:
    """The derivative of an activation ``relu`` or ``leaky_relu`` times a value, as in `tangent_layers`.

    Arguments: the activation's result; the value, of every column or the same in all.
    """
    zero = dtype(0.0)
    value = _values(direction, units, of_columns, dtype)
    name = _name(f"{kind}_switched", direction, units, of_columns)
    if kind == "leaky_relu":
        slope = dtype(LEAKY_RELU_SLOPE)

        @named_field_operator(name, dtype)
        def apply_leaky(result: columns(units, dtype), x: value) -> directed(direction, units, dtype):
            return x * maximum(slope, astype(result > zero, dtype))

        return apply_leaky

    @named_field_operator(name, dtype)
    def apply(result: columns(units, dtype), x: value) -> directed(direction, units, dtype):
        return where(result > zero, x, zero)

    return apply


@functools.cache
def switched_gain(
    sources: tuple[gtx.Dimension, ...], direction: gtx.Dimension, units: gtx.Dimension, of_columns: bool, dtype: type
) -> FieldOperator:
    """`switched` of the ReLU of a normalised layer, and its gain. Arguments: as of that; the layer's operands."""
    zero = dtype(0.0)

    @named_field_operator(_name("gain_switched", direction, units, of_columns), dtype)
    def apply(
        result: columns(units, dtype),
        x: _values(direction, units, of_columns, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> directed(direction, units, dtype):
        return where(result > zero, x * operands[1], zero)

    return apply


@functools.cache
def projection(
    sources: tuple[gtx.Dimension, ...], direction: gtx.Dimension, units: gtx.Dimension, of_columns: bool, dtype: type
) -> FieldOperator:
    """mean(x value) / (var(x) + eps): of a value what normalisation takes out along x.

    Arguments: x, a layer before its normalisation; the value; the inverse deviation; the layer's operands.
    """
    local = contraction(units, Moment).local
    offset = contraction(units, Moment).offset

    @named_field_operator(_name("projection", direction, units, of_columns), dtype)
    def apply(
        x: columns(units, dtype),
        value: _values(direction, units, of_columns, dtype),
        inverse: columns(Moment, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> directed(direction, Moment, dtype):
        product = x * value
        return neighbor_sum(operands[3] * product(offset), axis=local) * inverse * inverse

    return apply


@functools.cache
def projected(direction: gtx.Dimension, feature: gtx.Dimension, of_columns: bool, dtype: type) -> FieldOperator:
    """(value - x * projection) * inverse deviation: the normalisation's matrix times a value.

    Also its product with weights from the left, of the value's and of x's products with them.

    Arguments: x; the value; the projection; the inverse deviation.
    """
    to_features = broadcast_offset(feature)

    @named_field_operator(_name("projected", direction, feature, of_columns), dtype)
    def apply(
        x: columns(feature, dtype),
        value: _values(direction, feature, of_columns, dtype),
        along: directed(direction, Moment, dtype),
        inverse: columns(Moment, dtype),
    ) -> directed(direction, feature, dtype):
        return (value - x * along(to_features[0])) * inverse(to_features[0])

    return apply


@functools.cache
def finish_slope(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """The derivative of `pointwise.denormalise_and_bound`, NaN where the forward value is (see `tangent_layers`)."""

    @named_field_operator(f"finish_slope_{feature.value}", dtype)
    def apply(normalised: columns(feature, dtype), finishing: finishing_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        bounded = minimum(finishing[3], maximum(finishing[2], normalised * finishing[1] + finishing[0]))
        slope = astype(bounded > finishing[2], dtype) * astype(bounded < finishing[3], dtype)
        return finishing[1] * slope + (bounded - bounded)

    return apply


@functools.cache
def logarithm_slope(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """The derivative of `pointwise.normalise_logarithms` where a logarithm is taken, else 0."""

    @named_field_operator(f"logarithm_slope_{feature.value}", dtype)
    def apply(value: columns(feature, dtype), scaling: logarithmic_scaling_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        floored = maximum(scaling[4], value)
        return scaling[3] * astype(value > scaling[4], dtype) / floored / scaling[1]

    return apply


@functools.cache
def add_constants(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """A value of each feature of every column plus one that is the same in all columns."""

    @named_field_operator(f"add_constants_{feature.value}", dtype)
    def apply(x: columns(feature, dtype), same: vector(feature, dtype)) -> columns(feature, dtype):
        return x + same

    return apply


@functools.cache
def by_feature(
    direction: gtx.Dimension, feature: gtx.Dimension, of_columns: bool, dtype: type, value_of_columns: bool = True
) -> FieldOperator:
    """A value times a factor of each feature; each of both is of every column or the same in all."""
    what = "by_feature" if value_of_columns else "rows_by_feature"

    @named_field_operator(_name(what, direction, feature, of_columns), dtype)
    def apply(
        x: _values(direction, feature, value_of_columns, dtype),
        factor: columns(feature, dtype) if of_columns else vector(feature, dtype),
    ) -> directed(direction, feature, dtype):
        return x * factor

    return apply


@functools.cache
def by_direction(
    direction: gtx.Dimension, feature: gtx.Dimension, of_columns: bool, dtype: type, value_of_columns: bool = True
) -> FieldOperator:
    """A value times a factor of each direction; each of both is of every column or the same in all."""
    what = "by_direction" if value_of_columns else "rows_by_direction"

    @named_field_operator(_name(what, direction, feature, of_columns), dtype)
    def apply(
        x: _values(direction, feature, value_of_columns, dtype),
        factor: columns(direction, dtype) if of_columns else vector(direction, dtype),
    ) -> directed(direction, feature, dtype):
        return x * factor

    return apply


@functools.cache
def is_below_bound(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """1 where a result is below the bound that other variables are, else 0; arguments as of `bound_of_others`."""
    bound = bound_of_others(feature, dtype)

    @named_field_operator(f"is_below_bound_{feature.value}", dtype)
    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        return astype(results < bound(results, static_input, forcing_input, choices), dtype)

    return apply


@functools.cache
def bounded_by_results(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """`bounded_directed` where no input that is a bound changes; without its argument for those."""
    one = dtype(1.0)
    of_results = contract_directed(direction, feature, feature, dtype)

    @named_field_operator(_name("bounded_by_results", direction, feature), dtype)
    def apply(
        own: directed(direction, feature, dtype),
        is_below: columns(feature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> directed(direction, feature, dtype):
        return own * is_below + of_results(own, choices[2]) * (one - is_below)

    return apply


@functools.cache
def bounded_directed(direction: gtx.Dimension, feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Changes of results that other variables bound, as `tangent_layers.bound_tangent`.

    Arguments: changes of the results before that; where they are below their bounds; the changes of bounds that are
    inputs; the choices.
    """
    one = dtype(1.0)
    of_results = contract_directed(direction, feature, feature, dtype)

    @named_field_operator(_name("bounded", direction, feature), dtype)
    def apply(
        own: directed(direction, feature, dtype),
        is_below: columns(feature, dtype),
        of_inputs: rows(direction, feature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> directed(direction, feature, dtype):
        return own * is_below + (of_inputs + of_results(own, choices[2])) * (one - is_below)

    return apply
