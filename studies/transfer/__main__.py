"""Train on one group of columns, test on every other: the transfer matrix that a report takes in.

    python -m studies.transfer region DATA_DIRECTORY --work WORK -o docs/studies/transfer_region.json
    python -m studies.transfer climate DATA_DIRECTORY --work WORK -o docs/studies/transfer_climate.json

For each group a file with three quarters of its columns is written and a model trained on it by ``ailand train``; it is
tested on the other quarter of its own group, on that of the other groups, and on the Europe-like hold-out box.
Models that are there already are not trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import xarray as xr
import yaml

from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.report.attachments import TRANSFER_SCHEMA
from ailand_gt4py.evaluation.scores.lead_time import free_run_scores
from ailand_gt4py.weights.model_file import read_model
from ailand_gt4py.weights.variables import CATALOGUE, DEFAULT

CONFIGURATION = Path(__file__).with_name("configuration.yaml")
FILES = ("ecland_synth_6h_train.nc", "ecland_synth_6h_train_b.nc")
HOLD_OUT = "ecland_synth_6h_holdout.nc"
EUROPE = "europe (held out)"
#: Climates with something in common, for enough columns each.
CLIMATES = {
    "tropical": ("tropical_wet", "tropical_savanna"),
    "arid": ("hot_desert", "semi_arid_hot", "cold_steppe_desert"),
    "temperate": ("mediterranean", "temperate_oceanic", "humid_subtropical"),
    "continental": ("temperate_continental", "boreal"),
    "tundra and mountain": ("tundra", "high_mountain"),
}
#: Of each group's columns, one in so many is for testing.
TEST_EVERY = 4
VARIABLES = ("swvl1", "swvl2", "swvl3", "stl1", "stl2", "stl3", "snowc", "t2m", "skt", "sshf", "slhf")
#: Of the columns, what tells climates apart: mean and seasonal range of the air's temperature, rain and snow, sun.
CLIMATE_SPACE = ("met_tair", "met_rainf", "met_swdown", "met_qair")


def groups_of(kind: str, regions: np.ndarray, climates: np.ndarray) -> np.ndarray:
    """The group of each column."""
    if kind == "region":
        return regions.astype(str)
    group = {climate: name for name, members in CLIMATES.items() for climate in members}
    return np.array([group[str(climate)] for climate in climates])


def split_file(kind: str, data: Path, work: Path) -> list[str]:
    """Write a training and a test file for each group, and one of the hold-out box; returns the groups."""
    parts = [xr.open_dataset(data / name, decode_times=False) for name in FILES]
    groups = [groups_of(kind, part.region.values, part.climate.values) for part in parts]
    names = sorted(set(np.concatenate(groups)))
    for name in names:
        chosen = [part.isel(x=np.flatnonzero(group == name)) for part, group in zip(parts, groups, strict=True)]
        whole = xr.concat(chosen, dim="x", data_vars="minimal", coords="minimal", compat="override")
        is_test = np.arange(whole.sizes["x"]) % TEST_EVERY == 0
        for what, members in (("train", ~is_test), ("test", is_test)):
            path = work / f"{name.replace(' ', '_')}_{what}.nc"
            if not path.exists():
                whole.isel(x=np.flatnonzero(members)).to_netcdf(path.with_suffix(".part"))
                path.with_suffix(".part").rename(path)
    with xr.open_dataset(data / HOLD_OUT, decode_times=False) as held:
        path = work / "europe_test.nc"
        if not path.exists():
            held.isel(x=np.flatnonzero(held.europe_box.values.astype(bool))).to_netcdf(path)
    return names


def train(group: str, work: Path) -> Path:
    """The model of a group, trained unless it is there."""
    stem = group.replace(" ", "_")
    model = work / f"{stem}.nc"
    if model.exists():
        return model
    options = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    options["data"]["train"] = [f"{stem}_train.nc"]
    chosen = options["variables"]["state"]
    options["variables"] |= varying_inputs(work / f"{stem}_train.nc")
    options["variables"]["state"] = [name for name in chosen if name in options["variables"]["state"]]
    weights, outputs = options["loss"]["weights"], options["variables"]["state"] + options["variables"]["diagnostics"]
    options["loss"]["weights"] = {name: weight for name, weight in weights.items() if name in outputs}
    configuration = work / f"{stem}.yaml"
    configuration.write_text(yaml.safe_dump(options))
    command = shutil.which("ailand") or str(Path(sys.executable).with_name("ailand"))
    directory = work / f"{stem}_training"
    resume = ["--resume"] if (directory / "checkpoint.pt").exists() else []
    files = ["--data", work, "--directory", directory, "-o", model]
    subprocess.run([command, "train", configuration, *files, *resume], check=True)
    return model


def varying_inputs(path: Path) -> dict[str, list[str]]:
    """By group the inputs that vary in a file: of others, snow in the tropics say, nothing can be learnt."""
    with xr.open_dataset(path, decode_times=False) as data:
        return {
            group: [one.name for one in known if one.derived or np.ptp(data[one.name].values) > 0.0]
            for group, known in DEFAULT.groups.items()
            if group != "diagnostics"
        }


def scores(model: Path, test: Path) -> dict[str, float]:
    """RMSE of a free run over the whole period, by variable."""
    network = read_model(model)
    found = free_run_scores(network, read_columns(test, network, np.dtype(np.float32)))
    return {score.variable: score.rmse for score in found if score.variable in VARIABLES}


def climate_distance(trained: Path, tested: Path) -> float:
    """How far the test columns' climates are from the nearest training column, on average.

    A column's climate is the mean and the standard deviation of monthly means of `CLIMATE_SPACE`, each divided by its
    standard deviation over the training columns; the distance is the root of the mean square over these.
    """
    train_space, test_space = climate_space(trained), climate_space(tested)
    spread = train_space.std(axis=0)
    spread[spread == 0.0] = 1.0
    difference = (test_space[:, None] - train_space[None]) / spread
    return float(np.sqrt((difference**2).mean(axis=2)).min(axis=1).mean())


def climate_space(path: Path) -> np.ndarray:
    """(n_columns, 2 len(CLIMATE_SPACE)): means, and standard deviations of 30-day means."""
    with xr.open_dataset(path, decode_times=False) as data:
        parts = []
        for name in CLIMATE_SPACE:
            values = data[name].transpose("time", "x").values.astype(np.float64)
            months = values[: len(values) // 120 * 120].reshape(-1, 120, values.shape[1]).mean(axis=1)
            parts += [months.mean(axis=0), months.std(axis=0)]
    return np.stack(parts, axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train on one group of columns, test on every other.")
    parser.add_argument("kind", choices=("region", "climate"))
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("--work", type=Path, default=Path("out/transfer"), help="for files and models")
    parser.add_argument("-o", "--output", type=Path, default=Path("transfer.json"))
    options = parser.parse_args()
    work = options.work / options.kind
    work.mkdir(parents=True, exist_ok=True)
    groups = split_file(options.kind, options.data, work)
    models = [train(group, work) for group in groups]
    stems = [group.replace(" ", "_") for group in groups]
    tests = [*(work / f"{stem}_test.nc" for stem in stems), work / "europe_test.nc"]
    found = [[scores(model, test) for test in tests] for model in models]
    distances = [[climate_distance(work / f"{stem}_train.nc", test) for test in tests] for stem in stems]
    variables = [
        # A model of columns without snow knows none.
        {"name": name, "units": CATALOGUE[name].units, "values": [[cell.get(name) for cell in row] for row in found]}
        for name in VARIABLES
    ]
    variables.append({"name": "distance in climate space", "units": "1", "values": distances})
    content = {
        "schema": TRANSFER_SCHEMA,
        "title": f"Transfer between groups of columns by {options.kind}",
        "metric": "RMSE of a free run over three years from the true first state",
        "trained_on": groups,
        "tested_on": [*groups, EUROPE],
        "variables": variables,
        "note": (
            "A quarter of each group's columns is kept for testing, on the diagonal and off it. Small models, all "
            "trained alike (studies/transfer/configuration.yaml, without inputs that do not vary in the group): "
            "it compares groups, not the model that ships. "
            "Distance: mean over the test columns of the distance to the nearest training column in mean and monthly "
            f"spread of {', '.join(CLIMATE_SPACE)}, in standard deviations."
        ),
    }
    options.output.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
