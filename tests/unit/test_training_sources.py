"""What training reads from: netCDF, ec-land-db's zarr stores and stores of anemoi-datasets give the same columns."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import pytest
from training_files import columns, needs_anemoi, write_anemoi_store, write_columns, write_public_store

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.io.period import read_period
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.io.sources.anemoi import AnemoiSource
from ailand_gt4py.training import dataset
from ailand_gt4py.training.dataset import read_windows
from ailand_gt4py.weights import variables
from ailand_gt4py.weights.variables import DEFAULT

ARRAYS = ("static", "forcing", "state", "diagnostics", "n_windows", "latitude", "longitude")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The columns as read from netCDF."""
    return read_windows([write_columns(tmp_path_factory.mktemp("data") / "a.nc", n_times=30)], DEFAULT)


def same(found, expected):
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=2e-7, err_msg=name)
    assert np.array_equal(found.times[0], expected.times[0])
    assert found.step_seconds == expected.step_seconds


def test_a_zarr_store_is_as_good_as_netcdf(tmp_path, data):
    columns(n_times=30).to_zarr(tmp_path / "a.zarr", zarr_format=2)
    found = read_windows([tmp_path / "a.zarr"], DEFAULT)
    same(found, data)
    assert found.climate.tolist() == data.climate.tolist() == ["wet", "dry"] * 6


def test_layout_of_ec_land_db(tmp_path, data):
    """Static fields at all times, other names and units; what is taken for granted is told."""
    found = read_windows([write_public_store(tmp_path / "store.zarr", columns(n_times=30))], DEFAULT)
    same(found, data)
    history = "\n".join(found.history)
    for said in (
        "store.zarr: Read under another name: clim_clake from 'clim_CLAKE'",
        "clim_sdor: the unit '-' is read as 'm'",
        "repeated in time, checked to be constant",
        "recognised as ec-land-db's public store",
    ):
        assert said in history


def test_the_public_store_itself(shared):
    """Of what it has: no fluxes and no screen level, the deepest layer neither."""
    state = ["swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc", "sd", "rsn"]
    chosen = variables.choose([], [], state, ["skt"])
    found = read_windows([shared / "data" / "ecland_cy49r2_2020_2022.zarr"], chosen)
    assert found.n_windows.tolist() == [4383] * 10
    assert 0.0 <= found.state[:, state.index("snowc")].min() <= found.state[:, state.index("snowc")].max() <= 1.0
    assert 200.0 < found.diagnostics.min() < found.diagnostics.max() < 340.0
    assert "without shift" in "\n".join(found.history)


@pytest.mark.parametrize(
    ("name", "lacking"), [("ecland_synth_6h_train.nc", ""), ("ecland_perturbed_params_6h.nc", "asn")]
)
def test_the_projects_own_files_open(shared, name, lacking):
    """The file with perturbed parameters has no albedo of the snow."""
    chosen = variables.choose([], [], [item.name for item in DEFAULT.state if item.name != lacking], [])
    with dataset._open(shared / "data" / name, chosen, ()) as source:
        assert source.step == np.timedelta64(6, "h")
        assert source.forcing(0, 2).shape == (2, source.n_columns, 12)
        names = [variable.name for variable in (*chosen.state, *chosen.diagnostics)]
        assert np.isfinite(source.reference(names, 0, 2)).all()
        assert set(source.climate) != {""}


def test_held_out_columns_of_the_hourly_file_are_found(shared):
    """Its 39 columns are some of the 6-hourly files', 6 of them of the one that is never trained on."""

    def places(source):
        return dataset._locations(source.latitude, source.longitude)

    with dataset._open(shared / "data" / "ecland_synth_6h_holdout.nc", DEFAULT, ()) as source:
        held_out = np.unique(places(source))
    assert len(held_out) == 85
    with dataset._open(shared / "data" / "ecland_synth_1h.nc", DEFAULT, ()) as source:
        assert source.step == np.timedelta64(1, "h")
        kept = dataset._kept(source, [], held_out)
        assert len(kept) == 33
        assert not np.isin(places(source)[kept], held_out).any()


# ------------------------------------------------------------------------------------- anemoi-datasets


def test_anemoi_stores_are_known_by_their_attributes(tmp_path):
    data = columns(n_columns=2, n_times=4)
    assert AnemoiSource.recognises(write_anemoi_store(tmp_path / "anemoi.zarr", data))
    data.to_zarr(tmp_path / "plain.zarr", zarr_format=2)
    data.to_netcdf(tmp_path / "a.nc")
    (tmp_path / "empty").mkdir()
    for name in ("plain.zarr", "a.nc", "empty", "none"):
        assert not AnemoiSource.recognises(tmp_path / name)


def test_an_archive_that_needs_another_version_is_no_such_store(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(".zattrs", "{}")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 105
    path.write_bytes(content)
    assert not AnemoiSource.recognises(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    path = write_anemoi_store(tmp_path / "a.zarr", columns(n_columns=2, n_times=4))
    monkeypatch.setitem(sys.modules, "anemoi.datasets", None)
    with pytest.raises(InputError, match=r"a\.zarr: is a store of anemoi-datasets; .* 'ailand_gt4py\[anemoi\]'"):
        read_windows([path], DEFAULT)


@needs_anemoi
def test_a_store_of_anemoi_datasets(tmp_path, data):
    """The same numbers as from netCDF; percent becomes a fraction because the store says its unit."""
    found = read_windows([write_anemoi_store(tmp_path / "a.zarr", columns(n_times=30))], DEFAULT)
    same(found, data)
    assert found.climate.tolist() == [""] * 12
    history = "\n".join(found.history)
    assert "snowc: converted from '%' to '1'" in history
    assert "does not say their units, taken as the model's: clim_clake" in history
    assert "stl1" not in history
    assert "windows of 6 h" in history


@needs_anemoi
def test_whoever_reads_columns_reads_a_store_of_anemoi_datasets(tmp_path):
    """A period with its start in the store and the window before it, and a state that the store lacks."""
    model, start, end = DEFAULT.template(21600.0), "2021-03-02T00:00", "2021-03-04T06:00"
    data = columns(n_times=30)
    file = read_period(write_columns(tmp_path / "a.nc", n_times=30), model, np.dtype(np.float64), start, end)
    store = read_period(write_anemoi_store(tmp_path / "a.zarr", data), model, np.dtype(np.float64), start, end)
    assert store.n_steps == file.n_steps == 9
    for name in ("static", "forcing", "initial_state", "latitude", "longitude"):
        np.testing.assert_allclose(getattr(store, name), getattr(file, name), rtol=2e-7, err_msg=name)
    assert np.array_equal(store.times, file.times)
    lacking = write_anemoi_store(tmp_path / "b.zarr", data.drop_vars(["swvl4", "stl4"]))
    with open_source(lacking, model, may_lack=["swvl4", "stl4", "asn"]) as source:
        assert source.lacking == ("swvl4", "stl4")
        state = {variable.name: source.initial_state[:, k] for k, variable in enumerate(model.state)}
    np.testing.assert_array_equal(state["swvl4"], state["swvl3"])
    np.testing.assert_allclose(state["stl4"], 2.0 * state["stl3"] - state["stl2"])
    assert "first guess" in "\n".join(source.history)


@needs_anemoi
def test_static_fields_that_an_anemoi_store_lacks_are_derived(tmp_path):
    data = columns(n_columns=3, n_times=5)
    data["clim_sotype"] = ("x", np.array([1.0, 2.0, 3.0], np.float32), {"units": "1"})
    path = write_anemoi_store(tmp_path / "a.zarr", data.drop_vars("clim_theta_sat"))
    found = read_windows([path], DEFAULT)
    location = [variable.name for variable in DEFAULT.static].index("clim_theta_sat")
    np.testing.assert_allclose(found.static[:, location], [0.403, 0.439, 0.430])
    assert "derived from clim_sotype" in "\n".join(found.history)


@needs_anemoi
@pytest.mark.parametrize(
    ("change", "attributes", "message"),
    [
        (
            lambda d: d.drop_vars(["met_qair", "clim_cu"]),
            {},
            "variables missing .* derived: 'clim_cu', 'met_qair'",
        ),
        (lambda d: d.drop_vars(["asn"]), {}, "reference variables missing: asn"),
        (
            lambda d: d.assign(met_tair=d["met_tair"].where(d["met_tair"] > 275.0)),
            {},
            "'met_tair' is missing at 2021",
        ),
        (lambda d: d.assign(tsn=d["tsn"].where(d["time"] > d["time"][3])), {}, "'tsn' has 48 values that are not"),
        (lambda d: d.assign(clim_cu=d["clim_cu"] + (d["x"] * d["time"].dt.hour)), {}, "'clim_cu' is .*a static field"),
        (lambda d: d, {"missing_dates": ["2021-03-02T06:00:00"]}, "1 dates are missing, the first 2021-03-02T06:00"),
        (lambda d: d, {"variables_metadata": {"stl1": {"units": "m"}}}, "'stl1'.*'m'.*expected 'K'"),
    ],
)
def test_unusable_anemoi_stores_are_named(tmp_path, change, attributes, message):
    data = change(columns(n_times=12).assign_coords(x=np.arange(12)))
    path = write_anemoi_store(tmp_path / "bad.zarr", data.reset_coords(drop=False).drop_vars("x"), **attributes)
    with pytest.raises(InputError, match=f"bad.zarr.*{message}"):
        read_windows([path], DEFAULT)
