"""Twin experiments with several settings on some columns of a file: the table by which the defaults were chosen.

    python -m studies.assimilation.compare_settings ecland_synth_6h_train.nc

Prints, for every start and choice of settings, RMSE of the analysis over that of the open loop, of the root zone
(0-100 cm) in columns without snow or frost, over all labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ailand_gt4py import read_model
from ailand_gt4py.assimilation import twin_scores
from ailand_gt4py.assimilation.settings import AssimilationSettings, Errors, Limits
from ailand_gt4py.assimilation.twin import Twin
from ailand_gt4py.core.times import index_of, parse_time
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.weights.model import Model

DEFAULT = AssimilationSettings()
SETTINGS = {
    "defaults": DEFAULT,
    "emulator errors 1.1 K, 6.5 %": DEFAULT.replace(errors=Errors(emulator={"t2m": 1.1, "rh2m": 6.5})),
    "emulator errors 2.5 K, 14 %": DEFAULT.replace(errors=Errors(emulator={"t2m": 2.5, "rh2m": 14.0})),
    "windows of 12 h": DEFAULT.replace(window_hours=12.0),
    "bounds of the plants' range from layer 3 on": DEFAULT.replace(limits=Limits(plant_range_from=3.0)),
    "no such bounds": DEFAULT.replace(limits=Limits(plant_range_from=4.0)),
    "B constant": DEFAULT.replace(errors=Errors(covariance="constant")),
    "ETKF, 24 members": DEFAULT.replace(method="etkf"),
    "ETKF, 24 members, no relaxation": DEFAULT.replace(method="etkf", relaxation=0.0),
    "ETKF, 48 members, relaxation 0.2": DEFAULT.replace(method="etkf", members=48, relaxation=0.2),
}


def every(columns: VerificationColumns, number: int) -> VerificationColumns:
    """Of so many columns one."""
    return VerificationColumns(
        columns.times,
        np.ascontiguousarray(columns.static[::number]),
        np.ascontiguousarray(columns.forcing[:, ::number]),
        np.ascontiguousarray(columns.state[:, ::number]),
        np.ascontiguousarray(columns.diagnostics[:, ::number]),
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--every", type=int, default=3, metavar="N", help="of N columns one (default: %(default)s)")
    parser.add_argument("--starts", default="2021-05-01,2021-06-01", help="(default: %(default)s)")
    parser.add_argument("--days", type=float, default=DEFAULT.days, help="(default: %(default)g)")
    parser.add_argument("--backend", default="dace_cpu", help="(default: %(default)s)")
    arguments = parser.parse_args()
    model = read_model()
    columns = every(read_columns(arguments.file, model, np.dtype("float32")), arguments.every)
    emulators: dict[int, Emulator] = {}

    def emulator(own: Model, n_columns: int) -> Emulator:
        """One for each number of columns: making it takes longer than an experiment."""
        if n_columns not in emulators:
            emulators[n_columns] = Emulator(own, n_columns, arguments.backend)
        return emulators[n_columns]

    for start in arguments.starts.split(","):
        for words, settings in SETTINGS.items():
            twin = Twin(
                model,
                columns,
                settings.replace(days=arguments.days),
                emulator,
                index_of(parse_time(start), columns.times, "--starts"),
            )
            score = twin_scores.score(twin.run()).score(twin_scores.ROOT_ZONE, "snow-free")
            print(f"{start}  {words}: {score.ratio:.3f} ({score.n_columns} columns)", flush=True)


if __name__ == "__main__":
    main()
