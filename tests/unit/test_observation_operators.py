"""Observation operators: values against independent formulas, derivatives by Taylor and dot products, physics."""

from __future__ import annotations

import cmath
import dataclasses
import itertools

import numpy as np
import pytest

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.observations import operators
from ailand_gt4py.observations.brightness import (
    CLAY_FRACTIONS,
    BrightnessTemperature,
    Radiometer,
    clay_fraction,
    soil_coefficients,
)
from ailand_gt4py.observations.operators import ObservationOperator, Situation, model_variables
from ailand_gt4py.observations.screen import ScreenHumidity, ScreenTemperature
from ailand_gt4py.observations.soil_moisture import SurfaceSoilMoisture
from ailand_gt4py.weights.model import Model

MODEL = ailand_gt4py.read_model()
N = 60


def position(group: str, name: str) -> int:
    return [variable.name for variable in getattr(MODEL, group)].index(name)


def situation(n: int = N, seed: int = 0) -> Situation:
    """Random weather and states of ordinary size, float64."""
    random = np.random.default_rng(seed)
    forcing, state = np.zeros((n, len(MODEL.forcing))), np.zeros((n, len(MODEL.state)))
    diagnostics = np.zeros((n, len(MODEL.diagnostics)))
    forcing[:, position("forcing", "lai_hv")] = random.uniform(0.0, 6.0, n)
    forcing[:, position("forcing", "lai_lv")] = random.uniform(0.0, 5.0, n)
    state[:, position("state", "swvl1")] = random.uniform(0.01, 0.5, n)
    state[:, position("state", "stl1")] = random.uniform(275.0, 310.0, n)
    state[:, position("state", "stl2")] = random.uniform(278.0, 300.0, n)
    diagnostics[:, position("diagnostics", "t2m")] = random.uniform(275.0, 310.0, n)
    diagnostics[:, position("diagnostics", "d2m")] = random.uniform(265.0, 290.0, n)
    return Situation(forcing, state, diagnostics)


def covered(n: int = N, seed: int = 1, **values: float) -> np.ndarray:
    """Static fields (n, n_static) with vegetation of every type, or with given values."""
    random = np.random.default_rng(seed)
    static = np.zeros((n, len(MODEL.static)))
    drawn = {
        "clim_cvh": random.uniform(0.0, 0.5, n),
        "clim_cvl": random.uniform(0.0, 0.5, n),
        "clim_veg_covh": random.uniform(0.8, 1.0, n),
        "clim_veg_covl": random.uniform(0.4, 1.0, n),
        "clim_tvh": random.choice([3, 4, 5, 6, 18, 19], n),
        "clim_tvl": random.choice([1, 2, 7, 9, 10, 11, 13, 16, 17], n),
    }
    for name, value in (drawn | values).items():
        static[:, position("static", name)] = value
    return static


BARE = {"clim_cvh": 0.0, "clim_cvl": 0.0}


def brightness(clay: float | np.ndarray = 0.2, **values: float) -> BrightnessTemperature:
    return BrightnessTemperature(MODEL, covered(**values), np.broadcast_to(np.asarray(clay, float), (N,)).copy())


OPERATORS = {
    "t2m": lambda: ScreenTemperature(MODEL),
    "rh2m": lambda: ScreenHumidity(MODEL),
    "ssm": lambda: SurfaceSoilMoisture(MODEL),
    "relative ssm": lambda: SurfaceSoilMoisture(MODEL, np.linspace(0.3, 0.7, N)),
    "tb": lambda: brightness(np.linspace(0.0, 0.8, N)),
    "tb, mixed and rough": lambda: BrightnessTemperature(
        MODEL, covered(), np.full(N, 0.3), Radiometer(mixing=0.2, exponent_h=2.0, exponent_v=1.0, incidence=55.0)
    ),
}

# Every other kind that there is.
for _kind in operators.kinds():
    OPERATORS.setdefault(
        _kind,
        lambda kind=_kind: operators.make_operator(kind, operators.Columns(MODEL, covered(), np.full(N, 0.2))),
    )


def changes(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    d_state = random.normal(size=(N, len(MODEL.state)))
    d_state[:, position("state", "swvl1")] *= 0.01
    return d_state, random.normal(size=(N, len(MODEL.diagnostics)))


@pytest.mark.parametrize("name", OPERATORS)
def test_taylor_remainder_is_of_second_order_or_nothing(name: str) -> None:
    operator, at = OPERATORS[name](), situation()
    d_state, d_diagnostics = changes()
    # On each side of the transition water content the soil is smooth: no change may cross it.
    if name.startswith("tb"):
        transition = 0.02863 + 0.30673 * (np.linspace(0.0, 0.8, N) if name == "tb" else np.full(N, 0.3))
        near = np.abs(at.state[:, position("state", "swvl1")] - transition) < 1e-3
        d_state[near] = 0.0
    base, slope = operator.values(at), operator.tangent(at, d_state, d_diagnostics)
    assert np.abs(slope).max() > 1e-3
    sizes = (1e-2, 1e-3, 1e-4)
    remainders = []
    for size in sizes:
        moved = Situation(at.forcing, at.state + size * d_state, at.diagnostics + size * d_diagnostics)
        remainders.append(np.abs(operator.values(moved) - base - size * slope).max())
    if remainders[0] < 1e-11:
        return  # linear
    for larger, smaller in itertools.pairwise(remainders):
        assert larger / smaller == pytest.approx(100.0, rel=0.1)


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoint_and_tangent_linear_have_one_scalar_product(name: str) -> None:
    operator, at = OPERATORS[name](), situation()
    d_state, d_diagnostics = changes()
    gradient = np.random.default_rng(9).normal(size=(N, len(operator.observables)))
    forward = gradient * operator.tangent(at, d_state, d_diagnostics)
    g_state, g_diagnostics = operator.adjoint(at, gradient)
    backward = (g_state * d_state).sum(axis=1) + (g_diagnostics * d_diagnostics).sum(axis=1)
    scale = np.abs(g_state * d_state).sum(axis=1) + np.abs(g_diagnostics * d_diagnostics).sum(axis=1)
    assert np.abs(forward).max() > 1e-3
    assert (np.abs(forward.sum(axis=1) - backward) <= 1e-12 * scale).all()


def test_single_precision_is_taken_as_it_is_and_computed_in_double_precision() -> None:
    at = situation()
    single = Situation(*(values.astype(np.float32) for values in at))
    rounded = Situation(*(values.astype(np.float64) for values in single))
    for make in OPERATORS.values():
        operator = make()
        assert operator.values(single).dtype == np.float64
        np.testing.assert_array_equal(operator.values(single), operator.values(rounded))


def humidity_of(temperature: float, dew_point: float) -> float:
    at = situation(1)
    at.diagnostics[:, [position("diagnostics", "t2m"), position("diagnostics", "d2m")]] = temperature, dew_point
    return float(ScreenHumidity(MODEL).values(at)[0, 0])


def test_relative_humidity_is_that_of_the_tables() -> None:
    """Saturation pressures of WMO's tables: 6.112, 12.27, 23.37 and 42.43 hPa at 0, 10, 20 and 30 degrees Celsius."""
    assert humidity_of(293.15, 293.15) == pytest.approx(100.0, abs=1e-10)
    assert humidity_of(293.15, 283.15) == pytest.approx(100.0 * 12.27 / 23.37, rel=2e-3)
    assert humidity_of(303.15, 273.15) == pytest.approx(100.0 * 6.112 / 42.43, rel=2e-3)
    assert humidity_of(290.0, 291.0) > 100.0


def permittivity(water: float, clay: float, frequency: float = 1.41e9) -> complex:
    """Mironov et al. 2009 in complex numbers, equations 13 to 25, written without the package."""
    percent, angular = 100.0 * clay, 2.0 * np.pi * frequency

    def water_index(static: float, relaxation: float, conductivity: float) -> complex:
        debye = 4.9 + (static - 4.9) / (1.0 - 1j * angular * relaxation)
        return cmath.sqrt(debye + 1j * conductivity / (angular * 8.854e-12))

    dry = 1.634 - 0.00539 * percent + 0.00002748 * percent**2 + 1j * (0.03952 - 0.0004038 * percent)
    bound = water_index(
        79.8 - 0.854 * percent + 0.00327 * percent**2, 1.062e-11 + 3.45e-14 * percent, 0.3112 + 0.00467 * percent
    )
    free = water_index(100.0, 8.5e-12, 0.3631 + 0.01217 * percent)
    transition = 0.02863 + 0.0030673 * percent
    index = dry + (bound - 1.0) * min(water, transition) + (free - 1.0) * max(0.0, water - transition)
    return index**2


def soil_permittivity(water: np.ndarray, clay: float) -> np.ndarray:
    """The package's, complex."""
    transition, *rates = (float(value[0]) for value in soil_coefficients(np.array([clay]), 1.41e9))
    bound, free = np.minimum(water, transition), np.maximum(0.0, water - transition)
    index = rates[0] + rates[1] * bound + rates[2] * free + 1j * (rates[3] + rates[4] * bound + rates[5] * free)
    return index**2


@pytest.mark.parametrize("clay", [0.0, 0.08, 0.18, 0.465, 0.8])
def test_permittivity_of_soil(clay: float) -> None:
    water = np.linspace(0.0, 0.5, 26)
    found = soil_permittivity(water, clay)
    np.testing.assert_allclose(found, [permittivity(value, clay) for value in water], rtol=1e-12)
    assert (np.diff(found.real) > 0.0).all()
    assert (found.imag > 0.0).all()


def test_permittivity_has_the_size_that_is_measured() -> None:
    """At 1.4 GHz 2 to 3 for dry soil, 3 to 5 with 5 % of water, 20 to 30 for saturated sand; clay binds water."""
    dry, moist, wet = soil_permittivity(np.array([0.0, 0.05, 0.40]), 0.05).real
    assert 2.0 < dry < 3.0
    assert 3.0 < moist < 5.0
    assert 20.0 < wet < 30.0
    assert soil_permittivity(np.array([0.2]), 0.5).real < soil_permittivity(np.array([0.2]), 0.1).real


def test_brightness_of_bare_soil_against_complex_numbers() -> None:
    at, radiometer = situation(), Radiometer()
    found = brightness(0.2, **BARE).values(at)
    cosine, sine = np.cos(np.deg2rad(40.0)), np.sin(np.deg2rad(40.0))
    for column in range(0, N, 7):
        water, surface, deep = (at.state[column, position("state", name)] for name in ("swvl1", "stl1", "stl2"))
        epsilon = permittivity(water, 0.2)
        root = cmath.sqrt(epsilon - sine**2)
        smooth = (
            abs((cosine - root) / (cosine + root)) ** 2,
            abs((epsilon * cosine - root) / (epsilon * cosine + root)) ** 2,
        )
        effective = deep + 0.246 * (surface - deep)
        expected = [effective * (1.0 - share * np.exp(-radiometer.roughness)) for share in smooth]
        np.testing.assert_allclose(found[column], expected, rtol=1e-12)


def test_brightness_under_a_canopy_against_the_tau_omega_formula() -> None:
    """One column of crops: optical depth 0.05 LAI, twice as much along the stems in V, no scattering."""
    at = situation()
    found = brightness(0.2, clim_cvh=0.0, clim_cvl=1.0, clim_veg_covl=1.0, clim_tvl=1.0).values(at)
    soil = brightness(0.2, **BARE).values(at)
    surface, deep = (at.state[:, position("state", name)] for name in ("stl1", "stl2"))
    effective = deep + 0.246 * (surface - deep)
    cosine = np.cos(np.deg2rad(40.0))
    depth = 0.05 * at.forcing[:, position("forcing", "lai_lv")]
    for polarisation, stems in ((0, 1.0), (1, 2.0)):
        passed = np.exp(-depth * (cosine**2 + stems * (1.0 - cosine**2)) / cosine)
        reflected = 1.0 - soil[:, polarisation] / effective
        expected = effective * (1.0 - reflected) * passed + surface * (1.0 - passed) * (1.0 + reflected * passed)
        np.testing.assert_allclose(found[:, polarisation], expected, rtol=1e-12)


def test_wet_soil_is_cold_and_vertical_polarisation_warm() -> None:
    at = situation()
    at.state[:, position("state", "swvl1")] = np.linspace(0.02, 0.5, N)
    at.state[:, [position("state", "stl1"), position("state", "stl2")]] = 295.0
    bare = brightness(0.2, **BARE).values(at)
    assert (np.diff(bare, axis=0) < 0.0).all()
    assert (bare[:, 1] > bare[:, 0]).all()
    assert 180.0 < bare.min() < 240.0
    assert 265.0 < bare.max() < 295.0
    forest = brightness(0.2, clim_cvh=1.0, clim_cvl=0.0, clim_veg_covh=1.0, clim_tvh=3.0).values(at)
    assert (np.diff(forest, axis=0) < 0.0).all()
    # A forest hides most of the soil, and is itself nearly black.
    assert np.ptp(forest[:, 0]) < 0.4 * np.ptp(bare[:, 0])
    assert forest.min() > 255.0
    assert forest.max() < 295.0


def test_at_the_transition_the_derivative_is_that_of_bound_water() -> None:
    """As with the network's rectifiers: the part that begins there has none yet."""
    operator, at = brightness(0.2, **BARE), situation()
    transition = float(soil_coefficients(np.array([0.2]), 1.41e9)[0][0])
    swvl1 = position("state", "swvl1")
    at.state[:, swvl1] = transition
    change = np.zeros_like(at.state)
    change[:, swvl1] = 1.0
    slope = operator.tangent(at, change, np.zeros_like(at.diagnostics))

    def difference(size: float) -> np.ndarray:
        moved = at.state.copy()
        moved[:, swvl1] += size
        return (operator.values(at._replace(state=moved)) - operator.values(at)) / size

    np.testing.assert_allclose(slope, difference(-1e-7), rtol=1e-4)
    assert (np.abs(slope - difference(1e-7)) > 0.1 * np.abs(slope)).all()
    g_state, _ = operator.adjoint(at, np.tile([1.0, 0.0], (N, 1)))
    np.testing.assert_allclose(g_state[:, swvl1], slope[:, 0], rtol=1e-12)


def test_clay_fractions_are_the_means_over_the_classes_in_the_texture_triangle() -> None:
    clay, sand = np.meshgrid(np.arange(0.05, 100.0, 0.1), np.arange(0.05, 100.0, 0.1), indexing="ij")
    there = clay + sand < 100.0
    coarse = (clay < 18.0) & (sand > 65.0)
    classes = {
        1: coarse,
        2: (clay < 35.0) & (sand >= 15.0) & ~coarse,
        3: (clay < 35.0) & (sand < 15.0),
        4: (clay >= 35.0) & (clay < 60.0),
        5: clay >= 60.0,
    }
    assert (sum(members.astype(int) for members in classes.values()) == 1).all()
    for number, members in classes.items():
        assert CLAY_FRACTIONS[number] == pytest.approx(0.01 * clay[members & there].mean(), abs=0.0015), number


def test_organic_soils_are_not_seen_and_unknown_ones_are_an_error() -> None:
    clay = clay_fraction(np.array([1.0, 6.0, 7.0, 5.0]))
    np.testing.assert_array_equal(np.isnan(clay), [False, True, True, False])
    seen = brightness(np.where(np.arange(N) % 2, np.nan, 0.2)).values(situation())
    np.testing.assert_array_equal(np.isnan(seen[:, 0]), np.arange(N) % 2 == 1)
    with pytest.raises(InputError, match="clim_sotype. is 8 in column 1 .*, expected a whole number from 1 to 7"):
        clay_fraction(np.array([1.0, 8.0]))
    with pytest.raises(InputError, match="clay fraction: found -0.1 to 0.5"):
        soil_coefficients(np.array([0.5, -0.1]), 1.41e9)


def changed(group: str, wanted: str, **attributes: str) -> Model:
    unbound = (dataclasses.replace(variable, bounded_by="") for variable in getattr(MODEL, group))
    variables = tuple(dataclasses.replace(each, **attributes) if each.name == wanted else each for each in unbound)
    return dataclasses.replace(MODEL, **{group: variables})


def without(group: str, name: str) -> Model:
    return changed(group, name, name="another")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScreenTemperature(without("diagnostics", "t2m")), "observation t2m: the model has no variable 't2m'"),
        (lambda: ScreenHumidity(without("diagnostics", "d2m")), "observation rh2m: the model has no variable 'd2m'"),
        (
            lambda: ScreenHumidity(changed("diagnostics", "d2m", time_meaning="window mean")),
            "of the time 'window mean', expected 'window end'",
        ),
        (
            lambda: SurfaceSoilMoisture(changed("state", "swvl1", units="kg m-2", increment_of="")),
            "has 'swvl1' in 'kg m-2', expected 'm3 m-3'",
        ),
        (lambda: SurfaceSoilMoisture(MODEL, np.array([0.4, 0.0])), "porosity: found 0, expected more than 0"),
        (
            lambda: BrightnessTemperature(without("forcing", "lai_lv"), covered(), np.full(N, 0.2)),
            "observation tb: the model has no variable 'lai_lv'",
        ),
        (
            lambda: BrightnessTemperature(MODEL, covered(), np.full(3, 0.2)),
            r"clay fraction of the shape \(3,\), expected \(60,\)",
        ),
        (lambda: Radiometer(incidence=90.0), "incidence angle: found 90 degrees"),
        (lambda: Radiometer(frequency=1.4), "frequency: found 1.4 Hz"),
    ],
)
def test_what_does_not_fit_is_named(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_kinds_of_observations_are_found_in_the_files_of_the_room() -> None:
    probes = ["stl1", "stl2", "stl3", "swvl1", "swvl2", "swvl3"]
    assert list(operators.kinds()) == ["rh2m", *probes, "t2m", "ssm", "tb"]
    for name, kind in operators.kinds().items():
        operator = operators.make_operator(name, operators.Columns(MODEL, covered(), np.full(N, 0.2)))
        assert list(kind.errors) == [observable.name for observable in operator.observables]
    with pytest.raises(InputError, match="found 'lai', expected some of rh2m, .*t2m, ssm, tb"):
        operators.make_operator("lai", operators.Columns(MODEL, covered()))
    with pytest.raises(InputError, match="found no clay fraction of the columns"):
        operators.make_operator("tb", operators.Columns(MODEL, covered()))


def test_a_kind_that_registers_itself_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    operators.kinds()
    monkeypatch.setattr(operators.KINDS, "_items", [*operators.KINDS.items()])

    @operators.register("stations", hours=24.0, errors={"stl1": 1.0})
    def make(columns: operators.Columns) -> ObservationOperator:
        return model_variables(columns.model, ("stl1", "t2m"))

    assert list(operators.kinds())[-3:] == ["ssm", "stations", "tb"]
    operator, at = operators.make_operator("stations", operators.Columns(MODEL, covered())), situation()
    found = operator.values(at)
    np.testing.assert_array_equal(found[:, 0], at.state[:, position("state", "stl1")])
    np.testing.assert_array_equal(found[:, 1], at.diagnostics[:, position("diagnostics", "t2m")])
    assert [observable.units for observable in operator.observables] == ["K", "K"]


def test_several_changes_of_each_column_go_through_at_once() -> None:
    at = situation()
    d_state, d_diagnostics = (np.stack(pair, axis=1) for pair in zip(changes(5), changes(6), strict=True))
    for make in OPERATORS.values():
        found = make().tangent(at, d_state, d_diagnostics)
        for k in range(2):
            np.testing.assert_allclose(found[:, k], make().tangent(at, d_state[:, k], d_diagnostics[:, k]), rtol=1e-14)
