"""The report of a benchmark run: ``python report.py BENCHMARK.json ... DIRECTORY`` writes cpu.md and cpu.png, or gpu.*.

A run of nothing but overheads, as ``make bench-land`` makes it, becomes land.md; what a run has of derivatives (``make
bench-derivatives``) becomes derivatives.md, of the large network (``make bench-large``) large.md, of a whole run
(``make bench-run``) run.md. Each BENCHMARK.json is what pytest-benchmark writes with ``--benchmark-json``. All figures
come from these; what they lack is said.
Exit status 2 where one cannot be read or is empty.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report_bars as bars
import report_derivatives
import report_figure
import report_large
import report_run
from report_data import Results, amount, duration, not_run, read
from report_tables import table

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.evaluation.literature import ECLAND_MICROSECONDS, ECLAND_STEP_SECONDS, ecland_factors

TITLES = {"cpu": "CPU", "cuda": "GPU"}


def machine_section(results: Results) -> list[str]:
    """Processor, libraries, threads, and what of the environment bears on them."""
    machine = results.machine
    rows = [
        ("processor", f"{machine['processor']}, {machine['cores']} cores"),
        ("caches", ", ".join(f"{level} {size}" for level, size in machine["caches"].items()) or "unknown"),
        ("threads of every contestant", str(machine["threads"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in machine["versions"].items())),
        ("libraries loaded", "; ".join(machine["thread_pools"]) or "unknown"),
        ("environment", ", ".join(f"{k}={v}" for k, v in machine["variables"].items()) or "no variable for threads"),
        (
            "load average at the end",
            ", ".join(f"{load:.2f}" for load in machine["load_average"]) + " (1, 5, 15 minutes)",
        ),
    ]
    if "gpu" in machine:
        rows.insert(1, ("GPU", machine["gpu"]))
    lines = ["## Machine", "", *table(("", ""), rows)]
    if results.copy is not None:
        lines += ["", f"Copying a large array: {results.copy['gbytes_per_second']:.1f} GB/s read and written."]
    if results.large_product is not None:
        product = results.large_product
        lines += [
            "",
            f"One large float32 product ({product['columns']} x {product['size']} x {product['size']}, "
            f"{product['by'].removeprefix('gemm_')}): {product['gflops']:.0f} GFLOP/s.",
        ]
    if results.multiply_adds is not None:
        rate = results.multiply_adds["gflops"]
        lines += ["", f"Multiply-adds on registers, float32: {rate:.0f} GFLOP/s, the peak that nothing exceeds."]
    return lines


def bars_section(results: Results) -> list[str]:
    """What was to be reached, and whether it was."""
    judged = bars.judge(results)
    missed = sum(bar.reached is not True for bar in judged)
    return [
        "## Targets",
        "",
        f"{len(judged) - missed} of {len(judged)} met.",
        "",
        *bars.judged_table(judged),
    ]


def steps_section(results: Results) -> list[str]:
    """Median time and rate of each contestant, network and number of columns, and the ratios."""
    lines = ["## Steps", "", "Median time; in brackets, the rate of the matrix products in GFLOP/s."]
    lines += not_run(results.reasons)
    for network in results.networks:
        sizes = results.sizes(network)
        names = results.contestants(network)
        rows = []
        for name in names:
            cells = [results.steps.get((network, size, name)) for size in sizes]
            label = f"**{name}**" if name.startswith("ailand") else name
            rows.append((label, *("" if c is None else f"{duration(c.median)} ({c.gflops:.3g})" for c in cells)))
        for own in (name for name in names if name.startswith("ailand")):
            suffix = own.removeprefix("ailand")
            peers = [results.best_peer(network, size, own) for size in sizes]
            limits = [results.limit_share(network, size, own) for size in sizes]
            rows.append((f"best peer / ailand{suffix}", *("" if p is None else f"{p[1]:.2f} ({p[0]})" for p in peers)))
            rows.append((f"ailand{suffix} / fastest GEMM", *("" if s is None else f"{s:.2f}" for s in limits)))
        flops = results.flops[network]
        lines += ["", f"### {network} ({amount(flops)}FLOP a column)", ""]
        lines += table((network, *(f"{size} column{'s' * (size > 1)}" for size in sizes)), rows)
    return lines


def overheads_section(results: Results) -> list[str]:
    """Python, compiling, starting, memory and the driver."""
    rows: list[tuple[str, str]] = []
    found = results.overheads
    if "step_overhead" in found:
        item = found["step_overhead"]
        rows.append(("`Emulator.step` with hardly any arithmetic, writing into given arrays", duration(item["median"])))
        rows.append(("the same, allocating its results", duration(item["seconds_with_allocation"])))
        rows.append(
            ("a step of a rollout, the state alternating between two arrays", duration(item["seconds_in_turn"]))
        )
        rows.append(("the same, each window's forcing in another array", duration(item["seconds_with_new_windows"])))
    for name in sorted(name for name in found if name.startswith("first_compile_")):
        item, model = found[name], name.removeprefix("first_compile_")
        rows.append((f"first compilation, {model} model", duration(item["median"])))
        rows.append((f"the same program from the cache, {model} model", duration(item["seconds_cached"])))
    if "cached_start" in found:
        item = found["cached_start"]
        rows.append(("from import to first result, with everything compiled", duration(item["median"])))
        rows.append(("of which importing gt4py.next and its DaCe backend", duration(item["seconds_imports"])))
        rows.append(("of which everything else", duration(item["seconds_beyond_imports"])))
    if "peak_memory_bytes" in found:
        item = found["peak_memory_bytes"]
        rows.append((f"peak memory beyond the imports, {item['network']}, {item['columns']} columns",
                     f"{item['bytes'] / 1e6:.0f} MB"))  # fmt: skip
        rows.append(("of which inputs and results", f"{item['arrays'] / 1e6:.0f} MB"))
    if "driver_step" in found:
        item = found["driver_step"]
        rows.append((f"`ailand-column-run`: one time step of {item['columns']} columns, default model",
                     duration(item["median"])))  # fmt: skip
        rows.append(("the bare `Emulator.step` in it", duration(item["seconds_bare_step"])))
    if "land_accumulation" in found:
        item = found["land_accumulation"]
        rows.append((f"`LandComponent`: a host step that accumulates forcing, {item['columns']} land cells",
                     duration(item["median"])))  # fmt: skip
    if "land_firing" in found:
        item = found["land_firing"]
        rows.append((f"`LandComponent`: a host step that steps the emulator, {item['columns']} land cells",
                     duration(item["median"])))  # fmt: skip
        rows.append(("the same with the derivatives of the fluxes", duration(item["seconds_with_derivatives"])))
    if "land_compaction" in found:
        item = found["land_compaction"]
        rows.append((f"`LandComponent`: a window with {100 * item['share']:.0f} % land, {item['points']} points",
                     duration(item["median"])))  # fmt: skip
        rows.append(("its time relative to land everywhere", f"{item['ratio']:.2f}"))
    if not rows:
        return []
    return ["## Overheads", "", *table(("", ""), rows)]


def physical_model_section(results: Results) -> list[str]:
    """The emulator's cost beside that of the model it emulates, both for one core."""
    threads, rows = results.machine["threads"], []
    for network in results.networks:
        size = max(results.sizes(network))
        own = results.steps.get((network, size, "ailand"))
        if own is None:
            continue
        cost = own.median * threads / size * 1e6
        rows.append((network, f"{size}", f"{cost:.2f}", ecland_factors(cost, ECLAND_STEP_SECONDS)))
    if not rows or results.device != "cpu":
        return []
    low, high = ECLAND_MICROSECONDS
    return [
        "## Beside the physical model",
        "",
        f"ecLand takes {low:.0f} to {high:.0f} microseconds of one core per column and six hours on a machine of this "
        "kind (six hourly steps, 80 columns, start-up and output subtracted, four runs). For the emulator, wall-clock "
        f"time is multiplied by its {threads} threads:",
        "",
        *table(("network", "columns", "microseconds of one core per column and step", "ecLand / emulator"), rows),
    ]


def markdown(results: Results, figure: str) -> str:
    """The whole report."""
    title = TITLES[results.device]
    lines = [
        f"# Benchmarks on the {title}",
        "",
        f"{results.date}, commit {results.commit}"
        + (f"; the run took {results.seconds / 60:.0f} minutes" if results.seconds else "")
        + ". Made by `make bench`.",
        "",
        "A step takes static fields, forcing and state in model units and returns the new state and the diagnostics in "
        "model units. Every contestant computes it from the same inputs with the same number of threads, in float32 "
        "unless its name says otherwise, and is checked against float64 before it is timed. Contestants are timed in "
        "turn, in interleaved rounds (`tests/benchmarks/race.py`); a time is the median over the rounds. "
        "`tests/benchmarks/contestants.py` describes each contestant and how it is tuned; those in `..._blocks` are "
        "called on blocks of columns that fit into the cache. `gemm_...` are the network's matrix products alone.",
        "",
        f"![GFLOP/s by network and contestant, and times at small sizes]({figure})",
        "",
    ]
    sections = [machine_section(results), steps_section(results), overheads_section(results)]
    if results.device == "cpu":
        sections.insert(0, bars_section(results))
    sections.append(physical_model_section(results))
    for section in sections:
        lines += [*section, ""] if section else []
    return "\n".join(lines).rstrip() + "\n"


def land_markdown(results: Results) -> str:
    """The report of the land component alone."""
    judged = [bar for bar in bars.judge(results) if bar.reached is not None]
    lines = [
        "# Benchmarks of the land component on the CPU",
        "",
        f"{results.date}, commit {results.commit}. Made by `make bench-land`. Default model, compiled, float32; "
        "times are medians over interleaved rounds (`tests/benchmarks/race.py`).",
        "",
        "## Targets",
        "",
        *bars.judged_table(judged),
        "",
    ]
    for section in (overheads_section(results), machine_section(results)):
        lines += [*section, ""]
    return "\n".join(lines).rstrip() + "\n"


def write(sources: Sequence[Path], directory: Path) -> Path:
    """Write report and figure of a run, or of its parts; returns the report's path.

    Raises:
        InputError: the file is no benchmark run, or the directory is missing.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: found no directory, expected one for the report")
    results = read(*sources)
    parts = {
        "derivatives": (results.derivatives, report_derivatives.markdown),
        "large": (results.large, report_large.markdown),
        "run": (results.runs, report_run.markdown),
    }
    for name, (entries, markdown_of) in parts.items():
        if entries:
            path = directory / f"{name}.md"
            path.write_text(markdown_of(results), encoding="utf-8")
            if not results.steps and not results.overheads:
                return path
    if not results.steps:
        path = directory / "land.md"
        path.write_text(land_markdown(results), encoding="utf-8")
        return path
    name = {"cpu": "cpu", "cuda": "gpu"}[results.device]
    report_figure.draw(results, directory / f"{name}.png")
    path = directory / f"{name}.md"
    path.write_text(markdown(results, f"{name}.png"), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Write the report of a benchmark run.")
    parser.add_argument("sources", type=Path, nargs="+", metavar="BENCHMARK.json")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    options: Any = parser.parse_args(arguments)
    try:
        print(f"wrote {write(options.sources, options.directory)}")
    except InputError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
