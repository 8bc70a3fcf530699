"""Soil temperatures that change by their heat: physics, references, derivatives, and what models may have them."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from captured_programs import DESCRIPTIONS, capture
from derivative_cases import changes_of, dot_product_error, gradients_of, inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import forget_column, random_model
from tangent_reference import jacobian, tangent_linear
from test_jacobian import MODES, in_own_units, made
from test_networks import physical_reference, relative_norm

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland import soil_heat
from ailand_gt4py.emulator.derivatives.calls import Mode
from ailand_gt4py.emulator.derivatives.jacobian import block_of
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.weights.model import Model, Normalisation
from ailand_gt4py.weights.model_file import read_model, write_model

SIZES = (8, 4, 4, 3)
POSITION = 2
ARCHITECTURES = ("simple", "layer_norm")
N_COLUMNS = 60
BACKENDS = ["embedded", pytest.param("dace_cpu", marks=pytest.mark.slow)]


@functools.cache
def heated_model(architecture: str) -> Model:
    return random_model(architecture, SIZES, seed=7, width=24, depth=2, bounded_by_others=True, soil_heat=True)


@functools.cache
def emulator_of(architecture: str, backend: str, precision: str) -> Emulator:
    return Emulator(heated_model(architecture), N_COLUMNS, backend, precision)


def latent_heat(model: Model, static: np.ndarray) -> np.ndarray:
    """Of columns, over the heat capacity, K."""
    properties = [
        static[:, position].astype(np.float64)
        for position in soil_heat.property_positions([variable.name for variable in model.static])
    ]
    return soil_heat.freezing_heat(properties) / soil_heat.heat_capacity(properties)


def increments(model: Model, inputs: list[np.ndarray]) -> np.ndarray:
    """The network's own output for the temperature, K."""
    plain = dataclasses.replace(model.state[POSITION], increment_of="")
    state = (*model.state[:POSITION], plain, *model.state[POSITION + 1 :])
    new_state, _ = Emulator(dataclasses.replace(model, state=state), len(inputs[0]), "embedded", "float64").step(
        *inputs
    )
    return new_state[:, POSITION] - inputs[2][:, POSITION]


# --- ecLand's soil heat ---


def test_the_linear_frozen_fraction_is_ecland_s_to_a_hundredth() -> None:
    temperatures = np.linspace(270.0, 276.0, 2001)
    nodes = soil_heat.node_temperatures()
    linear = np.interp(temperatures, nodes, soil_heat.frozen_fraction(nodes))
    assert np.abs(linear - soil_heat.frozen_fraction(temperatures)).max() < 0.01
    shares = soil_heat.melting_shares()
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares, shares[::-1])  # the stencils have half of them


def test_latent_heat_of_a_peat_bog() -> None:
    """Organic soil under grass: 1e3 * 333.7e3 * 0.7 * 0.662 / (0.234 * 1.6e6 + 0.662 * 4.18e6) K."""
    properties = [np.array(value) for value in (1.0, 0.7, 0.0, 0.9, 0.662, 0.766)]
    latent = soil_heat.freezing_heat(properties) / soil_heat.heat_capacity(properties)
    assert latent == pytest.approx(154.64e6 / 3.1416e6, rel=1e-3)


# --- the step ---


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_results_are_those_of_the_reference(architecture: str, precision: str) -> None:
    emulator = emulator_of(architecture, "embedded", precision)
    inputs = inputs_of(emulator.model, N_COLUMNS, precision)
    results, expected = emulator.step(*inputs), physical_reference(emulator.model, *inputs)
    for found, wanted in zip(results, expected, strict=True):
        assert relative_norm(found, wanted) <= {"float32": 5e-6, "float64": 1e-12}[precision]
    scale = emulator.model.state[POSITION].normalisation.scale
    # Of the temperature alone: 273 K would hide it, and single precision of it is 3e-5 K.
    error = np.abs(results[0][:, POSITION] - expected[0][:, POSITION]).max() / scale
    assert error <= {"float32": 2e-4, "float64": 1e-12}[precision]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_compiled_is_embedded(precision: str) -> None:
    emulators = [emulator_of("layer_norm", backend, precision) for backend in ("dace_cpu", "embedded")]
    inputs = inputs_of(emulators[0].model, N_COLUMNS, precision)
    for found, expected in zip(*(emulator.step(*inputs) for emulator in emulators), strict=True):
        np.testing.assert_allclose(found, expected, rtol=5e-6 if precision == "float32" else 1e-12, atol=1e-6)


def test_freezing_and_thawing_conserve_heat() -> None:
    """What the network puts in is what the soil's heat changes by; some columns freeze, some thaw, some do neither."""
    emulator = emulator_of("layer_norm", "embedded", "float64")
    model = emulator.model
    inputs = inputs_of(model, N_COLUMNS)
    latent, nodes = latent_heat(model, inputs[0]), soil_heat.node_temperatures()
    frozen = soil_heat.frozen_fraction(nodes)
    temperatures = [inputs[2][:, POSITION], emulator.step(*inputs)[0][:, POSITION]]
    fractions = [np.interp(values, nodes, frozen) for values in temperatures]
    heat = [values - latent * fraction for values, fraction in zip(temperatures, fractions, strict=True)]
    np.testing.assert_allclose(heat[1] - heat[0], increments(model, inputs), rtol=1e-10, atol=1e-10)
    change = fractions[1] - fractions[0]
    assert (change > 0.01).any()
    assert (change < -0.01).any()
    assert (change == 0.0).any()


def test_without_vegetation_or_frost_the_increment_is_the_temperature_s() -> None:
    emulator = emulator_of("layer_norm", "embedded", "float64")
    inputs = inputs_of(emulator.model, N_COLUMNS)
    positions = soil_heat.property_positions([variable.name for variable in emulator.model.static])
    inputs[0][:30, [positions[0], positions[2]]] = 0.0
    inputs[2][30:, POSITION] += 20.0
    found = emulator.step(*inputs)[0][:, POSITION] - inputs[2][:, POSITION]
    np.testing.assert_allclose(found, increments(emulator.model, inputs), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_missing_temperature_stays_visible_in_its_column(backend: str) -> None:
    emulator = emulator_of("layer_norm", backend, "float32")
    inputs = inputs_of(emulator.model, N_COLUMNS, "float32")
    before = [result.copy() for result in emulator.step(*inputs)]
    inputs[2][3, POSITION] = np.nan
    for found, clean in zip(emulator.step(*inputs), before, strict=True):
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(clean, 3, axis=0))


@pytest.mark.parametrize("what", sorted(set(DESCRIPTIONS) - {"static part"}))
def test_what_is_between_stays_in_the_program(what: str) -> None:
    """All that is written to memory in every step are the caller's fields."""
    for precision in ("float32", "float64"):
        captured = capture(heated_model("layer_norm"), precision, what)
        written = set(captured.read().results)
        assert written
        assert written <= captured.description.caller_fields.keys()


# --- derivatives ---


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_derivatives_are_those_of_complex_steps(architecture: str) -> None:
    emulator = emulator_of(architecture, "embedded", "float64")
    model = emulator.model
    inputs = inputs_of(model, N_COLUMNS)
    exact = in_own_units(model, jacobian(model, inputs))
    for property_position in soil_heat.property_positions([variable.name for variable in model.static]):
        assert np.abs(exact[:, POSITION, property_position]).max() > 1e-3
    for mode in MODES:
        assert relative_norm(in_own_units(model, made(emulator, inputs, mode)), exact) <= 1e-12
    changes = changes_of(inputs)
    for found, expected in zip(
        emulator.tangent_linear(*inputs, *changes), tangent_linear(model, inputs, changes), strict=True
    ):
        assert relative_norm(found, expected) <= 1e-12
    d_states = changes[2][:, None, :] * np.array([1.0, -0.5])[:, None]
    of_states = emulator.tangent_linear_of_states(*inputs, d_states)
    expected = tangent_linear(model, inputs, (None, None, changes[2]))
    for found, one in zip(of_states, expected, strict=True):
        assert relative_norm(found, one[:, None, :] * np.array([1.0, -0.5])[:, None]) <= 1e-12


@settings(max_examples=30, deadline=None)
@given(
    temperature=st.one_of(st.floats(271.0, 276.0), st.sampled_from(soil_heat.node_temperatures().tolist())),
    seed=st.integers(0, 1000),
)
def test_the_adjoint_is_the_transpose_also_at_nodes(temperature: float, seed: int) -> None:
    emulator = emulator_of("layer_norm", "embedded", "float64")
    inputs = inputs_of(emulator.model, N_COLUMNS, seed=seed)
    inputs[2][:, POSITION] = temperature
    gradients = gradients_of(emulator.step(*inputs))
    changes = changes_of(inputs)
    forward, backward = emulator.tangent_linear(*inputs, *changes), emulator.adjoint(*inputs, *gradients)
    assert dot_product_error(changes, forward, gradients, backward).max() <= 1e-12


@pytest.mark.parametrize("mode", MODES)
def test_a_block_has_the_numbers_of_the_whole(mode: Mode) -> None:
    """Rows and inputs in another order, the soil's properties among them."""
    emulator = emulator_of("layer_norm", "embedded", "float64")
    model = emulator.model
    inputs = inputs_of(model, N_COLUMNS)
    whole = made(emulator, inputs, mode)
    outputs = [model.state[POSITION].name, model.diagnostics[0].name, model.state[0].name]
    block = block_of(model, outputs, ["clim_theta_sat", model.state[POSITION].name, "clim_cvl", model.forcing[0].name])
    part = made(emulator, inputs, mode, block)
    np.testing.assert_allclose(part, whole[:, block.outputs][:, :, block.inputs], rtol=1e-12, atol=1e-12)


# --- models ---


def test_the_model_file_keeps_increments_and_old_checksums(tmp_path: Path) -> None:
    model = heated_model("simple")
    write_model(model, tmp_path / "heated.nc")
    assert read_model(tmp_path / "heated.nc").state == model.state
    plain = random_model("simple", SIZES, seed=9)
    write_model(plain, tmp_path / "plain.nc")
    forget_column(tmp_path / "plain.nc", "increment_of")
    assert read_model(tmp_path / "plain.nc").parameter_count == plain.parameter_count


@pytest.mark.parametrize(
    ("group", "position", "changes", "message"),
    [
        ("state", 0, {"increment_of": "water"}, "'state_0' has increments of 'water', expected none, 'soil_heat' or "),
        ("state", 2, {"units": "m"}, "'state_2' has increments of 'soil_heat' and the unit 'm', expected .* in K"),
        ("forcing", 0, {"increment_of": "soil_heat"}, "'forcing_0' has increments .* expected them for a state in K"),
        ("static", -1, {"name": "porosity"}, "need the static inputs .* missing: clim_theta_sat"),
        ("static", -1, {"normalisation": Normalisation("log", mean=0.0, std=1.0, minimum=1.0)}, "'log', expected it"),
    ],
)
def test_increments_that_cannot_be_had(group: str, position: int, changes: dict, message: str) -> None:
    model = heated_model("simple")
    variables = list(getattr(model, group))
    variables[position] = dataclasses.replace(variables[position], **changes)
    with pytest.raises(InputError, match=message):
        dataclasses.replace(model, **{group: tuple(variables)})


def test_two_branches_have_no_such_increments() -> None:
    with pytest.raises(InputError, match="expected none in the architecture 'two_branch'"):
        random_model("two_branch", SIZES, soil_heat=True)
