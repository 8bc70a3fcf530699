"""Files that are open once, however many read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ailand_gt4py.io import opening
from ailand_gt4py.io.opening import handles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "in.nc"
    xr.Dataset({"a": ("x", np.arange(3.0))}).to_netcdf(path)
    return path


def test_a_file_is_open_until_all_its_readers_have_closed_it(path: Path) -> None:
    before = dict(handles._HANDLES)
    first, second = (opening.open_file(path)[0] for _ in range(2))
    (handle,) = (handles._HANDLES[key] for key in handles._HANDLES.keys() - before.keys())
    assert handle.users == 2
    for _ in range(2):
        first.close()
    assert handle.users == 1
    assert second["a"].values.tolist() == [0.0, 1.0, 2.0]
    second.close()
    assert before == handles._HANDLES


def test_a_file_in_the_place_of_another_is_another(path: Path) -> None:
    first, _ = opening.open_file(path)
    xr.Dataset({"a": ("x", np.arange(4.0))}).to_netcdf(path.with_name("new.nc"))
    path.with_name("new.nc").replace(path)
    with opening.open_file(path)[0] as second:
        assert second["a"].values.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert first["a"].values.tolist() == [0.0, 1.0, 2.0]
    first.close()


def test_readers_do_not_change_what_others_see(path: Path) -> None:
    with opening.open_file(path)[0] as first, opening.open_file(path)[0] as second:
        first["a"].attrs["units"] = "K"
        first["b"] = first["a"]
        assert "units" not in second["a"].attrs
        assert "b" not in second
