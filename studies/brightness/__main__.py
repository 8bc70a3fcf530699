"""Soil moisture learnt from brightness temperatures where no state is known: a twin experiment.

    python -m studies.brightness DATA --work out/brightness -o docs/studies/brightness.md

A small network is trained on the states of a tenth of the columns. Training then continues in three ways: with these
states alone; with additional L-band brightness temperatures of the other columns, whose states are not learnt; and with
the states of all columns, as the best possible case. Brightness temperatures are simulated from ecLand's states every
48 h, with noise of 4 K and a bias of 2 K that is unknown to the emulator. Rollouts on the other columns start from
states of the first network's own runs. Free runs on columns that no training used are compared with ecLand.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ailand_gt4py.core.settings import read_settings, read_yaml
from ailand_gt4py.core.types import Values
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.evaluation.runs import run_free
from ailand_gt4py.io.points import read_points
from ailand_gt4py.observations.brightness import clay_fraction
from ailand_gt4py.training import session
from ailand_gt4py.training.configuration import Configuration
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page
from studies.brightness import twin

CONFIGURATION = Path(__file__).with_name("configuration.yaml")
FILE, POINTS = "ecland_synth_6h_train_d.nc", Path("configs/development_points.csv")
SHOWN = ("swvl1", "swvl2", "swvl3", "stl1")
#: How far the operator's parameters are off where they are wrong, as factors.
WRONG = {"roughness": 1.3, "optical_depth": 0.7}
#: Weight of the term: that of a state, of which there are 14, in a window in which it is observed.
WEIGHT = 1.0
FIRST, ALONE, ALL_STATES = "before continuing", "states of a tenth only", "states of all columns"


@dataclasses.dataclass(frozen=True)
class Variant:
    """What a training has beside the known states.

    Attributes:
        share: one in so many of the observations is there; 0: none. brightness: options of the operator.
    """

    name: str
    share: int = 0
    brightness: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Of its files' names."""
        return self.name.replace(" ", "_").replace(",", "")


VARIANTS = (
    Variant(FIRST),
    Variant(ALONE),
    Variant("all Tb", 1),
    Variant("all Tb, bias learnt", 1, {"learns": ["bias"]}),
    Variant("all Tb, wrong parameters", 1, WRONG),
    Variant("all Tb, wrong parameters learnt", 1, {**WRONG, "learns": ["roughness", "optical_depth", "bias"]}),
    Variant("a third of Tb", 3),
    Variant("a third of Tb, wrong parameters", 3, WRONG),
    Variant("a third of Tb, wrong parameters learnt", 3, {**WRONG, "learns": ["roughness", "optical_depth", "bias"]}),
    Variant(ALL_STATES),
)


def trained(options: Mapping[str, Any], files: Sequence[Path], output: Path) -> Model:
    """A model trained by these options on files, unless it is there already."""
    if output.exists():
        return read_model(output)
    directory = output.with_suffix("")
    data = {**options["data"], "train": [path.name for path in files]}
    run = {**options["run"], "directory": str(directory)}
    configuration = read_settings(Configuration, {**options, "data": data, "run": run})
    words = "python -m studies.brightness"
    resume = (directory / "checkpoint.pt").exists()
    return session.train(configuration, files, output, resume, words, lambda line: None)


def first_model(files: twin.Files, seed: int, work: Path) -> Model:
    """Of the known states alone."""
    options = dict(read_yaml(CONFIGURATION)["first"])
    return trained({**options, "run": {"seed": seed}}, [files.known], work / f"first_{seed}.nc")


def variant_model(variant: Variant, files: twin.Files, seed: int, work: Path) -> Model:
    """What goes on from the first model; as often as of the others, windows are drawn of columns with known states."""
    first = first_model(files, seed, work)
    if variant.name == FIRST:
        return first
    options = dict(read_yaml(CONFIGURATION)["second"])
    options["run"] = {"seed": seed, "start_from": str(work / f"first_{seed}.nc")}
    sources = [files.known]
    if variant.name == ALL_STATES:
        sources.append(files.others)
    elif variant.share:
        path = work / f"observed_{seed}_{variant.share}.nc"
        sources.append(twin.write_observed(first, files, path, variant.share))
        options["data"] = options["data"] | {
            "only_observed": [path.name],
            "frequency": {files.known.name: twin.KNOWN_EVERY - 1},
        }
        options["loss"] = options["loss"] | {"terms": {"brightness": WEIGHT}}
        options["brightness"] = dict(variant.brightness)
    return trained(options, sources, work / f"{variant.stem}_{seed}.nc")


def errors_of(model: Model, path: Path, output: Path) -> Values:
    """(n_columns, n_shown) RMSE of free runs from ecLand's first state to the end of a file, unless they are there."""
    if output.exists():
        return np.load(output)
    columns = read_columns(path, model, np.dtype(np.float32))
    results = run_free(model, columns).results
    positions = [[variable.name for variable in model.state].index(name) for name in SHOWN]
    error = results[..., positions].astype(np.float64) - columns.state[1:, :, positions]
    found = np.sqrt(np.square(error).mean(axis=0))
    np.save(output, found)
    return found


def table(rmse: Mapping[str, Values], is_counted: Values) -> list[str]:
    """RMSE over the columns that count, mean of the seeds, and over that of the known states alone.

    ``rmse``: (n_seeds, n_columns, n_shown) by variant.
    """
    by_seed = {name: np.sqrt(np.square(one[:, is_counted]).mean(axis=1)) for name, one in rmse.items()}
    heads = " | ".join(f"{name} | ratio" for name in SHOWN)
    lines = [f"| learnt from | {heads} |", "|---|" + "---:|" * (2 * len(SHOWN))]
    for name, values in by_seed.items():
        ratios = values / by_seed[ALONE]
        cells = []
        for k in range(len(SHOWN)):
            spread = f" ({ratios[:, k].min():.2f} to {ratios[:, k].max():.2f})" if len(ratios) > 1 else ""
            cells.append(f"{values[:, k].mean():.4f} | {ratios[:, k].mean():.2f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Soil moisture learnt from brightness temperatures.")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--work", type=Path, default=Path("out/brightness"), help="directory of files and models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="of the trainings (default: 1 2)")
    parser.add_argument("-o", "--output", type=Path, default=Path("brightness.md"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    files = twin.split(options.data / FILE, np.array(read_points(POINTS)), options.work)
    rmse, learnt = {}, []
    for variant in VARIANTS:
        of_seeds = []
        for seed in options.seeds:
            model = variant_model(variant, files, seed, options.work)
            of_seeds.append(errors_of(model, files.kept, options.work / f"{variant.stem}_{seed}.npy"))
            if text := model.provenance.get("brightness_temperature"):
                learnt.append(f"* {variant.name}, seed {seed}: {text.replace('brightness temperature, learnt ', '')}")
            print(variant.name, seed, np.sqrt(np.square(of_seeds[-1]).mean(axis=0)), flush=True)
        rmse[variant.name] = np.stack(of_seeds)
    counts = {}
    for name, path in files._asdict().items():
        with xr.open_dataset(path, decode_times=False) as data:
            counts[name] = data.sizes["x"]
            # Last of those kept: organic soils have no clay, and no brightness temperature.
            is_mineral = np.isfinite(clay_fraction(data.clim_sotype.values))
    lines = [
        "# Soil moisture learnt from brightness temperatures",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.brightness`; {FILE}: {counts['known']} columns with known states, "
        f"{counts['others']} others, {counts['kept']} kept for testing, {int(is_mineral.sum())} of these on mineral "
        f"soil. Wrong parameters: roughness times {WRONG['roughness']:g}, optical depths times "
        f"{WRONG['optical_depth']:g}. "
        f"Free runs over the whole file; RMSE in m3 m-3 and K, and its ratio to that of known states only; "
        f"seeds {', '.join(map(str, options.seeds))}.",
        "",
        *table(rmse, np.ones(len(is_mineral), dtype=bool)),
        "",
        "**Mineral soils only**",
        "",
        *table(rmse, is_mineral),
        "",
        "**Learnt parameters of the operator**",
        "",
        *learnt,
    ]
    page.write(options.output, lines)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
