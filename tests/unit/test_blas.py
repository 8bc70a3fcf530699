"""The BLAS of the compiled programs: how it is found, its promise to equal columns, padding."""

import _ctypes
import ctypes
import pathlib
import shutil
import sys
import types
from collections.abc import Callable

import dace
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.errors import RunError
from ailand_gt4py.lowering import blas
from ailand_gt4py.lowering.blas import ColumnBlocks, column_blocks, gemm_rows
from ailand_gt4py.lowering.contraction_node import padded


def fake_wheel(monkeypatch: pytest.MonkeyPatch, directory: pathlib.Path) -> None:
    wheel = types.ModuleType("scipy_openblas32")
    wheel.get_lib_dir = lambda: str(directory)
    monkeypatch.setitem(sys.modules, "scipy_openblas32", wheel)


def load_error() -> str:
    """The message with which an uncached load fails; one line."""
    with pytest.raises(RunError) as caught:
        blas.load.__wrapped__()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy_openblas32", None)
    assert load_error() == "BLAS: found no package 'scipy-openblas32', expected it to be installed"


def test_a_wheel_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake_wheel(monkeypatch, tmp_path)
    assert load_error() == f"BLAS: found no libscipy_openblas in {tmp_path}, expected one from 'scipy-openblas32'"


def test_a_damaged_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake_wheel(monkeypatch, tmp_path)
    (tmp_path / "libscipy_openblas.so").write_bytes(b"no library")
    assert load_error().startswith(f"BLAS: {tmp_path / 'libscipy_openblas.so'} cannot be loaded: ")


@pytest.mark.skipif(not hasattr(_ctypes, "__file__"), reason="this Python has no shared library of its own to copy")
def test_a_library_without_the_functions_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake_wheel(monkeypatch, tmp_path)
    library = shutil.copy(_ctypes.__file__, tmp_path / "libscipy_openblas.so")
    assert load_error() == f"BLAS: found no symbol 'scipy_cblas_sgemm' in {library}, expected one"


def test_one_thread_for_each_call() -> None:
    library = blas.load()
    number = getattr(library, blas.SYMBOL_PREFIX + "openblas_get_num_threads")
    getattr(library, blas.SYMBOL_PREFIX + "openblas_set_num_threads")(2)
    try:
        assert number() == 2, "the library cannot count, or was built without threads"
    finally:
        blas.load.__wrapped__()
    assert number() == 1


def test_the_functions_are_global_symbols_of_the_process() -> None:
    """Compiled programs look them up there, not in the wheel's directory."""
    blas.load()
    everything = ctypes.CDLL(None)
    for function in ("cblas_sgemm", "cblas_dgemm"):
        assert hasattr(everything, blas.SYMBOL_PREFIX + function)
        assert f"{blas.SYMBOL_PREFIX}{function}(" in blas.gemm_declaration(function, "float")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_rows", "n_inputs", "n_outputs"), [(1, 1, 1), (3, 5, 2), (64, 44, 256), (257, 129, 31)])
def test_gemm_rows_is_the_matrix_product(dtype: type, n_rows: int, n_inputs: int, n_outputs: int) -> None:
    random = np.random.default_rng(n_rows)
    x = random.normal(size=(n_rows, n_inputs)).astype(dtype)
    weight = random.normal(size=(n_outputs, n_inputs)).astype(dtype)
    result = gemm_rows(x, weight)
    assert result.dtype == dtype
    exact = x.astype(np.float64) @ weight.astype(np.float64).T
    bound = np.abs(x).astype(np.float64) @ np.abs(weight).astype(np.float64).T
    assert (np.abs(result - exact) <= n_inputs * np.finfo(dtype).eps * bound).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_inputs", "n_outputs"), [(2, 2), (3, 9), (44, 256), (129, 17), (300, 128), (1000, 2)])
def test_a_rows_result_does_not_depend_on_its_place_or_on_the_other_rows(
    dtype: type, n_inputs: int, n_outputs: int
) -> None:
    """The promise of `column_blocks`, with other matrices than those it measures, and rows that differ."""
    blocks = column_blocks(dtype)
    random = np.random.default_rng(n_inputs + n_outputs)
    weight = random.normal(size=(n_outputs, n_inputs)).astype(dtype)
    sizes = range(blocks.unit, blocks.limit + 1, blocks.unit)
    for n_rows in sizes:
        x = random.normal(size=(n_rows, n_inputs)).astype(dtype)
        order = random.permutation(n_rows)
        result = gemm_rows(x, weight)
        np.testing.assert_array_equal(gemm_rows(x[order], weight), result[order])
        x[:] = x[0]
        np.testing.assert_array_equal(gemm_rows(x, weight), np.broadcast_to(result[0], result.shape))


def test_blocks_are_measured_with_the_loaded_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that rounds otherwise in the last rows of a large call gets small blocks; a hopeless one is refused."""
    exact = blas.gemm_rows

    def uneven(from_rows: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        def gemm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
            result = exact(x, weight)
            if len(x) >= from_rows:
                result[-1, -1] = np.nextafter(result[-1, -1], np.inf)
            return result

        return gemm

    large, small = blas._CANDIDATE_BLOCKS
    monkeypatch.setattr(blas, "gemm_rows", uneven(large.limit))
    assert column_blocks.__wrapped__(np.float64) == small
    monkeypatch.setattr(blas, "gemm_rows", uneven(1))
    with pytest.raises(RunError, match="^BLAS: equal rows give different results in float64, expected equal results$"):
        column_blocks.__wrapped__(np.float64)


blocks_strategy = st.builds(
    lambda unit, factor: ColumnBlocks(unit, unit * factor), st.integers(1, 64), st.integers(1, 8)
)


@settings(deadline=None)
@given(blocks=blocks_strategy, n_columns=st.integers(1, 5000))
def test_padding_is_to_whole_calls_and_no_more(blocks: ColumnBlocks, n_columns: int) -> None:
    room = blocks.padded(n_columns)
    assert room >= n_columns
    assert room % blocks.unit == 0
    size = min(room, blocks.limit)
    assert room % size == 0, "the calls are of one size"
    assert room - n_columns < (blocks.unit if n_columns <= blocks.limit else blocks.limit)
    assert blocks.padded(room) == room


@settings(deadline=None)
@given(blocks=blocks_strategy, n_columns=st.integers(1, 5000))
def test_the_generated_code_pads_alike(blocks: ColumnBlocks, n_columns: int) -> None:
    """The buffers' room is computed here, the extent of the calls in the program."""
    extent = dace.symbolic.symbol("extent", dtype=dace.int64, positive=True)
    assert dace.symbolic.evaluate(padded(extent, blocks), {extent: n_columns}) == blocks.padded(n_columns)


def test_the_blocks_in_use_can_be_padded_to() -> None:
    for blocks in blas._CANDIDATE_BLOCKS:
        assert blocks.limit % blocks.unit == 0
