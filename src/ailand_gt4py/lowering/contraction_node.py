"""The SDFG node that stands for a lifted dense layer, and its expansions to a BLAS call."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import dace
import dace.library
import dace.properties
import sympy
from dace.sdfg import nodes
from dace.symbolic import symstr
from dace.transformation.transformation import ExpandTransformation

from ailand_gt4py.lowering import blas, cublas

_X, _WEIGHT, _RESULT = "_x", "_weight", "_result"

#: From this many columns on, blocks of columns are shared among threads; below, starting them costs more.
_COLUMNS_FOR_THREADS = 1024

_CBLAS_FUNCTIONS = {dace.float32: "cblas_sgemm", dace.float64: "cblas_dgemm"}
_CUBLAS_FUNCTIONS = {dace.float32: "cublasSgemm", dace.float64: "cublasDgemm"}


def padded(extent: Any, blocks: blas.ColumnBlocks) -> Any:
    """`blas.ColumnBlocks.padded` for a symbolic extent of at least 1."""
    unit, limit = blocks
    one_call = dace.symbolic.int_ceil(extent, unit) * unit
    return sympy.Min(one_call, limit) + dace.symbolic.int_ceil(extent, limit) * limit - limit


class _Operands:
    """Extents, strides and type of a node's arrays, as C expressions."""

    def __init__(self, node: DenseContraction, state: dace.SDFGState, sdfg: dace.SDFG) -> None:
        memlets = {edge.dst_conn: edge.data for edge in state.in_edges(node)}
        memlets[_RESULT] = next(edge.data for edge in state.out_edges(node) if edge.src_conn == _RESULT)
        descriptors = {name: sdfg.arrays[memlets[name].data] for name in (_X, _WEIGHT, _RESULT)}
        self.dtype = descriptors[_RESULT].dtype
        for name, descriptor in descriptors.items():
            if descriptor.dtype != self.dtype or self.dtype not in _CBLAS_FUNCTIONS:
                raise ValueError(
                    f"contraction '{node.label}': operand {name} is of type {descriptor.dtype}, "
                    f"expected float32 or float64 and the result's type {self.dtype}"
                )
        columns, outputs = memlets[_RESULT].subset.size()
        blocks = node.column_blocks
        self.columns = symstr(padded(columns, blocks) if blocks else columns, cpp_mode=True)
        self.limit = str(blocks.limit) if blocks else "columns"
        self.outputs = symstr(outputs, cpp_mode=True)
        self.inputs = symstr(memlets[_WEIGHT].subset.size()[1], cpp_mode=True)
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
        {_X: pointer, _WEIGHT: pointer},
        {_RESULT: pointer},
        code,
        language=dace.Language.CPP,
        **keywords,
    )


@dace.library.expansion
class ExpandToCblas(ExpandTransformation):
    """``cblas_?gemm`` on equal blocks of columns. Each matrix needs one unit stride, found out at run time."""

    environments: ClassVar[list] = []

    @staticmethod
    def expansion(node: DenseContraction, state: dace.SDFGState, sdfg: dace.SDFG) -> nodes.Tasklet:
        """Result (columns, outputs) = x (columns, inputs) weight (outputs, inputs)^T, written row-major.

        A result whose columns have unit stride is computed as its transpose.
        """
        operands = _Operands(node, state, sdfg)
        function = blas.SYMBOL_PREFIX + _CBLAS_FUNCTIONS[operands.dtype]
        (x_row, x_column), (w_row, w_column), (y_row, y_column) = (
            operands.strides[name] for name in (_X, _WEIGHT, _RESULT)
        )
        code = f"""
const long long columns = {operands.columns}, outputs = {operands.outputs}, inputs = {operands.inputs};
const long long x_strides[2] = {{{x_row}, {x_column}}}, w_strides[2] = {{{w_row}, {w_column}}};
const long long y_strides[2] = {{{y_row}, {y_column}}};
enum {{ row_major = 101, column_major = 102, as_is = 111, transposed = 112 }};
const bool rows_first = y_strides[1] == 1;
const int order = rows_first ? row_major : column_major;
// Seen in the result's order, a matrix whose unit stride is the other one is transposed.
const bool x_same = rows_first ? x_strides[1] == 1 : x_strides[0] == 1;
const bool w_same = rows_first ? w_strides[1] == 1 : w_strides[0] == 1;
const long long x_leading = x_strides[x_strides[1] == 1 ? 0 : 1], w_leading = w_strides[w_strides[1] == 1 ? 0 : 1];
const long long block = std::min<long long>(columns, {operands.limit});
#pragma omp parallel for schedule(static) if (columns >= {_COLUMNS_FOR_THREADS})
for (long long first = 0; first < columns; first += block)
    {function}(order, x_same ? as_is : transposed, w_same ? transposed : as_is, (int)block, (int)outputs, (int)inputs,
        {operands.c_type}(1), {_X} + first * x_strides[0], (int)x_leading, {_WEIGHT}, (int)w_leading,
        {operands.c_type}(0), {_RESULT} + first * y_strides[0], (int)y_strides[rows_first ? 0 : 1]);
"""
        return _tasklet(
            node, operands, code, code_global=blas.gemm_declaration(_CBLAS_FUNCTIONS[operands.dtype], operands.c_type)
        )


@dace.library.expansion
class ExpandToCublas(ExpandTransformation):
    """One ``cublas?gemm`` call on the program's stream."""

    environments: ClassVar[list] = [cublas.CuBlas]

    @staticmethod
    def expansion(node: DenseContraction, state: dace.SDFGState, sdfg: dace.SDFG) -> nodes.Tasklet:
        """As `ExpandToCblas`; cuBLAS is column-major, so a row-major result is computed as its transpose.

        For a single column, or a single output, both strides of a matrix may be 1: the leading dimension is then not
        the other stride, but at least the extent.
        """
        operands = _Operands(node, state, sdfg)
        function = _CUBLAS_FUNCTIONS[operands.dtype]
        (x_row, x_column), (w_row, w_column), (y_row, y_column) = (
            operands.strides[name] for name in (_X, _WEIGHT, _RESULT)
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
            (int)outputs, (int)columns, (int)inputs, &one, {_WEIGHT}, w_leading, {_X}, x_leading, &zero,
            {_RESULT}, y_leading);
    else
        status = {function}(handle, x_rows ? CUBLAS_OP_T : CUBLAS_OP_N, w_rows ? CUBLAS_OP_N : CUBLAS_OP_T,
            (int)columns, (int)outputs, (int)inputs, &one, {_X}, x_leading, {_WEIGHT}, w_leading, &zero,
            {_RESULT}, y_leading);
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
        "cblas": ExpandToCblas,
        "cublas": ExpandToCublas,
    }
    default_implementation: ClassVar[str | None] = None

    unit = dace.properties.Property(dtype=int, default=0, desc="unit of `blas.ColumnBlocks`; 0: one call, no padding")
    limit = dace.properties.Property(dtype=int, default=0, desc="limit of `blas.ColumnBlocks`")

    def __init__(
        self, name: str, *arguments: Any, column_blocks: blas.ColumnBlocks | None = None, **keywords: Any
    ) -> None:
        super().__init__(name, *arguments, inputs={_X, _WEIGHT}, outputs={_RESULT}, **keywords)
        self.unit, self.limit = column_blocks or (0, 0)

    @property
    def column_blocks(self) -> blas.ColumnBlocks | None:
        """The blocks that x and result have room for; None where they have no padding."""
        return blas.ColumnBlocks(self.unit, self.limit) if self.unit else None

    def validate(self, sdfg: dace.SDFG, state: dace.SDFGState) -> None:
        """Raises ValueError where types differ or an operand is missing."""
        _Operands(self, state, sdfg)


def add_contraction(
    state: dace.SDFGState,
    name: str,
    implementation: str,
    operands: tuple[tuple[nodes.AccessNode, dace.Memlet], tuple[nodes.AccessNode, dace.Memlet]],
    result: tuple[nodes.AccessNode, dace.Memlet],
    column_blocks: blas.ColumnBlocks | None,
) -> DenseContraction:
    """Add the node to a state and connect it: operands are (x, weight), each with what is read of it."""
    node = DenseContraction(name, column_blocks=column_blocks)
    node.implementation = implementation
    state.add_node(node)
    for connector, (access, memlet) in zip((_X, _WEIGHT), operands, strict=True):
        state.add_edge(access, None, node, connector, copy.deepcopy(memlet))
    state.add_edge(node, _RESULT, result[0], None, copy.deepcopy(result[1]))
    return node
