"""Errors of the default model that `ailand_gt4py.assimilation.settings` holds, from columns it was trained on.

    python -m studies.assimilation.estimate_errors ecland_synth_6h_train.nc

Runs of 24 h from ecLand's state, day after day through a year. Printed are the RMSE of the control variables after a
day (the model's error Q), the RMSE of what is observed at 2 m where there is neither snow nor frost (the emulator's
part of R), and how far errors last: the standard deviation of the mean of n successive observations over that of n
independent ones. 1 means independent errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ailand_gt4py import read_model
from ailand_gt4py.assimilation.control import UNITS
from ailand_gt4py.ecland.soil_heat import LIQUID_ABOVE
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.evaluation.columns import read_columns
from ailand_gt4py.observations.operators import Situation
from ailand_gt4py.observations.screen import ScreenHumidity, ScreenTemperature

STEPS_PER_DAY = 4
DAYS = 360
LENGTHS = (4, 40, 240)


def lasting(errors: np.ndarray, length: int) -> float:
    """Standard deviation of means over ``length`` successive errors over that of means of independent ones.

    Args:
        errors: (n_times, n_columns), NaN where there is none; blocks with fewer than half of them are left out.
    """
    blocks = errors[: len(errors) // length * length].reshape(-1, length, errors.shape[1])
    count = np.isfinite(blocks).sum(axis=1)
    means = np.where(count > 0, np.nansum(blocks, axis=1), np.nan) / np.maximum(count, 1)
    enough = count >= length / 2
    independent = np.mean(np.nanvar(errors) / count[enough])
    return float(np.sqrt(np.mean(means[enough] ** 2) / independent))


def main() -> None:
    """Estimate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--first", type=int, default=1464, help="label of the first run (default: %(default)s, 2021)")
    arguments = parser.parse_args()
    model = read_model()
    columns = read_columns(arguments.file, model, np.dtype("float32"))
    emulator = Emulator(model, columns.n_columns)
    static = emulator.prepare_static(columns.static)
    names = [variable.name for variable in model.state]
    snow, soil = names.index("snowc"), names.index("stl1")
    operators = {"t2m": ScreenTemperature(model), "rh2m": ScreenHumidity(model)}
    after_a_day = []
    seen: dict[str, list[np.ndarray]] = {name: [] for name in operators}
    for day in range(DAYS):
        label = arguments.first + day * STEPS_PER_DAY
        state = columns.state[label]
        for step in range(STEPS_PER_DAY):
            state, diagnostics = emulator.step(static, columns.forcing[label + step], state)
            now = label + step + 1
            truth = columns.state[now]
            bare = (truth[:, snow] == 0.0) & (truth[:, soil] >= LIQUID_ABOVE)
            for name, operator in operators.items():
                found = operator.values(Situation(columns.forcing[now - 1], state, diagnostics))
                expected = operator.values(Situation(columns.forcing[now - 1], truth, columns.diagnostics[now]))
                seen[name].append(np.where(bare, (found - expected)[:, 0], np.nan))
        after_a_day.append(state.astype(np.float64) - columns.state[label + STEPS_PER_DAY])
    errors = np.stack(after_a_day)
    for name in UNITS:
        rmse = np.sqrt((errors[..., names.index(name)] ** 2).mean())
        print(f"{name}: RMSE after 24 h {rmse:.4f} {UNITS[name]}")
    for name, parts in seen.items():
        values = np.stack(parts)
        units = operators[name].observables[0].units
        lasts = ", ".join(f"{lasting(values, length):.2f} over {length}" for length in LENGTHS)
        print(f"{name}: RMSE {np.sqrt(np.nanmean(values**2)):.3f} {units}; lasting {lasts} observations")


if __name__ == "__main__":
    main()
