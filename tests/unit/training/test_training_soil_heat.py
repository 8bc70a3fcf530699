"""Soil temperatures that change by their heat in training: values, gradients, and the loss."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from ailand_gt4py.core.errors import InputError  # noqa: E402
from ailand_gt4py.core.settings import read_settings  # noqa: E402
from ailand_gt4py.ecland import soil_heat  # noqa: E402
from ailand_gt4py.training.configuration import Configuration, Network  # noqa: E402
from ailand_gt4py.training.network import LayerNormNetwork, SoilHeat  # noqa: E402
from ailand_gt4py.weights.variables import choose  # noqa: E402

N = 400
OPTIONS = {"data": {"train": ["a.nc"]}, "stages": [{"iterations": 1, "steps": 1, "batch": 1}]}


@pytest.fixture
def columns(measured):
    """Normalised static inputs, states about freezing, and increments of some Kelvin; in double precision."""
    rng = np.random.default_rng(4)
    heat = SoilHeat(measured)
    static = rng.normal(size=(N, len(measured.static)))
    for position in heat.property_positions.tolist():
        scaling = measured.static[position].normalisation
        static[:, position] = (rng.uniform(0.3, 0.7, N) - scaling.shift) / scaling.scale
    state, increment = rng.normal(size=(2, N, len(measured.state)))
    for position in heat.positions.tolist():
        scaling = measured.state[position].normalisation
        state[:, position] = (rng.uniform(271.0, 276.0, N) - scaling.shift) / scaling.scale
        increment[:, position] = rng.normal(size=N) * 10.0 / scaling.scale
    return heat, *(torch.from_numpy(values) for values in (static, state, increment))


def by_table(measured, static):
    """Nodes of the temperature in K, and the heat there, of each column."""
    values = [
        static[:, k].numpy() * measured.static[k].normalisation.scale + measured.static[k].normalisation.shift
        for k in soil_heat.property_positions([variable.name for variable in measured.static])
    ]
    latent = soil_heat.freezing_heat(values) / soil_heat.heat_capacity(values)
    nodes = np.array([0.0, *soil_heat.node_temperatures(), 1000.0])
    frozen = np.array([1.0, *soil_heat.frozen_fraction(soil_heat.node_temperatures()), 0.0])
    return nodes, nodes - latent[:, None] * frozen


def test_temperatures_follow_from_the_heat(measured, columns):
    heat, static, state, increment = columns
    found = heat(static).advance(state, increment)
    others = [k for k in range(state.shape[1]) if k not in heat.positions]
    assert torch.equal(found[:, others], (state + increment)[:, others])
    nodes, of_nodes = by_table(measured, static)
    for position in heat.positions.tolist():
        scaling = measured.state[position].normalisation
        before = state[:, position].numpy() * scaling.scale + scaling.shift
        for column in range(N):
            flows = np.interp(before[column], nodes, of_nodes[column]) + increment[column, position] * scaling.scale
            expected = (np.interp(flows, of_nodes[column], nodes) - scaling.shift) / scaling.scale
            assert found[column, position] == pytest.approx(float(expected), abs=1e-10)


def test_the_gradient_is_that_of_differences(columns):
    heat, static, state, increment = columns
    heat = heat(static)
    given = [values.clone().requires_grad_() for values in (state, increment)]
    weights = torch.randn(state.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((heat.advance(*given) * weights).sum(), given)
    step, agree = 1e-7, []
    for which, gradient in enumerate(gradients):
        moved = []
        for sign in (1.0, -1.0):
            values = [state, increment]
            values[which] = values[which] + sign * step
            moved.append(heat.advance(*values) * weights)
        difference = (moved[0] - moved[1]) / (2.0 * step)
        agree.append(torch.isclose(difference, gradient, rtol=1e-6, atol=1e-6))
    # All but those few with a node between both.
    assert all(one.double().mean() > 0.999 for one in agree)


def test_what_is_frozen_counts_before_it_shows(measured, columns):
    """Two temperatures close together: where water freezes, they differ far more by their heat."""
    heat, static, state, _ = columns
    network = LayerNormNetwork(Network(), measured, seed=1).double()
    physics = network.physics(static)
    position = int(heat.positions[0])
    warm, cold = state.clone(), state.clone()
    cold[:, position] -= 0.01
    plain = network.difference(warm, cold, physics, 0.0)
    assert torch.equal(plain, warm - cold)
    mixed, of_heat = (network.difference(warm, cold, physics, weight) for weight in (0.25, 1.0))
    assert (of_heat[:, position] >= plain[:, position] - 1e-12).all()
    assert torch.allclose(mixed, 0.75 * plain + 0.25 * of_heat)
    inside = of_heat[:, position] > 5.0 * plain[:, position]
    assert 0.05 < inside.double().mean() < 0.95


def test_models_without_it_or_what_it_needs():
    assert all(variable.increment_of == "" for variable in choose([], [], [], []).state)
    heated = [variable.name for variable in choose([], [], [], [], soil_heat=True).state if variable.increment_of]
    assert heated == ["stl1", "stl2", "stl3", "stl4"]
    options = OPTIONS | {"variables": {"soil_heat": True, "static": ["clim_cvl", "clim_theta_cap"]}}
    with pytest.raises(InputError, match=r"^variables.soil_heat: .* missing: clim_veg_covl, clim_cvh"):
        read_settings(Configuration, options)
