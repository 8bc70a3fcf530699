"""Reading training data: windows against straight slices, exclusions, splits, and statistics against NumPy's."""

from __future__ import annotations

import dataclasses
import functools
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from training_files import columns, write_columns

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io.request import Reading
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.training import dataset, windows
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.training.scaling import Statistics, error_scales, measure, measured_variability
from ailand_gt4py.training.windows import line_up, split_columns
from ailand_gt4py.weights import variables
from ailand_gt4py.weights.variables import DEFAULT, PREVIOUS_WINDOW

ARRAYS = ("static", "forcing", "state", "diagnostics")
FORCING = [variable.name for variable in variables.DEFAULT.forcing]
STATE = [variable.name for variable in variables.DEFAULT.state]


def by_column(data, name, column):
    """The rows of one column, found by adding up lengths."""
    values = getattr(data, name)
    extra = 1 if name == "state" else 0
    start = sum(int(length) + extra for length in data.n_windows[:column])
    return values[start : start + int(data.n_windows[column]) + extra]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_columns(tmp_path_factory.mktemp("data") / "a.nc")


@pytest.fixture(scope="module")
def data(path):
    """Windows of the file; tests must not change them."""
    return read_windows([path], DEFAULT)


def test_windows_are_slices_of_the_file(path, data):
    with xr.open_dataset(path) as file:
        for column in range(12):
            expected = np.stack([file[name].values[:, column] for name in STATE], axis=1)
            expected[:, STATE.index("snowc")] /= 100.0
            np.testing.assert_allclose(by_column(data, "state", column), expected, rtol=1e-6)
            forcing = by_column(data, "forcing", column)
            for location, variable in enumerate(variables.DEFAULT.forcing):
                if not variable.derived:
                    np.testing.assert_array_equal(forcing[:, location], file[variable.name].values[:-1, column])
        names = [variable.name for variable in variables.DEFAULT.static]
        np.testing.assert_array_equal(data.static, np.stack([file[name].values for name in names], axis=1))
    assert data.step_seconds == 21600.0
    assert (data.n_windows == 79).all()


def test_forcing_of_the_previous_window(data):
    """Row k of a previous input is row k - 1 of its variable, in every column; the first is the window's own."""
    assert len(PREVIOUS_WINDOW) > 0
    for column in range(12):
        forcing = by_column(data, "forcing", column)
        for name in PREVIOUS_WINDOW:
            own, before = forcing[:, FORCING.index(name)], forcing[:, FORCING.index(f"{name}_before")]
            np.testing.assert_array_equal(before[1:], own[:-1])
            assert before[0] == own[0]
            assert not np.array_equal(before, own)


def test_diagnostics_are_lined_up_with_their_windows(data):
    """Window 10 runs from label 10 to 11: its end is label 11, its mean is stored at label 10."""
    found = by_column(data, "diagnostics", 5)[10] / np.arange(1.0, 11.0)
    at_end = [11.0 if variable.name in ("t2m", "d2m", "skt") else 10.0 for variable in variables.DEFAULT.diagnostics]
    assert found.tolist() == at_end


def test_state_follows_the_forcing_of_its_window(data):
    """The generator's law: stl1 at the end is that at the start relaxed to the air temperature of the window."""
    air = by_column(data, "forcing", 3)[:, FORCING.index("met_tair")]
    stl1 = by_column(data, "state", 3)[:, STATE.index("stl1")]
    assert np.allclose(stl1[1:], stl1[:-1] + 0.3 * (air - stl1[:-1]), atol=1e-3)


def test_derived_inputs_are_filled(data):
    toa = data.forcing[:, FORCING.index("toa_incoming_shortwave_flux")]
    assert toa.min() >= 0.0
    assert 300.0 < toa.max() < 1420.0
    assert np.isfinite(data.forcing).all()


def test_files_of_different_lengths_are_joined_by_column(tmp_path, data, path):
    other = write_columns(tmp_path / "b.nc", n_columns=3, n_times=40, seed=2)
    joined, alone = read_windows([path, other], DEFAULT), read_windows([other], DEFAULT)
    assert joined.n_windows.tolist() == [79] * 12 + [39] * 3
    assert joined.source.tolist() == [0] * 12 + [1] * 3
    for name in ARRAYS[1:]:
        for column in range(12):
            np.testing.assert_array_equal(by_column(joined, name, column), by_column(data, name, column))
        for column in range(3):
            np.testing.assert_array_equal(by_column(joined, name, 12 + column), by_column(alone, name, column))
    blocks = list(joined.blocks(np.array([1, 2, 11, 12, 14])))
    assert [block.columns.tolist() for block in blocks] == [[1, 2], [11], [12], [14]]
    np.testing.assert_array_equal(blocks[3].state[0], by_column(joined, "state", 14))
    np.testing.assert_array_equal(blocks[3].static, joined.static[[14]])
    assert len(blocks[3].times) == 40


def test_a_choice_of_variables(path, data):
    chosen = variables.choose(["clim_cvl"], ["met_tair", "met_tair_before"], ["stl2", "swvl1"], ["slhf"])
    found = read_windows([path], chosen)
    np.testing.assert_array_equal(found.forcing[:, 1], data.forcing[:, FORCING.index("met_tair_before")])
    np.testing.assert_array_equal(found.state, data.state[:, [STATE.index("stl2"), STATE.index("swvl1")]])
    np.testing.assert_array_equal(found.diagnostics[:, 0], data.diagnostics[:, 4])
    with pytest.raises(
        InputError, match=r"variables\.forcing: forcing 'met_tair_before' is 'met_tair' of the previous window"
    ):
        variables.choose([], ["met_qair", "met_tair_before"], [], [])
    with pytest.raises(InputError, match=r"variables\.state: 'stl1' is there twice"):
        variables.choose([], [], ["stl1", "stl1"], [])


def test_the_window_before_the_previous_one_is_taken_and_an_unknown_variable_refused():
    previous = next(variable for variable in variables.DEFAULT.forcing if variable.name == "met_tair_before").variable()
    twice = dataclasses.replace(previous, name="met_tair_twice", derived="before:met_tair_before")
    own = next(variable for variable in variables.DEFAULT.forcing if variable.name == "met_tair").variable()
    assert ForcingAssembler([previous, own]).previous_of == [1]
    assert ForcingAssembler([own, previous, twice]).previous_of == [0, 1]
    unknown = dataclasses.replace(previous, derived="before:met_nothing")
    with pytest.raises(InputError, match="'met_tair_before' is 'met_nothing' of the previous window, which is not"):
        ForcingAssembler([own, unknown])


# ------------------------------------------------------------------------------------- columns that are left out


def kept(paths, **options):
    return read_windows(paths, DEFAULT, **options).latitude.round(3).tolist()


def test_columns_in_boxes_are_left_out(path):
    """The columns are on the diagonal from 60 S, 120 W to 60 N, 120 E, 10.9 degrees of latitude apart."""
    every = np.linspace(-60.0, 60.0, 12).round(3).tolist()
    inside = kept([path], exclude_boxes=[(-30.0, 90.0, -180.0, 180.0)])
    assert inside == [latitude for latitude in every if latitude < -30.0]
    assert kept([path], exclude_boxes=[(-90.0, 90.0, 0.0, 60.0)]) == [
        latitude for latitude in every if not 0.0 <= 2 * latitude <= 60.0
    ]
    # A box is as long as it says, eastward: across the date line, and with longitudes beyond 180.
    assert kept([path], exclude_boxes=[(-90.0, 90.0, 100.0, 250.0)]) == every[1:-1]
    both = kept([path], exclude_boxes=[(-90.0, -20.0, -180.0, 180.0), (20.0, 90.0, -180.0, 180.0)])
    assert both == [latitude for latitude in every if -20.0 < latitude < 20.0]


def test_columns_at_the_locations_of_another_file_are_left_out(path, tmp_path):
    other = columns(n_times=10, seed=3).isel(x=[1, 7, 8])
    other["lon"] = ("x", (other["lon"].values % 360.0).astype(np.float32), other["lon"].attrs)
    other["lat"].values[2] += 1.0  # another place
    other.to_netcdf(tmp_path / "held_out.nc")
    every = np.linspace(-60.0, 60.0, 12).round(3).tolist()
    found = kept([path], exclude_locations_of=[tmp_path / "held_out.nc"])
    assert found == [latitude for location, latitude in enumerate(every) if location not in (1, 7)]


def test_columns_at_points_are_left_out(path):
    every = np.linspace(-60.0, 60.0, 12).round(3).tolist()
    # The first column, given from 0 to 360 degrees, and the last; the third point is nowhere.
    assert kept([path], exclude_points=[(-60.0, 240.0), (60.0, 120.0), (every[5], 0.0)]) == every[1:-1]


def test_left_out_columns_leave_the_others_as_they_are(path, data):
    found = read_windows([path], DEFAULT, exclude_boxes=[(-61.0, -45.0, -180.0, 180.0), (0.0, 10.0, 0.0, 20.0)])
    locations = [2, 3, 4, 5, 7, 8, 9, 10, 11]
    for name in ARRAYS[1:]:
        for column, location in enumerate(locations):
            np.testing.assert_array_equal(by_column(found, name, column), by_column(data, name, location))
    np.testing.assert_array_equal(found.static, data.static[locations])
    assert found.climate.tolist() == [data.climate[location] for location in locations]


def test_nothing_left_is_an_error(path):
    with pytest.raises(InputError, match=r"a\.nc: no column is left"):
        read_windows([path], DEFAULT, exclude_boxes=[(-90.0, 90.0, -180.0, 180.0)])


# ------------------------------------------------------------------------------------- data that do not fit memory


def test_reading_in_parts_gives_the_same_numbers(path, data, tmp_path, monkeypatch):
    """A few times after the other, into files; the edges of the parts must not show."""
    monkeypatch.setattr(dataset, "READ_VALUES", 7 * 12 * 36)
    monkeypatch.setattr(
        dataset, "open_source", functools.partial(open_source, reading=Reading(block_bytes=12 * 12 * 4 * 5))
    )
    found = read_windows([path], DEFAULT, cache=tmp_path)
    assert isinstance(found.forcing, np.memmap)
    assert {item.name for item in tmp_path.iterdir()} == {"forcing.npy", "state.npy", "diagnostics.npy"}
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))


def test_data_in_files_need_little_memory(tmp_path, monkeypatch):
    """Reading, statistics and normalisation take a fraction of what the data are."""
    pytest.importorskip("torch", reason="training needs PyTorch")
    from ailand_gt4py.training.tensors import normalised_tensors

    # Without what is computed from time and location, which is slow in small parts.
    solar = [
        variable.name for variable in variables.DEFAULT.forcing if variable.derived and "before" not in variable.derived
    ]
    chosen = variables.choose([], [name for name in FORCING if name not in solar], [], [])
    path = write_columns(tmp_path / "large.nc", n_columns=40, n_times=600)
    monkeypatch.setattr(dataset, "READ_VALUES", 1 << 16)
    monkeypatch.setattr(windows, "COLUMN_BLOCK", 2)
    monkeypatch.setattr(dataset, "open_source", functools.partial(open_source, reading=Reading(block_bytes=1 << 18)))
    read_windows([path], chosen, exclude_boxes=[(-50.0, 90.0, -180.0, 180.0)])  # what is imported on the way
    tracemalloc.start()
    try:
        data = read_windows([path], chosen, cache=tmp_path)
        scaling = measure(data, chosen)
        error_scales(measured_variability(data, scaling), scaling.state, 2.0)
        tensors = normalised_tensors(data, scaling)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(getattr(data, name).nbytes for name in ARRAYS)
    assert peak < 0.5 * size, f"{peak} of {size} bytes"
    assert np.shares_memory(tensors.forcing.numpy(), data.forcing)
    in_memory = read_windows([path], chosen)
    assert measure(in_memory, chosen).forcing == scaling.forcing
    again = normalised_tensors(in_memory, scaling)
    assert np.array_equal(again.forcing.numpy(), tensors.forcing.numpy())


# ------------------------------------------------------------------------------------- files that cannot be used


def test_files_with_other_steps_are_refused(path, tmp_path):
    columns(n_times=20).isel(time=slice(None, None, 2)).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(InputError, match=r"b\.nc: its step is .*, expected that of .*a\.nc"):
        read_windows([path, tmp_path / "b.nc"], DEFAULT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("met_qair"), "variable missing .*'met_qair'"),
        (lambda d: d.assign(swvl1=d["swvl1"].where(d["swvl1"] > d["swvl1"].min())), "'swvl1' has 1 values that are"),
        (
            lambda d: d.assign(sro=d["sro"].where(d["sro"] != 27)),
            "'sro' has 12 values .*at 2021-03-01T18:00 in column 0",
        ),
        (lambda d: d.assign(stl1=d["stl1"].assign_attrs(units="m")), "'stl1'.*'m'.*expected 'K'"),
        (lambda d: d.assign(stl2=d["stl2"].isel(time=0, drop=True)), r"'stl2' has the dimensions \(x: 12\)"),
        (lambda d: d.isel(time=[0, 1, 3, 4]), "are 12 h apart, expected the model's step of 6 h"),
        (lambda d: d.isel(time=[0]), "1 times, expected at least 2"),
        (lambda d: d.drop_vars("lat"), "variable 'lat' is missing"),
        (lambda d: d.drop_vars("asn"), "reference variables missing: asn"),
    ],
)
def test_unusable_files_are_named(tmp_path, change, message):
    change(columns()).to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(InputError, match=f"bad.nc.*{message}"):
        read_windows([tmp_path / "bad.nc"], DEFAULT)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.nc: no such file"):
        read_windows([tmp_path / "none.nc"], DEFAULT)
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(InputError, match=r"text\.nc: cannot be opened"):
        read_windows([tmp_path / "text.nc"], DEFAULT)


def test_other_time_meanings_are_no_diagnostics():
    wrong = dataclasses.replace(variables.DEFAULT.diagnostics[0], time_meaning="static")
    with pytest.raises(InputError, match="diagnostic 't2m': time meaning 'static'"):
        line_up(np.zeros((1, 2, 1)), np.zeros((1, 3, 1)), 0, [wrong])


# ------------------------------------------------------------------------------------- split and statistics


def test_locations_are_told_apart_by_class_and_position(data):
    assert data.locations[0] == "wet/-60.0000,-120.0000"
    assert len(set(data.locations)) == 12


@given(st.integers(0, 5), st.floats(0.05, 0.5))
def test_split_keeps_columns_apart_and_classes_represented(seed, fraction):
    """Three columns at each location stay together; the fraction is taken of every class."""
    sizes = {"a": 20, "b": 7, "c": 2, "d": 1}
    groups = np.array(
        [f"{name}/{location}" for name, size in sizes.items() for location in range(size) for _ in range(3)]
    )
    training, validation = split_columns(groups, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(groups.size))
    assert np.array_equal(training, np.sort(training))
    assert not set(groups[training]) & set(groups[validation])
    for name, size in sizes.items():
        expected = max(1, round(fraction * size)) if size > 1 else round(fraction * size)
        assert len({group for group in groups[validation] if group.startswith(name)}) == expected
    again = split_columns(groups, fraction, seed)
    assert np.array_equal(again[0], training)
    assert np.array_equal(again[1], validation)


def test_split_depends_on_the_seed_and_hardly_on_more_data():
    groups = np.array([f"a/{location}" for location in range(40)])
    chosen = {seed: set(groups[split_columns(groups, 0.2, seed)[1]]) for seed in (1, 2)}
    assert chosen[1] != chosen[2]
    more = np.concatenate([groups, [f"b/{location}" for location in range(40)], groups])
    assert set(more[split_columns(more, 0.2, 1)[1]]) >= chosen[1]
    assert split_columns(groups, 0.0, 1)[1].size == 0


def test_split_has_every_kind_of_two_locations():
    """Rare soils and snow regimes, of whatever climate, are validated, too; a kind of one location is learnt."""
    groups = np.array([f"{name}/{location}" for name in "abc" for location in range(30)])
    soil, snow = np.full(90, "loam"), np.full(90, "none")
    soil[[4, 70]], soil[11], snow[[30, 31, 32]] = "peat", "clay", "long"
    plain, validation = (split_columns(groups, 0.1, 3, kinds)[1] for kinds in ((), (soil, snow)))
    assert set(validation) >= set(plain)
    assert len(validation) <= len(plain) + 2
    assert set(soil[validation]) == {"loam", "peat"}
    assert set(snow[validation]) == {"none", "long"}
    assert split_columns(groups, 0.0, 3, (soil, snow))[1].size == 0


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**16))
def test_pooled_statistics_are_the_direct_ones(lengths, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.normal([280.0, 1e-5], [0.1, 1e-6], (length, 2)) for length in lengths]
    pooled = Statistics.pooled([Statistics.of(block, np.ones(2, dtype=bool)) for block in blocks])
    everything = np.concatenate(blocks)
    assert np.allclose(pooled.mean, everything.mean(axis=0), rtol=1e-13)
    assert np.allclose(pooled.std, everything.std(axis=0), rtol=1e-8, atol=1e-16)
    assert np.array_equal(pooled.minimum, everything.min(axis=0))
    assert np.array_equal(pooled.maximum, everything.max(axis=0))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(0, 2**16))
def test_pooled_statistics_of_values_that_count(lengths, seed):
    rng = np.random.default_rng(seed)
    blocks = [np.maximum(rng.normal(size=(length, 1)), 0.0) for length in lengths]
    pooled = Statistics.pooled([Statistics.of(block, block > 0.0) for block in blocks])
    everything = np.concatenate(blocks)
    wet = everything[everything > 0.0]
    assert pooled.n == wet.size
    assert pooled.maximum == everything.max()
    assert pooled.minimum == everything.min()
    if wet.size:
        assert np.allclose([pooled.mean[0], pooled.std[0]], [wet.mean(), wet.std()], rtol=1e-9, atol=1e-12)
    else:
        assert np.isnan(pooled.std[0])


@pytest.mark.parametrize("name", ["met_qair", "met_snowf"])  # of all values, and of those above zero
def test_statistics_refuse_nan(data, name):
    broken = dataclasses.replace(data, forcing=data.forcing.copy())
    broken.forcing[3, FORCING.index(name)] = np.nan
    with pytest.raises(InputError, match=rf"variable '{name}' has the standard deviation .*\(nan to nan\)"):
        measure(broken, DEFAULT)
