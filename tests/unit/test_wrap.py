"""The zero-copy wrap: shared memory, and errors instead of copies."""

import gt4py.next as gtx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, StateFeature
from ailand_gt4py.core.errors import InputError, RunError


@given(
    rows=st.integers(1, 9),
    features=st.integers(1, 5),
    row_step=st.integers(1, 3),
    feature_step=st.integers(1, 3),
    order=st.sampled_from("CF"),
)
def test_wrap_shares_memory_for_any_strides(
    rows: int, features: int, row_step: int, feature_step: int, order: str
) -> None:
    base = np.zeros((rows * row_step, features * feature_step), order=order)
    view = base[::row_step, ::feature_step]
    field = arrays.wrap(view, (Column, StateFeature))
    assert np.shares_memory(field.ndarray, base)
    assert field.ndarray.strides == view.strides
    view[-1, -1] = 7.0
    assert field.ndarray[-1, -1] == 7.0
    assert field.domain.shape == (rows, features)


def test_wrap_refuses_wrong_number_of_axes() -> None:
    with pytest.raises(InputError, match=r"state: found 1 axes, expected 2 \(Column, StateFeature\)"):
        arrays.wrap(np.zeros(3), (Column, StateFeature), "state")


@pytest.mark.parametrize("array", [np.zeros(6)[::-1], np.zeros(4, dtype="f4,f8")["f1"]])
def test_wrap_refuses_strides_that_programs_cannot_use(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="strides"):
        arrays.wrap(array, (Column,))


def test_as_array_takes_what_shares_memory() -> None:
    array = np.zeros(4)
    assert arrays.as_array(array, "cpu", "x") is array
    field = gtx.as_field([Column], array)
    assert np.shares_memory(arrays.as_array(field, "cpu", "x"), field.ndarray)


def test_as_array_reads_dlpack_without_a_copy() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it only serves as a DLPack producer here")
    tensor = torch.zeros(4, dtype=torch.float32)
    array = arrays.as_array(tensor, "cpu", "x")
    tensor[2] = 5.0
    assert array[2] == 5.0


@pytest.mark.parametrize("value", [[1.0, 2.0], 3.0, None, "x"])
def test_as_array_refuses_what_is_no_array(value: object) -> None:
    with pytest.raises(InputError, match=f"forcing: found {type(value).__name__}, expected a NumPy or CuPy array"):
        arrays.as_array(value, "cpu", "forcing")


def test_as_array_never_moves_between_devices() -> None:
    with pytest.raises(InputError, match="found a NumPy array in host memory"):
        arrays.as_array(np.zeros(2), "cuda", "forcing")

    class OnDevice:
        __cuda_array_interface__ = None

    with pytest.raises(InputError, match="found an array on a CUDA device"):
        arrays.as_array(OnDevice(), "cpu", "forcing")


def test_cuda_without_a_device_is_an_error_that_says_so() -> None:
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() > 0:
            pytest.skip("a CUDA device is here")
    except Exception:  # no CuPy, or no driver: the case that is tested
        pass
    with pytest.raises(RunError, match="CuPy|CUDA device"):
        arrays.array_module("cuda")
