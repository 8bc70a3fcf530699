"""What window means cannot tell: the unavoidable error of instantaneous diagnostics.

    python -m studies.window_means DATA_DIRECTORY -o docs/studies/window_means.md

2 m temperature, dew point and skin temperature are valid at the end of a window of six hours, while the forcing is the
mean over it. Boosted trees learn them from the hourly file twice: from the emulator's inputs (means of the forcing over
the window and the previous one, the state, the location, time of day and of year), and with the forcing of the last
hour in addition. Three columns in four are for training, the others for testing. The difference between the two errors
is the part of the diagnostics that no model driven by means can learn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
import xgboost

from studies import page

FILE = "ecland_synth_1h.nc"
HOURS = 6
TARGETS = ("t2m", "d2m", "skt")
FORCING = (
    "met_tair", "met_qair", "met_swdown", "met_lwdown", "met_wind_e", "met_wind_n", "met_rainf", "met_psurf",
)  # fmt: skip
STATE = ("stl1", "snowc")
#: Of the columns, one in so many is for testing.
TEST_EVERY = 4
ROUNDS = 400
OPTIONS = {"max_depth": 7, "eta": 0.06, "subsample": 0.8, "nthread": 1, "seed": 1}


def hourly(data: xr.Dataset, name: str, n_hours: int) -> np.ndarray:
    """(n_windows, HOURS, n_columns) of a variable, of humidity its logarithm."""
    values = data[name].transpose("time", "x").values[:n_hours].astype(np.float64)
    if name == "met_qair":
        values = np.log(np.maximum(values, 1e-6))
    return values.reshape(-1, HOURS, values.shape[1])


def inputs(data: xr.Dataset, n_hours: int) -> tuple[np.ndarray, np.ndarray]:
    """(n_windows - 1, n_columns, n) what means tell of each window but the first, and the last hour's forcing."""
    forcing = np.stack([hourly(data, name, n_hours) for name in FORCING], axis=-1)
    means, last = forcing.mean(axis=1), forcing[:, -1]
    shape = means.shape[:2]
    state = [hourly(data, name, n_hours)[:, 0] for name in STATE]
    hours = np.arange(shape[0])[:, None] * HOURS
    solar = (hours + data.lon.values / 15.0) % 24.0
    where = [data[name].values for name in data.data_vars if str(name).startswith("clim_")]
    others = [*state, solar, hours, data.lat.values, *where]
    beside = np.stack([np.broadcast_to(values, shape) for values in others], axis=-1)
    return np.concatenate([means[1:], means[:-1], beside[1:]], axis=-1), last[1:]


def error(known: np.ndarray, target: np.ndarray, is_test: np.ndarray) -> float:
    """RMSE on the test columns; ``known`` (n_windows, n_columns, n), ``target`` (n_windows, n_columns)."""

    def matrix(chosen: np.ndarray) -> xgboost.DMatrix:
        return xgboost.DMatrix(known[:, chosen].reshape(-1, known.shape[-1]), label=target[:, chosen].ravel())

    trees = xgboost.train(OPTIONS, matrix(~is_test), ROUNDS)
    return float(np.sqrt(np.mean((trees.predict(matrix(is_test)) - target[:, is_test].ravel()) ** 2)))


def main() -> int:
    parser = argparse.ArgumentParser(description="What window means cannot tell.")
    parser.add_argument("data", type=Path, metavar="DATA_DIRECTORY")
    parser.add_argument("-o", "--output", type=Path, default=Path("window_means.md"))
    options = parser.parse_args()
    lines = [
        "# What window means cannot tell",
        "",
        page.introduction(__doc__),
        "Made by `python -m studies.window_means`. RMSE in K.",
        "",
        "| at the end of the window | from means | with the last hour's forcing |",
        "|---|---:|---:|",
    ]
    with xr.open_dataset(options.data / FILE, decode_times=False) as data:
        # A window's end must be in the file.
        n_hours = (data.sizes["time"] - 1) // HOURS * HOURS
        means, last = inputs(data, n_hours)
        is_test = np.arange(data.sizes["x"]) % TEST_EVERY == 0
        for name in TARGETS:
            at_end = data[name].transpose("time", "x").values[2 * HOURS : n_hours + 1 : HOURS].astype(np.float64)
            # Trees see differences to the air more easily than the temperatures themselves.
            from_means = error(means, at_end - means[..., 0], is_test)
            from_last = error(np.concatenate([means, last], axis=-1), at_end - last[..., 0], is_test)
            lines.append(f"| {name} | {from_means:.2f} | {from_last:.2f} |")
    page.write(options.output, lines)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
