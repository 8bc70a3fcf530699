"""What bfloat16 products on the CPU cost in accuracy.

    python -m studies.bfloat16 FILE [FILE ...] [--model MODEL.nc] -o docs/studies/bfloat16.md

Free runs through the whole of each file, in float32 and with the products of the layers in bfloat16 (`--precision
bf16`): RMSE of each variable against ecLand in both and their ratio, the closure of water and energy budgets, and the
number of values outside physical limits. In bfloat16, derivatives of a step are those of the float32 network; to show
how well they predict the bfloat16 step, each state variable is changed by a random number times its standard deviation
times one of several sizes. The CPU time of a step of many columns is measured for both, alternately.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ailand_gt4py.emulator.emulator import Emulator, Precision
from ailand_gt4py.evaluation import budgets, fields, ranges
from ailand_gt4py.evaluation.columns import VerificationColumns, columns_of
from ailand_gt4py.evaluation.runs import FreeRun, label_offset, run_free
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page

PRECISIONS: tuple[Precision, ...] = ("float32", "bf16")
#: Changes of the state, in standard deviations.
SIZES = (0.3, 0.1, 0.03, 0.01, 0.003)
#: Columns whose steps are timed, and how many steps of each precision.
TIMED_COLUMNS, TIMED_STEPS = 10_000, 15


class Study(NamedTuple):
    """Of one file and precision: RMSE by variable, RMS residual by budget with its units, values out of range."""

    rmse: dict[str, float]
    residuals: dict[str, tuple[float, str]]
    violations: int


def rmse(model: Model, columns: VerificationColumns, run: FreeRun) -> dict[str, float]:
    """RMSE of a free run by variable; of what the file has."""
    found = {}
    for position, variable in enumerate((*model.state, *model.diagnostics)):
        if variable.name in columns.absent:
            continue
        first = 1 + label_offset(variable)
        truth = columns.output(position)[first : first + len(run.results)]
        error = run.results[: len(truth), :, position].astype(np.float64) - truth
        found[variable.name] = float(np.sqrt(np.nanmean(error**2)))
    return found


def study(model: Model, path: Path) -> dict[Precision, Study]:
    """Free runs of a file in both precisions."""
    with open_source(path, model) as source:
        columns, truth = columns_of(source, model, np.dtype(np.float32)), fields.read_truth(source)
    found: dict[Precision, Study] = {}
    for precision in PRECISIONS:
        run = run_free(model, columns, precision=precision)
        own = fields.of_run(model, run, truth)
        comparison = budgets.compare(own, truth)
        residuals = {
            name: (float(np.sqrt(np.mean(one.values[:, budgets.land_only(own)] ** 2))), one.units)
            for name, one in comparison.run.items()
            if one.values is not None
        }
        found[precision] = Study(rmse(model, columns, run), residuals, sum(one.violations for one in ranges.count(own)))
    return found


def linear_errors(model: Model, columns: VerificationColumns, seed: int = 0) -> dict[Precision, dict[float, float]]:
    """Precision -> size of the change of state -> error of the tangent-linear of a step, over what the step does.

    The norm over all columns and variables in their standard deviations, in the middle of the file.
    """
    label = columns.n_times // 2
    inputs = columns.static, columns.forcing[label], columns.state[label]
    scale = np.array([one.normalisation.scale for one in model.state], dtype=np.float32)
    change = scale * np.random.default_rng(seed).normal(size=inputs[2].shape).astype(np.float32)
    found: dict[Precision, dict[float, float]] = {}
    for precision in PRECISIONS:
        emulator = Emulator(model, columns.n_columns, "dace_cpu", precision)
        before, found[precision] = emulator.step(*inputs)[0], {}
        for size in SIZES:
            tangent, _ = emulator.tangent_linear(*inputs, d_state=np.float32(size) * change)
            after, _ = emulator.step(*inputs[:2], inputs[2] + np.float32(size) * change)
            done = (after.astype(np.float64) - before) / scale
            found[precision][size] = float(np.linalg.norm(tangent / scale - done) / np.linalg.norm(done))
    return found


def microseconds(model: Model) -> dict[Precision, float]:
    """CPU time of a column and step by precision, medians of steps in turn."""
    groups = model.static, model.forcing, model.state
    static, forcing, state = (
        np.tile(np.float32([one.normalisation.shift for one in group]), (TIMED_COLUMNS, 1)) for group in groups
    )
    emulators = {precision: Emulator(model, TIMED_COLUMNS, "dace_cpu", precision) for precision in PRECISIONS}
    prepared = {precision: one.prepare_static(static) for precision, one in emulators.items()}
    taken: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
    for turn in range(TIMED_STEPS + 1):
        for precision, emulator in emulators.items():
            begun = time.process_time()
            emulator.step(prepared[precision], forcing, state)
            if turn:
                taken[precision].append(time.process_time() - begun)
    return {precision: 1e6 * statistics.median(each) / TIMED_COLUMNS for precision, each in taken.items()}


def table(found: Mapping[Precision, Study]) -> list[str]:
    """Rows of Markdown of one file."""
    full, rounded = (found[precision] for precision in PRECISIONS)
    lines = ["| RMSE | float32 | bf16 | bf16 / float32 |", "|---|---:|---:|---:|"]
    for name, value in full.rmse.items():
        lines.append(f"| {name} | {value:.3g} | {rounded.rmse[name]:.3g} | {rounded.rmse[name] / value:.3f} |")
    lines += ["", "| | float32 | bf16 |", "|---|---:|---:|"]
    for name, (value, units) in full.residuals.items():
        lines.append(f"| {name} residual, RMS ({units}) | {value:.4g} | {rounded.residuals[name][0]:.4g} |")
    return [*lines, f"| values outside physical limits | {full.violations} | {rounded.violations} |", ""]


def main() -> int:
    parser = argparse.ArgumentParser(description="What bfloat16 products on the CPU cost in accuracy.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc", help="(default: the model that ships)")
    parser.add_argument("-o", "--output", type=Path, default=Path("bfloat16.md"))
    options = parser.parse_args()
    model = read_model(options.model)
    costs = microseconds(model)
    with open_source(options.files[0], model) as source:
        errors = linear_errors(model, columns_of(source, model, np.dtype(np.float32)))
    lines = [
        "# bfloat16 on the CPU",
        "",
        page.introduction(__doc__),
        "",
        "Made by `python -m studies.bfloat16`.",
        "",
        "| | float32 | bf16 | float32 / bf16 |",
        "|---|---:|---:|---:|",
        f"| CPU time per column and step (microseconds, {TIMED_COLUMNS} columns) | "
        + " | ".join(f"{costs[precision]:.2f}" for precision in PRECISIONS)
        + f" | {costs['float32'] / costs['bf16']:.2f} |",
        "",
        "| change of the state (standard deviations) | tangent-linear error: float32 step | bf16 step |",
        "|---:|---:|---:|",
        *(f"| {size} | {errors['float32'][size]:.3f} | {errors['bf16'][size]:.3f} |" for size in SIZES),
        "",
    ]  # fmt: skip
    for path in options.files:
        lines += [f"**{path.name}**", "", *table(study(model, path))]
    page.write(options.output, lines[:-1])
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
