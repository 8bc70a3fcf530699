"""Field operators of a layer: contraction with bias, activations, layer normalisation.

GT4Py has no matrix product. A dense layer is a reduction over a local dimension whose connectivity is complete
(`ailand_gt4py.core.dimensions.contraction`); on the DaCe backends `ailand_gt4py.lowering` turns it into a GEMM.

The operators come from factories because their dimensions and their type are the layer's own. Every factory gives the
same operator for the same arguments.
"""

import functools

import gt4py.next as gtx
from gt4py.next import maximum, neighbor_sum, sqrt

from ailand_gt4py.core.constants import LAYER_NORM_EPSILON, LEAKY_RELU_SLOPE
from ailand_gt4py.core.dimensions import Column, Moment, broadcast_offset, contraction
from ailand_gt4py.stencils.network.instances import FieldOperator, named_field_operator


@functools.cache
def contract(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> FieldOperator:
    """``weight @ x`` for every column: x (Column, source), weight (target, source) -> (Column, target)."""
    local = contraction(source, target).local
    offset = contraction(source, target).offset

    @named_field_operator(f"contract_{source.value}_to_{target.value}", dtype)
    def contract_features(
        x: gtx.Field[[Column, source], dtype], weight: gtx.Field[[target, local], dtype]
    ) -> gtx.Field[[Column, target], dtype]:
        return neighbor_sum(weight * x(offset), axis=local)

    return contract_features


@functools.cache
def relu(units: gtx.Dimension, dtype: type) -> FieldOperator:
    """max(0, x), in the order of arguments that lets NaN pass in compiled code."""
    zero = dtype(0.0)

    @named_field_operator(f"relu_{units.value}", dtype)
    def rectify(x: gtx.Field[[Column, units], dtype]) -> gtx.Field[[Column, units], dtype]:
        return maximum(zero, x)

    return rectify


@functools.cache
def leaky_relu(units: gtx.Dimension, dtype: type) -> FieldOperator:
    """x where x > 0, else 0.01 x: the larger of the two."""
    slope = dtype(LEAKY_RELU_SLOPE)

    @named_field_operator(f"leaky_relu_{units.value}", dtype)
    def rectify_leaky(x: gtx.Field[[Column, units], dtype]) -> gtx.Field[[Column, units], dtype]:
        return maximum(slope * x, x)

    return rectify_leaky


@functools.cache
def layer_norm_relu(units: gtx.Dimension, dtype: type) -> FieldOperator:
    """ReLU(x / sqrt(var(x) + eps) * gain + offset) of a layer whose mean over the units is zero.

    Ba et al. (2016), arXiv:1607.06450, with the biased variance as in PyTorch. The mean is taken out beforehand, at
    load time: ``weight - mean(weight, axis=0)`` and ``bias - mean(bias)`` give a layer output without mean
    (`ailand_gt4py.emulator.operands`).
    """
    zero = dtype(0.0)
    one = dtype(1.0)
    epsilon = dtype(LAYER_NORM_EPSILON)
    contract_moment = contract(units, Moment, dtype)
    local = contraction(units, Moment).local
    to_units = broadcast_offset(units)

    @named_field_operator(f"layer_norm_relu_{units.value}", dtype)
    def normalise_and_rectify(
        x: gtx.Field[[Column, units], dtype],
        gain: gtx.Field[[units], dtype],
        offset: gtx.Field[[units], dtype],
        averaging: gtx.Field[[Moment, local], dtype],
    ) -> gtx.Field[[Column, units], dtype]:
        variance = contract_moment(x * x, averaging)
        inverse_deviation = one / sqrt(variance + epsilon)
        normalised = x * inverse_deviation(to_units[0]) * gain + offset
        return maximum(zero, normalised)

    return normalise_and_rectify
