"""What static inputs alone decide is computed once, and again as soon as they change."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from random_models import ARCHITECTURES, random_model
from test_networks import check, compiled, random_inputs

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator, PreparedStatic

SIZES, N_COLUMNS = (5, 4, 3, 2), 7


def emulator_of(architecture: str, backend: str, precision: str = "float32") -> Emulator:
    """Of the networks that `test_networks` compiles; one of its own for each test, so that nothing is kept in it."""
    if backend == "embedded":
        return Emulator(random_model(architecture, SIZES, seed=7, width=24), N_COLUMNS, "embedded", precision)
    model = compiled((architecture, SIZES, 7, 24, 2), N_COLUMNS, precision).model
    return Emulator(model, N_COLUMNS, backend, precision)


BACKENDS = ["embedded", "dace_cpu"]


@contextlib.contextmanager
def counted_calls(emulator: Emulator) -> Iterator[list[int]]:
    """Counts the runs of the static part's program in the list's one element."""
    count, original = [0], emulator._static_part
    assert original is not None

    class Counting:
        is_compiled = True

        def __call__(self, values: object) -> None:
            count[0] += 1
            original(values)

    emulator._static_part = Counting()
    yield count
    emulator._static_part = original


@pytest.mark.parametrize("backend", BACKENDS)
def test_static_inputs_that_change_in_position_are_seen_at_once(backend: str) -> None:
    emulator = emulator_of("two_branch", backend)
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    check(emulator, emulator.step(*inputs), inputs)
    before = emulator.step(*inputs)[0]
    inputs[0][3, 1] += 1.0
    after = emulator.step(*inputs)
    check(emulator, after, inputs)
    changed = (after[0] != before).any(axis=1)
    np.testing.assert_array_equal(changed, np.arange(N_COLUMNS) == 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_static_part_runs_only_when_values_change(backend: str) -> None:
    emulator = emulator_of("two_branch", backend)
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    with counted_calls(emulator) as count:
        emulator.step(*inputs)
        assert count == [1]
        emulator.step(*inputs)
        emulator.step(inputs[0].copy(order="F"), *inputs[1:])
        assert count == [1], "the values are the same"
        inputs[0][0, 0] += 1.0
        emulator.step(*inputs)
        assert count == [2]
        prepared = emulator.prepare_static(inputs[0])
        assert count == [3]
        for _ in range(3):
            emulator.step(prepared, *inputs[1:])
        assert count == [3]
        emulator.step(*inputs)
        assert count == [3], "the values that were kept before are still those"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_static_value_stays_visible_and_goes_when_it_goes(backend: str) -> None:
    emulator = emulator_of("two_branch", backend)
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    good = inputs[0].copy()
    inputs[0][2, 0] = np.nan
    for _ in range(2):
        for result in emulator.step(*inputs):
            assert np.isnan(result[2]).all()
            assert np.isfinite(np.delete(result, 2, axis=0)).all()
    check(emulator, emulator.step(good, *inputs[1:]), [good, *inputs[1:]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_prepared_inputs_stand_for_the_static_ones(architecture: str, backend: str) -> None:
    """They are a copy: what the caller does to the array later does not reach them."""
    emulator = emulator_of(architecture, backend)
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    expected = emulator.step(*inputs)
    given = inputs[0].copy()
    prepared = emulator.prepare_static(given)
    given[...] = np.nan
    assert isinstance(prepared, PreparedStatic)
    assert not np.may_share_memory(prepared.values, given)
    for _ in range(3):
        for found, wanted in zip(emulator.step(prepared, *inputs[1:]), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_two_sets_of_prepared_inputs_do_not_disturb_each_other() -> None:
    emulator = emulator_of("two_branch", "dace_cpu")
    first, second = (random_inputs(emulator.model, N_COLUMNS, "float32", seed) for seed in (1, 2))
    expected = [emulator.step(*inputs) for inputs in (first, second)]
    prepared = [emulator.prepare_static(inputs[0]) for inputs in (first, second)]
    out = tuple(np.empty_like(result) for result in expected[0])
    for which in (0, 1, 0, 0, 1, 1):
        emulator.step(prepared[which], *(first, second)[which][1:], out=out)
        for found, wanted in zip(out, expected[which], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_inputs_that_another_emulator_prepared_are_refused() -> None:
    model = random_model("two_branch", SIZES)
    one, other = Emulator(model, 3, "embedded"), Emulator(model, 3, "embedded")
    inputs = random_inputs(model, 3, "float32")
    prepared = other.prepare_static(inputs[0])
    with pytest.raises(InputError, match="static: found inputs that another emulator prepared, expected this emulator"):
        one.step(prepared, *inputs[1:])
    other.step(prepared, *inputs[1:])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_prepared_is_checked(architecture: str) -> None:
    emulator = Emulator(random_model(architecture, SIZES), 3, "embedded")
    static = random_inputs(emulator.model, 3, "float32")[0]
    with pytest.raises(InputError, match=r"static: found the shape \(2, 5\), expected \(3, 5\)"):
        emulator.prepare_static(static[:2])
    with pytest.raises(InputError, match="static: found the type float64, expected float32"):
        emulator.prepare_static(static.astype(np.float64))


def test_a_result_in_the_memory_of_prepared_inputs_is_refused() -> None:
    emulator = Emulator(random_model("simple", (2, 4, 2, 2)), 3, "embedded")
    static, forcing, state = random_inputs(emulator.model, 3, "float32")
    prepared = emulator.prepare_static(static)
    with pytest.raises(InputError, match="new state: found memory shared with the input 'static'"):
        emulator.step(prepared, forcing, state, out=(prepared.values, np.empty((3, 2), np.float32)))
