"""The idealised planet under ICON4Py: what it says of the land at the start. It needs no ICON4Py itself."""

from __future__ import annotations

import numpy as np

from ailand_gt4py.integration.hosts.icon4py.provider import IdealisedPlanet
from ailand_gt4py.io.derive import snow_cover
from ailand_gt4py.io.quality import impossible
from ailand_gt4py.weights.variables import CATALOGUE, DEFAULT

LATITUDE = np.array([0.0, 25.0, 48.0, 60.0, 75.0])
TEMPERATURE = np.array([300.0, 295.0, 272.9, 268.0, 250.0])


def first_state() -> dict[str, np.ndarray]:
    planet = IdealisedPlanet()
    longitude, height = np.zeros(5), np.zeros(5)
    static = planet.static(LATITUDE, longitude, height)
    return planet.initial_state(LATITUDE, longitude, TEMPERATURE, static)


def test_initial_state_has_all_that_models_may_have_within_its_bounds() -> None:
    state = first_state()
    for variable in DEFAULT.state:
        values = state[variable.name]
        assert values.shape == (5,)
        assert (values >= variable.lower_bound).all(), variable.name
        assert (values <= variable.upper_bound).all(), variable.name


def test_snow_of_the_initial_state_fits_together() -> None:
    state = first_state()
    cover = snow_cover(state["sd"], state["rsn"], np.zeros(5))
    np.testing.assert_allclose(cover[:4], state["snowc"][:4], atol=1e-12)
    assert cover[4] == state["snowc"][4] == 1.0
    assert (np.diff(state["sd"]) >= 0.0).all()
    for name, without in (("sd", 0.0), ("rsn", 100.0), ("tsn", 273.16), ("asn", 0.85)):
        np.testing.assert_array_equal(state[name][:2], without)
    np.testing.assert_array_equal(state["tsn"][2:], TEMPERATURE[2:])
    assert (state["asn"][2:] < 0.85).all()


def test_a_dry_sky_emits_what_land_takes() -> None:
    """Emissivity of dry air with the clouds', 0.29; the land refuses what no sky gives."""
    temperature, dry = np.array([200.0, 250.0, 300.0]), np.zeros(3)
    time, step = np.datetime64("2021-06-01"), np.timedelta64(1, "h")
    where = np.zeros(3), np.zeros(3)
    _, longwave = IdealisedPlanet().radiation(*where, time, step, temperature, dry, np.full(3, 5e4))
    np.testing.assert_allclose(longwave, 0.29 * 5.670374e-8 * temperature**4, rtol=1e-6)
    assert not impossible(CATALOGUE["met_lwdown"].variable(), longwave).any()
