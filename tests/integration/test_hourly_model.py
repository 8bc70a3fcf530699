"""The hourly model that ships: what the file holds, and that it runs with its own step."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py import Emulator, read_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "hourly_model"


@pytest.fixture(scope="module")
def model():
    return read_model(EXAMPLE / "hourly_model.nc")


def test_it_is_the_default_models_twin_with_another_step(model):
    default = read_model()
    assert model.step_seconds == 3600
    for group in ("static", "forcing", "state", "diagnostics"):
        assert [v.name for v in getattr(model, group)] == [v.name for v in getattr(default, group)]


def test_an_hour_changes_less_than_six(model):
    """From the mean state under mean forcing: the deeper, the less, and nothing leaves its bounds."""
    mean = {
        group: np.array([[v.normalisation.shift for v in getattr(model, group)]], dtype=np.float32)
        for group in ("static", "forcing", "state")
    }
    new_state, diagnostics = Emulator(model, 1, backend="embedded").step(*mean.values())
    assert np.isfinite(new_state).all()
    assert np.isfinite(diagnostics).all()
    names = [v.name for v in model.state]
    change = np.abs(new_state - mean["state"])[0]
    assert 0.0 < change[names.index("stl3")] < change[names.index("stl1")] < 5.0


@pytest.mark.parametrize("longitude", [-10.0, 350.0])
def test_columns_not_trained_on_are_found_by_their_position(longitude):
    spec = importlib.util.spec_from_file_location("held_out_columns", EXAMPLE / "held_out_columns.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    hourly = xr.Dataset({"lat": ("x", [50.0, 51.0, 52.0]), "lon": ("x", [-10.0, -10.0, 5.0])})
    hold_out = xr.Dataset({"lat": ("x", [51.00001, 52.0]), "lon": ("x", [longitude, 6.0])})
    assert script.held_out(hourly, hold_out).tolist() == [1]
