"""The report of a whole run of many columns: its time beside that of its bare steps, its memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import report_bars as bars
from report_data import Results, duration
from report_tables import table

#: Time of a run over that of its bare steps; part of its CPU time that sun and flags may take; bytes.
RATIO, SHARE, MEMORY = 1.25, 0.1, 1.5e9


def ratio(found: dict[str, Any], over: str, under: str) -> float:
    """Median over the rounds, in each of which the two were timed one after the other."""
    return float(np.median(np.divide(found[over], found[under])))


def judge(results: Results) -> list[bars.Bar]:
    """What was to be reached."""
    judged = []
    for found in results.runs:
        name = f"{found['columns']} columns x {found['n_steps']} steps"
        judged += [
            bars.at_most(f"{name}: from the first step to the last row / bare steps", ratio(found, "steps", "bare"),
                         RATIO, False),
            bars.at_most(f"{name}: the whole run / bare steps", ratio(found, "run", "bare"), RATIO, False),
            bars.at_most(f"{name}: sun and range flags, share of the CPU time", ratio(found, "watched", "cpu"), SHARE,
                         False),
            bars.at_most(f"{name}: peak memory, GB", found["bytes"] / 1e9, MEMORY / 1e9, False),
        ]  # fmt: skip
    return judged


def markdown(results: Results) -> str:
    """The whole report."""
    machine = results.machine
    lines = [
        "# Benchmark of a whole run on the CPU",
        "",
        f"{results.date}, commit {results.commit}. Made by `make bench-run`. `ailand_gt4py.run` with the default "
        "model, compiled, in float32, from one zarr store to another: opening and checking files, creating the "
        "emulator, deriving forcing from time and location, steps, range flags, compressed output, restart file. It "
        "alternates, in one process, with as many bare calls of `Emulator.step` on the same threads and forcing in "
        "memory; both have been warmed up. What a run does before its first step and after its last does not grow "
        "with its length.",
        "",
        f"{machine['processor']}, {machine['cores']} cores; "
        f"{', '.join(f'{name} {version}' for name, version in machine['versions'].items())}.",
        "",
        *bars.judged_table(judge(results)),
    ]
    for found in results.runs:
        rows = [
            (f"{number}", *map(duration, times), f"{times[1] / times[2]:.2f}")
            for number, times in enumerate(
                zip(*(found[key] for key in ("run", "steps", "bare", "cpu")), strict=True), 1
            )
        ]
        lines += ["", "## Rounds", "", f"Load average at the end {found['load']:.2f}.", ""]
        lines += table(("round", "run", "of which steps", "bare steps", "CPU time of the run", "steps / bare"), rows)
    return "\n".join([*lines, ""])
