"""Threads, libraries and the processor of this process: what a timing depends on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path
from typing import Any

#: What the benchmarks run on: ``cpu`` or ``cuda``.
DEVICE_VARIABLE = "AILAND_BENCH_DEVICE"

_PACKAGES = (
    "ailand_gt4py", "gt4py", "dace", "numpy", "torch", "onnxruntime", "openvino", "jax", "scipy-openblas32",
    "cupy-cuda12x", "cupy-cuda13x",
)  # fmt: skip
#: Variables that choose threads, kernels or how threads wait.
_VARIABLES = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "OPENBLAS_",
    "MKL_",
    "DNNL_",
    "ONEDNN_",
    "MALLOC_",
    "NPROC",
    "XLA_",
    "CUDA_VISIBLE",
)


def device() -> str:
    """``cpu`` or ``cuda``.

    Raises:
        ValueError: the variable holds something else.
    """
    name = os.environ.get(DEVICE_VARIABLE, "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"{DEVICE_VARIABLE}: found '{name}', expected 'cpu' or 'cuda'")
    return name


def threads() -> int:
    """Threads of every contestant: ``OMP_NUM_THREADS``, else all cores this process may use."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if given:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_numpy_threads(count: int) -> None:
    """Give NumPy's BLAS `count` threads, and no other BLAS in the process.

    Raises:
        RuntimeError: the number cannot be set and is another one.
    """
    import numpy as np
    from threadpoolctl import ThreadpoolController

    # A BLAS of the component beside it runs one thread in each of its caller's, and must go on so.
    homes = [Path(np.__file__).parent.parent / "numpy.libs", Path(np.__file__).parent]
    blas = [
        library
        for library in ThreadpoolController().lib_controllers
        if library.user_api == "blas" and any(Path(library.filepath).is_relative_to(home) for home in homes)
    ]
    for library in blas:
        library.set_num_threads(count)
        if library.get_num_threads() != count:
            raise RuntimeError(f"NumPy's BLAS: found {library.get_num_threads()} threads, expected {count}")
    if not blas and threads() != count:
        raise RuntimeError("NumPy's BLAS was not found, so its threads cannot be set; expected OMP_NUM_THREADS to be")


def thread_pools() -> list[str]:
    """One line for each BLAS and OpenMP library loaded: version, kernel, threads; no paths."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return []
    from threadpoolctl import threadpool_info

    lines = []
    for pool in threadpool_info():
        words = [pool["internal_api"], pool.get("version"), pool.get("architecture"), f"{pool['num_threads']} threads"]
        home = Path(pool["filepath"]).parent.name
        lines.append(" ".join(str(word) for word in words if word) + f" ({home})")
    return sorted(lines)


def _cache_sizes() -> dict[str, str]:
    """Level and type -> size, of core 0."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            sizes[f"L{level}"] = size
    return sizes


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Everything about this process and machine that belongs beside a timing; JSON types only."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found = {
        "device": device(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "caches": _cache_sizes(),
        "threads": threads(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)},
        "versions": versions,
        "thread_pools": thread_pools(),
        "load_average": list(os.getloadavg()),
    }
    if device() == "cuda" and importlib.util.find_spec("cupy") is not None:
        import cupy

        found["gpu"] = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return found
