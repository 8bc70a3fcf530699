"""Products of factors in bfloat16 on the CPU: the kernels alone, and the weights as they read them."""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels import COMPILER, HEADERS

from ailand_gt4py.core.matrices import CACHE_LINE_BYTES, packed

torch = pytest.importorskip("torch")
SOURCE = pathlib.Path(__file__).with_name("rounded_under_test.cpp")


def rounded(values: np.ndarray) -> np.ndarray:
    """To bfloat16 and back, by PyTorch."""
    return torch.from_numpy(np.array(values, np.float32)).bfloat16().float().numpy()


@given(outputs=st.integers(1, 70), inputs=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
def test_packed_weights_are_rounded_and_lie_in_panels(outputs: int, inputs: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(outputs, inputs)) * 10.0 ** np.arange(-3, inputs - 3).clip(
        -30, 30
    )
    field = packed(values)
    assert (field.shape, field.dtype) == (values.shape, np.float32)
    assert field.ctypes.data % CACHE_LINE_BYTES == 0
    panels, pairs = -(-outputs // 16), -(-inputs // 32) * 16
    words = np.lib.stride_tricks.as_strided(field, (panels * pairs * 16,), (4,)).view(np.uint16)
    unpacked = words.reshape(panels, pairs, 16, 2).transpose(0, 2, 1, 3).reshape(panels * 16, pairs * 2)
    numbers = (unpacked.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(numbers[:outputs, :inputs], rounded(values))
    assert not unpacked[outputs:].any()
    assert not unpacked[:, inputs:].any()


def test_packed_weights_take_half_the_memory() -> None:
    values = np.ones((512, 512))
    tracemalloc.start()
    try:
        field = packed(values)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert field.shape == values.shape
    assert 2 * values.size <= taken <= 2 * values.size + 10_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if COMPILER is None:
        pytest.skip("no C++ compiler (c++, g++ or clang++) was found")
    target = tmp_path_factory.mktemp("rounded") / "rounded.so"
    flags = ["-std=c++20", "-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{HEADERS}"]
    subprocess.run([COMPILER, *flags, str(SOURCE), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture(scope="module", params=["tiles", "vectors"])
def dense(request: pytest.FixtureRequest, library: ctypes.CDLL) -> Any:
    """(xs, packed weights, first row, last row) -> sums, by the matrix unit where there is one, or without."""
    if not hasattr(library, "rounded_dense"):
        pytest.skip("this processor or compiler has no AVX512-BF16")

    def call(xs: list[np.ndarray], weights: list[np.ndarray], row: int = 0, end: int | None = None) -> np.ndarray:
        outputs, count = len(weights[0]), len(xs)
        out = np.full((len(xs[0]), -(-outputs // 16) * 16 + 3), 77.0, np.float32)
        last = len(out) if end is None else end
        pointers = [(ctypes.c_void_p * count)(*(one.ctypes.data for one in each)) for each in (xs, weights)]
        numbers = [
            (ctypes.c_long * count)(*each)
            for each in ([x.strides[0] // 4 for x in xs], [weight.shape[1] for weight in weights])
        ]
        sizes = [ctypes.c_long(n) for n in (row, last, outputs)]
        library.rounded_dense(
            pointers[0], numbers[0], pointers[1], numbers[1], ctypes.c_int(count), *sizes,
            ctypes.c_void_p(out.ctypes.data), ctypes.c_long(out.shape[1]), ctypes.c_int(request.param == "tiles"),
        )  # fmt: skip
        assert (out[:row] == 77.0).all()
        assert (out[last:] == 77.0).all()
        return out[row:last, :outputs]

    return call


layers = st.tuples(
    st.integers(1, 75),  # rows
    st.lists(st.integers(1, 70) | st.sampled_from([208, 512]), min_size=1, max_size=3),  # inputs
    st.integers(1, 75),  # outputs
    st.integers(0, 2**32 - 1),
)


def make_layer(layer: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs in rows with garbage behind them, weights (outputs, inputs)."""
    rows, inputs, outputs, seed = layer
    random = np.random.default_rng(seed)
    padded = [np.full((rows, count + 17), np.nan, np.float32) for count in inputs]
    for x, count in zip(padded, inputs, strict=True):
        x[:, :count] = random.normal(size=(rows, count))
    weights = [random.normal(size=(outputs, count)).astype(np.float32) for count in inputs]
    return [x[:, :count] for x, count in zip(padded, inputs, strict=True)], weights


@settings(max_examples=60, deadline=None)
@given(layer=layers)
def test_the_product_of_rounded_factors(dense: Any, layer: Any) -> None:
    xs, weights = make_layer(layer)
    found = dense(xs, [packed(weight) for weight in weights])
    factors = [(rounded(x).astype(float), rounded(w).astype(float)) for x, w in zip(xs, weights, strict=True)]
    exact = sum(x @ w.T for x, w in factors)
    size = sum(abs(x) @ abs(w).T for x, w in factors)
    assert (np.abs(found - exact) <= sum(x.shape[1] for x in xs) * np.finfo(np.float32).eps * size).all()


@settings(max_examples=40, deadline=None)
@given(layer=layers, data=st.data())
def test_a_columns_bits_do_not_depend_on_its_position_nor_on_the_others(
    dense: Any, layer: Any, data: st.DataObject
) -> None:
    xs, weights = make_layer(layer)
    kept = [packed(weight) for weight in weights]
    found = dense(xs, kept)
    row = data.draw(st.integers(0, len(found) - 1))
    np.testing.assert_array_equal(dense([x[row:] for x in xs], kept), found[row:])
    end = data.draw(st.integers(row + 1, len(found)))
    np.testing.assert_array_equal(dense(xs, kept, row, end), found[row:end])
    for x in xs:
        x[np.arange(len(x)) != row] = np.nan
    np.testing.assert_array_equal(dense(xs, kept)[row], found[row])
