"""The report of large networks: their steps beside peers and products alone, the largest one's files and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import report_bars as bars
from report_data import Results, duration, is_limit, not_run
from report_tables import table

#: Share of the fastest products, best peer's time over ours; seconds of reading and of the first compilation; bytes for
#: each of the checkpoint.
SHARE, RATIO, READING_SECONDS, COMPILE_SECONDS, MEMORY = 0.9, 1.1, 10.0, 60.0, 2.5

_READINGS = {
    "checkpoint": "`import_checkpoint`",
    "command": "`ailand model import`",
    "file": "`read_model` of the model file",
}


def judge(results: Results) -> list[bars.Bar]:
    """What was to be reached."""
    judged = []
    for step in _entries(results, "step"):
        times = _medians(step)
        own, name = times["ailand"], f"{step['network']}, {step['columns']} columns, {_threads(step)}"
        products = [times[key] for key in times if is_limit(key)]
        peers = {key: times[key] for key in times if key != "ailand" and not is_limit(key)}
        best = min(peers, key=peers.__getitem__, default=None)
        share = min(products) / own if products else None
        judged.append(bars.at_least(f"{name}: ailand / fastest products alone", share, SHARE))
        ratio, note = (None, "") if best is None else (peers[best] / own, f" ({best})")
        judged.append(bars.at_least(f"{name}: best peer / ailand", ratio, RATIO, note))
    for files in _entries(results, "files"):
        size = files["checkpoint"]["size"]
        for key, name in _READINGS.items():
            judged.append(bars.at_most(f"{name}: time", files[key]["seconds"], READING_SECONDS, True))
            judged.append(bars.at_most(f"{name}: peak memory / checkpoint", files[key]["bytes"] / size, MEMORY, False))
        judged.append(bars.at_most("first compilation", files["file"]["seconds_compile"], COMPILE_SECONDS, True))
    return judged


def markdown(results: Results) -> str:
    """The whole report."""
    machine = results.machine
    lines = [
        "# Benchmarks of large networks on the CPU",
        "",
        f"{results.date}, commit {results.commit}. Made by `make bench-large`. `point_wise_1024x16x4` "
        "has 1024 channels, 16 layers and ratio 4, as anemoi configures it; `layer_norm_6x1024` is aiLand v1 twice as "
        "wide. Weights are random; `dace_cpu`, float32. Contestants are checked against float64, then timed in turn "
        "with the network's matrix products alone, in interleaved rounds (`tests/benchmarks/contest.py`); a time is "
        "the median over the rounds.",
        "",
        f"{machine['processor']}, {machine['cores']} cores; caches "
        f"{', '.join(f'{level} {size}' for level, size in machine['caches'].items())}; "
        f"{', '.join(f'{name} {version}' for name, version in machine['versions'].items())}.",
        "",
        *bars.judged_table(judge(results)),
    ]
    every = _entries(results, "step")
    for network in dict.fromkeys(step["network"] for step in every):
        steps = [step for step in every if step["network"] == network]
        names = sorted(dict.fromkeys(name for step in steps for name in step["seconds"]), key=is_limit)
        header = ("", *(f"{step['columns']} columns, {_threads(step)}" for step in steps))
        rows = [(f"**{name}**" if name == "ailand" else name, *(_rate(step, name) for step in steps)) for name in names]
        rows.append(("load average at the end", *(f"{step['load']:.2f}" for step in steps)))
        lines += [
            "",
            f"## Steps of {network}",
            "",
            "Median time; in brackets, the rate of the matrix products in GFLOP/s.",
            "",
        ]
        lines += table(header, rows)
        lines += not_run({name: why for step in steps for name, why in step["reasons"].items()})
    for files in _entries(results, "files"):
        lines += ["", "## Files and memory", "", *_files(files)]
    return "\n".join([*lines, ""])


def _files(files: dict[str, Any]) -> list[str]:
    size, file = files["checkpoint"]["size"], files["file"]

    def memory(count: float) -> str:
        return f"{count / 1e6:.0f} MB ({count / size:.2f})"

    rows = [(name, duration(files[key]["seconds"]), memory(files[key]["bytes"])) for key, name in _READINGS.items()]
    rows += [
        ("creating an emulator from it", duration(file["seconds_emulator"]), ""),
        (f"compiling it and a first step of {files['columns']} columns", duration(file["seconds_compile"]),
         memory(file["bytes_step"])),
        ("resident memory afterwards", "", memory(file["bytes_resident"])),
    ]  # fmt: skip
    return [
        f"The checkpoint has {size / 1e6:.0f} MB, its weights {file['weights'] / 1e6:.0f} MB. Memory is the peak above "
        f"the imports; in brackets, relative to the checkpoint. Load average at the end {files['load']:.2f}.",
        "",
        *table(("", "time", "memory"), rows),
    ]


def _entries(results: Results, name: str) -> list[dict[str, Any]]:
    return [entry for entry in results.large if entry["name"] == name]


def _medians(step: dict[str, Any]) -> dict[str, float]:
    return {name: float(np.median(seconds)) for name, seconds in step["seconds"].items()}


def _threads(step: dict[str, Any]) -> str:
    return f"{step['threads']} thread{'s' * (step['threads'] > 1)}"


def _rate(step: dict[str, Any], name: str) -> str:
    time = _medians(step).get(name)
    return "" if time is None else f"{duration(time)} ({step['flops'] / time / 1e9:.3g})"
