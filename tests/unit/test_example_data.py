"""The example that ships: small, complete, diverse, and cut from the hold-out columns by its script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from column_files import DIAGNOSTIC_UNITS, STATE_UNITS, driver_model

from ailand_gt4py.io.sources import open_source

FOLDER = Path(__file__).parents[2] / "examples" / "column_run"
EXAMPLE = FOLDER / "ecland_columns.nc"
MODEL = driver_model()


@pytest.fixture
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("cut_example", FOLDER / "cut_example.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_example_has_all_that_a_run_and_its_scores_need() -> None:
    assert EXAMPLE.stat().st_size < 2e6
    with open_source(EXAMPLE, MODEL) as source:
        assert (source.n_columns, len(source.times)) == (5, 4384)
        assert source.history == ["snowc: converted from '%' to '1' (multiplied by 0.01)."]
        assert np.isfinite(source.forcing(0, 4384)).all()
        reference = source.reference([*STATE_UNITS, *DIAGNOSTIC_UNITS], 0, 4384)
        assert np.isfinite(reference).all()
        snow, soil = reference[:, :, 6].mean(axis=0), reference[:, :, 3].mean(axis=0)
    assert (snow > 0.5).any(), "no column with much snow"
    assert ((snow > 0.1) & (snow < 0.3)).any(), "no column with a snow season"
    assert (snow == 0.0).any(), "no column without snow"
    assert (soil > 297.0).any(), "no hot column"


def test_example_tells_where_it_comes_from() -> None:
    with xr.open_dataset(EXAMPLE) as data:
        assert "ecland b9fee10" in data.attrs["source"]
        assert "not an ECMWF product" in data.attrs["institution"]
        assert "Synthetic weather" in data.attrs["comment"]
        assert "hold-out" in data.attrs["history"]
        for name in data.data_vars:
            assert data[name].attrs["long_name"]


def test_script_cuts_the_same_again(shared: Path, script: ModuleType) -> None:
    with xr.open_dataset(shared / "data/ecland_synth_6h_holdout.nc") as source, xr.open_dataset(EXAMPLE) as data:
        xr.testing.assert_identical(script.cut(source).load(), data.load())
