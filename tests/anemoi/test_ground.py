"""The land's file for AIFS from GRIB, as fields come from MARS, data stores and open data; grid of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("anemoi.inference", reason="anemoi-inference is not installed: pip install 'ailand_gt4py[anemoi]'")

import eccodes
from atmospheres import grid, write_checkpoint
from test_aifs_ground import COLUMNS, make_ground  # noqa: F401  (a fixture)

#: Parameter of ECMWF's table -> value at land. 260360, 260199: soil temperature and moisture of open data, by level.
VALUES = {172: 1.0, 129: 500.0, 43: 2.0, 260360: 280.0, 260199: 0.25}


def write_grib(path: Path) -> None:
    """Fields on N32, land everywhere."""
    with path.open("wb") as file:
        for parameter, value in VALUES.items():
            for layer in (1, 2) if parameter > 1000 else (None,):
                handle = eccodes.codes_grib_new_from_samples("reduced_gg_sfc_grib2")
                eccodes.codes_set(handle, "dataDate", 20210601)
                eccodes.codes_set(handle, "dataTime", 0)
                if layer is not None:
                    eccodes.codes_set(handle, "typeOfLevel", "soilLayer")
                    eccodes.codes_set(handle, "level", layer)
                eccodes.codes_set(handle, "paramId", parameter)
                n_points = eccodes.codes_get_size(handle, "values")
                eccodes.codes_set_values(handle, np.full(n_points, value + (layer or 0) * 0.01))
                eccodes.codes_write(handle, file)
                eccodes.codes_release(handle)


def test_grib_on_the_grid_of_a_checkpoint(make_ground, tmp_path):  # noqa: F811
    write_grib(tmp_path / "fields.grib")
    checkpoint = write_checkpoint(tmp_path / "atmosphere.ckpt")
    words = ["--fields", str(tmp_path / "fields.grib"), "--date", "2021-06-01", "-o", str(tmp_path / "ground.nc")]
    words += ["--columns", str(COLUMNS), "--grid", str(checkpoint), "--within", "180"]
    assert make_ground.main(words) == 0
    with xr.open_dataset(tmp_path / "ground.nc") as found:
        latitude, longitude, _ = grid()
        np.testing.assert_allclose(found.lat.values, latitude)
        np.testing.assert_allclose(found.lon.values, longitude)
        for name, value in (("stl1", 280.01), ("stl2", 280.02), ("swvl2", 0.27), ("clim_sotype", 2.0)):
            np.testing.assert_allclose(found[name].values, value, rtol=1e-4)
        assert "clim_theta_cap" not in found
