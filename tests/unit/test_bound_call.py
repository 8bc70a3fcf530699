"""Calls that bypass GT4Py's checks: other arrays, other layouts, other emulators, in any order."""

import gc
import threading
import types
import weakref
from typing import Any

import numpy as np
import pytest
from random_models import random_model

from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.lowering.calls import bound_call

SIZES = (5, 4, 3, 2)


def emulator_of(seed: int = 7, n_columns: int = 7, precision: str = "float32") -> Emulator:
    """Of the program that the tests of the networks compile, too; weights differ by ``seed``."""
    return Emulator(random_model("simple", SIZES, seed=seed, width=24), n_columns, "dace_cpu", precision)


def random_inputs(n_columns: int, seed: int, precision: str = "float32") -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=(n_columns, size)).astype(precision) for size in SIZES[:3]]


def embedded(emulator: Emulator, inputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return Emulator(emulator.model, emulator.n_columns, "embedded", emulator.precision).step(*inputs)


def check(emulator: Emulator, results: Any, inputs: list[np.ndarray]) -> None:
    for found, expected in zip(results, embedded(emulator, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def layouts(array: np.ndarray) -> list[np.ndarray]:
    """The same values in other strides: rows first, features first, with gaps, in every second column."""
    wide = np.full((2 * array.shape[0], 3 * array.shape[1]), np.nan, array.dtype)
    wide[::2, ::3] = array
    features_first = np.full((array.shape[1] + 2, array.shape[0] + 5), np.nan, array.dtype)
    features_first[:-2, :-5] = array.T
    return [np.ascontiguousarray(array), np.asfortranarray(array), wide[::2, ::3], features_first[:-2, :-5].T]


def test_other_arrays_and_strides_after_the_first_call() -> None:
    emulator = emulator_of()
    emulator.step(*random_inputs(7, 0))
    for seed in range(3):
        inputs = random_inputs(7, seed)
        expected = emulator.step(*inputs)
        check(emulator, expected, inputs)
        for k in range(4):
            given = [layouts(array)[(k + position) % 4] for position, array in enumerate(inputs)]
            out = tuple(layouts(np.zeros_like(result))[k] for result in expected)
            emulator.step(*given, out=out)
            for found, wanted in zip(out, expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
                if found.base is not None and found.base.shape != found.T.shape:
                    rest = found.base if found.base.ndim == 2 else np.empty(0)
                    assert np.isnan(rest).sum() == rest.size - found.size, "written beside the result"


def test_the_first_call_may_have_any_layout() -> None:
    """Nothing of its strides is kept."""
    inputs = random_inputs(7, 5)
    expected = emulator_of().step(*inputs)
    for k in range(4):
        emulator = emulator_of()
        for given in ([layouts(array)[k] for array in inputs], inputs):
            for found, wanted in zip(emulator.step(*given), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_an_array_may_be_broadcast() -> None:
    """One column's values for all columns, without memory for them."""
    emulator = emulator_of()
    inputs = random_inputs(7, 3)
    static = np.broadcast_to(inputs[0][:1], inputs[0].shape)
    scalar = np.broadcast_to(np.float32(0.5), inputs[1].shape)
    expected = emulator.step(static.copy(), scalar.copy(), inputs[2])
    for found, wanted in zip(emulator.step(static, scalar, inputs[2]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_one_array_may_be_two_inputs() -> None:
    emulator = Emulator(random_model("simple", (3, 4, 3, 2), seed=7, width=24), 7, "embedded")
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    forcing = random_inputs(7, 1)[1]
    expected = emulator.step(values, forcing, values.copy())
    for found, wanted in zip(emulator.step(values, forcing, values), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_inputs_that_are_gone_are_not_held_nor_read() -> None:
    emulator = emulator_of()
    emulator.step(*random_inputs(7, 0))
    inputs = random_inputs(7, 1)
    references = [weakref.ref(array) for array in inputs]
    emulator.step(*inputs)
    del inputs
    gc.collect()
    assert all(reference() is None for reference in references), "the emulator holds on to its last inputs"
    for seed in range(5):  # memory of the old ones is given away again
        inputs = random_inputs(7, seed)
        check(emulator, emulator.step(*inputs), inputs)


def test_repeated_steps_on_the_same_arrays_see_new_values() -> None:
    """Steps on the very same arrays take a short cut; what stands in the arrays is read anew."""
    emulator = emulator_of()
    inputs = random_inputs(7, 0)
    out = (np.empty((7, 3), np.float32), np.empty((7, 2), np.float32))
    for seed in range(4):
        for array, values in zip(inputs, random_inputs(7, seed), strict=True):
            array[...] = values
        out[0][...] = out[1][...] = np.nan
        results = emulator.step(*inputs, out=out)
        assert results[0] is out[0]
        assert results[1] is out[1]
        check(emulator, results, inputs)


def test_a_refused_step_between_does_not_spoil_the_next() -> None:
    emulator = emulator_of()
    inputs, others = random_inputs(7, 0), random_inputs(7, 1)
    out = (np.empty((7, 3), np.float32), np.empty((7, 2), np.float32))
    emulator.step(*inputs, out=out)
    emulator.step(*inputs, out=out)
    with pytest.raises(InputError, match="memory shared"):
        emulator.step(*inputs, out=(inputs[2], out[1]))
    with pytest.raises(InputError, match="found the shape"):
        emulator.step(inputs[0][:3], *inputs[1:], out=out)
    check(emulator, emulator.step(*inputs, out=out), inputs)
    check(emulator, emulator.step(*others, out=out), others)
    check(emulator, emulator.step(*inputs, out=out), inputs)


def test_emulators_of_one_program_do_not_disturb_each_other() -> None:
    """One compiled program, other weights and other numbers of columns; in turns."""
    emulators = [emulator_of(seed, n_columns) for seed, n_columns in ((7, 7), (8, 7), (9, 40), (7, 1))]
    inputs = [random_inputs(emulator.n_columns, position) for position, emulator in enumerate(emulators)]
    expected = [embedded(emulator, given) for emulator, given in zip(emulators, inputs, strict=True)]
    for which in (0, 1, 2, 3, 3, 2, 0, 2, 1, 0, 3, 1):
        for found, wanted in zip(emulators[which].step(*inputs[which]), expected[which], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_an_emulator_outlives_the_others_of_its_program() -> None:
    first, second = emulator_of(7), emulator_of(8)
    inputs = random_inputs(7, 0)
    first.step(*inputs)
    expected = second.step(*inputs)
    del first
    gc.collect()
    for found, wanted in zip(second.step(*inputs), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_two_emulators_may_step_at_the_same_time() -> None:
    """In two threads of the host, each with its own emulator of one program."""
    emulators = [emulator_of(seed, 3000) for seed in (7, 8)]
    inputs = [random_inputs(3000, seed) for seed in (0, 1)]
    expected = [emulator.step(*given) for emulator, given in zip(emulators, inputs, strict=True)]
    wrong: list[int] = []

    def steps(which: int) -> None:
        for _ in range(100):
            results = emulators[which].step(*inputs[which])
            if any((found != wanted).any() for found, wanted in zip(results, expected[which], strict=True)):
                wrong.append(which)

    threads = [threading.Thread(target=steps, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def program_with(**variants: Any) -> Any:
    return types.SimpleNamespace(
        __name__="a_program", _compiled_programs=types.SimpleNamespace(compiled_programs=variants)
    )


@pytest.mark.parametrize("call", [bound_call.BoundCall, bound_call.EntryCall])
@pytest.mark.parametrize(
    ("program", "count"), [(program_with(), 0), (program_with(a=1, b=2), 2), (program_with(a=lambda: None), 1)]
)
def test_a_program_whose_compiled_form_is_not_found_is_an_error_of_one_line(
    call: Any, program: Any, count: int
) -> None:
    with pytest.raises(RunError) as caught:
        call(program, ["x"])
    assert str(caught.value) == (
        f"the compiled form of program 'a_program' cannot be found: found {count} variants, "
        "expected one of GT4Py 1.1.12 or 1.2"
    )
