"""The processor's rate of float32 multiply-adds, with nothing to wait for: what no network can exceed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import machine
import numpy as np
from contestants import Contestant, UnavailableError

import ailand_gt4py.lowering.cpu

_SOURCE = Path(__file__).with_suffix(".cpp")
#: Rounds of a call, some tens of milliseconds.
_ROUNDS = 10_000_000


def build() -> tuple[Contestant, float]:
    """A contestant that does nothing but multiply and add on all threads, and the operations of one of its calls.

    Raises:
        UnavailableError: it cannot be compiled.
    """
    function = _compiled()
    arrays = [np.array([0.5, 1.0, 3.0], dtype=np.float32) for _ in range(machine.threads())]
    pool = ThreadPoolExecutor(len(arrays))

    def on_a_thread(array: np.ndarray) -> float:
        return function(_ROUNDS, array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))

    def step() -> tuple[Any, Any]:
        operations = list(pool.map(on_a_thread, arrays))
        return np.array(operations), arrays[0]

    operations, result = step()
    assert np.isclose(result[2], 24 * 2.0) or np.isclose(result[2], 12 * 2.0)  # the limit of x -> x / 2 + 1
    return Contestant("multiply_adds", step), float(operations.sum())


def _compiled() -> Any:
    include = Path(ailand_gt4py.lowering.cpu.__file__).parent
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "multiply_adds.so"
        command = [
            os.environ.get("CXX", "c++"), "-std=c++20", "-O3", "-march=native", "-shared", "-fPIC", f"-I{include}",
            str(_SOURCE), "-o", str(library),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(f"multiply-adds cannot be compiled: {error}") from error
        function = ctypes.CDLL(str(library)).multiply_adds
    function.restype = ctypes.c_double
    function.argtypes = (ctypes.c_long, ctypes.POINTER(ctypes.c_float))
    return function
