"""Dimensions of the field operators.

``Column`` is the horizontal dimension: one land column each, independent of all others. Every list of features
(input variables, a layer's units, output variables) is a dimension of its own, so that a contraction from one to
another is written as a reduction over a complete local connectivity (see `contraction`).
"""

import dataclasses
import functools
from typing import Any, TypeAlias

import gt4py.next as gtx
import numpy as np

Column = gtx.Dimension("Column")
StaticFeature = gtx.Dimension("StaticFeature")
ForcingFeature = gtx.Dimension("ForcingFeature")
StateFeature = gtx.Dimension("StateFeature")
DiagnosticFeature = gtx.Dimension("DiagnosticFeature")
#: Statistics of a layer over its units (layer normalisation). Two alike, since the DaCe lowering of GT4Py drops
#: dimensions of size one and then cannot index them.
Moment = gtx.Dimension("Moment")
N_MOMENTS = 2
#: Directions of derivatives, several for each column: inputs that are perturbed, and results whose adjoint is taken.
#: GT4Py sorts the dimensions of a field by their names, and these have to come between the column's and the features'.
Change = gtx.Dimension("ColumnChange")
StateRow = gtx.Dimension("ColumnStateRow")
DiagnosticRow = gtx.Dimension("ColumnDiagnosticRow")
DIRECTIONS = (Change, StateRow, DiagnosticRow)
#: Those inputs, and those results, that a Jacobian is asked for.
InputFeature = gtx.Dimension("InputFeature")
ResultFeature = gtx.Dimension("ResultFeature")

#: What a field over columns has beside them: features, or several directions of features.
Axes: TypeAlias = gtx.Dimension | tuple[gtx.Dimension, gtx.Dimension]


def field_dimensions(axes: Axes) -> tuple[gtx.Dimension, ...]:
    """The dimensions of a field over columns."""
    return (Column, *axes) if isinstance(axes, tuple) else (Column, axes)


@functools.cache
def unit_dimension(layer: str) -> gtx.Dimension:
    """Dimension of the units (neurons) of the layer of a name, letters and digits; the same one every time."""
    return gtx.Dimension(f"Units_{layer}")


@dataclasses.dataclass(frozen=True)
class Contraction:
    """The dimensions and the offset of a dense layer from ``source`` to ``target``.

    ``neighbor_sum(weight * x(offset), axis=local)`` with x (Column, source) and weight (target, local) is
    weight @ x for every column, because row i of the connectivity table is 0 .. n_source - 1 for every i.
    """

    source: gtx.Dimension
    target: gtx.Dimension
    local: gtx.Dimension
    offset: gtx.FieldOffset

    @property
    def name(self) -> str:
        """Key in the offset provider."""
        return str(self.offset.value)

    def connectivity(self, n_source: int, n_target: int, allocator: object = None) -> gtx.Connectivity:
        """The complete table (n_target, n_source): every row is 0 .. n_source - 1."""
        table = np.ascontiguousarray(np.broadcast_to(np.arange(n_source, dtype=np.int32), (n_target, n_source)))
        return gtx.as_connectivity([self.target, self.local], self.source, table, allocator=allocator)


@functools.cache
def contraction(source: gtx.Dimension, target: gtx.Dimension) -> Contraction:
    """Dimensions and offset of the dense layer from ``source`` to ``target``; the same object every time."""
    name = f"{source.value}_to_{target.value}"
    local = gtx.Dimension(name, kind=gtx.DimensionKind.LOCAL)
    return Contraction(source, target, local, gtx.FieldOffset(name, source=source, target=(target, local)))


@functools.cache
def broadcast_offset(units: gtx.Dimension) -> gtx.FieldOffset:
    """Offset that gives every unit one of the (equal) statistics: ``statistic(offset[0])`` is (Column, units)."""
    name = f"Moment_to_{units.value}"
    return gtx.FieldOffset(name, source=Moment, target=(units, gtx.Dimension(name, kind=gtx.DimensionKind.LOCAL)))


def broadcast_connectivity(units: gtx.Dimension, n_units: int, allocator: object = None) -> gtx.Connectivity:
    """The table (n_units, 2) of `broadcast_offset`; both statistics are used, for the reason given at `Moment`."""
    offset = broadcast_offset(units)
    table = np.add.outer(np.arange(n_units), np.arange(N_MOMENTS)).astype(np.int32) % N_MOMENTS
    return gtx.as_connectivity(list(offset.target), Moment, table, allocator=allocator)


#: Outputs of a land component.
OutputFeature = gtx.Dimension("OutputFeature")
#: A position in the memory of a host's horizontal fields, whatever the host calls its dimensions.
HostPoint = gtx.Dimension("HostPoint")
#: Where a land column is in a host's field: ``host(LandPoint[0])`` is a field over columns.
LandPoint = gtx.FieldOffset(
    "LandPoint", source=HostPoint, target=(Column, gtx.Dimension("LandPoint", kind=gtx.DimensionKind.LOCAL))
)
#: Which land column is at a host's point: ``column(LandColumn[0])`` is a field over host points.
LandColumn = gtx.FieldOffset(
    "LandColumn", source=Column, target=(HostPoint, gtx.Dimension("LandColumn", kind=gtx.DimensionKind.LOCAL))
)


def point_connectivity(offset: gtx.FieldOffset, positions: Any, xp: Any) -> gtx.Connectivity:
    """The connectivity of `LandPoint` or `LandColumn`; positions (n,): integers on the device of ``xp``."""
    # Two columns, both alike, for the reason given at `Moment`.
    table = xp.stack([positions, positions], axis=1).astype(xp.int32)
    return gtx.as_connectivity(list(offset.target), offset.source, table, allocator=xp)
