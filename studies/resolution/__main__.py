"""The same model on single columns and on their aggregate.

    python -m studies.resolution DATA_DIRECTORY --model MODEL.nc -o docs/studies/resolution.md

The ten columns of ``ecland_real10_6h.nc`` lie side by side in a strip of 300 km, in real (ERA5) weather that no
training used. Their aggregate is a single column with their mean weather, mean surface (for types, the most frequent)
and mean initial state, as a coarser model would have it. Its run is compared with the mean of ecLand's ten runs, and so
is the mean of the emulator's ten runs: the excess of the first error over the second is the cost of the coarser
resolution.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ailand_gt4py.evaluation.columns import VerificationColumns, read_columns
from ailand_gt4py.evaluation.runs import label_offset, run_free
from ailand_gt4py.evaluation.scores import moments
from ailand_gt4py.io.derive import VEGETATION_COVERS
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page

FILE = "ecland_real10_6h.nc"
#: Static variables that are types: they have no mean.
TYPES = (*VEGETATION_COVERS, "clim_ctype")


def aggregate(model: Model, columns: VerificationColumns) -> VerificationColumns:
    """The columns' mean, as two equal columns."""
    static = columns.static.mean(axis=0)
    for position, variable in enumerate(model.static):
        if variable.name in TYPES:
            values, counts = np.unique(columns.static[:, position], return_counts=True)
            static[position] = values[np.argmax(counts)]

    def twice(values: np.ndarray) -> np.ndarray:
        return np.repeat(values.mean(axis=1, keepdims=True), 2, axis=1)

    return VerificationColumns(
        columns.times,
        np.stack([static, static]),
        twice(columns.forcing),
        twice(columns.state),
        twice(columns.diagnostics),
    )


def truth(model: Model, columns: VerificationColumns) -> np.ndarray:
    """(n_steps, n_columns, n_outputs) that a free run should give."""
    diagnostics = [
        columns.diagnostics[1 + label_offset(one) : columns.n_times + label_offset(one), :, position]
        for position, one in enumerate(model.diagnostics)
    ]
    return np.concatenate([columns.state[1:], np.stack(diagnostics, axis=2)], axis=2).astype(np.float64)


def rmse(error: np.ndarray) -> np.ndarray:
    """By output, over all else."""
    return moments.rmse(error, axis=tuple(range(error.ndim - 1)))


def main() -> int:
    parser = argparse.ArgumentParser(description="The same model on single columns and on their aggregate.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("--model", type=Path, help="model file (default: the model in the package)")
    parser.add_argument("-o", "--output", type=Path, default=Path("resolution.md"))
    options = parser.parse_args()
    model = read_model(options.model)
    columns = read_columns(options.data / FILE, model, np.dtype(np.float32))
    single = run_free(model, columns).results.astype(np.float64)
    whole = run_free(model, aggregate(model, columns)).results[:, 0].astype(np.float64)
    expected = truth(model, columns)
    mean = expected.mean(axis=1)
    lines = [
        "# One model, two resolutions",
        "",
        page.introduction(__doc__),
        "Made by `python -m studies.resolution`. RMSE over a free run of three years, 2020-2022.",
        "",
        "| variable | units | each column | mean of the ten runs | run of the mean column |",
        "|---|---|---:|---:|---:|",
    ]
    numbers = (rmse(single - expected), rmse(single.mean(axis=1) - mean), rmse(whole - mean))
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        cells = " | ".join(f"{number[position]:.4g}" for number in numbers)
        lines.append(f"| {variable.name} | {variable.units} | {cells} |")
    page.write(options.output, lines)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
