"""The SDFG node that stands for a lifted dense layer, and its expansion to a cuBLAS call."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import dace
import dace.library
from dace.sdfg import nodes
from dace.symbolic import symstr
from dace.transformation.transformation import ExpandTransformation

from ailand_gt4py.lowering import cublas

X, WEIGHT, RESULT = "_x", "_weight", "_result"

_CUBLAS_FUNCTIONS = {dace.float32: "cublasSgemm", dace.float64: "cublasDgemm"}


class _Operands:
    """Extents, strides and type of a node's arrays, as C expressions."""

    def __init__(self, node: DenseContraction, state: dace.SDFGState, sdfg: dace.SDFG) -> None:
        memlets = {edge.dst_conn: edge.data for edge in state.in_edges(node)}
        memlets[RESULT] = next(edge.data for edge in state.out_edges(node) if edge.src_conn == RESULT)
        descriptors = {name: sdfg.arrays[memlets[name].data] for name in (X, WEIGHT, RESULT)}
        self.dtype = descriptors[RESULT].dtype
        for name, descriptor in descriptors.items():
            if descriptor.dtype != self.dtype or self.dtype not in _CUBLAS_FUNCTIONS:
                raise ValueError(
                    f"contraction '{node.label}': operand {name} is of type {descriptor.dtype}, "
                    f"expected float32 or float64 and the result's type {self.dtype}"
                )
        columns, outputs = memlets[RESULT].subset.size()
        self.columns = symstr(columns, cpp_mode=True)
        self.outputs = symstr(outputs, cpp_mode=True)
        self.inputs = symstr(memlets[WEIGHT].subset.size()[1], cpp_mode=True)
        self.strides = {
            name: tuple(symstr(stride, cpp_mode=True) for stride in descriptor.strides)
            for name, descriptor in descriptors.items()
        }

    @property
    def c_type(self) -> str:
        return str(self.dtype.ctype)


def _tasklet(node: DenseContraction, operands: _Operands, code: str, **keywords: Any) -> nodes.Tasklet:
    pointer = dace.pointer(operands.dtype)
    return nodes.Tasklet(
        node.label,
        {X: pointer, WEIGHT: pointer},
        {RESULT: pointer},
        code,
        language=dace.Language.CPP,
        **keywords,
    )


@dace.library.expansion
class ExpandToCublas(ExpandTransformation):
    """One ``cublas?gemm`` call on the program's stream."""

    environments: ClassVar[list] = [cublas.CuBlas]

    @staticmethod
    def expansion(node: DenseContraction, state: dace.SDFGState, sdfg: dace.SDFG) -> nodes.Tasklet:
        """Each matrix needs one unit stride, found out at run time.

        cuBLAS is column-major, so a row-major result is computed as its transpose.

        For a single column, or a single output, both strides of a matrix may be 1: the leading dimension is then not
        the other stride, but at least the extent.
        """
        operands = _Operands(node, state, sdfg)
        function = _CUBLAS_FUNCTIONS[operands.dtype]
        (x_row, x_column), (w_row, w_column), (y_row, y_column) = (
            operands.strides[name] for name in (X, WEIGHT, RESULT)
        )
        code = f"""
const long long columns = {operands.columns}, outputs = {operands.outputs}, inputs = {operands.inputs};
const long long x_strides[2] = {{{x_row}, {x_column}}}, w_strides[2] = {{{w_row}, {w_column}}};
const long long y_strides[2] = {{{y_row}, {y_column}}};
const {operands.c_type} one = 1, zero = 0;
const auto leading = [](const long long* strides, bool rows_first, long long rows, long long entries) {{
    return (int)(rows_first ? std::max<long long>(strides[0], entries) : std::max<long long>(strides[1], rows));
}};
const bool x_rows = x_strides[1] == 1, w_rows = w_strides[1] == 1, y_rows = y_strides[1] == 1;
const bool usable = (x_rows || x_strides[0] == 1) && (w_rows || w_strides[0] == 1) && (y_rows || y_strides[0] == 1);
const int x_leading = leading(x_strides, x_rows, columns, inputs);
const int w_leading = leading(w_strides, w_rows, outputs, inputs);
const int y_leading = leading(y_strides, y_rows, columns, outputs);
cublasHandle_t handle = __state->ailand_cublas;
cublasStatus_t status = usable ? cublasSetStream(handle, __dace_current_stream) : CUBLAS_STATUS_INVALID_VALUE;
if (status == CUBLAS_STATUS_SUCCESS && columns > 0) {{
    if (y_rows)
        status = {function}(handle, w_rows ? CUBLAS_OP_T : CUBLAS_OP_N, x_rows ? CUBLAS_OP_N : CUBLAS_OP_T,
            (int)outputs, (int)columns, (int)inputs, &one, {WEIGHT}, w_leading, {X}, x_leading, &zero,
            {RESULT}, y_leading);
    else
        status = {function}(handle, x_rows ? CUBLAS_OP_T : CUBLAS_OP_N, w_rows ? CUBLAS_OP_N : CUBLAS_OP_T,
            (int)columns, (int)outputs, (int)inputs, &one, {X}, x_leading, {WEIGHT}, w_leading, &zero,
            {RESULT}, y_leading);
}}
if (status != CUBLAS_STATUS_SUCCESS) {{
    // There is no way back to Python from here; going on would give wrong numbers.
    std::fprintf(stderr, "contraction '{node.label}': cuBLAS failed with status %d\\n", (int)status);
    std::abort();
}}
"""
        return _tasklet(node, operands, code)


@dace.library.node
class DenseContraction(nodes.LibraryNode):
    """result (columns, outputs) = x (columns, inputs) weight (outputs, inputs)^T."""

    implementations: ClassVar[dict[str, type[ExpandTransformation]]] = {
        "cublas": ExpandToCublas,
    }
    default_implementation: ClassVar[str | None] = None

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        super().__init__(name, *arguments, inputs={X, WEIGHT}, outputs={RESULT}, **keywords)

    def validate(self, sdfg: dace.SDFG, state: dace.SDFGState) -> None:
        """Raises ValueError where types differ or an operand is missing."""
        _Operands(self, state, sdfg)


def add_contraction(
    state: dace.SDFGState,
    name: str,
    implementation: str | None,
    operands: tuple[tuple[nodes.AccessNode, dace.Memlet], tuple[nodes.AccessNode, dace.Memlet]],
    result: tuple[nodes.AccessNode, dace.Memlet],
) -> DenseContraction:
    """Add the node to a state and connect it: operands are (x, weight), each with what is read of it."""
    node = DenseContraction(name)
    node.implementation = implementation
    state.add_node(node)
    for connector, (access, memlet) in zip((X, WEIGHT), operands, strict=True):
        state.add_edge(access, None, node, connector, copy.deepcopy(memlet))
    state.add_edge(node, RESULT, result[0], None, copy.deepcopy(result[1]))
    return node
