"""A run of many columns in one process, on Dask's workers and on MPI's ranks, one of which is killed half-way.

The input is the example's columns again and again, a little to the east each time, as a zarr store. All runs have to
have the same values, bit for bit: `python -m studies.large_run [--columns 200000] [--steps 40] [--processes 2]`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

EXAMPLE = Path(__file__).parents[1] / "examples" / "column_run" / "ecland_columns.nc"
COMMAND = "import sys; from ailand_gt4py.cli.column_run import main; sys.exit(main())"
#: The copies of a column lie within so many degrees: what the sun gives is still possible.
WIDTH = 0.2
#: Rows and columns of a chunk of the input.
CHUNK = {"time": 4, "x": 25_000}


def write_forcing(path: Path, n_columns: int, n_steps: int) -> None:
    """The example's columns, repeated."""
    with xr.open_dataset(EXAMPLE, decode_cf=False) as data:
        short = data.isel(time=slice(0, n_steps)).load()
    n = short.sizes["x"]
    copies = -(-n_columns // n)
    large = short.isel(x=np.tile(np.arange(n), copies)[:n_columns]).drop_vars(["region", "climate"])
    large["lon"] = large["lon"] + WIDTH * (np.arange(n_columns) // n) / copies
    large = large.assign_coords(x=np.arange(n_columns))
    for name in large.variables:
        large[name].encoding = {}
    temporary = path.with_name(f"{path.name}.partial")
    large.chunk(CHUNK).to_zarr(temporary, mode="w", zarr_format=2, consolidated=True)
    temporary.rename(path)


class Run:
    """The command on a forcing store, in a process of its own."""

    def __init__(self, forcing: Path, output: Path, words: list[str], ranks: int = 0) -> None:
        self.output = output
        launcher = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks)] if ranks else []
        own = ["-c", COMMAND, str(forcing), "-o", str(output), "--quiet", "--checkpoint-seconds", "0"]
        begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        self._process = subprocess.Popen([*launcher, sys.executable, *own, *words])
        self._begin = begin, used.ru_utime + used.ru_stime

    def killed(self, n_steps: int) -> str:
        """Kill a process that has made half of the steps of a part; what it had made."""
        while self._process.poll() is None:
            for part, n_made in self._parts():
                lock = self.output.with_name(f"{self.output.name}.parts") / f".{part}.nc.ailand-lock"
                if n_steps // 2 <= n_made < n_steps and lock.exists():
                    found = re.match(r"process (\d+) on", lock.read_text())
                    if found:
                        os.kill(int(found[1]), signal.SIGKILL)
                        return f"process {found[1]} killed after {n_made} of {n_steps} steps of part {int(part)}"
            time.sleep(0.005)
        raise SystemExit("the run ended before a process could be killed")

    def _parts(self) -> Iterator[tuple[str, int]]:
        for report in sorted(self.output.with_name(f"{self.output.name}.parts").glob("*.steps")):
            text = report.read_text() if report.exists() else ""
            yield report.stem, int(text) if text.isdecimal() else 0

    def ended(self) -> tuple[int, str]:
        """Exit status, and times of the run."""
        status = self._process.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall, cpu = time.perf_counter() - self._begin[0], used.ru_utime + used.ru_stime - self._begin[1]
        return status, f"{wall:.1f} s, {cpu:.1f} s of CPU"


def differences(one: Path, other: Path) -> list[str]:
    """Names of variables of outputs and restart files that are not the same bit for bit."""
    found = []
    stores = [zarr.open_group(str(path), mode="r") for path in (one, other)]
    for name, array in stores[0].arrays():
        for first in range(0, array.shape[0], array.chunks[0]):
            values = [store[name][first : first + array.chunks[0]].tobytes() for store in stores]
            if values[0] != values[1]:
                found.append(name)
                break
    restarts = [xr.load_dataset(path.with_name(f"{path.name}.restart.nc"), decode_cf=False) for path in (one, other)]
    return found + [
        f"{name} of the restart file"
        for name in restarts[0].variables
        if restarts[0][name].values.tobytes() != restarts[1][name].values.tobytes()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("out/large_run"))
    options = parser.parse_args()
    folder, n = options.folder, options.processes
    folder.mkdir(parents=True, exist_ok=True)
    forcing = folder / f"forcing_{options.columns}_{options.steps}.zarr"
    if not forcing.exists():
        write_forcing(forcing, options.columns, options.steps)
    for old in folder.glob("*_run.zarr*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    print(f"{options.columns} columns x {options.steps} steps", flush=True)
    whole = folder / "one_run.zarr"
    status, text = Run(forcing, whole, []).ended()
    print(f"one process: {text}, exit status {status}", flush=True)

    dask = Run(forcing, folder / "dask_run.zarr", ["--workers", str(n)])
    print(f"{n} workers of Dask: {dask.killed(options.steps)}", flush=True)
    status, text = dask.ended()
    print(f"  {text}, exit status {status}, differences: {differences(whole, dask.output) or 'none'}", flush=True)

    ranks = Run(forcing, folder / "mpi_run.zarr", [], ranks=n)
    print(f"{n} ranks of MPI: {ranks.killed(options.steps)}", flush=True)
    status, text = ranks.ended()
    print(f"  {text}, exit status {status}", flush=True)
    status, text = Run(forcing, ranks.output, ["--resume"], ranks=n).ended()
    print(f"  --resume: {text}, exit status {status}, differences: {differences(whole, ranks.output) or 'none'}")


if __name__ == "__main__":
    main()
