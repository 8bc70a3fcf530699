"""Coupling closures: limits, signs, bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland import surface_tables as tables
from ailand_gt4py.integration.coupling.closures import SurfaceClosures

STEFAN_BOLTZMANN = 5.670374419e-8
MODEL = ailand_gt4py.read_model()
GROUPS = {
    "static": [variable.name for variable in MODEL.static],
    "forcing": [variable.name for variable in MODEL.forcing],
    "state": [variable.name for variable in MODEL.state],
    "diagnostics": [variable.name for variable in MODEL.diagnostics],
}
#: A meadow at 20 degrees Celsius in a light breeze, without heat fluxes.
MEADOW = {
    "clim_cvl": 1.0,
    "clim_veg_covl": 1.0,
    "clim_tvl": 2.0,
    "clim_veg_z0ml": 0.1,
    "clim_tvh": 3.0,
    "clim_veg_z0mh": 2.0,
    "clim_theta_cap": 0.3,
    "clim_theta_pwp": 0.1,
    "met_tair": 293.15,
    "met_psurf": 1.0e5,
    "met_wind_e": 4.0,
    "met_lwdown": 300.0,
    "swvl1": 0.3,
    "stl1": 293.15,
    "skt": 293.15,
    "rsn": 100.0,
    "asn": tables.MIDDLE_SNOW_ALBEDO,
}


def close(dtype: type = np.float64, height: float = 10.0, backend: str = "embedded", **values) -> dict[str, np.ndarray]:
    """The closures of the meadow but for ``values``, one of which may be many."""
    values = {**MEADOW, **values}
    n = max(np.size(value) for value in values.values())
    arrays = []
    for names in GROUPS.values():
        array = np.zeros((n, len(names)), dtype=dtype)
        for position, name in enumerate(names):
            array[:, position] = values.pop(name, 0.0)
        arrays.append(array)
    assert not values
    return SurfaceClosures(MODEL, n, backend, dtype, reference_height=height)(*arrays)


@pytest.mark.parametrize("height", [10.0, 30.0])
def test_neutral_stress_follows_the_logarithmic_profile(height: float) -> None:
    found = close(height=height)
    friction = 0.4 * 4.0 / np.log((height + 0.1) / 0.1)
    density = 1.0e5 / (287.0597 * 293.15)
    assert found["surface_roughness_length_for_momentum"][0] == pytest.approx(0.1, rel=1e-9)
    assert found["surface_roughness_length_for_heat"][0] == pytest.approx(0.001, rel=1e-9)
    assert found["surface_downward_eastward_stress"][0] == pytest.approx(density * friction**2, rel=1e-3)
    assert found["surface_downward_northward_stress"][0] == 0.0


def test_black_body_and_grey_body() -> None:
    found = close(met_lwdown=np.array([0.0, STEFAN_BOLTZMANN * 293.15**4]))
    emissivity = found["surface_longwave_emissivity"]
    assert emissivity[0] == pytest.approx(tables.EMISSIVITY["land"], abs=1e-12)
    emitted = STEFAN_BOLTZMANN * 293.15**4
    # In a cavity of its own temperature a grey body sends back what it gets.
    np.testing.assert_allclose(
        found["surface_upwelling_longwave_flux_in_air"], [emissivity[0] * emitted, emitted], rtol=1e-12
    )


def test_evaporation_uses_the_heat_of_vaporisation_and_over_snow_of_sublimation() -> None:
    found = close(slhf=-100.0, snowc=np.array([0.0, 1.0]))["water_evapotranspiration_flux"]
    np.testing.assert_allclose(found, [100.0 / 2.5008e6, 100.0 / 2.8345e6], rtol=1e-12)


def test_stress_weakens_with_stability() -> None:
    heat = np.linspace(-400.0, 400.0, 81)  # downward
    stress = close(sshf=heat, met_wind_e=3.0)["surface_downward_eastward_stress"]
    assert (np.diff(stress) <= 0.0).all()
    neutral = stress[40]
    assert stress[0] > 1.3 * neutral
    assert 0.0 < stress[-1] < 0.1 * neutral


@settings(max_examples=30, deadline=None)
@given(
    east=st.floats(-30, 30),
    north=st.floats(-30, 30),
    heat=st.floats(-600, 200),
    vapour=st.floats(-500, 100),
    roughness=st.floats(1e-3, 2.0),
)
def test_stress_has_the_direction_of_the_wind_and_turns_with_it(
    east: float, north: float, heat: float, vapour: float, roughness: float
) -> None:
    fixed = {"sshf": heat, "slhf": vapour, "clim_veg_z0ml": roughness}
    found = close(met_wind_e=np.array([east, -east, north]), met_wind_n=np.array([north, -north, east]), **fixed)
    x, y = found["surface_downward_eastward_stress"], found["surface_downward_northward_stress"]
    assert np.isfinite([x, y]).all()
    assert x[0] * east >= 0.0
    assert y[0] * north >= 0.0
    assert x[0] * north == pytest.approx(y[0] * east, rel=1e-9, abs=1e-12)
    np.testing.assert_array_equal([x[1], y[1]], [-x[0], -y[0]])
    np.testing.assert_allclose([x[2], y[2]], [y[0], x[0]], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    covers=st.tuples(*(st.floats(0, 1) for _ in range(6))),
    types=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    snow=st.floats(0, 1),
    snow_albedo=st.floats(0.5, 0.85),  # ecLand's limits
    water=st.floats(0, 0.766),
    depth=st.floats(0, 5),
    temperature=st.floats(200, 340),
)
def test_albedo_emissivity_and_roughness_stay_in_their_bounds(
    covers: tuple[float, ...],
    types: tuple[int, int],
    snow: float,
    snow_albedo: float,
    water: float,
    depth: float,
    temperature: float,
) -> None:
    names = ("clim_clake", "clim_cu", "clim_cvh", "clim_cvl", "clim_veg_covh", "clim_veg_covl")
    found = close(
        **dict(zip(names, covers, strict=True)),
        clim_tvh=types[0],
        clim_tvl=types[1],
        snowc=snow,
        asn=snow_albedo,
        swvl1=water,
        sd=depth,
        stl1=temperature,
        skt=temperature,
    )
    assert 0.03 < found["surface_albedo"][0] < max(0.81, snow_albedo + 1e-9)
    assert tables.EMISSIVITY["water"] - 1e-9 <= found["surface_longwave_emissivity"][0] < 1.0
    assert 1e-6 < found["surface_roughness_length_for_momentum"][0] <= 2.0 + 1e-9
    assert 0.0 < found["surface_roughness_length_for_heat"][0] <= 2.0 + 1e-9


def test_snow_brightens_open_ground_more_than_forest() -> None:
    cover = np.linspace(0.0, 1.0, 11)
    meadow = close(snowc=cover, asn=0.72)["surface_albedo"]
    forest = close(snowc=cover, asn=0.72, clim_cvl=0.0, clim_cvh=1.0, clim_veg_covh=1.0)["surface_albedo"]
    assert (np.diff(meadow) > 0.0).all()
    assert meadow[-1] == pytest.approx(0.72), "the state's"
    assert forest[-1] == pytest.approx(tables.FOREST_SNOW_ALBEDO[3])
    assert forest[-1] < meadow[-1]


def test_the_hosts_climatology_takes_the_position_of_the_types() -> None:
    values = [np.array([[MEADOW.get(name, 0.0) for name in names]]) for names in GROUPS.values()]
    closures = SurfaceClosures(MODEL, 1, dtype=np.float64, background_albedo=np.array([0.27]))
    assert closures(*values)["surface_albedo"][0] == pytest.approx(0.27)


def random_values(dtype: type) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    n = 50
    return {
        "clim_clake": rng.uniform(0, 0.2, n).astype(dtype),
        "clim_cvh": rng.uniform(0, 0.4, n).astype(dtype),
        "clim_cvl": rng.uniform(0, 0.4, n).astype(dtype),
        "clim_veg_covh": 0.9,
        "snowc": rng.uniform(0, 0.8, n).astype(dtype),
        "sd": rng.uniform(0, 0.1, n).astype(dtype),
        "met_wind_n": rng.uniform(-8, 8, n).astype(dtype),
        "stl1": rng.uniform(260, 300, n).astype(dtype),
        "skt": rng.uniform(250, 310, n).astype(dtype),
        "sshf": rng.uniform(-300, 30, n).astype(dtype),
        "slhf": rng.uniform(-300, 30, n).astype(dtype),
    }


def test_closures_of_single_precision_are_computed_in_double_precision() -> None:
    """They differ by the rounding of what they are given."""
    single, double = (close(dtype, **random_values(np.float32)) for dtype in (np.float32, np.float64))
    for name, values in single.items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, double[name], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.slow
def test_compiled_closures_are_those_of_embedded_execution() -> None:
    """For columns that differ in tiles, types of vegetation, snow, wind and fluxes."""
    random = np.random.default_rng(5)
    values = random_values(np.float64) | {
        "clim_cu": random.uniform(0, 0.2, 50),
        "clim_tvh": random.integers(0, 21, 50),
        "clim_tvl": random.integers(0, 21, 50),
        "met_qair": random.uniform(0, 0.02, 50),
        "swvl1": random.uniform(0, 0.5, 50),
    }
    expected, found = (close(backend=backend, **values) for backend in ("embedded", "dace_cpu"))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.ptp(array) > 0.0
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_same_arrays_are_written_in_every_call() -> None:
    values = [np.array([[MEADOW.get(name, 0.0) for name in names]]) for names in GROUPS.values()]
    closures = SurfaceClosures(MODEL, 1, dtype=np.float64)
    first = closures(*values)
    before = {name: array.copy() for name, array in first.items()}
    values[3][:, GROUPS["diagnostics"].index("skt")] += 10.0
    second = closures(*values)
    assert all(second[name] is first[name] for name in first)
    name = "surface_upwelling_longwave_flux_in_air"
    assert second[name][0] > before[name][0] + 50.0


def test_a_model_without_the_variables_says_what_it_lacks() -> None:
    closures = SurfaceClosures(random_model("simple", (5, 4, 3, 2), width=4, depth=2), 3)
    assert closures.outputs == ()
    assert "has no variable" in closures.missing_outputs["surface_albedo"]
    assert closures(*(None,) * 4) == {}


def test_wrong_arrays_are_refused() -> None:
    closures = SurfaceClosures(MODEL, 2)
    with pytest.raises(InputError, match="static: found the shape"):
        closures(*(np.zeros((1, 1), dtype=np.float32),) * 4)
    with pytest.raises(InputError, match="reference height"):
        SurfaceClosures(MODEL, 2, reference_height=0.0)
