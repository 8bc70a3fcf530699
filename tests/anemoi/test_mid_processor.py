"""aiLand after each step of an atmosphere that anemoi-inference runs."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("anemoi.inference", reason="anemoi-inference is not installed: pip install 'ailand_gt4py[anemoi]'")

from anemoi.inference.runners.simple import SimpleRunner
from atmospheres import EXAMPLE, START, Atmosphere, grid, start_state, write_checkpoint, write_ground

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.io.restart import read_restart
from ailand_gt4py.weights.nodes import COMPUTED
from ailand_gt4py.weights.processing import Step

LAND = grid()[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("atmosphere") / "atmosphere.ckpt")


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return write_ground(tmp_path_factory.mktemp("ground") / "ground.nc")


def forecast(checkpoint, hours, state=None, **options):
    """The atmosphere's states, with the land beside it where options say so."""
    processors = []
    if options:
        defaults = {"backend": "embedded", "first_window": "end", "lead_time": f"{hours}h"}
        processors = [{"ailand": defaults | {k: str(v) if hasattr(v, "parts") else v for k, v in options.items()}}]
    runner = SimpleRunner(str(checkpoint), mid_processors=processors, precision="32", device="cpu")
    states = runner.run(input_states=state or start_state(), lead_time=f"{hours}h")
    return [one | {"fields": {name: field.copy() for name, field in one["fields"].items()}} for one in states]


def same_rows(found, expected, names=None):
    with xr.open_dataset(found) as a, xr.open_dataset(expected) as b:
        names = names or [name for name in a if a[name].dims == ("time", "x")]
        assert names
        for name in names:
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


@pytest.mark.parametrize(
    ("backend", "precision"),
    [("embedded", "float32"), ("embedded", "float64"), pytest.param("dace_cpu", "float32", marks=pytest.mark.slow)],
)
def test_land_is_that_of_column_run_on_the_same_forcing(tmp_path, checkpoint, ground, backend, precision):
    """To the bit, output and restart file; and the atmosphere does not notice."""
    options = {"output": tmp_path / "land.nc", "forcing_out": tmp_path / "forcing.nc", "ground": ground}
    states = forecast(checkpoint, 60, backend=backend, precision=precision, **options)
    run = {"backend": backend, "precision": precision, "quiet": True}
    alone = ailand_gt4py.run(tmp_path / "forcing.nc", output=tmp_path / "alone.nc", **run)
    same_rows(tmp_path / "land.nc", alone)
    with xr.open_dataset(tmp_path / "land.restart.nc") as a, xr.open_dataset(tmp_path / "alone.restart.nc") as b:
        for name in b.variables:
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)
    for found, expected in zip(states, forecast(checkpoint, 60), strict=True):
        for name, field in expected["fields"].items():
            np.testing.assert_array_equal(found["fields"][name], field)


def test_forcing_is_the_atmospheres(tmp_path, checkpoint, ground):
    """Means over both ends of the window, accumulations over its length."""
    states = forecast(checkpoint, 18, ground=ground, forcing_out=tmp_path / "forcing.nc")
    fields = [one["fields"] for one in states]
    with xr.open_dataset(tmp_path / "forcing.nc") as found:
        assert found.time.values.tolist() == [
            np.datetime64(START + datetime.timedelta(hours=6 * k), "ns").astype(int) for k in range(3)
        ]
        pressure = 0.5 * (fields[0]["sp"] + fields[1]["sp"])[LAND]
        np.testing.assert_allclose(found.met_psurf.values[1], pressure, rtol=1e-6)
        ten_metres = [
            one["2t"] + np.where(one["2t"] > one["skt"], 0.4, 0.09) * (one["2t"] - one["skt"]) for one in fields
        ]
        np.testing.assert_allclose(found.met_tair.values[2], 0.5 * (ten_metres[1] + ten_metres[2])[LAND], rtol=1e-6)
        np.testing.assert_allclose(found.met_tair.values[0], ten_metres[0][LAND], rtol=1e-6)
        np.testing.assert_allclose(found.met_swdown.values, 4e5 / 21600.0, rtol=1e-6)
        np.testing.assert_allclose(found.met_rainf.values, 2.0 / 21600.0, rtol=1e-6)
        np.testing.assert_allclose(found.met_ctpf.values, 0.5, rtol=1e-6)
        assert (found.met_snowf.values == 0.0).all()
        with xr.open_dataset(ground) as there:
            np.testing.assert_array_equal(found.lai_lv.values[2], there.lai_lv.values[0].astype(np.float32))


def test_two_way_coupling_runs_for_ten_days(tmp_path, checkpoint, ground):
    given = ["skt", "swvl1", "swvl2", "stl1", "stl2"]
    states = forecast(checkpoint, 240, ground=ground, give_back=given, output=tmp_path / "land.nc")
    alone = forecast(checkpoint, 240)
    assert len(states) == 40
    assert all(np.isfinite(field).all() for one in states for field in one["fields"].values())
    with xr.open_dataset(tmp_path / "land.nc") as land:
        for name in given:
            for k in range(39):
                np.testing.assert_array_equal(states[k]["fields"][name][LAND], land[name].values[k + 1], err_msg=name)
    # The next step of the atmosphere begins with what the land gave, at its points only.
    sea = np.setdiff1d(np.arange(len(grid()[0])), LAND)
    for k in range(1, 40):
        before, now = states[k - 1]["fields"], states[k]["fields"]
        wave = 3.0 * np.sin(0.5 * np.pi * (k + 1))
        expected = before["2t"] + 0.2 * (before["skt"] - before["2t"]) + wave
        np.testing.assert_allclose(now["2t"], expected, rtol=1e-6)
        for name, field in alone[k]["fields"].items():
            np.testing.assert_array_equal(now[name][sea], field[sea])
    assert np.abs(states[-1]["fields"]["2t"] - alone[-1]["fields"]["2t"])[LAND].min() > 0.1


def test_restart_is_bit_for_bit_reproducible(tmp_path, checkpoint, ground):
    options = {"ground": ground, "give_back": ["skt", "swvl1"]}
    whole = forecast(checkpoint, 48, output=tmp_path / "whole.nc", **options)
    first = forecast(checkpoint, 24, output=tmp_path / "first.nc", **options)
    state = start_state() | {"date": first[-1]["date"]}
    state["fields"] |= {name: first[-1]["fields"][name] for name in state["fields"] if name != "z"}
    restart = tmp_path / "first.restart.nc"
    second = forecast(checkpoint, 24, state, output=tmp_path / "second.nc", restart=restart, **options)
    for found, expected in zip(second, whole[4:], strict=True):
        np.testing.assert_array_equal(found["fields"]["skt"], expected["fields"]["skt"])
    with xr.open_dataset(tmp_path / "second.nc") as found, xr.open_dataset(tmp_path / "whole.nc") as expected:
        for name in ("skt", "sshf", "swvl1", "t2m"):
            np.testing.assert_array_equal(found[name].values, expected[name].values[4:], err_msg=name)
    model = ailand_gt4py.read_model()
    found, expected = (read_restart(tmp_path / f"{name}.restart.nc", model) for name in ("second", "whole"))
    assert found.digest() == expected.digest()
    for name, values in expected.host.items():
        np.testing.assert_array_equal(found.host[name], values)


def test_a_store_has_what_netcdf_has(tmp_path, checkpoint, ground):
    """Beside anemoi-datasets zarr is an older one."""
    for name in ("land.nc", "land.zarr"):
        forecast(checkpoint, 18, ground=ground, output=tmp_path / name, overwrite=True)
    assert (tmp_path / "land.zarr.restart.nc").is_file()
    with xr.open_zarr(tmp_path / "land.zarr") as found, xr.open_dataset(tmp_path / "land.nc") as expected:
        assert set(found.variables) == set(expected.variables)
        for name in expected.variables:
            np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))
            assert {**found[name].attrs}.keys() == {**expected[name].attrs}.keys(), name


def test_a_land_restart_goes_on_alone(tmp_path, checkpoint, ground):
    """The restart file is one of ``ailand-column-run``, which may go on with other weather."""
    forecast(checkpoint, 24, ground=ground, output=tmp_path / "land.nc")
    path = ailand_gt4py.run(
        EXAMPLE, restart=tmp_path / "land.restart.nc", start="2021-06-02", end="2021-06-03", output=tmp_path / "on.nc",
        backend="embedded", quiet=True,
    )  # fmt: skip
    model = ailand_gt4py.read_model()
    names = [variable.name for variable in model.state]
    restart = read_restart(tmp_path / "land.restart.nc", model)
    with xr.open_dataset(path) as found:
        np.testing.assert_array_equal(np.stack([found[name].values[0] for name in names], axis=1), restart.state)


def problem(checkpoint, hours=12, **options):
    """The message of a forecast that cannot be."""
    with pytest.raises(InputError) as caught:
        forecast(checkpoint, hours, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"give_back": ["tp"]}, "'tp' is no prognostic field of the atmosphere, expected some of 10u, "),
        ({"give_back": ["sd"]}, "'sd' is no prognostic field of the atmosphere"),
        ({"give_back": ["10u"]}, "'10u' is no result of the land model for the atmosphere's '10u'"),
        ({"units": {"swvl1": "K"}, "give_back": ["swvl1"]}, "'swvl1': unit 'm3 m-3' is of another quantity"),
        ({"units": {"tp": "K"}}, "'tp': unit 'K' is of another quantity; expected 'kg m-2'"),
        ({"names": {"t2": "2t"}}, "'t2' is no field that the land takes, expected some of 10u"),
        ({"names": {"2t": "t2m"}}, "the atmosphere has no output 't2m', expected it for the land's forcing; it has 2t"),
        ({"backend": "gpu"}, "option 'backend': found 'gpu', expected 'embedded', 'dace_cpu' or 'dace_gpu'"),
        ({"grund": "x.nc"}, "option 'grund' is unknown; did you mean 'ground'?"),
        ({"ground": "none.nc"}, "none.nc: no such file; expected a netCDF file or a zarr store"),
        ({"output": "land.grib"}, "option 'output': found 'land.grib', expected a file name that ends in .nc or .zarr"),
        ({"lead_time": None}, "found no lead time, expected the option 'lead_time' where the runner has none"),
        ({"model": "none.nc"}, "none.nc"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be(checkpoint, ground, options, message):
    assert message in problem(checkpoint, **({"ground": ground} | options))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"without": ("skt",)}, "no output 'skt', expected it for the land's forcing (or 'to_forcing_height: false')"),
        ({"without": ("strd",)}, "the atmosphere has no output 'strd', expected it for the land's forcing; it has 2t"),
        ({"timestep": "1h"}, "the atmosphere has a step of 1 h, expected the land model's of 6 h"),
        ({"changes": {"tp": {"period": [0, 3]}}}, "'tp' is accumulated over 3 h, expected its step of 6 h"),
        ({"changes": {"ssrd": {"units": "W m-2"}}}, "'ssrd': unit 'W m-2' is of another quantity; expected 'J m-2'"),
    ],
)  # fmt: skip
def test_an_atmosphere_that_does_not_fit(tmp_path, ground, keywords, message):
    assert message in problem(write_checkpoint(tmp_path / "other.ckpt", **keywords), ground=ground)


def test_fields_in_other_units_are_converted(tmp_path, checkpoint, ground):
    """A checkpoint that says kg m-2 of precipitation and degrees Celsius of soil."""
    changes = {"tp": {"units": "kg m-2"}, "cp": {"units": "mm"}, "stl1": {"units": "degC"}}
    other = write_checkpoint(tmp_path / "other.ckpt", Atmosphere((2.0, 1.0, 0.0, 4e5, 7e6)), changes=changes)
    found = forecast(other, 12, ground=ground, forcing_out=tmp_path / "a.nc", give_back=["stl1"])
    usual = forecast(checkpoint, 12, ground=ground, forcing_out=tmp_path / "b.nc", give_back=["stl1"])
    celsius, kelvin = (one[-1]["fields"]["stl1"][LAND] for one in (found, usual))
    np.testing.assert_allclose(celsius + 273.15, kelvin, atol=1e-4)
    with xr.open_dataset(tmp_path / "a.nc") as a, xr.open_dataset(tmp_path / "b.nc") as b:
        np.testing.assert_allclose(a.met_rainf.values, b.met_rainf.values, rtol=1e-6)
        np.testing.assert_allclose(a.met_ctpf.values, b.met_ctpf.values, rtol=1e-6)


def test_columns_must_be_grid_points(tmp_path, checkpoint):
    with xr.open_dataset(write_ground(tmp_path / "right.nc")) as data:
        latitude, longitude = data.lat.values, data.lon.values
    aside = write_ground(tmp_path / "aside.nc", lat=latitude + np.eye(5)[2] * 0.5)
    message = problem(checkpoint, ground=aside)
    assert "aside.nc: column 2 (x = " in message
    assert "is 0.5 degrees from the nearest of the atmosphere's 11 points, expected columns on its own grid" in message
    twice = write_ground(tmp_path / "twice.nc", lat=latitude[[0, 1, 2, 3, 3]], lon=longitude[[0, 1, 2, 3, 3]])
    assert "is the same point of the atmosphere's grid as another column, expected each once" in problem(
        checkpoint, ground=twice
    )
    turned = write_ground(tmp_path / "turned.nc", lon=(longitude + 180.0) % 360.0 - 180.0)
    assert len(forecast(checkpoint, 6, ground=turned)) == 1


def test_fields_that_cannot_be(tmp_path, ground):
    """NaN and another unit at land are named with field and location; at sea nobody asks."""

    def fails(sums, **changed):
        state = start_state()
        for name, (point, value) in changed.items():
            state["fields"][name.lstrip("_")][point] = value
        path = write_checkpoint(tmp_path / "other.ckpt", Atmosphere(sums))
        return path, state

    path, state = fails((2e-3, 1e-3, 0.0, 4e5, 7e6), _2d=(LAND[1], np.nan))
    message = problem(path, state=state, ground=ground)
    assert (
        f"'2d' is nan at grid point {LAND[1]} (48.88 N, 31.18 E) in the window from 2021-06-01T00:00 (1 of 5" in message
    )
    path, state = fails((2e-3, 1e-3, 0.0, 4e5, 7e6), _2d=(0, np.nan))
    assert len(forecast(path, 6, state, ground=ground)) == 1
    path, state = fails((2e-3, 1e-3, 0.0, 4e9, 7e6))
    assert "ailand: met_swdown from the atmosphere is 185185 W m-2 at grid point 1 " in problem(path, ground=ground)


def test_what_is_there_stays(tmp_path, checkpoint, ground):
    """No file is replaced unasked, and a forecast that fails leaves none of the name."""
    output = tmp_path / "land.nc"
    forecast(checkpoint, 6, ground=ground, output=output)
    assert f"{output}: exists; expected a new name, or the option 'overwrite'" in problem(
        checkpoint, 6, ground=ground, output=output
    )
    forecast(checkpoint, 6, ground=ground, output=output, overwrite=True)
    state = start_state()
    state["fields"]["2t"][LAND[0]] = np.nan
    problem(checkpoint, 6, state=state, ground=ground, output=tmp_path / "failed.nc")
    assert not (tmp_path / "failed.nc").exists()


@pytest.mark.parametrize("name", ["land.nc.partial", "land.nc.partial/notes", "land.restart.nc", "land.zarr/notes"])
def test_what_others_made_is_never_removed(tmp_path, checkpoint, ground, name):
    """Not even where files may be replaced: their names follow from the output's, and nobody gave them."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("somebody's")
    output = tmp_path / f"land.{'zarr' if 'zarr' in name else 'nc'}"
    if output.suffix == ".zarr":
        (output / ".zgroup").write_text('{"zarr_format": 2}')
    assert "is not of this program" in problem(checkpoint, 6, ground=ground, output=output, overwrite=True)
    assert path.read_text() == "somebody's"


def test_a_restart_of_something_else(tmp_path, checkpoint, ground):
    forecast(checkpoint, 6, ground=ground, output=tmp_path / "land.nc")
    restart = tmp_path / "land.restart.nc"
    assert "is valid at 2021-06-01T06:00, expected the start 2021-06-01T00:00" in problem(
        checkpoint, ground=ground, restart=restart
    )
    later = start_state() | {"date": START + datetime.timedelta(hours=6)}
    assert "was written in float32, expected this run's precision float64" in problem(
        checkpoint, state=later, ground=ground, restart=restart, precision="float64"
    )


def test_derived_inputs_are_anemois():
    """What a land model that anemoi trained takes of time and location is what anemoi gives it."""
    import earthkit.data as ekd
    from anemoi.transform.grids.unstructured import UnstructuredGridFieldList

    latitude, longitude = np.array([-89.0, -20.0, 0.0, 48.3, 71.0]), np.array([0.0, 359.0, -179.5, 16.0, 181.0])
    points = UnstructuredGridFieldList.from_values(latitudes=latitude, longitudes=longitude)
    for date in (datetime.datetime(2024, 2, 29, 6), datetime.datetime(2021, 12, 31, 18), datetime.datetime(2022, 1, 1)):
        fields = ekd.from_source("forcings", points, date=[date], param=list(COMPUTED))
        found = np.empty((len(latitude), len(COMPUTED)))
        derived_forcing(latitude, longitude, np.datetime64(date, "ns"), 21_600.0, list(COMPUTED.values()), found)
        for name, values in zip(COMPUTED, found.T, strict=True):
            (expected,) = (one.to_numpy(flatten=True) for one in fields if one.metadata("param") == name)
            np.testing.assert_allclose(values, expected, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["A", "B"])
def test_point_wise_land(tmp_path, shared, checkpoint, name):
    """A checkpoint of anemoi as the land, with the state of the step before where it has that; both ways."""
    ground = write_ground(tmp_path / "ground.nc")
    with xr.open_dataset(ground, decode_times=False) as data:
        data = data.load()
    data["clim_z0m"] = (("x",), np.full(5, 0.3), {"units": "m"})
    data.to_netcdf(tmp_path / "more.nc")
    options = {"ground": tmp_path / "more.nc", "model": shared / "anemoi" / f"{name}.ckpt"}
    given = {"forcing_out": tmp_path / "forcing.nc", "output": tmp_path / "land.nc", "give_back": ["stl1", "swvl1"]}
    states = forecast(checkpoint, 240, **options, **given)
    assert all(np.isfinite(field).all() for one in states for field in one["fields"].values())
    with xr.open_dataset(tmp_path / "land.nc") as land, xr.open_dataset(tmp_path / "forcing.nc") as forcing:
        np.testing.assert_array_equal(states[38]["fields"]["stl1"][LAND], land.stl1.values[39])
        assert "insolation" not in forcing  # follows from time and location
        assert forcing.lai_lv.values.std(axis=0).max() == 0.0
    model = tmp_path / "model.nc"
    ailand_gt4py.write_model(ailand_gt4py.import_checkpoint(options["model"]), model)
    alone = ailand_gt4py.run(
        tmp_path / "forcing.nc", model=model, output=tmp_path / "alone.nc", backend="embedded", quiet=True
    )
    same_rows(tmp_path / "land.nc", alone, ["swvl1", "stl1", "stl3", "sd", "skt", "t2m", "slhf"])


def test_what_the_land_imputes_may_be_missing(tmp_path, shared, checkpoint):
    """In static fields, forcing and state; it comes back as missing, and the atmosphere keeps its own there."""
    model = ailand_gt4py.import_checkpoint(shared / "anemoi" / "B.ckpt")
    imputed = [
        dataclasses.replace(one, processing=(Step("impute", (0.3,)), *one.processing)) if one.name == "swvl1" else one
        for one in model.state
    ]
    ailand_gt4py.write_model(dataclasses.replace(model, state=tuple(imputed)), tmp_path / "model.nc")
    with xr.open_dataset(write_ground(tmp_path / "ground.nc"), decode_times=False) as data:
        data = data.load()
    data["clim_z0m"] = (("x",), np.full(5, 0.3), {"units": "m"})
    for name, column in (("lai_hv", 0), ("swvl3", 1), ("clim_theta_pwp", 2), ("swvl1", 3)):
        data[name] = data[name].astype(np.float32)
        data[name].values[..., column] = np.nan
    data.to_netcdf(tmp_path / "missing.nc")
    states = forecast(
        checkpoint, 24, ground=tmp_path / "missing.nc", model=tmp_path / "model.nc", output=tmp_path / "land.nc",
        forcing_out=tmp_path / "forcing.nc", give_back=["swvl1", "stl1"],
    )  # fmt: skip
    with xr.open_dataset(tmp_path / "land.nc") as land:
        for name in ("swvl1", "swvl3", "stl1", "skt"):
            is_missing = np.arange(5) == {"swvl3": 1, "swvl1": 3}.get(name, -1)
            np.testing.assert_array_equal(np.isnan(land[name].values[1:]).all(axis=0), is_missing, err_msg=name)
        expected = np.where(np.arange(5) == 3, start_state()["fields"]["swvl1"][LAND], land.swvl1.values[3])
        np.testing.assert_array_equal(states[2]["fields"]["swvl1"][LAND], expected)
    run = {"model": tmp_path / "model.nc", "backend": "embedded", "quiet": True}
    alone = ailand_gt4py.run(tmp_path / "forcing.nc", output=tmp_path / "alone.nc", **run)
    same_rows(tmp_path / "land.nc", alone)
    data["clim_geopot"].values[4] = np.nan
    data.to_netcdf(tmp_path / "wrong.nc")
    assert "variable 'clim_geopot' is missing in column 4" in problem(
        checkpoint, ground=tmp_path / "wrong.nc", model=tmp_path / "model.nc"
    )
