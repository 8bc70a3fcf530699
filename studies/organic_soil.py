"""Why frozen organic soil is where the model errs: `python -m studies.organic_soil DATA`.

Prints the mean temperature of the fourth soil layer of all columns on organic soil (porosity above 0.7) in the training
and hold-out files, and, for those of the latter, the third layer's mean error in June in the free run of a model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.weights.model_file import read_model

TRAINING = ("ecland_synth_6h_train.nc", "ecland_synth_6h_train_b.nc")
HOLD_OUT = "ecland_synth_6h_holdout.nc"
#: Porosity (m3 m-3) that organic soil alone exceeds, and melting point (K).
POROSITY, MELTING = 0.7, 273.15
JUNE = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="directory of the ecLand runs")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="(default: the model that ships)")
    options = parser.parse_args()
    for name in (*TRAINING, HOLD_OUT):
        with xr.open_dataset(options.data / name) as data:
            columns = np.flatnonzero(data.clim_theta_sat.values > POROSITY)
            means = data.stl4.isel(x=columns).mean("time").values - MELTING
            june = data.time.dt.month.values == JUNE
        print(f"{name}, mean of stl4 in degrees Celsius: {' '.join(f'{value:.1f}' for value in np.sort(means))}")
    model = read_model(options.model)
    file = read_columns(options.data / HOLD_OUT, model, np.dtype(np.float32))
    stl3 = [variable.name for variable in model.state].index("stl3")
    results = run_free(model, file).results[..., stl3]
    error = (results - file.state[1:, :, stl3])[june[1:]].mean(axis=0)
    for column, mean in zip(columns, means, strict=True):
        print(f"hold-out column {column}: mean of stl4 {mean:.1f}, error of stl3 in June {error[column]:+.1f} K")


if __name__ == "__main__":
    main()
