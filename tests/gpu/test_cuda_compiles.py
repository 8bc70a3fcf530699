"""CUDA code of the step is generated, compiled and linked; none of this needs a device."""

import ctypes
import math
import os
import pathlib
import re
import shutil
import sys
import types
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from gt4py.next import config
from random_models import random_model

from ailand_gt4py.lowering import backends, compilation, cublas
from ailand_gt4py.lowering.device import DeviceMaps
from ailand_gt4py.parameters import network_shape, step_operands
from ailand_gt4py.stencils.step import step_program


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, cupy: Any) -> pathlib.Path:
    """A directory where the next program is built, for Hopper, its sources kept; skips where nothing can be built."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on the path")
    monkeypatch.setenv("CUDAARCHS", "90")
    monkeypatch.setattr(config, "DEBUG", True)  # keeps the sources
    monkeypatch.setattr(config, "BUILD_CACHE_DIR", tmp_path)
    monkeypatch.setattr(config, "BUILD_CACHE_LIFETIME", config.BuildCacheLifetime.PERSISTENT)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "precision", "function", "contractions"),
    [
        # Three inputs and a variance, one and a variance, the head; the same three inputs and a variance, the head.
        ("layer_norm", "float32", "cublasSgemm", 4 + 2 + 1 + 4 + 1),
        ("layer_norm", "float64", "cublasDgemm", 4 + 2 + 1 + 4 + 1),
        # Static branch, dynamic branch on two inputs, combination of the two; prognostic chain, diagnostic chain.
        ("two_branch", "float32", "cublasSgemm", 1 + 2 + 2 + 3 + 2),
    ],
)
def test_step_compiles_and_links(
    empty_cache: pathlib.Path, architecture: str, precision: str, function: str, contractions: int
) -> None:
    dtype = np.dtype(precision)
    model = random_model(architecture, (5, 4, 3, 2), width=24, depth=2)
    operands = step_operands(model, dtype, "cpu")
    program = step_program(network_shape(model), dtype.type)
    program = program.with_backend(backends.dace_backend(True, operands.complete_tables))
    with compilation.in_this_process():
        program.compile(offset_provider=operands.offset_provider)
        gtx.wait_for_compilation()

    (kernels,) = (path.read_text() for path in empty_cache.glob("*/src/cuda/*.cu"))
    (host,) = (path.read_text() for path in empty_cache.glob("*/src/cpu/*.cpp"))
    # One call for a result in rows and one for a result in columns.
    assert len(re.findall(rf"\b{function}\(", host)) == 2 * contractions
    assert not any(f"gt_conn_{table}" in kernels for table in operands.complete_tables), "a product was not lifted"
    # Neighbouring threads have neighbouring columns, and the columns are the dimension of the grid that has no limit.
    x_indices = set(re.findall(r"int (\w+) = \(threadIdx\.x", kernels))
    assert x_indices == {"i_Column_gtx_horizontal"}
    assert not re.findall(r"[^\w](?:f?max|f?min)\(", kernels), "max and min drop NaN in device code"

    (library,) = (path for path in empty_cache.glob("*/**/lib*_step_*.so") if "dacestub" not in path.name)
    cublas.load()
    loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOW)  # every symbol must be found
    assert hasattr(loaded, f"__program_{library.name.removeprefix('lib').removesuffix('.so')}")


def test_comparisons_pass_nan() -> None:
    """The code of tasklets, run as the Python it is: a number first, as the stencils write it, lets NaN pass."""
    import dace

    sdfg = dace.SDFG("comparisons")
    tasklet = sdfg.add_state().add_tasklet("t", {"x"}, {"y"}, "y = min(2.0, max(1.0, x))")
    DeviceMaps()(sdfg)
    for x, expected in ((0.5, 1.0), (1.5, 1.5), (2.5, 2.0), (math.nan, math.nan)):
        variables = {"x": x}
        exec(tasklet.code.as_string, {"__builtins__": {}}, variables)  # neither min nor max is left
        assert variables["y"] == pytest.approx(expected, nan_ok=True)


def test_cublas_comes_from_the_wheel_of_cupys_cuda_else_from_the_toolkit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    for directory, library in (("cu13", "libcublas.so.13"), ("cublas", "libcublas.so.12")):
        for path in (tmp_path / directory / "include" / "cublas_v2.h", tmp_path / directory / "lib" / library):
            path.parent.mkdir(parents=True)
            path.touch()
    package = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(cublas.importlib.util, "find_spec", lambda name: package)
    for major, directory in ((12, "cublas"), (13, "cu13")):
        monkeypatch.setattr(cublas, "cuda_major", lambda major=major: major)
        assert cublas.CuBlas.cmake_includes() == [str(tmp_path / directory / "include")]
        assert cublas.CuBlas.cmake_libraries() == [str(tmp_path / directory / "lib" / f"libcublas.so.{major}")]
    (tmp_path / "cu13" / "lib" / "libcublas.so.13").unlink()
    assert cublas.CuBlas.cmake_includes() == []
    assert cublas.CuBlas.cmake_libraries() == ["CUDA::cublas"]


def test_build_tools_beside_python_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/somewhere")
    with compilation.build_tools():
        assert os.environ["PATH"] == "/somewhere"  # there is no cmake beside this Python
    cmake = tmp_path / "cmake"
    cmake.touch(mode=0o755)
    with compilation.build_tools():
        assert shutil.which("cmake") == str(cmake)
    assert os.environ["PATH"] == "/somewhere"
