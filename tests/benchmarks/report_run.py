"""The report of a whole run of many columns: its time beside that of its bare steps, its memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import report_bars as bars
from report_data import Results, duration
from report_tables import table

#: Time of a run over that of its bare steps; part of its CPU time that sun and flags may take; bytes.
RATIO, SHARE, MEMORY = 1.25, 0.1, 1.5e9


def ratio(found: dict[str, Any]) -> float:
    """Median over the rounds, in each of which the two were timed one after the other."""
    return float(np.median(np.divide(found["run"], found["bare"])))


def judge(results: Results) -> list[bars.Bar]:
    """What was to be reached."""
    judged = []
    for found in results.runs:
        name = f"{found['columns']} columns x {found['steps']} steps"
        judged.append(bars.at_most(f"{name}: run / bare steps", ratio(found), RATIO, False))
        share = float(np.median(np.divide(found["watched"], found["cpu"])))
        judged.append(bars.at_most(f"{name}: sun and range flags, share of the CPU time", share, SHARE, False))
        judged.append(bars.at_most(f"{name}: peak memory, GB", found["bytes"] / 1e9, MEMORY / 1e9, False))
    return judged


def markdown(results: Results) -> str:
    """The whole report."""
    words = {True: "reached", False: "**not reached**", None: "not measured"}
    judged = [(bar.name, bar.found, bar.wanted, words[bar.reached]) for bar in judge(results)]
    machine = results.machine
    lines = [
        "# Benchmark of a whole run on the CPU",
        "",
        f"{results.date}, commit {results.commit}. Made by `make bench-run`. `ailand_gt4py.run` with the default "
        "model, compiled, in float32, from a zarr store to a zarr store: opening, checks, forcing from time and "
        "location, steps, range flags, compressed output, restart file. In turn with it, in one process, the bare "
        "`Emulator.step` as many times on the same threads; the first round warms up and is not counted.",
        "",
        f"{machine['processor']}, {machine['cores']} cores; "
        f"{', '.join(f'{name} {version}' for name, version in machine['versions'].items())}.",
        "",
        *table(("bar", "found", "wanted", ""), judged),
    ]
    for found in results.runs:
        rows = [
            (f"{k}", duration(run), duration(bare), f"{run / bare:.2f}", duration(cpu))
            for k, (run, bare, cpu) in enumerate(zip(found["run"], found["bare"], found["cpu"], strict=True), 1)
        ]
        lines += ["", "## Rounds", "", f"Load at the end {found['load']:.2f}.", ""]
        lines += table(("round", "run", "bare steps", "ratio", "CPU time of the run"), rows)
    return "\n".join([*lines, ""])
