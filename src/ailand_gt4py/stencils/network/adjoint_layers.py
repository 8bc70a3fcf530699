"""The adjoints of the step's operators, by hand; `adjoint` puts them together.

Each takes the gradient with respect to what an operator of `layers` or `pointwise` gives (arguments that end in
``_gradient``) and gives that with respect to what it reads. Operators that change each number by itself are their own
adjoints and stand in `tangent_layers`: normalisation, LeakyReLU, the bounds of a variable. The adjoint of a matrix
product is `dense.contract` with the transposed weights.
"""

import functools

import gt4py.next as gtx
from gt4py.next import astype

from ailand_gt4py.core.dimensions import ForcingFeature, Moment, StaticFeature, broadcast_offset
from ailand_gt4py.stencils.network.dense import contract
from ailand_gt4py.stencils.network.instances import FieldOperator, named_field_operator
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import bounding_type, columns, matrix, normalised_type


@functools.cache
def add_gradients(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """The gradient with respect to what is read twice: the sum of both."""

    @named_field_operator(f"add_gradients_{feature.value}", dtype)
    def apply(one_gradient: columns(feature, dtype), other_gradient: columns(feature, dtype)) -> columns(
        feature, dtype
    ):
        return one_gradient + other_gradient

    return apply


@functools.cache
def relu_adjoint(units: gtx.Dimension, dtype: type) -> FieldOperator:
    """Adjoint of ReLU, a product: a gradient that is NaN passes where the unit is off, too.

    A column whose forward values are NaN has no unit that is on, and yet its gradients shall be NaN.

    Arguments: the result of ReLU; the gradient with respect to it.
    """
    zero = dtype(0.0)

    @named_field_operator(f"relu_adjoint_{units.value}", dtype)
    def apply(result: columns(units, dtype), result_gradient: columns(units, dtype)) -> columns(units, dtype):
        return result_gradient * astype(result > zero, dtype)

    return apply


@functools.cache
def normalised_relu_adjoint(sources: tuple[gtx.Dimension, ...], units: gtx.Dimension, dtype: type) -> FieldOperator:
    """Adjoint of the normalised ReLU: (g - x * mean(x g) / (var(x) + eps)) * inverse deviation.

    g is the gradient times the gain where the ReLU is on, else 0. The matrix of the normalisation itself is symmetric.
    That the mean over the units is taken out as well is in the weights (`ailand_gt4py.emulator.operands`),
    transposed or not.

    Arguments: x, whose mean is zero; the gradient; the inverse deviation; the result of `normalised_relu`; the layer's
    operands.
    """
    zero = dtype(0.0)
    mean = contract(units, Moment, dtype)
    to_units = broadcast_offset(units)

    @named_field_operator(f"normalised_relu_adjoint_{units.value}", dtype)
    def apply(
        x: columns(units, dtype),
        result_gradient: columns(units, dtype),
        inverse: columns(Moment, dtype),
        result: columns(units, dtype),
        operands: normalised_type(sources, units, dtype),
    ) -> columns(units, dtype):
        gradient = result_gradient * operands[1] * astype(result > zero, dtype)
        projection = mean(x * gradient, operands[3]) * inverse * inverse
        return (gradient - x * projection(to_units[0])) * inverse(to_units[0])

    return apply


@functools.cache
def bound_gradient(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Of `pointwise.bound_by_others`, the gradient with respect to the bounds: 0 where a result is below its bound.

    Arguments: as of that; the gradient with respect to the results; the choices.
    """
    one = dtype(1.0)
    bound = bound_of_others(feature, dtype)

    @named_field_operator(f"bound_gradient_{feature.value}", dtype)
    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        results_gradient: columns(feature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        is_below = astype(results < bound(results, static_input, forcing_input, choices), dtype)
        return results_gradient * (one - is_below)

    return apply


@functools.cache
def own_gradient(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """Of `pointwise.bound_by_others`, the gradient with respect to the results before their bounds.

    Arguments: the gradient with respect to the results; that with respect to their bounds, which is part of it; the
    choice of results as bounds, transposed.
    """
    to_results = contract(feature, feature, dtype)

    @named_field_operator(f"own_gradient_{feature.value}", dtype)
    def apply(
        results_gradient: columns(feature, dtype),
        bounds_gradient: columns(feature, dtype),
        choice: matrix(feature, feature, dtype),
    ) -> columns(feature, dtype):
        return results_gradient - bounds_gradient + to_results(bounds_gradient, choice)

    return apply
