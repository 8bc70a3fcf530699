"""How near guesses of the background albedo are to ecLand's: `python -m studies.background_albedo DATA`.

Prints, for the training files that have it, the error of what is had of their own albedo without snow
(`io.ground_albedo`), theirs left out, and, for all their columns, by how much that by vegetation type (BATS1e) is
brighter on average, before the excess is taken off (`ecland.surface_tables.BATS_EXCESS`), and its spread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.ecland.surface_tables import BATS_EXCESS, background_albedo
from ailand_gt4py.io import ground_albedo
from ailand_gt4py.io.fields import Fields
from ailand_gt4py.weights.variables import DEFAULT, choose

FILES = ("ecland_synth_6h_train_c.nc", "ecland_synth_6h_train_d.nc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="directory of the ecLand runs")
    directory = parser.parse_args().data
    names = [*(variable.name for variable in DEFAULT.forcing), ground_albedo.NAME]
    model = choose(forcing=names).template(0.0)
    guesses, means = [], []
    for name in FILES:
        with xr.open_dataset(directory / name, chunks={}) as data:
            fields = Fields(directory / name, data[[ground_albedo.TOTAL, "snowc"]], {}, {})
            truth = data[ground_albedo.NAME].values
            error = ground_albedo.completed(fields, model).dataset[ground_albedo.NAME].values - truth
            print(
                f"{name}: of {ground_albedo.TOTAL}: mean error {error.mean():.4f}, rms {np.sqrt((error**2).mean()):.4f}"
            )
            covers = (data[f"clim_cv{kind}"].values for kind in "hl")
            types = (data[f"clim_tv{kind}"].values.astype(int) for kind in "hl")
            guesses.append(background_albedo(*covers, *types) + BATS_EXCESS)
            means.append(truth.mean(axis=0))
    truth, excess = np.concatenate(means), np.concatenate(guesses) - np.concatenate(means)
    print(
        f"{truth.size} columns: by vegetation: excess {excess.mean():.3f}, standard deviation {excess.std():.3f} "
        f"(of the climatology: {truth.std():.3f})"
    )


if __name__ == "__main__":
    main()
