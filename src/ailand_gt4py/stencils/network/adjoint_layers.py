"""The adjoints of the step's operators, by hand; `adjoint` puts them together.

Each takes the adjoint of what an operator of `layers` or `pointwise` gives (arguments that end in ``_adjoint``) and
gives that of what it reads. Operators that act on each value by itself are their own adjoints and stand in
`tangent_layers`: normalisation, the bounds of a variable. The adjoint of a matrix product is `fields.contract` with the
transposed weights; those of activations are in `activations`.
"""

import gt4py.next as gtx
from gt4py.next import astype

from ailand_gt4py.core.dimensions import ForcingFeature, StaticFeature
from ailand_gt4py.stencils.fields import columns, contract, matrix
from ailand_gt4py.stencils.instances import Function, field_operators
from ailand_gt4py.stencils.network.pointwise import bound_of_others
from ailand_gt4py.stencils.network.shapes import bounding_type


@field_operators
def bounds_adjoint(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.bound_by_others`, the adjoint of the bounds: 0 where a result is below its bound.

    Arguments: as of that; the adjoint of the results; the choices.
    """
    one = dtype(1.0)
    bound = bound_of_others(feature, dtype)

    def apply(
        results: columns(feature, dtype),
        static_input: columns(StaticFeature, dtype),
        forcing_input: columns(ForcingFeature, dtype),
        results_adjoint: columns(feature, dtype),
        choices: bounding_type(feature, dtype),
    ) -> columns(feature, dtype):
        is_below = astype(results < bound(results, static_input, forcing_input, choices), dtype)
        return results_adjoint * (one - is_below)

    return apply


@field_operators
def unbounded_adjoint(feature: gtx.Dimension, dtype: type) -> Function:
    """Of `pointwise.bound_by_others`, the adjoint of the results before their bounds.

    Arguments: the adjoint of the results; that of their bounds, which is part of it; the choice of results as bounds,
    transposed.
    """
    to_results = contract(feature, feature, dtype)

    def apply(
        results_adjoint: columns(feature, dtype),
        bounds_adjoint: columns(feature, dtype),
        choice: matrix(feature, feature, dtype),
    ) -> columns(feature, dtype):
        return results_adjoint - bounds_adjoint + to_results(bounds_adjoint, choice)

    return apply
