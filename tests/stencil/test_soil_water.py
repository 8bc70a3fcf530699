"""Soil water that frost holds: references, derivatives, and what models may have it."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from derivative_cases import changes_of, dot_product_error, gradients_of, inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model
from tangent_reference import jacobian
from test_jacobian import MODES, in_own_units, made
from test_networks import physical_reference, relative_norm

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model, write_model

SIZES = (8, 4, 4, 3)
ARCHITECTURES = ("layer_norm", "simple")
N_COLUMNS = 60


@functools.cache
def watered_model(architecture: str) -> Model:
    return random_model(architecture, SIZES, seed=7, width=24, depth=2, soil_heat=True, soil_water=True)


@functools.cache
def emulator_of(architecture: str) -> Emulator:
    return Emulator(watered_model(architecture), N_COLUMNS, "embedded", "float64")


def with_outputs(model: Model, outputs: list[float]) -> Model:
    """The model whose network adds this to the normalised state, whatever goes in."""
    parameters = {name: array.copy() for name, array in model.parameters.items()}
    last = max(name for name in parameters if name.startswith("prognostic") and name.endswith("weight"))
    parameters[last][:] = 0.0
    parameters[last.replace("weight", "bias")][:] = outputs
    return dataclasses.replace(model, parameters=parameters)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_results_are_those_of_the_reference(architecture: str, backend: str, precision: str) -> None:
    model = watered_model(architecture)
    inputs = inputs_of(model, N_COLUMNS, precision)
    results = Emulator(model, N_COLUMNS, backend, precision).step(*inputs)
    for found, wanted in zip(results, physical_reference(model, *inputs), strict=True):
        # Single precision of 272 K is 3e-5 K, of the range in which soil thaws 0.02 %.
        assert relative_norm(found, wanted) <= {"float32": 1e-4, "float64": 1e-12}[precision]


@pytest.mark.parametrize(
    ("above", "own", "share"),
    [(260.0, 260.0, 0.1), (280.0, 260.0, 1.0), (260.0, 280.0, 1.0), (272.26, 260.0, 0.55), (250.0, 272.16, 0.1)],
)
def test_frost_holds_water(above: float, own: float, share: float) -> None:
    """Of a layer and of the one above, whichever is the warmer; temperatures do not change here."""
    model = with_outputs(watered_model("layer_norm"), [0.5, 0.0, 0.0, 0.0])
    inputs = inputs_of(model, N_COLUMNS)
    inputs[2][:] = [0.4, above, own, 0.0]
    new_state, _ = Emulator(model, N_COLUMNS, "embedded", "float64").step(*inputs)
    np.testing.assert_allclose(new_state[:, 0] - 0.4, share * 0.5 * 0.05, rtol=1e-9)
    np.testing.assert_allclose(new_state[:, 1:3], inputs[2][:, 1:3], rtol=1e-12)


@pytest.mark.parametrize("thaws", [True, False])
def test_water_moves_in_the_step_in_which_a_layer_thaws_or_freezes(thaws: bool) -> None:
    model = with_outputs(watered_model("layer_norm"), [0.5, 0.0, 400.0 if thaws else -400.0, 0.0])
    inputs = inputs_of(model, N_COLUMNS)
    inputs[2][:] = [0.4, 250.0, 265.0 if thaws else 280.0, 0.0]
    new_state, _ = Emulator(model, N_COLUMNS, "embedded", "float64").step(*inputs)
    assert ((new_state[:, 2] > 274.0) == thaws).all()
    np.testing.assert_allclose(new_state[:, 0] - 0.4, 0.025, rtol=1e-9)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_derivatives_are_those_of_complex_steps(architecture: str) -> None:
    model, emulator = watered_model(architecture), emulator_of(architecture)
    inputs = inputs_of(model, N_COLUMNS)
    exact = in_own_units(model, jacobian(model, inputs))
    for mode in MODES:
        assert relative_norm(in_own_units(model, made(emulator, inputs, mode)), exact) <= 1e-12


@settings(max_examples=20, deadline=None)
@given(
    temperatures=st.lists(
        st.one_of(st.floats(270.0, 275.0), st.sampled_from([272.16, 272.36])), min_size=2, max_size=2
    ),
    seed=st.integers(0, 1000),
)
def test_the_adjoint_is_the_transpose_also_at_the_edges_of_frost(temperatures: list[float], seed: int) -> None:
    model = watered_model("layer_norm")
    emulator = emulator_of("layer_norm")
    inputs = inputs_of(model, N_COLUMNS, seed=seed)
    inputs[2][:, 1:3] = temperatures
    gradients = gradients_of(emulator.step(*inputs))
    changes = changes_of(inputs)
    forward, backward = emulator.tangent_linear(*inputs, *changes), emulator.adjoint(*inputs, *gradients)
    assert dot_product_error(changes, forward, gradients, backward).max() <= 1e-12


def test_the_model_file_keeps_it(tmp_path: Path) -> None:
    model = watered_model("layer_norm")
    write_model(model, tmp_path / "model.nc")
    assert read_model(tmp_path / "model.nc").state == model.state


@pytest.mark.parametrize(
    ("group", "changes", "message"),
    [
        ("state", {"name": "sd"}, "'sd' has increments of 'soil_water' and the unit 'm3 m-3', expected .* of swvl1, "),
        ("state", {"units": "kg m-2"}, "'swvl2' has increments of 'soil_water' and the unit 'kg m-2', expected "),
        ("state", {"name": "swvl4"}, "frost holds the water of 'swvl4' by stl3 and stl4, expected it among the state"),
        ("forcing", {"increment_of": "soil_water"}, "'forcing_0' has increments of 'soil_water' and the unit 'K'"),
    ],
)
def test_frost_that_cannot_be_had(group: str, changes: dict, message: str) -> None:
    model = watered_model("simple")
    variables = list(getattr(model, group))
    variables[0] = dataclasses.replace(variables[0], **changes)
    with pytest.raises(InputError, match=message):
        dataclasses.replace(model, **{group: tuple(variables)})
