"""Columns are independent of each other, and inputs stay as they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import ARCHITECTURES
from test_networks import compiled, random_inputs

from ailand_gt4py.emulator.emulator import Emulator

N_COLUMNS = (7, 64, 1000)


def key(architecture: str) -> tuple:
    return (architecture, (5, 4, 3, 2), 7, 24, 2)


@pytest.mark.parametrize(
    ("architecture", "precision"), [("simple", "float64"), ("two_branch", "float32"), ("layer_norm", "float32")]
)
def test_permuted_columns_give_permuted_results_bit_for_bit(architecture: str, precision: str) -> None:
    for n_columns in N_COLUMNS:
        emulator = compiled(key(architecture), n_columns, precision)
        inputs = random_inputs(emulator.model, n_columns, precision)
        order = np.random.default_rng(1).permutation(n_columns)
        results = emulator.step(*inputs)
        permuted = emulator.step(*(array[order] for array in inputs))
        for found, expected in zip(permuted, results, strict=True):
            np.testing.assert_array_equal(found, expected[order])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_column_does_not_depend_on_its_neighbours(architecture: str, precision: str) -> None:
    n_columns = 64
    emulator = compiled(key(architecture), n_columns, precision)
    inputs = random_inputs(emulator.model, n_columns, precision)
    results = emulator.step(*inputs)
    others = [array.copy() for array in inputs]
    for array in others:
        array[np.arange(n_columns) != 20] = np.nan
    for found, expected in zip(emulator.step(*others), results, strict=True):
        np.testing.assert_array_equal(found[20], expected[20])


@pytest.mark.parametrize("backend", ["embedded", "dace_cpu"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nan_stays_visible_and_in_its_column(architecture: str, backend: str) -> None:
    """Activations and bounds must not turn a missing value into a number."""
    emulator = compiled(key(architecture), 7, "float32")
    if backend == "embedded":
        emulator = Emulator(emulator.model, 7, "embedded")
    for which in range(3):
        inputs = random_inputs(emulator.model, 7, "float32")
        inputs[which][3, 1] = np.nan
        for result in emulator.step(*inputs):
            assert np.isnan(result[3]).all()
            assert np.isfinite(np.delete(result, 3, axis=0)).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), order=st.sampled_from("CF"), offset=st.integers(0, 3))
def test_results_do_not_depend_on_memory_layout_and_inputs_stay_unchanged(
    data: st.DataObject, order: str, offset: int
) -> None:
    emulator = compiled(key("simple"), 64, "float32")
    inputs = random_inputs(emulator.model, 64, "float32", seed=data.draw(st.integers(0, 1000)))
    expected = emulator.step(*inputs)
    strided = []
    for array in inputs:
        base = np.full((64 * 2, array.shape[1] + offset), np.nan, dtype=np.float32, order=order)
        base[::2, offset:] = array
        strided.append(base[::2, offset:])
    for array in strided:
        array.flags.writeable = False
    for found, wanted in zip(emulator.step(*strided), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for array, original in zip(strided, inputs, strict=True):
        np.testing.assert_array_equal(array, original)
