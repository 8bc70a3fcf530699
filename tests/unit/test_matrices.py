"""Matrices of weights in memory as the kernels read them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.core.matrices import CACHE_LINE_BYTES, for_products


@given(
    outputs=st.integers(1, 70),
    inputs=st.integers(1, 9),
    order=st.sampled_from("CF"),
    dtype=st.sampled_from(["f4", "f8", ">f4"]),
    wanted=st.sampled_from(["f4", "f8"]),
)
def test_rows_of_whole_cache_lines(outputs: int, inputs: int, order: str, dtype: str, wanted: str) -> None:
    values = np.arange(outputs * inputs, dtype=dtype).reshape(outputs, inputs)
    values = np.asarray(values, order=order)  # type: ignore[call-overload]
    laid = for_products(values, np.dtype(wanted))
    assert laid.dtype == np.dtype(wanted)
    np.testing.assert_array_equal(laid, values)
    step, stride = laid.strides
    assert step == laid.itemsize
    assert stride % CACHE_LINE_BYTES == 0
    assert stride > outputs * laid.itemsize, "no room behind a row: strides could be powers of two"
    assert laid.ctypes.data % CACHE_LINE_BYTES == 0


def test_what_lies_so_already_is_not_copied() -> None:
    laid = for_products(np.ones((40, 7), np.float32), np.dtype(np.float32))
    assert for_products(laid, laid.dtype) is laid
    some = laid[:, 2:5]
    assert np.shares_memory(for_products(some, laid.dtype), laid)


@pytest.mark.parametrize("part", [np.s_[1:], np.s_[::2]])
def test_other_parts_and_types_are_copied(part: object) -> None:
    laid = for_products(np.ones((40, 7), np.float32), np.dtype(np.float32))
    some = laid[part]  # type: ignore[call-overload]
    assert not np.shares_memory(for_products(some, laid.dtype), laid)
    assert not np.shares_memory(for_products(laid, np.dtype(np.float64)), laid)
