"""aiLand as a task of ``anemoi-inference couple``, and both ways by the commands as a user has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

pytest.importorskip("anemoi.inference", reason="anemoi-inference is not installed: pip install 'ailand_gt4py[anemoi]'")

from atmospheres import START, Atmosphere, grid, start_state, write_checkpoint, write_ground
from training_files import write_anemoi_store

import ailand_gt4py
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.integration.hosts.anemoi.task import LandTask

LAND = grid()[2]
FIELDS = ["2t", "2d", "sp", "10u", "10v", "skt", "tp", "cp", "sf", "ssrd", "strd"]
GIVEN = ["swvl1", "stl1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ground, the atmosphere's input as a store, and two checkpoints, one of which takes the land's fields."""
    folder = tmp_path_factory.mktemp("files")
    write_ground(folder / "ground.nc")
    write_checkpoint(folder / "atmosphere.ckpt")
    write_checkpoint(folder / "forced.ckpt", Atmosphere(without=("swvl1", "stl1"), forcings=("swvl1", "stl1")),
                     forcings=("swvl1", "stl1"))  # fmt: skip
    latitude, longitude, _ = grid()
    state = start_state()["fields"]
    times = np.datetime64(START, "ns") + np.arange(-1, 3) * np.timedelta64(6, "h")
    data = xr.Dataset(
        {name: (("time", "x"), np.stack([field + 0.25 * k for k in range(4)]), {"units": ""})
         for name, field in state.items()},
        coords={"time": times, "lat": ("x", latitude), "lon": ("x", longitude)},
    )  # fmt: skip
    said = {name: {"mars": {"param": name, "levtype": "sfc"}} for name in state}
    said["z"]["constant_in_time"] = True
    write_anemoi_store(folder / "start.zarr", data, variables_metadata=said)
    return folder


def anemoi(folder, command, config, *, ranks=0):
    """What the command says; its configuration goes into a folder."""
    path = folder / f"{command}.yaml"
    path.write_text(yaml.safe_dump(config))
    words = [sys.executable, "-m", "anemoi.inference", command, str(path)]
    words = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks), *words] if ranks else words
    # The checkpoint's class is this directory's.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=300, env=environment)


def run_config(files, checkpoint, hours, **more):
    return {
        "checkpoint": str(files / checkpoint), "date": START.isoformat(), "lead_time": f"{hours}h", "runner": "default",
        "input": {"dataset": str(files / "start.zarr")}, "output": "none", "precision": "32", "device": "cpu",
    } | more  # fmt: skip


def couple_config(files, tmp_path, checkpoint, hours, couplings, transport="threads", **land):
    runner = run_config(files, checkpoint, hours, output={"netcdf": str(tmp_path / "atmosphere.nc")})
    del runner["date"], runner["lead_time"]
    options = {
        "ground": str(files / "ground.nc"), "checkpoint": str(files / checkpoint), "backend": "embedded",
        "output": str(tmp_path / "land.nc"), "forcing_out": str(tmp_path / "forcing.nc"),
    }  # fmt: skip
    return {
        "date": START.isoformat(), "lead_time": f"{hours}h", "transport": transport, "couplings": couplings,
        "tasks": {"aifs": {"runner": {"config": runner}}, "land": {"ailand": options | land}},
    }  # fmt: skip


def land_rows(path):
    with xr.open_dataset(path) as data:
        return {name: data[name].values for name in data if data[name].dims == ("time", "x")}


def test_the_mid_processor_begins_with_the_atmospheres_input(tmp_path, files):
    """Run as a user does, from a data set; the first window has its start from there."""
    land = {"ground": str(files / "ground.nc"), "backend": "embedded", "forcing_out": str(tmp_path / "forcing.nc")}
    result = anemoi(tmp_path, "run", run_config(files, "atmosphere.ckpt", 12, mid_processors=[{"ailand": land}]))
    assert result.returncode == 0, result.stderr[-2000:]
    start = start_state()["fields"]
    with xr.open_dataset(tmp_path / "forcing.nc") as found:
        # The store has a quarter of a Pascal more at the start, and the atmosphere keeps it.
        np.testing.assert_allclose(found.met_psurf.values[0], start["sp"][LAND] + 0.25, rtol=1e-6)
        air = start["2t"] + 0.25
        air = [air, air + 0.2 * (start["skt"] + 0.25 - air) + 3.0]
        corrected = [one + np.where(one > start["skt"] + 0.25, 0.4, 0.09) * (one - start["skt"] - 0.25) for one in air]
        np.testing.assert_allclose(found.met_tair.values[0], np.mean(corrected, axis=0)[LAND], rtol=1e-6)
        assert "at its end instead of means" not in found.attrs.get("history", "")


@pytest.mark.parametrize(("transport", "ranks"), [("threads", 0), ("mpi", 2)])
def test_one_way(tmp_path, files, transport, ranks):
    """The land of the task is that of the mid-processor, a step shorter."""
    couplings = [{"aifs->land": FIELDS}]
    config = couple_config(files, tmp_path, "atmosphere.ckpt", 36, couplings, transport)
    result = anemoi(tmp_path, "couple", config, ranks=ranks)
    assert result.returncode == 0, result.stderr[-2000:]
    land = {
        "ground": str(files / "ground.nc"), "backend": "embedded", "output": str(tmp_path / "beside.nc"),
        "first_window": "end",
    }  # fmt: skip
    beside = anemoi(tmp_path, "run", run_config(files, "atmosphere.ckpt", 36, mid_processors=[{"ailand": land}]))
    assert beside.returncode == 0, beside.stderr[-2000:]
    found, expected = land_rows(tmp_path / "land.nc"), land_rows(tmp_path / "beside.nc")
    assert len(found) > 20
    for name, values in found.items():
        assert len(values) == 5
        np.testing.assert_array_equal(values, expected[name][:5], err_msg=name)


@pytest.mark.parametrize(("transport", "ranks"), [("threads", 0), ("mpi", 2)])
def test_two_way_for_ten_days(tmp_path, files, transport, ranks):
    """The atmosphere takes the land's fields as its forcing: its temperature goes to that of the land's soil."""
    couplings = [{"aifs->land": FIELDS}, {"land->aifs": GIVEN}]
    elsewhere = {"swvl1": 0.0, "stl1": 290.0}
    config = couple_config(files, tmp_path, "forced.ckpt", 246, couplings, transport, elsewhere=elsewhere)
    result = anemoi(tmp_path, "couple", config, ranks=ranks)
    assert result.returncode == 0, result.stderr[-2000:]
    found = land_rows(tmp_path / "land.nc")
    assert len(found["skt"]) == 40
    assert all(np.isfinite(values[1:]).all() for values in found.values())
    with xr.open_dataset(tmp_path / "atmosphere.nc") as atmosphere:
        air, skin = atmosphere["2t"].values, atmosphere["skt"].values
    assert np.isfinite(air).all()
    # The forced atmosphere's temperature takes a tenth of the soil's; row 0 is its start.
    for k in range(1, 40):
        soil = np.full(air.shape[1], 290.0, dtype=np.float32)
        soil[LAND] = found["stl1"][k]
        wave = 3.0 * np.sin(0.5 * np.pi * (k + 1))
        expected = air[k] + 0.2 * (skin[k] - air[k]) + wave + 0.1 * (soil - air[k])
        np.testing.assert_allclose(air[k + 1], expected, rtol=2e-6)
    alone = ailand_gt4py.run(tmp_path / "forcing.nc", output=tmp_path / "alone.nc", backend="embedded", quiet=True)
    for name, values in land_rows(alone).items():
        np.testing.assert_array_equal(values, found[name], err_msg=name)


def test_a_land_that_fails_does_not_keep_the_atmosphere_waiting(tmp_path, files):
    """One way: the atmosphere goes on to its end; two ways: it ends with the land."""
    for couplings, checkpoint in (
        ([{"aifs->land": FIELDS[1:]}], "atmosphere.ckpt"),
        ([{"aifs->land": FIELDS[1:]}, {"land->aifs": GIVEN}], "forced.ckpt"),
    ):
        config = couple_config(
            files, tmp_path, checkpoint, 48, couplings, elsewhere={"swvl1": 0.0, "stl1": 290.0}, overwrite=True
        )
        result = anemoi(tmp_path, "couple", config)
        assert result.returncode != 0
        said = "InputError: ailand: '2t' is no field in the coupling aifs->land, expected some of 10u, 10v, 2d"
        assert said in result.stderr
        assert not (tmp_path / "land.nc").exists()
        with xr.open_dataset(tmp_path / "atmosphere.nc") as atmosphere:
            assert (atmosphere.sizes["time"] == 9) == (len(couplings) == 1)


@pytest.mark.parametrize(
    ("couplings", "land", "message"),
    [
        ([{"land->aifs": GIVEN}, {"aifs->land": FIELDS}], {}, "found land->aifs, aifs->land, expected one from the"),
        ([{"aifs->land": FIELDS}, {"land->aifs": ["swvl2"]}], {}, "'swvl2' is no forcing of the atmosphere that"),
        ([{"aifs->land": FIELDS}, {"land->aifs": ["swvl1"]}], {"elsewhere": {}}, "'swvl1' is no value in the option"),
    ],
)  # fmt: skip
def test_couplings_that_cannot_be(tmp_path, files, couplings, land, message):
    options = {"elsewhere": {"swvl1": 0.0, "swvl2": 0.0, "stl1": 290.0}} | land
    result = anemoi(tmp_path, "couple", couple_config(files, tmp_path, "forced.ckpt", 24, couplings, **options))
    assert result.returncode != 0
    assert message in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "none.ckpt"}, "none.ckpt: cannot be read ("),
        ({"checkpoint": "{files}/ground.nc"}, "ground.nc: cannot be read ("),
        ({"date": "yesterday"}, "found 'yesterday', expected a time (UTC)"),
        ({"lead_time": "6h"}, "found 0 steps for the land, expected at least one"),
        ({"lead_time": "six hours"}, "found 'six hours', expected a length of time such as 6h"),
        ({"give_back": ["skt"]}, "option 'give_back' is unknown"),
    ],
)
def test_a_task_that_cannot_be(files, options, message):
    options = {key: value.format(files=files) if isinstance(value, str) else value for key, value in options.items()}
    given = {"ground": str(files / "ground.nc"), "checkpoint": str(files / "atmosphere.ckpt")} | options
    with pytest.raises(InputError) as caught:
        LandTask("land", global_config={"date": START.isoformat(), "lead_time": "48h"}, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_without_a_date(files):
    given = {"ground": str(files / "ground.nc"), "checkpoint": str(files / "atmosphere.ckpt")}
    with pytest.raises(InputError, match="found no date, expected it as an option of the task or of the coupled run"):
        LandTask("land", global_config={"lead_time": "48h"}, **given)
