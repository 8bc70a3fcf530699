"""Types of fields, and the contraction over features: what the networks' operators and those of physics have in common.

GT4Py has no matrix product. A dense layer is a reduction over a local dimension whose connectivity is complete
(`ailand_gt4py.core.dimensions.contraction`); on the DaCe backends `ailand_gt4py.lowering` turns it into a GEMM.
"""

import gt4py.next as gtx
from gt4py.next import neighbor_sum

from ailand_gt4py.core.dimensions import Axes, Column, contraction, field_dimensions
from ailand_gt4py.stencils.instances import Function, Type, field_operators

Dimensions = tuple[gtx.Dimension, ...]


def matrix(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> Type:
    """Type of the weights of a contraction."""
    return gtx.Field[[target, contraction(source, target).local], dtype]


def vector(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of one number for each feature."""
    return gtx.Field[[feature], dtype]


def columns(feature: gtx.Dimension, dtype: type) -> Type:
    """Type of the features of all columns."""
    return gtx.Field[[Column, feature], dtype]


def over_columns(axes: Axes, dtype: type) -> Type:
    """Type of a field over columns and these."""
    return gtx.Field[list(field_dimensions(axes)), dtype]


def field(axes: Dimensions, dtype: type) -> Type:
    """Type of a field over these dimensions, in GT4Py's order."""
    return gtx.Field[list(axes), dtype]


@field_operators
def contract(source: gtx.Dimension, target: gtx.Dimension, dtype: type) -> Function:
    """``weight @ x`` for every column: x (Column, source), weight (target, source) -> (Column, target)."""
    local, offset = contraction(source, target).local, contraction(source, target).offset

    def apply(x: columns(source, dtype), weight: matrix(source, target, dtype)) -> columns(target, dtype):
        return neighbor_sum(weight * x(offset), axis=local)

    return apply
