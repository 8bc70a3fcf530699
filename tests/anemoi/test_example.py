"""The example for AIFS: an atmosphere trained by anemoi-training, and the land beside it, as its README says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("anemoi.inference", reason="anemoi-inference is not installed: pip install 'ailand_gt4py[anemoi]'")
pytest.importorskip("anemoi.training", reason="anemoi-training is not installed (make test-anemoi does)")

import ailand_gt4py

EXAMPLE = Path(__file__).parents[2] / "examples" / "aifs"
GIVEN = ("skt", "swvl1", "swvl2", "stl1", "stl2")

pytestmark = pytest.mark.slow


def run(folder, *words):
    result = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The example's directory, with networks trained for fewer steps."""
    folder = tmp_path_factory.mktemp("aifs")
    run(EXAMPLE, "make_atmosphere.py", str(folder), "--steps", "500")
    for path in EXAMPLE.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder


def rows(path, name):
    with xr.open_dataset(path, decode_times=False) as data:
        return data[name].values


def test_one_way(folder):
    run(folder, "-m", "anemoi.inference", "run", "one_way.yaml")
    alone = ailand_gt4py.run(folder / "one_way.forcing.nc", output=folder / "alone.nc", quiet=True)
    with xr.open_dataset(alone) as expected, xr.open_dataset(folder / "one_way.land.nc") as found:
        for name in expected:
            np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))
    # The land has 5 of the atmosphere's 10 points, and the forecast of ten days begins with a row of its start.
    assert rows(folder / "one_way.atmosphere.nc", "skt").shape == (41, 10)
    assert np.abs(rows(folder / "one_way.atmosphere.nc", "skt")[1:40, :5] - found.skt.values[1:]).min() > 0.0


def run_two_ways(folder, case):
    """The atmosphere has the land's surface at the land's points."""
    run(folder, "-m", "anemoi.inference", "run", f"{case}.yaml")
    for name in GIVEN:
        atmosphere, land = (rows(folder / f"{case}.{what}.nc", name) for what in ("atmosphere", "land"))
        assert np.isfinite(atmosphere).all()
        np.testing.assert_array_equal(atmosphere[1:40, :5], land[1:], err_msg=name)


def test_two_ways(folder):
    run_two_ways(folder, "two_way")


def test_point_wise_land(folder):
    """The land is a checkpoint of anemoi-training, too; it is that of the emulator alone on the same forcing."""
    run_two_ways(folder, "point_wise")
    ailand_gt4py.write_model(ailand_gt4py.import_checkpoint(folder / "land.ckpt"), folder / "land.nc")
    alone = ailand_gt4py.run(
        folder / "point_wise.forcing.nc", model=folder / "land.nc", output=folder / "point_wise.alone.nc", quiet=True
    )
    for name in GIVEN:
        np.testing.assert_array_equal(rows(alone, name), rows(folder / "point_wise.land.nc", name), err_msg=name)


def test_two_tasks(folder):
    run(folder, "-m", "anemoi.inference", "couple", "couple.yaml")
    assert rows(folder / "couple.atmosphere.nc", "2t").shape == (41, 10)
    assert rows(folder / "couple.land.nc", "stl1").shape == (39, 5)
    assert np.isfinite(rows(folder / "couple.land.nc", "stl1")).all()
