"""Which precisions an emulator takes on which backend."""

import numpy as np
import pytest
from random_models import random_model

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator


@pytest.mark.parametrize(
    ("backend", "precision", "expected"),
    [
        ("embedded", "tf32", "float32, float64; tf32 is a mode of dace_gpu"),
        ("embedded", "bf16", "float32, float64; bf16 is a mode of dace_gpu and dace_cpu"),
        ("dace_cpu", "tf32", "float32, float64, bf16; tf32 is a mode of dace_gpu"),
    ],
)
def test_modes_of_other_backends_are_refused(backend: str, precision: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        Emulator(random_model("simple"), 3, backend, precision)  # type: ignore[arg-type]
    assert str(caught.value) == f"precision: found '{precision}' on '{backend}', expected one of {expected}"


@pytest.mark.parametrize(
    ("backend", "expected"), [("dace_cpu", "float32, float64, bf16"), ("dace_gpu", "float32, float64, tf32, bf16")]
)
def test_an_unknown_precision_is_refused(backend: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        Emulator(random_model("simple"), 3, backend, "float16")  # type: ignore[arg-type]
    assert str(caught.value) == f"precision: found 'float16', expected one of {expected}"


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_arrays_have_the_precision(precision: str) -> None:
    emulator = Emulator(random_model("simple"), 3, "embedded", precision)  # type: ignore[arg-type]
    assert emulator.dtype == np.dtype(precision)
    assert emulator.allocate(2).dtype == emulator.dtype
