"""Reading training data, its alignment in time, statistics, and baselines that training uses."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from training_files import write_columns

from ailand_gt4py.errors import InputError
from ailand_gt4py.training import variables
from ailand_gt4py.training.dataset import align_diagnostics, read_windows, split_columns
from ailand_gt4py.training.statistics import RunningStatistics

NAMES = [variable.name for variable in variables.DIAGNOSTICS]


def test_diagnostics_are_lined_up_with_their_windows(tmp_path):
    """Window 10 runs from label 10 to 11: its end is label 11, its mean is stored at label 10."""
    data = read_windows([write_columns(tmp_path / "a.nc")])
    found = data.diagnostics[0, 10] / np.arange(1.0, 6.0)
    expected = {"t2m": 11.0, "d2m": 11.0, "skt": 11.0, "sshf": 10.0, "slhf": 10.0}
    assert dict(zip(NAMES, found, strict=True)) == expected


def test_state_and_forcing_are_lined_up(tmp_path):
    """The generator's law holds: state 4 of 3 is state 3 relaxed to the air temperature of window 3."""
    data = read_windows([write_columns(tmp_path / "a.nc")])
    names = [variable.name for variable in variables.FORCING]
    air = data.forcing[:, :, names.index("met_tair")]
    stl1 = data.state[:, :, 3]
    assert np.allclose(stl1[:, 1:], stl1[:, :-1] + 0.3 * (air - stl1[:, :-1]), atol=1e-3)
    shifted = stl1[:, 1:-1] + 0.3 * (air[:, :-1] - stl1[:, 1:-1])
    assert not np.allclose(stl1[:, 2:], shifted, atol=0.1)


def test_percent_becomes_fraction_and_derived_inputs_are_filled(tmp_path):
    path = write_columns(tmp_path / "a.nc")
    data = read_windows([path])
    with xr.open_dataset(path) as dataset:
        assert np.allclose(data.state[:, :, 6], dataset["snowc"].values.T / 100.0, atol=1e-6)
    toa = data.forcing[:, :, [v.name for v in variables.FORCING].index("toa_incoming_shortwave_flux")]
    assert toa.min() >= 0.0
    assert 300.0 < toa.max() < 1420.0
    assert data.forcing.shape == (12, 79, 18)
    assert data.step_seconds == 21600.0


def test_files_are_joined_by_column(tmp_path):
    first, second = (write_columns(tmp_path / f"{seed}.nc", seed=seed) for seed in (1, 2))
    joined, alone = read_windows([first, second]), read_windows([second])
    assert joined.n_columns == 24
    assert np.array_equal(joined.forcing[12:], alone.forcing)
    assert joined.source.tolist() == [0] * 12 + [1] * 12


def test_files_with_other_times_are_refused(tmp_path):
    first, second = write_columns(tmp_path / "a.nc"), write_columns(tmp_path / "b.nc", n_times=40)
    with pytest.raises(InputError, match=r"b\.nc: times .* \(40\), expected those of .*a\.nc"):
        read_windows([first, second])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("met_qair"), "variable 'met_qair' is missing"),
        (lambda d: d.assign(swvl1=d["swvl1"].where(d["swvl1"] > d["swvl1"].min())), "'swvl1' holds .* not finite"),
        (lambda d: d.assign(stl1=d["stl1"].assign_attrs(units="m")), "'stl1'.*'m'.*expected 'K'"),
        (lambda d: d.assign(stl2=d["stl2"].isel(time=0, drop=True)), r"'stl2' has the dimensions \(x\)"),
        (lambda d: d.isel(time=[0, 1, 3, 4]), "expected a constant positive step"),
        (lambda d: d.isel(time=[0]), "1 times, expected at least 2"),
        (lambda d: d.drop_vars("lat"), "variable 'lat' .*is missing"),
    ],
)
def test_unusable_files_are_named(tmp_path, change, message):
    with xr.open_dataset(write_columns(tmp_path / "good.nc")) as dataset:
        change(dataset.load()).to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(InputError, match=f"bad.nc.*{message}"):
        read_windows([tmp_path / "bad.nc"])


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.nc: no such file"):
        read_windows([tmp_path / "none.nc"])
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(InputError, match=r"text.nc: cannot be read as netCDF"):
        read_windows([tmp_path / "text.nc"])


def test_static_meaning_is_no_diagnostic():
    with pytest.raises(InputError, match="time meaning 'static'"):
        align_diagnostics(np.zeros((1, 3, 1)), ["static"])


@given(st.integers(0, 5), st.floats(0.05, 0.5))
def test_split_keeps_columns_apart_and_classes_represented(seed, fraction):
    climate = np.array(["a"] * 20 + ["b"] * 7 + ["c"] * 2)
    training, validation = split_columns(climate, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(29))
    for name in "abc":
        members = climate == name
        assert (climate[validation] == name).sum() == max(1, round(fraction * members.sum()))
    again = split_columns(climate, fraction, seed)
    assert np.array_equal(again[0], training)
    assert np.array_equal(again[1], validation)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**16))
def test_streaming_statistics_are_the_direct_ones(lengths, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.normal([280.0, 1e-5], [0.1, 1e-6], (length, 2)) for length in lengths]
    streaming = RunningStatistics(2)
    for block in blocks:
        streaming.update(block)
    everything = np.concatenate(blocks)
    assert np.allclose(streaming.mean, everything.mean(axis=0), rtol=1e-13)
    assert np.allclose(streaming.std, everything.std(axis=0), rtol=1e-8, atol=1e-16)
    assert np.array_equal(streaming.minimum, everything.min(axis=0))
    assert np.array_equal(streaming.maximum, everything.max(axis=0))


def test_statistics_of_selected_values():
    values = np.array([[0.0], [2.0], [0.0], [4.0]])
    statistics = RunningStatistics(1)
    statistics.update(values, values > 0.0)
    assert statistics.mean == 3.0
    assert statistics.std == 1.0
    assert statistics.count == 2.0
    assert statistics.minimum == 0.0
    assert statistics.maximum == 4.0


def test_statistics_refuse_nan():
    with pytest.raises(InputError, match="1 NaN"):
        RunningStatistics(1).update(np.array([[np.nan]]))
