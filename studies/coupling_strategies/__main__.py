"""Strategies for coupling a learned atmosphere with aiLand: stand-alone, one-way, two-way.

    python examples/aifs/make_atmosphere.py DIRECTORY
    python -m studies.coupling_strategies DIRECTORY -o docs/studies/coupling_strategies.md

The small atmosphere of `examples/aifs` makes ten-day forecasts from the first of each month of 2022, a year that it was
not trained on. The land runs on the forecast weather: stand-alone, afterwards, from a file; one-way, within the
forecast, as a mid-processor that returns nothing; two-way, with its skin temperature and two soil layers as input of
the atmosphere's next step. All results are compared with ecLand's run on the true weather, at the five land points. The
atmosphere is a network trained on ten points of weather: the study shows how the strategies differ, not how good a
forecast is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from anemoi.inference.config.run import RunConfiguration
from anemoi.inference.runners.default import DefaultRunner

import ailand_gt4py
from studies import page

COLUMNS = Path(__file__).parents[2] / "examples" / "column_run" / "ecland_columns.nc"
STARTS = np.arange("2022-02", "2022-12", dtype="datetime64[M]").astype("datetime64[ns]")
DAYS, STEPS_A_DAY = 10, 4
GIVEN = ("skt", "swvl1", "swvl2", "stl1", "stl2")
#: Name in ecLand's files -> that of the atmosphere.
COMPARED = {"t2m": "2t", "skt": "skt", "stl1": "stl1", "swvl1": "swvl1"}
UNITS = {"t2m": "K", "skt": "K", "stl1": "K", "swvl1": "m3 m-3"}
LEADS = (1, 5, 10)
#: How the land is coupled -> what its mid-processor is told.
STRATEGIES: dict[str, dict[str, Any] | None] = {"none": None, "one way": {}, "two ways": {"give_back": list(GIVEN)}}


def forecast(directory: Path, folder: Path, start: np.datetime64, name: str) -> float:
    """Make a forecast with the directory's atmosphere, and give its seconds; files go to a folder."""
    land = STRATEGIES[name]
    stem = folder / name.replace(" ", "_")
    processors = []
    if land is not None:
        own = {"ground": "ground", "output": f"{stem.name}.land", "forcing_out": f"{stem.name}.forcing"}
        paths = {key: str(folder / f"{value}.nc") for key, value in own.items()}
        processors = [{"ailand": {**paths, "overwrite": True, **land}}]
    config = RunConfiguration(
        checkpoint=str(directory / "atmosphere.ckpt"), date=str(start), lead_time=f"{24 * DAYS}h", runner="default",
        input={"dataset": str(directory / "weather.zarr")}, output={"netcdf": f"{stem}.atmosphere.nc"},
        mid_processors=processors, precision="32", device="cpu",
    )  # fmt: skip
    runner = DefaultRunner(config)
    begin = time.perf_counter()
    runner.execute()
    return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description="Strategies of coupling a learned atmosphere with aiLand.")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("-o", "--output", type=Path, default=Path("coupling_strategies.md"))
    options = parser.parse_args()
    directory = options.directory.resolve()
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    apart: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    largest = 0.0
    with xr.open_dataset(COLUMNS) as truth:
        weather = [name for name in truth if str(name).startswith("met_")]
        for start in STARTS:
            # Anemoi-inference writes each file but once in a process.
            folder = directory / str(start.astype("datetime64[M]"))
            folder.mkdir(exist_ok=True)
            truth.sel(time=[start]).drop_vars(weather).to_netcdf(folder / "ground.nc")
            for name in STRATEGIES:
                seconds.setdefault(name, []).append(forecast(directory, folder, start, name))
            alone, begin = folder / "alone.land.nc", time.perf_counter()
            ailand_gt4py.run(folder / "one_way.forcing.nc", output=alone, overwrite=True, quiet=True)
            seconds.setdefault("stand-alone", []).append(time.perf_counter() - begin)
            largest = max(largest, difference(alone, folder / "one_way.land.nc"))
            collect(folder, truth, start, errors, apart)
    page.write(options.output, lines(errors, apart, seconds, largest))
    return 0


def difference(found: Path, expected: Path) -> float:
    """The largest of all values in two outputs of the land."""
    with xr.open_dataset(found) as a, xr.open_dataset(expected) as b:
        names = [name for name in a if a[name].dims == ("time", "x")]
        return max(float(np.nanmax(np.abs(a[name].values.astype(np.float64) - b[name].values))) for name in names)


def collect(
    folder: Path,
    truth: xr.Dataset,
    start: np.datetime64,
    errors: dict[tuple[str, str], list[np.ndarray]],
    apart: dict[str, list[np.ndarray]],
) -> None:
    """Add what a start's forecasts have at the leads: against the truth, and two ways against one."""
    n_columns = truth.sizes["x"]
    times = start + np.array(LEADS) * np.timedelta64(1, "D")
    known = {name: truth[name].sel(time=times).values for name in COMPARED}
    found = {}
    for name in STRATEGIES:
        stem = name.replace(" ", "_")
        with xr.open_dataset(folder / f"{stem}.atmosphere.nc", decode_times=False) as data:
            rows = [STEPS_A_DAY * day for day in LEADS]
            for own, other in COMPARED.items():
                found[f"atmosphere, {name}", own] = data[other].values[rows, :n_columns]
        if STRATEGIES[name] is None:
            continue
        # The land's last row is that of the last step's start: day 10 is in the restart file.
        with (
            xr.open_dataset(folder / f"{stem}.land.nc", decode_times=False) as data,
            xr.open_dataset(folder / f"{stem}.land.restart.nc", decode_times=False) as last,
        ):
            for own in COMPARED:
                values = np.concatenate([data[own].values, last[own].values[None]])
                found[f"land, {name}", own] = values[[STEPS_A_DAY * day for day in LEADS]]
    for (name, own), values in found.items():
        errors.setdefault((name, own), []).append(values - known[own])
    for what in ("atmosphere", "land"):
        for own in COMPARED:
            both = found[f"{what}, two ways", own] - found[f"{what}, one way", own]
            apart.setdefault(f"{what}: {own}", []).append(both)


def rmse(values: list[np.ndarray]) -> np.ndarray:
    """At each lead, over starts and columns."""
    return np.sqrt(np.mean(np.square(np.stack(values)), axis=(0, 2)))


def lines(
    errors: dict[tuple[str, str], list[np.ndarray]],
    apart: dict[str, list[np.ndarray]],
    seconds: dict[str, list[float]],
    largest: float,
) -> list[str]:
    days = " | ".join(f"day {day}" for day in LEADS)
    table = f"|{'---|' + '---:|' * len(LEADS)}"
    text = [
        "# Strategies for coupling a learned atmosphere with aiLand",
        "",
        page.introduction(__doc__),
        f"Made by `python -m studies.coupling_strategies`; {len(STARTS)} forecasts.",
        "",
        f"Stand-alone against one-way: the largest difference of any value of the land is {largest:g}.",
    ]
    for own in COMPARED:
        text += ["", f"RMSE of {own}, {UNITS[own]}:", "", f"| | {days} |", table]
        for (name, variable), values in errors.items():
            if variable == own:
                text.append(f"| {name} | {' | '.join(f'{one:.3g}' for one in rmse(values))} |")
    text += ["", "Two-way against one-way, root mean square difference:", "", f"| | {days} |", table]
    text += [f"| {name} | {' | '.join(f'{one:.3g}' for one in rmse(values))} |" for name, values in apart.items()]
    text += [
        "",
        "Median seconds per forecast, with other work on two cores (files included; the atmosphere has ten points, the "
        "land five):",
        "",
    ]
    text += ["| | s |", "|---|---:|"]
    names = {"none": "atmosphere alone", "stand-alone": "land alone, from a file"}
    text += [f"| {names.get(name, f'with the land, {name}')} | {np.median(one):.2f} |" for name, one in seconds.items()]
    return text


if __name__ == "__main__":
    raise SystemExit(main())
