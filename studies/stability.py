"""Thirty years of a free run: the weather of a file repeated, never corrected.

    python -m studies.stability FILE -o docs/studies/stability.md

Every column of a file with ecLand states runs through the weather of the file from its first label, and then again from
the state reached, ten times in all, without correction. A change is the difference between the states at the ends of
one passage and the previous one, as root mean square over the columns; for the first passage it is the difference from
ecLand's initial state, and ecLand's own change is given for comparison. During the first passage both adjust to the
weather. After that, a stable state returns to where it was; one that drifts does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ailand_gt4py.emulator.emulator import Backend, Emulator
from ailand_gt4py.evaluation import fields, ranges
from ailand_gt4py.evaluation.columns import VerificationColumns, columns_of
from ailand_gt4py.evaluation.runs import Cost, FreeRun
from ailand_gt4py.io.sources import open_source
from ailand_gt4py.weights.model import Model
from ailand_gt4py.weights.model_file import read_model
from studies import page

#: Passages that the table shows, beside the first and the last one.
SHOWN = (2, 5)


def passages(
    model: Model, columns: VerificationColumns, count: int, backend: Backend = "dace_cpu"
) -> Iterator[np.ndarray]:
    """(n_windows, n_columns, n_outputs) of each passage through all windows of the columns, states first.

    The last label's window, too, so that one passage ends at the time of day at which the next one begins.
    """
    sizes = model.sizes
    emulator = Emulator(model, columns.n_columns, backend=backend)
    static, state = emulator.prepare_static(columns.static), columns.state[0]
    buffers = [(emulator.allocate(sizes.state), emulator.allocate(sizes.diagnostics)) for _ in range(2)]
    for _ in range(count):
        results = np.empty((columns.n_times, columns.n_columns, sizes.state + sizes.diagnostics), dtype=state.dtype)
        for window, weather in enumerate(columns.forcing):
            state, diagnostics = emulator.step(static, weather, state, out=buffers[window % 2])
            np.concatenate([state, diagnostics], axis=1, out=results[window])
        # A passage may be of an odd number of windows: what it ends with is not to be written over by the next.
        state = state.copy()
        yield results


def rms(values: np.ndarray) -> np.ndarray:
    """(n_state,) over columns of (n_columns, n_state)."""
    return np.sqrt(np.mean(np.square(values), axis=0))


def main() -> int:
    parser = argparse.ArgumentParser(description="The weather of a file again and again.")
    parser.add_argument("data", type=Path, metavar="FILE")
    parser.add_argument("--model", type=Path, metavar="MODEL.nc")
    parser.add_argument("--passages", type=int, default=10, metavar="N")
    parser.add_argument("-o", "--output", type=Path, default=Path("stability.md"))
    options = parser.parse_args()
    model = read_model(options.model)
    with open_source(options.data, model) as source:
        columns, truth = columns_of(source, model, np.dtype(np.float32)), fields.read_truth(source)
    n_state = model.sizes.state
    beginning, changes, found, n_values = columns.state[0], [], 0, 0
    for results in passages(model, columns, options.passages):
        # Of the last window there is no truth at its end: that before it stands at the last label.
        end = results[-2, :, :n_state]
        changes.append(end.astype(np.float64) - beginning)
        beginning = end
        counted = ranges.count(fields.of_run(model, FreeRun(results[:-1], Cost(0, 0, 0.0, 0.0)), truth))
        found += sum(one.violations for one in counted)
        n_values += sum(one.n for one in counted)
    own = rms(columns.state[-1].astype(np.float64) - columns.state[0])
    years = columns.n_times * model.step_seconds / (365.25 * 86400.0)
    shown = [1, *(number for number in SHOWN if number < options.passages), options.passages]
    header = " | ".join(f"passage {number}" for number in shown)
    lines = [
        "# Thirty years of a free run" if round(years * options.passages) == 30 else "# Years of a free run",
        "",
        page.introduction(__doc__),
        "",
        f"Made by `python -m studies.stability {options.data.name}` with {model.provenance.get('title', 'a model')}: "
        f"{columns.n_columns} columns, {options.passages} passages of {years:.2f} years.",
        "",
        f"| change of | units | ecLand, passage 1 | {header} | largest of any column in the last |",
        "|---|---|---:|" + "---:|" * (len(shown) + 1),
    ]
    for position, variable in enumerate(model.state):
        last = np.abs(changes[-1][:, position]).max()
        values = [own[position], *(rms(changes[number - 1])[position] for number in shown), last]
        lines.append(f"| {variable.name} | {variable.units} | " + " | ".join(f"{value:.2g}" for value in values) + " |")
    lines += ["", f"Values out of physical ranges: {found} of {n_values} in all passages."]
    page.write(options.output, lines)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
