"""The first guesses of state variables against ecLand's own state.

    python -m studies.first_guesses DATA_DIRECTORY

The directory holds the files in `FILES`, ecLand runs made for this project. A run may start anywhere in them: here
every 46 days of three years, at all columns. Writes ``README.md`` to ``docs/first_guesses``, after the words of its
``introduction.md``.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

from ailand_gt4py.ecland import snow
from ailand_gt4py.io.blocks import read_annual_cycle, read_mean
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.derive import mean_key, wave_key
from ailand_gt4py.io.first_guess import FIRST_GUESSES, FROM_CLIMATE
from ailand_gt4py.weights.variables import units_of

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "first_guesses"
FILES = {
    "ecland_synth_6h_train.nc": "258 columns of twelve climate types, stochastic weather",
    "ecland_real10_6h.nc": "10 columns at 51.6 N, 4.6 to 9.3 E, ERA5's weather",
}
#: Steps of six hours between two starts.
INTERVAL = 4 * 46
#: Names of the guesses in the tables: name -> variable, variable that is taken as it is instead of the guess.
ROWS = {
    "`swvl4`, third layer's (m3 m-3)": ("swvl4", None),
    "`stl4`, by the annual wave of `met_tair` (K)": ("stl4", None),
    "`stl4`, extrapolated from `stl2` through `stl3` (K)": ("stl4 without a year", None),
    "`stl4`, third layer's instead (K)": ("stl4", "stl3"),
    "`tsn` under snow (K)": ("tsn", None),
    "`rsn` under snow (kg m-3)": ("rsn", None),
    "`asn` under snow (1)": ("asn", None),
    "`src` (kg m-2)": ("src", None),
    **{
        f"`{stem}{layer}` from the climate ({unit})": (f"{stem}{layer} from the climate", None)
        for stem, unit in (("stl", "K"), ("swvl", "m3 m-3"))
        for layer in (1, 2, 3, 4)
    },
}


def errors(path: pathlib.Path, variable: str, instead: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Guess less truth, and the truth, of all starts and columns; of snow's properties where there is snow."""
    file = ColumnFile(path)
    times = file.times()
    step = times[1] - times[0]
    name = variable.split()[0]
    guess = FROM_CLIMATE[name][0] if "climate" in variable else FIRST_GUESSES[name]
    if "without a year" in variable:
        assert guess.otherwise is not None
        guess = guess.otherwise
    differences, truths = [], []
    for start in range(0, len(times), INTERVAL):

        def at_start(name: str, start: int = start) -> np.ndarray:
            return file.field(name, start).astype(np.float64)

        inputs = {name: at_start(name) for name in guess.inputs}
        for name, unit in units_of(*guess.waves).items():
            source = file.source(name, unit)
            assert source is not None
            found_cycle = read_annual_cycle(file, source, times, step, start)
            assert found_cycle is not None
            inputs[mean_key(name)], inputs[wave_key(name)] = found_cycle
        for name, unit in units_of(*guess.means).items():
            source = file.source(name, unit)
            assert source is not None
            inputs[mean_key(name)] = read_mean(file, source, len(times), step, start, guess.mean_days)
        found = at_start(instead) if instead else guess.function(inputs, str(path))
        truth = at_start(guess.name)
        counted = np.ones(len(truth), dtype=bool)
        if guess.name in snow.NO_SNOW:
            counted = at_start("sd") > snow.LEAST_WATER
        differences.append((found - truth)[counted])
        truths.append(truth[counted])
    file.close()
    return np.concatenate(differences), np.concatenate(truths)


def table(path: pathlib.Path) -> str:
    """Lines of a table in Markdown."""
    lines = [
        "| first guess | ecLand's standard deviation | bias | RMSE | 95 % within | values |",
        "|---|---|---|---|---|---|",
    ]
    for label, (variable, instead) in ROWS.items():
        difference, truth = errors(path, variable, instead)
        numbers = (
            truth.std(),
            difference.mean(),
            np.sqrt(np.mean(difference**2)),
            np.percentile(np.abs(difference), 95),
        )
        lines.append(f"| {label} | {' | '.join(f'{number:.3g}' for number in numbers)} | {len(truth)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="directory with ecLand's files")
    data = parser.parse_args().data
    parts = [(PAGE / "introduction.md").read_text().rstrip()]
    parts += [f"## `{name}`: {what}\n\n{table(data / name)}" for name, what in FILES.items()]
    (PAGE / "README.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
