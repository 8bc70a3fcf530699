"""Observations: at their own times, put onto a run's labels, read from files, and refused where they cannot be."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.request import Reading, Selection
from ailand_gt4py.observations.observed import Observed, read_observed
from ailand_gt4py.weights.variables import CATALOGUE

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-06-01", "ns")
FLUX, WATER = CATALOGUE["sshf"].variable(), CATALOGUE["swvl1"].variable()


def observed(variable, hours, window, values, errors=None, measured=None):
    values = np.asarray(values, dtype=float).reshape(len(hours), -1)
    known = np.full(values.shape, np.nan) if errors is None else np.broadcast_to(errors, values.shape).copy()
    share = np.ones(values.shape) if measured is None else np.broadcast_to(measured, values.shape).copy()
    times = START + np.asarray(hours) * np.timedelta64(60, "m")
    return Observed(variable, times, window * HOUR, values, known, share)


def labels(n, step=6):
    return START + np.arange(n) * step * HOUR


def test_hourly_means_become_means_over_the_step():
    """Of those that are there; as much of the step is measured as there are of them."""
    values = np.arange(24.0)
    values[7] = np.nan
    found = observed(FLUX, np.arange(24), 1, values, errors=10.0).on_labels(labels(4), 6 * HOUR)
    np.testing.assert_allclose(found.values[:, 0], [2.5, np.nanmean(values[6:12]), 14.5, 20.5])
    np.testing.assert_allclose(found.measured[:, 0], [1.0, 5.0 / 6.0, 1.0, 1.0])
    np.testing.assert_allclose(found.errors, 10.0)
    assert found.window == 6 * HOUR
    assert np.isnan(found.well_measured(0.9).values[1, 0])
    assert found.well_measured(0.8).count == 4


def test_instants_are_those_at_the_labels():
    found = observed(WATER, np.arange(24), 1, np.arange(24.0)).on_labels(labels(4), 6 * HOUR)
    np.testing.assert_array_equal(found.values[:, 0], [0.0, 6.0, 12.0, 18.0])


def test_a_mean_that_reaches_into_the_next_step_is_in_none():
    """Half past: three-hourly means that do not fit into steps of six hours, but for some."""
    found = observed(FLUX, [0, 4, 6, 9], 3, [1.0, 2.0, 3.0, 4.0]).on_labels(labels(2), 6 * HOUR)
    np.testing.assert_array_equal(found.values[:, 0], [1.0, 3.5])
    np.testing.assert_array_equal(found.measured[:, 0], [0.5, 1.0])


@given(shift=st.integers(-30, 30), n=st.integers(2, 20), seed=st.integers(0, 1000))
def test_every_hour_counts_in_the_step_that_it_lies_in(shift, n, seed):
    """Against a loop, wherever the observations begin."""
    values = np.random.default_rng(seed).normal(size=(48, 2))
    values[np.random.default_rng(seed + 1).random(values.shape) < 0.3] = np.nan
    hours = np.arange(48) + shift
    one = observed(FLUX, hours, 1, values)
    expected = np.full((n, 2), np.nan)
    for k in range(n):
        inside = values[(hours >= 6 * k) & (hours < 6 * k + 6)]
        for column in range(2):
            there = inside[:, column][np.isfinite(inside[:, column])]
            expected[k, column] = there.mean() if there.size else np.nan
    if np.isfinite(expected).any():
        np.testing.assert_allclose(one.on_labels(labels(n), 6 * HOUR).values, expected)
    else:
        with pytest.raises(InputError, match="expected some within steps"):
            one.on_labels(labels(n), 6 * HOUR)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: observed(FLUX, [0, 2, 1], 1, [1.0, 2.0, 3.0]), "the time 2021-06-01T01:00.* follows 2021-06-01T02:00"),
        (lambda: observed(FLUX, [0, 1, 1], 1, [1.0, 2.0, 3.0]), "expected increasing times, each once"),
        (
            lambda: observed(FLUX, [0, 1], 1, [1.0, 2.0], errors=0.0),
            "an error of 0 W m-2 at 2021-06-01T00:00, expected errors above 0",
        ),
        (lambda: observed(FLUX, [0, 1], 1, [1.0, 2.0], errors=-3.0), "found an error of -3 W m-2"),
        (lambda: observed(FLUX, [0, 24], 24, [1.0, 2.0]).on_labels(labels(4), 6 * HOUR), "are means over .*, expected"),
        (
            lambda: observed(FLUX, [0, 6], 6, [1.0, 2.0], measured=0.3).well_measured(),
            r"of all 2 less than 0\.66 was measured \(the best: 0\.3\)",
        ),
        (lambda: observed(FLUX, [0, 1], 1, [1.0, 2.0], measured=3.0), "found 3 as the share .*, expected 0 to 1"),
        (lambda: observed(FLUX, [0, 1], 1, [1.0, 2.0], measured=-0.5), "found -0.5 as the share"),
        (
            lambda: dataclasses.replace(observed(FLUX, [0, 1], 1, [1.0, 2.0]), errors=np.ones((3, 1))),
            "found the shapes",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=f"observations of 'sshf'.*{message}|{message}"):
        make()


def test_errors_and_shares_of_gaps_do_not_matter():
    """Files often have 0 there."""
    values, zeros = [1.0, np.nan], [[1.0], [0.0]]
    assert observed(FLUX, [0, 1], 1, values, errors=zeros, measured=[[1.0], [-9.0]]).count == 1
    with pytest.raises(InputError, match="found an error of 0"):
        observed(FLUX, [0, 1], 1, [1.0, 2.0], errors=zeros)


def test_instants_between_labels_are_none_of_them():
    found = observed(WATER, [1, 2, 8], 1, [1.0, 2.0, 3.0])
    with pytest.raises(
        InputError, match=r"'swvl1' are from .*, expected some at labels every 6 h, from 2021-06-01T00:00"
    ):
        found.on_labels(labels(4), 6 * HOUR)


def tower(path, **changes):
    """A file with ecLand's and observed values, as those of the towers."""
    n = 12
    time = START + np.arange(n) * 6 * HOUR
    mean, point = {"cell_methods": "time: mean"}, {"cell_methods": "time: point"}
    data = xr.Dataset(
        {
            "sshf": (("time", "x"), np.full((n, 1), -50.0), {"units": "W m-2", **mean}),
            "obs_sshf": (("time", "x"), np.linspace(-100.0, 10.0, n)[:, None], {"units": "W m-2", **mean}),
            "obs_swvl1": (("time", "x"), np.linspace(20.0, 31.0, n)[:, None], {"units": "%", **point}),
            "obs_qc": (("time", "x"), np.linspace(0.0, 1.0, n)[:, None], {"units": "1", **mean}),
        },
        coords={"time": time, "lat": ("x", [46.0]), "lon": ("x", [7.0])},
    )
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    data.assign(changes).to_netcdf(path)
    return path


def test_what_stands_beside_the_models_values_is_read(tmp_path):
    path = tower(tmp_path / "tower.nc")
    found = read_observed([path], [FLUX, WATER, CATALOGUE["stl1"].variable()])
    assert set(found) == {"sshf", "swvl1"}
    np.testing.assert_allclose(found["sshf"].values[:, 0], np.linspace(-100.0, 10.0, 12), rtol=1e-6)
    np.testing.assert_allclose(found["swvl1"].values[:, 0], np.linspace(0.20, 0.31, 12), rtol=1e-6)
    np.testing.assert_allclose(found["sshf"].measured[:, 0], np.linspace(0.0, 1.0, 12), atol=1e-6)
    assert np.isnan(found["sshf"].errors).all()
    assert found["sshf"].window == 6 * HOUR


def test_values_that_cannot_be_are_left_out_and_said(tmp_path, caplog):
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        changed = data.load()
    changed["obs_swvl1"].values[3] = -9999.0
    changed.to_netcdf(tmp_path / "changed.nc")
    found = read_observed([tmp_path / "changed.nc"], [WATER])
    assert found["swvl1"].count == 11
    assert np.isnan(found["swvl1"].values[3, 0])
    assert "'obs_swvl1' has 1 impossible values" in caplog.text


def test_a_file_without_prefix_has_observations_by_their_names(tmp_path):
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        plain = data.load()[["obs_sshf"]].rename(obs_sshf="sshf")
    plain["sshf_error"] = plain.sshf * 0.0 + 7.0
    plain["sshf_error"].attrs["units"] = "W m-2"
    plain.to_netcdf(tmp_path / "plain.nc")
    found = read_observed([tmp_path / "plain.nc"], [FLUX])
    np.testing.assert_allclose(found["sshf"].errors, 7.0)
    assert (found["sshf"].measured == 1.0).all()


def test_nothing_of_what_is_wanted(tmp_path):
    with pytest.raises(InputError, match=r"nothing in it was observed of t2m, expected some"):
        read_observed([tower(tmp_path / "tower.nc")], [CATALOGUE["t2m"].variable()])


def test_an_unknown_unit_is_refused(tmp_path):
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        wrong = data.load()
    wrong["obs_sshf"].attrs["units"] = "furlong"
    wrong.to_netcdf(tmp_path / "wrong.nc")
    with pytest.raises(InputError, match="furlong"):
        read_observed([tmp_path / "wrong.nc"], [FLUX])


def with_error(data, error, units="W m-2"):
    return data.assign(obs_sshf_error=(data.obs_sshf.dims, np.full(data.obs_sshf.shape, error), {"units": units}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.isel(time=[0, 1, 1, 2]), "'time' at index 2 .* repeats the one at index 1"),
        (lambda data: data.isel(time=[0, 2, 1, 3]), "'time' at index 2 .* is before the one at index 1"),
        (lambda data: data.isel(time=[0]), "has 1 times, expected several observations"),
        (
            lambda data: with_error(data, 0.0),
            "'sshf': found an error of 0 W m-2 at 2021-06-01T00:00, expected errors above 0",
        ),
        (lambda data: with_error(data, -2.0), "'sshf': found an error of -2 W m-2"),
        (
            lambda data: with_error(data, 2.0, "K"),
            "'obs_sshf_error': unit 'K' is of another quantity; expected 'W m-2'",
        ),
        (lambda data: data.assign(obs_qc=data.obs_qc + 2.0), "found 2 as the share"),
    ],
)
def test_files_that_cannot_be_are_refused_by_name(tmp_path, change, message):
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        changed = change(data.load())
    if "obs_qc" in changed:
        changed["obs_qc"].attrs = {"units": "1", "cell_methods": "time: mean"}
    changed.to_netcdf(tmp_path / "wrong.nc")
    with pytest.raises(InputError, match=message) as caught:
        read_observed([tmp_path / "wrong.nc"], [FLUX])
    assert str(caught.value).startswith(f"{tmp_path / 'wrong.nc'}: ")


def test_a_file_of_which_nothing_was_measured(tmp_path):
    path = tower(tmp_path / "tower.nc")
    with xr.open_dataset(path) as data:
        filled = data.load()
    filled["obs_qc"].values[:] = 0.0
    filled.to_netcdf(tmp_path / "filled.nc")
    with pytest.raises(
        InputError, match=r"'sshf': of all 12 less than 0\.66 was measured \(the best: 0\), expected some"
    ):
        read_observed([tmp_path / "filled.nc"], [FLUX])["sshf"].well_measured()


def changed_tower(tmp_path, change):
    with xr.open_dataset(tower(tmp_path / "tower.nc")) as data:
        changed = change(data.load())
    changed.to_netcdf(tmp_path / "changed.nc")
    return tmp_path / "changed.nc"


def test_the_models_own_values_never_stand_for_observations(tmp_path):
    """What is to be done to a file before a run takes it is not done to what was observed."""
    path = changed_tower(tmp_path, lambda data: data.assign(lsm=("x", [1.0], {"units": "1"})))
    expected = np.linspace(-100.0, 10.0, 12)
    np.testing.assert_allclose(read_observed([path], [FLUX])["sshf"].values[:, 0], expected, rtol=1e-6)
    static = changed_tower(tmp_path, lambda data: data[["lat", "lon"]].assign(clim_cvh=("x", [0.5], {"units": "1"})))
    found = read_observed([tmp_path / "tower.nc", static], [FLUX])
    np.testing.assert_allclose(found["sshf"].values[:, 0], expected, rtol=1e-6)
    box = Reading(selection=Selection(points=((46.0, 7.0),)))
    found = read_observed(
        [tmp_path / "tower.nc"], [FLUX], latitude=np.array([46.0]), longitude=np.array([7.0]), reading=box
    )
    np.testing.assert_allclose(found["sshf"].values[:, 0], expected, rtol=1e-6)
    with pytest.raises(InputError, match="dimension 'x' is missing"):
        read_observed([changed_tower(tmp_path, lambda data: data.rename(x="site").expand_dims("y"))], [FLUX])
    with pytest.raises(InputError, match=r"other.nc: has 'obs_sshf', and so has .*tower.nc"):
        read_observed([tmp_path / "tower.nc", tower(tmp_path / "other.nc")], [FLUX])


def with_bounds(data, before, after):
    """Intervals of labels from hours before to hours after them."""
    intervals = np.stack([data.time - before * HOUR, data.time + after * HOUR], axis=1)
    found = data[["obs_sshf", "lat", "lon"]].assign(time_bounds=(("time", "end"), intervals))
    found["time"].attrs["bounds"] = "time_bounds"
    return found


@pytest.mark.parametrize(("before", "after"), [(0, 6), (6, 0), (3, 3), (0, 3)])
def test_windows_are_those_of_the_bounds(tmp_path, before, after):
    found = read_observed([changed_tower(tmp_path, lambda data: with_bounds(data, before, after))], [FLUX])["sshf"]
    assert found.times[0] == START - before * HOUR
    assert found.window == (before + after) * HOUR


def test_metadata_of_observations_are_heeded(tmp_path, caplog):
    """A statistic that is none of means and instants is refused, another direction or quantity told."""

    def described(name, **attributes):
        def change(data):
            data[name].attrs |= attributes
            return data

        return changed_tower(tmp_path, change)

    with pytest.raises(InputError, match="variable 'obs_sshf' has the cell_methods 'time: maximum', expected"):
        read_observed([described("obs_sshf", cell_methods="time: maximum")], [FLUX])
    read_observed([described("obs_sshf", standard_name="surface_upward_sensible_heat_flux")], [FLUX])
    assert "the name is followed: 'obs_sshf' is positive downward as sshf, its standard_name says" in caplog.text
    pores = "volume_fraction_of_condensed_water_in_soil_pores"
    read_observed([described("obs_swvl1", standard_name=pores)], [WATER])
    assert f"'obs_swvl1' is taken as swvl1, its standard_name is '{pores}'" in caplog.text


def test_errors_of_temperatures_are_differences(tmp_path):
    def change(data):
        degrees = {"units": "degC", "cell_methods": "time: point"}
        return data.assign(
            obs_stl1=(data.obs_sshf.dims, np.full(data.obs_sshf.shape, 5.0), degrees),
            obs_stl1_error=(data.obs_sshf.dims, np.full(data.obs_sshf.shape, 2.0), degrees),
        )

    found = read_observed([changed_tower(tmp_path, change)], [CATALOGUE["stl1"].variable()])["stl1"]
    np.testing.assert_allclose(found.values, 278.15)
    np.testing.assert_allclose(found.errors, 2.0)
