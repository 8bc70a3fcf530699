"""A step whose layers multiply factors in bfloat16, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from point_wise_models import point_wise_model, some_inputs
from random_models import ARCHITECTURES, random_model
from test_networks import random_inputs, relative_norm

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.calls import backends, toolchain
from ailand_gt4py.weights.model import Model

#: Factors rounded to 8 bits have relative errors of up to 2^-9 each, of any sign; sums of them err less.
LEAST, MOST = 1e-4, 1e-2

needs_bfloat16 = pytest.mark.skipif(not toolchain.defines("__AVX512BF16__"), reason="no AVX512-BF16 here")


def steps(model: Model, inputs: list[np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """Results in both precisions."""
    return {
        precision: Emulator(model, len(inputs[0]), "dace_cpu", precision).step(*inputs)  # type: ignore[arg-type]
        for precision in ("float32", "bf16")
    }


def check(model: Model, inputs: list[np.ndarray]) -> None:
    results = steps(model, inputs)
    for found, exact in zip(results["bf16"], results["float32"], strict=True):
        assert found.dtype == np.float32
        assert LEAST < relative_norm(found, exact) < MOST


@needs_bfloat16
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_is_that_in_float32_but_for_the_rounding(architecture: str) -> None:
    model = random_model(architecture, (5, 4, 3, 2), seed=7, width=40)
    check(model, random_inputs(model, 50, "float32"))


@needs_bfloat16
def test_a_point_wise_network() -> None:
    model = point_wise_model()
    check(model, some_inputs(model, 50, "float32"))


@needs_bfloat16
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_columns_bits_do_not_depend_on_the_number_of_columns(architecture: str) -> None:
    model = random_model(architecture, (5, 4, 3, 2), seed=7, width=24)
    inputs = random_inputs(model, 1500, "float32")
    expected = Emulator(model, 1500, "dace_cpu", "bf16").step(*inputs)
    for n_columns in (1, 15, 16, 17, 33, 385, 1001):
        few = Emulator(model, n_columns, "dace_cpu", "bf16").step(*(array[-n_columns:] for array in inputs))
        for found, wanted in zip(few, expected, strict=True):
            np.testing.assert_array_equal(found, wanted[-n_columns:])


@needs_bfloat16
def test_bounds_and_what_is_not_a_layer_stay_in_float32() -> None:
    """A bound that another variable is holds to the bit."""
    model = random_model("layer_norm", (8, 4, 4, 3), seed=7, width=24, bounded_by_others=True)
    static, forcing, state = random_inputs(model, 200, "float32")
    new_state, _ = Emulator(model, 200, "dace_cpu", "bf16").step(static, forcing, state)
    for position, bound in ((1, static[:, 1]), (3, forcing[:, 0])):
        assert (new_state[:, position] <= bound).all()
        assert (new_state[:, position] == bound).any(), "no bound was reached"


@needs_bfloat16
def test_derivatives_are_those_in_float32() -> None:
    model = random_model("layer_norm", (5, 4, 3, 2), seed=7, width=24)
    inputs = random_inputs(model, 20, "float32")
    found, expected = (
        Emulator(model, 20, "dace_cpu", precision).tangent_linear(*inputs, *inputs)  # type: ignore[arg-type]
        for precision in ("bf16", "float32")
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_processor_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.toolchain, "defines", lambda macro: False)
    with pytest.raises(InputError, match=r"^precision: found 'bf16' on 'dace_cpu', expected float32"):
        Emulator(random_model("simple"), 3, "dace_cpu", "bf16")
