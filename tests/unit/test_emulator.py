"""The emulator's interface: shapes, types, devices, results, errors."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from random_models import random_model

from ailand_gt4py.core.dimensions import StateFeature, unit_dimension
from ailand_gt4py.core.errors import InputError, RunError
from ailand_gt4py.emulator import differentiated
from ailand_gt4py.emulator.derivatives.described import describe_state_tangents
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.operands import feature_extent
from ailand_gt4py.emulator.programs import Programs
from ailand_gt4py.emulator.rollout import Rollout
from ailand_gt4py.lowering.calls import operator_call
from ailand_gt4py.stencils.network.step import ProgramDescription, make_program

UNITS = unit_dimension("combine0")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(random_model("simple", (4, 3, 2, 2)), 6, "embedded", "float32")


def arrays(n_columns: int = 6, dtype: str = "float32") -> list[np.ndarray]:
    return [np.random.default_rng(0).normal(size=(n_columns, size)).astype(dtype) for size in (4, 3, 2)]


def test_results_have_the_models_shapes_and_the_emulators_type(emulator: Emulator) -> None:
    new_state, diagnostics = emulator.step(*arrays())
    assert (new_state.shape, diagnostics.shape) == ((6, 2), (6, 2))
    assert new_state.dtype == diagnostics.dtype == emulator.dtype == np.float32
    assert emulator.allocate(5).shape == (6, 5)


def test_results_of_one_step_survive_the_next(emulator: Emulator) -> None:
    static, forcing, state = arrays()
    first, _ = emulator.step(static, forcing, state)
    kept = first.copy()
    emulator.step(static, forcing, first)
    np.testing.assert_array_equal(first, kept)


def test_results_go_to_the_callers_arrays(emulator: Emulator) -> None:
    expected = emulator.step(*arrays())
    out = (np.full((2, 6), np.nan, dtype=np.float32).T, np.full((6, 2), np.nan, dtype=np.float32))
    results = emulator.step(*arrays(), out=out)
    for result, given, wanted in zip(results, out, expected, strict=True):
        assert result is given
        np.testing.assert_array_equal(given, wanted)


def test_result_sharing_memory_with_an_input_is_refused(emulator: Emulator) -> None:
    static, forcing, state = arrays()
    with pytest.raises(InputError, match="new state: found memory shared with the input 'state'"):
        emulator.step(static, forcing, state, out=(state, np.empty((6, 2), dtype=np.float32)))


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, lambda a: a[:5], r"static: found the shape \(5, 4\), expected \(6, 4\)"),
        (1, lambda a: a[:, :2], r"forcing: found the shape \(6, 2\), expected \(6, 3\)"),
        (2, lambda a: a.astype("float64"), "state: found the type float64, expected float32"),
        (2, lambda a: a[0], r"state: found the shape \(2,\)"),
        (1, lambda a: a.tolist(), "forcing: found list"),
        (0, lambda a: a[::-1], "static: found the strides"),
    ],
)
def test_unusable_arrays_are_named(emulator: Emulator, which: int, change, message: str) -> None:
    inputs = arrays()
    inputs[which] = change(inputs[which])
    with pytest.raises(InputError, match=message):
        emulator.step(*inputs)


def test_unknown_backend_names_those_there_are() -> None:
    model = random_model("simple")
    with pytest.raises(InputError, match="backend: found 'gtfn', expected one of embedded, dace_cpu, dace_gpu"):
        Emulator(model, 1, "gtfn")
    with pytest.raises(InputError, match="backend: found int"):
        Emulator(model, 1, 3)


def test_unknown_precision_and_no_columns_are_errors() -> None:
    model = random_model("simple")
    with pytest.raises(InputError, match="precision: found 'float16', expected one of float32, float64"):
        Emulator(model, 1, "embedded", "float16")
    for number in (0, 1.5, "3", float("nan"), None, True):
        with pytest.raises(
            InputError, match=f"number of columns: found {number!r}, expected a whole number of at least 1"
        ):
            Emulator(model, number, "embedded")
    assert Emulator(model, np.int64(3), "embedded").n_columns == 3


def test_a_file_name_is_no_model() -> None:
    with pytest.raises(InputError, match="model: found str, expected a Model, as read_model"):
        Emulator("model.nc", 1, "embedded")  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["embedded", "dace_cpu"])
def test_intermediate_fields_take_memory_only_where_they_are_written(backend: str) -> None:
    programs = Programs(random_model("two_branch", (4, 3, 2, 2)), 6, backend, "float32")
    for feature in (UNITS, StateFeature):
        buffer = programs._buffer("units", feature, (6, feature_extent(programs.model, feature)))
        assert buffer.ndarray.shape == (6, feature_extent(programs.model, feature))
        assert (buffer.ndarray.strides == (0, 0)) == (backend == "dace_cpu")
        assert (buffer.ndarray == 0).all()


@pytest.mark.parametrize("architecture", ["simple", "two_branch", "layer_norm"])
def test_only_the_static_branch_of_two_branch_is_a_program_of_its_own(architecture: str) -> None:
    emulator = Emulator(random_model(architecture, (4, 3, 2, 2)), 6, "embedded")
    assert (emulator._static_part is not None) == (architecture == "two_branch")
    first = next(iter(emulator._step._fields))
    assert first == ("static_part" if architecture == "two_branch" else "static_input")


def test_compile_makes_all_programs_and_again_none(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_call, "_SHARED", {})  # another test may have made them
    emulator = Emulator(random_model("two_branch", (5, 4, 3, 2), seed=7, width=24), 3, "dace_cpu")
    calls = (emulator._step, emulator._static_part)
    assert not any(call.is_compiled for call in calls)
    with caplog.at_level("INFO"):
        emulator.compile()
    assert all(call.is_compiled for call in calls)
    prepared = [record.message for record in caplog.records if record.message.startswith("preparing ")]
    assert sorted(message.split(" for ")[0] for message in prepared) == [
        "preparing the static part of the two_branch network",
        "preparing the two_branch network",
    ]
    caplog.clear()
    with caplog.at_level("INFO"):
        emulator.compile()
        emulator.step(*(np.zeros((3, size), dtype=np.float32) for size in (5, 4, 3)))
    assert caplog.records == []


def test_a_derivatives_step_is_written_once_for_all_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(description: ProgramDescription) -> Any:
        written.append(description.name)
        return make_program(description)

    describe_state_tangents.cache_clear()
    monkeypatch.setattr(differentiated, "make_program", write)
    for seed, n_columns, n_directions in ((0, 6, 2), (0, 6, 3), (1, 4, 2)):
        emulator = Emulator(random_model("simple", (4, 3, 2, 2), seed=seed), n_columns, "embedded", "float32")
        tangents = np.ones((n_columns, n_directions, 2), np.float32)
        new_state, _ = emulator.tangent_linear_of_states(*arrays(n_columns), tangents)
        assert np.abs(new_state).max() > 0.0
    assert len(written) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_is_an_emulator_of_its_own(emulator: Emulator, copied: Any) -> None:
    other, inputs = copied(emulator), arrays()
    for found, expected in zip(other.step(*inputs), emulator.step(*inputs), strict=True):
        np.testing.assert_array_equal(found, expected)
    emulator.turn.take()
    other.step(*inputs)
    rollout = copied(Rollout(emulator, 3))
    assert rollout.distance == 3
    np.testing.assert_array_equal(rollout.run(inputs[0], [inputs[1]], inputs[2])[0][0], other.step(*inputs)[0])


def test_what_was_prepared_is_copied_with_its_emulator() -> None:
    emulator = Emulator(random_model("two_branch", (4, 3, 2, 2)), 6, "embedded")
    static, forcing, state = arrays()
    other, prepared = copy.deepcopy((emulator, emulator.prepare_static(static)))
    expected = emulator.step(static, forcing, state)
    np.testing.assert_array_equal(other.step(prepared, forcing, state)[0], expected[0])


def test_gpu_without_gpu_is_an_error_and_no_fallback() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed") if _has_cupy() else None
    if cupy is not None and _device_count(cupy) > 0:
        pytest.skip("a CUDA device is here")
    with pytest.raises(RunError, match="CuPy|CUDA"):
        Emulator(random_model("simple"), 1, "dace_gpu")


def test_features_of_size_one_are_refused_where_gt4py_cannot_lower_them() -> None:
    model = random_model("simple", (1, 3, 2, 2))
    with pytest.raises(InputError, match="static.*1.*expected at least 2"):
        Emulator(model, 4, "dace_cpu")
    Emulator(model, 4, "embedded").step(*(np.zeros((4, n), dtype=np.float32) for n in (1, 3, 2)))


def test_a_gt4py_backend_can_be_given() -> None:
    """Slow, but right: GT4Py's own backends run the same operators, dense layers as any reduction."""
    from gt4py.next.program_processors.runners.dace import run_dace_cpu_noopt

    assert Emulator(random_model("simple"), 2, run_dace_cpu_noopt).device == "cpu"


def _has_cupy() -> bool:
    import importlib.util

    return importlib.util.find_spec("cupy") is not None


def _device_count(cupy) -> int:
    try:
        return cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0
