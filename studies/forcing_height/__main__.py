"""How close the forcing from an atmosphere is to that of ecLand.

    python -m studies.forcing_height DATA_DIRECTORY -o docs/studies/forcing_height.md

An atmosphere provides temperature and dew point at 2 m at the ends of a window; ecLand is forced with means over the
window at 10 m. ecLand's own diagnostics at both ends of a window stand in for the atmosphere's fields; the forcing is
derived from them as in the coupling (`integration/hosts/anemoi/weather.py`) and compared with ecLand's actual forcing.
Air is taken from 2 m to 10 m by a fraction of the difference between 2 m and skin temperature; its two values, one for
a colder and one for a warmer skin, are fitted to the hourly runs by least squares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.integration.hosts.anemoi.weather import STABLE, UNSTABLE, at_forcing_height, specific_humidity
from studies import page

#: Runs by what is done with them: fitted to and held against, or only the latter.
HOURLY, SIX_HOURLY, OTHER_COLUMNS = "ecland_synth_1h.nc", "ecland_synth_6h_train.nc", "ecland_synth_6h_holdout.nc"
#: Windows of each file.
WINDOWS = {HOURLY: 4000, SIX_HOURLY: 1460, OTHER_COLUMNS: 1460}
NAMES = ("t2m", "skt", "d2m", "met_tair", "met_qair", "met_psurf")

Array = np.ndarray


def read(path: Path) -> dict[str, Array]:
    """(n_windows + 1, n_columns) of each variable."""
    with xr.open_dataset(path) as data:
        labels = slice(0, WINDOWS[path.name] + 1)
        return {name: data[name].transpose("time", "x")[labels].values.astype(np.float64) for name in NAMES}


def mean_of_ends(values: Array) -> Array:
    return 0.5 * (values[:-1] + values[1:])


def error(found: Array, expected: Array) -> str:
    """Root mean square error and bias."""
    difference = found - expected
    return f"{np.sqrt(np.mean(difference**2)):.3g} | {difference.mean():.2g}"


def fitted(run: dict[str, Array]) -> Array:
    """The two parts of the difference of 2 m and skin temperature, where the skin is colder and warmer."""
    difference = mean_of_ends(run["t2m"] - run["skt"]).ravel()
    missing = (run["met_tair"][:-1] - mean_of_ends(run["t2m"])).ravel()
    parts = np.stack([np.maximum(difference, 0.0), np.minimum(difference, 0.0)], axis=1)
    return np.linalg.lstsq(parts, missing, rcond=None)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description="How near an atmosphere's fields come to ecLand's forcing.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("-o", "--output", type=Path, default=Path("forcing_height.md"))
    options = parser.parse_args()
    runs = {name: read(options.data / name) for name in WINDOWS}
    colder, warmer = fitted(runs[HOURLY])
    lines = [
        "# Forcing from an atmosphere against ecLand's",
        "",
        page.introduction(__doc__),
        "Made by `python -m studies.forcing_height`.",
        "",
        f"Fitted to `{HOURLY}`: {colder:.3f} for a colder skin, {warmer:.3f} for a warmer one; the coupling "
        f"uses {STABLE:.2f} and {UNSTABLE:.2f}.",
        "",
        "| run | air temperature from | RMSE, K | bias, K |",
        "|---|---|---:|---:|",
    ]
    for name, run in runs.items():
        expected, at_2m = run["met_tair"][:-1], run["t2m"]
        for what, found in (
            ("2 m, the window's start", at_2m[:-1]),
            ("2 m, its end", at_2m[1:]),
            ("2 m, both ends", mean_of_ends(at_2m)),
            ("both ends, at 10 m", mean_of_ends(at_forcing_height(at_2m, run["skt"]))),
        ):
            lines.append(f"| `{name}` | {what} | {error(found, expected)} |")
    lines += ["", "| run | humidity from | RMSE, g kg-1 | bias, g kg-1 |", "|---|---|---:|---:|"]
    for name, run in runs.items():
        humidity = mean_of_ends(specific_humidity(run["d2m"], run["met_psurf"]))
        lines.append(
            f"| `{name}` | dew point at 2 m, both ends | {error(1e3 * humidity, 1e3 * run['met_qair'][:-1])} |"
        )
    page.write(options.output, lines)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
