"""CUDA code of the step is generated, compiled and linked; none of this needs a device."""

import ctypes
import math
import os
import pathlib
import re
import shutil
import sys
import types
from collections.abc import Callable
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from gt4py.next import config
from random_models import random_model
from small_programs import BROADCAST, COMPLETE, SmallProgram, provider

from ailand_gt4py.core.dimensions import LandColumn, LandPoint, point_connectivity
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.emulator.derivatives.described import describe_adjoint
from ailand_gt4py.emulator.differentiated import with_constants
from ailand_gt4py.emulator.operands import network_shape, step_operands
from ailand_gt4py.emulator.programs import LAYERS, Programs
from ailand_gt4py.lowering.calls import backends, compilation
from ailand_gt4py.lowering.calls.maps import DeviceMaps
from ailand_gt4py.lowering.gpu import cublas
from ailand_gt4py.stencils.network.step import describe_step, make_program
from ailand_gt4py.stencils.physics.land_points import gather, spread
from ailand_gt4py.stencils.physics.solar import solar_program
from ailand_gt4py.stencils.physics.surface import closure_program


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, cupy: Any) -> pathlib.Path:
    """A directory where the next program is built, for Hopper, its sources kept; skips where nothing can be built."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on the path")
    monkeypatch.setenv("CUDAARCHS", "90")
    monkeypatch.setenv("GT4PY_BUILD_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(config, "DEBUG", True)  # keeps the sources
    monkeypatch.setattr(config, "BUILD_CACHE_DIR", tmp_path)
    monkeypatch.setattr(config, "BUILD_CACHE_LIFETIME", config.BuildCacheLifetime.PERSISTENT)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "dtype", "products", "compute", "kernels", "matrix_products"),
    [
        # A kernel each for inputs, two layers of the trunk, new state, a layer of the diagnostics, and diagnostics; the
        # three inputs lie side by side for the trunk, but not with the new state for the diagnostics.
        ("layer_norm", "float32", "full", "CUBLAS_COMPUTE_32F_PEDANTIC", 6, 1 + 1 + 1 + 2 + 1),
        ("layer_norm", "float32", "bf16", "CUBLAS_COMPUTE_32F", 6, 1 + 1 + 1 + 2 + 1),
        # Inputs, dynamic branch, meeting layer, two prognostic layers, new state with a diagnostic layer, diagnostics.
        ("two_branch", "float32", "tf32", "CUBLAS_COMPUTE_32F_FAST_TF32", 7, 1 + 1 + 3 + 2),
        # Inputs, two layers, new state and diagnostics.
        ("simple", "float64", "full", "CUBLAS_COMPUTE_64F", 4, 1 + 1 + 2),
    ],
)
def test_step_compiles_and_links(
    empty_cache: pathlib.Path,
    architecture: str,
    dtype: str,
    products: Any,
    compute: str,
    kernels: int,
    matrix_products: int,
) -> None:
    model = random_model(architecture, (5, 4, 3, 2), width=24, depth=2)
    operands = step_operands(model, np.dtype(dtype), "cpu")
    program = make_program(describe_step(network_shape(model), np.dtype(dtype).type))
    backend = backends.dace_backend(True, operands.complete_tables, operands.broadcast_tables, products, LAYERS)
    with compilation.in_this_process():
        program.with_backend(backend).compile(offset_provider=operands.offset_provider)
        gtx.wait_for_compilation()

    (device,) = (path.read_text() for path in empty_cache.glob("**/src/cuda/*.cu"))
    (host,) = (path.read_text() for path in empty_cache.glob("**/src/cpu/*.cpp"))
    assert device.count("ailand::launch(Kernel") == kernels
    operand, kind = "O" if products == "bf16" else "T", "full" if products == "full" else "rounded"
    assert device.count(f"device.product<T, {operand}>({kind}, ") == matrix_products
    assert f"rounded = {compute};" in device
    assert "__global__" in device
    assert "streams[0])" in host
    assert not re.findall(r"[^\w:](?:f?max|f?min)f?\(", device[device.index("struct Kernel0") :]), "they drop NaN"

    (library,) = (path for path in empty_cache.glob("**/lib*_step_*.so") if "dacestub" not in path.name)
    cublas.load()
    loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOW)  # every symbol must be found
    for function in (f"__program_{library.stem.removeprefix('lib')}", "__dace_gpu_set_all_streams"):
        assert hasattr(loaded, function)


@pytest.mark.slow
def test_adjoint_compiles_and_links(empty_cache: pathlib.Path) -> None:
    """With every kind of bound, soil heat and water; the matrices that choose bounds are products, too."""
    model = random_model(
        "layer_norm", (8, 4, 4, 3), width=24, depth=2, bounded_by_others=True, soil_heat=True, soil_water=True
    )
    programs = Programs(model, 4, "embedded", "float32")
    described = describe_adjoint(programs.shape, programs.scalar)
    shapes = programs.shapes(described.step, programs.operands, 4)
    step, operands = with_constants(described, programs.operands, shapes)
    backend = backends.dace_backend(True, operands.complete_tables, operands.broadcast_tables)
    program, backend = make_program(step), backends.differentiating(backend, described.derivative)
    with compilation.in_this_process():
        program.with_backend(backend).compile(offset_provider=operands.offset_provider)
        gtx.wait_for_compilation()
    (library,) = (path for path in empty_cache.glob("**/lib*_adjoint_*.so") if "dacestub" not in path.name)
    cublas.load()
    loaded = ctypes.CDLL(str(library), mode=os.RTLD_NOW)  # every symbol must be found
    assert hasattr(loaded, f"__program_{library.stem.removeprefix('lib')}")


@pytest.mark.slow
@pytest.mark.parametrize("program", [closure_program, solar_program], ids=lambda program: program.__name__)
def test_programs_of_fields_over_columns_alone_are_one_kernel(
    program: Callable[[], Any], empty_cache: pathlib.Path
) -> None:
    with compilation.in_this_process():
        program().with_backend(backends.column_backend(True)).compile(offset_provider={})
        gtx.wait_for_compilation()
    (device,) = (path.read_text() for path in empty_cache.glob("**/src/cuda/*.cu"))
    assert device.count("ailand::launch(Kernel") == 1
    assert "device.product<T, O>(" not in device[device.index("struct Kernel0") :]
    (library,) = (path for path in empty_cache.glob("**/lib*.so") if "dacestub" not in path.name)
    cublas.load()
    ctypes.CDLL(str(library), mode=os.RTLD_NOW)


@pytest.mark.usefixtures("cupy")
def test_a_program_that_is_none_over_columns_is_refused_in_one_line() -> None:
    small = SmallProgram("def apply(x):\n    return x(Feature_to_Unit[0])", "apply(x, out=out_units)")
    program = small.program.with_backend(backends.column_backend(True, COMPLETE, BROADCAST))
    expected = (
        "program 'small' cannot be run column by column on a GPU: it gathers through the table 'Feature_to_Unit', "
        "which is not one that broadcasts; expected dense layers and element-wise operations in which each column "
        "depends on itself alone"
    )
    with compilation.in_this_process(), pytest.raises(RunError) as caught:
        program.compile(offset_provider=provider())
    assert str(caught.value) == expected


@pytest.mark.slow
def test_land_programs_compile_and_link(empty_cache: pathlib.Path) -> None:
    """Gathering a host's samples and spreading results; their kernels are on the default stream (`device_stream`)."""
    backend = backends.dace_backend(True, ())
    tables = {offset.value: point_connectivity(offset, np.arange(5), np) for offset in (LandPoint, LandColumn)}
    with compilation.in_this_process():
        for program in (gather((np.float64, np.float32)), spread(np.float32, np.float64)):
            program.with_backend(backend).compile(offset_provider=tables)
        gtx.wait_for_compilation()
    sources = [path.read_text() for path in empty_cache.glob("**/src/cuda/*.cu")]
    assert len(sources) == 2
    for source in sources:
        launches = re.findall(r"cudaLaunchKernel\(.*\)", source)
        assert launches
        assert all(launch.endswith("nullptr)") for launch in launches)
    for library in empty_cache.glob("**/lib*_program.so"):
        if "dacestub" not in library.name:
            ctypes.CDLL(str(library), mode=os.RTLD_NOW)


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
    with compilation.build_tools(tmp_path):
        assert os.environ["PATH"] == "/somewhere"  # there is no cmake beside this Python
    cmake = tmp_path / "cmake"
    cmake.touch(mode=0o755)
    with compilation.build_tools(tmp_path):
        assert shutil.which("cmake") == str(cmake)
    assert os.environ["PATH"] == "/somewhere"
