"""What a caller's arrays may be: masked, read-only, overlapping, parts of one block, GT4Py fields, resized in place."""

import itertools
import pathlib
import types
import weakref
from typing import Any

import gt4py.next as gtx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from random_models import random_model

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column, ForcingFeature, StateFeature
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.emulator.rollout import Rollout

SIZES = (4, 3, 2, 2)
N_COLUMNS = 6


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(random_model("simple", SIZES), N_COLUMNS, "embedded")


def random_inputs(sizes: tuple[int, ...] = SIZES[:3]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(N_COLUMNS, size)).astype(np.float32) for size in sizes]


def results() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((N_COLUMNS, 2), np.float32), np.zeros((N_COLUMNS, 2), np.float32)


def masked(array: np.ndarray, *index: int) -> np.ma.MaskedArray:
    """With one element missing, under whose mask a fill value stands."""
    result = np.ma.array(array.copy())
    result[index] = np.ma.masked
    result.data[index] = 1e20
    return result


# --- masks ---


def test_an_array_without_masked_elements_is_read_where_it_is() -> None:
    array = np.ma.array(np.arange(4.0))
    assert np.shares_memory(arrays.as_array(array, "cpu", "x"), array.data)
    assert type(arrays.as_array(array, "cpu", "x")) is np.ndarray


def test_masked_elements_are_refused_or_filled_in_a_copy() -> None:
    array = masked(np.zeros((3, 2)), 2, 1)
    expected = r"x: found 1 masked elements, the first at index \(2, 1\), expected none"
    with pytest.raises(InputError, match=expected):
        arrays.as_array(array, "cpu", "x")
    np.testing.assert_array_equal(arrays.as_array(array, "cpu", "x", np.nan), [[0.0, 0.0], [0.0, 0.0], [0.0, np.nan]])
    assert array.data[2, 1] == 1e20
    land = np.ma.array([True, True], mask=[False, True])
    np.testing.assert_array_equal(arrays.as_array(land, "cpu", "x", False), [True, False])
    with pytest.raises(InputError, match="x: found 1 masked elements"):
        arrays.as_array(np.ma.array([1, 2], mask=[False, True]), "cpu", "x", np.nan)  # no integer is NaN


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("method", ["step", "tangent_linear", "adjoint", "jacobian"])
def test_masked_inputs_are_refused(emulator: Emulator, method: str, which: int) -> None:
    inputs = random_inputs()
    inputs[which] = masked(inputs[which], 1, 1)
    name = ("static", "forcing", "state")[which]
    with pytest.raises(InputError, match=rf"{name}: found 1 masked elements, the first at index \(1, 1\)"):
        getattr(emulator, method)(*inputs)


def test_masked_tangents_adjoints_and_prepared_inputs_are_refused(emulator: Emulator) -> None:
    inputs = random_inputs()
    static, forcing, state = inputs
    rollout = Rollout(emulator)
    calls = {
        "static": lambda: emulator.prepare_static(masked(static, 0, 0)),
        "d_state": lambda: emulator.tangent_linear(*inputs, None, None, masked(state, 0, 0)),
        "g_new_state": lambda: emulator.adjoint(*inputs, masked(state, 0, 0)),
        "d_states": lambda: emulator.tangent_linear_of_states(*inputs, masked(state[:, None], 0, 0, 0)),
        "forcing": lambda: rollout.run(static, masked(np.stack([forcing, forcing]), 1, 0, 0), state),
        "state": lambda: rollout.adjoint(static, [forcing], masked(state, 0, 0), [state]),
        "g_states of step 0": lambda: rollout.adjoint(static, [forcing], state, [masked(state, 0, 0)]),
    }
    for name, call in calls.items():
        with pytest.raises(InputError, match=f"{name}: found 1 masked elements"):
            call()


def test_inputs_derived_at_a_masked_location_are_refused() -> None:
    def derive(latitude: Any, longitude: Any, out: Any) -> None:
        derived_forcing(latitude, longitude, np.datetime64("2020-06-01"), 21600.0, ["time_of_day_cos"], out)

    location, out = np.ones(2), np.zeros((2, 1))
    with pytest.raises(InputError, match="latitude: found 1 masked elements"):
        derive(masked(location, 1), location, out)
    with pytest.raises(InputError, match="longitude: found 1 masked elements"):
        derive(location, masked(location, 1), out)
    out.flags.writeable = False
    with pytest.raises(InputError, match="array for the derived inputs: found a read-only array"):
        derive(location, location, out)


# --- memory of results ---


def test_read_only_results_are_refused_and_stay(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    new_state, diagnostics = results()
    new_state.flags.writeable = False
    for out in ((new_state, diagnostics), (diagnostics, new_state)):
        with pytest.raises(InputError, match="(new state|diagnostics): found a read-only array"):
            emulator.step(*random_inputs(), out=out)
    assert not new_state.any()
    diagnostics.tofile(tmp_path / "map")
    for mode in ("r", "r+"):
        mapped = np.memmap(tmp_path / "map", np.float32, mode, shape=new_state.shape)
        if mode == "r":
            with pytest.raises(InputError, match="new state: found a read-only array"):
                emulator.step(*random_inputs(), out=(mapped, diagnostics))
        else:
            emulator.step(*random_inputs(), out=(mapped, diagnostics))
            np.testing.assert_array_equal(mapped, emulator.step(*random_inputs())[0])


def test_an_adjoint_of_a_run_is_not_made_for_a_read_only_array(emulator: Emulator) -> None:
    static, forcing, state = random_inputs()
    g_forcing = np.zeros((1, *forcing.shape), np.float32)
    g_forcing.flags.writeable = False
    with pytest.raises(InputError, match="g_forcing: found a read-only array"):
        Rollout(emulator).adjoint(static, [forcing], state, [state], g_forcing=g_forcing)


def test_results_that_overlap_are_refused(emulator: Emulator) -> None:
    inputs, (new_state, diagnostics) = random_inputs(), results()
    block = np.zeros(3 * N_COLUMNS, np.float32)
    for out, message in (
        ((new_state, new_state), "diagnostics: found memory shared with the result 'new state'"),
        ((as_strided(block, (N_COLUMNS, 2), (4, 4)), diagnostics), "new state: found the strides .* of its own"),
        ((as_strided(block, (N_COLUMNS, 2), (0, 4)), diagnostics), "new state: found the strides"),
        ((inputs[2], diagnostics), "new state: found memory shared with the input 'state'"),
        ((new_state,), "out: found 1 arrays, expected 2: new state, diagnostics"),
    ):
        with pytest.raises(InputError, match=message):
            emulator.step(*inputs, out=out)


@pytest.mark.parametrize("order", ["C", "F"])
def test_inputs_and_results_may_be_columns_of_one_block(emulator: Emulator, order: Any) -> None:
    inputs = random_inputs()
    expected = emulator.step(*inputs)
    ends = np.cumsum([0, *SIZES[:3], *SIZES[2:]])
    block = np.zeros((N_COLUMNS, ends[-1]), np.float32, order=order)
    parts = [block[:, first:last] for first, last in itertools.pairwise(ends)]
    for part, values in zip(parts, inputs, strict=False):
        part[...] = values
    emulator.step(*parts[:3], out=(parts[3], parts[4]))
    for part, values in zip(parts[3:], expected, strict=True):
        np.testing.assert_array_equal(part, values)
    with pytest.raises(InputError, match="new state: found memory shared with the input 'state'"):
        emulator.step(*parts[:3], out=(block[:, ends[3] - 1 : ends[4] - 1], parts[4]))


VIEWS = st.tuples(
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), min_size=1, max_size=3),
)


@given(VIEWS, VIEWS)
def test_shared_elements_are_found_exactly(first: Any, second: Any) -> None:
    """Of any two views of one block, and of one with itself, as counting their elements finds them."""
    block = np.arange(200)

    def view(offset: int, axes: list[tuple[int, int]]) -> np.ndarray:
        shape, strides = zip(*axes, strict=True)
        return as_strided(block[offset:], shape, tuple(8 * stride for stride in strides))

    array, other = view(*first), view(*second)
    elements, others = array.ravel().tolist(), set(other.ravel().tolist())
    overlaps = len(set(elements)) < len(elements) or not others.isdisjoint(elements)
    try:
        arrays.check_result(array, "x", {"y": other})
    except InputError:
        assert overlaps
    else:
        assert not overlaps


def test_memory_is_compared_by_address_where_it_cannot_be_read() -> None:
    """As of a GPU: addresses alone say what is shared."""

    def on_device(address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        data = types.SimpleNamespace(ptr=address)
        return types.SimpleNamespace(
            data=data, shape=shape, strides=strides, itemsize=4, dtype=np.dtype(np.float32), size=shape[0] * shape[1]
        )

    state, beside, across = (on_device(4096 + 4 * k, (5, 3), (40, 4)) for k in (0, 3, 2))
    arrays.check_result(beside, "x", {"y": state})
    with pytest.raises(InputError, match="x: found memory shared with y"):
        arrays.check_result(across, "x", {"y": state})


# --- GT4Py fields ---


def test_gt4py_fields_that_do_not_begin_at_zero_are_refused(emulator: Emulator) -> None:
    static, forcing, state = random_inputs()
    expected = emulator.step(static, forcing, state)
    field = gtx.as_field([Column, ForcingFeature], forcing)
    np.testing.assert_array_equal(emulator.step(static, field, state)[0], expected[0])
    field = gtx.as_field({Column: (-1, N_COLUMNS - 1), StateFeature: (0, 2)}, state)
    with pytest.raises(InputError, match=r"state: found a GT4Py field that begins at \(-1, 0\), expected one that beg"):
        emulator.step(static, forcing, field)


def test_a_wrapped_field_begins_where_it_is_told() -> None:
    field = arrays.wrap(np.zeros((3, 2)), (Column, StateFeature), starts=(-1, 4))
    assert [(one.unit_range.start, one.unit_range.stop) for one in field.domain] == [(-1, 2), (4, 6)]


# --- arrays that change between steps ---


@pytest.mark.parametrize("backend", ["embedded", "dace_cpu"])
def test_an_array_that_was_resized_in_place_is_looked_at_again(backend: str) -> None:
    """Also where it comes back to its shape, elsewhere in memory, and where it has become read-only."""
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=24), N_COLUMNS, backend)
    given_arrays = random_inputs((5, 4, 3, 3, 2))
    inputs, out = given_arrays[:3], tuple(given_arrays[3:])
    expected = [values.copy() for values in emulator.step(*inputs)]

    def check_steps() -> None:
        for _ in range(3):  # from the third on by the short cut
            for result in out:
                result[...] = np.nan
            emulator.step(*inputs, out=out)
            for result, wanted in zip(out, expected, strict=True):
                np.testing.assert_array_equal(result, wanted)

    for which, changed in enumerate(given_arrays):
        check_steps()
        values, (n, size) = changed.copy(), changed.shape
        for wrong in ((n // 2, size), (n, size - 1), (1000 * n, size)):
            changed.resize(wrong, refcheck=False)
            with pytest.raises(InputError, match="found the shape"):
                emulator.step(*inputs, out=out)
        changed.resize((n, size), refcheck=False)
        changed[...] = values
        check_steps()
        if which > 2:
            changed.flags.writeable = False
            with pytest.raises(InputError, match="found a read-only array"):
                emulator.step(*inputs, out=out)
            changed.flags.writeable = True


def test_repeated_steps_take_the_short_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the state goes to and fro between two arrays."""
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=24), N_COLUMNS, "dace_cpu")
    static, forcing, state, *out = random_inputs((5, 4, 3, 3, 2))
    first, (other, diagnostics) = state.copy(), out

    def two_steps() -> list[np.ndarray]:
        state[...], other[...] = first, np.nan
        emulator.step(static, forcing, state, out=(other, diagnostics))
        emulator.step(static, forcing, other, out=(state, diagnostics))
        return [values.copy() for values in (other, state, diagnostics)]

    expected = two_steps()
    assert not np.array_equal(expected[0], expected[1])
    for found, wanted in zip(two_steps(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    monkeypatch.setattr(Emulator, "_checked_step", lambda *_: pytest.fail("looked at all again"))
    for found, wanted in zip(two_steps(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_emulator_holds_on_to_the_arrays_of_two_steps_and_no_more() -> None:
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=24), N_COLUMNS, "embedded")
    inputs, given_arrays = random_inputs((5, 4, 3)), [random_inputs((3, 2)) for _ in range(4)]
    watched = [weakref.ref(one) for one, _ in given_arrays]
    for out in given_arrays:
        emulator.step(*inputs, out=tuple(out))
    del out
    given_arrays.clear()
    assert [one() is None for one in watched] == [True, True, False, False]


def test_an_array_that_moved_between_steps_is_used_where_it_is() -> None:
    """Without a step in between that would have found another shape."""
    emulator = Emulator(random_model("simple", (5, 4, 3, 2), seed=7, width=24), N_COLUMNS, "dace_cpu")
    given_arrays = random_inputs((5, 4, 3, 3, 2))
    inputs, out = given_arrays[:3], tuple(given_arrays[3:])
    for _ in range(3):
        emulator.step(*inputs, out=out)
    expected, address, others = [values.copy() for values in out], arrays.address(out[0]), []
    while arrays.address(out[0]) == address:
        out[0].resize((100_000, 3), refcheck=False)
        others.append(np.zeros((N_COLUMNS, 3), np.float32))  # perhaps where it was
        out[0].resize((N_COLUMNS, 3), refcheck=False)
    out[0][...] = out[1][...] = np.nan
    emulator.step(*inputs, out=out)
    for result, wanted in zip(out, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)
    assert not any(other.any() for other in others)


def test_a_static_input_that_was_resized_is_found_where_a_part_of_it_is_kept() -> None:
    emulator = Emulator(random_model("two_branch", SIZES), N_COLUMNS, "embedded")
    inputs, out = random_inputs(), results()
    emulator.step(*inputs, out=out)
    inputs[0].resize((1, SIZES[0]), refcheck=False)
    with pytest.raises(InputError, match="static: found the shape"):
        emulator.step(*inputs, out=out)


def test_a_mask_that_is_set_between_steps_is_seen(emulator: Emulator) -> None:
    static, forcing, state = random_inputs()
    out, given_forcing = results(), np.ma.array(forcing)
    emulator.step(static, given_forcing, state, out=out)
    given_forcing[2, 1] = np.ma.masked
    with pytest.raises(InputError, match=r"forcing: found 1 masked elements, the first at index \(2, 1\)"):
        emulator.step(static, given_forcing, state, out=out)
