"""The BLAS that the compiled programs call on the CPU.

The generated code declares the two GEMM functions itself and finds them among the process's global symbols, so a
compiled program in a cache does not hold a path of this installation.
"""

from __future__ import annotations

import ctypes
import functools
import pathlib
from typing import NamedTuple

import numpy as np

from ailand_gt4py.errors import RunError

#: Prefix that the wheel gives to its symbols, so that they cannot be mistaken for another BLAS in the process.
SYMBOL_PREFIX = "scipy_"


@functools.cache
def load() -> ctypes.CDLL:
    """Load the OpenBLAS of the ``scipy-openblas32`` wheel and make its symbols visible to compiled programs.

    Each call runs in one thread: the compiled programs have threads of their own over blocks of columns, as many as
    ``OMP_NUM_THREADS`` says.

    Raises:
        RunError: the wheel is not installed, or its library cannot be loaded.
    """
    try:
        import scipy_openblas32
    except ImportError as error:
        raise RunError("BLAS: found no package 'scipy-openblas32', expected it to be installed") from error
    directory = pathlib.Path(scipy_openblas32.get_lib_dir())
    candidates = [
        path
        for pattern in ("libscipy_openblas*.so", "libscipy_openblas*.dylib")
        for path in sorted(directory.glob(pattern))
    ]
    if not candidates:
        raise RunError(f"BLAS: found no libscipy_openblas in {directory}, expected one from 'scipy-openblas32'")
    try:
        library = ctypes.CDLL(str(candidates[0]), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise RunError(f"BLAS: {candidates[0]} cannot be loaded: {error}") from error
    for name in ("cblas_sgemm", "cblas_dgemm", "openblas_set_num_threads"):
        if not hasattr(library, SYMBOL_PREFIX + name):
            raise RunError(f"BLAS: found no symbol '{SYMBOL_PREFIX}{name}' in {candidates[0]}, expected one")
    getattr(library, SYMBOL_PREFIX + "openblas_set_num_threads")(1)
    return library


def gemm_declaration(function: str, c_type: str) -> str:
    """C declaration of ``cblas_sgemm`` or ``cblas_dgemm`` with the wheel's prefix (32-bit integers)."""
    return (
        f'extern "C" void {SYMBOL_PREFIX}{function}(int order, int trans_a, int trans_b, int m, int n, int k, '
        f"{c_type} alpha, const {c_type}* a, int lda, const {c_type}* b, int ldb, {c_type} beta, {c_type}* c, int ldc);"
    )


class ColumnBlocks(NamedTuple):
    """How many columns one GEMM call computes, so that a column's result does not depend on its place.

    A matrix kernel may sum in another order in the rows left over at its end, or even from one group of rows to the
    next. All calls of a program therefore get the same number of columns, padded where need be.

    Attributes:
        unit: calls get a multiple of this many columns.
        limit: calls get at most this many columns; a multiple of the unit.
    """

    unit: int
    limit: int

    def padded(self, n_columns: int) -> int:
        """The number of columns that calls of equal size compute, for at least one column.

        That is the next multiple of the unit for one call, the next multiple of the limit for more than one.
        """
        step = self.unit if n_columns <= self.limit else self.limit
        return -(-n_columns // step) * step


#: What is tried, the fastest first. Kernels of OpenBLAS for AVX2 (Haswell, Zen) round differently inside a call in
#: single precision, but not inside eight rows.
_CANDIDATE_BLOCKS = (ColumnBlocks(64, 256), ColumnBlocks(8, 8))

_CBLAS_ROW_MAJOR, _CBLAS_AS_IS, _CBLAS_TRANSPOSED = 101, 111, 112


def gemm_rows(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``x @ weight.T`` by one call of the loaded BLAS, as the compiled programs call it; contiguous arrays."""
    real, name = (ctypes.c_float, "cblas_sgemm") if x.dtype == np.float32 else (ctypes.c_double, "cblas_dgemm")
    result = np.empty((len(x), len(weight)), dtype=x.dtype)
    n_inputs, n_outputs = x.shape[1], len(weight)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, weight, result)]
    getattr(load(), SYMBOL_PREFIX + name)(
        _CBLAS_ROW_MAJOR, _CBLAS_AS_IS, _CBLAS_TRANSPOSED, len(x), n_outputs, n_inputs,
        real(1.0), pointers[0], n_inputs, pointers[1], n_inputs, real(0.0), pointers[2], n_outputs,
    )  # fmt: skip
    return result


def _rows_are_alike(blocks: ColumnBlocks, dtype: type) -> bool:
    """Whether equal rows of x give bit-equal rows of the result, for calls of every size that the blocks allow."""
    random = np.random.default_rng(0)
    for n_inputs, n_outputs in ((20, 172), (172, 172), (256, 256), (37, 45), (512, 7)):
        weight: np.ndarray = random.standard_normal((n_outputs, n_inputs)).astype(dtype)
        row: np.ndarray = random.standard_normal(n_inputs).astype(dtype)
        for n_columns in range(blocks.unit, blocks.limit + 1, blocks.unit):
            result = gemm_rows(np.ascontiguousarray(np.broadcast_to(row, (n_columns, n_inputs))), weight)
            if not (result == result[0]).all():
                return False
    return True


@functools.cache
def column_blocks(dtype: type) -> ColumnBlocks:
    """The largest blocks in which the loaded BLAS computes equal columns bit-equally; measured, some milliseconds.

    Raises:
        RunError: no such blocks.
    """
    for blocks in _CANDIDATE_BLOCKS:
        if _rows_are_alike(blocks, dtype):
            return blocks
    raise RunError(f"BLAS: equal rows give different results in {np.dtype(dtype).name}, expected equal results")
