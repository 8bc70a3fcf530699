"""Field operators of the step around the network: normalisation, state update, bounds."""

import functools

import gt4py.next as gtx
from gt4py.next import maximum, minimum

from ailand_gt4py.dimensions import Column
from ailand_gt4py.stencils.instances import FieldOperator, named_field_operator


@functools.cache
def normalise(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """(value - shift) / scale, each feature with its own (see `weights.model.Normalisation`)."""

    @named_field_operator(f"normalise_{feature.value}", dtype)
    def to_network_space(
        value: gtx.Field[[Column, feature], dtype],
        shift: gtx.Field[[feature], dtype],
        scale: gtx.Field[[feature], dtype],
    ) -> gtx.Field[[Column, feature], dtype]:
        return (value - shift) / scale

    return to_network_space


@functools.cache
def bound_and_denormalise(feature: gtx.Dimension, dtype: type) -> FieldOperator:
    """min(upper, max(lower, normalised)) * scale + shift: bounds act in normalised space, as in the prototype.

    The order of the arguments lets NaN pass in compiled code.
    """

    @named_field_operator(f"bound_and_denormalise_{feature.value}", dtype)
    def to_model_units(
        normalised: gtx.Field[[Column, feature], dtype],
        shift: gtx.Field[[feature], dtype],
        scale: gtx.Field[[feature], dtype],
        lower: gtx.Field[[feature], dtype],
        upper: gtx.Field[[feature], dtype],
    ) -> gtx.Field[[Column, feature], dtype]:
        return minimum(upper, maximum(lower, normalised)) * scale + shift

    return to_model_units
