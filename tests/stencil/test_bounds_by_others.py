"""Bounds that other variables are to a step's results: soil water by the soil's porosity, say."""

import dataclasses
import functools

import numpy as np
import pytest
from network_reference import forward
from random_models import forget_column, random_model
from tangent_reference import tangent_linear
from test_networks import random_inputs, relative_norm

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model

SIZES = (5, 4, 3, 3)
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
BACKENDS = ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)]
N_COLUMNS = 300


def bounded(architecture: str) -> Model:
    return random_model(architecture, SIZES, seed=9, width=24, depth=2, bounded_by_others=True)


def bounds_of(model: Model, inputs: list[np.ndarray], results: tuple[np.ndarray, np.ndarray]) -> dict[str, tuple]:
    """Name of a bounded result -> its values and those of its bound."""
    groups = zip((model.static, model.forcing, model.state, model.diagnostics), (*inputs[:2], *results), strict=True)
    values = {v.name: array[:, k] for group, array in groups for k, v in enumerate(group)}
    return {v.name: (values[v.name], values[v.bounded_by]) for v in model.state + model.diagnostics if v.bounded_by}


@functools.cache
def emulator_of(architecture: str, backend: str, precision: str) -> Emulator:
    return Emulator(bounded(architecture), N_COLUMNS, backend, precision)


@pytest.mark.parametrize(
    ("architecture", "backend", "precision"),
    [
        ("simple", "embedded", "float32"),
        ("simple", "embedded", "float64"),
        ("layer_norm", "embedded", "float32"),
        ("layer_norm", "embedded", "float64"),
        pytest.param("layer_norm", "dace_cpu", "float32", marks=pytest.mark.slow),
    ],
)
def test_results_and_changes_are_those_of_the_reference(architecture: str, backend: str, precision: str) -> None:
    emulator = emulator_of(architecture, backend, precision)
    model = emulator.model
    inputs, changes = (random_inputs(model, N_COLUMNS, precision, seed) for seed in (1, 2))
    results = emulator.step(*inputs)
    groups = (model.static, model.forcing, model.state)
    normalised = [
        np.stack([v.normalisation.apply(a[:, k].astype(np.float64)) for k, v in enumerate(group)], axis=1)
        for a, group in zip(inputs, groups, strict=True)
    ]
    reference = forward(model, *normalised)
    for found, expected, group in zip(results, reference, (model.state, model.diagnostics), strict=False):
        scale, shift = (np.array([getattr(v.normalisation, n) for v in group]) for n in ("scale", "shift"))
        assert relative_norm(found, expected * scale + shift) <= TOLERANCES[precision]
    found = np.concatenate(emulator.tangent_linear(*inputs, *changes), axis=1)
    expected = np.concatenate(tangent_linear(model, inputs, changes), axis=1)
    assert relative_norm(found, expected) <= TOLERANCES[precision]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_result_is_above_its_bound_and_some_are_on_it(backend: str) -> None:
    """To the last bit: the product that chooses the bound is exact."""
    emulator = emulator_of("layer_norm", backend, "float32")
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    found = bounds_of(emulator.model, inputs, emulator.step(*inputs))
    assert set(found) == {"state_1", "state_2", "diagnostic_0"}
    for values, bound in found.values():
        assert (values <= bound).all()
        assert 20 < (values == bound).sum() < 280


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_a_bound_the_derivative_is_that_of_the_bound(backend: str) -> None:
    emulator = emulator_of("layer_norm", backend, "float64")
    inputs = random_inputs(emulator.model, N_COLUMNS, "float64")
    new_state = emulator.step(*inputs)[0]
    changes = [np.zeros_like(values) for values in inputs]
    changes[0][:, 1] = 1.0  # of static_1, which bounds state_1
    on_bound = new_state[:, 1] == inputs[0][:, 1]
    found = emulator.tangent_linear(*inputs, *changes)[0][:, 1]
    np.testing.assert_array_equal(found[on_bound], 1.0)
    assert (np.abs(found[~on_bound] - 1.0) > 1e-6).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_value_stays_visible_in_its_column(backend: str) -> None:
    emulator = emulator_of("layer_norm", backend, "float32")
    inputs = random_inputs(emulator.model, N_COLUMNS, "float32")
    before = [result.copy() for result in emulator.step(*inputs)]
    inputs[1][3, 1] = np.nan  # not itself a bound
    for found, clean in zip(emulator.step(*inputs), before, strict=True):
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(clean, 3, axis=0))


def test_the_model_file_keeps_bounds_and_old_checksums(tmp_path) -> None:
    model = bounded("simple")
    write_model(model, tmp_path / "bounded.nc")
    assert read_model(tmp_path / "bounded.nc").state[1].bounded_by == "static_1"
    plain = random_model("simple", SIZES, seed=9, width=24, depth=2)
    write_model(plain, tmp_path / "plain.nc")
    forget_column(tmp_path / "plain.nc", "bounded_by")
    assert read_model(tmp_path / "plain.nc").parameter_count == plain.parameter_count


@pytest.mark.parametrize(
    ("group", "position", "changes", "message"),
    [
        ("static", 0, {"bounded_by": "static_1"}, "input 'static_0' is bounded by 'static_1', expected only results"),
        ("state", 1, {"bounded_by": "nothing"}, "bounded by 'nothing', expected a static input, forcing, or another"),
        ("state", 1, {"bounded_by": "diagnostic_0"}, "bounded by 'diagnostic_0', expected a static input"),
        ("state", 1, {"bounded_by": "state_1"}, "bounded by 'state_1', expected a static input"),
        ("state", 1, {"bounded_by": "state_2"}, "which is itself bounded by 'forcing_0'"),
        ("state", 1, {"units": "m"}, "bounded by 'static_1' in 'K', expected its own unit 'm'"),
    ],
)
def test_bounds_that_cannot_be_had(group: str, position: int, changes: dict, message: str) -> None:
    model = bounded("simple")
    variables = list(getattr(model, group))
    variables[position] = dataclasses.replace(variables[position], **changes)
    with pytest.raises(InputError, match=message):
        dataclasses.replace(model, **{group: tuple(variables)})


def test_two_branches_have_no_such_bounds() -> None:
    with pytest.raises(InputError, match="expected no such bounds in the architecture 'two_branch'"):
        bounded("two_branch")
