"""Field operators of the step around the network: normalisation, state update, bounds."""

import gt4py.next as gtx
from gt4py.next import astype, log, maximum, minimum

from ailand_gt4py.core.dimensions import ForcingFeature, StaticFeature
from ailand_gt4py.stencils.fields import columns, contract
from ailand_gt4py.stencils.instances import Function, field_operators
from ailand_gt4py.stencils.network.shapes import bounding_type, finishing_type, logarithmic_scaling_type, scaling_type


@field_operators
def normalise(feature: gtx.Dimension, dtype: type) -> Function:
    """(value - shift) / scale; operands (shift, scale) of each feature (see `weights.model.Normalisation`)."""

    def apply(value: columns(feature, dtype), scaling: scaling_type(feature, dtype)) -> columns(feature, dtype):
        return (value - scaling[0]) / scaling[1]

    return apply


@field_operators
def denormalise(feature: gtx.Dimension, dtype: type) -> Function:
    """value * scale + shift: the inverse of `normalise`."""

    def apply(value: columns(feature, dtype), scaling: scaling_type(feature, dtype)) -> columns(feature, dtype):
        return value * scaling[1] + scaling[0]

    return apply


@field_operators
def normalise_logarithms(feature: gtx.Dimension, dtype: type) -> Function:
    """`normalise`, of log(max(floor, value)) for some features.

    Operands (shift, scale, share of the value, share of its logarithm, floor) of each feature; shares are 0 and 1.
    """

    def apply(value: columns(feature, dtype), scaling: logarithmic_scaling_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        chosen = scaling[2] * value + scaling[3] * log(maximum(scaling[4], value))
        return (chosen - scaling[0]) / scaling[1]

    return apply


@field_operators
def denormalise_and_bound(feature: gtx.Dimension, dtype: type) -> Function:
    """min(upper, max(lower, normalised * scale + shift)); operands (shift, scale, lower, upper).

    The prototype clips in normalised space, which is the same but for rounding; in model units a soil without water
    has exactly none, and no negative amount of 1e-9. The order of the arguments lets NaN pass in compiled code.
    """

    def apply(normalised: columns(feature, dtype), finishing: finishing_type(feature, dtype)) -> columns(
        feature, dtype
    ):
        return minimum(finishing[3], maximum(finishing[2], normalised * finishing[1] + finishing[0]))

    return apply


@field_operators
def bound_of_others(feature: gtx.Dimension, dtype: type) -> Function:
    """The upper bound that other variables of a column are to its results, infinite where none is.

    Arguments: results, static inputs and forcing in model units; the choice of some of these (`shapes.bounding_type`),
    by matrix products, since GT4Py cannot index one feature by another. A product with 1 and zeros is exact.
    """
    of_static = contract(StaticFeature, feature, dtype)
    of_forcing = contract(ForcingFeature, feature, dtype)
    of_results = contract(feature, feature, dtype)

    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        return (
            of_static(static_input, choices[0])
            + of_forcing(forcing_input, choices[1])
            + of_results(results, choices[2])
            + choices[3]
        )

    return apply


@field_operators
def bound_by_others(feature: gtx.Dimension, dtype: type) -> Function:
    """min(bound of others, result); arguments as of `bound_of_others`."""
    bound = bound_of_others(feature, dtype)

    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        return minimum(bound(results, static_input, forcing_input, choices), results)

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
