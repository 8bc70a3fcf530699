"""Brightness temperature in PyTorch against the field operators, in value and derivatives, and what of it is learnt."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ailand_gt4py.observations.brightness import Radiometer, canopy_coefficients, soil_coefficients  # noqa: E402
from ailand_gt4py.observations.operators import on_columns  # noqa: E402
from ailand_gt4py.stencils.physics import brightness as operators  # noqa: E402
from ailand_gt4py.training.brightness import Cover, Emission, soil_of  # noqa: E402

N = 300


def columns(seed, n=N):
    """Land, clay and vegetation of all types, with water below and above the transition."""
    generator = np.random.default_rng(seed)
    land = (generator.uniform(0.0, 0.6, n), generator.uniform(274.0, 315.0, n), generator.uniform(274.0, 305.0, n))
    clay = generator.uniform(0.0, 0.8, n)
    covers = (generator.uniform(0.0, 1.0, n), generator.uniform(0.0, 1.0, n))
    types = (generator.integers(0, 21, n).astype(float), generator.integers(0, 21, n).astype(float))
    leaf_areas = (generator.uniform(0.0, 6.0, n), generator.uniform(0.0, 4.0, n))
    return land, clay, covers, types, leaf_areas


def of_operators(radiometer, land, clay, covers, types, leaf_areas):
    soil = soil_coefficients(clay, radiometer.frequency)
    canopies = canopy_coefficients(radiometer, covers, types, leaf_areas)
    arguments = operators.Land(*land), soil, *canopies, radiometer.view()
    values = on_columns(operators.brightness_temperature, arguments, (2,))
    return values, on_columns(operators.brightness_temperature_slopes, arguments, (2, 3))


def emitted(emission, radiometer, land, clay, covers, types, leaf_areas):
    return emission(
        *land, soil_of(clay, radiometer.frequency), Cover.of(covers, types), torch.as_tensor(np.stack(leaf_areas))
    )


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    incidence=st.floats(0.0, 65.0),
    roughness=st.floats(0.01, 1.5),
    mixing=st.floats(0.0, 0.3),
    exponents=st.tuples(st.floats(-1.0, 2.0), st.floats(-1.0, 2.0)),
)
def test_values_and_derivatives_are_those_of_the_field_operators(seed, incidence, roughness, mixing, exponents):
    radiometer = Radiometer(1.41e9, incidence, roughness, mixing, *exponents)
    land, *rest = columns(seed)
    tensors = tuple(torch.tensor(one, requires_grad=True) for one in land)
    found = emitted(Emission(radiometer), radiometer, tensors, *rest)
    values, slopes = of_operators(radiometer, land, *rest)
    np.testing.assert_allclose(found.detach().numpy(), values, rtol=1e-12)
    for polarisation in range(2):
        gradients = torch.autograd.grad(found[polarisation].sum(), tensors, retain_graph=True)
        for k, gradient in enumerate(gradients):
            scale = np.abs(slopes[polarisation][k]).max()
            np.testing.assert_allclose(gradient.numpy(), slopes[polarisation][k], rtol=1e-9, atol=1e-11 * scale)


def test_times_and_columns_are_broadcast():
    """(n_steps, n) of land and leaves, soil and cover of n columns."""
    radiometer, emission = Radiometer(), Emission(Radiometer())
    first, second = columns(1), columns(2)
    both = emission(
        *(torch.as_tensor(np.stack(pair)) for pair in zip(first[0], second[0], strict=True)),
        soil_of(first[1], radiometer.frequency),
        Cover.of(*first[2:4]),
        torch.as_tensor(np.stack([np.stack(first[4]), np.stack(second[4])], axis=1)),
    )
    assert both.shape == (2, 2, N)
    for number, (land, leaf_areas) in enumerate(((first[0], first[4]), (second[0], second[4]))):
        land = tuple(map(torch.as_tensor, land))
        alone = emitted(emission, radiometer, land, *first[1:4], leaf_areas)
        assert torch.equal(both[:, number], alone)


@pytest.mark.parametrize("learns", [(), ("roughness",), ("optical_depth", "albedo")])
def test_only_what_is_to_be_learnt_has_a_gradient(learns):
    emission = Emission(Radiometer(), learns)
    land, *rest = columns(3)
    water = torch.tensor(land[0], requires_grad=True)
    found = emitted(emission, Radiometer(), (water, *map(torch.as_tensor, land[1:])), *rest)
    found.sum().backward()
    got = {name.lstrip("_") for name, one in emission.named_parameters() if one.grad is not None}
    assert got == set(learns)
    assert all(torch.isfinite(one.grad).all() for one in emission.parameters() if one.grad is not None)


def test_roughness_is_found_from_what_it_makes():
    """From observations of a smoother soil than it begins with."""
    truth, emission = Radiometer(roughness=0.3), Emission(Radiometer(), ("roughness",))
    land, *rest = columns(4)
    observed = torch.as_tensor(of_operators(truth, land, *rest)[0])
    optimiser = torch.optim.Adam(emission.parameters(), lr=0.05)
    for _ in range(120):
        optimiser.zero_grad()
        misfit = (emitted(emission, truth, tuple(map(torch.as_tensor, land)), *rest) - observed).square().mean()
        misfit.backward()
        optimiser.step()
    assert float(emission.roughness.detach()) == pytest.approx(0.3, rel=0.01)
    assert Radiometer().roughness > 0.7
    assert math.isfinite(float(misfit.detach()))
