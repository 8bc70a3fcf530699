"""Cut the columns that the hourly model was not trained on out of the project's hourly ecLand runs.

    python held_out_columns.py ecland_synth_1h.nc ecland_synth_6h_holdout.nc OUT.nc

They are those at locations of the hold-out file, which training leaves out (``exclude_locations_of`` in
``configs/hourly_model.yaml``). ``ailand evaluate OUT.nc --model hourly_model.nc`` then gives the README's table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

#: Degrees within which two columns are at the same location; files keep coordinates in single precision.
SAME_LOCATION = 1e-3


def held_out(hourly: xr.Dataset, hold_out: xr.Dataset) -> np.ndarray:
    """Numbers of the columns of one data set that are at locations of the other."""
    latitude = np.abs(hourly["lat"].values[:, None] - hold_out["lat"].values)
    longitude = (hourly["lon"].values[:, None] - hold_out["lon"].values + 180.0) % 360.0 - 180.0
    return np.flatnonzero(((latitude < SAME_LOCATION) & (np.abs(longitude) < SAME_LOCATION)).any(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hourly", type=Path, metavar="ecland_synth_1h.nc")
    parser.add_argument("hold_out", type=Path, metavar="ecland_synth_6h_holdout.nc")
    parser.add_argument("output", type=Path, metavar="OUT.nc")
    options = parser.parse_args()
    with xr.open_dataset(options.hourly) as hourly, xr.open_dataset(options.hold_out) as hold_out:
        columns = held_out(hourly, hold_out)
        hourly.isel(x=columns).to_netcdf(options.output)
    print(f"{options.output}: {len(columns)} of {hourly.sizes['x']} columns")


if __name__ == "__main__":
    main()
