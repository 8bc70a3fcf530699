"""The SDFG node that stands for a lifted dense layer until `read_program` takes it up."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import dace
import dace.library
from dace.sdfg import nodes
from dace.transformation.transformation import ExpandTransformation

#: GT4Py's DaCe lowering calls the table of an offset so, and then the offset's name.
TABLE_PREFIX = "gt_conn_"

X, WEIGHT, RESULT = "_x", "_weight", "_result"


@dace.library.node
class DenseContraction(nodes.LibraryNode):
    """result (columns, outputs) = x (columns, inputs) weight (outputs, inputs)^T."""

    implementations: ClassVar[dict[str, type[ExpandTransformation]]] = {}
    default_implementation: ClassVar[str | None] = None

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        super().__init__(name, *arguments, inputs={X, WEIGHT}, outputs={RESULT}, **keywords)

    def validate(self, sdfg: dace.SDFG, state: dace.SDFGState) -> None:
        """Raises ValueError where types differ or are no real numbers."""
        memlets = {edge.dst_conn: edge.data for edge in state.in_edges(self)}
        memlets[RESULT] = next(edge.data for edge in state.out_edges(self) if edge.src_conn == RESULT)
        types = {name: sdfg.arrays[memlets[name].data].dtype for name in (X, WEIGHT, RESULT)}
        for name, found in types.items():
            if found != types[RESULT] or found not in (dace.float32, dace.float64):
                raise ValueError(
                    f"contraction '{self.label}': operand {name} is of type {found}, "
                    f"expected float32 or float64 and the result's type {types[RESULT]}"
                )


def add_contraction(
    state: dace.SDFGState,
    name: str,
    operands: tuple[tuple[nodes.AccessNode, dace.Memlet], tuple[nodes.AccessNode, dace.Memlet]],
    result: tuple[nodes.AccessNode, dace.Memlet],
) -> DenseContraction:
    """Add the node to a state and connect it: operands are (x, weight), each with what is read of it."""
    node = DenseContraction(name)
    state.add_node(node)
    for connector, (access, memlet) in zip((X, WEIGHT), operands, strict=True):
        state.add_edge(access, None, node, connector, copy.deepcopy(memlet))
    state.add_edge(node, RESULT, result[0], None, copy.deepcopy(result[1]))
    return node
