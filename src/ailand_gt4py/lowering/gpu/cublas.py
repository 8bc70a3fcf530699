"""The cuBLAS that compiled programs call on a GPU, and how their build finds it.

DaCe's own cuBLAS environment links ``-lcublas`` and takes the header from the CUDA toolkit, which fails where the
toolkit comes without cuBLAS; and it destroys its handle in a destructor that ends the process when CUDA has gone
before. The environment here takes header and library from NVIDIA's wheel (the extras ``cuda12`` and ``cuda13`` install
it), or from the toolkit where the wheel is missing, and leaves the handle to the program.
"""

from __future__ import annotations

import ctypes
import importlib.util
import pathlib
from typing import Any, ClassVar, NamedTuple

import dace.library

from ailand_gt4py.core.errors import RunError

#: Where the wheels keep cuBLAS, below the namespace package ``nvidia``, by CUDA's major version.
_WHEEL_DIRECTORIES = {12: "cublas", 13: "cu13"}

#: CMake's own target for the toolkit's cuBLAS (module FindCUDAToolkit, which DaCe's build loads).
_TOOLKIT_TARGET = "CUDA::cublas"


class Wheel(NamedTuple):
    """NVIDIA's cuBLAS wheel: the directory of ``cublas_v2.h`` and the library."""

    include: pathlib.Path
    library: pathlib.Path


def cuda_major() -> int:
    """The major version of CUDA that CuPy was built for; needs no device.

    Raises:
        RunError: CuPy is not installed or cannot be loaded.
    """
    try:
        import cupy
    except ImportError as error:
        raise RunError(
            f"CuPy cannot be imported, expected the extra 'cuda12' or 'cuda13' of ailand_gt4py: {error}"
        ) from error
    return int(cupy.cuda.runtime.runtimeGetVersion()) // 1000


def find_wheel() -> Wheel | None:
    """The cuBLAS wheel for CuPy's CUDA; None where it is not installed.

    Raises:
        RunError: no CuPy.
    """
    major = cuda_major()
    specification = importlib.util.find_spec("nvidia")
    if specification is None or major not in _WHEEL_DIRECTORIES:
        return None
    for root in specification.submodule_search_locations or ():
        directory = pathlib.Path(root) / _WHEEL_DIRECTORIES[major]
        wheel = Wheel(directory / "include", directory / "lib" / f"libcublas.so.{major}")
        if (wheel.include / "cublas_v2.h").is_file() and wheel.library.is_file():
            return wheel
    return None


def load() -> None:
    """Load the wheel's library, so that kept programs run although it was moved since they were linked.

    Where there is no wheel, the system's loader is to find the toolkit's.

    Raises:
        RunError: no CuPy, or the wheel's library cannot be loaded.
    """
    wheel = find_wheel()
    if wheel is not None:
        try:
            ctypes.CDLL(str(wheel.library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise RunError(f"cuBLAS: {wheel.library} cannot be loaded: {error}") from error


@dace.library.environment
class CuBlas:
    """DaCe environment of a program whose device code calls cuBLAS; the program keeps the handle itself."""

    cmake_minimum_version: ClassVar[None] = None
    cmake_packages: ClassVar[list[str]] = []
    cmake_variables: ClassVar[dict[str, str]] = {}
    cmake_compile_flags: ClassVar[list[str]] = []
    cmake_link_flags: ClassVar[list[str]] = []
    cmake_files: ClassVar[list[str]] = []
    headers: ClassVar[dict[str, list[str]]] = {"cuda": ["cublas_v2.h"]}
    state_fields: ClassVar[list[str]] = []
    init_code = ""
    finalize_code = ""
    dependencies: ClassVar[list[Any]] = []

    @staticmethod
    def cmake_includes() -> list[str]:
        """The wheel's headers; the toolkit's are on the path."""
        wheel = find_wheel()
        return [] if wheel is None else [str(wheel.include)]

    @staticmethod
    def cmake_libraries() -> list[str]:
        """The wheel's library by its path, which CMake also makes the run path; else the toolkit's."""
        wheel = find_wheel()
        return [_TOOLKIT_TARGET] if wheel is None else [str(wheel.library)]
