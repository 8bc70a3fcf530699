"""The BLAS that compiled programs call on the CPU, if not this package's own kernels.

The kernels of ``kernels.hpp`` are what is used by default: they need no library, and give a column the same bits
wherever it stands, which a BLAS need not. A BLAS is for processors whose compiler or vendor does better.

The generated code declares the GEMM functions itself and finds them among the process's global symbols, so a compiled
program in a cache does not hold a path of this installation.
"""

from __future__ import annotations

import ctypes
import os
import pathlib

from ailand_gt4py.core.errors import RunError

#: Names the BLAS: ``builtin``, ``openblas`` (of the wheel ``scipy-openblas32``), or a shared library with the CBLAS
#: interface and 32-bit integers: its path, or a name that the system's loader knows (``libmkl_rt.so.2``).
VARIABLE = "AILAND_BLAS"
BUILTIN = "builtin"

#: Prefixes of ``cblas_sgemm``: the wheel renames its functions, so that they cannot be mistaken for another BLAS.
_PREFIXES = ("", "scipy_")
#: Functions that set the number of threads of one call; the programs have threads of their own, over columns.
_THREAD_FUNCTIONS = ("openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads")


def chosen() -> str:
    """The value of ``AILAND_BLAS``, or ``builtin``."""
    return os.environ.get(VARIABLE) or BUILTIN


def load(name: str) -> str | None:
    """Load a BLAS and make its functions visible to compiled programs; each call of them then runs in one thread.

    Args:
        name: as for ``AILAND_BLAS``.

    Returns:
        Prefix of its functions' names; None for ``builtin``.

    Raises:
        RunError: it is not installed, cannot be loaded, or has no CBLAS functions.
    """
    if name == BUILTIN:
        return None
    path = str(openblas()) if name == "openblas" else name
    try:
        library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise RunError(f"BLAS '{name}' cannot be loaded, {_AVAILABLE}: {error}") from error
    prefix = next((prefix for prefix in _PREFIXES if hasattr(library, f"{prefix}cblas_sgemm")), None)
    if prefix is None or not hasattr(library, f"{prefix}cblas_dgemm"):
        raise RunError(f"BLAS '{name}': found no cblas_sgemm and cblas_dgemm in {path}, {_AVAILABLE}")
    for function in _THREAD_FUNCTIONS:
        if hasattr(library, prefix + function):
            getattr(library, prefix + function)(1)
    return prefix


_AVAILABLE = f"expected '{BUILTIN}', 'openblas' or a library with the CBLAS interface"


def openblas() -> pathlib.Path:
    """The library in the wheel.

    Raises:
        RunError: it is not there.
    """
    try:
        import scipy_openblas32
    except ImportError as error:
        raise RunError("BLAS 'openblas': found no package 'scipy-openblas32', expected it to be installed") from error
    directory = pathlib.Path(scipy_openblas32.get_lib_dir())
    for path in sorted(directory.glob("libscipy_openblas*")):
        if path.suffix in (".so", ".dylib"):
            return path
    raise RunError(f"BLAS 'openblas': found no libscipy_openblas in {directory}, expected one from 'scipy-openblas32'")


def declaration(prefix: str) -> str:
    """C++ for the two GEMM functions of a BLAS, as ``ailand::gemm`` on row-major matrices: c = a b + beta c."""

    def function(name: str, real: str) -> str:
        return f"""
extern "C" void {prefix}{name}(int order, int trans_a, int trans_b, int m, int n, int k, {real} alpha, const {real}* a,
                               int lda, const {real}* b, int ldb, {real} beta, {real}* c, int ldc);
namespace ailand {{
inline void gemm(long m, long n, long k, const {real}* a, long lda, const {real}* b, long ldb, {real} beta, {real}* c,
                 long ldc) {{
    enum {{ row_major = 101, as_is = 111 }};
    {prefix}{name}(row_major, as_is, as_is, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}}
}}  // namespace ailand
"""

    return function("cblas_sgemm", "float") + function("cblas_dgemm", "double")
