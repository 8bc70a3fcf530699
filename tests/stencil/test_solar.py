"""Derived inputs: sun, season and time of day against independent values."""

import pathlib

import cftime
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import on_axis, parse_time, year_of
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.emulator.sun import TOTAL_SOLAR_IRRADIANCE, julian_angle, time_angles
from ailand_gt4py.lowering.calls.backends import for_columns
from ailand_gt4py.stencils.physics.solar import DERIVED_NAMES, START_NAMES
from ailand_gt4py.weights.nodes import COMPUTED

INSOLATION = DERIVED_NAMES.index("toa_incoming_shortwave_flux")
OF_ANEMOI = [*START_NAMES, "cos_julian_day", "sin_julian_day"]
COS_ZENITH = DERIVED_NAMES.index("cos_solar_zenith_angle")


def derived(latitude, longitude, time: str, step: float = 21600.0) -> np.ndarray:
    latitude, longitude = np.broadcast_arrays(np.atleast_1d(latitude), np.atleast_1d(longitude))
    out = np.full((len(latitude), len(DERIVED_NAMES)), np.nan)
    derived_forcing(latitude, longitude, np.datetime64(time), step, DERIVED_NAMES, out)
    return out


def test_declination_and_distance_at_the_solstices() -> None:
    """At the pole the sun stands at its declination all day: 23.44 degrees (IAU), at 1.0167 and 0.9833 au."""
    for time, latitude, distance in (("2021-06-21T00:00", 90.0, 1.0163), ("2021-12-21T18:00", -90.0, 0.9837)):
        values = derived(latitude, 0.0, time)[0]
        assert np.degrees(np.arcsin(values[COS_ZENITH])) == pytest.approx(23.44, abs=0.03)
        expected = TOTAL_SOLAR_IRRADIANCE / distance**2 * np.sin(np.radians(23.44))
        assert values[INSOLATION] == pytest.approx(expected, rel=2e-3)


def test_polar_night_is_dark() -> None:
    for start in ("T00:00", "T06:00", "T12:00", "T18:00"):
        values = derived(80.0, np.linspace(-180, 180, 7), "2020-12-21" + start)
        assert (values[:, [INSOLATION, COS_ZENITH]] == 0.0).all()


def test_global_mean_insolation_is_a_quarter_of_the_solar_constant() -> None:
    """Over all positions and one day: S / 4, for the distance at the perihelion of 2021, 0.98326 au."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    latitude = np.degrees(np.arcsin(nodes))
    means = [derived(latitude, 0.0, f"2021-01-03T{hour:02d}:00")[:, INSOLATION] for hour in (0, 6, 12, 18)]
    mean = np.average(np.mean(means, axis=0), weights=weights)
    assert mean == pytest.approx(TOTAL_SOLAR_IRRADIANCE / 4.0 / 0.98326**2, rel=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 360),
    hours=st.integers(0, 366 * 24 * 3),
    step=st.sampled_from([3600.0, 10800.0, 21600.0, 86400.0]),
)
def test_window_mean_is_the_mean_of_the_instantaneous_values(
    latitude: float, longitude: float, hours: int, step: float
) -> None:
    """The analytic integral against 720 midpoints, at the declination of the window's middle."""
    time = np.datetime64("2020-01-01T00:00") + np.timedelta64(hours, "h")
    found = derived(latitude, longitude, str(time), step)[0, INSOLATION]
    day_angle, greenwich, width = time_angles(np.array([time]), step)
    angle = day_angle[0]
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    equation = (
        0.000075
        + 0.001868 * np.cos(angle)
        - 0.032077 * np.sin(angle)
        - 0.014615 * np.cos(2 * angle)
        - 0.040849 * np.sin(2 * angle)
    )
    distance = (
        1.00011
        + 0.034221 * np.cos(angle)
        + 0.00128 * np.sin(angle)
        + 0.000719 * np.cos(2 * angle)
        + 0.000077 * np.sin(2 * angle)
    )
    hour_angle = greenwich[0] + np.radians(longitude) + equation + width * (np.arange(720) + 0.5) / 720
    phi = np.radians(latitude)
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    expected = TOTAL_SOLAR_IRRADIANCE * distance * np.maximum(cosine, 0.0).mean()
    assert found == pytest.approx(expected, abs=0.02)


def test_time_of_day_is_local_solar_time() -> None:
    """Noon at longitude 0 on a day on which the equation of time vanishes (15 April)."""
    for longitude, hour in ((0.0, "12:00"), (90.0, "06:00"), (-90.0, "18:00"), (270.0, "18:00")):
        cos, sin = derived(0.0, longitude, f"2021-04-15T{hour}")[0, :2]
        assert cos == pytest.approx(1.0, abs=1e-4)
        assert sin == pytest.approx(0.0, abs=2e-2)
    cos, sin = derived(0.0, 0.0, "2021-04-15T18:00")[0, :2]
    assert (cos, sin) == (pytest.approx(0.0, abs=2e-2), pytest.approx(1.0, abs=1e-3))


def test_day_of_year_starts_with_the_year() -> None:
    values = derived(0.0, 0.0, "2020-12-31T21:00")[0]
    cos, sin = (
        values[DERIVED_NAMES.index(f"day_of_year_{part}")] for part in ("cos", "sin")
    )  # the window's middle is midnight
    assert (cos, sin) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))


def test_many_times_at_once_equal_one_by_one_and_a_slice_of_a_larger_array_is_filled_in_position() -> None:
    latitude, longitude = np.array([50.0, -20.0, 5.0]), np.array([8.0, 120.0, 250.0])
    times = np.datetime64("2021-03-01T00:00") + np.arange(5) * np.timedelta64(6, "h")
    names = ["day_of_year_sin", "toa_incoming_shortwave_flux", "cos_solar_zenith_angle"]
    forcing = np.full((5, 3, 8), 9.0, dtype=np.float32)
    derived_forcing(latitude, longitude, times, 21600.0, names, forcing[:, :, 4:7])
    for row, time in zip(forcing, times, strict=True):
        single = np.empty((3, 3), dtype=np.float32)
        derived_forcing(latitude, longitude, time, 21600.0, names, single)
        np.testing.assert_array_equal(row[:, 4:7], single)
    assert (forcing[:, :, [0, 1, 2, 3, 7]] == 9.0).all()


def test_compiled_equals_embedded() -> None:
    """In float64, where no rounding hides a difference."""
    latitude, longitude = np.linspace(-90, 90, 31), np.linspace(-180, 180, 31)
    results = []
    for backend in (None, for_columns("dace_cpu")):
        out = np.empty((31, len(DERIVED_NAMES)))
        derived_forcing(
            latitude, longitude, np.datetime64("2021-09-30T06:00"), 21600.0, DERIVED_NAMES, out, backend=backend
        )
        results.append(out)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12, atol=1e-12)


def test_a_column_has_the_same_bits_whatever_columns_stand_beside_it() -> None:
    """Columns are the lanes of vectors."""
    random, time = np.random.default_rng(0), np.datetime64("2021-09-30T06:00")
    latitude, longitude = random.uniform(-90, 90, 700), random.uniform(-180, 360, 700)

    def derived(columns: np.ndarray) -> np.ndarray:
        out = np.empty((len(columns), len(DERIVED_NAMES)))
        backend = for_columns("dace_cpu")
        derived_forcing(latitude[columns], longitude[columns], time, 21600.0, DERIVED_NAMES, out, backend=backend)
        return out

    together = derived(np.arange(700))
    for columns in (random.permutation(700), np.arange(3, 20), np.arange(699, 700)):
        np.testing.assert_array_equal(derived(columns), together[columns])


def test_errors_name_what_is_wrong() -> None:
    out = np.empty((1, 1))
    with pytest.raises(InputError, match="derived input 'moon' is unknown; expected one of time_of_day_cos"):
        derived_forcing(np.zeros(1), np.zeros(1), np.datetime64("2020-01-01"), 21600.0, ["moon"], out)
    with pytest.raises(InputError, match="the step is 172800.0 s"):
        derived_forcing(np.zeros(1), np.zeros(1), np.datetime64("2020-01-01"), 172800.0, DERIVED_NAMES[:1], out)
    with pytest.raises(InputError, match=r"found the shape \(1, 1\), expected \(1, 2\)"):
        derived_forcing(np.zeros(1), np.zeros(1), np.datetime64("2020-01-01"), 21600.0, DERIVED_NAMES[:2], out)


def test_what_checkpoints_of_anemoi_may_compute_is_derived_here() -> None:
    assert set(COMPUTED.values()) == set(OF_ANEMOI)


def test_inputs_of_anemoi_are_those_in_its_data(shared: pathlib.Path) -> None:
    """As earthkit-data computed them for a reference checkpoint, stored in single precision; both input times."""
    path = shared / "anemoi" / "A.npz"
    if not path.is_file():
        pytest.skip("no checkpoints of anemoi in the shared data")
    with np.load(path) as data:
        positions = [list(data["in_names"]).index(name) for name in OF_ANEMOI]
        times, expected = data["x_dates"].astype("datetime64[s]").ravel(), data["x"][..., positions]
        latitude, longitude = data["latitudes"], data["longitudes"]
    found = np.empty((len(times), len(latitude), len(OF_ANEMOI)))
    derived_forcing(latitude, longitude, times, 21600.0, OF_ANEMOI, found)
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-7)


@pytest.mark.parametrize(("calendar", "days"), [("noleap", 365), ("all_leap", 366), ("360_day", 360), ("julian", 366)])
def test_sun_of_other_calendars_goes_by_the_day_of_their_year(calendar, days):
    """As on the day of a common year that is as much of the year later."""
    times = np.array([parse_time(f"2020-{text}", "us", calendar) for text in ("01-01", "02-28T18:00", "12-30T23:00")])
    angle, hour, _ = time_angles(times, 3600.0, calendar)
    of_year = np.array(
        [(cftime.datetime(2020, m, d, h, 30, calendar=calendar).dayofyr - 1 + (h + 0.5) / 24) / days
         for m, d, h in ((1, 1, 0), (2, 28, 18), (12, 30, 23))]
    )  # fmt: skip
    np.testing.assert_allclose(angle, 2.0 * np.pi * of_year, atol=1e-12)
    np.testing.assert_allclose(hour, 2.0 * np.pi * (np.array([0.0, 18.0, 23.0]) / 24.0 - 0.5), atol=1e-12)
    out = np.empty((3, 1, 1))
    derived_forcing(np.array([50.0]), np.zeros(1), times, 3600.0, ["day_of_year_cos"], out, calendar=calendar)
    np.testing.assert_allclose(out[:, 0, 0], np.cos(2.0 * np.pi * of_year), atol=1e-12)
    days_gone = (of_year * days) - 0.5 / 24.0
    np.testing.assert_allclose(julian_angle(times, calendar), 2.0 * np.pi * days_gone / 365.25, atol=1e-12)
    axis = on_axis(times, calendar)
    assert list(axis.astype("datetime64[Y]").astype(str)) == ["2020"] * 3
    assert (np.diff(axis) > np.timedelta64(0, "us")).all()


@pytest.mark.parametrize("year", range(1968, 1975))
def test_years_of_the_julian_calendar(year):
    first, last = (parse_time(f"{year}-{text}", "us", "julian") for text in ("01-01", "12-31T23:00"))
    start, length = year_of(np.array([first, last]), "julian")
    assert (start == first).all()
    assert set(length / np.timedelta64(1, "D")) == {366 if year % 4 == 0 else 365}
